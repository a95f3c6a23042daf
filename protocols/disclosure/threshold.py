"""Thresholds: which counts must be reached before a unit of an answer may open.

A `Check` compares a sum of count cells of one unit with a public number. The parties evaluate it on
shares, so nobody learns a count that fails; only one bit a unit opens (all of its checks together).
`passes` states the same rule in the clear, for whoever holds the integers (tests, recomputation).

Names of rules follow the statbarns of the SACRO manual for output checking: MinimumThresholdCheck
(persons behind a number), MinimumDoFCheck (rows left over by a model); MinimumMembersCheck is this
project's own: the members whose rows went into a statistic, so that subtracting one's own part from
a sum does not leave the part of one other member; and so is DifferencingCheck: the persons in whom
two statistics differ (see `differencing`).
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal

PERSONS = "MinimumThresholdCheck"
DEGREES = "MinimumDoFCheck"
MEMBERS = "MinimumMembersCheck"
DIFFERENCE = "DifferencingCheck"
DIFFERS = " in whom it differs from "  # in words of checks: a reader unites their names


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The strictest rules of all members, as their policy files state them.

    `minimum_cell` and `minimum_cohort` count persons, `minimum_members` members with at least one
    row in the statistic; `parameters_per_row` is the most parameters of a model for each row;
    `zeros` says whether an empty cell may be shown; `extremes` whether minimum and maximum may.
    """

    minimum_cell: int
    minimum_cohort: int
    minimum_members: int
    parameters_per_row: Fraction
    zeros: Literal["suppress", "show"]
    extremes: Literal["never", "rounded"]

    def rows_for(self, parameters: int) -> int:
        """The fewest rows a model with so many parameters may rest on."""
        return ceil(parameters / Fraction(str(self.parameters_per_row)))  # decimals as written


@dataclass(frozen=True, slots=True)
class Check:
    """Passes when the sum of the unit's cells at the indices `cells` is `at_least` or more.

    With `zero_passes` a sum of exactly zero passes too. `against` names an earlier statistic of the
    study: where nothing of that one opens, there is nothing to compare with, and the check passes.
    `would_pass` says in plain words what would make it pass.
    """

    cells: tuple[int, ...]
    at_least: int
    zero_passes: bool
    rule: str
    would_pass: str
    against: str = ""


def passes(check: Check, values: Sequence[int], closed: Set[str] = frozenset()) -> bool:
    """The check in the clear: `values` are all cells of the unit, the hidden ones included.

    closed  earlier statistics of the study of which nothing opens
    """
    total = sum(values[index] for index in check.cells)
    enough = total >= check.at_least or (check.zero_passes and total == 0)
    return enough or check.against in closed


def all_pass(
    checks: Sequence[Check], values: Sequence[int], closed: Set[str] = frozenset()
) -> bool:
    """The unit's one verdict bit."""
    return all(passes(check, values, closed) for check in checks)
