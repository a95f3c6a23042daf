"""Zero shares add up to nothing; pooled sums to the sum and nothing else."""

import numpy as np
import pytest

from protocols.masked_sum import pooled_sum, zero_bits, zero_share
from protocols.party import Trace, play
from protocols.ring import Ring


@pytest.mark.parametrize("words", [1, 2])
@pytest.mark.parametrize("count", range(2, 11))
def test_zero_shares_of_all_parties_cancel_and_are_not_zero(seats, shares, count, words):
    ring = Ring(words)
    made = {p: zero_share(s, ring, (4, 2)) for p, s in seats(count, "zero").items()}
    assert not np.any(shares.join(ring, made))
    assert all(len(np.unique(share)) == 8 * words for share in made.values())


@pytest.mark.parametrize("count", range(2, 11))
def test_zero_bits_of_all_parties_cancel(seats, shares, count):
    made = {p: zero_bits(s, 100) for p, s in seats(count, "bits").items()}
    assert not np.any(shares.join_bits(made))
    assert all(20 < bits.sum() < 80 for bits in made.values())


def test_a_second_zero_share_of_the_same_seat_is_another_one(seats):
    seat = seats(2, "twice")["a"]
    ring = Ring(1)
    assert not np.any(zero_share(seat, ring, (3,)) == zero_share(seat, ring, (3,)))


@pytest.mark.parametrize("count", range(2, 11))
def test_the_pooled_sum_is_that_of_all_integers(seats, count):
    ring = Ring(2)
    own = {p: [k, -(k**40), 2**100] for k, p in enumerate(seats(count, "sum"))}
    protocols = {
        p: pooled_sum(s, ring, ring.from_ints(own[p])) for p, s in seats(count, "sum").items()
    }
    found = play(protocols)
    plain = [sum(column) for column in zip(*own.values(), strict=True)]
    assert [ring.to_ints(found[p]) for p in sorted(found)] == [plain] * count


def test_shares_that_open_are_not_the_numbers(seats):
    ring = Ring(1)
    trace = Trace()
    own = ring.from_ints([17] * 50)
    play({p: pooled_sum(s, ring, own) for p, s in seats(3, "hide").items()}, trace)
    opened = [value[16:].tobytes() for _, _, name, value in trace.said if name == "open"]
    assert len(opened) == 6
    words = np.frombuffer(b"".join(opened), "<u8")
    assert not np.any(words == 17)
    assert len(np.unique(words)) == 3 * 50
