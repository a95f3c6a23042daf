"""Dictionaries for rehearsals: drafted from the files of all sites, for the columns a study uses.

    derive_dictionaries(study, sites)  ->  data set -> Dictionary
    describe_file(path)                ->  Dictionary, a draft of every column for a person to edit
    derivation_notes(dictionaries)     ->  what was drafted, in plain sentences

Only a rehearsal, where one person holds all files, may look at every site's rows to describe them:
bounds and levels drafted here are facts about rows. How a use decides a type stands in `draft.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from nodes.data.cells import CellFault, dates
from nodes.data.draft import (
    ANY,
    DATE,
    GROUP,
    KEY,
    NUMBER,
    NUMERIC,
    OUTCOME,
    TEXT,
    TRUTH,
    Wanted,
    draft_column,
    draft_for_owner,
    told,
)
from nodes.data.source import RawTable, near_name, read_table
from nodes.data.survey import Survey
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import BadData, BadStudy, WrongUsage
from p2pmpc.expression import Among, Compare, IsMissing
from p2pmpc.kinds import ANYTHING, GROUPS, NUMBERS, OUTCOMES, Parameter
from p2pmpc.statistic import Statistic
from p2pmpc.study import Alias, Study

__all__ = ["Sites", "derivation_notes", "derive_dictionaries", "describe_file"]

Sites = Mapping[str, Mapping[str, Path | str]]

ROLES: Mapping[tuple[str, ...], str] = {NUMBERS: NUMERIC, GROUPS: GROUP, OUTCOMES: OUTCOME}


@dataclass(frozen=True, slots=True)
class SiteTable:
    """One data set's file at one member."""

    member: str
    table: RawTable


Tables = Mapping[str, tuple[SiteTable, ...]]
Wants = dict[str, dict[str, Wanted]]


def derive_dictionaries(study: Study, sites: Sites) -> dict[str, Dictionary]:
    """Data set -> dictionary, of the columns that the study uses, over all files of that data set.

    sites   member -> data set -> the path of its CSV or Parquet file
    Raises WrongUsage when a member of the study has no file of its data set, BadStudy for a column
    that no file has, BadData when it is missing at one site (member, file, column, and the name
    that was probably meant), and what reading a file raises.
    """
    tables = _open(study, sites)
    wants = _wants(study, tables)
    surveys = {name: _survey(tables[name], wants[name]) for name in tables}
    keys = _date_keys(study, surveys)
    return {
        name: _dictionary(name, wants[name], surveys[name], keys, tables[name]) for name in tables
    }


def derivation_notes(dictionaries: Mapping[str, Dictionary]) -> tuple[str, ...]:
    """One sentence a data set: what each column was taken for."""
    return tuple(
        f"{name}: no dictionary given; from the files: "
        + "; ".join(told(column) for column in dictionary.columns)
        for name, dictionary in sorted(dictionaries.items())
    )


def describe_file(path: Path | str) -> Dictionary:
    """A draft of one file's dictionary: every column, for its owner to correct.

    Raises what reading raises, and BadDictionary for a name that a dictionary cannot hold.
    """
    table = read_table(path)
    wanted = {name: Wanted() for name in table.names}
    surveys = _survey((SiteTable("", table),), wanted)
    columns = tuple(draft_for_owner(name, survey) for name, survey in surveys.items())
    return Dictionary(name=_data_set_name(table.path), columns=columns)


# --- which column is used how ---


def _open(study: Study, sites: Sites) -> dict[str, tuple[SiteTable, ...]]:
    found: dict[str, dict[str, SiteTable]] = {}
    for alias in study.data:
        for member in alias.members:
            held = found.setdefault(alias.dataset, {})
            if member not in held:
                held[member] = _open_one(alias, member, sites)
    return {name: tuple(held.values()) for name, held in sorted(found.items())}


def _open_one(alias: Alias, member: str, sites: Sites) -> SiteTable:
    path = sites.get(member, {}).get(alias.dataset)
    if path is None:
        raise WrongUsage(
            f"{member}: no file for the data set {alias.dataset}",
            next=f"add --site {member}={alias.dataset}.csv (the file's name is the data set's)",
            member=member,
            field=f"data.{alias.name}",
        )
    try:
        return SiteTable(member, read_table(path))
    except BadData as fault:
        raise _of_member(fault, member) from None


def _of_member(fault: BadData, member: str) -> BadData:
    where = {**fault.where, "member": member}
    return BadData(f"{member}: {fault.message}", next=fault.next, **where)


def _wants(study: Study, tables: Tables) -> Wants:
    wants: Wants = {name: {} for name in tables}
    for one in study.statistics:
        for word, parameter in one.columns:
            place = f"statistic.{one.name}.{parameter.name}"
            for alias, name in _places(word, study.data, tables, place):
                wanted = wants[alias.dataset].setdefault(name, Wanted())
                wanted.roles.add(_role(one, parameter, word))
                wanted.uses.add(parameter.use)
    for alias in study.data:
        for test in alias.expression.tests if alias.expression else ():
            place = f"data.{alias.name}.where"
            for _, name in _places(test.column, (alias,), tables, place):
                wanted = wants[alias.dataset].setdefault(name, Wanted())
                wanted.roles.update(_literal_roles(test))
                wanted.uses.add("filter")
    _want_keys(study, tables, wants)
    return wants


def _want_keys(study: Study, tables: Tables, wants: Wants) -> None:
    if study.link is None:
        return
    for table in study.link.tables:
        alias = study.alias(table)
        for word in study.link.columns:
            for _, name in _places(word, (alias,), tables, "link.by"):
                wanted = wants[alias.dataset].setdefault(name, Wanted())
                wanted.roles.add(KEY)
                wanted.uses.add("link")


def _places(
    word: str, aliases: tuple[Alias, ...], tables: Tables, place: str
) -> list[tuple[Alias, str]]:
    """Where a word may stand: tried whole, then as alias.column. Raises BadStudy for nowhere."""
    whole = [alias for alias in aliases if _sites_with(word, tables[alias.dataset])]
    full = [a for a in whole if _sites_with(word, tables[a.dataset]) == len(tables[a.dataset])]
    if whole:
        return [(alias, word) for alias in full or whole]
    owner, _, rest = word.partition(".")
    for alias in aliases:
        if alias.name == owner and _sites_with(rest, tables[alias.dataset]):
            return [(alias, rest)]
    names = dict.fromkeys(n for a in aliases for t in tables[a.dataset] for n in t.table.names)
    near = near_name(word, list(names))
    raise BadStudy(
        f"{place}: no file has a column {word}",
        next=f"did you mean {near}?" if near else f"columns: {', '.join(list(names)[:20])}",
        field=place,
        column=word,
    )


def _sites_with(name: str, tables: tuple[SiteTable, ...]) -> int:
    return sum(name in one.table.names for one in tables)


def _role(one: Statistic, parameter: Parameter, word: str) -> str:
    formula = one.formula
    if formula is None or parameter.sort not in {"formula", "right_side"}:
        return ROLES.get(parameter.types, ANY if parameter.types == ANYTHING else NUMERIC)
    if word == formula.response:
        return NUMERIC
    factors = [factor for term in formula.terms for factor in term if factor.name == word]
    return GROUP if any(factor.categorical for factor in factors) else ANY


def _literal_roles(test: Compare | Among | IsMissing) -> Iterator[str]:
    if isinstance(test, IsMissing):
        yield ANY
        return
    for value in (test.value,) if isinstance(test, Compare) else test.values:
        if isinstance(value, bool):
            yield TRUTH
        elif isinstance(value, Decimal):
            yield NUMBER
        else:
            yield DATE if _is_date(value) else TEXT


def _is_date(text: str) -> bool:
    try:
        return bool(dates([text]).size)
    except CellFault:
        return False


# --- what the cells say ---


def _survey(tables: tuple[SiteTable, ...], wanted: Mapping[str, Wanted]) -> dict[str, Survey]:
    surveys = {name: Survey() for name in wanted}
    for site in tables:
        _check_names(site, wanted, [one.table.names for one in tables])
        try:
            for batch in site.table.batches(list(surveys)):
                for survey, raw in zip(surveys.values(), batch.columns, strict=True):
                    survey.add(raw, site.table.decimal_comma)
        except BadData as fault:
            raise _of_member(fault, site.member) if site.member else fault from None
    return surveys


def _check_names(
    site: SiteTable, wanted: Mapping[str, Wanted], names: list[tuple[str, ...]]
) -> None:
    for name in wanted:
        if name not in site.table.names:
            # a column that every site has is not a misspelling of this one
            own = [n for n in site.table.names if not all(n in other for other in names)]
            near = near_name(name, own)
            raise BadData(
                f"{site.member}: {site.table.path.name}: column {name} is missing",
                next=f"rename column {near} to {name}" if near else "add the column to the file",
                file=str(site.table.path),
                row=1,
                column=name,
                member=site.member,
            )


def _date_keys(study: Study, surveys: Mapping[str, Mapping[str, Survey]]) -> set[str]:
    """The keys that every file writes as ISO dates; a date only equals a date."""
    if study.link is None:
        return set()
    found: set[str] = set()
    for word in study.link.columns:
        held = [
            (name, survey)
            for table in study.link.tables
            for name, survey in surveys[study.alias(table).dataset].items()
            if name in {word, word.removeprefix(f"{table}.")}
        ]
        if all(survey.present and survey.dashed for _, survey in held):
            found.update(name for name, _ in held)
    return found


# --- the dictionary ---


def _dictionary(
    name: str,
    wanted: Mapping[str, Wanted],
    surveys: Mapping[str, Survey],
    date_keys: set[str],
    tables: tuple[SiteTable, ...],
) -> Dictionary:
    columns = [
        draft_column(column, one, surveys[column], is_date=column in date_keys)
        for column, one in wanted.items()
    ]
    if not columns:  # a study may only count rows; a dictionary names at least one column
        first, *others = (one.table.names for one in tables)
        shared = [n for n in first if all(n in names for names in others)] or [*first]
        columns = [Column(name=shared[0], type="text")]
    return Dictionary(name=name, columns=tuple(columns))


def _data_set_name(path: Path) -> str:
    """The file's stem as a name that a data set may have."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in path.stem)
    return kept.lstrip(".-")[:64] or "data"
