"""Small symmetric positive definite systems on shares: a x = b by Cholesky's decomposition.

What       column by column: s = a - l l' of the columns before, r = 1 / sqrt(s_jj), l_j = s_j r.
           The right-hand sides are further rows of a, so that l y = b costs no rounds of its own;
           then l' x = y from below. Each entry is one sum of products, truncated once. Above 30
           fraction bits one step of Newton's brings r to the scale. Many systems and right-hand
           sides go through the same rounds.
           A pivot below `least` / 2 (collinear columns, or a matrix that is not positive) makes the
           system not sound: a shared bit tells it, and its x is 0, never a number without meaning.
           A row of l has at most the length sqrt(B) where a is positive; where it is not, entries
           can double their digits with each column until pivots wrap around and look sound. So from
           three rows up every |l| is compared with 1.1 sqrt(B) as well: while all of them are
           smaller nothing wraps, and the first that is not has not wrapped itself.
Against    honest-but-curious parties, n - 1 of whom may collude; the sizes are public.
Rounds     a column: 4, and those of an inverse root (and 6 for Newton's); from below 4 a row; then
           ceil(log2 p) + 2 for the soundness, from three rows up those of `comparison.sign_bits`
           and ceil(log2 p^2) + 2; and fresh correlations.
Bytes      to each peer those of p^3 / 6 + (q + 1) p^2 / 2 + q p^2 / 2 products a system about.
Error      u = 2^-scale, every |a| <= B and every eigenvalue >= least: x^ solves (a + E) x^ = b + f
           with |E| <= e_a + u (1 + 1.1 sqrt(B)) + 2.1 B e_r, e_r the relative error of r,
           |f| <= e_b + u (1 + 1.1 sqrt(B)) (1 + sqrt(1.1 p B)), entry by entry, so
           |x^ - x| <= (p sqrt(p) |E| |x| + sqrt(p) |f|) / (least - p |E|). The form states it.
           Where the declared `least` is no bound of the eigenvalues, the error bound does not hold.
Source     Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 10.1, with the
           roundings of fixed point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
import numpy.typing as npt

from protocols.arithmetic import and_words
from protocols.comparison import sign_bits
from protocols.digits import slices_to_ring
from protocols.kernels.bits import pack, words_for
from protocols.needs import Needs
from protocols.numbers.counting import counted
from protocols.numbers.division import Quotient
from protocols.numbers.fixed import TRUNCATION_ROOM, Fixed, Form, Unfit, blank, shown
from protocols.numbers.polynomial import WORKING
from protocols.numbers.products import multiply_all, truncate_all
from protocols.numbers.root import inverse_root, inverse_root_form, root_above
from protocols.party import Protocol, Says, Seat
from protocols.ring import Elements, Ring
from protocols.triples import and_triples

__all__ = ["ORDER_MAX", "ROUNDS", "solve", "solve_form", "solve_needs"]

ROUNDS = (
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
    Says("bits", to="all", size="1/8 a bit that goes into the ring, at most 16 MiB"),
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("correct", to="one", size="8 words a transfer, at most 16 MiB"),
    Says("masked", to="all", size="two masked factors a product or gate, at most 16 MiB"),
    Says("elements", to="all", size="8 words a truncation, at most 16 MiB"),
)

Words = npt.NDArray[np.uint64]
ORDER_MAX = 32  # rows of a matrix: the number of rounds and of products grows with it
NEAR = Fraction(11, 10)  # for terms of second order
CONDITION = 4  # p |E| is at most this part of the least eigenvalue


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is public about one solution, decided on forms before anything is sent."""

    order: int
    scale: int
    pivot: Form
    least: Fraction  # of a pivot
    limit: int  # units that no entry of l is larger than, where the system is sound
    entry: Form  # how large an entry of l can be while those before it are below the limit
    result: Form


def solve_form(a: Form, b: Form, order: int, least: Fraction, bound: Fraction) -> Form:
    """The rule of a solution; see `solve`. Raises Unfit."""
    return _plan(a, b, order, least, bound).result


def _plan(a: Form, b: Form, order: int, least: Fraction, bound: Fraction) -> _Plan:
    if (a.ring, a.scale, a.divisor) != (b.ring, b.scale, b.divisor):
        raise ValueError(f"{a.name} and {b.name} have other rings, scales or divisors")
    if not 1 <= order <= ORDER_MAX:
        raise Unfit(f"{a.name} has {order} rows; 1 to {ORDER_MAX} can be solved")
    if not 0 < least <= a.bound:
        raise Unfit(
            f"{a.name} is at most {shown(a.bound)}, no least eigenvalue {shown(least)} fits"
        )
    name, size = f"the solution of {a.name}", a.bound * a.divisor
    low, rows = least * a.divisor / 2, order * (a.bound * a.divisor)
    # of any symmetric matrix: |l| <= size / sqrt(low), until a pivot is not sound
    largest = size + order * size * size / low
    pivot = Form(f"a pivot of {a.name}", a.ring, a.scale, largest)
    right = max(b.bound * b.divisor, 1 / root_above(1 / size))
    y = order * root_above(size) * bound + right
    limit = NEAR * root_above(size)
    entry = Form(
        f"a factor of {a.name}",
        a.ring,
        a.scale,
        limit + NEAR * (size + order * limit * limit) * root_above(1 / low),
    )
    for what, reach in (
        ("pivot", largest),
        ("right-hand side", right + order * y * size * root_above(1 / low)),
        ("factor", entry.bound),
        ("solution", (y + rows * bound) * root_above(1 / low) + bound),
    ):
        Form(f"a {what} of {a.name}", a.ring, 2 * a.scale, reach).check(TRUNCATION_ROOM)
    relative = _root_error(pivot, low, size)
    error = _error((a, b), order, (least, bound), relative)
    result = Form(name, a.ring, a.scale, bound, error)
    return _Plan(order, a.scale, pivot, low, ceil(limit * (1 << a.scale)), entry, result)


def _root_error(pivot: Form, low: Fraction, size: Fraction) -> Fraction:
    """The relative error of 1 / sqrt(pivot), for pivots up to `size`."""
    unit, root = pivot.ulp, root_above(size)
    first = inverse_root_form(pivot, low, min(WORKING, pivot.scale)).error * root
    if pivot.scale <= WORKING:
        return first
    Form(pivot.name, pivot.ring, 2 * pivot.scale, 2 / low).check(TRUNCATION_ROOM)
    return 2 * first * first + size * unit + unit + root * unit


def _error(
    forms: tuple[Form, Form], order: int, ends: tuple[Fraction, Fraction], relative: Fraction
) -> Fraction:
    """As in the head; a and b carried over a common divisor count with it."""
    (a, b), (least, bound) = forms, ends
    size, unit = a.bound * a.divisor, Fraction(1, 1 << a.scale)
    root = root_above(size)
    rounding = unit * (1 + NEAR * root)
    matrix = a.error * a.divisor + rounding + Fraction(21, 10) * size * relative
    side = b.error * b.divisor + rounding * (1 + root_above(NEAR * order * size))
    spare = least * a.divisor - order * matrix
    if order * matrix * CONDITION > least * a.divisor:
        raise Unfit(
            f"{a.name} with a least eigenvalue of {shown(least)} cannot be solved with {a.scale}"
            f" fraction bits: its errors alone can move an eigenvalue by"
            f" {shown(order * matrix / a.divisor)}; what would fit: more fraction bits, or a matrix"
            " that is closer to the identity"
        )
    narrow = root_above(Fraction(order))
    return (order * narrow * matrix * bound + narrow * side) / spare


def solve(seat: Seat, a: Fixed, b: Fixed, least: Fraction, bound: Fraction) -> Protocol[Quotient]:
    """x with a x = b for each system, and whether it is sound (bits of the systems, packed).

    a      (m, p, p), symmetric; b (m, p, q); both of one scale. Shapes are public.
    least  a lower bound of the eigenvalues of a; bound what the caller knows of |x|
    Raises Unfit before anything is sent.
    """
    count, order, _ = a.shape
    plan, ring = _plan(a.form, b.form, order, least, bound), a.form.ring
    sides = b.shape[2]
    # rows of the matrix, then the right-hand sides as rows: (p + q, p, m, words)
    table = np.concatenate((a.elements, b.elements.swapaxes(1, 2)), axis=1).transpose(1, 2, 0, 3)
    lower, roots, sound = yield from _decomposed(seat, ring, plan, table)
    x = yield from _from_below(seat, ring, plan, lower, roots)
    every = yield from _all_sound(seat, sound)
    (ones,) = yield from slices_to_ring(seat, ring, every[None], count)
    kept = np.broadcast_to(ones, (order, sides, count, ring.words))
    (value,) = yield from multiply_all(seat, ring, [(x, np.ascontiguousarray(kept))])
    return Quotient(Fixed(value.transpose(2, 0, 1, 3), plan.result), every)


def solve_needs(
    parties: int,
    count: int,
    a: Form,
    b: Form,
    shape: tuple[int, int],
    least: Fraction,
    bound: Fraction,
) -> Needs:
    """What `solve` draws for `count` systems of shape (p, q): rows and right-hand sides."""
    order, sides = shape

    def make(seat: Seat, m: int) -> Protocol[Quotient]:
        systems = blank(a, (m, order, order)), blank(b, (m, order, sides))
        return solve(seat, *systems, least, bound)

    return counted(parties, count, make)


def _decomposed(
    seat: Seat, ring: Ring, plan: _Plan, table: Elements
) -> Protocol[tuple[Elements, Elements, list[Words]]]:
    """l (p + q, p, m, words), the inverse roots (p, m, words), and each pivot's soundness."""
    lower, sound = np.zeros_like(table), []
    roots = np.zeros_like(table[0])
    for j in range(plan.order):
        column = table[j:, j]
        if j:
            others = np.broadcast_to(lower[j, :j], lower[j:, :j].shape)
            column = yield from _less_products(
                seat, ring, plan, column, lower[j:, :j], np.ascontiguousarray(others)
            )
        root, good = yield from _inverse_root(seat, plan, Fixed(column[0], plan.pivot))
        roots[j] = root
        sound.append(good)
        rest = column[1:]
        factors = np.ascontiguousarray(np.broadcast_to(root, rest.shape))
        lower[j + 1 :, j] = yield from _product(seat, ring, rest, factors, plan.scale)
    if plan.order > 2:
        sound += yield from _short(seat, ring, plan, lower[: plan.order])
    return lower, roots, sound


def _short(seat: Seat, ring: Ring, plan: _Plan, lower: Elements) -> Protocol[list[Words]]:
    """Two shared bits for each entry below the diagonal: whether it is within the limit."""
    entries = lower[np.tril_indices(plan.order, -1)]
    pairs, count, words = entries.shape
    both = ring.zeros((2, pairs, 64 * words_for(count)))  # whole words of bits for each entry
    both[0, :, :count], both[1, :, :count] = entries, ring.neg(entries)
    if seat.index == 0:
        both = ring.add(both, ring.from_ints([plan.limit])[0])
    long = yield from sign_bits(seat, ring, both.reshape(-1, words), plan.entry.bits + 1)
    bits = long ^ np.uint8(seat.index == 0)
    return list(pack(bits.reshape(2 * pairs, -1)))


def _less_products(
    seat: Seat, ring: Ring, plan: _Plan, start: Elements, x: Elements, y: Elements
) -> Protocol[Elements]:
    """start less the sum over axis 1 of x y, truncated once."""
    (whole,) = yield from multiply_all(seat, ring, [(x, y)])
    raw = ring.sub(ring.scale(start, 1 << plan.scale), ring.sum(whole, axis=1))
    (cut,) = yield from truncate_all(seat, ring, [(raw, plan.scale)])
    return cut


def _product(seat: Seat, ring: Ring, x: Elements, y: Elements, scale: int) -> Protocol[Elements]:
    (whole,) = yield from multiply_all(seat, ring, [(x, y)])
    (cut,) = yield from truncate_all(seat, ring, [(whole, scale)])
    return cut


def _inverse_root(seat: Seat, plan: _Plan, pivot: Fixed) -> Protocol[tuple[Elements, Words]]:
    """1 / sqrt(pivot) at the scale of the system; 0 where it is not sound."""
    ring, scale = pivot.form.ring, plan.scale
    found = yield from inverse_root(seat, pivot, plan.least, min(WORKING, scale))
    root = ring.scale(found.value.elements, 1 << max(0, scale - WORKING))
    if scale <= WORKING:
        return root, found.sound
    # r + r (1 - s r^2) / 2
    square = yield from _product(seat, ring, root, root, scale)
    near = yield from _product(seat, ring, pivot.elements, square, scale)
    gap = ring.neg(near)
    if seat.index == 0:
        gap = ring.add(gap, ring.from_ints([1 << scale])[0])
    (whole,) = yield from multiply_all(seat, ring, [(root, gap)])
    (step,) = yield from truncate_all(seat, ring, [(whole, scale + 1)])
    return ring.add(root, step), found.sound


def _from_below(
    seat: Seat, ring: Ring, plan: _Plan, lower: Elements, roots: Elements
) -> Protocol[Elements]:
    """x (p, q, m, words) with l' x = y."""
    order = plan.order
    y = lower[order:].swapaxes(0, 1)
    x = np.zeros_like(y)
    for j in reversed(range(order)):
        value = y[j]
        if j + 1 < order:
            # (q, p - j - 1, m, words)
            known = np.ascontiguousarray(x[j + 1 :].swapaxes(0, 1))
            factors = np.broadcast_to(lower[j + 1 : order, j], known.shape)
            value = yield from _less_products(
                seat, ring, plan, value, known, np.ascontiguousarray(factors)
            )
        root = np.ascontiguousarray(np.broadcast_to(roots[j], value.shape))
        x[j] = yield from _product(seat, ring, value, root, plan.scale)
    return x


def _all_sound(seat: Seat, sound: Sequence[Words]) -> Protocol[Words]:
    """The AND of all bits, two by two."""
    slices = np.stack(sound)
    triples = yield from and_triples(seat, 64 * (len(slices) - 1) * slices.shape[1])
    while len(slices) > 1:
        half = len(slices) // 2
        joined = yield from and_words(seat, slices[:half], slices[half : 2 * half], triples)
        slices = np.concatenate((joined, slices[2 * half :]))
    every: Words = slices[0]
    return every
