"""The rules of bounds and errors, and refusals before anything is sent."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.numbers.fixed import (
    SCALE_MAX,
    Fixed,
    Form,
    Program,
    Unfit,
    add,
    divided,
    fitting,
    plus_public,
    scaled,
    shown,
    sub,
    times_constant,
)
from protocols.ring import Ring

NARROW, WIDE = Ring(1), Ring(2)


def test_the_smaller_ring_that_holds_a_number_is_taken():
    assert fitting("age", 30, Fraction(2**31)).ring == NARROW
    assert fitting("age", 30, Fraction(2**32)).ring == WIDE
    with pytest.raises(Unfit, match="age can be as large as"):
        fitting("age", 30, Fraction(2**100))


def test_a_scale_past_its_limit_is_refused():
    assert fitting("x", SCALE_MAX, Fraction(1)).ring == WIDE
    with pytest.raises(Unfit, match="fraction bits; 0 to 100"):
        fitting("x", SCALE_MAX + 1, Fraction(1))


def test_a_refusal_names_the_number_its_bound_the_ring_and_what_would_fit():
    with pytest.raises(Unfit) as caught:
        Form("weight times height", NARROW, 60, Fraction(100))
    sentence = str(caught.value)
    for words in (
        "weight times height",
        "100",
        "60 fraction bits",
        "the 64 of its ring",
        "56 fraction bits instead of 60",
        "a bound of 7.99",
        "the 128-bit ring",
    ):
        assert words in sentence


@pytest.mark.parametrize("bound", [Fraction(2**33), Fraction(2**33) - Fraction(1, 2**30)])
def test_the_largest_number_fits_and_one_unit_more_does_not(bound):
    if bound == 2**33:
        with pytest.raises(Unfit):
            Form("x", NARROW, 30, bound)
    else:
        assert Form("x", NARROW, 30, bound).bits == 63


def test_a_sum_of_a_whole_column_is_refused_where_its_total_does_not_fit():
    one = Form("income", NARROW, 30, Fraction(1000))
    assert one.total(2**23).bits <= 63
    with pytest.raises(Unfit, match="income"):
        one.total(2**24)


def test_division_by_a_public_integer_is_exact_and_carried(secret, opened):
    form = fitting("total", 10, Fraction(100))
    x, held = secret(form, [Fraction(7), Fraction(-1, 3)], 2)
    found = {p: divided(one, 3) for p, one in x.items()}
    assert opened(found) == [h / 3 for h in held]
    assert found["a"].form.error == 0
    with pytest.raises(ValueError, match="cannot be divided by 0"):
        divided(x["a"], 0)


def test_unlike_units_do_not_add_up():
    x = Fixed(NARROW.zeros((1,)), Form("x", NARROW, 10, Fraction(1)))
    y = Fixed(NARROW.zeros((1,)), Form("y", NARROW, 11, Fraction(1)))
    for wrong in (add, sub):
        with pytest.raises(ValueError, match="x and y have other rings, scales or divisors"):
            wrong(x, y)
    wide = Form("z", WIDE, 10, Fraction(1))
    with pytest.raises(ValueError, match="different rings"):
        x.form.times(wide)


NUMBER = st.fractions(min_value=-8, max_value=8, max_denominator=1000)
SMALL = st.fractions(min_value=0, max_value=Fraction(1, 100), max_denominator=10**6)


@settings(max_examples=100, deadline=None)
@given(NUMBER, NUMBER, SMALL, SMALL, st.integers(-5, 5), NUMBER)
def test_no_error_is_larger_than_its_rule_says(x, y, e_x, e_y, factor, constant):
    """The worst corners: true values, and held ones at the ends of their errors."""
    left = Form("x", WIDE, 40, abs(x), e_x)
    right = Form("y", WIDE, 40, abs(y), e_y)
    rule = times_constant(Fixed(WIDE.zeros((1,)), left), constant, 20).form
    near = Fraction(round(constant * 2**20), 2**20)
    for a in (x - e_x, x + e_x):
        assert abs(factor * a - factor * x) <= left.integer(factor).error
        assert abs(near * a - constant * x) <= rule.error + Fraction(abs(a), 2**20)
        for b in (y - e_y, y + e_y):
            assert abs(a * b - x * y) <= left.times(right).error
            assert abs((a + b) - (x + y)) <= left.plus(right).error


def test_local_operations_are_those_of_the_numbers(secret, opened):
    form = fitting("x", 20, Fraction(50))
    x, held = secret(form, [Fraction(3, 2), Fraction(-7, 3), 0], 3)
    y, other = secret(form, [1, -1, Fraction(1, 7)], 3)
    assert opened({p: add(x[p], y[p]) for p in x}) == [
        a + b for a, b in zip(held, other, strict=True)
    ]
    assert opened({p: sub(x[p], y[p]) for p in x}) == [
        a - b for a, b in zip(held, other, strict=True)
    ]
    assert opened({p: scaled(x[p], -3) for p in x}) == [-3 * a for a in held]
    places = {p: k for k, p in enumerate(sorted(x))}
    moved = {p: plus_public(places[p], x[p], Fraction(1, 3)) for p in x}
    for value, a in zip(opened(moved), held, strict=True):
        assert abs(value - a - Fraction(1, 3)) <= moved["a"].form.error
    times = {p: times_constant(x[p], Fraction(1, 3), 12) for p in x}
    for value, a in zip(opened(times), held, strict=True):
        assert abs(value - a / 3) <= times["a"].form.error


def test_a_program_is_checked_and_reported_on_forms_alone():
    program = Program()
    x = program.take("income", fitting("income", 30, Fraction(1)))
    square = program.take("square", x.times(x).settled(30))
    program.take("mean square", square.total(10).over(10))
    assert program.report().splitlines()[-1] == (
        "mean square: at most 1, error at most 9.32e-10, 30 fraction bits over 10 in Z_2^64"
    )
    with pytest.raises(Unfit, match="square"):
        square.times(square).times(square)


@pytest.mark.parametrize("value", [Fraction(1, 3), Fraction(999999, 1000), Fraction(1, 2**30)])
def test_a_bound_is_shown_rounded_up(value):
    assert value <= Fraction(shown(value)) <= value * Fraction(102, 100)


def test_no_repr_shows_a_share():
    share = Fixed(np.full((1, 1), 987654321, np.uint64), fitting("x", 3, Fraction(1)))
    assert "987654321" not in repr(share)
    assert "redacted" in repr(share)


def test_a_number_whose_error_alone_fills_its_ring_is_refused_with_what_would_fit():
    with pytest.raises(Unfit, match=r"income .* what would fit: a smaller error"):
        Form("income", Ring(2), 0, Fraction(1), Fraction(2**128))


def test_what_is_no_form_is_refused_with_its_figures():
    with pytest.raises(ValueError, match="income has -1 fraction bits"):
        Form("income", Ring(1), -1, Fraction(1))
