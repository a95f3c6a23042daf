"""Loops that are worth compiling, written so that they also run as plain Python.

Each works on arrays that its caller has made and takes the same path for every secret, except
`route`, which runs at the party that knows the permutation and sends nothing while it runs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "gilboa_receive",
    "gilboa_receive_wide",
    "gilboa_send",
    "gilboa_send_wide",
    "route",
    "transpose_halves",
]

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


def gilboa_send_wide(
    zeros: Words, ones: Words, factors: Words, packed: Words, share: Words
) -> None:
    """The same mod 2^128: elements are two words, low and high."""
    word = np.uint64(64)
    for i in range(factors.shape[0]):
        base = 128 * i
        low_total = np.uint64(0)
        high_total = np.uint64(0)
        b_low = factors[i, 0]
        b_high = factors[i, 1]
        for t in range(64):
            shift = np.uint64(t)
            other = word - shift
            low = zeros[base + t, 0]
            high = zeros[base + t, 1]
            said_low = low + b_low
            said_high = high + b_high + np.uint64(said_low < low)
            taken = ones[base + t, 0]
            said_high = said_high - ones[base + t, 1] - np.uint64(said_low < taken)
            packed[i, 2 * t] = said_low - taken
            if t > 0:
                upper = zeros[base + 128 - t, 0]
                above = upper + b_low - ones[base + 128 - t, 0]
                said_high = ((said_high << shift) >> shift) | (above << other)
                high = (high << shift) | (low >> other)
                low = low << shift
                high_total += upper << other
            packed[i, 2 * t + 1] = said_high
            low_total += low
            high_total += high + np.uint64(low_total < low)
        packed[i, 128] = zeros[base + 64, 0] + b_low - ones[base + 64, 0]
        high_total += zeros[base + 64, 0]
        share[i, 0] = np.uint64(0) - low_total
        share[i, 1] = np.uint64(0) - high_total - np.uint64(low_total > np.uint64(0))


def gilboa_receive_wide(chosen: Words, factors: Words, packed: Words, share: Words) -> None:
    """The other shares of the same products mod 2^128."""
    word = np.uint64(64)
    one = np.uint64(1)
    zero = np.uint64(0)
    for i in range(factors.shape[0]):
        base = 128 * i
        a_low = factors[i, 0]
        a_high = factors[i, 1]
        low_total = zero
        high_total = chosen[base + 64, 0] + (packed[i, 128] & (zero - (a_high & one)))
        for t in range(64):
            shift = np.uint64(t)
            other = word - shift
            mask = zero - ((a_low >> shift) & one)
            said = packed[i, 2 * t + 1]
            added = packed[i, 2 * t] & mask
            low = chosen[base + t, 0] + added
            high = chosen[base + t, 1] + (said & mask) + np.uint64(low < added)
            if t > 0:
                masked = (said >> other) & (zero - ((a_high >> other) & one))
                high_total += (chosen[base + 128 - t, 0] + masked) << other
                high = (high << shift) | (low >> other)
                low = low << shift
            low_total += low
            high_total += high + np.uint64(low_total < low)
        share[i, 0] = low_total
        share[i, 1] = high_total
