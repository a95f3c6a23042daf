"""Products of shared fixed-point numbers, and truncation under a random mask.

What       y = x + 2^(k - 2) is opened as c = y + r mod 2^k, r uniform; floor(c / 2^s) minus the
           shared floor(r / 2^s) plus 2^(k - s) where the sum wrapped (r's top bit and not c's) is
           floor(x / 2^s) or one more. Needs |x| < 2^(k - 2). It is rounding up with a probability
           that grows with what is cut off: the coin depends on the data and is not a fair one, so
           where a result opens and must not tell of cut-off bits, use `truncate_exactly`.
           Sums of products are truncated once. A product that would leave the ring before its
           truncation is made of two, one factor split in a high and a low part.
Why not    cut each share by itself: the shares of x wrap with probability |x| / 2^(k - 1), then the
           result is wrong by 2^(k - s): for products of 62 bits in 64, one time in four.
Against    honest-but-curious parties, n - 1 of whom may collude; all that opens is uniform.
Rounds     truncate 1, product 2 (4 where a factor is split), truncate_exactly 1, then those of
           `comparison.at_least` of s + 1 bits and 1; and fresh correlations.
Bytes      to each peer, for words of 64 bits: 8 a truncation, 16 a product, and its correlations.
Error      |held - floor(x / 2^s)| is 0 or 1 unit of the result, below 1 unit from x / 2^s; exact
           truncation: the floor.
Source     Dalskov, Escudero, Keller 2020 (2020/131), figure 9; Escudero, Ghosh, Keller, Rachuri,
           Scholl, CRYPTO 2020 (2020/338), section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from protocols.arithmetic import multiply, open_ring
from protocols.comparison import at_least
from protocols.digits import slices_to_ring
from protocols.kernels.bits import pack
from protocols.masks import truncation_pairs
from protocols.needs import Needs
from protocols.numbers.counting import counted
from protocols.numbers.fixed import TRUNCATION_ROOM, Fixed, Form, Unfit, blank, check_scale
from protocols.party import Protocol, Says, Seat
from protocols.ring import Elements, Ring

__all__ = [
    "ROUNDS",
    "inner_product",
    "multiply_all",
    "product",
    "product_form",
    "product_needs",
    "truncate",
    "truncate_all",
    "truncate_exactly",
    "truncate_exactly_needs",
    "truncate_needs",
]

ROUNDS = (
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
    Says("bits", to="all", size="1/8 a bit that goes into the ring, at most 16 MiB"),
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("correct", to="one", size="8 words a transfer, at most 16 MiB"),
    Says("masked", to="all", size="two masked factors a product, at most 16 MiB"),
    Says("elements", to="all", size="8 words a truncation, at most 16 MiB"),
)


# ---- many at once --------------------------------------------------------------------------------


def multiply_all(
    seat: Seat, ring: Ring, pairs: Sequence[tuple[Elements, Elements]]
) -> Protocol[list[Elements]]:
    """Shares of every x * y, arrays of one shape a pair, all in the same round."""
    shapes = [x.shape for x, _ in pairs]
    x, y = (np.concatenate([p[side].reshape(-1, ring.words) for p in pairs]) for side in (0, 1))
    return _parted((yield from multiply(seat, ring, x, y)), shapes)


def truncate_all(
    seat: Seat, ring: Ring, numbers: Sequence[tuple[Elements, int]]
) -> Protocol[list[Elements]]:
    """Shares of floor(x / 2^shift) or one more for each (x, shift), all in the same round.

    The caller has checked |x| < 2^(ring bits - 2), and 0 < shift < ring bits - 2.
    """
    pairs, masked = [], []
    for x, shift in numbers:
        flat = x.reshape(-1, ring.words)
        pair = yield from truncation_pairs(seat, ring, shift, len(flat))
        pairs += [pair]
        masked += [ring.add(flat, pair.value)]
    sent = np.concatenate(masked)
    if seat.index == 0:
        sent = ring.add(sent, ring.from_ints([1 << (ring.bits - 2)])[0])
    opened = yield from open_ring(seat, ring, sent)
    shapes = [x.shape for x, _ in numbers]
    parts = _parted(opened, [(len(each), ring.words) for each in masked])
    return [
        _unmasked(seat.index, ring, c, pair.high, pair.top, shift).reshape(shape)
        for c, pair, (_, shift), shape in zip(parts, pairs, numbers, shapes, strict=True)
    ]


def _unmasked(
    index: int, ring: Ring, opened: Elements, high: Elements, top: Elements, shift: int
) -> Elements:
    """floor(c / 2^s) - floor(r / 2^s) + wrapped 2^(k - s) - 2^(k - 2 - s)."""
    wrapped = np.uint64(1) - (opened[:, -1:] >> np.uint64(63))
    share = ring.sub(ring.scale(top * wrapped, 1 << (ring.bits - shift)), high)
    if index != 0:
        return share
    plain = ring.sub(shifted(ring, opened, shift), ring.from_ints([1 << (ring.bits - 2 - shift)]))
    return ring.add(share, plain)


def shifted(ring: Ring, x: Elements, shift: int) -> Elements:
    """floor(x / 2^shift) of public elements taken as unsigned, 0 < shift < ring bits."""
    if ring.words == 1:
        return x >> np.uint64(shift)
    low, high = x[..., 0], x[..., 1]
    if shift >= 64:
        return np.stack((high >> np.uint64(shift - 64), np.zeros_like(high)), axis=-1)
    carried = high << np.uint64(64 - shift)
    return np.stack(((low >> np.uint64(shift)) | carried, high >> np.uint64(shift)), axis=-1)


def _parted(flat: Elements, shapes: Sequence[tuple[int, ...]]) -> list[Elements]:
    parts, first = [], 0
    for shape in shapes:
        last = first + int(np.prod(shape[:-1], dtype=np.int64))
        parts.append(flat[first:last].reshape(shape))
        first = last
    return parts


# ---- numbers -------------------------------------------------------------------------------------


def truncate(seat: Seat, x: Fixed, shift: int) -> Protocol[Fixed]:
    """x with `shift` fraction bits fewer, within one unit. Raises Unfit."""
    form = x.form.truncated(shift)
    if shift == 0:
        return x
    (elements,) = yield from truncate_all(seat, form.ring, [(x.elements, shift)])
    return Fixed(elements, form)


def truncate_needs(parties: int, count: int, x: Form, shift: int) -> Needs:
    """What `truncate` draws."""
    return counted(parties, count, lambda s, m: truncate(s, blank(x, (m,)), shift))


def truncate_exactly_needs(parties: int, count: int, x: Form, shift: int) -> Needs:
    """What `truncate_exactly` draws."""
    return counted(parties, count, lambda s, m: truncate_exactly(s, blank(x, (m,)), shift))


def truncate_exactly(seat: Seat, x: Fixed, shift: int) -> Protocol[Fixed]:
    """The floor of x to `shift` fraction bits fewer (at most 62). Raises Unfit."""
    near = yield from truncate(seat, x, shift)
    if shift == 0:
        return near
    ring = x.form.ring
    rest = ring.sub(x.elements, ring.scale(near.elements, 1 << shift)).reshape(-1, ring.words)
    right = yield from at_least(seat, rest, [0] * len(rest), shift + 1)
    (ones,) = yield from slices_to_ring(seat, ring, pack(right)[None], len(rest))
    exact = ring.add(near.elements, ones.reshape(near.elements.shape))
    if seat.index == 0:
        exact = ring.sub(exact, ring.from_ints([1])[0])
    return replace(near, elements=exact)


def product_form(x: Form, y: Form, scale: int, bound: Fraction | None = None) -> tuple[Form, int]:
    """The rule of a truncated product, and by how many bits to split the longer factor (or 0).

    bound  what is known of |x y|, where that is less than the product of the bounds
    Raises Unfit when the product does not fit its ring even so.
    """
    shift = x.scale + y.scale - scale
    check_scale(f"{x.name} times {y.name}", scale)
    if shift < 0:
        raise ValueError(
            f"{x.name} times {y.name} has {x.scale + y.scale} fraction bits, fewer than {scale}"
        )
    least = x.bound * y.bound if bound is None else min(bound, x.bound * y.bound)
    error = x.bound * y.error + y.bound * x.error + x.error * y.error
    form = Form(f"{x.name} times {y.name}", x.ring, 0, least, error, x.divisor * y.divisor)
    try:
        return replace(form, scale=x.scale + y.scale).truncated(shift), 0
    except Unfit:
        short, long = sorted((x, y), key=lambda one: one.bits)
        split = _split(form, short, long, scale)
    lost = replace(form, scale=x.scale + y.scale - split).ulp + replace(form, scale=scale).ulp
    result = replace(form, scale=scale, error=error + lost)
    result.check(TRUNCATION_ROOM)
    return result, split


def _split(form: Form, x: Form, y: Form, scale: int) -> int:
    """y = y_high 2^h + y_low, such that x y_high and x y_low stay in the ring."""
    y.check(TRUNCATION_ROOM)  # its own high part is a truncation
    room = x.ring.bits - TRUNCATION_ROOM
    whole = replace(form, ring=Ring(2), scale=x.scale + y.scale) if x.ring.words == 1 else form
    least = (whole.bits if x.ring.words == 1 else x.bits + y.bits) + 1 - room
    shift = x.scale + y.scale - scale
    least = max(1, least, shift - room)  # a truncation takes no more than `room` bits off
    most = min(shift, room - 1 - x.bits)
    if most < least:
        raise Unfit(
            f"{form.name} takes {x.bits + y.bits} bits before its truncation, too many for the"
            f" {x.ring.bits} of its ring even in two parts; what would fit: fewer fraction bits,"
            f" smaller bounds{', or the 128-bit ring' if x.ring.words == 1 else ''}"
        )
    return max(least, min(most, (y.bits + 1) // 2))


def product(
    seat: Seat, x: Fixed, y: Fixed, scale: int, bound: Fraction | None = None
) -> Protocol[Fixed]:
    """x * y, number by number, truncated to `scale` fraction bits; as `product_form`."""
    form, split = product_form(x.form, y.form, scale, bound)
    ring, shift = form.ring, x.form.scale + y.form.scale - scale
    if split:
        short, long = sorted((x, y), key=lambda one: one.form.bits)
        whole = yield from _product_in_two(seat, ring, (short.elements, long.elements), split)
    else:
        (whole,) = yield from multiply_all(seat, ring, [(x.elements, y.elements)])
    if shift > split:
        (whole,) = yield from truncate_all(seat, ring, [(whole, shift - split)])
    return Fixed(whole, form)


def _product_in_two(
    seat: Seat, ring: Ring, factors: tuple[Elements, Elements], split: int
) -> Protocol[Elements]:
    """x y / 2^split, for factors whose product would leave the ring."""
    x, y = factors
    (upper,) = yield from truncate_all(seat, ring, [(y, split)])
    lower = ring.sub(y, ring.scale(upper, 1 << split))
    high, low = yield from multiply_all(seat, ring, [(x, upper), (x, lower)])
    (cut,) = yield from truncate_all(seat, ring, [(low, split)])
    return ring.add(high, cut)


def product_needs(
    parties: int, count: int, x: Form, y: Form, scale: int, bound: Fraction | None = None
) -> Needs:
    """What `product` draws."""
    return counted(
        parties,
        count,
        lambda s, m: product(s, blank(x, (m,)), blank(y, (m,)), scale, bound),
    )


def inner_product(seat: Seat, x: Fixed, y: Fixed, scale: int) -> Protocol[Fixed]:
    """Sums of x * y over the first axis, truncated once, to `scale` bits. Raises Unfit."""
    form = x.form.times(y.form).total(len(x.elements))
    result = form.settled(scale)
    (whole,) = yield from multiply_all(seat, form.ring, [(x.elements, y.elements)])
    return (yield from truncate(seat, Fixed(form.ring.sum(whole), form), form.scale - result.scale))
