"""Functions of numbers on shares: the stated error is never less than the true one."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from protocols.numbers.division import divide, quotient_form, reciprocal, reciprocal_form
from protocols.numbers.exponential import (
    EXPONENT_MAX,
    exponential,
    exponential_form,
    one_hot,
    sigmoid,
    sigmoid_form,
)
from protocols.numbers.fixed import Form, Unfit, fitting
from protocols.numbers.logarithm import logarithm, logarithm_form
from protocols.numbers.normal import DIGITS_MAX, extent
from protocols.numbers.products import (
    inner_product,
    product,
    product_form,
    truncate,
    truncate_exactly,
)
from protocols.numbers.root import (
    inverse_root,
    inverse_root_form,
    square_root,
    square_root_form,
)
from protocols.party import play
from protocols.ring import Ring

ALL_COUNTS = range(2, 11)
NARROW, WIDE = Ring(1), Ring(2)
AIM = Fraction(1, 10**8)
LEAST = Fraction(1, 1024)
TINY = Fraction(1, 2**30)


def precisely(function, value):
    """An exact function's value, to 40 digits."""
    with localcontext(prec=60):
        number = Decimal(value.numerator) / value.denominator
        return Fraction(getattr(number, function)())


def near(found, wanted, form):
    """Within the stated bound, the bound of the value and, relatively, the aim."""
    for value, true in zip(found, wanted, strict=True):
        assert abs(value - true) <= form.error
        assert abs(value - true) <= AIM * max(1, abs(true))
        assert abs(true) <= form.bound


# ---- truncation and products ---------------------------------------------------------------------


@pytest.mark.parametrize("ring", [NARROW, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("count", ALL_COUNTS)
def test_truncation_is_the_floor_or_one_unit_more(online, secret, opened, ring, count):
    largest = 2 ** (ring.bits - 2) - 1
    form = Form("x", ring, 30, Fraction(largest, 2**30))
    whole = [0, 1, -1, 2**29, 2**30 - 1, -(2**30), largest, -largest, 2**30, 12345678901234567]
    x, held = secret(form, [h * form.ulp for h in whole], count)
    found = opened(online({p: (one,) for p, one in x.items()}, lambda s, a: truncate(s, a, 30)))
    for value, h in zip(found, held, strict=True):
        assert value - (h // 1) in (0, 1)
    multiples = [v for v, h in zip(found, held, strict=True) if h.denominator == 1]
    assert multiples == [h for h in held if h.denominator == 1]


@pytest.mark.parametrize("count", [2, 3, 10])
def test_exact_truncation_is_the_floor(dealt, seats, secret, opened, count):
    form = Form("x", NARROW, 20, Fraction(2**40))
    whole = [0, 1, -1, 2**20 - 1, -(2**20), -(2**20) - 1, 2**60 - 1, 1 - 2**60] * 4
    x, held = secret(form, [h * form.ulp for h in whole], count)
    table = dealt(seats(count, "exactly"))
    found = play({p: truncate_exactly(s, x[p], 20) for p, s in table.items()})
    assert opened(found) == [h // 1 for h in held]


def test_a_truncation_without_room_for_its_mask_is_refused_unsent(connected, secret):
    x, _ = secret(Form("gap", NARROW, 30, Fraction(2**32)), [1], 2)
    with pytest.raises(Unfit, match="gap can be as large as"):
        next(truncate(connected(2)["a"], x["a"], 10))
    with pytest.raises(ValueError, match="31 cannot go"):
        next(truncate(connected(2)["a"], x["a"], 31))


@pytest.mark.parametrize(
    ("ring", "left", "right"),
    [(NARROW, 1, 1), (NARROW, 1000, 1000), (NARROW, 2**14, 4), (WIDE, 2**20, 2**10)],
)
def test_products_stay_within_their_error_even_where_a_factor_is_split(
    online, secret, opened, ring, left, right
):
    forms = [Form(n, ring, 30, Fraction(b)) for n, b in (("x", left), ("y", right))]
    ends = [(1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (Fraction(1, 3), Fraction(-2, 7))]
    x, a = secret(forms[0], [left * e for e, _ in ends], 2)
    y, b = secret(forms[1], [right * e for _, e in ends], 2)
    both = {p: (x[p], y[p]) for p in x}
    found = online(both, lambda s, a, b: product(s, a, b, 30))
    form = found["a"].form
    assert form.error <= 3 * TINY
    for value, p, q in zip(opened(found), a, b, strict=True):
        assert abs(value - p * q) <= form.error


def test_a_product_that_fits_in_no_way_is_refused_with_what_would_fit():
    x = Form("income", NARROW, 30, Fraction(2**20))
    with pytest.raises(Unfit, match="income"):
        product_form(x, x, 30)


def test_a_factor_that_has_no_room_to_be_split_is_refused():
    x, y = Form("x", NARROW, 5, Fraction(31)), Form("y", NARROW, 60, Fraction(79, 10))
    with pytest.raises(Unfit, match=r"y can be as large as 7\.9, which takes 65 bits"):
        product_form(x, y, 20)
    form, cut = product_form(x, y.within(Fraction(3)), 20)
    assert cut
    assert form.error < Fraction(1, 2**19)


def test_more_bits_than_a_truncation_takes_go_in_two_or_are_refused(online, secret, opened):
    fine = Form("x", NARROW, 80, Fraction(1, 2**40))
    with pytest.raises(Unfit, match="would lose 63 bits at once"):
        fine.truncated(63)
    assert fine.truncated(62).scale == 18
    y = Form("y", NARROW, 10, Fraction(8))
    x, x_held = secret(fine, [fine.bound, -fine.bound, 0], 2)
    factor, held = secret(y, [8, 8, -8], 2)
    found = online({p: (x[p], factor[p]) for p in x}, lambda s, a, b: product(s, a, b, 10))
    form = next(iter(found.values())).form
    for got, a, b in zip(opened(found), x_held, held, strict=True):
        assert abs(got - a * b) <= form.error
    with pytest.raises(Unfit, match="even in two parts"):
        product_form(fine, Form("y", NARROW, 60, Fraction(1, 2**58)), 0)


@pytest.mark.parametrize("count", [2, 5])
def test_a_sum_of_products_is_truncated_once(dealt, seats, secret, opened, count):
    form = Form("x", NARROW, 20, Fraction(100))
    x, a = secret(form, [Fraction(k * 17 % 200 - 100, 3) % 100 for k in range(50)], count)
    table = dealt(seats(count, "inner"))
    found = play({p: inner_product(s, x[p], x[p], 20) for p, s in table.items()})
    assert found["a"].form.error == Fraction(1, 2**20)
    assert (
        abs(
            opened({p: f.__class__(f.elements[None], f.form) for p, f in found.items()})[0]
            - sum(v * v for v in a)
        )
        <= found["a"].form.error
    )


# ---- division ------------------------------------------------------------------------------------


def spread(count, low, high, seed):
    """Numbers spread evenly over the powers of two, and their ends."""
    rng = np.random.default_rng(seed)
    return [Fraction(float(v)) for v in 2.0 ** rng.uniform(low, high, count)]


DIVISORS = [LEAST, LEAST + TINY, 1, 2, 4, 2 - TINY, 1 - TINY, 1 + TINY, 3, 1000, 1024]


@pytest.mark.parametrize("count", ALL_COUNTS)
def test_quotients_by_every_number_of_parties(online, secret, opened, sound_bits, count):
    values = [*DIVISORS, 0, -TINY, -5, LEAST - TINY, TINY, -1024]
    tops = [Fraction((-1) ** k * (k + 1), 3) for k in range(len(values))]
    d, below = secret(fitting("d", 30, Fraction(1024)), values, count)
    x, above = secret(fitting("x", 30, Fraction(8)), tops, count)
    bound = Fraction(8 * 1024)
    both = {p: (x[p], d[p]) for p in x}
    found = online(both, lambda s, a, b: divide(s, a, b, LEAST, bound, 30))
    sound = [int(v >= LEAST) for v in below]
    assert sound_bits(found) == sound
    value = opened({p: q.value for p, q in found.items()})
    assert [v for v, good in zip(value, sound, strict=True) if not good] == [0] * 6
    wanted = [a / b for a, b, good in zip(above, below, sound, strict=True) if good]
    near([v for v, good in zip(value, sound, strict=True) if good], wanted, found["a"].value.form)


@pytest.mark.parametrize(
    ("form", "low", "bound"),
    [
        (fitting("d", 30, Fraction(1)), -12, 1),
        (fitting("d", 30, Fraction(2**20)), -4, 3),
        (fitting("d", 20, Fraction(2**20)), -3, 64),
        (Form("d", WIDE, 30, Fraction(2**20)), -10, 2**10),
    ],
)
def test_quotients_of_many_sizes(online, secret, opened, form, low, bound):
    high = form.bound.numerator.bit_length() - 1
    d, below = secret(form, spread(200, low, high, 5), 2)
    tops = [b * f for b, f in zip(below, np.linspace(-bound, bound, 200).tolist(), strict=True)]
    tops = [Fraction(min(max(t, -1000), 1000)) for t in tops]
    x, above = secret(Form("x", form.ring, 30, Fraction(1000)), tops, 2)
    least = Fraction(2) ** low / 2
    limit = Fraction(bound) + Fraction(1, 100)
    both = {p: (x[p], d[p]) for p in x}
    found = online(both, lambda s, a, b: divide(s, a, b, least, limit, 30))
    wanted = [a / b for a, b in zip(above, below, strict=True)]
    near(opened({p: q.value for p, q in found.items()}), wanted, found["a"].value.form)


def test_reciprocals(online, secret, opened, sound_bits):
    values = [*spread(100, -9.9, 9.9, 6), *DIVISORS, 0, -1]
    d, held = secret(fitting("d", 30, Fraction(1024)), values, 2)
    found = online({p: (one,) for p, one in d.items()}, lambda s, a: reciprocal(s, a, LEAST, 30))
    assert sound_bits(found) == [1] * (len(values) - 2) + [0, 0]
    value = opened({p: q.value for p, q in found.items()})
    assert value[-2:] == [0, 0]
    near(value[:-2], [1 / h for h in held[:-2]], found["a"].value.form)


def test_errors_of_what_is_divided_are_in_the_stated_bound(online, secret, opened):
    """Held numbers at the ends of their errors."""
    error = Fraction(1, 2**20)
    d_form, x_form = (Form(n, NARROW, 30, Fraction(4), error) for n in "dx")
    true = [
        (Fraction(1), Fraction(1, 2)),
        (Fraction(-1), Fraction(1, 2)),
        (Fraction(2), Fraction(4)),
    ]
    moves = [(a, b) for a in (-error, error) for b in (-error, error)]
    x, _ = secret(x_form, [t + m for t, _ in true for m, _ in moves], 2)
    d, _ = secret(d_form, [t + m for _, t in true for _, m in moves], 2)
    both = {p: (x[p], d[p]) for p in x}
    found = online(both, lambda s, a, b: divide(s, a, b, Fraction(1, 4), Fraction(8), 30))
    wanted = [t / b for t, b in true for _ in moves]
    gaps = [
        abs(v - w)
        for v, w in zip(opened({p: q.value for p, q in found.items()}), wanted, strict=True)
    ]
    assert max(gaps) <= found["a"].value.form.error
    assert max(gaps) >= error


UNIT = Form("x", NARROW, 30, Fraction(1))
SMALL = Form("d", NARROW, 30, Fraction(1))
LARGE = Form("d", NARROW, 30, Fraction(2**30))
ROUGH = Form("d", NARROW, 30, Fraction(1), LEAST)
LONG = Form("d", WIDE, 30, Fraction(2 ** (DIGITS_MAX - 29)))
ONE, TWO = Fraction(1), Fraction(2)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: quotient_form(UNIT, SMALL, TWO, ONE, 30), "d is at most 1"),
        (lambda: quotient_form(UNIT, LARGE, LEAST, Fraction(2**12), 30), "x over d"),
        (lambda: quotient_form(UNIT, ROUGH, LEAST, ONE, 30), "d has an error as large"),
        (lambda: reciprocal_form(SMALL, Fraction(0), 30), "least value"),
        (lambda: reciprocal_form(SMALL, TINY, 40), "fraction bits"),
        (lambda: extent(LONG, ONE), "decomposed"),
        (lambda: extent(Form("d", WIDE, 0, Fraction(2**100)), ONE), "would fit: a bound of 4.61"),
        (lambda: extent(UNIT, TWO), "would fit: a least value from 9.31323e-10 to 1"),
        (lambda: quotient_form(UNIT, ROUGH, LEAST, ONE, 30), "what would fit: a least value of"),
        (lambda: quotient_form(UNIT, SMALL, LEAST, ONE, -1), "x over d has -1 fraction bits"),
        (lambda: quotient_form(UNIT, SMALL, LEAST, ONE, 70), "instead of 70"),
        (lambda: square_root_form(ROUGH, LEAST, 30), "error as large"),
        (lambda: inverse_root_form(SMALL, Fraction(0), 30), "least value"),
        (lambda: logarithm_form(SMALL, TWO), "least value"),
        (lambda: exponential_form(fitting("x", 30, Fraction(30)), Fraction(30), 30), "x"),
        (lambda: exponential_form(fitting("x", 30, Fraction(99)), EXPONENT_MAX + ONE, 30), "fit"),
        (lambda: sigmoid_form(fitting("x", 30, Fraction(2**31))), "too large"),
    ],
)
def test_what_cannot_fit_is_refused_with_its_name(make, what):
    with pytest.raises(Unfit, match=what):
        make()


def test_a_quotient_whose_guard_bits_have_no_room_goes_without_them(online, secret, opened):
    x, d = Form("x", NARROW, 20, Fraction(1)), Form("d", NARROW, 0, Fraction(1000))
    tops, held = secret(x, [1, Fraction(-1, 1024), -1], 2)
    bottoms, under = secret(d, [1, 1000, 7], 2)
    found = online(
        {p: (tops[p], bottoms[p]) for p in tops}, lambda s, a, b: divide(s, a, b, ONE, ONE, 59)
    )
    values = {p: q.value for p, q in found.items()}
    form = next(iter(values.values())).form
    assert form.scale == 59
    for got, a, b in zip(opened(values), held, under, strict=True):
        assert abs(got - a / b) <= form.error


def test_a_number_carried_over_a_divisor_is_not_decomposed():
    with pytest.raises(ValueError, match="carried over 3"):
        extent(fitting("d", 30, Fraction(1)).over(3), LEAST)


# ---- roots, logarithm ----------------------------------------------------------------------------


FUNCTIONS = {
    "root": (lambda s, d: square_root(s, d, LEAST, 30), lambda h: precisely("sqrt", h)),
    "inverse": (lambda s, d: inverse_root(s, d, LEAST, 30), lambda h: 1 / precisely("sqrt", h)),
    "logarithm": (lambda s, d: logarithm(s, d, LEAST), lambda h: precisely("ln", h)),
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("count", ALL_COUNTS)
def test_roots_and_logarithms(online, secret, opened, sound_bits, name, count):
    protocol, true = FUNCTIONS[name]
    values = [*(spread(150, -9.9, 9.9, 7) if count == 2 else []), *DIVISORS, 0, -1, LEAST - TINY]
    d, held = secret(fitting("d", 30, Fraction(1024)), values, count)
    found = online({p: (one,) for p, one in d.items()}, protocol)
    assert sound_bits(found) == [1] * (len(values) - 3) + [0] * 3
    value = opened({p: q.value for p, q in found.items()})
    assert value[-3:] == [0, 0, 0]
    near(value[:-3], [true(h) for h in held[:-3]], found["a"].value.form)


# ---- exponential, logistic function --------------------------------------------------------------


EXPONENTS = [0, TINY, -TINY, 1, -1, Fraction(693147181, 10**9), Fraction(-693147181, 10**9), 3, -3]


@pytest.mark.parametrize("count", ALL_COUNTS)
def test_exponentials(online, secret, opened, count):
    rng = np.random.default_rng(8)
    many = [Fraction(v) for v in rng.uniform(-40, 3, 150)] if count == 2 else []
    x, held = secret(fitting("x", 30, Fraction(40)), [*many, *EXPONENTS, -40, -21, -22, -23], count)
    one = {p: (each,) for p, each in x.items()}
    found = online(one, lambda s, a: exponential(s, a, Fraction(3), 30))
    near(opened(found), [precisely("exp", h) for h in held], found["a"].form)


@pytest.mark.parametrize("upper", [-22, -35, -40, -100])
def test_exponentials_of_numbers_far_below_zero_are_zero(online, secret, opened, upper):
    form = Form("x", NARROW, 20, Fraction(40))
    x, _ = secret(form, [-40, min(-22, max(upper, -40))], 2)
    found = online(
        {p: (one,) for p, one in x.items()}, lambda s, a: exponential(s, a, Fraction(upper), 30)
    )
    error = next(iter(found.values())).form.error
    assert error <= Fraction(1, 10**8)
    assert max(abs(v) for v in opened(found)) <= error


def test_large_exponentials(online, secret, opened):
    x, held = secret(fitting("x", 30, Fraction(20)), [20, -20, 19, 10, 5, 0], 2)
    one = {p: (each,) for p, each in x.items()}
    found = online(one, lambda s, a: exponential(s, a, Fraction(20), 30))
    near(opened(found), [precisely("exp", h) for h in held], found["a"].form)


@pytest.mark.parametrize("count", ALL_COUNTS)
def test_the_logistic_function(online, secret, opened, count):
    rng = np.random.default_rng(9)
    many = [Fraction(v) for v in rng.uniform(-40, 40, 150)] if count == 2 else []
    x, held = secret(fitting("x", 30, Fraction(40)), [*many, *EXPONENTS, 40, -40, 22, -23], count)
    found = online({p: (one,) for p, one in x.items()}, sigmoid)
    near(opened(found), [1 / (1 + precisely("exp", -h)) for h in held], found["a"].form)


def test_the_logistic_function_of_small_numbers_at_another_scale(online, secret, opened):
    x, held = secret(fitting("x", 10, Fraction(1)), [0, 1, -1, Fraction(1, 1024)], 3)
    found = online({p: (one,) for p, one in x.items()}, sigmoid)
    near(opened(found), [1 / (1 + precisely("exp", -h)) for h in held], found["a"].form)


@pytest.mark.parametrize("width", [1, 2, 5, 7])
def test_one_row_tells_each_wanted_value(connected, shares, width):
    values = np.arange(1 << width)
    bits = ((values >> np.arange(width)[:, None]) & 1).astype(np.uint64)
    words = np.zeros((width, -(-len(values) // 64)), np.uint64)
    for row in range(width):
        for place, bit in enumerate(bits[row]):
            words[row, place // 64] |= bit << np.uint64(place % 64)
    mask = shares.rng.integers(0, 2**64, words.shape, dtype=np.uint64)
    split = {"a": mask, "b": words ^ mask}
    wanted = sorted({0, 1, len(values) - 1, len(values) // 2})
    found = play({p: one_hot(s, split[p], wanted) for p, s in connected(2).items()})
    whole = found["a"] ^ found["b"]
    for row, value in enumerate(wanted):
        assert int(whole[row, value // 64]) >> (value % 64) & 1
        assert sum(int(w).bit_count() for w in whole[row]) == 1 or len(values) < 64
