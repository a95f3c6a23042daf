"""A stock hands out each unit once, to its own party, and says by name what it refuses."""

import numpy as np
import pytest

from protocols.arithmetic import and_bits, and_bits_needs, multiply, multiply_needs
from protocols.masks import (
    da_bits,
    da_bits_needs,
    eda_bits,
    eda_bits_needs,
    truncation_pairs,
    truncation_pairs_needs,
)
from protocols.needs import Kind
from protocols.party import Trace, play, together
from protocols.ring import Ring
from protocols.stock import Exhausted, Foreign, Needs, Stock
from protocols.supply import supply
from protocols.triples import (
    and_triples,
    and_triples_needs,
    pair_triples,
    pair_triples_needs,
    ring_triples,
    ring_triples_needs,
)

RING, WIDE = Ring(1), Ring(2)
BITS, NUMBERS = np.ones(130, np.uint8), RING.zeros((7,))
DRAWS = {
    "and": (lambda s: and_triples(s, 70), and_triples_needs(70)),
    "pair": (lambda s: pair_triples(s, 65), pair_triples_needs(65)),
    "product": (lambda s: ring_triples(s, RING, (2, 3)), ring_triples_needs(RING, (2, 3))),
    "wide": (lambda s: ring_triples(s, WIDE, (5,)), ring_triples_needs(WIDE, (5,))),
    "edabit": (lambda s: eda_bits(s, RING, 9, 65), eda_bits_needs(RING, 9, 65)),
    "dabit": (lambda s: da_bits(s, WIDE, 63), da_bits_needs(WIDE, 63)),
    "truncate": (lambda s: truncation_pairs(s, RING, 5, 3), truncation_pairs_needs(RING, 5, 3)),
}


def stock_of(units, epoch="one"):
    made = Stock("a", ("a", "b"), epoch)
    made.put("and", (np.arange(1, 3 * units + 1, dtype=np.uint64).reshape(3, units),))
    return made


def supplied(seats, needs):
    made = play({p: supply(s.fork("supply"), needs, "one") for p, s in seats.items()})
    return {p: seats[p].using(stock) for p, stock in made.items()}


@pytest.mark.parametrize("name", sorted(DRAWS))
def test_a_draw_takes_what_its_needs_say_and_says_nothing(connected, name):
    draw, needs = DRAWS[name]
    seats, trace = supplied(connected(3), needs), Trace()
    play({p: draw(s) for p, s in seats.items()}, trace)
    assert trace.said == []
    [(kind, _)] = needs.counts.items()
    assert seats["a"].stock.left(kind) == 0
    play({p: draw(s) for p, s in seats.items()}, trace)
    assert trace.said != []


@pytest.mark.parametrize(
    ("gadget", "needs"),
    [
        (lambda s: and_bits(s, BITS, BITS), and_bits_needs(130)),
        (lambda s: multiply(s, RING, NUMBERS, NUMBERS), multiply_needs(RING, 7)),
    ],
    ids=["and_bits", "multiply"],
)
def test_a_gadget_draws_what_its_needs_say_and_then_takes_one_round(connected, gadget, needs):
    seats, trace = supplied(connected(3), needs), Trace()
    play({p: gadget(s) for p, s in seats.items()}, trace)
    assert {name for _, _, name, _ in trace.said} == {"masked"}
    assert trace.rounds == 3
    assert all(s.stock.left(kind) == 0 for s in seats.values() for kind in needs.counts)


def test_a_draw_that_finds_too_few_takes_none_of_them(connected):
    seats = supplied(connected(2), Needs({"and": 1}))
    made = play({p: and_triples(s, 65) for p, s in seats.items()})
    assert len(made["a"].a) == 2
    assert seats["a"].stock.left("and") == 1


@pytest.mark.parametrize("count", range(2, 11))
@pytest.mark.parametrize("ring", [RING, WIDE], ids=["64", "128"])
def test_a_product_from_stock_takes_one_round_and_two_elements(connected, shares, count, ring):
    values = [0, 1, -1, 2**62, -(2**63)]
    x, y = (shares.split(ring, ring.from_ints(v), count) for v in (values, values[::-1]))
    seats, trace = supplied(connected(count), ring_triples_needs(ring, (5,))), Trace()
    z = play({p: multiply(s, ring, x[p], y[p]) for p, s in seats.items()}, trace)
    assert np.array_equal(
        shares.join(ring, z), ring.mul(ring.from_ints(values), ring.from_ints(values[::-1]))
    )
    assert trace.rounds == count
    assert {v.nbytes for _, _, _, v in trace.said} == {5 * 16 * ring.words}


def test_what_was_taken_is_zero_in_the_stock():
    stock = stock_of(4)
    held = stock.lots["and"].arrays[0]
    taken = stock.take("and", 3)[0]
    assert taken.tolist() == [[1, 2, 3], [5, 6, 7], [9, 10, 11]]
    assert held.tolist() == [[0, 0, 0, 4], [0, 0, 0, 8], [0, 0, 0, 12]]
    assert stock.left("and") == 1
    assert stock.take("and", 1)[0].tolist() == [[4], [8], [12]]


@pytest.mark.parametrize("units", [3, -1])
def test_more_than_there_is_is_refused_by_name(units):
    stock = stock_of(2)
    with pytest.raises(Exhausted, match="of and asked for, and the stock has 2"):
        stock.take("and", units)
    with pytest.raises(Exhausted, match="1 units of pair"):
        stock.take("pair", 1)
    assert stock.left("and") == 2


def test_a_burnt_stock_gives_nothing_and_holds_zeros():
    stock = stock_of(2)
    held = stock.lots["and"].arrays[0]
    stock.burn()
    assert not held.any()
    assert stock.left("and") == 0
    with pytest.raises(Exhausted, match="burnt"):
        stock.take("and", 1)
    with pytest.raises(Exhausted, match="burnt"):
        stock.put("and", (np.zeros((3, 1), np.uint64),))


def test_a_stock_is_refused_to_another_party_set_or_epoch(seats):
    stock = stock_of(1)
    stock.check("a", ("a", "b"), "one")
    for me, parties, epoch in (
        ("b", ("a", "b"), "one"),
        ("a", ("a", "c"), "one"),
        ("a", ("a", "b"), "two"),
    ):
        with pytest.raises(Foreign, match="cannot be used by"):
            stock.check(me, parties, epoch)
    with pytest.raises(Foreign):
        seats(3, "foreign")["a"].using(stock)
    with pytest.raises(Foreign):
        seats(2, "foreign")["b"].using(stock)


def test_a_fork_and_a_subgroup_have_no_stock(connected):
    seat = connected(2)["a"].using(stock_of(1))
    assert seat.fork("child").stock is None
    assert seat.among(("a", "b")).stock is None


def test_protocols_that_go_together_draw_from_allotments(connected, shares):
    needs = {"first": and_triples_needs(64), "second": ring_triples_needs(RING, (2,))}
    seats = supplied(connected(2), needs["first"] + needs["second"])
    trace = Trace()

    def both(seat):
        parts = seat.stock.allot(needs)
        return together(
            {
                "first": and_triples(seat.fork("first").using(parts["first"]), 64),
                "second": ring_triples(seat.fork("second").using(parts["second"]), RING, (2,)),
            }
        )

    found = play({p: both(s) for p, s in seats.items()}, trace)
    assert trace.said == []
    a, b, c = (
        shares.join(RING, {p: getattr(t["second"], x) for p, t in found.items()}) for x in "abc"
    )
    assert np.array_equal(a * b, c)


def test_an_allotment_beyond_the_stock_takes_nothing():
    stock = stock_of(2)
    with pytest.raises(Exhausted, match="3 units of and needed, the stock has 2"):
        stock.allot({"x": Needs({"and": 2}), "y": Needs({"and": 1})})
    assert stock.left("and") == 2


def test_arrays_hand_a_stock_over_and_make_it_again():
    stock = stock_of(5)
    stock.put("dabit64", (np.ones((1, 2, 64), np.uint64), np.ones((1, 2), np.uint64)))
    stock.take("and", 1)
    arrays = stock.arrays()
    with pytest.raises(Exhausted):
        stock.take("and", 1)
    again = Stock.from_arrays("a", ("a", "b"), "one", arrays)
    assert (again.left("and"), again.left("dabit64")) == (4, 2)
    assert again.take("and", 1)[0].tolist() == [[2], [7], [12]]


@pytest.mark.parametrize(
    "arrays",
    [
        {"and.0": np.zeros((2, 1), np.uint64)},
        {"and.0": np.zeros((3, 1), np.int64)},
        {"and.0": np.zeros(3, np.uint64)},
        {"and.1": np.zeros((3, 1), np.uint64)},
        {"dabit64.0": np.zeros((1, 2, 64), np.uint64)},
        {"dabit64.0": np.zeros((1, 2, 64), np.uint64), "dabit64.1": np.zeros((1, 1), np.uint64)},
        {"other.0": np.zeros((3, 1), np.uint64)},
    ],
)
def test_arrays_that_are_no_stock_are_refused(arrays):
    with pytest.raises(Foreign):
        Stock.from_arrays("a", ("a", "b"), "one", arrays)


def test_units_that_are_added_go_behind_those_that_are_left():
    stock = stock_of(2)
    stock.take("and", 1)
    stock.put("and", (np.full((3, 1), 9, np.uint64),))
    assert stock.take("and", 2)[0].tolist() == [[2, 9], [4, 9], [6, 9]]


def test_a_stock_does_not_show():
    assert repr(stock_of(2)) == "Stock(a among 2, and: 2, <redacted>)"


def test_needs_add_up_and_leave_out_what_is_none():
    one, two = Needs({"pair": 2, "and": 1, "cross": 0}), Needs({"and": 4})
    assert (one + two).counts == {"and": 5, "pair": 2}
    assert one.times(3).counts == {"and": 3, "pair": 6}
    assert one == Needs({"and": 1, "pair": 2})
    assert Needs({}).bytes(3) == 0


@pytest.mark.parametrize(
    "kind", ["", "ands", "product", "product32", "edabit64", "edabit64/0", "edabit64/65",
             "edabit128/129", "truncate64/63", "truncate128/127", "dabit64/3", "and/1"]
)  # fmt: skip
def test_what_is_no_kind_cannot_be_needed(kind):
    with pytest.raises(ValueError, match="no kind of correlation"):
        Needs({kind: 1})


def test_a_negative_number_of_units_cannot_be_needed():
    with pytest.raises(ValueError, match="-1 units of and"):
        Needs({"and": -1})


def test_seconds_are_those_of_the_rates():
    needs = Needs({"and": 10, "edabit64/20": 3, "truncate64/7": 2})
    rates = {"and": 1.0, "edabit64": 0.5, "truncate64": 4.0}
    assert needs.seconds(rates, 3) == pytest.approx((10 + 3 * 20 * 0.5 + 8) * 2)
    with pytest.raises(KeyError):
        needs.seconds({"and": 1.0}, 2)


def test_a_unit_of_each_kind_has_its_words():
    words = {"and": 3, "pair": 5, "cross": 4, "product128": 6, "edabit64/20": 84, "dabit64": 65}
    assert {name: Kind.parse(name).unit_words for name in words} == words
