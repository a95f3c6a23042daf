"""Parquet, by pyarrow (imported here alone, when the first Parquet file comes).

A float32 is taken as its shortest decimal, so 0.1 means what the CSV of the same table says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nodes.data.source import BATCH_ROWS, COLUMNS_MAX, Cell, RawBatch, RawColumn, RawTable
from p2pmpc.errors import BadData

__all__ = ["open_columnar"]


@dataclass(frozen=True, slots=True, repr=False)
class ColumnarFile:
    """An open Parquet file."""

    path: Path
    file: Any

    def __repr__(self) -> str:
        return f"ColumnarFile({self.path.name})"

    def batches(self, places: Sequence[int]) -> Iterator[RawBatch]:
        """The columns at these places, BATCH_ROWS at a time. Raises BadData for a damaged file."""
        import pyarrow as pa

        schema = self.file.schema_arrow
        for place in places:
            self._refuse_type(schema.field(place))
        names = [schema.field(place).name for place in places]
        first_row = 2
        try:
            for batch in self.file.iter_batches(BATCH_ROWS, columns=names):
                columns = [self._coded(n, batch.column(batch.schema.names.index(n))) for n in names]
                yield RawBatch(first_row, batch.num_rows, tuple(columns))
                first_row += batch.num_rows
        except (pa.ArrowException, OSError, ValueError):
            raise _damaged(self.path, first_row) from None

    def _coded(self, name: str, array: Any) -> RawColumn:
        try:
            return _coded(array)
        except (OverflowError, ValueError) as fault:
            text = isinstance(fault, UnicodeDecodeError)
            what = "text that is not UTF-8" if text else "a date outside the years 1 to 9999"
            raise BadData(
                f"{self.path.name}, column {name}: {what}",
                next="correct the column or leave the cell empty",
                file=str(self.path),
                column=name,
            ) from None

    def _refuse_type(self, field: Any) -> None:
        from pyarrow import types

        kind = field.type.value_type if types.is_dictionary(field.type) else field.type
        tests = (
            *(types.is_boolean, types.is_integer, types.is_floating, types.is_decimal),
            *(types.is_string, types.is_large_string, types.is_date, types.is_timestamp),
            types.is_null,
        )
        if not any(test(kind) for test in tests):
            raise BadData(
                f"{self.path.name}, column {field.name}: the Parquet type {kind} cannot be read",
                next="store it as text, a number, a boolean or a date",
                file=str(self.path),
                row=1,
                column=field.name,
            )


def open_columnar(path: Path) -> RawTable:
    """Read the file's footer. Raises BadData for a damaged file or unusable names."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        names = [name.strip() for name in file.schema_arrow.names]
    except (pa.ArrowException, OSError, ValueError):  # ValueError: a name that is not UTF-8
        raise _damaged(path, None) from None
    for place, name in enumerate(names, 1):
        if not name or names.count(name) > 1:
            raise BadData(
                f"{path.name}: column {place} "
                + (f"has the name {name} of another" if name else "has no name"),
                next="give each column a name of its own",
                file=str(path),
                row=1,
                column=name or str(place),
            )
    if not names or len(names) > COLUMNS_MAX:
        raise BadData(
            f"{path.name} has {len(names)} columns; 1 to {COLUMNS_MAX} can be read",
            next="hand in only the columns that studies need",
            file=str(path),
        )
    return RawTable(path, tuple(names), (f"{path.name}: Parquet",), False, ColumnarFile(path, file))


def _damaged(path: Path, row: int | None) -> BadData:
    return BadData(
        f"{path.name} is no Parquet file, or it is damaged or cut off",
        next="hand the file in whole; a CSV file must not be named .parquet",
        file=str(path),
        row=row,
    )


def _coded(array: Any) -> RawColumn:
    """Distinct cells in the order first seen; the empty cell, if any, comes last."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("us", array.type.tz), safe=False)
    if types.is_null(array.type):
        return RawColumn([None], np.zeros(len(array), np.int32))
    encoded = array.dictionary_encode()
    cells: list[Cell] = encoded.dictionary.to_pylist()
    if types.is_float32(array.type) or types.is_float16(array.type):
        cells = [float(str(value)) for value in encoded.dictionary.to_numpy(zero_copy_only=False)]
    codes = encoded.indices.fill_null(len(cells)).to_numpy(zero_copy_only=False)
    return RawColumn([*cells, None], codes.astype(np.int32))
