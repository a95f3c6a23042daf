"""Masks shared in the ring and in bits: right for 2 to 10 parties, private."""

from dataclasses import replace

import numpy as np
import pytest

from protocols.abort import Suspected
from protocols.arithmetic import open_ring
from protocols.masks import ROUNDS, da_bits, eda_bits, truncation_pairs
from protocols.needs import addend_levels
from protocols.party import Trace, play
from protocols.ring import Ring

RING, WIDE = Ring(1), Ring(2)
GROUPS = range(2, 11)


def numbers(ring, shares, made, name):
    return [
        v % (1 << ring.bits)
        for v in ring.to_ints(shares.join(ring, {p: getattr(m, name) for p, m in made.items()}))
    ]


def from_slices(shares, made, count):
    slices = np.atleast_2d(shares.join_bits({p: m.bits for p, m in made.items()}))
    return [
        sum((int(row[k // 64]) >> (k % 64) & 1) << place for place, row in enumerate(slices))
        for k in range(count)
    ]


def eda(seats, ring, bits, count, trace=None):
    return play(
        {p: eda_bits(s.fork(f"{bits}"), ring, bits, count) for p, s in seats.items()}, trace
    )


@pytest.mark.parametrize("count", GROUPS)
def test_the_slices_of_edabits_are_the_bits_of_the_value(connected, shares, count):
    seats = connected(count)
    for bits in (7,) if count > 3 else (1, 2, 17, 63, 64):
        made = eda(seats, RING, bits, 65)
        value = numbers(RING, shares, made, "value")
        assert value == from_slices(shares, made, 65)
        assert max(value) < 1 << bits
        assert made["a"].bits.shape == (bits, 2)


@pytest.mark.parametrize("bits", [5, 64, 65, 127, 128])
def test_edabits_of_the_wide_ring(connected, shares, bits):
    made = eda(connected(3), WIDE, bits, 3)
    value = numbers(WIDE, shares, made, "value")
    assert value == from_slices(shares, made, 3)
    assert max(value) < 1 << bits


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65])
def test_any_number_of_masks_can_be_drawn(connected, shares, size):
    seats = connected(2)
    made = eda(seats, RING, 3, size)
    assert numbers(RING, shares, made, "value") == from_slices(shares, made, size)
    made = play({p: da_bits(s.fork("d"), RING, size) for p, s in seats.items()})
    assert numbers(RING, shares, made, "value") == from_slices(shares, made, size)
    made = play({p: truncation_pairs(s.fork("t"), RING, 9, size) for p, s in seats.items()})
    assert made["a"].value.shape == (size, 1)


def test_masks_of_many_windows_are_right(connected, shares, monkeypatch):
    monkeypatch.setattr("protocols.masks.VALUES_A_WINDOW", 64)
    seats = connected(3)
    made = eda(seats, RING, 4, 190)
    assert numbers(RING, shares, made, "value") == from_slices(shares, made, 190)


@pytest.mark.parametrize("ring", [RING, WIDE], ids=["64", "128"])
@pytest.mark.parametrize("count", GROUPS)
def test_dabits_are_the_same_bits_in_the_ring(connected, shares, count, ring):
    made = play({p: da_bits(s, ring, 130) for p, s in connected(count).items()})
    value = numbers(ring, shares, made, "value")
    assert value == from_slices(shares, made, 130)
    assert 30 < sum(value) < 100


@pytest.mark.parametrize(("words", "shift"), [(1, 1), (1, 30), (1, 62), (2, 100), (2, 126)])
def test_a_pair_is_a_number_and_its_parts(connected, shares, words, shift):
    ring = Ring(words)
    made = play({p: truncation_pairs(s, ring, shift, 20) for p, s in connected(3).items()})
    value, high, top = (numbers(ring, shares, made, name) for name in ("value", "high", "top"))
    assert high == [v >> shift for v in value]
    assert top == [v >> (ring.bits - 1) for v in value]
    assert len(set(value)) == 20


def truncated(seat, ring, shift, x):
    """As the head of `protocols.masks` says."""
    pairs = yield from truncation_pairs(seat, ring, shift, len(x))
    bits = ring.bits
    masked = ring.add(x, pairs.value)
    if seat.index == 0:
        masked = ring.add(masked, ring.from_ints([1 << (bits - 2)]))
    opened = [v % (1 << bits) for v in ring.to_ints((yield from open_ring(seat, ring, masked)))]
    low = [(c % (1 << (bits - 1)) >> shift) - (1 << (bits - 2 - shift)) for c in opened]
    turned = np.array([[c >> (bits - 1)] for c in opened], dtype=bool)
    share = ring.neg(pairs.high)
    both = ring.add(pairs.top, np.where(turned, ring.neg(pairs.top), pairs.top))
    share = ring.add(share, ring.scale(both, 1 << (bits - 1 - shift)))
    if seat.index == 0:
        ones = [1 << (bits - 1 - shift) if t else 0 for t in turned[:, 0]]
        share = ring.add(share, ring.add(ring.from_ints(low), ring.from_ints(ones)))
    return share


@pytest.mark.parametrize("count", GROUPS)
def test_masked_truncation_is_the_floor_or_one_more(connected, shares, count):
    values = [0, 1, -1, 999, -1000, 2**62 - 1, -(2**62), 2**61 + 12345, 5 << 10, -(5 << 10)] * 3
    split = shares.split(RING, RING.from_ints(values), count)
    made = play({p: truncated(s, RING, 10, split[p]) for p, s in connected(count).items()})
    found = RING.to_ints(shares.join(RING, made))
    gaps = [f - (v >> 10) for f, v in zip(found, values, strict=True)]
    assert set(gaps) <= {0, 1}
    assert all(g == 0 for g, v in zip(gaps, values, strict=True) if v % 1024 == 0)
    assert 1 in gaps


@pytest.mark.parametrize("draw", [
    lambda s: eda_bits(s, RING, 0, 1), lambda s: eda_bits(s, RING, 65, 1),
    lambda s: eda_bits(s, WIDE, 129, 1), lambda s: truncation_pairs(s, RING, 0, 1),
    lambda s: truncation_pairs(s, RING, 63, 1), lambda s: truncation_pairs(s, WIDE, 127, 1),
])  # fmt: skip
def test_a_size_that_the_ring_cannot_have_is_refused_before_anything_is_said(connected, draw):
    with pytest.raises(ValueError, match="a ring of"):
        next(draw(connected(2)["a"]))


@pytest.mark.parametrize("count", GROUPS)
def test_rounds_are_those_of_the_head(connected, count):
    trace = Trace()
    eda(connected(count), RING, 5, 3, trace)
    levels = len(addend_levels(count, 5, 5 + (count * 31).bit_length() - 5))
    assert max(levels - 1, 0) == (0, 0, 1, 2, 2, 3, 3, 3, 4)[count - 2]
    over = (count * 31).bit_length() - 5
    wanted = (2 + 2 if count > 2 else 1) + max(levels - 1, 0) + 5 + over - 1 + count + 1
    assert trace.rounds == count * wanted
    trace = Trace()
    play({p: da_bits(s.fork("d"), RING, 3) for p, s in connected(count).items()}, trace)
    assert trace.rounds == count * count


def test_what_the_masks_say_is_what_they_declare(connected):
    trace = Trace()
    eda(connected(3), RING, 5, 3, trace)
    assert {name for _, _, name, _ in trace.said} == {says.name for says in ROUNDS}


@pytest.mark.parametrize("name", [says.name for says in ROUNDS])
@pytest.mark.parametrize("damage", [lambda v: v[:-1], lambda v: v.astype(np.uint32)])
def test_a_message_of_another_shape_or_type_names_its_sender(connected, name, damage):
    def tamper(sender, _receiver, said, value):
        return damage(value) if (sender, said) == ("a", name) else value

    with pytest.raises(Suspected) as caught:
        play({p: eda_bits(s, RING, 5, 3) for p, s in connected(3).items()}, tamper=tamper)
    assert caught.value.party == "a"


def heard_bits(trace, parties):
    parts = [np.ascontiguousarray(v).view(np.uint8) for _, _, v in trace.heard_by(parties)]
    return np.unpackbits(np.concatenate([part.reshape(-1) for part in parts]))


@pytest.mark.parametrize("draw", [
    lambda s: eda_bits(s, RING, 3, 2), lambda s: da_bits(s, RING, 2)], ids=["edabits", "dabits"]
)  # fmt: skip
@pytest.mark.parametrize("honest", ["a", "b", "c"])
def test_no_number_of_the_honest_party_shows_in_the_view_of_the_others(dealt, seats, draw, honest):
    """Its own numbers all zero, or all ones: each bit that the others hear is as often one."""
    totals = []
    for number in (0, 2**64 - 1):
        total = 0
        for run in range(40):
            table = seats(3, "masks")
            fresh = seats(3, f"masks {number} {run}")[honest].rand
            table = dealt(table | {honest: replace(table[honest], rand=fresh)})
            table[honest] = replace(table[honest], rand=Chosen(fresh, number))
            trace = Trace()
            play({p: draw(s) for p, s in table.items()}, trace)
            colluders = tuple(p for p in table if p != honest)
            total = total + heard_bits(trace, colluders).astype(np.int64)
        totals.append(total)
    assert np.abs(totals[0] - totals[1]).max() / np.sqrt(20) < 6.0


class Chosen:
    """Coins whose first words, the party's own numbers, are chosen; the others are random."""

    def __init__(self, rand, word):
        self.rand, self.word, self.first = rand, word, True

    def words(self, shape):
        made = self.rand.words(shape)
        if self.first:
            made[...] = self.word
            self.first = False
        return made

    def __getattr__(self, name):
        return getattr(self.rand, name)
