"""Linkage keys of one table: the text parts of each row, as `keys/1` takes them.

Identifier and text columns give their text, whole numbers their decimal digits, dates ISO 8601,
categories their level. Folding, joining and uniqueness are the protocol's (`linkage/tokens`); here
stands only what a column's type decides. Fractions and truth values name nobody and are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from nodes.data.columns import TEXTS
from nodes.data.dataset import Snapshot
from p2pmpc.dictionary import Column
from p2pmpc.errors import BadStudy

__all__ = ["key_parts", "persons"]

KEY_TYPES = ("identifier", "text", "integer", "date", "category")
EPOCH = date(1970, 1, 1)

Parts = tuple[str | None, ...]


def key_parts(snapshot: Snapshot, by: Sequence[Sequence[str]]) -> list[list[Parts]]:
    """For each pass of `by`, for each row, the raw text of each of its columns; None is missing.

    Raises NotFound for an unknown column, BadStudy for one whose type names nobody.
    """
    columns = {name: _texts(snapshot, name) for one in by for name in one}
    return [list(zip(*(columns[name] for name in one), strict=True)) for one in by]


def persons(snapshot: Snapshot) -> Parts | None:
    """The text of the dictionary's `person` column of each row, or None where it names none."""
    name = snapshot.dictionary.person
    return _texts(snapshot, name) if name else None


def _texts(snapshot: Snapshot, name: str) -> Parts:
    column = snapshot.column(name)
    if column.type not in KEY_TYPES:
        raise BadStudy(
            f"link.by: column {name} is {column.type} and cannot be a key",
            next=f"link by a column of type {', '.join(KEY_TYPES)}",
            field="link.by",
            column=name,
        )
    if column.type in TEXTS:
        return snapshot.texts[name]
    values = snapshot.values(name)
    distinct, codes = np.unique(values.numbers, return_inverse=True)
    spelled = np.array([*(_spelled(column, int(v)) for v in distinct), None], object)
    return tuple(spelled[np.where(values.missing, len(distinct), codes)])


def _spelled(column: Column, value: int) -> str:
    if column.type == "date":
        return (EPOCH + timedelta(days=value)).isoformat()
    return column.levels[value] if column.type == "category" else str(value)
