"""Signs of sums over parties, against Python's integers."""

import numpy as np
import pytest

from protocols.order.tally import signs, signs_needs
from protocols.party import play
from protocols.triples import and_triples, pair_triples

EDGES = [0, 1, -1, 2**62, -(2**62), 2**63 - 1, -(2**63), 5]


def run(seats, numbers, bits, took):
    """numbers: (parties, m) Python integers."""

    def one(seat, own):
        needs = signs_needs(len(seats), len(own), bits).counts
        triples = yield from and_triples(seat, 64 * needs["and"])
        pairs = yield from pair_triples(seat, 64 * needs.get("pair", 0))
        found = yield from signs(seat, own, bits, triples, pairs)
        took.append(((triples.taken, pairs.taken), (needs["and"], needs.get("pair", 0))))
        return found

    own = {
        p: np.array([v % 2**64 for v in row], np.uint64)
        for p, row in zip(sorted(seats), numbers, strict=True)
    }
    return play({p: one(s, own[p]) for p, s in seats.items()})


@pytest.mark.parametrize("count", range(2, 11))
def test_the_sign_of_a_sum_that_is_split_at_random(connected, shares, count):
    rng = np.random.default_rng(count)
    parts = [[int(v) for v in rng.integers(0, 2**63, len(EDGES))] for _ in range(count - 1)]
    parts.append(
        [e - sum(column) for e, column in zip(EDGES, zip(*parts, strict=True), strict=True)]
    )
    took = []
    found = run(connected(count), parts, 64, took)
    assert shares.join_bits(found).tolist() == [int(e < 0) for e in EDGES]
    assert all(used == declared for used, declared in took)


@pytest.mark.parametrize("bits", [2, 3, 7, 27, 63])
@pytest.mark.parametrize("items", [1, 64, 65])
def test_a_sign_at_any_width_and_number_of_sums(connected, shares, bits, items):
    rng = np.random.default_rng(bits)
    sums = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), items)
    other = rng.integers(-9, 9, items)
    took = []
    found = run(connected(2), [(sums - other).tolist(), other.tolist()], bits, took)
    assert shares.join_bits(found).tolist() == (sums < 0).astype(int).tolist()
    assert all(used == declared for used, declared in took)
