"""From a family's wishes to units: cells with bounds, and the checks that guard them.

A family says which sums it needs (products of factors over complete rows). The draft adds what
the thresholds ask for: the number of persons, of members with rows, and, whenever sums are split
by levels, the count of *every* combination of those levels, also of the ones that never open but
follow by subtraction, and likewise the count of every value of a whole number whose few values
follow from the sums of its powers. Such cells are hidden: compared on shares, never opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

from protocols.disclosure.threshold import DEGREES, MEMBERS, PERSONS, Check, Thresholds
from protocols.statistics.encoding import Encoding, encoding_of
from protocols.statistics.plan import (
    FEATURE_BITS,
    NUMERIC,
    POOLED,
    RING_BITS,
    Bin,
    Cell,
    ColumnFacts,
    ColumnKey,
    Factor,
    Factors,
    Feature,
    Level,
    Plan,
    PlanRefused,
    Power,
    Term,
    Unit,
    make_feature,
)

__all__ = ["COMBINATIONS_MAX", "Draft", "canonical", "encodings_of", "joined"]

COMBINATIONS_MAX = 4096  # cells of one cross of levels; more are too few persons each anyway
WHOLE_LEVELS_MAX = 64  # a whole-number column with more values is no category
LINKED_FEATURE_BITS_MIN = 30  # fewer leave too little of a value to be worth opening
SQUARES_GIVE = 3  # values whose counts follow from n, the sum and the sum of squares
LEFT_OUT = "left_out"


def canonical(factors: Iterable[Factor]) -> Factors | None:
    """One spelling for each product; None where two levels of one column make it zero."""
    powers: dict[ColumnKey, int] = {}
    marks: set[Level | Bin] = set()
    for factor in factors:
        if isinstance(factor, Power):
            powers[factor.key] = powers.get(factor.key, 0) + factor.exponent
        else:
            marks.add(factor)
    levels = [mark for mark in marks if isinstance(mark, Level)]
    if len({level.key for level in levels}) < len(levels):
        return None
    bins = [mark for mark in marks if isinstance(mark, Bin)]
    return (
        *sorted(levels),
        *sorted(bins),
        *(Power(key, powers[key]) for key in sorted(powers) if powers[key]),
    )


def joined(fixed: Factors, factors: Factors) -> Factors:
    """The product of two that do not exclude each other."""
    product_ = canonical((*fixed, *factors))
    assert product_ is not None, "two levels of one column"
    return product_


@dataclass(frozen=True, slots=True)
class Draft:
    """What a family is given to plan with. `facts` goes by the words of the study."""

    name: str
    kind: str
    parameters: Mapping[str, Any]
    facts: Mapping[str, ColumnFacts]
    thresholds: Thresholds
    rows_max: int
    linked: bool
    aliases: tuple[str, ...]
    encodings: Mapping[ColumnKey, Encoding]

    # columns

    def column(self, word: object) -> ColumnFacts:
        """The facts of the column that the study calls so. Raises PlanRefused for another word."""
        if not isinstance(word, str) or word not in self.facts:
            raise PlanRefused(f"the column {word} is not among the study's columns", "its name")
        return self.facts[word]

    def label(self, key: ColumnKey) -> str:
        """The column's name, with its alias where two columns of one name are in use."""
        alike = {facts.key for facts in self.facts.values() if facts.key[1] == key[1]}
        return key[1] if len(alike) == 1 else f"{key[0]}.{key[1]}"

    def levels(self, facts: ColumnFacts) -> tuple[tuple[int, str], ...]:
        """(code, name) of each level in dictionary order; whole numbers are their own codes."""
        name = facts.key[1]
        if facts.type == "boolean":
            return ((0, "false"), (1, "true"))
        if facts.type == "category":
            return tuple(enumerate(facts.levels))
        if facts.type == "integer" and facts.minimum is not None and facts.maximum is not None:
            low, high = int(facts.minimum), int(facts.maximum)
            if high - low < WHOLE_LEVELS_MAX:
                return tuple((code, str(code)) for code in range(low, high + 1))
        raise PlanRefused(
            f"the column {name} has no levels: it is of type {facts.type}",
            f"a category, a boolean or an integer with at most {WHOLE_LEVELS_MAX} values",
        )

    def few_values(self, facts: ColumnFacts, most: int) -> frozenset[ColumnKey]:
        """The column, if it is a whole number of so few values that so many sums give its table.

        n and the first k powers determine the counts of k + 1 values: who opens them opens the
        counts, and must pass as for a table of counts.
        """
        if facts.type != "integer" or facts.minimum is None or facts.maximum is None:
            return frozenset()
        few = int(facts.maximum) - int(facts.minimum) < most
        return frozenset((facts.key,) if few else ())

    def level_name(self, level: Level) -> str:
        """The dictionary's name of a level."""
        facts = next(facts for facts in self.facts.values() if facts.key == level.key)
        return dict(self.levels(facts))[level.code]

    # cells

    def count(self, factors: Factors, complete: tuple[ColumnKey, ...], members: bool) -> Cell:
        """The number of persons (or with `members` of members) with this in a complete row."""
        cell = self.cell(factors, complete)
        name = "members with rows" if members else cell.name
        return Cell(name, cell.factors, cell.terms, cell.scale, cell.bound, cell.row_error, members)

    def cell(self, factors: Factors, complete: tuple[ColumnKey, ...]) -> Cell:
        """The sum of the product of `factors` over the rows complete in `complete`."""
        features = self._features(factors, complete)
        bound = prod(feature.bound for feature in features)
        reach = prod((f.bound + f.error for f in features), start=Fraction(1))
        unscaled = prod(
            (self.encodings[f.key].scale ** f.exponent for f in factors if isinstance(f, Power)),
            start=Fraction(1),
        )
        scale = Fraction(2 ** sum(feature.shift for feature in features)) / unscaled
        term = Term(1, features)
        return Cell(
            self.cell_name(factors), factors, (term,), scale, bound, reach - bound, of_members=False
        )

    def cell_name(self, factors: Factors) -> str:
        """A sum for people: `sum age^2 [sex=female]`, or `n` for a count."""
        powers = [f for f in factors if isinstance(f, Power)]
        marks = [f for f in factors if not isinstance(f, Power)]
        what = " * ".join(
            self.label(p.key) + (f"^{p.exponent}" if p.exponent > 1 else "") for p in powers
        )
        where = ", ".join(self._mark_name(mark) for mark in marks)
        return (f"sum {what}" if what else "n") + (f" [{where}]" if where else "")

    def _mark_name(self, mark: Level | Bin) -> str:
        if isinstance(mark, Level):
            return f"{self.label(mark.key)} = {self.level_name(mark)}"
        return f"{self.label(mark.key)} {mark.low:g} to {mark.high:g}"

    def _features(self, factors: Factors, complete: tuple[ColumnKey, ...]) -> tuple[Feature, ...]:
        room = RING_BITS - self.rows_max.bit_length()
        if not self.linked:
            feature = make_feature(POOLED, factors, complete, self.encodings, room)
            self._enough(feature, len([f for f in factors if isinstance(f, Power)]), factors)
            return (feature,)
        busy = {f.key[0] for f in factors if isinstance(f, Power)}
        share = (room - len(self.aliases)) // max(1, len(busy)) - 1
        features = tuple(
            make_feature(
                alias,
                tuple(f for f in factors if f.key[0] == alias),
                tuple(key for key in complete if key[0] == alias),
                self.encodings,
                min(FEATURE_BITS - 1, share),
            )
            for alias in self.aliases
        )
        for feature in features:
            self._enough(feature, 1, factors)
        return features

    def _enough(self, feature: Feature, columns: int, factors: Factors) -> None:
        if not feature.shift or feature.bound.bit_length() >= LINKED_FEATURE_BITS_MIN * columns:
            return
        names = ", ".join(sorted({self.label(f.key) for f in factors}))
        raise PlanRefused(
            f"sums of products of {names} do not fit the arithmetic for {self.rows_max} rows",
            f"closer bounds or fewer decimals for {names}, a smaller rows_max, or fewer columns",
        )

    # checks

    def cell_check(self, cells: Sequence[int], what: str) -> Check:
        """The sum of these cells is zero, where zeros may show, or at least the minimum cell."""
        least = self.thresholds.minimum_cell
        zero = self.thresholds.zeros == "show"
        return Check(tuple(cells), least, zero, PERSONS, f"{least} persons {what}")

    def cohort_check(self, cells: Sequence[int], where: str = "with complete rows") -> Check:
        """Persons enough for a statistic, and for a cell if that asks for more; never none."""
        least = max(self.thresholds.minimum_cohort, self.thresholds.minimum_cell, 1)
        return Check(tuple(cells), least, False, PERSONS, f"{least} persons {where}")

    def parameter_check(self, cell: int, parameters: int) -> Check:
        """Rows enough for a model's parameters, and enough of them left over."""
        left = self.thresholds.minimum_cell
        rows = max(self.thresholds.rows_for(parameters), parameters + left)
        wanted = (
            f"{rows} complete rows for the {parameters} parameters of the model: use fewer terms"
        )
        return Check((cell,), rows, False, DEGREES, wanted)

    # units

    def unit(
        self,
        name: str,
        complete: tuple[ColumnKey, ...],
        sums: Iterable[Factors],
        *,
        fixed: Factors = (),
        parameters: int = 0,
        persons: int = 0,
        crossed: Iterable[frozenset[ColumnKey]] = (),
    ) -> Unit:
        """A unit that opens n (its first cell) and the given sums of the rows with `fixed`.

        Each set of columns in `crossed`, and each that occurs in one of the sums, is tested for
        the smallest count of any combination of its levels. `parameters` of a model, if any;
        `persons` if its sums need more of them than the thresholds ask for.
        """
        wanted = dict.fromkeys((fixed, *sums))
        opened = [self.cell(factors, complete) for factors in wanted]
        places = {cell.factors: index for index, cell in enumerate(opened)}
        hidden: list[Cell] = []
        where = "in the group: unite levels" if fixed else "with complete rows"
        checks = [self.cohort_check((0,), where)]
        for combination in self._combinations(wanted, fixed, crossed):
            if combination not in places:
                places[combination] = len(places)
                hidden.append(self.count(combination, complete, members=False))
            checks.append(self.cell_check((places[combination],), cell_advice(combination, fixed)))
        if persons:
            wanted_words = f"{persons} persons for sums of so many powers"
            checks.append(Check((0,), persons, False, PERSONS, wanted_words))
        if parameters:
            checks.append(self.parameter_check(0, parameters))
        if not self.linked:
            checks.append(self._members_check(len(opened) + len(hidden)))
            hidden.append(self.count((), complete, members=True))
        return Unit(name, (*opened, *hidden), len(opened), tuple(checks))

    def _members_check(self, cell: int) -> Check:
        least = self.thresholds.minimum_members
        return Check((cell,), least, False, MEMBERS, f"{least} members with at least one row")

    def _combinations(
        self,
        sums: Iterable[Factors],
        fixed: Factors,
        crossed: Iterable[frozenset[ColumnKey]],
    ) -> list[Factors]:
        held = {mark.key for mark in fixed if isinstance(mark, Level)}
        sets = {
            frozenset(f.key for f in factors if isinstance(f, Level)) - held for factors in sums
        }
        sets |= {keys - held for keys in crossed}
        largest = [keys for keys in sets if keys and not any(keys < other for other in sets)]
        found: dict[Factors, None] = {}
        for keys in sorted(largest, key=sorted):
            for combination in product(*(self._marks(key) for key in sorted(keys))):
                found[joined(fixed, combination)] = None
            if len(found) > COMBINATIONS_MAX:
                names = ", ".join(self.label(key) for key in sorted(keys))
                raise PlanRefused(
                    f"the levels of {names} make more than {COMBINATIONS_MAX} cells",
                    "fewer columns, or united levels",
                )
        return list(found)

    def _marks(self, key: ColumnKey) -> list[Level]:
        facts = next(facts for facts in self.facts.values() if facts.key == key)
        return [Level(key, code) for code, _ in self.levels(facts)]

    def left_out(
        self,
        complete: tuple[ColumnKey, ...],
        *,
        name: str = LEFT_OUT,
        base: tuple[ColumnKey, ...] = (),
        fixed: Factors = (),
        kept: Sequence[Factors] = (),
    ) -> Unit:
        """The unit of one cell: rows complete in `base` that the statistic leaves out.

        `kept` are the disjoint parts that it keeps; by default all rows complete in `complete`.
        """
        whole = self.cell(fixed, base)
        parts = [self.cell(factors, complete) for factors in kept or (fixed,)]
        terms = (
            *whole.terms,
            *(Term(-1, term.features) for part in parts for term in part.terms),
        )
        cell = Cell("persons left out", fixed, terms, Fraction(1), 1, Fraction(0), of_members=False)
        return Unit(name, (cell,), 1, (self.cell_check((0,), "left out"),))

    def plan(self, units: Sequence[Unit], question: Any) -> Plan:
        """The finished plan over these units; `question` is the family's own record."""
        facts = {facts.key: facts for facts in self.facts.values()}
        return Plan(
            self.name,
            self.kind,
            self.linked,
            self.aliases,
            self.rows_max,
            tuple(facts[key] for key in sorted(facts)),
            self.encodings,
            tuple(units),
            question,
        )


def encodings_of(facts: Iterable[ColumnFacts]) -> dict[ColumnKey, Encoding]:
    """The encoding of each column that has numbers and bounds. Raises PlanRefused by its name."""
    return {
        column.key: _encoding(column)
        for column in facts
        if column.type in NUMERIC and column.minimum is not None and column.maximum is not None
    }


def _encoding(facts: ColumnFacts) -> Encoding:
    assert facts.minimum is not None
    assert facts.maximum is not None
    try:
        return encoding_of(facts.type, facts.minimum, facts.maximum, facts.decimals)
    except ValueError as fault:
        raise PlanRefused(
            f"the column {facts.key[1]} does not fit the arithmetic: {fault}",
            f"closer minimum and maximum for {facts.key[1]} in the dictionary",
        ) from fault


def cell_advice(combination: Factors, fixed: Factors) -> str:
    """What a person could ask for instead when a combination of levels is too small."""
    if len(combination) - len(fixed) == 1:
        return "in every group: unite levels or ask for fewer"
    return "in every cell: use fewer or wider bins, or unite levels"
