"""What the engine is measured at: operations on shares, each checked in the run that is timed.

Every party draws the same clear numbers from a fixed seed and keeps its own share of them, so that
an input moves outside of what is timed. A result is opened by the product's own opening after the
clock has stopped, and every party holds it against NumPy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from measuring import coins

from protocols.arithmetic import multiply, open_bits, open_ring
from protocols.comparison import less_than, less_than_needs
from protocols.numbers.division import divide
from protocols.numbers.fixed import Fixed, fitting
from protocols.order.quantile import INVERSE, Grid, Quantile, ladder, quantiles
from protocols.order.sort import sort
from protocols.ring import Ring
from protocols.supply import supply
from protocols.triples import ring_triples_needs

RING = Ring(1)


@dataclass(frozen=True, slots=True)
class Work:
    """One operation at one size, at one party. Each takes a seat and gives a protocol.

    run      what is timed
    error    opens the result of `run` and gives the largest absolute error
    stocked  makes what `run` draws on, untimed, and gives the seat that holds it; None where an
             operation declares no needs
    """

    run: Callable[[Any], Any]
    error: Callable[[Any, Any], Any]
    stocked: Callable[[Any], Any] | None = None


def numbers(seed, items, bound):
    """The same integers at every party, from -bound to bound - 1."""
    return np.random.default_rng(list(bytes(seed))).integers(-bound, bound, items)


def own_share(seat, values, label, ring=RING):
    """This party's share (items, words) of integers that all know; the last one has the rest."""
    shares = [ring.random(coins(label, party), values.shape) for party in seat.parties[:-1]]
    if seat.me != seat.parties[-1]:
        return shares[seat.index]
    return ring.sub(ring.from_ints(values), ring.sum(np.stack(shares)))


def filled(needs):
    """Makes these correlations, each kind checked, and gives the seat that draws from them."""

    def fill(seat):
        stock = yield from supply(seat.fork("supply"), needs, "benchmark")
        return seat.using(stock)

    return fill


def ring_error(expected):
    def error(seat, result):
        opened = yield from open_ring(seat, RING, result)
        return int(np.abs(opened[..., 0].view(np.int64) - expected).max())

    return error


def bits_error(expected):
    def error(seat, result):
        opened = yield from open_bits(seat, result)
        return int(np.abs(opened.astype(np.int64) - expected).max())

    return error


def multiplying(seat, items):
    x, y = numbers(b"x", items, 1000), numbers(b"y", items, 1000)
    mine = own_share(seat, x, "x"), own_share(seat, y, "y")
    needs = ring_triples_needs(RING, (items,))
    return Work(lambda at: multiply(at, RING, *mine), ring_error(x * y), filled(needs))


def comparing(seat, items):
    x, y = numbers(b"x", items, 10**6), numbers(b"y", items, 10**6)
    mine = own_share(seat, x, "x"), own_share(seat, y, "y")
    needs = less_than_needs(len(seat.parties), items)
    return Work(lambda at: less_than(at, RING, *mine), bits_error(x < y), filled(needs))


def dividing(seat, items):
    """Quotients of numbers from 1 to 10 at 30 fraction bits; the error is relative above 1."""
    scale, forms = 30, [fitting(name, 30, Fraction(10)) for name in ("x", "d")]
    raw = [numbers(name, items, 9 << (scale - 1)) + (11 << (scale - 1)) for name in (b"x", b"d")]
    x, d = (
        Fixed(own_share(seat, values, form.name, form.ring), form)
        for values, form in zip(raw, forms, strict=True)
    )
    expected = raw[0] / raw[1]

    def run(at):
        return (yield from divide(at, x, d, Fraction(1), Fraction(10), scale)).value

    def error(at, found):
        opened = yield from open_ring(at, found.form.ring, found.elements)
        values = np.array(found.form.ring.to_ints(opened)) * float(found.form.ulp)
        return float(np.max(np.abs(values - expected) / np.maximum(1, expected)))

    return Work(run, error)


def sorting(seat, items):
    """Keys alone, no other columns moved along."""
    keys = numbers(b"keys", items, 10**6)
    mine = own_share(seat, keys, "keys")
    nothing = RING.zeros((items, 0)), np.zeros((items, 0), np.uint8)

    def run(at):
        return (yield from sort(at, RING, mine, 21, *nothing)).keys

    return Work(run, ring_error(np.sort(keys)))


def median(seat, items):
    """Each party brings so many rows of its own; all together are asked for their median."""
    grid = Grid(-(1 << 19), 1, 1 << 20)
    rows = {party: numbers(party.encode(), items, 1 << 18) for party in seat.parties}
    pooled = np.sort(np.concatenate([rows[party] for party in seat.parties]))
    question = Quantile(0, 1, 2, INVERSE)

    def run(at):
        own = yield from ladder(grid, rows[at.me], None)
        return (yield from quantiles(at, [own], [question], 1 << 40, 16, False))

    def error(at, found):
        yield from ()
        return abs(found[0] - int(pooled[(len(pooled) + 1) // 2 - 1]))

    return Work(run, error)


OPERATIONS = {
    "multiply": multiplying,
    "less_than": comparing,
    "median": median,
    "divide": dividing,
    "sort": sorting,
}
