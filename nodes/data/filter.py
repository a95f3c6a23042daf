"""Which rows a `where` keeps: three-valued logic over one snapshot, at its owner.

Each node of the tree becomes two masks, where it is true and where it is unknown; what is neither
is false. A comparison with a missing value is unknown, `not` leaves unknown unknown, and a row is
kept only where the whole is true. Everything is decided by types before a value is looked at: a
`where` that does not fit the dictionary fails the same way at every member.

    integer, number, time_to_event   = != < <= > >= in    with numbers
    date                             = != < <= > >= in    with texts like "2020-01-31"
    category                         = != in              with levels (texts, or numbers)
    boolean                          = != in              with true, false, 1, 0, "yes", "no", ...
    identifier, text                 = != in              with texts, trimmed, case-sensitive
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from math import floor, inf, nextafter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.data.cells import CellFault, booleans, dates
from nodes.data.columns import TEXTS
from nodes.data.dataset import Snapshot
from nodes.data.source import near_name
from p2pmpc import expression
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import BadStudy
from p2pmpc.expression import All, Among, Compare, IsMissing, Node, Not, Value, Where

__all__ = ["kept_rows", "where_column"]

Mask = NDArray[np.bool_]
ORDERS = ("<", "<=", ">", ">=")
NUMERIC = ("integer", "number", "time_to_event")


@dataclass(frozen=True, slots=True, repr=False)
class Truth:
    """Where a test is true, and where it is unknown; disjoint bool masks of shape (rows,)."""

    true: Mask
    unknown: Mask

    def __repr__(self) -> str:
        return "Truth(<private>)"


def kept_rows(where: Where | None, snapshot: Snapshot, alias: str) -> Mask:
    """bool (rows,): the rows that `where` keeps; all rows for None.

    Columns may be written bare or as `alias.column`. Raises BadStudy naming the column for one that
    the dictionary lacks and for a comparison that its type does not allow.
    """
    if where is None:
        return np.ones(snapshot.rows, np.bool_)
    return _truth(where.tree, snapshot, alias).true


def where_column(word: str, dictionary: Dictionary, alias: str) -> Column:
    """The column that a word of `where` names: tried whole, then as alias.column."""
    found = dictionary.column(word)
    if found is None and word.startswith(f"{alias}."):
        found = dictionary.column(word.removeprefix(f"{alias}."))
    if found is None:
        near = near_name(word, dictionary.names)
        raise BadStudy(
            f"data.{alias}.where: the data set {dictionary.name} has no column {word}",
            next=f"did you mean {near}?" if near else "use a column of its dictionary",
            field=f"data.{alias}.where",
            column=word,
        )
    return found


def _truth(node: Node, snapshot: Snapshot, alias: str) -> Truth:
    if isinstance(node, Not):
        inner = _truth(node.part, snapshot, alias)
        return Truth(~inner.true & ~inner.unknown, inner.unknown)
    if isinstance(node, All):
        return reduce(_both, (_truth(part, snapshot, alias) for part in node.parts))
    if isinstance(node, expression.Any):
        return reduce(_either, (_truth(part, snapshot, alias) for part in node.parts))
    column = where_column(node.column, snapshot.dictionary, alias)
    missing = snapshot.missing(column.name)
    if isinstance(node, IsMissing):
        return Truth(missing, np.zeros(snapshot.rows, np.bool_))
    found = _test(node, column, snapshot, alias)
    return Truth(found & ~missing, missing)


def _both(a: Truth, b: Truth) -> Truth:
    true = a.true & b.true
    return Truth(true, (a.true | a.unknown) & (b.true | b.unknown) & ~true)


def _either(a: Truth, b: Truth) -> Truth:
    true = a.true | b.true
    return Truth(true, (a.unknown | b.unknown) & ~true)


def _test(node: Compare | Among, column: Column, snapshot: Snapshot, alias: str) -> Mask:
    """The test where there is a value; where there is none the mask means nothing."""
    if isinstance(node, Among):
        tests = [_compare(column, "=", value, snapshot, alias) for value in node.values]
        return np.asarray(np.logical_or.reduce(tests))
    return _compare(column, node.operator, node.value, snapshot, alias)


def _compare(column: Column, operator: str, value: Value, snapshot: Snapshot, alias: str) -> Mask:
    if column.type in NUMERIC:
        return _compare_number(column, operator, value, snapshot, alias)
    if column.type == "date":
        days = _day(column, value, alias)
        return _ordered(snapshot.values(column.name).numbers, operator, days)
    if operator in ORDERS:
        raise _wrong(
            column, alias, f"is {column.type} and has no order", "compare it with = or != or in"
        )
    if column.type in TEXTS:
        text = _word(column, value, alias)
        equal = np.array([cell == text for cell in snapshot.texts[column.name]], np.bool_)
    else:
        code = (
            _boolean(column, value, alias)
            if column.type == "boolean"
            else _level(column, value, alias)
        )
        equal = snapshot.values(column.name).numbers == code
    return equal if operator == "=" else ~equal


def _compare_number(
    column: Column, operator: str, value: Value, snapshot: Snapshot, alias: str
) -> Mask:
    if not isinstance(value, Decimal):
        what = "a text" if isinstance(value, str) else "a truth value"
        raise _wrong(
            column,
            alias,
            f"is {column.type} but is compared with {what}",
            "compare it with a number",
        )
    numbers = snapshot.values(column.name).numbers
    if np.issubdtype(numbers.dtype, np.integer):
        return _compare_whole(numbers, operator, value)
    # a value read from "0.1" equals the literal 0.1: both are the nearest float64
    return _ordered(numbers, operator, _finite(float(value)))


def _finite(value: float) -> float:
    return min(max(value, nextafter(-inf, 0)), nextafter(inf, 0))


def _compare_whole(numbers: NDArray[Any], operator: str, value: Decimal) -> Mask:
    """Exactly: the literal may lie between whole numbers or beyond 64 bits."""
    below = floor(value)
    if operator in {"=", "!="}:
        whole = value == below and -(2**63) <= below < 2**63
        equal = numbers == below if whole else np.zeros(numbers.shape, np.bool_)
        return equal if operator == "=" else ~equal
    if value != below:
        operator = {"<": "<=", ">=": ">"}.get(operator, operator)  # 3 < 3.5 as 3 <= 3
    if not -(2**63) <= below < 2**63:
        return np.full(numbers.shape, (below > 0) == (operator in {"<", "<="}))
    return _ordered(numbers, operator, below)


def _ordered(numbers: NDArray[Any], operator: str, value: float) -> Mask:
    compare = {
        "=": np.equal,
        "!=": np.not_equal,
        "<": np.less,
        "<=": np.less_equal,
        ">": np.greater,
        ">=": np.greater_equal,
    }[operator]
    return np.asarray(compare(numbers, value))


def _day(column: Column, value: Value, alias: str) -> int:
    if isinstance(value, str):
        try:
            return int(dates([value])[0])
        except CellFault:
            pass  # a text that is no date is refused like any other value
    what = "is a date but is compared with something else"
    raise _wrong(column, alias, what, 'write the date as "2020-01-31"')


def _level(column: Column, value: Value, alias: str) -> int:
    text = value.strip() if isinstance(value, str) else _spelled(value)
    if text in column.levels:
        return column.levels.index(text)
    levels = ", ".join(column.levels[:20])
    raise _wrong(column, alias, f"has no level {text!r}", f"its levels are {levels}")


def _spelled(value: Decimal | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else format(value.normalize(), "f")


def _boolean(column: Column, value: Value, alias: str) -> int:
    try:
        return int(booleans([value])[0])
    except CellFault:
        what = "is boolean but is compared with something else"
        raise _wrong(column, alias, what, "write true or false") from None


def _word(column: Column, value: Value, alias: str) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        raise _wrong(
            column, alias, f"is {column.type} but is compared with a truth value", "quote it"
        )
    return _spelled(value)


def _wrong(column: Column, alias: str, what: str, action: str) -> BadStudy:
    return BadStudy(
        f"data.{alias}.where: column {column.name} {what}",
        next=action,
        field=f"data.{alias}.where",
        column=column.name,
    )
