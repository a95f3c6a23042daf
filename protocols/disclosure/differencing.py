"""Differencing within one study: what two statistics over the same rows give away when subtracted.

Two statistics may each rest on persons enough and yet differ by one person: 228 persons described,
227 in a model because one has a value missing, and the one person's age is the difference of two
opened sums. `guarded` gives the later statistic hidden cells, the number of persons in whom the two
differ, and checks on them: nobody, or a minimum cell of persons, else the later one stays closed.
The cells are compared on shares like all others and never open; an earlier statistic of which
nothing opens closes no later one.

    U, V    rows over which sums open: complete in some columns, with some levels or in some bin
    values  of one column summed over both: |U| + |V| - 2 |U and V|, the persons in one of the two
    levels  of a statistic that opens level by level, beside any total: every level, since the total
            less those shown is the one hidden; likewise all who are outside a histogram's bins
    bins    of two histograms of a column: every bin of the edges of both together
    not     where both count levels alone and differ in who has a missing value: that the three
            persons without a weight are women can follow from two tables and is not stopped here;
            neither are more than two statistics combined, nor two studies, nor two tables (aliases)
            of the same data set

Against whom: whoever reads the answer, who may have chosen the statistics. Nothing here is secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise, product

from protocols.disclosure.threshold import DIFFERENCE, DIFFERS, Check, Thresholds
from protocols.statistics.draft import canonical
from protocols.statistics.plan import (
    POOLED,
    Bin,
    Cell,
    ColumnKey,
    Factors,
    Feature,
    Level,
    Plan,
    PlanRefused,
    Power,
    Term,
    Unit,
)

__all__ = ["DIFFERENCES_MAX", "guarded"]

DIFFERENCES_MAX = 1 << 14  # hidden cells of one statistic; comparing them is 20 MB to each peer
PAIRS_MAX = 1 << 18  # of sets of rows that are looked at: seconds of public work at each party

Columns = frozenset[ColumnKey]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows over which sums open, and the columns whose values are summed."""

    complete: Columns
    marks: Factors
    summed: Columns


def guarded(plan: Plan, earlier: Sequence[Plan], thresholds: Thresholds) -> Plan:
    """The plan with a check for every earlier statistic that it could be subtracted from.

    `earlier` are the study's statistics before it. Raises PlanRefused when there are too many.
    """
    others = [one for one in earlier if (one.linked, one.aliases) == (plan.linked, plan.aliases)]
    before = [(one.name, sight) for one in others for sight in _sights(one)]
    mine = _sights(plan)
    pairs = sum(len(one.rows) for one in mine) * sum(len(one.rows) for _, one in before)
    units: list[Unit] = []
    for unit, sight in zip(plan.units, mine, strict=True) if pairs <= PAIRS_MAX else ():
        cells = {c: name for name, other in before for c in _differences(plan, sight, other)}
        units.append(_with_checks(unit, cells, thresholds))
    made = sum(len(unit.cells) for unit in units) - sum(len(unit.cells) for unit in plan.units)
    if pairs > PAIRS_MAX or made > DIFFERENCES_MAX:
        raise PlanRefused(
            f"{plan.name} could be subtracted in too many ways from the statistics before it",
            "fewer levels or bins, or a study of its own",
        )
    facts = {one.key: one for other in others for one in other.facts}
    facts |= {one.key: one for one in plan.facts}
    return replace(plan, units=tuple(units), facts=tuple(facts[key] for key in sorted(facts)))


def _with_checks(unit: Unit, cells: dict[Cell, str], thresholds: Thresholds) -> Unit:
    least, first = thresholds.minimum_cell, len(unit.cells)
    checks = tuple(
        Check(
            (first + place,),
            least,
            zero_passes=thresholds.zeros == "show" or not _by_level(cell),
            rule=DIFFERENCE,
            would_pass=f"nobody or {least} persons{DIFFERS}{name}",
            against=name,
        )
        for place, (cell, name) in enumerate(cells.items())
    )
    return replace(unit, cells=(*unit.cells, *cells), checks=(*unit.checks, *checks))


def _by_level(cell: Cell) -> bool:
    """Whether nobody in this cell means an empty level, which a policy may not show."""
    return any(isinstance(mark, Level) for mark in cell.factors)


# ---- which rows ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sight:
    """What a unit shows: sums over these rows.

    levels  where each level is a unit of its own: the marks of all of them, of which a total gives
            the last one back
    """

    rows: tuple[_Rows, ...]
    levels: tuple[Factors, ...]

    @property
    def total(self) -> bool:
        return any(not one.marks for one in self.rows)


def _sights(plan: Plan) -> list[_Sight]:
    rows = [_rows_of(unit) for unit in plan.units]
    fixed = [_fixed(one) for one in rows]
    levels = tuple(sorted({marks for marks in fixed if marks}, key=repr))
    return [
        _Sight(tuple(one), levels if marks else ()) for one, marks in zip(rows, fixed, strict=True)
    ]


def _rows_of(unit: Unit) -> list[_Rows]:
    """Of persons left out, a difference, the rows it is taken from: their number follows."""
    found: dict[tuple[Columns, Factors], Columns] = {}
    for cell in unit.opened:
        complete = frozenset(key for f in cell.terms[0].features for key in f.complete)
        marks = tuple(f for f in cell.factors if not isinstance(f, Power))
        summed = frozenset(f.key for f in cell.factors if isinstance(f, Power))
        found[complete, marks] = found.get((complete, marks), frozenset()) | summed
    return [_Rows(complete, marks, summed) for (complete, marks), summed in found.items()]


def _fixed(rows: Sequence[_Rows]) -> Factors:
    """The levels that all rows of a unit have."""
    marks = rows[0].marks
    return tuple(m for m in marks if isinstance(m, Level) and all(m in one.marks for one in rows))


# ---- hidden cells --------------------------------------------------------------------------------


def _differences(plan: Plan, one: _Sight, other: _Sight) -> Iterator[Cell]:
    """The hidden cells of one unit against a unit of an earlier statistic."""
    yield from _common_bins(plan, one.rows, other.rows)
    for mine, theirs in product(one.rows, other.rows):
        yield from _in_one_of(plan, mine, theirs)
    if other.total:
        yield from _rests(plan, one)
    if one.total:
        yield from _rests(plan, other)


def _in_one_of(plan: Plan, one: _Rows, other: _Rows) -> Iterator[Cell]:
    marks, summed = canonical((*one.marks, *other.marks)), one.summed & other.summed
    if not summed or marks is None or (one.complete, one.marks) == (other.complete, other.marks):
        return
    both = _Rows(one.complete | other.complete, marks, summed)
    parts = ((one, 1), (other, 1), (both, -1), (both, -1))
    yield _cell(plan, "persons in one of two", (), parts)


def _rests(plan: Plan, parts: _Sight) -> Iterator[Cell]:
    """What a total less the parts that are shown gives: a hidden level, those outside all bins."""
    complete = parts.rows[0].complete
    for marks in parts.levels:
        level = _Rows(complete, marks, frozenset())
        yield _cell(plan, "persons in a level", marks, ((level, 1),))
    bins = [mark for one in parts.rows for mark in one.marks if isinstance(mark, Bin)]
    if bins:
        last = max(bins, key=lambda one: one.high)
        united = (replace(last, low=min(one.low for one in bins)),)
        whole, inside = (_Rows(complete, marks, frozenset()) for marks in ((), united))
        yield _cell(plan, "persons outside the bins", united, ((whole, 1), (inside, -1)))


def _cell(plan: Plan, name: str, marks: Factors, parts: Sequence[tuple[_Rows, int]]) -> Cell:
    """A number of persons as a signed sum; `marks` tell the rest apart, if anything but values."""
    terms = tuple(_term(plan, rows, sign) for rows, sign in parts)
    return Cell(name, marks, terms, Fraction(1), 1, Fraction(0), of_members=False)


def _common_bins(plan: Plan, mine: Sequence[_Rows], theirs: Sequence[_Rows]) -> Iterator[Cell]:
    """The bins of two histograms' edges together that neither has, where one of them counts."""
    known = {mark for one in (*mine, *theirs) for mark in one.marks if isinstance(mark, Bin)}
    if not (_bins(mine) and _bins(theirs) and len({one.key for one in known}) == 1):
        return
    complete = mine[0].complete | theirs[0].complete
    for part, without in _pieces(known):
        if part in known and without is None:
            continue
        parts = [(_Rows(complete, (part,), frozenset()), 1)]
        if without is not None:
            parts.append((_Rows(complete, (without,), frozenset()), -1))
        yield _cell(plan, "persons in between", (part,), parts)


def _bins(rows: Sequence[_Rows]) -> bool:
    return any(isinstance(mark, Bin) for one in rows for mark in one.marks)


def _pieces(known: Set[Bin]) -> Iterator[tuple[Bin, Bin | None]]:
    """(bin, point to leave out) of all that follows by subtraction; a closed end is a case apart.

    A histogram's last bin holds its upper edge; where the other one goes on, the edge is a piece.
    """
    key = next(iter(known)).key
    top = max(one.high for one in known)
    tops = {one.high for one in known if one.closed and one.high < top}
    shared = {edge for one in known for edge in (one.low, *((one.high,) * (not one.closed)))}
    for low, high in pairwise(sorted({edge for one in known for edge in (one.low, one.high)})):
        if any(one.low <= low and high <= one.high for one in known):
            closed = high == top or (high in tops and high not in shared)
            without = Bin(key, low, low, closed=True) if low in tops else None
            yield Bin(key, low, high, closed), without
    for edge in sorted(tops & shared):
        yield Bin(key, edge, edge, closed=True), None


def _term(plan: Plan, rows: _Rows, sign: int) -> Term:
    owners = plan.aliases if plan.linked else (POOLED,)
    return Term(
        sign,
        tuple(
            Feature(
                owner,
                tuple(mark for mark in rows.marks if owner in (POOLED, mark.key[0])),
                tuple(sorted(key for key in rows.complete if owner in (POOLED, key[0]))),
                0,
                1,
                Fraction(0),
            )
            for owner in owners
        ),
    )
