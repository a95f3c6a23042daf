"""The handshake between a study and what the members say about their data, before any secret work.

`resolve` finds every column that the study names, compares the members' dictionaries of it, checks
types, bounds and uses, and combines the members' rules. It is a function of public things alone, so
every party that runs it on the same study, dictionaries and policies comes to the same end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from p2pmpc.dictionary import BOUNDED, Column, Dictionary, differences
from p2pmpc.errors import BadStudy, Mismatch, NotBuilt, Refused
from p2pmpc.expression import Among, Compare, IsMissing, Value, Where, renamed
from p2pmpc.kinds import GROUPS, KINDS, NUMBERS, Parameter
from p2pmpc.kinds import Value as ParameterValue
from p2pmpc.overlap import apart
from p2pmpc.policy import Policy, Rules, strictest
from p2pmpc.statistic import Statistic
from p2pmpc.study import Alias, Study
from p2pmpc.toml import decimal_text, suggest, to_date

__all__ = ["Place", "Resolved", "ResolvedStatistic", "Withholding", "resolve"]

LINES_MAX = 3  # a message that is read; the rest is counted
USE_RULE = "DictionaryUse"
MEMBERS_RULE = "MinimumMembersCheck"
OVERLAP_RULE = "DifferencingCheck"
TRUTHS = ("true", "false", "yes", "no", "1", "0", "t", "f", "y", "n")  # as in data files
KEY_TYPES = ("identifier", "text", "integer", "date", "category")

Catalogue = Mapping[str, Mapping[str, Dictionary]]
Place = tuple[str, Column]  # the alias, and the column with its uses at all its members


@dataclass(frozen=True, slots=True)
class Withholding:
    """Why a statistic is known beforehand not to be released, and what would pass."""

    reason: str
    would_pass: str
    rule: str


@dataclass(frozen=True, slots=True)
class ResolvedStatistic:
    """A statistic with its columns found. `columns` goes by the word as the study writes it.

    `aliases` are the tables whose rows it runs over: one when pooled, all linked tables when
    linked. `members` hold those rows.
    """

    name: str
    kind: str
    parameters: Mapping[str, ParameterValue]
    columns: Mapping[str, Place]
    aliases: tuple[str, ...]
    linked: bool
    members: tuple[str, ...]
    withheld: Withholding | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """A study whose every word was found. `where` and `keys` hold plain column names by alias.

    `where[alias]` is None where every row counts; `keys[alias]` are the key columns of a linked
    table, with what the dictionary says of them.
    """

    study: Study
    statistics: tuple[ResolvedStatistic, ...]
    rules: Rules
    where: Mapping[str, Where | None]
    keys: Mapping[str, tuple[Column, ...]]

    def statistic(self, name: str) -> ResolvedStatistic:
        return next(one for one in self.statistics if one.name == name)


def resolve(study: Study, dictionaries: Catalogue, policies: Mapping[str, Policy]) -> Resolved:
    """The study against what its members say. `policies` may lack members that have not spoken.

    dictionaries    member -> data set -> its description
    Raises BadStudy for a member, data set or column that does not exist and for a column whose type
    or bounds do not fit; Mismatch where members describe the same column differently; Refused
    where a key or a `where` uses a column that a dictionary does not allow for it.
    """
    tables = {alias.name: _Table.find(alias, dictionaries) for alias in study.data}
    where = {name: _resolve_where(table) for name, table in tables.items()}
    keys = _resolve_keys(study, tables)
    rules = _rules(study, policies)
    found = [_resolve_statistic(one, study, tables, rules) for one in study.statistics]
    statistics = _apart_or_withheld(found, tables, where)
    for table in tables.values():
        table.compare()
    return Resolved(study, statistics, rules, where, keys)


def _rules(study: Study, policies: Mapping[str, Policy]) -> Rules:
    found = [
        policies[member].rules_for(dataset)
        for member in study.parties
        if member in policies
        for dataset in study.datasets_of(member)
    ]
    return strictest(found or [Rules()])


# --- one alias at all its members ---


@dataclass(frozen=True, slots=True)
class _Table:
    """One alias with its members' dictionaries; `used` notes the columns that the study names."""

    alias: Alias
    dictionaries: Mapping[str, Dictionary]  # in the order of the alias's members
    used: dict[str, None]

    @classmethod
    def find(cls, alias: Alias, catalogue: Catalogue) -> _Table:
        return cls(alias, {m: _dictionary(alias, m, catalogue) for m in alias.members}, {})

    @property
    def name(self) -> str:
        return self.alias.name

    @property
    def first(self) -> Dictionary:
        return next(iter(self.dictionaries.values()))

    def names(self) -> tuple[str, ...]:
        every = (name for dictionary in self.dictionaries.values() for name in dictionary.names)
        return tuple(dict.fromkeys(every))

    def has(self, column: str) -> bool:
        return any(dictionary.column(column) for dictionary in self.dictionaries.values())

    def column(self, name: str) -> Column:
        """The column as all its members describe it. Raises Mismatch when they differ."""
        self.used[name] = None
        self.compare()
        found = self.first.column(name)
        assert found is not None, "compare refuses a column that a member lacks"
        return found

    def compare(self) -> None:
        """The columns used so far must mean the same at every member."""
        members = list(self.dictionaries)
        said = [
            line
            for other in members[1:]
            for line in differences(
                self.first, self.dictionaries[other], members[0], other, self.used
            )
        ]
        if said:
            raise _mismatch(said, self.alias)

    def forbidding(self, column: str, use: str) -> str | None:
        """The first member whose dictionary does not allow this use."""
        for member, dictionary in self.dictionaries.items():
            found = dictionary.column(column)
            if found is not None and not found.allows(use):
                return member
        return None


def _dictionary(alias: Alias, member: str, catalogue: Catalogue) -> Dictionary:
    if member not in catalogue:
        known = ", ".join(sorted(catalogue))
        raise BadStudy(
            f"data.{alias.name}.members: there is no member {member!r}{suggest(member, catalogue)}",
            field=f"data.{alias.name}.members",
            next=f"Members: {known}.",
        )
    found = catalogue[member].get(alias.dataset)
    if found is None:
        known = ", ".join(sorted(catalogue[member])) or "none"
        raise BadStudy(
            f"data.{alias.name}.dataset: {member} has no data set {alias.dataset!r}"
            f"{suggest(alias.dataset, catalogue[member])}",
            field=f"data.{alias.name}.dataset",
            member=member,
            next=f"Data sets of {member}: {known}.",
        )
    return found


def _mismatch(said: list[str], alias: Alias) -> Mismatch:
    lines = list(dict.fromkeys(said))
    if len(lines) > LINES_MAX:
        rest = len(lines) - LINES_MAX + 1
        lines = [*lines[: LINES_MAX - 1], f"and {rest} more differences"]
    member = lines[0].split(":", maxsplit=1)[0]
    return Mismatch(
        "\n".join(lines),
        member=member,
        field=f"data.{alias.name}",
        next=f"Agree on one description of {alias.dataset}, then correct the dictionary.",
    )


# --- words to columns ---


def _find(word: str, tables: Mapping[str, _Table], field: str) -> tuple[_Table, str]:
    """A word is tried whole, then as alias.column. Raises BadStudy."""
    whole = [table for table in tables.values() if table.has(word)]
    if len(whole) == 1:
        return whole[0], word
    alias, dot, rest = word.partition(".")
    if dot and alias in tables and tables[alias].has(rest):
        return tables[alias], rest
    if whole:
        choices = " or ".join(f"{table.name}.{word}" for table in whole)
        said = f"{field}: the column {word!r} stands in several aliases"
        raise BadStudy(said, field=field, next=f"Write {choices}.")
    plain = [name for table in tables.values() for name in table.names()]
    full = [f"{table.name}.{name}" for table in tables.values() for name in table.names()]
    raise BadStudy(
        f"{field}: there is no column {word!r}{suggest(word, full if dot else plain)}",
        field=field,
        column=word,
        next="`p2pmpc data list` shows the columns.",
    )


def _resolve_where(table: _Table) -> Where | None:
    where = table.alias.expression
    if where is None:
        return None
    field = f"data.{table.name}.where"
    tables = {table.name: table}
    for test in where.tests:
        _, name = _find(test.column, tables, field)
        column = table.column(name)
        _check_test(test, column, field)
        member = table.forbidding(name, "filter")
        if member is not None:
            raise _forbidden(member, name, "filter", f"`where` of {table.name}")
    return renamed(where, lambda word: _find(word, tables, field)[1])


def _forbidden(member: str, column: str, use: str, what: str) -> Refused:
    return Refused(
        f"{member}: column {column} may not be used for {what}: "
        f'its dictionary lacks the use "{use}"',
        member=member,
        column=column,
        next=f'Use another column, or ask {member} to add "{use}" to uses.',
    )


def _check_test(test: Compare | Among | IsMissing, column: Column, field: str) -> None:
    if isinstance(test, IsMissing):
        return
    operator = test.operator if isinstance(test, Compare) else "="
    if operator not in {"=", "!="} and column.type not in BOUNDED:
        raise _misfit(field, column, "has no order: use =, != or in")
    for value in (test.value,) if isinstance(test, Compare) else test.values:
        said = _unfit(value, column)
        if said:
            raise _misfit(field, column, said)


def _misfit(field: str, column: Column, said: str) -> BadStudy:
    return BadStudy(
        f"{field}: column {column.name} is of type {column.type}; it {said}",
        field=field,
        column=column.name,
    )


def _unfit(value: Value, column: Column) -> str:
    """Why the value can never equal or be compared with one of the column, or ""."""
    if column.type in {"integer", "number", "time_to_event"}:
        return "" if isinstance(value, Decimal) else "is compared with a number, without quotes"
    if column.type == "boolean":
        return "" if _is_truth(value) else "is compared with true or false"
    if column.type == "date":
        return "" if to_date(value) else 'is compared with a date such as "2020-01-31"'
    if isinstance(value, bool):
        return "is compared with a text in quotes"
    text = value.strip() if isinstance(value, str) else decimal_text(value)
    if column.type == "category" and text not in column.levels:
        return f"has no level {text!r}{suggest(text, column.levels)}"
    return ""


def _is_truth(value: Value) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in TRUTHS
    return isinstance(value, bool) or value in {0, 1}


def _resolve_keys(study: Study, tables: Mapping[str, _Table]) -> dict[str, tuple[Column, ...]]:
    if study.link is None:
        return {}
    found: dict[str, tuple[Column, ...]] = {}
    for name in study.link.tables:
        table, columns = tables[name], []
        for key in study.link.columns:
            _, plain = _find(key, {name: table}, "link.by")
            columns.append(table.column(plain))
            if columns[-1].type not in KEY_TYPES:
                said = f"link.by: column {key} of {name} is of type {columns[-1].type}"
                raise BadStudy(
                    f"{said}; a key is {_either(KEY_TYPES)}", field="link.by", column=key
                )
            member = table.forbidding(plain, "link")
            if member is not None:
                raise _forbidden(member, plain, "link", "linking")
        found[name] = tuple(columns)
    _compare_keys(study, found)
    return found


def _compare_keys(study: Study, keys: Mapping[str, tuple[Column, ...]]) -> None:
    """A date becomes ISO 8601 and other keys their text, so a date only equals a date."""
    assert study.link is not None
    first, *others = study.link.tables
    for place, column in enumerate(study.link.columns):
        for other in others:
            a, b = keys[first][place], keys[other][place]
            if (a.type == "date") != (b.type == "date"):
                members = study.alias(other).members, study.alias(first).members
                raise Mismatch(
                    f'{members[0][0]}: key column {column} has type "{b.type}"; '
                    f'{members[1][0]} has "{a.type}"',
                    member=members[0][0],
                    column=column,
                    field="link.by",
                    next="Describe the key with one type in all linked tables.",
                )


# --- statistics ---


def _resolve_statistic(
    one: Statistic, study: Study, tables: Mapping[str, _Table], rules: Rules
) -> ResolvedStatistic:
    field = f"statistic.{one.name}"
    columns: dict[str, Place] = {}
    withheld: Withholding | None = None
    for text, parameter in one.columns:
        word = _Word(one, parameter, text)
        table, name = _find(text, tables, word.field)
        column = table.column(name)
        _check_column(word, column, table)
        columns[text] = (table.name, column)
        withheld = withheld or _use_withheld(table, name, parameter.use)
    aliases, linked = _tables_of(one, study, columns, field)
    members = tuple(sorted({m for name in aliases for m in tables[name].alias.members}))
    return ResolvedStatistic(
        name=one.name,
        kind=one.kind,
        parameters=one.parameters,
        columns=columns,
        aliases=aliases,
        linked=linked,
        members=members,
        withheld=withheld or _members_withheld(members, rules),
    )


def _use_withheld(table: _Table, column: str, use: str) -> Withholding | None:
    member = table.forbidding(column, use)
    if member is None:
        return None
    return Withholding(
        f'{member}: column {column} may not be used here: its dictionary lacks the use "{use}"',
        f'the use "{use}" for {column} in the dictionary of {member}, or another column',
        USE_RULE,
    )


def _members_withheld(members: tuple[str, ...], rules: Rules) -> Withholding | None:
    if len(members) >= rules.minimum_members:
        return None
    return Withholding(
        f"{len(members)} members take part; the rules ask for {rules.minimum_members}",
        f"{rules.minimum_members} members or more",
        MEMBERS_RULE,
    )


def _apart_or_withheld(
    found: list[ResolvedStatistic], tables: Mapping[str, _Table], where: Mapping[str, Where | None]
) -> tuple[ResolvedStatistic, ...]:
    """Statistics over other tables than an earlier one, of rows that may be the same: withheld."""
    kept: list[ResolvedStatistic] = []
    for one in found:
        met = [
            (mine, theirs)
            for before in kept
            if before.withheld is None and set(before.aliases) != set(one.aliases)
            for mine in one.aliases
            for theirs in before.aliases
            if _may_meet(tables[mine], tables[theirs], where)
        ]
        held = one.withheld or (_overlap_withheld(*met[0]) if met else None)
        kept.append(replace(one, withheld=held))
    return tuple(kept)


def _may_meet(one: _Table, other: _Table, where: Mapping[str, Where | None]) -> bool:
    if one.name == other.name or one.alias.dataset != other.alias.dataset:
        return False
    if not set(one.alias.members) & set(other.alias.members):
        return False
    return not apart(where[one.name], where[other.name], lambda name: one.column(name).type)


def _overlap_withheld(mine: str, theirs: str) -> Withholding:
    return Withholding(
        f"tables {theirs} and {mine} may hold the same rows of one data set: sums over both could "
        "be subtracted and show a few persons",
        f"one table for both, with `by`; or a `where` of {mine} that excludes that of {theirs}",
        OVERLAP_RULE,
    )


def _tables_of(
    one: Statistic, study: Study, columns: Mapping[str, Place], field: str
) -> tuple[tuple[str, ...], bool]:
    """The tables whose rows a statistic runs over, and whether they are linked."""
    used = tuple(sorted({alias for alias, _ in columns.values()}))
    joined = study.link.tables if study.link is not None else ()
    if joined and set(used) <= set(joined):
        if not KINDS[one.kind].linked:
            raise NotBuilt(
                f"{one.kind} over linked tables is not built yet in this version",
                field=field,
                next="Leave it out, or ask it of one table in a study without [link].",
            )
        return joined, True
    if not used and len(study.data) == 1:
        return (study.data[0].name,), False
    if len(used) == 1:
        return used, False
    names = ", ".join(used or (alias.name for alias in study.data))
    said = "uses tables that are not linked" if used else "does not say which table it is about"
    raise BadStudy(
        f"{field}: {one.kind} {said}: {names}",
        field=field,
        next="Add [link] over these tables, or ask of one table.",
    )


@dataclass(frozen=True, slots=True)
class _Word:
    """One word of one statistic, and the parameter that it stands in."""

    statistic: Statistic
    parameter: Parameter
    text: str

    @property
    def field(self) -> str:
        return f"statistic.{self.statistic.name}.{self.parameter.name}"

    @property
    def types(self) -> tuple[str, ...]:
        """The dictionary types that fit here."""
        formula = self.statistic.formula
        if formula is None or self.parameter.sort not in {"formula", "right_side"}:
            return self.parameter.types
        if self.text == formula.response:
            return NUMBERS
        factors = [f for term in formula.terms for f in term if f.name == self.text]
        return GROUPS if any(f.categorical for f in factors) else self.parameter.types


def _check_column(word: _Word, column: Column, table: _Table) -> None:
    kind, allowed = word.statistic.kind, word.types
    if column.type not in allowed:
        raise BadStudy(
            f"{word.field}: column {word.text} is of type {column.type}; "
            f"{kind} takes {_either(allowed)} here",
            field=word.field,
            column=word.text,
        )
    for bound in ("minimum", "maximum"):
        if column.type in BOUNDED and getattr(column, bound) is None:
            raise _unbounded(word, column, table, bound)
    if kind == "t_test" and word.parameter.name == "by" and _group_count(column) != 2:
        raise BadStudy(
            f"{word.field}: t_test compares two groups; {word.text} has {_group_count(column)}",
            field=word.field,
            column=word.text,
            next="Use anova, or a column with two levels.",
        )


def _unbounded(word: _Word, column: Column, table: _Table, bound: str) -> BadStudy:
    member = next(iter(table.dictionaries))
    return BadStudy(
        f"{word.field}: column {word.text} has no {bound} in the dictionary of "
        f"{table.alias.dataset} at {member}",
        field=f"columns.{column.name}.{bound}",
        column=column.name,
        member=member,
        next=f"Add `{bound} = ...` under [columns.{column.name}]; bounds are public.",
    )


def _group_count(column: Column) -> int:
    if column.type == "boolean":
        return 2
    if column.type == "category":
        return len(column.levels)
    assert column.minimum is not None
    assert column.maximum is not None
    return int(column.maximum - column.minimum) + 1


def _either(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
