"""Loops that are worth compiling, written so that they also run as plain Python.

Each works on arrays that its caller has made and takes the same path for every secret, except
`route`, which runs at the party that knows the permutation and sends nothing while it runs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["gilboa_receive", "gilboa_send", "route", "transpose_halves"]

Words = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint8]
ABREAST = 8  # blocks transposed side by side: one cache line of each row


def transpose_halves(matrix: Words, out: Words) -> None:
    """(128, width) words to (64 width, 2) words: see `protocols.kernels.bits`."""
    width = matrix.shape[1]
    block = np.empty((64, ABREAST), dtype=np.uint64)
    for half in range(2):
        for start in range(0, width, ABREAST):
            lanes = min(ABREAST, width - start)
            for row in range(64):
                for lane in range(lanes):
                    block[row, lane] = matrix[64 * half + row, start + lane]
            distance = 32
            mask = np.uint64(0x00000000FFFFFFFF)
            while distance > 0:
                shift = np.uint64(distance)
                for row in range(64):
                    if row & distance == 0:
                        for lane in range(ABREAST):
                            upper = block[row, lane]
                            lower = block[row + distance, lane]
                            swap = ((upper >> shift) ^ lower) & mask
                            block[row + distance, lane] = lower ^ swap
                            block[row, lane] = upper ^ (swap << shift)
                distance //= 2
                mask ^= mask << np.uint64(max(distance, 1))
            for lane in range(lanes):
                for row in range(64):
                    out[64 * (start + lane) + row, half] = block[row, lane]


def route(permutation: Counts, switches: Bits) -> None:
    """Sets the switches of a Benes network so that output o carries input permutation[o].

    permutation  (n,), n a power of two, at least 2; overwritten
    switches     (2 log2(n) - 1, n / 2), zero on entry: layer by layer, see `protocols.permutation`
    The looping algorithm of Opferman and Tsao-Wu (1971), level by level.
    """
    n = permutation.shape[0]
    layers = switches.shape[0]
    side = np.empty(n, dtype=np.int8)
    inverse = np.empty(n, dtype=np.int64)
    below = np.empty(n, dtype=np.int64)
    size = n
    level = 0
    while size > 2:
        half = size // 2
        last = layers - 1 - level
        for base in range(0, n, size):
            for o in range(size):
                inverse[base + permutation[base + o]] = o
                side[base + o] = -1
            for first in range(half):
                o = first
                while side[base + o] < 0:
                    side[base + o] = 0
                    partner = (o + half) % size
                    side[base + partner] = 1
                    o = inverse[base + (permutation[base + partner] + half) % size]
            for i in range(half):
                switches[level, base // 2 + i] = side[base + inverse[base + i]]
                crossed = side[base + i]
                switches[last, base // 2 + i] = crossed
                upper = i + half * crossed
                lower = i + half * (1 - crossed)
                below[base + i] = permutation[base + upper] % half
                below[base + half + i] = permutation[base + lower] % half
        for o in range(n):
            permutation[o] = below[o]
        size = half
        level += 1
    for base in range(0, n, 2):
        switches[level, base // 2] = permutation[base]


def gilboa_send(zeros: Words, ones: Words, factors: Words, packed: Words, share: Words) -> None:
    """Corrections and shares of products mod 2^64: see `protocols.kernels.gilboa`."""
    word = np.uint64(64)
    for i in range(factors.shape[0]):
        base = 64 * i
        b = factors[i]
        total = zeros[base] + (zeros[base + 32] << np.uint64(32))
        packed[i, 0] = zeros[base] + b - ones[base]
        for t in range(1, 32):
            shift = np.uint64(t)
            low = zeros[base + t]
            high = zeros[base + 64 - t]
            total += (low << shift) + (high << (word - shift))
            above = (high + b - ones[base + 64 - t]) << (word - shift)
            below = ((low + b - ones[base + t]) << shift) >> shift
            packed[i, t] = above | below
        middle = zeros[base + 32] + b - ones[base + 32]
        packed[i, 32] = middle & np.uint64(0xFFFFFFFF)
        share[i] = np.uint64(0) - total


def gilboa_receive(chosen: Words, factors: Words, packed: Words, share: Words) -> None:
    """The other shares of the same products."""
    word = np.uint64(64)
    one = np.uint64(1)
    zero = np.uint64(0)
    for i in range(factors.shape[0]):
        base = 64 * i
        a = factors[i]
        half = np.uint64(32)
        middle = chosen[base + 32] + (packed[i, 32] & (zero - ((a >> half) & one)))
        total = chosen[base] + (packed[i, 0] & (zero - (a & one))) + (middle << half)
        for t in range(1, 32):
            shift = np.uint64(t)
            other = word - shift
            said = packed[i, t]
            low = chosen[base + t] + (said & (zero - ((a >> shift) & one)))
            high = chosen[base + 64 - t] + ((said >> other) & (zero - ((a >> other) & one)))
            total += (low << shift) + (high << other)
        share[i] = total
