"""A study: what is asked, of whom, over which rows, for whose eyes. The unit that people agree to.

The same checks hold for a TOML file, for bytes from a peer and for objects made in Python, because
they stand in the constructors. The hash is over the one encoding (`study.md`): a default and its
explicit value hash alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from p2pmpc.codec import decode_text, digest, encode_text
from p2pmpc.errors import BadExpression, BadStudy, NotBuilt, RemoteError, WrongUsage
from p2pmpc.expression import Where, parse_where
from p2pmpc.kinds import KINDS, Kind, Parameter, Value
from p2pmpc.limits import (
    ALIASES_MAX,
    LINK_PARTS_MAX,
    LINK_PASSES_MAX,
    PARTIES_MAX,
    PARTIES_MIN,
    STATISTICS_MAX,
    STUDY_BYTES_MAX,
)
from p2pmpc.statistic import Statistic, number, put, texts, wrong
from p2pmpc.toml import (
    Section,
    check_column_name,
    check_name,
    check_text,
    decimal_text,
    load,
    read_text,
    suggest,
    write_table,
)

__all__ = [
    "KEYS",
    "KINDS",
    "Alias",
    "Kind",
    "Link",
    "Parameter",
    "Privacy",
    "Statistic",
    "Study",
    "parse_study",
    "read_study",
]

FORM = "p2pmpc/study/1"
KEYS = "keys/1"  # how keys are normalised; part of a linked study's hash
MECHANISMS = ("none", "gaussian")


@dataclass(frozen=True, slots=True)
class Alias:
    """One table of the study: a data set, pooled over its members. `where` "" keeps every row.

    `members` keep their order: with `count_once` the row at the member named first counts.
    `optional` are those of the members whose absence does not stop the run.
    """

    name: str
    dataset: str
    members: tuple[str, ...]
    optional: tuple[str, ...] = ()
    where: str = ""

    def __post_init__(self) -> None:
        at = f"data.{self.name}"
        check_name(self.name, "alias", BadStudy, dots=False)
        check_name(self.dataset, "data set", BadStudy)
        members = texts(self.members, f"{at}.members")
        optional = texts(self.optional, f"{at}.optional")
        put(self, members=members, optional=tuple(sorted(optional)))
        if not members:
            raise wrong(f"{at}.members", "names no member")
        for member in members:
            check_name(member, "member", BadStudy)
        for member in optional:
            if member not in members:
                said = f"{member!r} is not among members{suggest(member, members)}"
                raise wrong(f"{at}.optional", said)
        if not isinstance(self.where, str):
            raise wrong(f"{at}.where", "must be a text in quotes")
        self._parse()

    def _parse(self) -> Where | None:
        if not self.where:
            return None
        try:
            return parse_where(self.where)
        except BadExpression as fault:
            at = f"data.{self.name}.where"
            raise BadExpression(f"{at}: {fault.message}", field=at, next=fault.next) from None

    @property
    def expression(self) -> Where | None:
        """`where`, parsed; None keeps every row."""
        return self._parse()


@dataclass(frozen=True, slots=True)
class Link:
    """The same person's columns from several aliases. `by` lists passes of columns, in order."""

    tables: tuple[str, ...]
    by: tuple[tuple[str, ...], ...]
    count_once: bool = True

    def __post_init__(self) -> None:
        tables = texts(self.tables, "link.tables")
        if any(isinstance(one, str) for one in self.by):
            raise wrong("link.by", "must be a list of lists", 'Write `by = [["national_id"]]`.')
        by = tuple(texts(one, "link.by") for one in self.by)
        put(self, tables=tables, by=by)
        if len(tables) < 2:
            raise wrong("link.tables", "needs two aliases or more")
        if not by or not all(by):
            raise wrong("link.by", "needs at least one column in every pass")
        if len(by) > LINK_PASSES_MAX or max(map(len, by)) > LINK_PARTS_MAX:
            said = f"has more than {LINK_PASSES_MAX} passes or {LINK_PARTS_MAX} columns in one"
            raise wrong("link.by", said)
        for column in self.columns:
            check_column_name(column, BadStudy)
        if len(set(by)) != len(by):
            raise wrong("link.by", "has the same pass twice")
        if not isinstance(self.count_once, bool):
            raise wrong("link.count_once", "must be true or false")

    @property
    def columns(self) -> tuple[str, ...]:
        """The key columns of all passes, each once."""
        return tuple(dict.fromkeys(column for one in self.by for column in one))


@dataclass(frozen=True, slots=True)
class Privacy:
    """Noise in the answer: none, or gaussian with rho (zCDP)."""

    mechanism: str = "none"
    rho: Decimal | None = None

    def __post_init__(self) -> None:
        if self.mechanism not in MECHANISMS:
            said = f"{self.mechanism!r} is unknown{suggest(str(self.mechanism), MECHANISMS)}"
            raise wrong("privacy.mechanism", said, f"Use one of {', '.join(MECHANISMS)}.")
        if self.rho is not None:
            if self.mechanism == "none":
                raise wrong("privacy.rho", 'needs mechanism = "gaussian"')
            rho = number(self.rho, "privacy.rho")
            if rho <= 0:
                raise wrong("privacy.rho", "must be above zero")
            put(self, rho=rho)
        elif self.mechanism == "gaussian":
            raise wrong("privacy.rho", "is missing", "Add `rho = 0.01`.")


# --- the study ---


@dataclass(frozen=True)
class Study:
    """What is asked, of whom, over which rows, for whose eyes.

        Study(
            title="Age by sex",
            data=[Alias("patients", dataset="lung", members=["north", "south", "west"])],
            statistics=[Statistic("age", "describe", {"columns": ["age"], "by": "sex"})],
        )

    `recipients` are by default all parties. Raises BadStudy or BadExpression when it is malformed,
    NotBuilt when it uses a word of the interface that this version does not compute yet.
    """

    title: str
    data: tuple[Alias, ...]
    statistics: tuple[Statistic, ...]
    purpose: str = ""
    question: str = ""
    recipients: tuple[str, ...] = ()
    link: Link | None = None
    privacy: Privacy = field(default_factory=Privacy)

    def __post_init__(self) -> None:
        put(self, data=_listed(self.data, Alias, "data"))
        put(self, statistics=_listed(self.statistics, Statistic, "statistic"))
        for name in ("title", "purpose", "question"):
            check_text(getattr(self, name), f"study.{name}", BadStudy)
        if not self.title.strip():
            raise wrong("study.title", "is empty")
        self._check_data()
        self._check_statistics()
        self._check_recipients()
        if self.link is not None:
            self._check_link(self.link)
        if len(self.to_bytes()) > STUDY_BYTES_MAX:
            raise BadStudy(f"the study is longer than {STUDY_BYTES_MAX} bytes")
        self._check_built()

    def _check_data(self) -> None:
        names = [alias.name for alias in self.data]
        if not names:
            raise wrong("data", "is missing", "Add a table `[data.ALIAS]`.")
        if len(names) > ALIASES_MAX:
            raise wrong("data", f"has more than {ALIASES_MAX} aliases")
        if len(set(names)) != len(names):
            raise wrong("data", "has the same alias twice")
        put(self, data=tuple(sorted(self.data, key=lambda alias: alias.name)))
        if len(self.parties) < PARTIES_MIN:
            said = f"only {self.parties[0]} takes part; a joint statistic needs two members or more"
            raise wrong("data", said, "Name more members.")
        if len(self.parties) > PARTIES_MAX:
            raise wrong("data", f"more than {PARTIES_MAX} members take part")

    def _check_statistics(self) -> None:
        names = [one.name for one in self.statistics]
        if not names:
            raise wrong("statistic", "is missing", "Add a table `[[statistic]]`.")
        if len(names) > STATISTICS_MAX:
            raise wrong("statistic", f"more than {STATISTICS_MAX} statistics")
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise wrong(f"statistic.{twice[0]}", "two statistics have this name")

    def _check_recipients(self) -> None:
        given = texts(self.recipients, "study.recipients")
        for name in given:
            if name not in self.parties:
                said = f"{name!r} takes no part in the study{suggest(name, self.parties)}"
                parties = ", ".join(self.parties)
                raise wrong("study.recipients", said, f"Parties: {parties}.")
        put(self, recipients=tuple(sorted(given)) or self.parties)

    def _check_link(self, link: Link) -> None:
        names = [alias.name for alias in self.data]
        for table in link.tables:
            if table not in names:
                said = f"{table!r} is no alias of this study{suggest(table, names)}"
                raise wrong("link.tables", said)

    def _check_built(self) -> None:
        for place, what in self._unbuilt():
            raise NotBuilt(
                f"{what} is not built yet in this version",
                field=place,
                next="Leave it out, or use a version that has it.",
            )

    def _unbuilt(self) -> list[tuple[str, str]]:
        """Field and words of what is declared but not built."""
        found = [
            (f"statistic.{one.name}", word) for one in self.statistics if (word := one.unbuilt())
        ]
        found += [(f"data.{one.name}.optional", "optional") for one in self.data if one.optional]
        if self.privacy.mechanism != "none":
            found.append(("privacy.mechanism", f'mechanism = "{self.privacy.mechanism}"'))
        if self.link is not None and {one.name for one in self.data} == set(self.link.tables):
            found += [
                (f"statistic.{one.name}", f"{one.kind} over linked tables")
                for one in self.statistics
                if not KINDS[one.kind].linked
            ]
        return found

    @cached_property
    def parties(self) -> tuple[str, ...]:
        """Every member that takes part, sorted."""
        return tuple(sorted({member for alias in self.data for member in alias.members}))

    @cached_property
    def hash(self) -> bytes:
        """32 bytes over the one encoding: what members consent to."""
        return digest(FORM, self.to_bytes())

    @property
    def id(self) -> str:
        """The hash as 64 hex digits; people use the first 16."""
        return self.hash.hex()

    def alias(self, name: str) -> Alias:
        """The alias of this name, which must exist."""
        return next(alias for alias in self.data if alias.name == name)

    def datasets_of(self, member: str) -> tuple[str, ...]:
        """The data sets that the study uses at this member, sorted."""
        return tuple(sorted({alias.dataset for alias in self.data if member in alias.members}))

    def to_bytes(self) -> bytes:
        """The one encoding: JSON with sorted keys, numbers as texts, defaults left out."""
        link = self.link
        return encode_text(
            {
                "form": FORM,
                "title": self.title,
                "purpose": self.purpose,
                "question": self.question,
                "recipients": list(self.recipients),
                "data": {alias.name: _plain_alias(alias) for alias in self.data},
                "link": None if link is None else _plain_link(link),
                "statistics": [_plain_statistic(one) for one in self.statistics],
                "privacy": {
                    "mechanism": self.privacy.mechanism,
                    "rho": _plain_value(self.privacy.rho),
                },
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Study:
        """Raises RemoteError for anything but the one encoding, and what Study raises."""
        value = decode_text(data, STUDY_BYTES_MAX, "a study")
        try:
            plain = msgspec.convert(value, _PlainStudy, strict=True)
            made = plain.study()
        except msgspec.ValidationError as fault:
            raise RemoteError(f"a study cannot be read: {fault}") from None
        except ArithmeticError:
            raise RemoteError("a study holds a number that cannot be read") from None
        if made.to_bytes() != data:
            raise RemoteError("a study is not in its one encoding")
        return made

    def to_toml(self) -> str:
        """The file that parses to this study."""
        parts = [
            write_table(
                ["study"],
                {
                    "title": self.title,
                    "purpose": self.purpose or None,
                    "question": self.question or None,
                    "recipients": self.recipients,
                },
            )
        ]
        parts += [write_table(["data", one.name], _alias_fields(one)) for one in self.data]
        if self.link is not None:
            fields = {"tables": self.link.tables, "by": self.link.by}
            parts.append(write_table(["link"], {**fields, "count_once": self.link.count_once}))
        for one in self.statistics:
            fields = {"name": one.name, "kind": one.kind, **one.asked}  # type: ignore[dict-item]
            parts.append(write_table(["statistic"], fields, listed=True))
        if self.privacy.mechanism != "none":
            noise = {"mechanism": self.privacy.mechanism, "rho": self.privacy.rho}
            parts.append(write_table(["privacy"], noise))
        return "\n".join(parts)


def _listed(value: Iterable[Any], kind: type, field: str) -> tuple[Any, ...]:
    found = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else None
    if found is None or not all(isinstance(one, kind) for one in found):
        raise wrong(field, f"must be a list of {kind.__name__} objects")
    return found


def _alias_fields(alias: Alias) -> dict[str, Any]:
    return {
        "dataset": alias.dataset,
        "members": alias.members,
        "optional": alias.optional or None,
        "where": alias.where or None,
    }


# --- the one encoding ---


def _plain_value(value: Value) -> Any:
    if isinstance(value, tuple):
        return [_plain_value(one) for one in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | Decimal):
        return decimal_text(Decimal(value))
    return value


def _plain_alias(alias: Alias) -> dict[str, Any]:
    return {
        "dataset": alias.dataset,
        "members": list(alias.members),
        "optional": list(alias.optional),
        "where": alias.where,
    }


def _plain_link(link: Link) -> dict[str, Any]:
    return {
        "tables": list(link.tables),
        "by": [list(one) for one in link.by],
        "count_once": link.count_once,
        "normalisation": KEYS,
    }


def _plain_statistic(one: Statistic) -> dict[str, Any]:
    parameters = {name: _plain_value(value) for name, value in one.asked.items()}
    return {"name": one.name, "kind": one.kind, "parameters": parameters}


class _PlainAlias(msgspec.Struct, forbid_unknown_fields=True):
    dataset: str
    members: tuple[str, ...]
    optional: tuple[str, ...]
    where: str


class _PlainLink(msgspec.Struct, forbid_unknown_fields=True):
    tables: tuple[str, ...]
    by: tuple[tuple[str, ...], ...]
    count_once: bool
    normalisation: str


class _PlainStatistic(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    kind: str
    parameters: dict[str, bool | str | tuple[str, ...]]

    def statistic(self) -> Statistic:
        kind = KINDS.get(self.kind)
        values: dict[str, Any] = dict(self.parameters)
        for one in kind.parameters if kind is not None else ():
            given = values.get(one.name)
            if one.sort in {"number", "share", "whole"} and isinstance(given, str):
                values[one.name] = Decimal(given)
            elif one.sort == "numbers" and isinstance(given, tuple):
                values[one.name] = tuple(Decimal(number) for number in given)
        return Statistic(self.name, self.kind, values)


class _PlainPrivacy(msgspec.Struct, forbid_unknown_fields=True):
    mechanism: str
    rho: str | None


class _PlainStudy(msgspec.Struct, forbid_unknown_fields=True):
    form: str
    title: str
    purpose: str
    question: str
    recipients: tuple[str, ...]
    data: dict[str, _PlainAlias]
    link: _PlainLink | None
    statistics: tuple[_PlainStatistic, ...]
    privacy: _PlainPrivacy

    def study(self) -> Study:
        link, rho = self.link, self.privacy.rho
        return Study(
            title=self.title,
            purpose=self.purpose,
            question=self.question,
            recipients=self.recipients,
            data=tuple(
                Alias(name, one.dataset, one.members, one.optional, one.where)
                for name, one in self.data.items()
            ),
            link=None if link is None else Link(link.tables, link.by, link.count_once),
            statistics=tuple(one.statistic() for one in self.statistics),
            privacy=Privacy(self.privacy.mechanism, None if rho is None else Decimal(rho)),
        )


# --- the file ---


def read_study(path: str | Path) -> Study:
    """A study file. Raises NotFound, BadStudy, BadExpression, NotBuilt."""
    return parse_study(read_text(path, STUDY_BYTES_MAX, BadStudy), Path(path).name)


def parse_study(text: str, file: str) -> Study:
    """A study from TOML; `file` is named in errors. Raises BadStudy, BadExpression, NotBuilt."""
    top = load(text, file, STUDY_BYTES_MAX, BadStudy)
    try:
        return _study(top)
    except (WrongUsage, NotBuilt) as fault:
        if "file" in fault.where:
            raise
        where: dict[str, Any] = {**fault.where, "file": file}
        raise type(fault)(f"{file}: {fault.message}", next=fault.next, **where) from None


def _study(top: Section) -> Study:
    head = top.inner("study")
    aliases = [_alias(name, one) for name, one in top.sections("data").items()]
    link = _link(top.section("link"))
    statistics = [_statistic(one) for one in top.listed("statistic")]
    privacy = _privacy(top.section("privacy"))
    top.end()
    fields = {name: head.text(name, "") for name in ("purpose", "question")}
    title, recipients = head.text("title"), head.texts("recipients", ())
    if "recipients" in head.found and not recipients:
        raise head.wrong("recipients", "names nobody", "Leave it out to mean all parties.")
    head.end()
    return Study(
        title=title,
        data=tuple(aliases),
        statistics=tuple(statistics),
        purpose=fields["purpose"],
        question=fields["question"],
        recipients=recipients,
        link=link,
        privacy=privacy,
    )


def _alias(name: str, section: Section) -> Alias:
    dataset, members = section.text("dataset"), section.texts("members")
    optional, where = section.texts("optional", ()), section.text("where", "")
    if "where" in section.found and not where.strip():
        raise section.wrong("where", "is empty", "Leave the field out.")
    section.end()
    return Alias(name, dataset, members, optional, where)


def _link(section: Section | None) -> Link | None:
    if section is None:
        return None
    tables, by = section.texts("tables"), section.get("by")
    if not isinstance(by, list) or not all(isinstance(one, list) for one in by):
        raise section.wrong("by", "must be a list of lists", 'Write `by = [["national_id"]]`.')
    count_once = section.flag("count_once", default=True)
    section.end()
    return Link(tables, tuple(by), count_once)


def _statistic(section: Section) -> Statistic:
    name, kind = section.text("name"), section.text("kind")
    parameters = {key: value for key, value in section.found.items() if key not in {"name", "kind"}}
    return Statistic(name, kind, parameters)


def _privacy(section: Section | None) -> Privacy:
    if section is None:
        return Privacy()
    mechanism, rho = section.text("mechanism", "none"), section.decimal("rho")
    section.end()
    return Privacy(mechanism, rho)
