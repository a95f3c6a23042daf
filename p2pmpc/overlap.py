"""Two tables (aliases) of one data set in one study: may the same row be in both?

Sums over two selections of the same rows can be subtracted: with `where = "age >= 60"` in one table
and `where = "age >= 61"` in the other, the difference is the persons of 60. Parties cannot test on
shares how many rows two tables have in common, so of two statistics over such tables the later one
is withheld, unless the texts of both `where` exclude each other: one column is asked for different
levels, or for numbers that do not meet. Then their sums are of different persons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from p2pmpc.expression import All, Among, Compare, IsMissing, Node, Where

__all__ = ["apart"]

BELOW, ABOVE = ("<", "<="), (">", ">=")

Test = Compare | Among | IsMissing


def apart(one: Where | None, other: Where | None, type_of: Callable[[str], str]) -> bool:
    """Whether no row can be kept by both; `type_of` gives the type of a column of the data set."""
    return any(
        left.column == right.column and _exclude(left, right, type_of(left.column))
        for left in _required(one)
        for right in _required(other)
    )


def _required(where: Where | None) -> Sequence[Test]:
    """Tests that every kept row passes."""
    return [] if where is None else [*_conjuncts(where.tree)]


def _conjuncts(node: Node) -> Sequence[Test]:
    if isinstance(node, All):
        return [test for part in node.parts for test in _conjuncts(part)]
    return [node] if isinstance(node, Compare | Among | IsMissing) else []


def _exclude(left: Test, right: Test, kind: str) -> bool:
    mine, theirs = _values(left, kind), _values(right, kind)
    if mine is not None and theirs is not None:
        return not mine & theirs
    return _below(left, right) or _below(right, left)


def _values(test: Test, kind: str) -> frozenset[object] | None:
    """What the column may hold, where equal values are spelled alike: numbers, and levels."""
    if isinstance(test, IsMissing) or (isinstance(test, Compare) and test.operator != "="):
        return None
    found = test.values if isinstance(test, Among) else (test.value,)
    if all(isinstance(value, Decimal) for value in found) and kind != "category":
        return frozenset(found)
    if all(isinstance(value, str) for value in found) and kind == "category":
        return frozenset(value.strip() for value in found if isinstance(value, str))
    return None


def _below(low: Test, high: Test) -> bool:
    """Whether `low` bounds the column from above where `high` bounds it from below, or less."""
    if not isinstance(low, Compare) or not isinstance(high, Compare):
        return False
    a, b = low.value, high.value
    if low.operator not in (*BELOW, "=") or high.operator not in (*ABOVE, "="):
        return False
    if not isinstance(a, Decimal) or not isinstance(b, Decimal):
        return False
    strict = low.operator == "<" or high.operator == ">"
    return a < b or (a == b and strict)
