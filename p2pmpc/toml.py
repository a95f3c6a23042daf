"""Strict reading and plain writing of the TOML files that people touch.

A `Section` hands out fields by name and type and at the end refuses what nobody asked for, naming
file and field. Numbers are Decimals throughout; floats never appear.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from p2pmpc.errors import NotFound, WrongUsage
from p2pmpc.limits import (
    DECIMAL_DIGITS_MAX,
    NAME_CHARACTERS_MAX,
    TEXT_CHARACTERS_MAX,
    TOML_DEPTH_MAX,
)

__all__ = [
    "Section",
    "canonical_decimal",
    "check_column_name",
    "check_name",
    "check_text",
    "decimal_text",
    "load",
    "read_text",
    "suggest",
    "to_date",
    "write_table",
    "write_value",
]

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

Fault = type[WrongUsage]


def read_text(path: str | Path, bytes_max: int, fault: Fault) -> str:
    """A UTF-8 file of at most `bytes_max`. Raises NotFound, or `fault` naming the file."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as reason:
        raise NotFound(
            f"{path} cannot be read: {reason.strerror}",
            file=str(path),
            next="Check the path and its permissions.",
        ) from None
    if len(data) > bytes_max:
        raise fault(f"{path} is longer than {bytes_max} bytes", file=str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise fault(f"{path} is not UTF-8 text", file=str(path), next="Save it as UTF-8.") from None


def load(text: str, file: str, bytes_max: int, fault: Fault) -> Section:
    """Parse TOML. Raises `fault` naming the file, and the line where there is one."""
    if len(text.encode("utf-8", "surrogatepass")) > bytes_max:
        raise fault(f"{file} is longer than {bytes_max} bytes", file=file)
    try:
        found = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError) as reason:
        raise fault(f"{file} is not TOML: {reason}", file=file) from None
    except RecursionError:
        raise fault(f"{file} is nested too deeply", file=file) from None
    _check_depth(found, file, fault, TOML_DEPTH_MAX)
    return Section(found, file, "", fault)


def _check_depth(value: Any, file: str, fault: Fault, left: int) -> None:
    if left == 0:
        raise fault(f"{file} is nested more than {TOML_DEPTH_MAX} deep", file=file)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        _check_depth(one, file, fault, left - 1)


class Section:
    """One table of a file. Every getter marks its field as known; `end` refuses the rest."""

    def __init__(self, found: Mapping[str, Any], file: str, path: str, fault: Fault) -> None:
        self.found, self.file, self.path, self.fault = found, file, path, fault
        self._asked: list[str] = []

    def wrong(self, key: str, message: str, advice: str = "") -> WrongUsage:
        """An error that names this file and field."""
        field = self._field(key)
        place = f"{self.file}: " if self.file else ""
        return self.fault(
            f"{place}{field}: {message}", file=self.file or None, field=field, next=advice
        )

    def _field(self, key: str) -> str:
        return ".".join(part for part in (self.path, key) if part)

    def get(self, key: str) -> Any:
        """The raw value, None where the field is left out; for a caller that checks it itself."""
        self._asked.append(key)
        return self.found.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        """A text; without a default it must be there."""
        value = self.get(key)
        if value is None:
            found: str = self._default(key, default)
            return found
        if not isinstance(value, str):
            raise self.wrong(key, "must be a text in quotes")
        return value

    def _default(self, key: str, default: Any) -> Any:
        if default is None:
            others = [name for name in self.found if name not in self._asked]
            near = difflib.get_close_matches(key, others, n=1)
            raise self.wrong(
                key,
                f"is missing; is {near[0]!r} meant?" if near else "is missing",
                f"Write `{key} = ...`.",
            )
        return default

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of texts."""
        value = self.get(key)
        if value is None:
            found: tuple[str, ...] = self._default(key, default)
            return found
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(key, "must be a list of texts", f'Write `{key} = ["..."]`.')
        return tuple(value)

    def flag(self, key: str, default: bool) -> bool:
        """Raises the file's fault unless it is true or false."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def decimal(self, key: str, default: Decimal | None = None) -> Decimal | None:
        """Raises the file's fault unless it is a finite number; exact, never through a float."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.wrong(key, "must be a number")
        return canonical_decimal(Decimal(value), lambda said: self.wrong(key, said))

    def whole(self, key: str, default: int | None = None) -> int | None:
        """Raises the file's fault unless it is a whole number."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, "must be a whole number")
        return value

    def section(self, key: str, *, needed: bool = False) -> Section | None:
        """The table of this name, None where it is left out and not needed.

        Raises the file's fault when it is needed and missing, or is no table.
        """
        value = self.get(key)
        if value is None:
            if needed:
                raise self.wrong(key, "is missing", f"Add a table `[{self._field(key)}]`.")
            return None
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table", f"Write `[{self._field(key)}]`.")
        return Section(value, self.file, self._field(key), self.fault)

    def sections(self, key: str) -> dict[str, Section]:
        """The tables inside the table `key`, by name, in the order of the file."""
        outer = self.section(key)
        return {} if outer is None else {name: outer.inner(name) for name in outer.found}

    def inner(self, key: str) -> Section:
        """The table of this name. Raises the file's fault where there is none."""
        found = self.section(key, needed=True)
        assert found is not None
        return found

    def listed(self, key: str) -> list[Section]:
        """An array of tables."""
        value = self.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.wrong(key, "must be a list of tables", f"Write `[[{self._field(key)}]]`.")
        return [
            Section(one, self.file, f"{self._field(key)}[{number}]", self.fault)
            for number, one in enumerate(value, 1)
        ]

    def end(self) -> None:
        """Refuse the first field that nobody asked for."""
        for key in self.found:
            if key not in self._asked:
                raise self.wrong(key, f"is not a known field{suggest(key, self._asked)}")


def suggest(word: str, words: Iterable[str]) -> str:
    """`; did you mean ...?` with the nearest of the words, or nothing."""
    known = sorted(set(words))
    lowered = {one.lower(): one for one in known}
    near = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return f"; did you mean {lowered[near[0]]!r}?" if near else ""


def check_name(name: str, what: str, fault: Fault, *, dots: bool = True) -> None:
    """1-64 letters, digits and `_ - .`, not starting with `.` or `-`. Raises `fault`."""
    if not isinstance(name, str) or not name:
        raise fault(f"a {what} needs a name", field=what)
    if len(name) > NAME_CHARACTERS_MAX:
        raise fault(
            f"the name of the {what} {name[:20]!r}... is longer than {NAME_CHARACTERS_MAX} "
            "characters",
            field=what,
        )
    if not NAME.fullmatch(name) or (not dots and "." in name):
        allowed = "_ - ." if dots else "_ -"
        raise fault(
            f"{name!r} cannot name a {what}: use letters, digits and {allowed}, "
            "not starting with . or -",
            field=what,
        )


def check_column_name(name: str, fault: Fault) -> None:
    """As other names, and blanks inside and letters of any alphabet. Raises `fault`."""
    if not isinstance(name, str) or not name:
        raise fault("a column needs a name", field="column")
    if len(name) > NAME_CHARACTERS_MAX:
        raise fault(
            f"the column name {name[:20]!r}... is longer than {NAME_CHARACTERS_MAX} characters",
            field="column",
        )
    sound = name == name.strip() and name[0] not in ".-"
    if not sound or not all(c.isalnum() or c in "_-. " or _is_mark(c) for c in name):
        raise fault(
            f"{name!r} cannot name a column: use letters, digits, blanks and _ - ., "
            "not starting with . or -",
            column=name,
        )


def _is_mark(character: str) -> bool:
    import unicodedata

    return unicodedata.category(character) in {"Mn", "Mc"}  # accents written as a second character


def check_text(text: str, what: str, fault: Fault) -> None:
    """A readable text of bounded length: no control characters, no lone surrogates."""
    if not isinstance(text, str):
        raise fault(f"{what} must be a text", field=what)
    if len(text) > TEXT_CHARACTERS_MAX:
        raise fault(f"{what} is longer than {TEXT_CHARACTERS_MAX} characters", field=what)
    if any(_is_control(character) for character in text):
        raise fault(
            f"{what} holds a control character",
            field=what,
            next="Remove it; a line break is allowed.",
        )


def _is_control(character: str) -> bool:
    if character in "\n\t":
        return False
    # also what turns the direction of text, so that a steward reads what is written
    hidden = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    code = ord(character)
    return code < 32 or 127 <= code < 160 or 0xD800 <= code <= 0xDFFF or character in hidden


def canonical_decimal(value: Decimal, wrong: Any = None) -> Decimal:
    """The one Decimal of this number: no exponent, no trailing zeros, no negative zero.

    `wrong(message)` makes the error to raise; ValueError by default.
    """
    make = wrong or ValueError
    if not value.is_finite():
        raise make("must be a finite number")
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    if not any(digits):
        return Decimal(0)
    if len(digits) > DECIMAL_DIGITS_MAX or abs(value.adjusted()) > DECIMAL_DIGITS_MAX:
        raise make(f"must have at most {DECIMAL_DIGITS_MAX} digits")
    kept = list(digits)
    while exponent < 0 and kept[-1] == 0:
        kept.pop()
        exponent += 1
    if exponent > 0:
        kept, exponent = kept + [0] * exponent, 0
    return Decimal((sign, tuple(kept), exponent))


def decimal_text(value: Decimal) -> str:
    """The canonical text of a number: plain digits, no exponent."""
    return format(canonical_decimal(value), "f")


def to_date(value: Any) -> date | None:
    """A calendar date from a TOML date or `YYYY-MM-DD`; None for anything else."""
    if type(value) is date:
        return value
    if isinstance(value, str) and DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return None


# --- writing ---


def write_value(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return _quote(value)
    assert isinstance(value, Sequence), f"{type(value).__name__} has no TOML form here"
    return "[" + ", ".join(write_value(one) for one in value) + "]"


def _quote(text: str) -> str:
    marks = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(marks.get(c, c) for c in text) + '"'


def write_key(key: str) -> str:
    """A key as TOML spells it: bare where that is allowed, else quoted."""
    return key if BARE_KEY.fullmatch(key) else _quote(key)


def write_table(head: Sequence[str], fields: Mapping[str, Any], *, listed: bool = False) -> str:
    """`[head]` and its fields, without those that are None; `[[head]]` when listed."""
    path = ".".join(write_key(part) for part in head)
    lines = [f"[[{path}]]" if listed else f"[{path}]"]
    lines += [f"{write_key(k)} = {write_value(v)}" for k, v in fields.items() if v is not None]
    return "\n".join(lines) + "\n"
