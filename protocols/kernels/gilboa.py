"""The local halves of Gilboa's products mod 2^64 or 2^128: OT strings to corrections and back.

The receiver chose with bit t of its factor a; the sender offers b 2^t, of which only the low
bits - t bits of b reach the ring. So the correction d_t = z0_t + b - z1_t is said mod
2^(bits - t), and that of t > bits / 2 stands above that of bits - t: in one word (two with 128
bits) from 1 to bits / 2 - 1, while those of 0 and bits / 2 stand alone. Packed so, a product takes
bits / 2 + 1/2 elements: 33 words, or 129.

Shares: the sender's -sum_t 2^t z0_t, the receiver's sum_t 2^t (chosen_t + a_t d_t). The compiled
loops take the same path for every secret; the twins by NumPy give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from protocols.kernels.compiling import compiled
from protocols.kernels.registry import register
from protocols.ring import Ring

__all__ = ["receive", "receive_portable", "send", "send_portable", "warm"]

Words = npt.NDArray[np.uint64]
WORD = 64
SMALL_PRODUCTS = 64  # up to here loading the compiler costs more than it saves


def send(zeros: Words, ones: Words, factors: Words) -> tuple[Words, Words]:
    """The sender: corrections (n, 33 or 129) and its shares (n, words) of the products.

    zeros, ones  (bits n, words): both strings of each OT, product by product, bit by bit
    factors      (n, words): its factor of each product
    """
    count, words = factors.shape
    if count <= SMALL_PRODUCTS:
        return send_portable(zeros, ones, factors)
    packed = np.empty((count, WORD * words // 2 * words + 1), dtype=np.uint64)
    share = np.empty((count, words), dtype=np.uint64)
    arguments = [np.ascontiguousarray(x) for x in (zeros, ones, factors)]
    _loop("gilboa_send", words)(*(_flat(x) for x in (*arguments, packed, share)))
    return packed, share


def receive(chosen: Words, factors: Words, packed: Words) -> Words:
    """The receiver's shares (n, words) of the products.

    chosen   (bits n, words): the string of each OT that a bit of its factor chose
    factors  (n, words): its factors; packed: what the sender said
    """
    count, words = factors.shape
    if count <= SMALL_PRODUCTS:
        return receive_portable(chosen, factors, packed)
    share = np.empty((count, words), dtype=np.uint64)
    arguments = [np.ascontiguousarray(x) for x in (chosen, factors, packed)]
    _loop("gilboa_receive", words)(*(_flat(x) for x in (*arguments, share)))
    return share


def warm() -> None:
    """Compile the loops of both rings."""
    for words in (1, 2):
        strings, factors = np.zeros((64 * words, words), np.uint64), np.zeros((1, words), np.uint64)
        packed, share = np.zeros((1, 32 * words * words + 1), np.uint64), np.zeros_like(factors)
        send_row = (strings, strings, factors, packed, share)
        _loop("gilboa_send", words)(*(_flat(x) for x in send_row))
        _loop("gilboa_receive", words)(*(_flat(x) for x in (strings, factors, packed, share)))


def _loop(name: str, words: int) -> Callable[..., None]:
    return compiled(name if words == 1 else f"{name}_wide")


def _flat(x: Words) -> Words:
    """A column of single words as a row of them."""
    return x[:, 0] if x.shape[1] == 1 else x


def send_portable(zeros: Words, ones: Words, factors: Words) -> tuple[Words, Words]:
    """The twin of `send` that compiles nothing."""
    ring, bits, shape = _shape(factors)
    low = zeros.reshape(shape)
    corrections = ring.sub(ring.add(low, factors[:, None]), ones.reshape(shape))
    share = ring.neg(ring.sum(_shifted(ring, low), axis=1))
    return _pack(ring, bits, corrections), share


def receive_portable(chosen: Words, factors: Words, packed: Words) -> Words:
    """The twin of `receive` that compiles nothing."""
    ring, bits, shape = _shape(factors)
    corrections = _unpack(ring, bits, packed)
    places = np.arange(bits)
    choices = factors[:, places // WORD] >> (places % WORD).astype(np.uint64) & np.uint64(1)
    masks = (np.uint64(0) - choices)[..., None]
    return ring.sum(_shifted(ring, ring.add(chosen.reshape(shape), corrections & masks)), axis=1)


def _shape(factors: Words) -> tuple[Ring, int, tuple[int, int, int]]:
    ring = Ring(factors.shape[1])
    return ring, ring.bits, (len(factors), ring.bits, ring.words)


def _shifted(ring: Ring, digits: Words) -> Words:
    """Digit t times 2^t: (n, bits, words)."""
    return ring.mul(digits, ring.from_ints([1 << t for t in range(ring.bits)]))


def _right(ring: Ring, x: Words, places: int) -> Words:
    """Elements (n, words) shifted right by a public number of bits below the ring's."""
    whole, part = divmod(places, WORD)
    low = x[:, whole:] >> np.uint64(part)
    if part:
        low[:, :-1] |= x[:, whole + 1 :] << np.uint64(WORD - part)
    return np.concatenate((low, ring.zeros((len(x),))[:, :whole]), axis=1)


def _pack(ring: Ring, bits: int, corrections: Words) -> Words:
    """(n, bits, words) to (n, 33 or 129): d_0, then d_t below d_(bits - t), then d_(bits / 2)."""
    half = bits // 2
    out = np.empty((len(corrections), half + 1, ring.words), dtype=np.uint64)
    out[:, 0] = corrections[:, 0]
    for t in range(1, half):
        mask = ring.from_ints([(1 << (bits - t)) - 1])
        above = ring.scale(corrections[:, bits - t], 1 << (bits - t))
        out[:, t] = (corrections[:, t] & mask) | above
    out[:, half] = corrections[:, half] & ring.from_ints([(1 << half) - 1])
    return out.reshape(len(out), (half + 1) * ring.words)[:, : half * ring.words + 1]


def _unpack(ring: Ring, bits: int, packed: Words) -> Words:
    """What `_pack` packed; bits of d_t above bits - t are left undefined."""
    half = bits // 2
    whole = np.zeros((len(packed), (half + 1) * ring.words), dtype=np.uint64)
    whole[:, : packed.shape[1]] = packed
    rows = whole.reshape(len(packed), half + 1, ring.words)
    out = np.empty((len(packed), bits, ring.words), dtype=np.uint64)
    out[:, : half + 1] = rows
    for t in range(1, half):
        out[:, bits - t] = _right(ring, rows[:, t], bits - t)
    return out


register("gilboa.send", send, send_portable, "one product")
register("gilboa.receive", receive, receive_portable, "one product")
