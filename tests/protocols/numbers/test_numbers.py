"""Rounds, messages and views of the numbers' protocols, and what they draw."""

from fractions import Fraction

import numpy as np
import pytest

from protocols.abort import Suspected
from protocols.numbers import division, exponential, logarithm, normal, products, root, solve
from protocols.numbers.counting import SAMPLE, counted
from protocols.numbers.fixed import Fixed, Form, Program
from protocols.numbers.polynomial import Polynomial, chebyshev_at, interpolated
from protocols.party import Trace, play
from protocols.ring import Ring

NARROW = Ring(1)
X, D = (Form(name, NARROW, 30, Fraction(1)) for name in "xd")
LEAST = Fraction(1, 16)


def zeros(form, count, *shape):
    return Fixed(form.ring.zeros((count, *shape)), form)


def both(seat, count):
    return division.divide(seat, zeros(X, count), zeros(D, count), LEAST, Fraction(1), 30)


def exponentials(seat, count):
    return exponential.exponential(seat, zeros(X, count), Fraction(1), 30)


def systems(seat, count):
    a, b = zeros(SYSTEM, count, 2, 2), zeros(SYSTEM, count, 2, 1)
    return solve.solve(seat, a, b, Fraction(1, 2), Fraction(2))


SYSTEM = Form("a", NARROW, 20, Fraction(1))
MAKERS = {
    "truncation": (products, lambda s, m: products.truncate_exactly(s, zeros(X, m), 20)),
    "division": (division, both),
    "root": (root, lambda s, m: root.inverse_root(s, zeros(D, m), LEAST, 30)),
    "logarithm": (logarithm, lambda s, m: logarithm.logarithm(s, zeros(D, m), LEAST)),
    "exponential": (exponential, exponentials),
    "sigmoid": (exponential, lambda s, m: exponential.sigmoid(s, zeros(X, m))),
    "solve": (solve, systems),
}


def last(name):
    return name.rsplit("/", 1)[-1]


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_what_is_said_was_declared(dealt, seats, name):
    module, make = MAKERS[name]
    trace = Trace()
    play({p: make(s, 3) for p, s in dealt(seats(3, name)).items()}, trace)
    assert {last(said) for _, _, said, _ in trace.said} <= {says.name for says in module.ROUNDS}


ONLINE_ROUNDS = {"division": 22, "root": 24, "logarithm": 20, "exponential": 19, "sigmoid": 29}


@pytest.mark.parametrize("name", sorted(ONLINE_ROUNDS))
def test_rounds_do_not_grow_with_the_numbers(online, secret, name):
    _, make = MAKERS[name]
    for count in (1, 100):
        x, _ = secret(X, [Fraction(1, 2)] * count, 2)
        trace = Trace()
        online({p: (one,) for p, one in x.items()}, lambda s, a: make(s, len(a.elements)), trace)
        assert trace.rounds == 2 * ONLINE_ROUNDS[name]


@pytest.mark.parametrize("count", [1, 64, 65, 200])
def test_needs_grow_as_the_numbers_do(count):
    needs = counted(2, count, both).counts
    sample = counted(2, SAMPLE, both).counts
    assert needs["product64"] == count * sample["product64"] // SAMPLE == 8 * count
    assert sum(units for kind, units in needs.items() if kind.startswith("trunc")) == 7 * count


TWO, HALF = Fraction(2), Fraction(1, 2)
NEEDS = {
    "truncation": (
        lambda n, m: products.truncate_needs(n, m, X, 20),
        lambda s, x: products.truncate(s, x, 20),
    ),
    "exact truncation": (
        lambda n, m: products.truncate_exactly_needs(n, m, X, 20),
        lambda s, x: products.truncate_exactly(s, x, 20),
    ),
    "product": (
        lambda n, m: products.product_needs(n, m, X, X, 30),
        lambda s, x: products.product(s, x, x, 30),
    ),
    "division": (
        lambda n, m: division.divide_needs(n, m, X, X, LEAST, TWO, 30),
        lambda s, x: division.divide(s, x, x, LEAST, TWO, 30),
    ),
    "reciprocal": (
        lambda n, m: division.reciprocal_needs(n, m, X, LEAST, 30),
        lambda s, x: division.reciprocal(s, x, LEAST, 30),
    ),
    "root": (
        lambda n, m: root.square_root_needs(n, m, X, LEAST, 30),
        lambda s, x: root.square_root(s, x, LEAST, 30),
    ),
    "inverse root": (
        lambda n, m: root.inverse_root_needs(n, m, X, LEAST, 30),
        lambda s, x: root.inverse_root(s, x, LEAST, 30),
    ),
    "logarithm": (
        lambda n, m: logarithm.logarithm_needs(n, m, X, LEAST),
        lambda s, x: logarithm.logarithm(s, x, LEAST),
    ),
    "exponential": (
        lambda n, m: exponential.exponential_needs(n, m, X, Fraction(1), 30),
        lambda s, x: exponential.exponential(s, x, Fraction(1), 30),
    ),
    "sigmoid": (
        lambda n, m: exponential.sigmoid_needs(n, m, X),
        exponential.sigmoid,
    ),
}


@pytest.mark.parametrize("count", [1, 65])
@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("name", sorted(NEEDS))
def test_what_is_needed_is_what_is_drawn(online, secret, name, parties, count):
    needs, make = NEEDS[name]
    x, _ = secret(X, [HALF] * count, parties)
    one = {p: (each,) for p, each in x.items()}
    found = online(one, make, needs=needs(parties, count))
    assert len(found) == parties


def test_what_systems_need_is_what_they_draw(online, shares):
    needs = solve.solve_needs(2, 3, SYSTEM, SYSTEM, (2, 1), HALF, TWO)
    ring = SYSTEM.ring
    eye = ring.from_ints([1 << 20, 0, 0, 1 << 20] * 3).reshape(3, 2, 2, 1)
    sides = ring.from_ints([1 << 20, 1 << 19] * 3).reshape(3, 2, 1, 1)
    a, b = (shares.split(ring, whole, 2) for whole in (eye, sides))
    inputs = {p: (Fixed(a[p], SYSTEM), Fixed(b[p], SYSTEM)) for p in a}
    found = online(inputs, lambda s, x, y: solve.solve(s, x, y, HALF, TWO), needs=needs)
    assert {one.value.shape for one in found.values()} == {(3, 2, 1)}


@pytest.mark.parametrize("parties", [2, 3])
def test_without_a_stock_correlations_are_made_on_the_way(dealt, seats, secret, opened, parties):
    x, a = secret(X, [HALF, Fraction(-1, 3)], parties)
    d, b = secret(D, [Fraction(2, 3), Fraction(1, 7)], parties)
    table = dealt(seats(parties, "fresh"))
    found = play(
        {p: division.divide(s, x[p], d[p], LEAST, Fraction(4), 30) for p, s in table.items()}
    )
    form = found["a"].value.form
    for value, p, q in zip(opened({k: v.value for k, v in found.items()}), a, b, strict=True):
        assert abs(value - p / q) <= form.error


def test_a_program_adds_up_what_its_steps_draw():
    program = Program()
    quotient = division.quotient_form(X, D, LEAST, TWO, 30)
    needs = division.divide_needs(2, 100, X, D, LEAST, TWO, 30)
    ratio = program.take("ratio", quotient, needs)
    program.take("its square", products.product_form(ratio, ratio, 30)[0])
    program.take(
        "its root",
        root.square_root_form(ratio, HALF, 30),
        root.square_root_needs(2, 100, ratio, HALF, 30),
    )
    assert program.needs.counts["product64"] == needs.counts["product64"] + 600
    assert program.report().splitlines()[2].startswith("its root: at most 1.415, error")


@pytest.mark.parametrize("honest", ["a", "b"])
def test_what_opens_in_a_division_is_uniform_whatever_is_divided(online, secret, honest):
    """Online, from dealt stocks: each bit heard is 1 as often, for two inputs."""
    totals = []
    needs = division.divide_needs(2, 2, X, D, LEAST, Fraction(2), 30)
    for number, value in enumerate((Fraction(1, 2), Fraction(7, 8))):
        total = 0
        for _ in range(40):
            x, _ = secret(X, [value] * 2, 2)
            d, _ = secret(D, [1 - value / 2] * 2, 2)
            trace = Trace()
            online(
                {p: (x[p], d[p]) for p in x},
                lambda s, a, b: division.divide(s, a, b, LEAST, Fraction(2), 30),
                trace,
                needs,
            )
            heard = [v for _, _, v in trace.heard_by(tuple(p for p in x if p != honest))]
            octets = [np.ascontiguousarray(v).view(np.uint8).reshape(-1) for v in heard]
            total = total + np.unpackbits(np.concatenate(octets)).astype(np.int64)
        totals.append(total)
        assert number or len(total) > 1000
    assert np.abs(totals[0] - totals[1]).max() / np.sqrt(40 / 2) < 6


@pytest.mark.parametrize("name", ["division", "sigmoid"])
@pytest.mark.parametrize("damage", [lambda v: v[:-1], lambda v: v.astype(np.uint32)])
def test_a_message_of_another_shape_or_type_names_its_sender(dealt, seats, name, damage):
    _, make = MAKERS[name]
    table = dealt(seats(2, name))

    def tamper(sender, _receiver, said, value):
        return damage(value) if sender == "b" and last(said) == "elements" else value

    with pytest.raises(Suspected) as caught:
        play({p: make(s, 2) for p, s in table.items()}, tamper=tamper)
    assert caught.value.party == "b"


def test_no_function_shows_a_share():
    share = Fixed(np.full((1, 1), 987654321, np.uint64), X)
    places = normal.Places(share.elements, share.elements[0])
    for shown in (repr(division.Quotient(share, share.elements[0])), repr(places)):
        assert "987654321" not in shown
        assert "redacted" in shown


def test_an_interpolation_is_as_close_as_it_says():
    polynomial = interpolated(lambda u: 4 / (u + 3), 12, 4, 2 / chebyshev_at(13, Fraction(3)))
    assert isinstance(polynomial, Polynomial)
    for k in range(-50, 51):
        u = Fraction(k, 50)
        value = sum(c * u**n for n, c in enumerate(polynomial.coefficients))
        assert abs(value - 4 / (u + 3)) <= polynomial.error * Fraction(101, 100)
    assert chebyshev_at(3, Fraction(3)) == 99
