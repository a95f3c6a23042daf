"""One question of a study: a kind and its parameters, checked against the table of kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from p2pmpc.errors import BadExpression, BadStudy
from p2pmpc.formula import Formula, parse_formula
from p2pmpc.kinds import KINDS, Parameter, Value
from p2pmpc.limits import NAME_CHARACTERS_MAX, PARAMETER_ITEMS_MAX
from p2pmpc.toml import canonical_decimal, check_name, check_text, suggest

__all__ = ["Statistic", "number", "put", "texts", "wrong"]


def wrong(field: str, message: str, advice: str = "") -> BadStudy:
    """The error to raise about one field of a study."""
    return BadStudy(f"{field}: {message}", field=field, next=advice)


def put(owner: object, **values: object) -> None:
    """Set fields of a frozen object inside its own constructor, nowhere else."""
    for name, value in values.items():
        object.__setattr__(owner, name, value)  # inside a frozen object's own constructor


def texts(value: Iterable[str], field: str) -> tuple[str, ...]:
    """The list as a tuple. Raises BadStudy unless it holds different texts."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise wrong(field, "must be a list of texts")
    found = tuple(value)
    if not all(isinstance(one, str) for one in found):
        raise wrong(field, "must be a list of texts")
    if len(set(found)) != len(found):
        twice = next(one for one in found if found.count(one) > 1)
        raise wrong(field, f"{twice!r} stands there twice")
    return found


@dataclass(frozen=True, slots=True)
class Statistic:
    """One question. `parameters` holds every parameter of the kind, defaults filled in.

    Texts stay texts, numbers become Decimals, lists tuples; None means: not asked for.
    """

    name: str
    kind: str
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "statistic", BadStudy)
        if self.kind not in KINDS:
            said = f"{self.kind!r} is no kind of statistic{suggest(str(self.kind), KINDS)}"
            raise wrong(f"{self._at}.kind", said, f"Kinds: {', '.join(KINDS)}.")
        declared = KINDS[self.kind]
        for word in self.parameters:
            if declared.parameter(word) is None:
                said = f"{self.kind} has no parameter {word!r}{suggest(str(word), declared.words)}"
                takes = ", ".join(declared.words)
                raise wrong(f"{self._at}.{word}", said, f"{self.kind} takes {takes}.")
        filled = {one.name: self._value(one) for one in declared.parameters}
        for one in declared.parameters:
            absent = filled[one.name] is None and filled.get(one.instead) is None
            if one.needed and absent:
                said = f"{self.kind} needs {one.name!r}"
                raise wrong(f"{self._at}.{one.name}", said, f"Add `{one.name} = ...`.")
        put(self, parameters=MappingProxyType(filled))

    @property
    def _at(self) -> str:
        return f"statistic.{self.name}"

    def _value(self, declared: Parameter) -> Value:
        given = self.parameters.get(declared.name)
        if given is None:
            return declared.default
        return SORTS[declared.sort](given, f"{self._at}.{declared.name}", declared)

    @property
    def formula(self) -> Formula | None:
        """The parsed formula of a model, None for other kinds."""
        text = self.parameters.get("formula")
        return parse_formula(text) if isinstance(text, str) else None

    @property
    def columns(self) -> tuple[tuple[str, Parameter], ...]:
        """(word as written, the parameter that it stands in), each word once, in order."""
        found: dict[str, Parameter] = {}
        for one in KINDS[self.kind].parameters:
            for word in self._words(one):
                found.setdefault(word, one)
        return tuple(found.items())

    def _words(self, declared: Parameter) -> tuple[str, ...]:
        value = self.parameters.get(declared.name)
        if value is None:
            return ()
        if declared.sort in {"formula", "right_side"}:
            assert self.formula is not None
            return self.formula.columns
        if declared.sort == "column":
            return (str(value),)
        return tuple(map(str, value)) if declared.sort == "columns" else ()  # type: ignore[arg-type]

    @property
    def asked(self) -> dict[str, Value]:
        """The parameters that differ from their defaults."""
        kind = KINDS[self.kind]
        return {p.name: v for p in kind.parameters if (v := self.parameters[p.name]) != p.default}

    def unbuilt(self) -> str:
        """The first word that is declared but not built, or ""."""
        kind = KINDS[self.kind]
        if not kind.built:
            return self.kind
        for name, value in self.asked.items():
            declared = kind.parameter(name)
            assert declared is not None
            if not declared.built:
                return f"{self.kind} with {name}"
            if declared.words and value not in declared.built_words:
                return f'{self.kind} with {name} = "{value}"'
        return ""


# --- values of parameters ---


def number(value: object, field: str) -> Decimal:
    """The number as the shortest exact decimal. Raises BadStudy for anything else."""
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise wrong(field, "must be a number")
    return canonical_decimal(Decimal(value), lambda said: wrong(field, said))


def _take_number(value: object, field: str, declared: Parameter) -> Value:
    del declared
    return number(value, field)


def _take_share(value: object, field: str, declared: Parameter) -> Value:
    del declared
    found = number(value, field)
    if not 0 < found < 1:
        raise wrong(field, "must be between 0 and 1", "For example 0.95.")
    return found


def _take_numbers(value: object, field: str, declared: Parameter) -> Value:
    del declared
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise wrong(field, "must be a list of numbers")
    found = tuple(number(one, field) for one in value)
    if not found or len(found) > PARAMETER_ITEMS_MAX:
        raise wrong(field, f"must hold from 1 to {PARAMETER_ITEMS_MAX} numbers")
    if list(found) != sorted(set(found)):
        raise wrong(field, "must rise from one number to the next")
    return found


def _take_whole(value: object, field: str, declared: Parameter) -> Value:
    del declared
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value != int(value):
        raise wrong(field, "must be a whole number")
    if not 1 <= value < 2**31:
        raise wrong(field, "must be from 1 to 2147483647")
    return int(value)


def _take_flag(value: object, field: str, declared: Parameter) -> Value:
    del declared
    if not isinstance(value, bool):
        raise wrong(field, "must be true or false")
    return value


def _take_word(value: object, field: str, declared: Parameter) -> Value:
    if not isinstance(value, str) or value not in declared.words:
        said = f"{value!r} is unknown{suggest(str(value), declared.words)}"
        raise wrong(field, said, f"Use one of {', '.join(declared.words)}.")
    return value


def _take_column(value: object, field: str, declared: Parameter) -> Value:
    del declared
    if not isinstance(value, str) or not value:
        raise wrong(field, "must be the name of a column, in quotes")
    if len(value) > 2 * NAME_CHARACTERS_MAX + 1:
        raise wrong(field, "is longer than a column's name can be")
    check_text(value, field, BadStudy)
    return value


def _take_columns(value: object, field: str, declared: Parameter) -> Value:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise wrong(field, "must be a list of columns", f'Write `{declared.name} = ["..."]`.')
    found = texts(value, field)
    if not found or len(found) > PARAMETER_ITEMS_MAX:
        raise wrong(field, f"must hold from 1 to {PARAMETER_ITEMS_MAX} columns")
    for one in found:
        _take_column(one, field, declared)
    return found


def _take_formula(value: object, field: str, declared: Parameter) -> Value:
    if not isinstance(value, str):
        raise wrong(field, "must be a formula in quotes")
    try:
        formula = parse_formula(value)
    except BadExpression as fault:
        raise BadExpression(f"{field}: {fault.message}", field=field, next=fault.next) from None
    if declared.sort == "formula" and formula.response is None:
        raise wrong(field, "has no left side", "Write `y ~ a + b`.")
    if declared.sort == "right_side" and formula.response is not None:
        raise wrong(field, "has a left side; time and event stand there", "Write `a + b`.")
    return value


SORTS = {
    "share": _take_share,
    "column": _take_column,
    "columns": _take_columns,
    "formula": _take_formula,
    "right_side": _take_formula,
    "number": _take_number,
    "numbers": _take_numbers,
    "whole": _take_whole,
    "flag": _take_flag,
    "word": _take_word,
}
