"""Bit decomposition and bits in the ring, against Python's integers."""

import numpy as np
import pytest

from protocols.digits import bit_slices, slices_to_ring
from protocols.kernels.bits import pack, unpack
from protocols.party import play
from protocols.ring import Ring

EDGES = [0, 1, -1, 2**62, -(2**63), 2**63 - 1, 5]


@pytest.mark.parametrize("count", range(2, 11))
def test_the_slices_of_a_number_are_its_bits(connected, shares, count):
    ring = Ring(1)
    split = shares.split(ring, ring.from_ints(EDGES), count)
    found = play({p: bit_slices(s, ring, split[p], 64) for p, s in connected(count).items()})
    bits = unpack(shares.join_bits(found), len(EDGES))
    assert bits.T.tolist() == [[v >> b & 1 for b in range(64)] for v in EDGES]


@pytest.mark.parametrize("count", range(2, 11))
def test_shared_bits_become_elements(connected, shares, count):
    ring = Ring(1)
    bits = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    split = shares.split_bits(bits, count)
    seats = connected(count)
    found = play({p: slices_to_ring(s, ring, pack(split[p]), 3) for p, s in seats.items()})
    assert shares.join(ring, found)[..., 0].tolist() == bits.tolist()
