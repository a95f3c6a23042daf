"""Products of bits that two parties know, one bit each, in rings of two or three parties.

What       the parties of a seat sit in rings: two together, or by threes in order (who is left
           over sits alone). Each multiplies bits of its own with bits of the next, both as they
           know them in the clear; the product comes out XOR-shared between the two.
Against    honest-but-curious parties: a product concerns two of them, and each hears from the other
           its bits masked by fresh random ones.
Rounds     1, and 1 for every 2^20 correlations that are not in the stock.
Bytes      1/8 a bit to the next and 1/8 to the previous; a correlation is one random OT toward one
           peer, where an AND triple takes two for every pair of parties.
Source     Gilboa, CRYPTO 1999, section 4.1, for bits; Beaver, STOC 1995, for OT made beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.exchange import exchange
from protocols.kernels.gates import SMALL_WORDS
from protocols.kernels.registry import register
from protocols.oblivious_transfer import random_bits
from protocols.party import Compute, Expect, Parties, Party, Protocol, Says, Seat
from protocols.stock import Needs, drawn

__all__ = [
    "ROUNDS",
    "CrossPairs",
    "cross_bits",
    "cross_pairs",
    "cross_pairs_needs",
    "neighbours",
    "rings",
]

ROUNDS = (
    Says("extend", to="one", size="as random_ot"),
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
)

Words = npt.NDArray[np.uint64]
Neighbours = tuple[Party, Party] | None  # the next and the previous


@dataclass(frozen=True, slots=True, repr=False)
class CrossPairs:
    """Random products with both neighbours, 64 a word: c d = v ^ z for each pair that is adjacent.

    choices, chosen  c and v, with the next party; offered, zeros  d and z, with the previous one
    """

    choices: Words
    chosen: Words
    offered: Words
    zeros: Words

    def __repr__(self) -> str:
        return f"CrossPairs({len(self.choices)} words, <redacted>)"


def rings(parties: Parties) -> tuple[Parties, ...]:
    """Who sits together: two parties, or as many threes as there are."""
    if len(parties) == 2:
        return (parties,)
    return tuple(parties[k : k + 3] for k in range(0, len(parties) // 3 * 3, 3))


def neighbours(seat: Seat) -> Neighbours:
    """The next and the previous party in this party's ring; None when it sits alone."""
    for ring in rings(seat.parties):
        if seat.me in ring:
            place = ring.index(seat.me)
            return ring[(place + 1) % len(ring)], ring[place - 1]
    return None


def cross_pairs(seat: Seat, words: int) -> Protocol[CrossPairs]:
    """So many words of random products with the next party, and as many with the previous."""
    held = drawn(seat, "cross", words)
    if held is not None:
        return CrossPairs(*held[0])
    choices = seat.rand.words((words,))
    sides = neighbours(seat)
    choosing = {} if sides is None else {sides[0]: choices}
    offering = () if sides is None else (sides[1],)
    made = yield from random_bits(seat, 64 * words, 1, choosing, offering)
    if sides is None:
        return CrossPairs(*(np.zeros((4, words), dtype=np.uint64)))
    following, previous = sides
    zeros, ones = made.zeros[previous][0], made.ones[previous][0]
    return CrossPairs(choices, made.chosen[following][0], zeros ^ ones, zeros)


def cross_pairs_needs(words: int) -> Needs:
    """What `cross_pairs` draws."""
    return Needs({"cross": words})


def cross_bits(seat: Seat, forward: Words, backward: Words) -> Protocol[tuple[Words, Words]]:
    """This party's shares of its products with the next party and with the previous one.

    forward   own bits that meet the next party's `backward`, element by element; any one shape
    backward  own bits that meet the previous party's `forward`
    Returns two arrays of that shape; zeros at a party that sits alone.
    """
    pairs = yield from cross_pairs(seat, forward.size)
    ahead, behind = forward.reshape(-1), backward.reshape(-1)
    heard = yield from _crossed(seat, ahead ^ pairs.choices, behind ^ pairs.offered)
    arguments = ((ahead, behind), heard, (pairs.choices, pairs.chosen, pairs.zeros))
    if forward.size <= SMALL_WORDS:
        made = settle(*arguments)
    else:
        [made] = yield [Compute("cross.settle", arguments, forward.size)]
    return made[0].reshape(forward.shape), made[1].reshape(forward.shape)


def _crossed(seat: Seat, ahead: Words, behind: Words) -> Protocol[tuple[Words, Words]]:
    """What the next party says of its own `backward`, and the previous one of its `forward`."""
    sides, words = neighbours(seat), len(ahead)
    if len(seat.parties) == 2:
        (peer,) = seat.peers
        says = {peer: np.concatenate((ahead, behind))}
        heard = yield from exchange("crossed", says, (peer,), Expect("uint64", (2 * words,)))
        return heard[peer][words:], heard[peer][:words]
    expect = Expect("uint64", (words,))
    if sides is None:
        yield from exchange("crossed", {}, (), expect)
        return np.zeros_like(ahead), np.zeros_like(behind)
    following, previous = sides
    heard = yield from exchange("crossed", {following: ahead, previous: behind}, sides, expect)
    return heard[following], heard[previous]


def settle(
    own: tuple[Words, Words], heard: tuple[Words, Words], pairs: tuple[Words, Words, Words]
) -> tuple[Words, Words]:
    """x y = (x ^ c) y ^ c (y ^ d) ^ c d: who chose holds c (y ^ d) ^ v, the other the rest."""
    choices, chosen, zeros = pairs
    ahead = choices & heard[0]
    ahead ^= chosen
    behind = own[1] & heard[1]
    behind ^= zeros
    return ahead, behind


register("cross.settle", settle, settle, "one word of products")
