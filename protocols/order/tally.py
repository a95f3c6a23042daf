"""The signs of a few sums over parties, and the tree of carries behind them.

What       `signs` says which sums of the parties' own numbers are negative, for tens of sums: all
           gates of a round are packed tight, where a word for each bit of a number would stand
           mostly empty. `carry` is the tree, for gates of any layout.
Against    honest-but-curious parties, n - 1 of whom may collude; only values masked by triples open
           on the way.
Rounds     c + 1 + ceil(log2(bits - 1)); c = carry-save levels 0, 1, 2, 3, 4, 5 for 2, 3, 4, 5 to
           6, 7 to 9, 10 parties.
Bytes      to each peer 1/4 a gate and 3/8 a pair, in whole words each round: (n - 1) (bits - 1)
           gates a sum, each one AND triple, and bits - 2 pairs.
Source     Wallace 1964 (carry-save); Ladner and Fischer 1980 (the tree); Beaver, CRYPTO 1991.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.exchange import broadcast
from protocols.kernels.bits import pack, unpack, words_for
from protocols.party import Protocol, Says, Seat
from protocols.stock import Needs
from protocols.triples import and_triples, pair_triples

__all__ = ["ROUNDS", "Gates", "carry", "carry_pairs", "draw", "signs", "signs_gates"]

ROUNDS = (
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit product, from three parties up"),
    Says("masked", to="all", size="1/4 a gate or 3/8 a pair, at most 16 MiB"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Slices = npt.NDArray[Any]  # a bit each, or 64 a word
WORD = 64


@dataclass(frozen=True, slots=True)
class Gates:
    """How many single gates a protocol takes, and how many pairs with a common factor."""

    single: int
    pairs: int

    def __add__(self, other: Gates) -> Gates:
        return Gates(self.single + other.single, self.pairs + other.pairs)

    @property
    def needs(self) -> Needs:
        """What drawing them takes."""
        return Needs({"and": words_for(self.single), "pair": words_for(self.pairs)})


@dataclass(slots=True, repr=False)
class Drawn:
    """Triples bit by bit, each used once: gates a, b, c (3, m) and pairs a, b, b, c, c (5, m)."""

    single: Bits
    pairs: Bits

    def __repr__(self) -> str:
        return "Drawn(<redacted>)"

    def take(self, factors: int, count: int) -> tuple[Bits, Bits, Bits]:
        """The next bits a (count,), b and c (factors, count). Raises ValueError when too few."""
        held = self.single if factors == 1 else self.pairs
        if count > held.shape[1]:
            raise ValueError(f"{count} gates asked for, {held.shape[1]} left")
        taken, rest = held[:, :count], held[:, count:]
        if factors == 1:
            self.single = rest
        else:
            self.pairs = rest
        return taken[0], taken[1 : 1 + factors], taken[1 + factors :]


def draw(seat: Seat, gates: Gates) -> Protocol[Drawn]:
    """So many gates' triples, at once."""
    single = yield from and_triples(seat, gates.single)
    pairs = yield from pair_triples(seat, gates.pairs)
    return Drawn(
        unpack(np.stack((single.a, single.b, single.c)), gates.single),
        unpack(np.concatenate((pairs.a[None], pairs.b, pairs.c)), gates.pairs),
    )


def signs(seat: Seat, own: Words, bits: int, drawn: Drawn) -> Protocol[Bits]:
    """Shared bits (m,): whether the sum over parties of their own numbers is negative.

    own    uint64 (m,), this party's own numbers mod 2^64, known to it or a share
    bits   2 to 64; the sums lie in [-2^(bits - 1), 2^(bits - 1))
    drawn  at least `signs_gates` are left in it
    """
    mine = unpack(own[:, None], bits).T
    addends = [mine if party == seat.me else np.zeros_like(mine) for party in seat.parties]
    while len(addends) > 2:
        addends = yield from _saved(seat, addends, drawn)
    x, y = addends if len(addends) == 2 else (mine, np.zeros_like(mine))
    [generate] = yield from _and(seat, x[:-1], y[None, :-1], drawn)

    def join(high: Bits, low: Bits) -> Protocol[Bits]:
        return (yield from _and(seat, high, low, drawn))

    carried = yield from carry(generate, x[:-1] ^ y[:-1], join)
    negative: Bits = x[-1] ^ y[-1] ^ carried
    return negative


def signs_gates(parties: int, count: int, bits: int) -> Gates:
    """What `signs` takes: a gate a bit for each addend but one, and the pairs of the tree."""
    return Gates(max(1, parties - 1) * (bits - 1) * count, sum(carry_pairs(bits - 1)) * count)


def carry_pairs(bits: int) -> Iterator[int]:
    """How many joins each round of `carry` makes."""
    while bits > 1:
        yield bits // 2
        bits -= bits // 2


def carry(
    generate: Slices, propagate: Slices, join: Callable[[Slices, Slices], Protocol[Slices]]
) -> Protocol[Slices]:
    """The carry out of the highest place: places (bits, ...) joined two by two, lowest first.

    `join` turns shared x (k, ...) and y (2, k, ...) into shares of x & y.
    """
    while len(generate) > 1:
        even = len(generate) // 2 * 2
        low = np.stack((generate[0:even:2], propagate[0:even:2]))
        joined = yield from join(propagate[1:even:2], low)
        generate = np.concatenate((generate[1:even:2] ^ joined[0], generate[even:]))
        propagate = np.concatenate((joined[1], propagate[even:]))
    out: Slices = generate[0]
    return out


def _saved(seat: Seat, addends: list[Bits], drawn: Drawn) -> Protocol[list[Bits]]:
    """Each three numbers become two: x + y + z = sums + carries, mod 2^bits."""
    whole = len(addends) // 3 * 3
    x, y, z = (np.stack(addends[k:whole:3]) for k in range(3))
    [majority] = yield from _and(seat, (x ^ z)[:, :-1], (y ^ z)[None, :, :-1], drawn)
    carries = np.zeros_like(x)
    carries[:, 1:] = majority ^ z[:, :-1]
    return [*(x ^ y ^ z), *carries, *addends[whole:]]


def _and(seat: Seat, x: Bits, y: Bits, drawn: Drawn) -> Protocol[Bits]:
    """Shares (f, ...) of x & y[k], x (...), y (f, ...), f 1 or 2. One round."""
    factors = len(y)
    a, b, c = drawn.take(factors, x.size)
    masked = np.concatenate((x.reshape(1, -1) ^ a, y.reshape(factors, -1) ^ b))
    shares = yield from broadcast(seat, "masked", pack(masked.reshape(-1)))
    opened = np.bitwise_xor.reduce([shares[party] for party in seat.parties])
    d, *e = unpack(opened, masked.size).reshape(masked.shape)
    z = c ^ (d & b) ^ (np.stack(e) & a)
    if seat.index == 0:
        z = z ^ (d & np.stack(e))
    out: Bits = z.reshape(y.shape)
    return out
