"""Rounds, messages and views of the numbers' protocols, and what they draw."""

from fractions import Fraction

import numpy as np
import pytest

from protocols.abort import Suspected
from protocols.numbers import division, exponential, logarithm, normal, products, root, solve
from protocols.numbers.counting import SAMPLE, counted
from protocols.numbers.fixed import Fixed, Form
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


@pytest.mark.parametrize("honest", ["a", "b"])
def test_what_opens_in_a_division_is_uniform_whatever_is_divided(online, secret, honest):
    """Online, from dealt stocks: each bit heard is 1 as often, for two inputs."""
    totals = []
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
