"""What parties made before a study serves that study once, and only where all of them hold it."""

from dataclasses import replace

import numpy as np
import pytest

from protocols.abort import Suspected
from protocols.batches import BATCHES_MAX, ROUNDS, WIRE, Batch, batch_id, begin, make, tickets
from protocols.oblivious_transfer import random_ot
from protocols.party import Trace, play
from protocols.stock import Foreign

SESSION, FILL = bytes(range(32)), bytes(32)


def held(connected, count, wires):
    return {p: tickets(seat, FILL, wires) for p, seat in connected(count).items()}


def started(seats, batches, label, session=SESSION, trace=None):
    table = seats(len(batches), label)
    found = play({p: begin(table[p], session, batches[p]) for p in table}, trace)
    return {p: replace(table[p], wires=found[p].wires) for p in table}, found


def transfers(table):
    ones = {p: np.ones(64, np.uint8) for p in table}
    return play(
        {
            p: random_ot(s.fork("use"), 64, 1, dict.fromkeys(s.peers, ones[p]), s.peers)
            for p, s in table.items()
        }
    )


def a_batch(parties, name, kind="and"):
    return Batch(batch_id(FILL, name, 0), parties, kind, 1, {"0": np.ones((3, 1), np.uint64)})


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7, 8, 9, 10])
def test_a_ticket_that_all_hold_is_a_wire_in_one_round(seats, connected, count):
    trace = Trace()
    table, _ = started(seats, held(connected, count, 1), "one", trace=trace)
    assert trace.rounds == count
    strings = transfers(table)
    for party, seat in table.items():
        for peer in seat.peers:
            assert np.array_equal(strings[party].chosen[peer], strings[peer].ones[party])
            assert not np.array_equal(strings[party].chosen[peer], strings[peer].zeros[party])


def test_without_a_common_ticket_wires_are_made_as_ever(seats, connected):
    batches = held(connected, 3, 1)
    batches["b"] = []
    trace = Trace()
    table, _ = started(seats, batches, "two", trace=trace)
    assert trace.rounds == 3 * 3
    strings = transfers(table)
    assert np.array_equal(strings["a"].chosen["b"], strings["b"].ones["a"])


def test_what_one_party_lacks_is_burnt_by_the_others_and_given_to_none(seats):
    parties = ("a", "b", "c")
    batches = {p: [a_batch(parties, "x"), a_batch(parties, "y")] for p in parties}
    batches["c"] = batches["c"][1:]
    _, found = started(seats, batches, "lacking")
    assert {one.stock.left("and") for one in found.values()} == {1}
    assert not any(batch.arrays["0"].any() for batch in (*batches["a"], *batches["c"]))


def test_the_order_in_which_a_party_holds_batches_changes_nothing(seats):
    parties = ("a", "b")
    batches = {p: [a_batch(parties, n) for n in "xyz"] for p in parties}
    for one in batches.values():
        for k, batch in enumerate(one):
            batch.arrays["0"].fill(k)
    batches["b"].reverse()
    _, found = started(seats, batches, "order")
    taken = [found[p].stock.take("and", 3)[0] for p in parties]
    assert np.array_equal(*taken)


def test_a_ticket_is_burnt_by_its_use_and_serves_each_session_differently(seats, connected):
    batches = held(connected, 2, 1)
    again = {
        p: [replace(b, arrays={k: v.copy() for k, v in b.arrays.items()}) for b in one]
        for p, one in batches.items()
    }
    first, _ = started(seats, batches, "first")
    second, _ = started(seats, again, "first", session=bytes(31) + b"2")
    assert all(not array.any() for b in batches["a"] for array in b.arrays.values())
    one, other = (transfers(table)["a"].ones["b"] for table in (first, second))
    assert not np.isin(one, other).any()


def test_tickets_of_one_fill_share_no_key(connected):
    first, second = held(connected, 2, 2)["a"]
    assert first.id != second.id
    for part in ("b/whole", "b/lacking"):
        one, other = (t.arrays[part][:, 1:].reshape(-1, 2) for t in (first, second))
        assert not {row.tobytes() for row in one} & {row.tobytes() for row in other}


def test_a_second_ticket_is_burnt_with_the_first(seats, connected):
    batches = held(connected, 2, 2)
    started(seats, batches, "second")
    assert all(not array.any() for b in batches["b"] for array in b.arrays.values())


def test_a_batch_of_other_parties_is_refused_before_anything_is_said(seats):
    foreign = a_batch(("a", "c"), "x")
    with pytest.raises(Foreign, match="made among a, c, and this study is among a, b"):
        next(begin(seats(2, "foreign")["a"], SESSION, [foreign]))


def test_more_batches_than_a_study_may_take_are_refused(seats):
    many = [a_batch(("a", "b"), str(k)) for k in range(BATCHES_MAX + 1)]
    with pytest.raises(ValueError, match=f"at most {BATCHES_MAX} batches"):
        next(begin(seats(2, "many")["a"], SESSION, many))


def test_a_beginning_says_what_is_declared_and_a_batch_shows_nothing(seats):
    trace = Trace()
    started(seats, {"a": [], "b": []}, "said", trace=trace)
    names = {name for _, _, name, _ in trace.said if "/" not in name}
    assert names == {says.name for says in ROUNDS}
    assert repr(a_batch(("a", "b"), "x", WIRE)) == "Batch(1 wire, <redacted>)"


KINDS = (("and", 3), ("wire", 2))


@pytest.mark.parametrize("count", range(2, 11))
def test_what_is_made_ahead_is_sound_and_named_alike(seats, count):
    table = seats(count, f"made {count}")
    made = play({p: make(table[p], FILL, KINDS) for p in table})
    assert len({tuple(b.id for b in one) for one in made.values()}) == 1
    assert [(b.kind, b.units) for b in made["a"]] == [("and", 3), ("wire", 1), ("wire", 1)]
    a, b, c = np.bitwise_xor.reduce([one[0].arrays["0"] for one in made.values()])
    assert np.array_equal(a & b, c)
    assert a.any()
    assert b.any()


def test_who_says_that_it_holds_something_else_is_named(seats):
    def tamper(sender, _receiver, name, value):
        return value ^ np.uint8(1) if (sender, name) == ("b", "held") else value

    table = seats(3, "held")
    with pytest.raises(Suspected, match="holds other correlations") as caught:
        play({p: make(table[p], FILL, KINDS) for p in table}, tamper=tamper)
    assert caught.value.party == "b"


def test_what_is_no_kind_is_refused_before_anything_is_said(seats):
    with pytest.raises(ValueError, match="no kind of correlation"):
        next(make(seats(2, "kind")["a"], FILL, (("gold", 1),)))


@pytest.mark.parametrize("count", [2, 3, 10])
def test_one_party_with_thin_links_makes_all_say_less(seats, count):
    table = seats(count, "thin")
    wishes = {p: replace(s, extension="silent") if p == "b" else s for p, s in table.items()}
    found = play({p: begin(wishes[p], SESSION, []) for p in wishes})
    assert {one.extension for one in found.values()} == {"silent"}


def test_without_thin_links_nobody_is_silent(seats):
    found = play({p: begin(s, SESSION, []) for p, s in seats(2, "thick").items()})
    assert {one.extension for one in found.values()} == {"softspoken"}


def test_a_word_about_links_that_is_neither_names_its_sender(seats):
    def tamper(sender, _receiver, name, value):
        return np.array([2], np.uint8) if (sender, name) == ("b", "links") else value

    with pytest.raises(Suspected) as caught:
        play({p: begin(s, SESSION, []) for p, s in seats(2, "neither").items()}, tamper=tamper)
    assert caught.value.party == "b"
