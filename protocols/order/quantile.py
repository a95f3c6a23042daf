"""Pooled quantiles of any number of rows: bisection on a public grid.

What       For each quantile asked for, the least point p of a public grid with
           den * (rows <= p) >= num * (all rows): the order statistic of rank ceil(q N), rounded up
           to the grid (the inverse of the empirical distribution function; Hyndman and Fan's type
           1). A party's own count of rows at or under a point is its additive share of the pooled
           count, so rows never leave it and their number costs no message. Counts may be weighted.
           `neighbours` asks for the two order statistics that type 7 interpolates between.
Against    honest-but-curious parties, n - 1 of whom may collude.
Opens      for each quantile the bits [answer <= tested point] and nothing else. The pooled count
           never falls from a point to the next, so the condition, once true, stays true: each bit
           is whether the answer lies at or under the tested point, and which points are tested
           follows from the bits before and the public grid. So whoever is given the answer writes
           down all bits that open; N and the counts stay shared. That holds for each quantile by
           itself, hence for all side by side. Both neighbours open, also where only a value
           between them is wanted. An answer is some person's value, rounded up to the grid: the
           grid is the policy's. Quantiles 0 and 1 are refused unless the caller allows them; q
           near them is as bad where min(q, 1 - q) N is small: demand N >= k / min(q, 1 - q)
           beforehand, a threshold on N. With no rows at all the bits say so.
Rounds     levels * (c + 2 + ceil(log2(bits - 1))) and 2 draws of 1 for every 2^20 triples (of 2
           from three parties up), none where the stock holds them: levels =
           ceil(log_ways(points)), 20 or 5 for 2^20 points by 2 or 16 ways; c = 0, 1, 2, 3, 4, 5
           carry-save levels for 2, 3, 4, 5 to 6, 7 to 9, 10 parties; bits = log2(den * total) + 2
           at most.
Bytes      for each test what `tally.signs` takes (26 gates and 25 pairs for 27 bits and two
           parties), to each peer 1/4 or 3/8 and a triple; ways - 1 tests a level and quantile: 20
           or 75 for 2^20 points.
Error      none: integers throughout; den * total < 2^62, else refused.
Source     Aggarwal, Mishra, Pinkas, EUROCRYPT 2004, section 3 (k-th ranked element of several
           parties); counts compared as sums of the parties' own numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from protocols.abort import Inconsistent
from protocols.arithmetic import open_bits
from protocols.kernels.registry import register
from protocols.masked_sum import zero_bits
from protocols.order.tally import Gates, draw, signs, signs_gates
from protocols.party import Compute, Protocol, Says, Seat
from protocols.stock import Needs

__all__ = [
    "ABOVE",
    "BELOW",
    "INVERSE",
    "POINTS_MAX",
    "ROUNDS",
    "WAYS_MAX",
    "Grid",
    "Ladder",
    "Quantile",
    "interpolated",
    "ladder",
    "levels",
    "neighbours",
    "quantile_bits",
    "quantile_needs",
    "quantiles",
]

ROUNDS = (
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("masked", to="all", size="1/4 a gate or 3/8 a pair, at most 16 MiB"),
    Says("bits", to="all", size="1/8 a test, in whole words"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
INVERSE, BELOW, ABOVE = "inverse", "below", "above"
POINTS_MAX = 1 << 22  # a ladder of 32 MiB; a finer grid: ask again within the cell that came out
WAYS_MAX = 64  # tests of one level and quantile; more cost bytes and save no round
VALUE_BITS = 62  # den * total: a sum and its sign stay inside 64 bits
ROWS_A_BLOCK = 1 << 20  # of a ladder at a time: 8 MiB of grid places


@dataclass(frozen=True, slots=True)
class Grid:
    """Public points lowest, lowest + step, ...: where an answer may lie. Values beyond count at
    the outermost points. Raises ValueError for a grid that is none or outside 64 bits."""

    lowest: int
    step: int
    points: int

    def __post_init__(self) -> None:
        if not 1 <= self.points <= POINTS_MAX or self.step < 1:
            raise ValueError(
                f"a grid has 1 to {POINTS_MAX} points and a step of at least 1, not {self.points}"
                f" points and a step of {self.step}"
            )
        if not -(1 << 63) <= self.lowest <= self.highest < 1 << 63:
            raise ValueError("a grid's points lie within 64 bits")
        if self.highest - self.lowest >= 1 << 63:
            raise ValueError("a grid spans less than 2^63")

    @property
    def highest(self) -> int:
        """The last point."""
        return self.lowest + self.step * (self.points - 1)

    def value(self, place: int) -> int:
        """The point at a place."""
        return self.lowest + self.step * place


@dataclass(frozen=True, slots=True, repr=False)
class Ladder:
    """One party's own rows at or under each point: counts int64 (points,), rising; the last is all.

    Ladders of one grid add up, so rows may come in windows.
    """

    grid: Grid
    counts: Integers

    def __repr__(self) -> str:
        return f"Ladder({self.grid}, <redacted>)"

    def add(self, other: Ladder) -> Ladder:
        """The ladder of both windows' rows. Raises ValueError for another grid, or past 2^62."""
        if self.grid != other.grid:
            raise ValueError("ladders of two grids do not add up")
        _check_total(int(self.counts[-1]) + int(other.counts[-1]))
        return Ladder(self.grid, self.counts + other.counts)


@dataclass(frozen=True, slots=True)
class Quantile:
    """One question about a column: q = numerator / denominator, and which order statistic.

    INVERSE  rank ceil(q N), or 1; also for weights
    BELOW    rank floor((N - 1) q) + 1, for rows that count 1 each; ABOVE  ceil((N - 1) q) + 1
    """

    column: int
    numerator: int
    denominator: int
    side: str

    def __post_init__(self) -> None:
        if not 0 <= self.numerator <= self.denominator or self.denominator < 1:
            raise ValueError(
                f"a quantile lies from 0 to 1, not at {self.numerator} / {self.denominator}"
            )
        if self.side not in (INVERSE, BELOW, ABOVE):
            raise ValueError(
                f"an order statistic is {INVERSE}, {BELOW} or {ABOVE}, no {self.side!r}"
            )

    @property
    def extreme(self) -> bool:
        """Whether it is the least or the largest value."""
        return self.numerator in (0, self.denominator)

    @property
    def offset(self) -> int:
        """What is added to den * count - num * total before its sign is taken."""
        if self.side == INVERSE:
            return 0 if self.numerator else -1
        if self.side == BELOW:  # den count > num (total - 1)
            return self.numerator - 1
        return self.numerator - self.denominator  # den (count - 1) >= num (total - 1)


def neighbours(column: int, q: Fraction) -> tuple[Quantile, Quantile]:
    """The order statistics that `interpolated` needs."""
    below, above = (Quantile(column, q.numerator, q.denominator, side) for side in (BELOW, ABOVE))
    return below, above


def interpolated(below: int, above: int, q: Fraction, rows: int) -> Fraction:
    """Type 7, NumPy's "linear", of so many rows. For q = 1/2 any even or odd number of rows does:
    where N is odd both neighbours are one."""
    whole = (rows - 1) * q
    return below + (whole - whole.__floor__()) * (above - below)


# ---- a party's own rows --------------------------------------------------------------------------


def ladder(grid: Grid, values: Integers, weights: Integers | None) -> Protocol[Ladder]:
    """This party's ladder, counted by a kernel.

    values   int64 (rows,), any order, any number; weights int64 (rows,) >= 0, or None for 1 each
    Raises ValueError for other types or lengths, and for weights that add up to 2^62.
    """
    if values.dtype != np.int64 or values.ndim != 1:
        raise ValueError("rows of a ladder are int64, one value a row")
    if weights is not None and (weights.dtype != np.int64 or weights.shape != values.shape):
        raise ValueError("weights are int64, one a row")
    if weights is not None and np.any(weights < 0):
        raise ValueError("a weight is not negative")
    if weights is not None:
        low, high = weights & np.int64(0xFFFFFFFF), weights >> np.int64(32)
        _check_total((int(high.sum()) << 32) + int(low.sum()))  # exact below 2^31 rows
    (counts,) = yield [
        Compute("order.ladder", (grid.lowest, grid.step, grid.points, values, weights), len(values))
    ]
    return Ladder(grid, counts)


def _check_total(total: int) -> None:
    """A count that wrapped around would pass for a small one."""
    if total >= 1 << VALUE_BITS:
        raise ValueError(f"weights add up to {total}; a column takes less than 2^{VALUE_BITS}")


def _ladder(
    lowest: int, step: int, points: int, values: Integers, weights: Integers | None
) -> Integers:
    """Rows at or under each point: a histogram over the grid's places, then its running sums."""
    counts = np.zeros(points, dtype=np.int64)
    highest = lowest + step * (points - 1)
    for start in range(0, len(values), ROWS_A_BLOCK):
        block = slice(start, start + ROWS_A_BLOCK)
        places = np.clip(values[block], lowest, highest) - lowest
        if step > 1:
            places = -(-places // step)
        if weights is None:
            counts += np.bincount(places, minlength=points)
        else:
            np.add.at(counts, places, weights[block])
    return np.cumsum(counts)


def _ladder_portable(
    lowest: int, step: int, points: int, values: Integers, weights: Integers | None
) -> Integers:
    """The same by sorting and searching."""
    order = np.argsort(values, kind="stable")
    weighed = np.ones(len(values), np.int64) if weights is None else weights[order]
    running = np.concatenate(([0], np.cumsum(weighed)))
    at = lowest + step * np.arange(points, dtype=np.int64)
    counts: Integers = running[np.searchsorted(values[order], at, side="right")]
    counts[-1] = running[-1]
    return counts


register("order.ladder", _ladder, _ladder_portable, "one row")


# ---- the search ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Search:
    """One quantile's candidates: `size` places from `first`; the size is public, and so is all."""

    question: Quantile
    points: int
    size: int
    ways: int
    first: int = 0

    @property
    def step(self) -> int:
        return -(-self.size // self.ways)

    def tests(self) -> list[int]:
        """The places tested next: the last of each part of the candidates but the last part's."""
        lasts = range(self.first + self.step - 1, self.first + self.size - 1, self.step)
        return [min(place, self.points - 1) for place in lasts]

    def narrow(self, bits: list[int]) -> None:
        """Raises Inconsistent unless the bits rise once."""
        if sorted(bits) != bits:
            raise Inconsistent("", "the opened bits of a quantile contradict one another")
        self.first, self.size = self.first + self.step * (len(bits) - sum(bits)), self.step


def levels(points: int, ways: int) -> int:
    """Rounds of tests that a grid of so many points takes."""
    return len(_sizes(points, ways))


def _sizes(points: int, ways: int) -> list[int]:
    sizes = []
    while points > 1:
        sizes.append(points)
        points = -(-points // ways)
    return sizes


def quantile_bits(questions: Sequence[Quantile], total_max: int) -> int:
    """Bits of the numbers compared. Raises ValueError when they do not fit 64."""
    if total_max < 1:
        raise ValueError(f"a column has at least one row, not {total_max}")
    denominator = max((question.denominator for question in questions), default=1)
    most = denominator * (total_max + 1)
    if most >= 1 << VALUE_BITS:
        fits = (1 << VALUE_BITS) // denominator - 2
        raise ValueError(
            f"counts to {total_max} times a quantile's denominator of {denominator} exceed"
            f" 2^{VALUE_BITS}; what would fit: "
            + (f"counts to {fits}, or " if fits > 0 else "")
            + "a smaller denominator"
        )
    return most.bit_length() + 1


def quantile_needs(
    parties: int, points: Sequence[int], questions: Sequence[Quantile], total_max: int, ways: int
) -> Needs:
    """What `quantiles` draws, all at once; `points` of each column's grid."""
    return _gates(parties, points, questions, total_max, ways).needs


def _gates(
    parties: int, points: Sequence[int], questions: Sequence[Quantile], total_max: int, ways: int
) -> Gates:
    bits = quantile_bits(questions, total_max)
    sizes = [_sizes(points[question.column], ways) for question in questions]
    tests = sum(_tests(size, ways) for each in sizes for size in each)
    return signs_gates(parties, tests, bits)


def _tests(size: int, ways: int) -> int:
    return -(-size // -(-size // ways)) - 1


def quantiles(
    seat: Seat,
    ladders: Sequence[Ladder],
    questions: Sequence[Quantile],
    total_max: int,
    ways: int,
    extremes: bool,
) -> Protocol[list[int]]:
    """The answers, grid points, in the questions' order; to every party of the seat.

    ladders    this party's own, one a column; the same grids at every party
    total_max  public bound on all parties' rows (weights) of a column, at least 1
    ways       parts into which each level cuts the candidates, 2 to 64: more bytes, fewer rounds
    extremes   whether the least and the largest value may be asked for
    Raises ValueError for a quantile 0 or 1 that is not allowed and for bounds that do not fit.
    """
    bits = quantile_bits(questions, total_max)
    _check(ladders, questions, total_max, ways, extremes)
    grids = [each.grid for each in ladders]
    points = [grid.points for grid in grids]
    searches = [_Search(q, points[q.column], points[q.column], ways) for q in questions]
    gates = _gates(len(seat.parties), points, questions, total_max, ways)
    drawn = yield from draw(seat, gates)
    while active := [search for search in searches if search.size > 1]:
        own = np.concatenate([_own(seat, ladders, search) for search in active])
        under = yield from signs(seat, own, bits, drawn)
        masked = under ^ zero_bits(seat, len(under)) ^ np.uint8(seat.index == 0)
        _narrow(active, (yield from open_bits(seat, masked)).tolist())
    return [grids[s.question.column].value(min(s.first, s.points - 1)) for s in searches]


def _check(
    ladders: Sequence[Ladder],
    questions: Sequence[Quantile],
    total_max: int,
    ways: int,
    extremes: bool,
) -> None:
    if not 2 <= ways <= WAYS_MAX:
        raise ValueError(f"candidates are cut into 2 to {WAYS_MAX} parts, not {ways}")
    if any(not 0 <= question.column < len(ladders) for question in questions):
        raise ValueError("a quantile is asked for of a column that is not there")
    if not extremes and any(question.extreme for question in questions):
        raise ValueError("the least and the largest value are some person's: they are not opened")
    if any(int(each.counts[-1]) > total_max for each in ladders):
        raise ValueError(f"this party's own rows are more than the declared {total_max}")


def _own(seat: Seat, ladders: Sequence[Ladder], search: _Search) -> Words:
    """This party's share of den * count - num * total + offset at each tested point."""
    question, counts = search.question, ladders[search.question.column].counts
    own = question.denominator * counts[search.tests()] - question.numerator * counts[-1]
    if seat.index == 0:
        own = own + question.offset
    share: Words = own.view(np.uint64)
    return share


def _narrow(active: Sequence[_Search], bits: list[int]) -> None:
    start = 0
    for search in active:
        count = len(search.tests())
        search.narrow(bits[start : start + count])
        start += count
