"""The field of p = 2^61 - 1 elements: arithmetic, shares, and the test whether a share is zero.

What       zero_test opens r z for shared z and a fresh shared random r: it is 0 where z is, and a
           uniform other element where not, so that nothing opens but that one bit a value.
Against    honest-but-curious parties, n - 1 of whom may collude. r is a sum of all parties' coins
           and known to none; what OT hands over is masked by a fresh random element.
Rounds     3 for every 2^14 values: the transfers, their corrections, the products.
Bytes      to each peer 61 transfers and 61 * 8 of corrections a value, and 8 for its product.
Error      r = 0 mod p, which tells a value that is not zero as zero, has probability below 2^-59;
           masks are 128 bits reduced mod p: at a distance of 2^-121 from uniform elements.
Source     Gilboa, CRYPTO 1999, section 4.1, with a payload in the field.

Why a field: in Z_2^k the opened r z shows how often 2 divides z, because it divides r z at least as
often: 1 is told from 2, though neither is zero. Every element of a field but 0 has an inverse, so
r z is uniform. Shares of Z_2^64 are no shares mod p: a value must be shared here from the outset.
An element is a uint64 below p. Everything local takes the same time for every secret.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from protocols.abort import Suspected
from protocols.exchange import broadcast, exchange
from protocols.kernels.prime import PRIME, PRIME_BITS, multiply
from protocols.kernels.registry import register
from protocols.oblivious_transfer import TRANSFERS_MAX, blocks, random_ot
from protocols.party import Compute, Expect, Party, Protocol, Says, Seat
from protocols.randomness import Randomness

__all__ = [
    "PRIME",
    "ROUNDS",
    "add",
    "from_ints",
    "mul",
    "negate",
    "reduce",
    "sub",
    "uniform",
    "zero_test",
]

ROUNDS = (
    Says("extend", to="one", size="as random_ot, 61 transfers a value"),
    Says("adjust", to="one", size="488 a value"),
    Says("product", to="all", size="8 a value"),
)

Words = npt.NDArray[np.uint64]
Bits = npt.NDArray[np.uint8]
MODULUS = np.uint64(PRIME)
VALUES_A_BLOCK = TRANSFERS_MAX // 64
MASK_WORDS = 2  # of a random string that becomes an element


# ---- arithmetic ----------------------------------------------------------------------------------


def _below(x: Words) -> Words:
    """x in [0, 2p) brought below p, without a branch."""
    over: Words = x - (MODULUS & (np.uint64(0) - (x >= MODULUS).astype(np.uint64)))
    return over


def add(x: Words, y: Words) -> Words:
    """x + y of elements; shapes broadcast."""
    return _below(x + y)


def negate(x: Words) -> Words:
    """-x of elements."""
    return _below(MODULUS - x)


def sub(x: Words, y: Words) -> Words:
    """x - y of elements; shapes broadcast."""
    return _below(x + (MODULUS - y))


def mul(x: Words, y: Words) -> Words:
    """x * y of elements; shapes broadcast."""
    return multiply(*np.broadcast_arrays(x, y))


def from_ints(values: Sequence[int]) -> Words:
    """Integers of either sign, mod p."""
    return np.array([int(value) % PRIME for value in values], dtype=np.uint64)


def reduce(words: Words) -> Words:
    """(..., 2) words, the lower first, as elements: 2^64 = 8 mod p.

    Of uniform words the result is at a distance of 2^-121 from a uniform element: no rejection.
    """
    low, high = (_fold(words[..., k]) for k in range(2))
    return add(low, _turned(high, 3))


def uniform(rand: Randomness, shape: tuple[int, ...]) -> Words:
    """Elements from the next coins of this stream, two words each."""
    return reduce(rand.words((*shape, MASK_WORDS)))


def _fold(x: Words) -> Words:
    """Any word as an element."""
    return _below((x & MODULUS) + (x >> np.uint64(PRIME_BITS)))


def _turned(x: Words, places: int) -> Words:
    """x * 2^places of elements, places below 61: a rotation of 61 bits."""
    if places == 0:
        return x
    low: Words = (x << np.uint64(places)) & MODULUS
    return low | (x >> np.uint64(PRIME_BITS - places))


# ---- the test ------------------------------------------------------------------------------------


def zero_test(seat: Seat, z: Words) -> Protocol[Bits]:
    """Public bits (m,): whether each shared element is zero. Opens these bits to every party.

    z  uint64 (m,), additive shares mod p
    Raises Suspected naming a peer that says no elements.
    """
    parts = [np.zeros(0, dtype=np.uint8)]
    for block in blocks(len(z), VALUES_A_BLOCK):
        share = yield from _randomised(seat, z[block])
        shares = yield from broadcast(seat, "product", share)
        total = np.zeros_like(share)
        for party in seat.parties:
            total = add(total, _elements(party, shares[party]))
        parts.append((total == 0).astype(np.uint8))
    return np.concatenate(parts)


def _elements(party: Party, said: Words) -> Words:
    if np.any(said >= MODULUS):
        raise Suspected(party, "a number that it says is no element of the field")
    return said


def _randomised(seat: Seat, z: Words) -> Protocol[Words]:
    """Shares of r z, r the sum of all parties' own: one OT for each bit of r_i toward each z_j."""
    count, peers = len(z) * PRIME_BITS, seat.peers
    coins = seat.rand.bits((count,))
    pads = yield from random_ot(seat, count, MASK_WORDS, dict.fromkeys(peers, coins), peers)
    share, *offers = yield [
        Compute("field.own", (coins, z), len(z)),
        *(Compute("field.offer", (pads.zeros[peer], pads.ones[peer], z), len(z)) for peer in peers),
    ]
    says = {peer: said for peer, (said, _) in zip(peers, offers, strict=True)}
    heard = yield from exchange("adjust", says, peers, Expect("uint64", (count,)))
    arrived = yield [
        Compute("field.receive", (pads.chosen[peer], _elements(peer, heard[peer]), coins), len(z))
        for peer in peers
    ]
    for (_, kept), received in zip(offers, arrived, strict=True):
        share = add(share, sub(received, kept))
    total: Words = share
    return total


def _own(coins: Bits, z: Words) -> Words:
    """r_i z_i, where r_i has these bits."""
    return _weighed(np.repeat(z, PRIME_BITS) & _masks(coins))


def _offer(zeros: Words, ones: Words, z: Words) -> tuple[Words, Words]:
    """What the sender says for each bit, z_0 + z - z_1, and what it takes off its share."""
    pads = reduce(zeros)
    return sub(add(pads, np.repeat(z, PRIME_BITS)), reduce(ones)), _weighed(pads)


def _receive(chosen: Words, said: Words, coins: Bits) -> Words:
    """The receiver's share: of each bit z_0 + bit * z."""
    return _weighed(add(reduce(chosen), said & _masks(coins)))


def _masks(coins: Bits) -> Words:
    return np.uint64(0) - coins.astype(np.uint64)


def _weighed(flat: Words) -> Words:
    """The sum of digit t times 2^t, of each 61 digits in order."""
    digits = np.ascontiguousarray(flat.reshape(-1, PRIME_BITS).T)
    total = np.zeros(digits.shape[1], dtype=np.uint64)
    for place, digit in enumerate(digits):
        total = add(total, _turned(digit, place))
    return total


register("field.own", _own, _own, "one value")
register("field.offer", _offer, _offer, "one value")
register("field.receive", _receive, _receive, "one value")
