"""The signs of a few sums over parties, and the carry out of shared bits.

What       `signs` says which sums of the parties' own numbers are negative, with all gates of a
           round packed tight: for tens of sums, where a word for each bit would stand mostly
           empty. `carry` is the tree behind it, for gates of any layout.
Against    honest-but-curious parties, n - 1 of whom may collude; only values masked by triples open
           on the way.
Rounds     c + 1 + ceil(log2(bits - 1)); c = carry-save levels as in `protocols.comparison`.
Bytes      to each peer 1/4 a gate and 3/8 a pair; (n - 1) (bits - 1) gates a sum, each one AND
           triple, and bits - 2 pairs, rounded up to 64 in each round.
Source     Wallace 1964 (carry-save); Ladner and Fischer 1980 (the tree).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.arithmetic import and_pairs, and_words
from protocols.kernels.bits import pack, unpack, words_for
from protocols.party import Protocol, Says, Seat
from protocols.stock import Needs
from protocols.triples import AndTriples, PairTriples

__all__ = ["ROUNDS", "carry", "carry_pairs", "signs", "signs_needs"]

ROUNDS = (Says("masked", to="all", size="1/4 a gate or 3/8 a pair, at most 16 MiB"),)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Gates = npt.NDArray[Any]  # a bit each, or 64 a word


def signs(
    seat: Seat, own: Words, bits: int, triples: AndTriples, pairs: PairTriples
) -> Protocol[Bits]:
    """Shared bits (m,): whether the sum over parties of their own numbers is negative.

    own             uint64 (m,), this party's own numbers mod 2^64, known to it or a share
    bits            2 to 64; the sums lie in [-2^(bits - 1), 2^(bits - 1))
    triples, pairs  at least what `signs_needs` says is left of them
    """
    mine = unpack(own[:, None], bits).T
    addends = [mine if party == seat.me else np.zeros_like(mine) for party in seat.parties]
    while len(addends) > 2:
        addends = yield from _saved(seat, addends, triples)
    x, y = addends if len(addends) == 2 else (mine, np.zeros_like(mine))
    generate = yield from _and(seat, x[:-1], y[:-1], triples)

    def join(high: Bits, low: Bits) -> Protocol[Bits]:
        factors = pack(low.reshape(2, -1))
        joined = yield from and_pairs(seat, pack(high.reshape(-1)), factors, pairs)
        return unpack(joined, high.size).reshape(low.shape)

    carried = yield from carry(generate, x[:-1] ^ y[:-1], join)
    negative: Bits = x[-1] ^ y[-1] ^ carried
    return negative


def signs_needs(parties: int, count: int, bits: int) -> Needs:
    """What `signs` takes of its triples and pairs."""
    gates, addends = words_for((bits - 1) * count), parties
    while addends > 2:
        gates += words_for(addends // 3 * (bits - 1) * count)
        addends -= addends // 3
    pairs = sum(words_for(each * count) for each in carry_pairs(bits - 1))
    return Needs({"and": gates, "pair": pairs})


def carry_pairs(bits: int) -> Iterator[int]:
    """How many joins each round of `carry` makes."""
    while bits > 1:
        yield bits // 2
        bits -= bits // 2


def carry(
    generate: Gates, propagate: Gates, join: Callable[[Gates, Gates], Protocol[Gates]]
) -> Protocol[Gates]:
    """The carry out of the highest place: places (bits, ...) joined two by two, lowest first.

    `join` turns shared x (k, ...) and y (2, k, ...) into shares of x & y.
    """
    while len(generate) > 1:
        even = len(generate) // 2 * 2
        low = np.stack((generate[0:even:2], propagate[0:even:2]))
        joined = yield from join(propagate[1:even:2], low)
        generate = np.concatenate((generate[1:even:2] ^ joined[0], generate[even:]))
        propagate = np.concatenate((joined[1], propagate[even:]))
    out: Gates = generate[0]
    return out


def _saved(seat: Seat, addends: list[Bits], triples: AndTriples) -> Protocol[list[Bits]]:
    """Each three numbers become two: x + y + z = sums + carries, mod 2^bits."""
    whole = len(addends) // 3 * 3
    x, y, z = (np.stack(addends[k:whole:3]) for k in range(3))
    majority = yield from _and(seat, (x ^ z)[:, :-1], (y ^ z)[:, :-1], triples)
    carries = np.zeros_like(x)
    carries[:, 1:] = majority ^ z[:, :-1]
    return [*(x ^ y ^ z), *carries, *addends[whole:]]


def _and(seat: Seat, x: Bits, y: Bits, triples: AndTriples) -> Protocol[Bits]:
    """x & y, bit by bit, 64 to a word whatever the shape."""
    z = yield from and_words(seat, pack(x.reshape(-1)), pack(y.reshape(-1)), triples)
    return unpack(z, x.size).reshape(x.shape)
