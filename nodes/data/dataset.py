"""A data set as a study reads it: typed columns, checked whole against the dictionary.

    load(files, dictionary, member)             ->  Snapshot
    load_part(files, dictionary, member, rows)  ->  Snapshot of these rows, number of all rows

Everything is checked before anything is kept; an error leaves nothing behind. The snapshot's root
is a hash of values, not of files: CSV and Parquet of one table have the same root, and a changed
cell, a moved row or another dictionary type has another. It is made of hashes of blocks of rows:
processes that hold a part of the rows each come to the same root as one that holds all. What peers
see is a salted commitment to it; rows, counts and the root itself stay at the owner.

Against whom: errors and reprs travel further than rows do, so neither holds a value or a count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nodes.data.cells import CellFault
from nodes.data.columns import TEXTS, ColumnReader
from nodes.data.source import RawBatch, RawTable, near_name, read_table
from p2pmpc.codec import digest
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import BadData, NotFound
from protocols.statistics.plan import Values

__all__ = ["BLOCK_ROWS", "Blocks", "Snapshot", "commitment_of", "load", "load_part", "root_of"]

BLOCK_ROWS = 65_536  # rows a hash; a part of a data set begins at a multiple of it
IGNORED_NAMED_MAX = 20  # ignored columns that a note lists by name


Blocks = Mapping[str, tuple[bytes, ...]]  # column -> the hash of each block of its rows


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot:
    """One data set's rows in memory, or a part of them.

    numbers  column -> Values of shape (rows,): int64 for integer, category (place in `levels`),
             boolean (0, 1) and date (days since 1970-01-01), float64 for number and time_to_event
    texts    column -> one text a row, None where missing, for identifier and text
    blocks   column -> 32 bytes for each block of these rows
    notes    what the owner should know: encoding, separator, ignored columns
    """

    dictionary: Dictionary
    rows: int
    numbers: Mapping[str, Values]
    texts: Mapping[str, tuple[str | None, ...]]
    blocks: Blocks
    notes: tuple[str, ...]

    @property
    def root(self) -> bytes:
        """32 bytes: the hash of all values, in the order of the rows."""
        return root_of(self.dictionary, self.rows, self.blocks)

    def __repr__(self) -> str:
        return f"Snapshot({self.dictionary.name}, <private>)"

    def column(self, name: str) -> Column:
        """The dictionary's line. Raises NotFound naming the column."""
        found = self.dictionary.column(name)
        if found is None:
            near = near_name(name, self.dictionary.names)
            raise NotFound(
                f"the data set {self.dictionary.name} has no column {name}",
                next=f"did you mean {near}?" if near else "see its dictionary",
                column=name,
            )
        return found

    def values(self, name: str) -> Values:
        """A column that is not text. Raises NotFound for a text column or an unknown one."""
        if name not in self.numbers:
            kind = self.column(name).type
            raise NotFound(f"column {name} is {kind}: it has no numbers", column=name)
        return self.numbers[name]

    def missing(self, name: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """bool (rows,): where the column has no value."""
        if self.column(name).type in TEXTS:
            return np.array([text is None for text in self.texts[name]], np.bool_)
        return self.numbers[name].missing

    def commitment(self, salt: bytes) -> bytes:
        """32 bytes that bind this member to these rows and, the salt unknown, say nothing."""
        return commitment_of(salt, self.root)


def root_of(dictionary: Dictionary, rows: int, blocks: Blocks) -> bytes:
    """The root of a table of so many rows, from the hashes of all its blocks."""
    columns = sorted(dictionary.columns, key=lambda column: column.name)
    hashes = [_column_hash(column, blocks[column.name]) for column in columns]
    return digest("p2pmpc/snapshot/2", rows.to_bytes(8, "big"), *hashes)


def commitment_of(salt: bytes, root: bytes) -> bytes:
    """32 bytes that bind to the rows of this root and, the salt unknown, say nothing."""
    return digest("p2pmpc/snapshot-commitment/1", salt, root)


def load(
    paths: Path | str | Iterable[Path | str],
    dictionary: Dictionary,
    member: str,
    encoding: str | None = None,
) -> Snapshot:
    """Read and check the files of one data set, in this order, as one table.

    Raises NotFound when a file is not there, BadData naming member, file, row and column for
    everything that the dictionary does not allow.
    """
    return load_part(paths, dictionary, member, encoding, range(dictionary.rows_max))[0]


def load_part(
    paths: Path | str | Iterable[Path | str],
    dictionary: Dictionary,
    member: str,
    encoding: str | None,
    rows: range,
) -> tuple[Snapshot, int]:
    """These rows of a data set (the first is row 0), and how many rows it has in all.

    The part that begins at row 0 checks every row; a later part checks its own, and the files as
    such. `rows` must begin at a multiple of BLOCK_ROWS. Raises as `load` does.
    """
    assert rows.start % BLOCK_ROWS == 0, "a block lies in one part"
    files = [paths] if isinstance(paths, Path | str) else list(paths)
    readers = [ColumnReader(column, dictionary.missing) for column in dictionary.columns]
    notes: list[str] = []
    read = 0
    try:
        for file in files:
            table = read_table(file, encoding)
            notes += [*table.notes, *_check_names(table, dictionary)]
            read = _add_file(table, readers, read, dictionary, rows)
            notes += _observed(table, readers)
    except (BadData, NotFound) as fault:
        raise _of_member(fault, member) from None
    kept = max(0, min(read, rows.stop) - rows.start)
    return _snapshot(dictionary, readers, kept, tuple(notes)), read


def _of_member(fault: BadData | NotFound, member: str) -> BadData | NotFound:
    where = {**fault.where, "member": member}
    return type(fault)(f"{member}: {fault.message}", next=fault.next, **where)


def _check_names(table: RawTable, dictionary: Dictionary) -> list[str]:
    """Raises BadData for a column that the file lacks; notes those that the dictionary lacks."""
    known = set(dictionary.names)
    extra = [name for name in table.names if name not in known]
    for name in dictionary.names:
        if name not in table.names:
            near = near_name(name, extra)
            raise BadData(
                f"{table.path.name}: column {name} of the dictionary is missing",
                next=f"rename column {near} to {name}" if near else "add the column to the file",
                file=str(table.path),
                column=name,
                row=1,
            )
    if not extra:
        return []
    named = ", ".join(extra[:IGNORED_NAMED_MAX])
    more = f" and {len(extra) - IGNORED_NAMED_MAX} more" if len(extra) > IGNORED_NAMED_MAX else ""
    return [f"{table.path.name}: ignored, not in the dictionary: {named}{more}"]


def _add_file(
    table: RawTable, readers: list[ColumnReader], rows: int, dictionary: Dictionary, kept: range
) -> int:
    before = rows
    for reader in readers:
        reader.start_file()
    for batch in table.batches(dictionary.names):
        rows += batch.rows
        if rows > dictionary.rows_max:
            raise BadData(
                f"{table.path.name}: more rows than the {dictionary.rows_max} of the dictionary",
                next="raise rows_max in the dictionary of every member, or hand in fewer rows",
                file=str(table.path),
                row=batch.first_row + batch.rows - (rows - dictionary.rows_max),
            )
        _add_batch(table, batch, readers, rows - batch.rows, kept)
    if rows == before:
        raise BadData(
            f"{table.path.name} has column names but no rows",
            next="hand in a file with at least one row",
            file=str(table.path),
            row=1,
        )
    return rows


def _add_batch(
    table: RawTable, batch: RawBatch, readers: list[ColumnReader], first: int, kept: range
) -> None:
    """Read what is to be kept of a batch whose first row is row `first` of the data set."""
    start, stop = max(0, kept.start - first), min(batch.rows, kept.stop - first)
    if start >= stop and kept.start:
        return  # the part that begins at row 0 checks it
    for reader, raw in zip(readers, batch.columns, strict=True):
        try:
            reader.add(raw, table.decimal_comma, slice(start, max(start, stop)))
        except CellFault as fault:
            row = batch.first_row + int(np.argmax(raw.codes == fault.place))
            name = reader.column.name
            raise BadData(
                f"{table.path.name}, row {row}, column {name}: {fault.found}",
                next=f"expected {fault.expected}: {fault.action}",
                file=str(table.path),
                row=row,
                column=name,
            ) from None


def _observed(table: RawTable, readers: list[ColumnReader]) -> list[str]:
    notes = []
    commas = [reader.column.name for reader in readers if reader.decimal_comma_seen]
    if commas:
        notes.append(f"{table.path.name}: decimal comma in {', '.join(commas)}")
    notes += [
        f"{table.path.name}: column {reader.column.name} has identifiers that end in .0, kept as "
        "written; if a program made decimals of whole numbers, they link with nothing"
        for reader in readers
        if reader.whole_as_decimal
    ]
    return notes


def _snapshot(
    dictionary: Dictionary, readers: list[ColumnReader], rows: int, notes: tuple[str, ...]
) -> Snapshot:
    numbers = {r.column.name: r.values() for r in readers if r.column.type not in TEXTS}
    texts = {r.column.name: r.texts() for r in readers if r.column.type in TEXTS}
    blocks = {
        column.name: _text_blocks(texts[column.name])
        if column.type in TEXTS
        else _number_blocks(numbers[column.name])
        for column in dictionary.columns
    }
    return Snapshot(
        dictionary,
        rows,
        MappingProxyType(numbers),
        MappingProxyType(texts),
        MappingProxyType(blocks),
        notes,
    )


def _column_hash(column: Column, blocks: tuple[bytes, ...]) -> bytes:
    return digest(
        "p2pmpc/snapshot-column/2",
        column.name.encode(),
        column.type.encode(),
        digest("p2pmpc/levels/1", *(level.encode() for level in column.levels)),
        *blocks,
    )


def _number_blocks(values: Values) -> tuple[bytes, ...]:
    """One bit a row for missing, and little-endian words, zero where missing."""
    dtype = "<i8" if np.issubdtype(values.numbers.dtype, np.integer) else "<f8"
    return tuple(
        digest(
            "p2pmpc/snapshot-block/2",
            np.packbits(values.missing[start : start + BLOCK_ROWS]).tobytes(),
            values.numbers[start : start + BLOCK_ROWS].astype(dtype).tobytes(),
        )
        for start in range(0, len(values.numbers), BLOCK_ROWS)
    )


def _text_blocks(texts: tuple[str | None, ...]) -> tuple[bytes, ...]:
    """Each text behind its length; a missing one has the length 2^64 - 1."""
    return tuple(
        _text_block(texts[start : start + BLOCK_ROWS]) for start in range(0, len(texts), BLOCK_ROWS)
    )


def _text_block(texts: tuple[str | None, ...]) -> bytes:
    encoded = [None if text is None else text.encode() for text in texts]
    lengths = np.array([2**64 - 1 if t is None else len(t) for t in encoded], "<u8")
    return digest(
        "p2pmpc/snapshot-block/2",
        lengths.tobytes(),
        b"".join(text for text in encoded if text is not None),
    )
