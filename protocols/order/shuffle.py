"""Shared rows in an order that no n - 1 parties know: each party permutes them in turn.

What       Output row i is input row s(i), for s the composition of one uniform permutation of each
           party; numbers and bits travel together, in shares that are new.
Against    honest-but-curious parties, n - 1 of whom may collude: the one who does not moves all
           rows by a permutation that the others know nothing of, so s is uniform to them.
Rounds     n times those of `permutation.permute` without its rows of zeros: 2 for up to 2^22 words
           of strings (a row of 2 words: 2^18 rows at 2 words and 14 layers).
Bytes      with L = log2 N - 1/2 (N the next power of two), a party sends to each peer, as the one
           who permutes, N L transfers of OT; to each of the n - 1 others in their turns 8 w N L
           and w words a row, bits rounded up to words.
Source     Laur, Willemson, Zhang, ISC 2011 (a shuffle as n permutations in turn); each by Benes'
           network over OT, as in `protocols.permutation`. The share translation of Chase, Ghosh,
           Poburinnaya, ASIACRYPT 2020 (eprint 2019/1340) sends 8 w N online, and N log2(T) d
           transfers of 16-byte strings with N T d leaves before it, d = 2 ceil(log2 N / log2 T) -
           1 layers of T rows: by that count, for N = 2^14 and T = 128, 21 transfers a row (336
           bytes and the extension) and 384 leaves, against 13.5 transfers and 108 w bytes here; so
           it gains from w = 4 up only, and is not built.

A party reads its permutation on its own machine only; nobody else's memory depends on it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.party import Protocol, Says, Seat
from protocols.permutation import permute
from protocols.randomness import Randomness
from protocols.ring import Elements, Ring

__all__ = ["ROUNDS", "shuffle", "uniform_permutation"]

ROUNDS = (
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("switch", to="one", size="8 words of a row for each switch, at most 16 MiB"),
)

Bits = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


def shuffle(
    seat: Seat, ring: Ring, values: Elements, bits: Bits
) -> Protocol[tuple[Elements, Bits]]:
    """Shares of the rows in a secret uniform order.

    values (N, c, words), additively shared; bits (N, b), XOR-shared; the same N at all parties
    """
    count = len(values)
    if count < 2:
        return values, bits
    for owner in seat.parties:
        own = uniform_permutation(seat.rand, count) if owner == seat.me else None
        values, bits = yield from permute(seat, ring, owner, own, count, count, values, bits)
    return values, bits


def uniform_permutation(rand: Randomness, count: int) -> Indices:
    """A uniform permutation (count,): the order of random words, drawn anew if two are equal."""
    while True:
        words = rand.words((count,))
        order = np.argsort(words)
        if count < 2 or np.all(np.diff(words[order]) > 0):
            return order.astype(np.int64)
