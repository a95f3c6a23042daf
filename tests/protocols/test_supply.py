"""Correlations made ahead: every kind for every number of parties, checked, with exact bytes."""

import numpy as np
import pytest

from protocols.abort import Inconsistent, Suspected
from protocols.needs import Needs
from protocols.party import Trace, play
from protocols.supply import batch, provided, supply

KINDS = (
    "and",
    "pair",
    "cross",
    "product64",
    "product128",
    "edabit64/1",
    "edabit64/20",
    "edabit64/64",
    "edabit128/65",
    "dabit64",
    "dabit128",
    "truncate64/13",
    "truncate128/62",
)
SOME = ("and", "pair", "cross", "product64", "edabit64/3", "dabit64", "truncate64/61")


def made(seats, kind, units, trace=None, tamper=None):
    return play({p: batch(s, kind, units) for p, s in seats.items()}, trace, tamper)


def sent_most(trace):
    sent = {}
    for sender, _, _, value in trace.said:
        sent[sender] = sent.get(sender, 0) + value.nbytes
    return max(sent.values())


@pytest.mark.parametrize("count", range(2, 11))
def test_the_bytes_of_needs_are_those_that_a_supply_says(connected, count):
    seats = connected(count)
    for kind in KINDS if count < 4 else SOME[: 6 + (count < 6)]:
        needs, trace = Needs({kind: 3}), Trace()
        play({p: supply(s, needs, kind) for p, s in seats.items()}, trace)
        assert sent_most(trace) == needs.bytes(count), kind


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_bytes_of_many_windows_add_up(connected, monkeypatch, count):
    for module in ("needs", "masks"):
        monkeypatch.setattr(f"protocols.{module}.VALUES_A_WINDOW", 128)
    for module in ("needs", "triples"):
        monkeypatch.setattr(f"protocols.{module}.PRODUCTS_A_WINDOW", 64)
    seats = connected(count)
    needs = Needs(dict.fromkeys(("product64", "product128", "edabit64/7", "dabit64"), 5))
    trace = Trace()
    play({p: supply(s, needs, "x") for p, s in seats.items()}, trace)
    assert sent_most(trace) == needs.bytes(count)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["extend", "correct", "mend", "masked", "bits"])
def test_a_wrong_correlation_is_found_before_anything_is_used(connected, kind, name):
    """A party that turns all that it says under one name."""
    turned = []

    def tamper(sender, _receiver, said, value):
        if sender == "b" and said == name:
            turned.append(said)
            return ~value
        return value

    seats = connected(3)
    trace = Trace()
    made({p: s.fork("unspoilt") for p, s in seats.items()}, kind, 2, trace)
    if name in {said for _, _, said, _ in trace.said}:
        with pytest.raises(Inconsistent, match="nothing of it is used"):
            made(seats, kind, 2, tamper=tamper)
    else:
        made(seats, kind, 2, tamper=tamper)
        assert not turned


def test_an_opening_that_was_changed_names_its_sender(connected):
    def tamper(sender, _receiver, said, value):
        return value ^ np.uint8(1) if (sender, said) == ("b", "open") else value

    with pytest.raises(Suspected) as caught:
        made(connected(3), "and", 1, tamper=tamper)
    assert caught.value.party == "b"


def test_what_is_checked_is_thrown_away(connected):
    trace = Trace()
    found = made(connected(2), "product64", 300, trace)
    opened = next(v for s, _, n, v in trace.said if (s, n) == ("a", "open"))
    assert found["a"][0].shape == (3, 300, 1)
    assert opened.size == 16 + 8 * 3 * 128
    assert not {*found["a"][0].reshape(-1).tolist()} & {*opened[16:].view("<u8").tolist()}


def test_what_is_no_kind_is_refused_before_anything_is_said(connected):
    with pytest.raises(ValueError, match="no kind"):
        next(batch(connected(2)["a"], "triples", 1))


@pytest.mark.parametrize("count", [2, 3])
def test_all_kinds_of_a_supply_are_made_in_the_rounds_of_the_longest(connected, count):
    rounds = []
    for kinds in (("edabit64/9",), ("and", "dabit64", "edabit64/9", "product64")):
        trace, needs = Trace(), Needs(dict.fromkeys(kinds, 2))
        play({p: supply(s, needs, "x") for p, s in connected(count).items()}, trace)
        rounds.append(trace.rounds)
    assert rounds[0] == rounds[1]


def test_a_seat_without_stock_is_provided_again_and_again_with_all_that_is_needed(connected):
    seats, needs = connected(3), Needs({"and": 5, "product64": 2})
    first, again = (
        play({p: provided(s, lambda: needs) for p, s in seats.items()}) for _ in range(2)
    )
    assert all(seat.stock.holds(needs) for found in (first, again) for seat in found.values())
    assert not np.array_equal(first["a"].stock.take("and", 5), again["a"].stock.take("and", 5))
    with pytest.raises(StopIteration) as kept:
        next(provided(first["b"], lambda: pytest.fail("has a stock")))
    assert kept.value.value is first["b"]
