"""Triples of all parties multiply; each is handed out once."""

import numpy as np
import pytest

from protocols.party import Trace, play
from protocols.ring import Ring
from protocols.triples import and_triples, crossed, pair_triples, ring_triples


@pytest.mark.parametrize("count", range(2, 11))
def test_bit_triples_of_all_parties_multiply(connected, shares, count):
    found = play({p: and_triples(s, 1000) for p, s in connected(count).items()})
    a, b, c = (shares.join_bits({p: getattr(t, x) for p, t in found.items()}) for x in "abc")
    assert a.shape == (16,)
    assert np.array_equal(c, a & b)
    for bits in (a, b):
        assert 400 < sum(int(word).bit_count() for word in bits) < 624


@pytest.mark.parametrize("count", range(2, 11))
def test_pairs_of_all_parties_multiply_one_factor_by_two(connected, shares, count):
    found = play({p: pair_triples(s, 130) for p, s in connected(count).items()})
    a, b, c = (shares.join_bits({p: getattr(t, x) for p, t in found.items()}) for x in "abc")
    assert (a.shape, b.shape) == ((3,), (2, 3))
    assert np.array_equal(c, a & b)
    assert len({*a.tolist(), *b.reshape(-1).tolist()}) == 9


@pytest.mark.parametrize("count", range(2, 11))
def test_own_bits_multiply_along_the_edges(connected, shares, count):
    seats = connected(count)
    names = sorted(seats)
    edges = [(names[0], names[1]), (names[-1], names[0])]
    own = {p: np.arange(k, 5 * k + 3, k + 1, dtype=np.uint64)[:2] for k, p in enumerate(names)}
    found = play({p: crossed(s, own[p], edges) for p, s in seats.items()})
    plain = np.bitwise_xor.reduce([own[r] & own[s] for r, s in edges])
    assert np.array_equal(shares.join_bits(found), plain)


@pytest.mark.parametrize("words", [1, 2])
@pytest.mark.parametrize("count", range(2, 11))
def test_ring_triples_of_all_parties_multiply(connected, shares, count, words):
    ring = Ring(words)
    found = play({p: ring_triples(s, ring, (2, 3)) for p, s in connected(count).items()})
    a, b, c = (shares.join(ring, {p: getattr(t, x) for p, t in found.items()}) for x in "abc")
    assert a.shape == (2, 3, words)
    assert np.array_equal(c, ring.mul(a, b))
    assert len(np.unique(np.concatenate((a, b)))) == 12 * words


def test_triples_longer_than_a_block_of_transfers_still_multiply(connected, shares, monkeypatch):
    monkeypatch.setattr("protocols.triples.PRODUCTS_A_WINDOW", 4)
    monkeypatch.setattr("protocols.triples.GATES_A_BLOCK", 2)
    seats = connected(3)
    ring = Ring(1)
    found = play({p: ring_triples(s.fork("ring"), ring, (11,)) for p, s in seats.items()})
    a, b, c = (shares.join(ring, {p: getattr(t, x) for p, t in found.items()}) for x in "abc")
    assert np.array_equal(c, ring.mul(a, b))
    found = play({p: and_triples(s.fork("bits"), 300) for p, s in seats.items()})
    a, b, c = (shares.join_bits({p: getattr(t, x) for p, t in found.items()}) for x in "abc")
    assert np.array_equal(c, a & b)


def test_two_parties_make_bit_triples_in_one_round_without_corrections(connected):
    trace = Trace()
    play({p: and_triples(s, 128) for p, s in connected(2).items()}, trace)
    assert {name for _, _, name, _ in trace.said} == {"extend"}
    assert trace.rounds == 2


def test_triples_are_handed_out_once_and_run_out(connected):
    triples = play({p: and_triples(s, 128) for p, s in connected(2).items()})["a"]
    first, second = triples.take(1), triples.take(1)
    assert not np.array_equal(first[0], second[0])
    with pytest.raises(ValueError, match="0 left"):
        triples.take(1)


def test_pairs_are_handed_out_once_and_run_out(connected):
    pairs = play({p: pair_triples(s, 128) for p, s in connected(2).items()})["a"]
    first, second = pairs.take(1), pairs.take(1)
    assert not np.array_equal(first[1], second[1])
    with pytest.raises(ValueError, match="0 left"):
        pairs.take(1)
    assert repr(pairs) == "PairTriples(2 words, <redacted>)"


@pytest.mark.parametrize(("words", "wanted"), [(1, 520), (2, 1544)])
def test_a_product_says_its_transfers_and_packed_corrections(connected, words, wanted):
    trace = Trace()
    play({p: ring_triples(s, Ring(words), (64,)) for p, s in connected(2).items()}, trace)
    said = {sender: 0 for sender, _, _, _ in trace.said}
    for sender, _, _, value in trace.said:
        said[sender] += value.nbytes
    assert set(said.values()) == {64 * wanted}


def test_triples_do_not_show(connected):
    seats = connected(2)
    found = play({p: ring_triples(s, Ring(1), (1,)) for p, s in seats.items()})
    assert repr(found["a"]) == "RingTriples((1, 1), <redacted>)"
