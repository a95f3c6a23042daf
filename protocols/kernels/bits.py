"""Bits in words: packing, and the transposition of bit matrices.

Bit b of a row lies in word b // 64 at place b % 64 (little-endian throughout). The transposition
swaps ever smaller squares of each 64 x 64 block (Warren, Hacker's Delight, 7-3); the compiled loop
does eight blocks abreast and gives the same bytes as the NumPy twin.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.kernels.compiling import compiled
from protocols.kernels.registry import register

__all__ = ["pack", "slice_words", "transpose", "transpose_portable", "unpack", "words_for"]

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
SIDE = 64
SMALL_WORDS = 512  # up to here loading the compiler costs more than it saves
MASKS = (
    (32, 0x00000000FFFFFFFF),
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def words_for(bits: int) -> int:
    """How many words hold so many bits."""
    return -(-bits // SIDE)


def pack(bits: Bits) -> Words:
    """Bits along the last axis, (..., n) to (..., ceil(n / 64)) words; zeros fill the last."""
    count = bits.shape[-1]
    padded = np.zeros((*bits.shape[:-1], SIDE * words_for(count)), dtype=np.uint8)
    padded[..., :count] = bits
    octets = np.packbits(padded, axis=-1, bitorder="little")
    return octets.view("<u8").astype(np.uint64, copy=False)


def unpack(words: Words, count: int) -> Bits:
    """The first `count` bits along the last axis, each 0 or 1 in a uint8."""
    octets = np.ascontiguousarray(words).astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=count, bitorder="little")


def transpose(matrix: Words) -> Words:
    """128 rows of n bits, (128, n / 64) words, to n rows of 128 bits, (n, 2) words."""
    assert matrix.shape[0] == 2 * SIDE
    if matrix.shape[1] <= SMALL_WORDS:
        return transpose_portable(matrix)
    out = np.empty((SIDE * matrix.shape[1], 2), dtype=np.uint64)
    compiled("transpose_halves")(np.ascontiguousarray(matrix), out)
    return out


def transpose_portable(matrix: Words) -> Words:
    """The same bytes as `transpose`, by NumPy alone."""
    width = matrix.shape[1]
    blocks = swap_squares(matrix.reshape(2, SIDE, width).copy())
    return np.ascontiguousarray(blocks.transpose(2, 1, 0)).reshape(SIDE * width, 2)


def swap_squares(blocks: Words) -> Words:
    """Transposes 64 x 64 blocks in place: axis 1 counts rows, a word holds a row of a block."""
    parts, _, width = blocks.shape
    for distance, mask in MASKS:
        view = blocks.reshape(parts, SIDE // (2 * distance), 2, distance, width)
        upper, lower = view[:, :, 0], view[:, :, 1]
        swap = ((upper >> np.uint64(distance)) ^ lower) & np.uint64(mask)
        lower ^= swap
        upper ^= swap << np.uint64(distance)
    return blocks


def slice_words(values: Words, bits: int) -> Words:
    """Bit slices of numbers: (m,) words to (bits, ceil(m / 64)); slice b holds all bits b."""
    width = words_for(len(values))
    padded = np.zeros(SIDE * width, dtype=np.uint64)
    padded[: len(values)] = values
    blocks = swap_squares(np.ascontiguousarray(padded.reshape(1, width, SIDE).transpose(0, 2, 1)))
    return blocks[0, :bits]


register("bits.transpose", transpose, transpose_portable, "one row of 128 bits")
