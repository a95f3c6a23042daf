"""Cells to typed values: numbers, whole numbers, booleans, levels, dates, texts.

Every function takes distinct cells that are not missing and returns one value for each, or raises
CellFault for the first that does not fit. A fault says which class of value was found, never the
value. Text and typed cells (Parquet) of the same meaning give the same value.

    numbers      decimal digits, an optional sign, point and exponent; the nearest float64
    thousands    refused. A comma is a decimal comma only where the separator of the file allows it,
                 and never in one column with a decimal point
    booleans     true/false, yes/no, t/f, y/n in any case, and the numbers 1/0
    levels       trimmed, case-sensitive; a whole number spelled 2.0 is the level 2 if 2.0 is none
    dates        ISO 8601: 2020-01-31, 20200131, or midnight of a day; days since 1970-01-01
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from nodes.data.source import Cell

__all__ = [
    "MISSING",
    "CellFault",
    "booleans",
    "dates",
    "is_number",
    "level_codes",
    "level_text",
    "missing_cells",
    "missing_spellings",
    "numbers",
    "refuse_mixed_points",
    "texts",
    "whole_numbers",
]

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "."})
TRUE, FALSE = frozenset({"true", "yes", "t", "y"}), frozenset({"false", "no", "f", "n"})
WHOLE_MIN, WHOLE_MAX = -(2**63), 2**63 - 1
EXACT_FLOAT = 2**53  # from here on a float64 skips whole numbers
PLAIN_NUMBER = b"0123456789+-.eE\n "
PLAIN_WHOLE = b"0123456789+-\n "
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,6})?", re.ASCII)
COMMA_NUMBER = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d{1,6})?", re.ASCII)
THOUSANDS = re.compile(r"[+-]?\d{1,3}([,.' \u00a0\u202f]\d{3})+([.,]\d*)?", re.ASCII)
INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
WHOLE_AS_FLOAT = re.compile(r"([+-]?\d+)\.0+", re.ASCII)
ISO_DATE = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})([T ]00:00(:00(\.0+)?)?)?|(\d{4})(\d{2})(\d{2})", re.ASCII
)
ISO_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*", re.ASCII)
OTHER_DATE = re.compile(r"(\d{1,4})[-./ ](\d{1,2})[-./ ](\d{1,4}).*", re.ASCII)
EPOCH = date(1970, 1, 1).toordinal()
A_NUMBER = "a number, written like 12 or 12.5"
A_WHOLE_NUMBER = "a whole number"
A_DATE = "a date written year-month-day, like 2020-01-31"

CORRECT = (
    "correct the cell, leave it empty, or list its spelling under `missing` in the dictionary "
    "if it stands for a missing value"
)


class CellFault(Exception):
    """The cell at `place` does not fit: the class of what was found, what was expected instead,
    and what to do."""

    def __init__(self, place: int, found: str, expected: str, action: str = CORRECT) -> None:
        super().__init__(found)
        self.place = place
        self.found = found
        self.expected = expected
        self.action = action


def missing_spellings(extra: Iterable[str]) -> frozenset[str]:
    """The spellings of a missing value, casefolded; a listed -9 is also spelled -9.0."""
    listed = {spelling.strip().casefold() for spelling in extra}
    return MISSING | listed | {f"{s}.0" for s in listed if WHOLE.fullmatch(s)}


def missing_cells(cells: Sequence[Cell], spellings: frozenset[str]) -> NDArray[np.bool_]:
    """bool, one a cell: empty, or one of the spellings."""
    try:
        folded = map(str.casefold, map(str.strip, cells))  # type: ignore[arg-type]
        return np.fromiter(map(spellings.__contains__, folded), np.bool_, len(cells))
    except TypeError:  # typed cells
        return np.array([_is_missing(cell, spellings) for cell in cells], np.bool_)


def _is_missing(cell: Cell, spellings: frozenset[str]) -> bool:
    if cell is None or cell != cell:  # noqa: PLR0124  NaN alone differs from itself
        return True
    if isinstance(cell, bool) or (not isinstance(cell, str) and len(spellings) == len(MISSING)):
        return False
    return str(cell).strip().casefold() in spellings


def is_number(cell: Cell, commas: bool) -> bool:
    """Whether `numbers` takes this cell."""
    if isinstance(cell, str):
        text = cell.strip()
        return bool(NUMBER.fullmatch(text) or (commas and COMMA_NUMBER.fullmatch(text)))
    return isinstance(cell, int | float | Decimal) and not isinstance(cell, bool)


def numbers(cells: Sequence[Cell], commas: bool) -> NDArray[np.float64]:
    """float64: the nearest to each cell; -0 is 0. Raises CellFault."""
    try:
        values = np.array(_plain_floats(cells), np.float64)
    except (ValueError, TypeError):
        values = np.array([_number(c, i, commas) for i, c in enumerate(cells)], np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise CellFault(int(bad[0]), _class_of_infinite(cells[bad[0]]), A_NUMBER)
    return values + 0.0


def _plain_floats(cells: Sequence[Cell]) -> Iterable[float]:
    """All cells at once when each is a plain number; ValueError or TypeError when one is not."""
    if set(map(type, cells)) <= {float, int}:
        return cells  # type: ignore[return-value]  # just checked
    joined = "\n".join(cells)  # type: ignore[arg-type]  # TypeError is the answer for typed cells
    if joined.encode("ascii").translate(None, delete=PLAIN_NUMBER):
        raise ValueError
    return list(map(float, cells))  # type: ignore[arg-type]


def _number(cell: Cell, place: int, commas: bool) -> float:
    if isinstance(cell, str):
        text = cell.strip()
        if commas and COMMA_NUMBER.fullmatch(text):
            return float(text.replace(",", "."))
        if NUMBER.fullmatch(text):
            return float(text)
    elif isinstance(cell, int | float | Decimal) and not isinstance(cell, bool):
        return float(cell)
    raise CellFault(place, _class_of(cell), A_NUMBER)


def _class_of(cell: Cell) -> str:
    """The class of a cell that is no number."""
    if isinstance(cell, bool):
        return "a boolean, not a number"
    if isinstance(cell, date):
        return "a date, not a number"
    text = str(cell).strip()
    if INFINITE.fullmatch(text):
        return "infinity"
    if THOUSANDS.fullmatch(text):
        return "a number with a thousands separator"
    if COMMA_NUMBER.fullmatch(text):
        return "a number with a decimal comma in a file whose separator does not allow one"
    return "not a number"


def _class_of_infinite(cell: Cell) -> str:
    if isinstance(cell, float):
        return "infinity"
    return "a number larger than a float64 holds"


def refuse_mixed_points(cells: Sequence[Cell], known: set[str]) -> None:
    """1.234 beside 1,5 in one column: one of them is a thousands separator. Adds to `known`."""
    for place, cell in enumerate(cells):
        if isinstance(cell, str):
            known.update({".", ","}.intersection(cell))
            if len(known) > 1:
                raise CellFault(
                    place,
                    "a decimal point and a decimal comma in one column",
                    "one of the two throughout",
                    "write the column with one of them, without thousands separators",
                )


def whole_numbers(cells: Sequence[Cell], commas: bool) -> NDArray[np.int64]:
    """int64, exactly. A whole number may be spelled 3.0 or 3e2. Raises CellFault."""
    try:
        found = _plain_wholes(cells)
    except (ValueError, TypeError):
        found = [_whole(cell, place, commas) for place, cell in enumerate(cells)]
    try:
        return np.array(found, np.int64)
    except OverflowError:
        place = next(i for i, v in enumerate(found) if not WHOLE_MIN <= v <= WHOLE_MAX)
        raise CellFault(place, "a whole number beyond 64 bits", A_WHOLE_NUMBER) from None


def _plain_wholes(cells: Sequence[Cell]) -> list[int]:
    """All cells at once when each is plain digits; ValueError or TypeError when one is not."""
    if set(map(type, cells)) != {int}:
        joined = "\n".join(cells)  # type: ignore[arg-type]  # TypeError: some are typed
        if joined.encode("ascii").translate(None, delete=PLAIN_WHOLE):
            raise ValueError
    return list(map(int, cells))  # type: ignore[arg-type]


def _whole(cell: Cell, place: int, commas: bool) -> int:
    text = cell.strip() if isinstance(cell, str) else ""
    if commas and "," in text and THOUSANDS.fullmatch(text):
        raise CellFault(place, "a number with a thousands separator", A_WHOLE_NUMBER)
    value = _number(cell, place, commas)
    if not np.isfinite(value) and isinstance(cell, float):
        raise CellFault(place, "infinity", A_WHOLE_NUMBER)
    if abs(value) >= 2.0**64:
        raise CellFault(place, "a whole number beyond 64 bits", A_WHOLE_NUMBER)
    exact = Decimal(text.replace(",", ".") if text else cell)  # type: ignore[arg-type]  # a number
    if exact != int(exact):
        raise CellFault(place, "not a whole number", A_WHOLE_NUMBER)
    return int(exact)


def booleans(cells: Sequence[Cell]) -> NDArray[np.int64]:
    """int64: 1 for true, 0 for false. Raises CellFault."""
    return np.array([_boolean(cell, place) for place, cell in enumerate(cells)], np.int64)


def _boolean(cell: Cell, place: int) -> int:
    if isinstance(cell, bool | int | float | Decimal) and cell in (0, 1):
        return int(cell)
    text = cell.strip().casefold() if isinstance(cell, str) else ""
    if text in TRUE or text in FALSE:
        return int(text in TRUE)
    if NUMBER.fullmatch(text) and float(text) in (0.0, 1.0):
        return int(float(text))
    raise CellFault(place, "not a boolean", "true/false, yes/no, t/f, y/n or 1/0")


def level_text(cell: Cell) -> tuple[str, ...]:
    """The spellings under which a cell may be a level, the first that is one counts."""
    if isinstance(cell, bool):
        return ("true", "True", "1") if cell else ("false", "False", "0")
    text = str(cell).strip()
    whole = WHOLE_AS_FLOAT.fullmatch(text)
    return (text, whole[1]) if whole else (text,)


def level_codes(cells: Sequence[Cell], levels: Sequence[str]) -> NDArray[np.int64]:
    """int64: each cell's place in `levels`. Raises CellFault."""
    codes = {level: code for code, level in enumerate(levels)}
    return np.array([_level_code(c, i, codes) for i, c in enumerate(cells)], np.int64)


def _level_code(cell: Cell, place: int, codes: dict[str, int]) -> int:
    spellings = level_text(cell)
    for text in spellings:
        if text in codes:
            return codes[text]
    expected = "one of the levels " + ", ".join(list(codes)[:20])
    if spellings[0].casefold() in {level.casefold() for level in codes}:
        found = "not a level: upper and lower case differ from a level's"
    else:
        found = "not a level of the dictionary"
    raise CellFault(
        place,
        found,
        expected,
        "correct the cell, or add the level to the dictionary of every member",
    )


def dates(cells: Sequence[Cell]) -> NDArray[np.int64]:
    """int64: days since 1970-01-01. Raises CellFault for what is ambiguous or has a time."""
    return np.array([_days(cell, place) for place, cell in enumerate(cells)], np.int64)


def _days(cell: Cell, place: int) -> int:
    if isinstance(cell, datetime):
        if cell.time() != time(0):
            raise CellFault(place, "a time of day in a column of dates", A_DATE)
        return cell.toordinal() - EPOCH
    if isinstance(cell, date):
        return cell.toordinal() - EPOCH
    text = cell.strip() if isinstance(cell, str) else ""
    if len(text) == 10 and text[4] == text[7] == "-":
        try:
            return date.fromisoformat(text).toordinal() - EPOCH
        except ValueError:
            pass  # said below
    found = ISO_DATE.fullmatch(text)
    if not found:
        raise CellFault(place, _class_of_date(text), A_DATE)
    parts = found.group(1, 2, 3) if found[1] else found.group(7, 8, 9)
    try:
        return date(*map(int, parts)).toordinal() - EPOCH
    except ValueError:
        raise CellFault(place, "a day that is in no calendar", A_DATE) from None


def _class_of_date(text: str) -> str:
    if ISO_INSTANT.fullmatch(text):
        return "a time of day in a column of dates"
    other = OTHER_DATE.fullmatch(text)
    if not other:
        return "not a date"
    if sorted(int(part) for part in other.groups())[1] <= 12:
        return "an ambiguous date: either number could be the month"
    return "a date that is not written year-month-day"


def texts(cells: Sequence[Cell]) -> list[str]:
    """Trimmed text; whole numbers and dates of typed cells as their digits. Raises CellFault."""
    return [_text(cell, place) for place, cell in enumerate(cells)]


def _text(cell: Cell, place: int) -> str:
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime) and cell.time() == time(0):
        return cell.date().isoformat()
    if isinstance(cell, float | Decimal):
        return _whole_text(cell, place)
    return str(cell)


def _whole_text(cell: float | Decimal, place: int) -> str:
    if -EXACT_FLOAT < cell < EXACT_FLOAT and cell % 1 == 0:
        return str(int(cell))
    raise CellFault(
        place,
        "a number that is not whole, or too large to be exact",
        "an identifier",
        "store identifiers as text or as whole numbers",
    )
