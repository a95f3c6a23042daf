"""Running sums and maxima over shared rows, also within segments that shared flags begin.

What       prefix_sums adds up all rows to this one; segmented_sums and segmented_maxima start anew
           at each row whose flag is 1 (the first row starts in any case). Row i joins the row that
           ends the block before its own, blocks of 1, 2, 4, ... rows (Sklansky's tree); rows that
           a flag parts are joined with zero.
Against    honest-but-curious parties, n - 1 of whom may collude: only values masked by triples and
           OT strings open on the way; flags, and so the number of segments, stay shared.
Rounds     prefix_sums 0. ceil(log2 N) levels of: segmented_sums those of `select` (n + 1, or of
           and_bits, 2 or 3, if more); segmented_maxima those of less_than, and_bits and select.
Bytes      N / 2 joins a level at most, each to each peer: segmented_sums those of select with one
           column and of an AND; segmented_maxima those of less_than, two ANDs and select.
Source     Sklansky 1960; segmented scans: Blelloch, CMU-CS-90-190, 1990, section 1.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.arithmetic import and_bits, select
from protocols.comparison import less_than
from protocols.kernels.bits import words_for
from protocols.party import Protocol, Says, Seat, together
from protocols.ring import Elements, Ring
from protocols.stock import Needs

__all__ = ["ROUNDS", "prefix_sums", "segmented_maxima", "segmented_sums", "segmented_sums_needs"]

ROUNDS = (
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("correct", to="one", size="8 words a transfer, at most 16 MiB"),
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
    Says("masked", to="all", size="1/4 a gate or 3/8 a pair, at most 16 MiB"),
    Says("shifted", to="all", size="8 a value, where a stock holds masks"),
)

Bits = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


def prefix_sums(ring: Ring, x: Elements) -> Elements:
    """Shares (N, ..., words) of the sums of rows 0 to i, each party by itself."""
    if ring.words == 1:
        total: Elements = np.cumsum(x, axis=0, dtype=np.uint64)
        return total
    total, span = x.copy(), 1
    while span < len(x):
        total[span:] = ring.add(total[span:], total[:-span])
        span *= 2
    return total


def segmented_sums(seat: Seat, ring: Ring, flags: Bits, x: Elements) -> Protocol[Elements]:
    """Shares (N, words) of the sums of rows from the last flagged row to i.

    flags (N,), XOR-shared; x (N, words), additively shared
    """
    total, joined = x.copy(), _joined(seat, flags)
    for level, (high, low) in enumerate(_joins(len(x))):
        drawing = replace(seat.fork(f"flags {level}"), stock=seat.stock)  # it alone draws
        protocols: dict[str, Protocol[npt.NDArray[Any]]] = {
            "flags": and_bits(drawing, joined[high], joined[low]),
            "sums": select(seat.fork(f"sums {level}"), ring, joined[high], total[low][:, None]),
        }
        made = yield from together(protocols)
        joined[high] = made["flags"]
        total[high] = ring.add(total[high], made["sums"][:, 0])
    return total


def segmented_sums_needs(rows: int) -> Needs:
    """What `segmented_sums` draws; its selects take random OTs beside it."""
    return Needs({"and": sum(words_for(len(high)) for high, _ in _joins(rows))})


def segmented_maxima(
    seat: Seat, ring: Ring, flags: Bits, x: Elements, bits: int
) -> Protocol[Elements]:
    """Shares (N, words) of the largest row from the last flagged row to i.

    flags (N,), XOR-shared; x (N, words), additively shared, in [-2^(bits - 1), 2^(bits - 1)),
    bits 1 to 63
    """
    largest, joined = x.copy(), _joined(seat, flags)
    for level, (high, low) in enumerate(_joins(len(x))):
        step = replace(seat.fork(f"maxima {level}"), stock=seat.stock)
        above = yield from less_than(step, ring, largest[high], largest[low], bits)
        both = yield from and_bits(
            step, np.stack((above, joined[low])), np.stack((joined[high], joined[high]))
        )
        rise = ring.sub(largest[low], largest[high])[:, None]
        gained = yield from select(step, ring, both[0], rise)
        joined[high] = both[1]
        largest[high] = ring.add(largest[high], gained[:, 0])
    return largest


def _joined(seat: Seat, flags: Bits) -> Bits:
    """Whether a row belongs with the one before it: not flagged."""
    return flags ^ np.uint8(seat.index == 0)


def _joins(rows: int) -> Iterator[tuple[Indices, Indices]]:
    """Level by level: the rows in the upper half of their block, and the last of the lower half."""
    places, span = np.arange(rows, dtype=np.int64), 1
    while span < rows:
        high = places[(places & span) > 0]
        yield high, (high & -span) - 1
        span *= 2
