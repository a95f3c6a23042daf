"""A member's own rules: what may open, how coarse it must be, who decides. Deny by default.

    [default]            for every data set
    [data.NAME]          overrides for one data set

What several members or data sets ask for is combined by `strictest`: the larger minimum, the
smaller share, the narrower list. Unknown words are errors: a misspelt rule never counts as none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from p2pmpc.codec import decode, encode
from p2pmpc.errors import BadPolicy, WrongUsage
from p2pmpc.kinds import KINDS
from p2pmpc.limits import POLICY_BYTES_MAX, ROWS_MAX_MAX
from p2pmpc.toml import (
    Section,
    canonical_decimal,
    check_name,
    check_text,
    load,
    read_text,
    suggest,
    write_table,
)

__all__ = [
    "DEFAULT",
    "REHEARSAL",
    "DatasetRules",
    "Policy",
    "Rules",
    "parse_policy",
    "read_policy",
    "strictest",
]

DECIDE = ("approve", "ask", "refuse")  # from the mildest to the strictest, as all below
ZEROS = ("show", "suppress")
EXTREMES = ("rounded", "never")
MEMBERS_MAX = 1000  # more than a network can have: a larger number is a slip


class Rules(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One set of rules. Raises BadPolicy.

    `minimum_cell` and `minimum_cohort` count persons, `minimum_members` members that contribute to
    anything opened, `parameters_per_row` the most parameters of a model for each row. `purposes`
    and `kinds` are what is allowed; None allows any, an empty list none.
    """

    decide: str = "ask"
    minimum_cell: int = 10
    minimum_members: int = 3
    minimum_cohort: int = 10
    parameters_per_row: Decimal = Decimal("0.1")
    zeros: str = "suppress"
    extremes: str = "never"
    purposes: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for field, words in (("decide", DECIDE), ("zeros", ZEROS), ("extremes", EXTREMES)):
            _check_word(field, getattr(self, field), words)
        _check_range("minimum_cell", self.minimum_cell, 1, ROWS_MAX_MAX)
        _check_range("minimum_cohort", self.minimum_cohort, 1, ROWS_MAX_MAX)
        _check_range("minimum_members", self.minimum_members, 2, MEMBERS_MAX)
        share = canonical_decimal(
            self.parameters_per_row, lambda said: _wrong("parameters_per_row", said)
        )
        if not 0 < share <= 1:
            raise _wrong("parameters_per_row", "must be above 0 and at most 1")
        force_setattr(self, "parameters_per_row", share)
        if self.kinds is not None:
            for kind in self.kinds:
                _check_word("kinds", kind, tuple(KINDS))
            force_setattr(self, "kinds", tuple(k for k in KINDS if k in self.kinds))
        if self.purposes is not None:
            for purpose in self.purposes:
                check_text(purpose, "purposes", BadPolicy)
            force_setattr(self, "purposes", tuple(sorted(set(self.purposes))))


FIELDS = Rules.__struct_fields__


def _wrong(field: str, message: str, advice: str = "") -> BadPolicy:
    return BadPolicy(f"{field}: {message}", field=field, next=advice)


def _check_word(field: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        said = f"{word!r} is unknown{suggest(str(word), words)}"
        raise _wrong(field, said, f"Use one of {', '.join(words)}.")


def _check_range(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise _wrong(field, f"must be from {least} to {most}")


class DatasetRules(msgspec.Struct, frozen=True, array_like=True):
    """The whole rules for one data set: the defaults with its overrides."""

    dataset: str
    rules: Rules


class Policy(msgspec.Struct, frozen=True, array_like=True):
    """A member's rules: `default`, and `data` sorted by data set."""

    default: Rules
    data: tuple[DatasetRules, ...] = ()

    def __post_init__(self) -> None:
        names = [one.dataset for one in self.data]
        for name in names:
            check_name(name, "data set", BadPolicy)
        if len(set(names)) != len(names):
            raise BadPolicy("a data set has two sets of rules", field="data")
        force_setattr(self, "data", tuple(sorted(self.data, key=lambda one: one.dataset)))

    def rules_for(self, dataset: str) -> Rules:
        """The rules for one data set."""
        return next((one.rules for one in self.data if one.dataset == dataset), self.default)

    def rules_for_all(self, datasets: Iterable[str]) -> Rules:
        """The strictest over several data sets; the defaults when there is none."""
        found = [self.rules_for(dataset) for dataset in sorted(set(datasets))]
        return strictest(found or [self.default])

    def restricted_to(self, datasets: Iterable[str]) -> Policy:
        """The policy without the rules of other data sets: what others may see of it."""
        wanted = set(datasets)
        return Policy(self.default, tuple(one for one in self.data if one.dataset in wanted))

    def to_bytes(self) -> bytes:
        """The one encoding."""
        return encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Policy:
        """Raises RemoteError for anything but the one encoding, BadPolicy for its content."""
        return decode(data, cls, "a policy")

    def to_toml(self) -> str:
        """The file that parses to this policy; every rule spelled out."""
        parts = [write_table(["default"], _fields(self.default))]
        parts += [write_table(["data", one.dataset], _fields(one.rules)) for one in self.data]
        return "\n".join(parts)


def _fields(rules: Rules) -> dict[str, Any]:
    return {name: getattr(rules, name) for name in FIELDS}


def strictest(rules: Iterable[Rules]) -> Rules:
    """The rules that satisfy all of these: at least one is needed."""
    found = list(rules)
    assert found, "no rules to combine"
    return Rules(
        decide=max((one.decide for one in found), key=DECIDE.index),
        minimum_cell=max(one.minimum_cell for one in found),
        minimum_members=max(one.minimum_members for one in found),
        minimum_cohort=max(one.minimum_cohort for one in found),
        parameters_per_row=min(one.parameters_per_row for one in found),
        zeros=max((one.zeros for one in found), key=ZEROS.index),
        extremes=max((one.extremes for one in found), key=EXTREMES.index),
        purposes=_narrowest([one.purposes for one in found]),
        kinds=_narrowest([one.kinds for one in found]),
    )


def _narrowest(lists: list[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    given = [set(one) for one in lists if one is not None]
    return tuple(sorted(set.intersection(*given))) if given else None


DEFAULT = Policy(Rules())
# One machine and one user hold all sites of a rehearsal: it protects nobody from anybody, so it
# asks nobody and lets two sites run. Cells stay as coarse as they would be in earnest.
REHEARSAL = Policy(Rules(decide="approve", minimum_members=2))


def read_policy(path: str | Path, base: Rules = DEFAULT.default) -> Policy:
    """A policy file. Raises NotFound, BadPolicy."""
    return parse_policy(read_text(path, POLICY_BYTES_MAX, BadPolicy), Path(path).name, base)


def parse_policy(text: str, file: str, base: Rules = DEFAULT.default) -> Policy:
    """A policy from TOML; what it leaves out is as in `base`. Raises BadPolicy naming the file."""
    top = load(text, file, POLICY_BYTES_MAX, BadPolicy)
    head, data = top.section("default"), top.sections("data")
    top.end()
    default = base if head is None else _rules(head, base)
    return Policy(
        default, tuple(DatasetRules(name, _rules(one, default)) for name, one in data.items())
    )


def _rules(section: Section, base: Rules) -> Rules:
    given: dict[str, Any] = {}
    for field in FIELDS:
        if section.get(field) is not None:
            given[field] = READERS[field](section, field)
    section.end()
    try:
        return msgspec.structs.replace(base, **given)
    except WrongUsage as fault:
        field = str(fault.where.get("field", ""))
        said = fault.message.removeprefix(f"{field}: ")
        raise section.wrong(field, said, fault.next) from None


READERS: Mapping[str, Callable[[Section, str], Any]] = {
    "decide": Section.text,
    "minimum_cell": Section.whole,
    "minimum_members": Section.whole,
    "minimum_cohort": Section.whole,
    "parameters_per_row": Section.decimal,
    "zeros": Section.text,
    "extremes": Section.text,
    "purposes": Section.texts,
    "kinds": Section.texts,
}
