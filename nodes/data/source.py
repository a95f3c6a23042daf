"""Tables as they lie on the disk: names and raw cells, nothing interpreted yet.

    read_table(path)  ->  RawTable  ->  batches of RawColumn(distinct cells, one code a row)

A file is recognised by its first bytes, not its name: `PAR1` is Parquet, all else separated text
(`separated.py`). Rows are numbered as records, the header is row 1. Cells come as text from CSV and
typed (int, float, bool, date, datetime, Decimal, str) from Parquet; None is an empty Parquet cell.
Batches hold repeated cells once, so that whatever is done later is done once a distinct cell.

Against whom: an error names file, row and column and never the content of a cell, since errors
travel further than files do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from p2pmpc.errors import BadData, NotFound

__all__ = [
    "BATCH_ROWS",
    "COLUMNS_MAX",
    "FILE_BYTES_MAX",
    "Cell",
    "RawBatch",
    "RawColumn",
    "RawTable",
    "near_name",
    "read_table",
]

BATCH_ROWS = 16_384  # rows in memory as Python objects at a time; more is slower: caches
COLUMNS_MAX = 4_096  # a wider table is a separator gone wrong
FILE_BYTES_MAX = 1 << 32  # a text file is held in memory while it is read

Cell = str | int | float | bool | Decimal | date | datetime | None


@dataclass(frozen=True, slots=True, repr=False)
class RawColumn:
    """One column of a batch: row r holds `cells[codes[r]]`; cells in the order first seen.

    A column whose cells hardly repeat may hold some of them twice.
    """

    cells: list[Cell]
    codes: NDArray[np.int32]

    def __repr__(self) -> str:
        return "RawColumn(<private>)"


@dataclass(frozen=True, slots=True, repr=False)
class RawBatch:
    """Some consecutive rows; `first_row` is the row number of the first of them."""

    first_row: int
    rows: int
    columns: tuple[RawColumn, ...]

    def __repr__(self) -> str:
        return "RawBatch(<private>)"


class TableReader(Protocol):
    """A file format: yields the batches of the columns at these places."""

    def batches(self, places: Sequence[int]) -> Iterator[RawBatch]:
        """The columns at these places in order, in batches of at most BATCH_ROWS rows."""


@dataclass(frozen=True, slots=True, repr=False)
class RawTable:
    """A table whose header was read; `notes` says what was detected.

    `decimal_comma`: a comma may stand for the decimal point (semicolon or tab separated text).
    """

    path: Path
    names: tuple[str, ...]
    notes: tuple[str, ...]
    decimal_comma: bool
    reader: TableReader

    def __repr__(self) -> str:
        return f"RawTable({self.path.name})"

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """The rows of these columns, in batches. Raises BadData at the first unusable record."""
        return self.reader.batches([self.names.index(name) for name in names])


def read_table(path: Path | str, encoding: str | None = None) -> RawTable:
    """Open a CSV or Parquet file and read its header.

    `encoding` is None (UTF-8, or UTF-16 by its mark), "utf-8", "utf-16" or "latin-1"; it does not
    apply to Parquet. Raises NotFound when there is no such file and BadData for everything that
    makes it unusable, at the header now and at a record when `batches` comes to it.
    """
    path = Path(path)
    start = _first_bytes(path)
    if start[:4] == b"PAR1" or path.suffix.lower() in (".parquet", ".pq"):
        from nodes.data.columnar import open_columnar

        return open_columnar(path)
    from nodes.data.separated import open_separated

    _refuse_archives(path, start)
    return open_separated(path, encoding)


def near_name(name: str, names: Sequence[str]) -> str | None:
    """The one of `names` that `name` was probably meant to be, if any."""
    import difflib

    plain = {_plain(other): other for other in names}
    close = difflib.get_close_matches(_plain(name), list(plain), n=1, cutoff=0.75)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _first_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise _unusable(path, "is a folder, not a file", "name the CSV or Parquet file itself")
        with path.open("rb") as file:
            start = file.read(8)
    except FileNotFoundError:
        raise NotFound(
            f"there is no file {path}", next="check the path, it is taken from here", file=str(path)
        ) from None
    except PermissionError:
        action = f"give the user that runs the node the right to read it: chmod u+r {path}"
        raise _unusable(path, "may not be read by this user", action) from None
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or "its name is not a path"
        raise _unusable(path, f"cannot be read: {reason}", "check the path and the disk") from None
    if size > FILE_BYTES_MAX:
        what = f"is larger than {FILE_BYTES_MAX >> 30} GiB"
        raise _unusable(path, what, "hand in Parquet, or only the columns that studies need")
    if size == 0:
        raise _unusable(path, "is empty", "the first line must hold the column names")
    return start


def _unusable(path: Path, what: str, action: str) -> BadData:
    return BadData(f"{path.name} {what}", next=action, file=str(path))


ARCHIVES = (
    (b"PK\x03\x04", "a spreadsheet or a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet"),
    (b"%PDF", "a PDF document"),
)


def _refuse_archives(path: Path, start: bytes) -> None:
    for mark, what in ARCHIVES:
        if start.startswith(mark):
            action = "save the table as CSV (UTF-8) or Parquet"
            raise _unusable(path, f"is {what}, neither CSV nor Parquet", action)
