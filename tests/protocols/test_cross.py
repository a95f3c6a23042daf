"""Products of bits of neighbours in rings of two or three parties."""

import numpy as np
import pytest

from protocols.abort import Suspected
from protocols.cross import cross_bits, cross_pairs, neighbours, rings
from protocols.party import Trace, play


def test_parties_sit_by_twos_or_threes():
    assert rings(("a",)) == ()
    assert rings(("a", "b")) == (("a", "b"),)
    assert rings(tuple("abcdefgh")) == (("a", "b", "c"), ("d", "e", "f"))


@pytest.mark.parametrize("words", [0, 1, 5])
@pytest.mark.parametrize("count", range(1, 11))
def test_bits_of_neighbours_multiply(connected, count, words):
    rng = np.random.default_rng(count)
    seats = connected(count)
    forward, backward = (
        {p: rng.integers(0, 2**64, (1, words), dtype=np.uint64) for p in seats} for _ in range(2)
    )
    made = {p: cross_bits(s, forward[p], backward[p]) for p, s in seats.items()}
    found = play(made)
    for party, seat in seats.items():
        sides = neighbours(seat)
        if sides is None:
            assert not np.any(found[party])
        else:
            product = found[party][0] ^ found[sides[0]][1]
            assert np.array_equal(product, forward[party] & backward[sides[0]])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_random_products_are_uniform_and_correct(connected, count):
    seats = connected(count)
    found = play({p: cross_pairs(s, 50) for p, s in seats.items()})
    for party, seat in seats.items():
        sides = neighbours(seat)
        if sides is not None:
            mine, theirs = found[party], found[sides[0]]
            assert np.array_equal(mine.choices & theirs.offered, mine.chosen ^ theirs.zeros)
            for part in (mine.choices, mine.chosen, mine.offered, mine.zeros):
                assert 1400 < sum(int(word).bit_count() for word in part) < 1800
    assert repr(found["a"]) == "CrossPairs(50 words, <redacted>)"


def test_long_products_are_those_of_short_ones(connected, monkeypatch):
    monkeypatch.setattr("protocols.cross.SMALL_WORDS", 0)
    x = np.arange(9, dtype=np.uint64)
    found = play({p: cross_bits(s, x, x * 5) for p, s in connected(2).items()})
    assert np.array_equal(found["a"][0] ^ found["b"][1], x & (x * 5))


def test_products_take_one_round_after_their_transfers_and_two_bits_to_a_peer(connected):
    trace = Trace()
    x = np.zeros(4, np.uint64)
    play({p: cross_bits(s, x, x) for p, s in connected(2).items()}, trace)
    assert trace.rounds == 2 * 2
    assert [v.nbytes for _, _, name, v in trace.said if name == "crossed"] == [64, 64]


@pytest.mark.parametrize("count", [2, 3])
def test_a_product_of_another_length_names_its_sender(connected, count):
    def tamper(sender, _receiver, said, value):
        return value[:-1] if (sender, said) == ("b", "crossed") else value

    x = np.zeros(4, np.uint64)
    table = {p: cross_bits(s, x, x) for p, s in connected(count).items()}
    with pytest.raises(Suspected) as caught:
        play(table, tamper=tamper)
    assert caught.value.party == "b"
