"""Separated text (CSV): UTF-8 with or without mark, UTF-16 with a mark, Latin-1 on request.

The separator is one of , ; tab | and is found from the header and the first records; what was
found is said in the notes. Quoting is RFC 4180: a quoted field may hold separators, line breaks and
doubled quotation marks; text after a closing quotation mark is an error. Empty lines at the end
mean nothing; elsewhere, in a table of several columns, an empty line is an error, not a row.

Reading is two-speed: whole batches by the csv module; when anything is wrong, once more record by
record to say where.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import NoReturn

import numpy as np

from nodes.data.source import BATCH_ROWS, COLUMNS_MAX, RawBatch, RawColumn, RawTable
from p2pmpc.errors import BadData, WrongUsage

__all__ = ["LINE_CHARACTERS_MAX", "SEPARATORS", "open_separated"]

LINE_CHARACTERS_MAX = 1 << 20  # a longer line is a file without line breaks
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
LINE_BREAKS = ("\n", "\r\n", "\r")
SAMPLE_CELLS = 128  # all different: a column of measurements or identifiers
SAMPLE_RECORDS = 50  # enough to tell separators apart
ENCODINGS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "iso8859-1": "Latin-1"}
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAVE_AS_UTF8 = "save the file as UTF-8, or name its encoding (latin-1) when you hand it in"


class OverlongLine(Exception):
    """A line of more than LINE_CHARACTERS_MAX characters."""


@dataclass(frozen=True, slots=True, repr=False)
class SeparatedText:
    """The file's bytes and how to read them. The bytes are read once: what is checked is used."""

    path: Path
    raw: bytes
    encoding: str
    separator: str
    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"SeparatedText({self.path.name})"

    def records(self, lines: Iterable[str] | None = None) -> Iterator[list[str]]:
        """The records of the text, head first; quoted cells may hold line breaks."""
        return csv.reader(
            self.lines() if lines is None else lines, delimiter=self.separator, strict=True
        )

    def lines(self) -> Iterator[str]:
        """The lines, without the empty ones at the end of the file."""
        empty: list[str] = []
        for line in io.TextIOWrapper(io.BytesIO(self.raw), self.encoding, newline=""):
            if line in LINE_BREAKS:
                empty.append(line)
                continue
            if len(line) > LINE_CHARACTERS_MAX:
                raise OverlongLine
            yield from empty
            empty.clear()
            yield line

    def batches(self, places: Sequence[int]) -> Iterator[RawBatch]:
        """The columns at these places, BATCH_ROWS at a time; raises BadData at a ragged record."""
        records = self.records()
        self._some(records, 1)
        first_row = 2
        while rows := self._some(records, BATCH_ROWS):
            if set(map(len, rows)) != {len(self.names)}:
                self._even(rows, first_row)
            cells = list(zip(*rows, strict=True))
            yield RawBatch(first_row, len(rows), tuple(_coded(cells[place]) for place in places))
            first_row += len(rows)

    def check_header(self) -> None:
        """Raises BadData when the first record cannot be read strictly."""
        self._some(self.records(), 1)

    def _some(self, records: Iterator[list[str]], most: int) -> list[list[str]]:
        try:
            return list(islice(records, most))
        except (csv.Error, OverlongLine):
            self._locate()

    def _even(self, rows: list[list[str]], first_row: int) -> None:
        """Raises BadData at the first ragged row."""
        width = len(self.names)
        for place, row in enumerate(rows):
            if width == 1 and not row:
                row.append("")  # an empty line is the empty cell of a one-column table
            if len(row) != width:
                self._ragged(first_row + place, row)

    def _ragged(self, row: int, record: list[str]) -> NoReturn:
        found, width = len(record), len(self.names)
        if not record:
            message, action = f"row {row} is an empty line", "delete the empty line"
        else:
            message = f"row {row} has {found} fields, the header has {width}"
            action = "quote fields that hold the separator or a line break, and complete the row"
        place = {"column": self.names[found]} if 0 < found < width else {}
        raise BadData(
            f"{self.path.name}, {message} (separator: {SEPARATORS[self.separator]})",
            next=action,
            file=str(self.path),
            row=row,
            **place,
        )

    def _locate(self) -> NoReturn:
        """Read again record by record and say which one cannot be read, and why."""
        held: list[str] = []
        row = 0
        try:
            for _ in self.records(_kept(self.lines(), held)):
                row += 1
                held.clear()
        except OverlongLine:
            self._unreadable(
                row + 1,
                None,
                f"a line of more than {LINE_CHARACTERS_MAX} characters",
                "check that the file has line breaks and that quotation marks are closed",
            )
        except csv.Error as fault:
            place = _open_quote("".join(held), self.separator)
            self._unreadable(row + 1, place, *_csv_fault(str(fault)))
        raise AssertionError("a file read twice was sound the second time")

    def _unreadable(self, row: int, place: int | None, what: str, action: str) -> NoReturn:
        column = self.names[place] if place is not None and place < len(self.names) else None
        where = f"row {row}" + (f", column {column}" if column else "")
        raise BadData(
            f"{self.path.name}, {where}: {what}",
            next=action,
            file=str(self.path),
            row=row,
            column=column,
        )


def open_separated(path: Path, encoding: str | None) -> RawTable:
    """Read the file's bytes, detect encoding and separator, check the header."""
    raw = path.read_bytes()
    codec, said = _encoding(raw, encoding)
    text = _decoded(path, raw, codec)
    _refuse_nul(path, text)
    separator = _separator(path, text)
    names = _header(path, text, separator)
    reader = SeparatedText(path, raw, codec, separator, names)
    reader.check_header()
    notes = [f"{path.name}: {said}, separator {SEPARATORS[separator]}"]
    if len(names) == 1:
        notes = [f"{path.name}: {said}, one column"]
    return RawTable(path, names, tuple(notes), separator in ";\t", reader)


def _encoding(raw: bytes, asked: str | None) -> tuple[str, str]:
    """The codec, and how the notes name it."""
    for mark, codec in MARKS:
        if raw.startswith(mark):
            return codec, f"{ENCODINGS[codec]} with byte order mark"
    if asked is None:
        return "utf-8", "UTF-8"
    try:
        name = codecs.lookup(asked).name
    except LookupError:
        name = asked
    if name not in ENCODINGS:
        raise WrongUsage(
            f"the encoding {asked!r} is not known", next="use utf-8, utf-16 or latin-1"
        )
    return name, ENCODINGS[name]


def _decoded(path: Path, raw: bytes, codec: str) -> str:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as fault:
        place = fault.start
    sound = raw[:place].decode(codec, errors="ignore")
    row, column = _place_of(sound)
    where = f"row {row}" + (f", column {column}" if column else "")
    raise BadData(
        f"{path.name}, {where}: byte {place + 1} is not {ENCODINGS[codec]}",
        next=SAVE_AS_UTF8,
        file=str(path),
        row=row,
        column=column,
    )


def _refuse_nul(path: Path, text: str) -> None:
    place = text.find("\0")
    if place < 0:
        return
    row, column = _place_of(text[:place])
    where = f"row {row}" + (f", column {column}" if column else "")
    raise BadData(
        f"{path.name}, {where}: a NUL character, so this is no text file, "
        "or UTF-16 without its byte order mark",
        next="save the file as UTF-8",
        file=str(path),
        row=row,
        column=column,
    )


def _place_of(before: str) -> tuple[int, str | None]:
    """Row and column name of the character after `before`."""
    header = _sample(before, 1)
    widths = {s: len(next(iter(_parsed(header, s)), [])) for s in SEPARATORS}
    separator = max(widths, key=lambda s: widths[s])
    records = list(_parsed(before + "x", separator)) if before else [[""]]
    names, last = records[0], len(records[-1]) - 1
    if len(records) == 1 or last >= len(names):
        return len(records), None
    return len(records), names[last].strip()


def _parsed(text: str, separator: str) -> Iterator[list[str]]:
    """The records, forgivingly: places and separators are wanted, not content."""
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    except csv.Error:
        return


def _sample(text: str, records: int) -> str:
    """The first lines: as many characters as `records` lines have, quoted breaks not counted."""
    lines = io.StringIO(text[: LINE_CHARACTERS_MAX + 1], newline="")
    return "".join(islice(lines, records))


def _separator(path: Path, text: str) -> str:
    sample = _sample(text, SAMPLE_RECORDS)
    widths = {s: [len(r) for r in _parsed(sample, s) if r] for s in SEPARATORS}
    splitting = {s: found for s, found in widths.items() if found and found[0] > 1}
    if not splitting:
        return ","
    # the last record may be cut off by the sample
    even = {s: w for s, w in splitting.items() if len(set(w[:-1] or w)) == 1}
    scores = Counter({s: w[0] for s, w in (even or splitting).items()}).most_common()
    if len(scores) > 1 and scores[0][1] == scores[1][1]:
        first, second = (SEPARATORS[s] for s, _ in scores[:2])
        raise BadData(
            f"{path.name}, row 1: {first} and {second} could both be the separator",
            next="separate fields by one of them and quote fields that hold the other",
            file=str(path),
            row=1,
        )
    return scores[0][0]


def _header(path: Path, text: str, separator: str) -> tuple[str, ...]:
    names = [
        name.strip() for name in next(iter(_parsed(text[:LINE_CHARACTERS_MAX], separator)), [])
    ]

    def refuse(what: str, action: str, column: str | None = None) -> NoReturn:
        raise BadData(
            f"{path.name}, row 1: {what}", next=action, file=str(path), row=1, column=column
        )

    if not any(names):
        refuse("no column names", "the first line must hold the column names")
    if len(names) > COLUMNS_MAX:
        refuse(f"more than {COLUMNS_MAX} columns", "hand in only the columns that studies need")
    for place, name in enumerate(names, 1):
        if not name:
            refuse(
                f"column {place} has no name",
                "name it or delete it (pandas: to_csv(..., index=False) leaves the index out)",
                str(place),
            )
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        refuse(f"the column name {twice[0]} stands twice", "rename one of them", twice[0])
    return tuple(names)


def _coded(cells: tuple[str, ...]) -> RawColumn:
    sample = cells[:SAMPLE_CELLS]
    if len(set(sample)) == len(sample) == SAMPLE_CELLS:  # finding repeats would find next to none
        return RawColumn(list(cells), np.arange(len(cells), dtype=np.int32))
    seen: defaultdict[str, int] = defaultdict(count().__next__)
    codes = np.fromiter(map(seen.__getitem__, cells), np.int32, len(cells))
    return RawColumn(list(seen), codes)


def _kept(lines: Iterable[str], held: list[str]) -> Iterator[str]:
    for line in lines:
        held.append(line)
        yield line


def _open_quote(record: str, separator: str) -> int | None:
    """The place of the field that a quotation mark leaves open, or that is otherwise unreadable."""
    place, inside, fresh = 0, False, True
    for character in record:
        if inside:
            inside = character != '"'
        elif character == '"' and fresh:
            inside = True
        elif character == separator:
            place += 1
        fresh = character == separator or (character == '"' and not inside)
    return place


def _csv_fault(fault: str) -> tuple[str, str]:
    if "unexpected end of data" in fault:
        return (
            "the file ends inside a quoted field",
            "the file was cut off or a quotation mark is not closed: hand it in whole",
        )
    if "field larger than" in fault:
        return (
            f"a field of more than {csv.field_size_limit()} characters",
            "close the quotation mark that opens there, or shorten the field",
        )
    if "expected after" in fault:
        return (
            "text follows a closing quotation mark",
            "double quotation marks inside a quoted field",
        )
    return "the record cannot be read", "write it as RFC 4180 says: quote fields with line breaks"
