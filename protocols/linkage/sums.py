"""Sums over linked rows: for each cell, own feature times shared features, added over the rows.

A cell is the sum over the leader's bins of

    own[:, i] * product over the other aliases of shared[alias][:, j]

where the leader knows `own` in the clear with public widths and the rest is shared. With one other
alias this is one `cross_sums`; with more, the products of shared features are made first, each
distinct one once, by `multiply`. An alias that a cell does not name counts with its feature 0 (one
on rows that count), since tables are joined by an inner join.

Against whom: honest but curious parties, any n - 1 of them. Nothing opens.
Rounds: those of `cross_sums`, and of one `multiply` for each alias after the first other one.
Bytes: one ring element a bin and distinct product, and `cross_sums`.
Source: none of its own; `protocols.arithmetic` names those of its parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from protocols.arithmetic import cross_sums, multiply
from protocols.party import Party, Protocol, Seat
from protocols.ring import Ring

__all__ = ["LinkedCell", "linked_sums"]

Words = npt.NDArray[np.uint64]
LinkedCell: TypeAlias = tuple[int, Mapping[str, int]]  # own feature, and one a named other alias
Factors: TypeAlias = tuple[int, ...]  # the feature of each other alias, in sorted order


def linked_sums(
    seat: Seat,
    ring: Ring,
    leader: Party,
    own: npt.NDArray[np.int64] | None,
    widths: tuple[int, ...],
    shared: Mapping[str, Words],
    cells: Sequence[LinkedCell],
) -> Protocol[Words]:
    """Additive shares (cells, w) of the cells, among the group of `leader`.

    own     int64 (B, a) at the leader (`Cohort.place`), None elsewhere
    widths  public bits of each own feature: in [0, 2^width); -w for w bits with a sign
    shared  `Cohort.shared`: uint64 (B, c, w) for each other alias
    Raises ValueError for a cell that names a feature there is not.
    """
    aliases = sorted(shared)
    factors = [_factors(aliases, shared, cell, len(widths)) for cell in cells]
    distinct = sorted(set(factors))
    joined = yield from _products(seat, ring, [shared[alias] for alias in aliases], distinct)
    column = {factor: number for number, factor in enumerate(distinct)}
    pairs = tuple((cell[0], column[factor]) for cell, factor in zip(cells, factors, strict=True))
    return (yield from cross_sums(seat.fork("sums"), ring, leader, own, widths, joined, pairs))


def _factors(
    aliases: Sequence[str], shared: Mapping[str, Words], cell: LinkedCell, width: int
) -> Factors:
    factors = tuple(cell[1].get(alias, 0) for alias in aliases)
    within = all(
        0 <= factor < shared[alias].shape[1] for alias, factor in zip(aliases, factors, strict=True)
    )
    if not within or not 0 <= cell[0] < width or not set(cell[1]) <= set(aliases):
        raise ValueError(f"the cell {cell} names a feature that no table has")
    return factors


def _products(
    seat: Seat, ring: Ring, tables: Sequence[Words], distinct: Sequence[Factors]
) -> Protocol[Words]:
    """uint64 (B, distinct, w): the product of the shared features of each distinct combination.

    Prefixes are multiplied once: (i, j) serves every (i, j, k).
    """
    prefixes = sorted({factors[:1] for factors in distinct})
    joined = tables[0][:, [factors[0] for factors in prefixes]]
    for depth in range(1, len(tables)):
        longer = sorted({factors[: depth + 1] for factors in distinct})
        left = joined[:, [prefixes.index(factors[:-1]) for factors in longer]]
        right = tables[depth][:, [factors[-1] for factors in longer]]
        joined = yield from multiply(seat.fork(f"join/{depth}"), ring, left, right)
        prefixes = longer
    return joined
