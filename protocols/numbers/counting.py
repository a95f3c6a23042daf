"""What a protocol on shares draws, counted by running one party's side of it on nothing.

A seat with a counter in place of its stock is answered with zeros: whatever the protocol draws is
counted and handed out as zeros, whatever it waits for arrives as zeros. What protocols draw
depends on public sizes alone, so the count is exact, by the code that will draw. It runs on 64 and
on 128 values: a unit serves one value, or a word of 64, or half of two words.

Everything here is local and public.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from protocols.kernels.bits import words_for
from protocols.kernels.registry import run_kernel
from protocols.needs import Kind, Needs
from protocols.party import Parties, Protocol, Round, Seat
from protocols.randomness import RAND_BYTES, Randomness
from protocols.stock import Stock

__all__ = ["SAMPLE", "counted"]

Words = npt.NDArray[np.uint64]
SAMPLE = 64  # values that are counted on: one word of flags


@dataclass(slots=True)
class Counter:
    """Holds everything, all zero, and counts what is taken. Stands where a `Stock` would."""

    me: str
    parties: Parties
    epoch: str
    taken: Needs = field(default_factory=lambda: Needs({}))

    def check(self, _me: str, _parties: Parties, _epoch: str) -> None:
        """Any seat may count."""

    def left(self, kind: str) -> int:
        """More than anybody asks for."""
        Kind.parse(kind)
        return 1 << 62

    def take(self, kind: str, units: int) -> tuple[Words, ...]:
        """Zeros of the shapes of the kind."""
        self.taken = self.taken + Needs({kind: units})
        shapes = Kind.parse(kind).shapes
        return tuple(np.zeros((s[0], units, *s[1:]), np.uint64) for s in shapes)


def counted(parties: int, count: int, make: Callable[[Seat, int], Protocol[Any]]) -> Needs:
    """The needs of `make(seat, count)` among so many parties.

    make  the protocol for the first party, on that many values with shares of zero
    """
    one, two = (_taken(parties, make, words) for words in (1, 2))
    kinds = sorted({*one.counts, *two.counts})
    return Needs({k: _units(k, one.counts.get(k, 0), two.counts.get(k, 0), count) for k in kinds})


def _taken(parties: int, make: Callable[[Seat, int], Protocol[Any]], words: int) -> Needs:
    names = tuple(f"{place:04}" for place in range(parties))
    counter = Counter(names[0], names, "count")
    coins = {peer: Randomness(bytes(RAND_BYTES)) for peer in names[1:]}
    seat = Seat(names[0], names, Randomness(bytes(RAND_BYTES)), coins)
    _drive(make(seat.using(cast(Stock, counter)), SAMPLE * words))
    return counter.taken


def _units(kind: str, one: int, two: int, count: int) -> int:
    """Of what one and two words of values take, for `count` values."""
    if Kind.parse(kind).in_words:
        words = words_for(count)
        return words // 2 * two + words % 2 * one
    whole, rest = divmod(one * count, SAMPLE)
    assert rest == 0, f"{kind} is not drawn for each value by itself"
    return whole


def _drive(protocol: Protocol[Any]) -> None:
    answer: Any = None
    try:
        while True:
            step = protocol.send(answer)
            if isinstance(step, Round):
                answer = {k: np.zeros(e.shape, e.dtype) for k, e in step.hears.items()}
            elif isinstance(step, list):
                answer = [run_kernel(one.kernel, *one.arguments) for one in step]
            else:
                answer = None
    except StopIteration:
        return
