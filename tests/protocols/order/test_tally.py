"""Signs of sums over parties, against Python's integers."""

import numpy as np
import pytest

from protocols.order.tally import Gates, draw, signs, signs_gates
from protocols.party import play

EDGES = [0, 1, -1, 2**62, -(2**62), 2**63 - 1, -(2**63), 5]


def run(seats, numbers, bits, left):
    """numbers: (parties, m) Python integers."""

    def one(seat, own):
        gates = signs_gates(len(seats), len(own), bits)
        drawn = yield from draw(seat, gates)
        found = yield from signs(seat, own, bits, drawn)
        left.append((drawn.single.shape[1], drawn.pairs.shape[1]))
        assert "redacted" in repr(drawn)
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
    left = []
    found = run(connected(count), parts, 64, left)
    assert shares.join_bits(found).tolist() == [int(e < 0) for e in EDGES]
    assert set(left) == {(0, 0)}  # what was declared is what was used


@pytest.mark.parametrize("bits", [2, 3, 7, 27, 63])
@pytest.mark.parametrize("items", [1, 64, 65])
def test_a_sign_at_any_width_and_number_of_sums(connected, shares, bits, items):
    rng = np.random.default_rng(bits)
    sums = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), items)
    other = rng.integers(-9, 9, items)
    left = []
    found = run(connected(2), [(sums - other).tolist(), other.tolist()], bits, left)
    assert shares.join_bits(found).tolist() == (sums < 0).astype(int).tolist()
    assert set(left) == {(0, 0)}  # what was declared is what was used


def test_more_gates_than_were_drawn_are_refused(connected):
    def one(seat):
        drawn = yield from draw(seat, Gates(1, 1))
        yield from signs(seat, np.zeros(3, np.uint64), 8, drawn)

    with pytest.raises(ValueError, match="gates asked for"):
        play({p: one(s) for p, s in connected(2).items()})
