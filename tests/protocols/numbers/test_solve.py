"""Small systems on shares, against exact elimination in fractions."""

from fractions import Fraction

import numpy as np
import pytest

from protocols.numbers.fixed import Fixed, Form, Unfit
from protocols.numbers.solve import ORDER_MAX, solve, solve_form
from protocols.ring import Ring

NARROW, WIDE = Ring(1), Ring(2)


def gram(rng, order, rows=60):
    """A correlation matrix of some columns that hang together."""
    columns = rng.normal(size=(rows, order)) + rng.normal(size=(rows, 1)) / 2
    columns /= np.sqrt((columns**2).sum(axis=0))
    return columns.T @ columns


def exactly(matrix, side):
    """Gauss and Jordan in fractions: x with matrix x = side."""
    size = len(matrix)
    rows = [[*matrix[i], *side[i]] for i in range(size)]
    for j in range(size):
        pivot = next(i for i in range(j, size) if rows[i][j])
        rows[j], rows[pivot] = rows[pivot], rows[j]
        rows[j] = [v / rows[j][j] for v in rows[j]]
        for i in range(size):
            if i != j:
                rows[i] = [v - rows[i][j] * w for v, w in zip(rows[i], rows[j], strict=True)]
    return [row[size:] for row in rows]


def split(shares, form, values, count):
    held = [round(Fraction(float(v)) / form.ulp) for v in values.reshape(-1)]
    whole = form.ring.from_ints(held).reshape(*values.shape, form.ring.words)
    parts = shares.split(form.ring, whole, count)
    exact = np.array([h * form.ulp for h in held], dtype=object).reshape(values.shape)
    return {p: Fixed(e, form) for p, e in parts.items()}, exact


def solved(online, shares, opened, matrices, sides, forms, ends, count):
    a, a_held = split(shares, forms[0], matrices, count)
    b, b_held = split(shares, forms[1], sides, count)
    found = online({p: (a[p], b[p]) for p in a}, lambda s, x, y: solve(s, x, y, *ends))
    values = opened({p: q.value for p, q in found.items()})
    x = np.array(values, dtype=object).reshape(sides.shape)
    return found, x, a_held, b_held


@pytest.mark.parametrize("count", range(2, 11))
def test_systems_are_solved_within_the_stated_error(online, shares, opened, sound_bits, count):
    rng = np.random.default_rng(3)
    matrices = np.stack([gram(rng, 3) for _ in range(3)])
    sides = rng.uniform(-1, 1, (3, 3, 2))
    least = Fraction(float(min(np.linalg.eigvalsh(m)[0] for m in matrices))) * Fraction(99, 100)
    forms = [Form(n, WIDE, 40, Fraction(2)) for n in "ab"]
    found, x, a, b = solved(
        online, shares, opened, matrices, sides, forms, (least, Fraction(16)), count
    )
    assert sound(found) == [1, 1, 1]
    form = found["a"].value.form
    assert form.error < Fraction(1, 10**7)
    for k in range(3):
        wanted = np.array(exactly(a[k].tolist(), b[k].tolist()), dtype=object)
        assert abs(wanted).max() <= form.bound
        assert abs(x[k] - wanted).max() <= form.error


def sound(found):
    some = next(iter(found.values())).value.shape[0]
    packed = np.bitwise_xor.reduce([one.sound for one in found.values()])
    return [int(packed[k // 64]) >> (k % 64) & 1 for k in range(some)]


@pytest.mark.parametrize(("ring", "scale"), [(NARROW, 22), (WIDE, 30), (WIDE, 46)])
def test_a_matrix_that_is_not_positive_gives_zero_and_is_not_sound(
    online, shares, opened, ring, scale
):
    good = np.array([[1.0, 0.5], [0.5, 1.0]])
    bad = [[[1, 1], [1, 1]], [[0, 0], [0, 1]], [[1, 0], [0, -1]], [[-1, 0], [0, 1]]]
    bad += [[[1, 2], [2, 1]], [[0.01, 2], [2, 1]]]
    matrices = np.stack([good, *np.array(bad, float)])
    sides = np.ones((7, 2, 1))
    forms = [Form(n, ring, scale, Fraction(2)) for n in "ab"]
    ends = (Fraction(1, 2), Fraction(4))
    found, x, a, b = solved(online, shares, opened, matrices, sides, forms, ends, 2)
    assert sound(found) == [1, 0, 0, 0, 0, 0, 0]
    assert not x[1:].any()
    wanted = np.array(exactly(a[0].tolist(), b[0].tolist()), dtype=object)
    assert abs(x[0] - wanted).max() <= found["a"].value.form.error


@pytest.mark.parametrize(("ring", "scale"), [(NARROW, 20), (WIDE, 40)])
def test_a_matrix_whose_pivots_would_wrap_around_is_never_sound(
    online, shares, opened, ring, scale
):
    """The third pivot is about -1 / p^2 for a first pivot p: more bits than a pivot has."""
    pivots = 2.0**-9 * (1 + np.arange(12) / 12)
    beside = np.sqrt(pivots * (1 - pivots))
    bad = [[[p, q, 1], [q, 1, -1], [1, -1, 1]] for p, q in zip(pivots, beside, strict=True)]
    matrices, sides = np.array([*bad, np.eye(3)]), np.full((13, 3, 1), 0.5)
    forms = [Form(n, ring, scale, Fraction(1)) for n in "ab"]
    ends = (Fraction(1, 2**9), Fraction(4))
    a, _ = split(shares, forms[0], matrices, 2)
    b, _ = split(shares, forms[1], sides, 2)
    found = online({p: (a[p], b[p]) for p in a}, lambda s, x, y: solve(s, x, y, *ends))
    assert sound(found) == [0] * 12 + [1]
    values = opened({p: q.value for p, q in found.items()})
    assert values[:36] == [0] * 36
    assert max(abs(v - Fraction(1, 2)) for v in values[36:]) <= found["a"].value.form.error


def test_ten_rows_and_one(online, shares, opened):
    rng = np.random.default_rng(4)
    for order in (1, 10):
        matrices = gram(rng, order, 200)[None]
        least = Fraction(float(np.linalg.eigvalsh(matrices[0])[0])) * Fraction(99, 100)
        forms = [Form(n, WIDE, 40, Fraction(1)) for n in "ab"]
        sides = rng.uniform(-1, 1, (1, order, 1))
        ends = (least, Fraction(16))
        found, x, a, b = solved(online, shares, opened, matrices, sides, forms, ends, 2)
        wanted = np.array(exactly(a[0].tolist(), b[0].tolist()), dtype=object)
        assert sound(found) == [1]
        assert abs(x[0] - wanted).max() <= found["a"].value.form.error


@pytest.mark.parametrize(
    ("scale", "order", "least", "what"),
    [
        (40, ORDER_MAX + 1, Fraction(1, 2), "33 rows"),
        (40, 3, Fraction(2), "eigenvalue"),
        (30, 3, Fraction(1, 10**7), "more fraction bits"),
        (60, 3, Fraction(1, 1000), "solution of|of a can be"),
    ],
)
def test_what_cannot_be_solved_is_refused(scale, order, least, what):
    a, b = (Form(n, WIDE, scale, Fraction(1)) for n in "ab")
    with pytest.raises(Unfit, match=what):
        solve_form(a, b, order, least, Fraction(4))


def test_unlike_scales_are_refused():
    a, b = Form("a", WIDE, 40, Fraction(1)), Form("b", WIDE, 30, Fraction(1))
    with pytest.raises(ValueError, match="other rings, scales"):
        solve_form(a, b, 3, Fraction(1, 2), Fraction(4))
