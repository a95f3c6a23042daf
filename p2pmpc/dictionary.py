"""The data dictionary: what a member says in public about one data set, before anybody asks.

Names, types, units, bounds, levels and uses are public; rows, missing values and counts never are.
The same checks hold for a TOML file, for bytes from a peer and for objects made in Python, because
they stand in the constructors.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from p2pmpc.codec import decode_text, encode_text
from p2pmpc.errors import BadDictionary, RemoteError, WrongUsage
from p2pmpc.limits import (
    COLUMNS_MAX,
    DECIMALS_MAX,
    DICTIONARY_BYTES_MAX,
    LEVELS_MAX,
    MISSING_SPELLINGS_MAX,
    ROWS_MAX_DEFAULT,
    ROWS_MAX_MAX,
)
from p2pmpc.toml import (
    Section,
    canonical_decimal,
    check_column_name,
    check_name,
    check_text,
    decimal_text,
    load,
    read_text,
    suggest,
    to_date,
    write_table,
)

__all__ = [
    "BOUNDED",
    "PRIVACY_LEVELS",
    "ROLES",
    "TYPES",
    "USES",
    "Column",
    "Dictionary",
    "differences",
    "parse_dictionary",
    "read_dictionary",
]

TYPES = (
    "integer",
    "number",
    "category",
    "boolean",
    "date",
    "time_to_event",
    "identifier",
    "text",
)
BOUNDED = ("integer", "number", "date", "time_to_event")  # types that may carry bounds
USES = ("link", "aggregate", "group", "filter", "model")
ROLES = ("identifier", "quasi-identifier", "sensitive", "other")
PRIVACY_LEVELS = ("public", "registered", "restricted")
EPOCH = date(1970, 1, 1)
DAYS = ((date.min - EPOCH).days, (date.max - EPOCH).days)


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column. Raises BadDictionary when its fields do not fit each other.

    `minimum` and `maximum` are Decimals in `units`; of a date, days since 1970-01-01. `decimals` is
    the declared resolution, None where the ring decides. `uses` stands in the order of USES; with
    none the column never leaves its owner in any form.
    """

    name: str
    type: str
    units: str = ""
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    decimals: int | None = None
    levels: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    role: str = "other"

    def __post_init__(self) -> None:
        check_column_name(self.name, BadDictionary)
        _check_word(self.name, "type", self.type, TYPES)
        _check_word(self.name, "role", self.role, ROLES)
        check_text(self.units, "units", BadDictionary)
        self._set_uses()
        self._set_bounds()
        self._set_decimals()
        self._set_levels()

    def _wrong(self, field: str, message: str, advice: str = "") -> BadDictionary:
        return BadDictionary(
            f"column {self.name}: {field} {message}", column=self.name, field=field, next=advice
        )

    def _set_uses(self) -> None:
        for use in self.uses:
            _check_word(self.name, "uses", use, USES)
        if len(set(self.uses)) != len(self.uses):
            raise self._wrong("uses", "lists a use twice")
        force_setattr(self, "uses", tuple(use for use in USES if use in self.uses))

    def _set_bounds(self) -> None:
        for field in ("minimum", "maximum"):
            value = getattr(self, field)
            if value is None:
                continue
            if self.type not in BOUNDED:
                raise self._wrong(field, f"is not for the type {self.type}")
            made = canonical_decimal(value, lambda said, field=field: self._wrong(field, said))
            force_setattr(self, field, made)
            if self.type in {"integer", "date"} and made != int(made):
                raise self._wrong(field, "must be a whole number")
            if self.type == "date" and not DAYS[0] <= made <= DAYS[1]:
                raise self._wrong(field, "must be a date of the years 1 to 9999")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise self._wrong("minimum", "is above maximum")

    def _set_decimals(self) -> None:
        if self.decimals is None:
            if self.type == "integer":  # the default and its explicit value are one
                force_setattr(self, "decimals", 0)
            return
        if self.type not in {"integer", "number", "time_to_event"}:
            raise self._wrong("decimals", f"is not for the type {self.type}")
        if self.type == "integer" and self.decimals != 0:
            raise self._wrong("decimals", "of an integer is 0")
        if not 0 <= self.decimals <= DECIMALS_MAX:
            raise self._wrong("decimals", f"must be from 0 to {DECIMALS_MAX}")

    def _set_levels(self) -> None:
        if self.type != "category":
            if self.levels:
                raise self._wrong("levels", f"is not for the type {self.type}")
            return
        trimmed = tuple(level.strip() for level in self.levels)
        if not trimmed:
            raise self._wrong("levels", "is missing", 'Write `levels = ["first", "second"]`.')
        if len(trimmed) > LEVELS_MAX:
            raise self._wrong("levels", f"has more than {LEVELS_MAX} entries")
        for level in trimmed:
            check_text(level, "levels", BadDictionary)
        if len(set(trimmed)) != len(trimmed) or "" in trimmed:
            raise self._wrong("levels", "must be different texts, none of them empty")
        force_setattr(self, "levels", trimmed)

    @property
    def bounded(self) -> bool:
        """Whether both ends are declared, so that sums of its values can be encoded."""
        return self.minimum is not None and self.maximum is not None

    def allows(self, use: str) -> bool:
        """Whether the owner lets the column be used so; `use` is a word of USES."""
        return use in self.uses


def _check_word(column: str, field: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise BadDictionary(
            f"column {column}: {word!r} is no {field}{suggest(str(word), words)}",
            column=column,
            field=field,
            next=f"Use one of {', '.join(words)}.",
        )


class Dictionary(msgspec.Struct, frozen=True, kw_only=True):
    """One data set's description. `columns` keep the order of the file.

    `rows_max` is a public bound on rows, `person` the column that identifies the unit ("" if none),
    `missing` further spellings of a missing value. Raises BadDictionary.
    """

    name: str
    unit: str = "person"
    rows_max: int = ROWS_MAX_DEFAULT
    person: str = ""
    licence: str = ""
    privacy_level: str = "restricted"
    missing: tuple[str, ...] = ()
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        check_name(self.name, "data set", BadDictionary)
        for field in ("unit", "licence"):
            check_text(getattr(self, field), field, BadDictionary)
        if self.privacy_level not in PRIVACY_LEVELS:
            raise BadDictionary(
                f"{self.privacy_level!r} is no privacy_level"
                f"{suggest(self.privacy_level, PRIVACY_LEVELS)}",
                field="dataset.privacy_level",
                next=f"Use one of {', '.join(PRIVACY_LEVELS)}.",
            )
        if not 1 <= self.rows_max <= ROWS_MAX_MAX:
            raise BadDictionary(
                f"rows_max must be from 1 to {ROWS_MAX_MAX}", field="dataset.rows_max"
            )
        self._set_missing()
        self._check_columns()

    def _set_missing(self) -> None:
        spellings = tuple(sorted({one.strip() for one in self.missing}))
        if len(spellings) > MISSING_SPELLINGS_MAX:
            raise BadDictionary(
                f"missing has more than {MISSING_SPELLINGS_MAX} spellings", field="dataset.missing"
            )
        for one in spellings:
            check_text(one, "missing", BadDictionary)
        force_setattr(self, "missing", spellings)

    def _check_columns(self) -> None:
        names = [column.name for column in self.columns]
        if not names:
            raise BadDictionary("the dictionary describes no column", field="columns")
        if len(names) > COLUMNS_MAX:
            raise BadDictionary(f"more than {COLUMNS_MAX} columns", field="columns")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BadDictionary(f"the column {twice[0]} is described twice", column=twice[0])
        if self.person and self.person not in names:
            raise BadDictionary(
                f"dataset.person names {self.person!r}, which is no column"
                f"{suggest(self.person, names)}",
                field="dataset.person",
            )

    def column(self, name: str) -> Column | None:
        """The column of this name, or None."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in the file's order."""
        return tuple(column.name for column in self.columns)

    def to_bytes(self) -> bytes:
        """The one encoding: JSON with sorted keys, every field spelled out, numbers as texts."""
        return encode_text(
            {
                "form": FORM,
                "name": self.name,
                "unit": self.unit,
                "rows_max": str(self.rows_max),
                "person": self.person,
                "licence": self.licence,
                "privacy_level": self.privacy_level,
                "missing": list(self.missing),
                "columns": [_plain(column) for column in self.columns],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Dictionary:
        """Raises RemoteError for anything but the one encoding, BadDictionary for its content."""
        value = decode_text(data, DICTIONARY_BYTES_MAX, "a dictionary")
        try:
            found = msgspec.convert(value, _Plain, strict=True)
        except msgspec.ValidationError as fault:
            raise RemoteError(f"a dictionary cannot be read: {fault}") from None
        try:
            made = found.dictionary()
        except (ValueError, ArithmeticError):
            raise RemoteError("a dictionary holds a number that cannot be read") from None
        if made.to_bytes() != data:
            raise RemoteError("a dictionary is not in its one encoding")
        return made

    def to_toml(self) -> str:
        """The file that parses to this dictionary."""
        head = write_table(
            ["dataset"],
            {
                "name": self.name,
                "unit": self.unit,
                "rows_max": self.rows_max,
                "person": self.person or None,
                "licence": self.licence or None,
                "privacy_level": self.privacy_level,
                "missing": self.missing or None,
            },
        )
        return "\n".join([head, *(_column_toml(column) for column in self.columns)])


FORM = "p2pmpc/dictionary/1"


class _PlainColumn(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    type: str
    units: str
    minimum: str | None
    maximum: str | None
    decimals: str | None
    levels: tuple[str, ...]
    uses: tuple[str, ...]
    role: str

    def column(self) -> Column:
        return Column(
            name=self.name,
            type=self.type,
            units=self.units,
            minimum=None if self.minimum is None else Decimal(self.minimum),
            maximum=None if self.maximum is None else Decimal(self.maximum),
            decimals=None if self.decimals is None else int(self.decimals),
            levels=self.levels,
            uses=self.uses,
            role=self.role,
        )


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    form: str
    name: str
    unit: str
    rows_max: str
    person: str
    licence: str
    privacy_level: str
    missing: tuple[str, ...]
    columns: tuple[_PlainColumn, ...]

    def dictionary(self) -> Dictionary:
        return Dictionary(
            name=self.name,
            unit=self.unit,
            rows_max=int(self.rows_max),
            person=self.person,
            licence=self.licence,
            privacy_level=self.privacy_level,
            missing=self.missing,
            columns=tuple(column.column() for column in self.columns),
        )


def _plain(column: Column) -> dict[str, Any]:
    def number(value: Decimal | None) -> str | None:
        return None if value is None else decimal_text(value)

    return {
        "name": column.name,
        "type": column.type,
        "units": column.units,
        "minimum": number(column.minimum),
        "maximum": number(column.maximum),
        "decimals": None if column.decimals is None else str(column.decimals),
        "levels": list(column.levels),
        "uses": list(column.uses),
        "role": column.role,
    }


def _column_toml(column: Column) -> str:
    return write_table(
        ["columns", column.name],
        {
            "type": column.type,
            "units": column.units or None,
            "minimum": _bound_text(column, column.minimum),
            "maximum": _bound_text(column, column.maximum),
            "decimals": column.decimals,
            "levels": column.levels or None,
            "uses": column.uses,
            "role": column.role,
        },
    )


def _bound_text(column: Column, value: Decimal | None) -> Decimal | date | None:
    if value is None or column.type != "date":
        return value
    return EPOCH + timedelta(days=int(value))


def read_dictionary(path: str | Path) -> Dictionary:
    """A dictionary file. Raises NotFound, BadDictionary."""
    return parse_dictionary(read_text(path, DICTIONARY_BYTES_MAX, BadDictionary), Path(path).name)


def parse_dictionary(text: str, file: str) -> Dictionary:
    """A dictionary from TOML; `file` is named in errors. Raises BadDictionary."""
    top = load(text, file, DICTIONARY_BYTES_MAX, BadDictionary)
    head = top.inner("dataset")
    columns = top.sections("columns")
    top.end()
    try:
        made = Dictionary(
            name=head.text("name"),
            unit=head.text("unit", "person"),
            rows_max=head.whole("rows_max", ROWS_MAX_DEFAULT) or 0,
            person=head.text("person", ""),
            licence=head.text("licence", ""),
            privacy_level=head.text("privacy_level", "restricted"),
            missing=head.texts("missing", ()),
            columns=tuple(_parse_column(name, one) for name, one in columns.items()),
        )
    except WrongUsage as fault:
        raise _in_file(fault, file) from None
    head.end()
    return made


def _in_file(fault: WrongUsage, file: str) -> WrongUsage:
    if "file" in fault.where:
        return fault
    where: dict[str, Any] = {**fault.where, "file": file}
    return type(fault)(f"{file}: {fault.message}", next=fault.next, **where)


def _parse_column(name: str, section: Section) -> Column:
    type_ = section.text("type")
    minimum, maximum = _bound(section, "minimum", type_), _bound(section, "maximum", type_)
    made = Column(
        name=name,
        type=type_,
        units=section.text("units", ""),
        minimum=minimum,
        maximum=maximum,
        decimals=section.whole("decimals"),
        levels=section.texts("levels", ()),
        uses=section.texts("uses", ()),
        role=section.text("role", "other"),
    )
    section.end()
    return made


def _bound(section: Section, key: str, type_: str) -> Decimal | None:
    if type_ != "date" or key not in section.found:
        return section.decimal(key)
    found = to_date(section.get(key))
    if found is None:
        raise section.wrong(key, "must be a date", f"Write `{key} = 2020-01-31`.")
    return Decimal((found - EPOCH).days)


# --- comparing what two members say ---


def differences(
    a: Dictionary,
    b: Dictionary,
    member_a: str,
    member_b: str,
    columns: Iterable[str] | None = None,
) -> list[str]:
    """One line for each difference that would make pooled numbers mean different things.

    Compared: the unit, spellings of missing values, and of each column (of `columns`, or of all)
    its presence, type, units, levels with their order, bounds and decimals. Not compared: uses,
    role, licence, rows_max; there the strictest counts. [] when the two agree.
    """
    found: list[str] = []
    if a.unit != b.unit:
        found.append(
            f'{member_b}: data set {b.name} has unit "{b.unit}"; {member_a} has "{a.unit}"'
        )
    if a.missing != b.missing:
        found.append(
            f"{member_b}: data set {b.name} has missing = {_show(b.missing)}; "
            f"{member_a} has {_show(a.missing)}"
        )
    wanted = dict.fromkeys((*a.names, *b.names)) if columns is None else dict.fromkeys(columns)
    for name in wanted:
        found += _column_differences(name, a.column(name), b.column(name), member_a, member_b)
    return found


def _column_differences(
    name: str, a: Column | None, b: Column | None, member_a: str, member_b: str
) -> list[str]:
    if a is None and b is None:
        return []
    if a is None:
        return [f"{member_a}: column {name} is missing; {member_b} has it"]
    if b is None:
        return [f"{member_b}: column {name} is missing; {member_a} has it"]
    if a.type == b.type and set(a.levels) == set(b.levels) and a.levels != b.levels:
        return [
            f"{member_b}: column {name} has the same levels as {member_a} in another order: "
            f"{_show(b.levels)}; {member_a} has {_show(a.levels)}"
        ]
    fields = ("type", "units", "levels", "minimum", "maximum", "decimals")
    for field in fields:
        mine, other = _field(a, field), _field(b, field)
        if mine != other:
            return [
                f"{member_b}: column {name} has {field} {_show(other)}; "
                f"{member_a} has {_show(mine)}"
            ]
    return []


def _field(column: Column, field: str) -> object:
    value = getattr(column, field)
    if isinstance(value, Decimal):
        return _bound_text(column, value)
    return value


def _show(value: object) -> str:
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, tuple):
        shown = ", ".join(f'"{one}"' for one in value[:8])
        return f"[{shown}{', ...' if len(value) > 8 else ''}]"
    if isinstance(value, Decimal):
        return decimal_text(value)
    return f'"{value}"' if isinstance(value, str) else str(value)
