"""One column's line of a drafted dictionary: from how it is used, and from what its cells say.

    averaged, modelled, compared with a number   integer if all numbers are whole, else number
    compared with true or false                  boolean
    compared with a date, and dates              date
    a key                                        date where every file writes ISO dates, else
                                                 identifier (category if also a group)
    an outcome                                   boolean if it reads as one (also 0/1), else a group
    a group                                      boolean if it reads true/false or yes/no, else
                                                 category with the levels of all sites
    described, and nothing else known            by what most cells are

A few texts in a column of numbers leave it one, so that importing names the row at its own site.
Bounds are rounded outward; decimals are the most that were seen, or left open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from nodes.data.cells import is_number
from nodes.data.survey import Survey, outward
from p2pmpc.dictionary import Column
from p2pmpc.errors import BadData
from p2pmpc.limits import LEVELS_MAX

__all__ = ["Wanted", "draft_column", "draft_for_owner", "told"]

CODES_MAX = 10  # so few whole numbers are codes that people group by
DRAFT_LEVELS_MAX = 50  # in a draft for a person, more distinct texts are free text
DRAFT_ROWS_TOLD = 3  # from so many rows on, texts that all differ look like names
EPOCH = date(1970, 1, 1)
NUMERIC, ANY, GROUP, OUTCOME = "numeric", "any", "group", "outcome"
KEY, NUMBER, TRUTH, DATE, TEXT = "key", "number", "truth", "date", "text"


@dataclass(slots=True)
class Wanted:
    """How a study uses one column: the roles above, and the dictionary's uses that it needs."""

    roles: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)


def draft_column(name: str, wanted: Wanted, survey: Survey, *, is_date: bool) -> Column:
    """The column as a study wants it described, from what its values look like."""
    kind = _type(wanted.roles, survey, is_date=is_date)
    role = "identifier" if KEY in wanted.roles else "other"
    return _typed(name, kind, survey, tuple(wanted.uses), role)


def _type(roles: set[str], survey: Survey, *, is_date: bool) -> str:
    if TRUTH in roles:
        return "boolean"
    if roles & {NUMERIC, NUMBER}:
        return "integer" if survey.whole else "number"
    if DATE in roles and survey.mostly_dates:
        return "date"
    if KEY in roles:
        return _key_type(roles, is_date=is_date)
    return _grouped(roles, survey) if roles & {OUTCOME, GROUP} else _plain_type(roles, survey)


def _key_type(roles: set[str], *, is_date: bool) -> str:
    if roles & {GROUP, OUTCOME}:
        return "category"
    return "date" if is_date else "identifier"


def _grouped(roles: set[str], survey: Survey) -> str:
    """A category, unless it reads as a boolean or is a whole number of too many levels."""
    reads = survey.truths if OUTCOME in roles and GROUP not in roles else survey.words
    if reads and survey.present and TEXT not in roles:
        return "boolean"
    many = survey.levels is None
    return "integer" if many and survey.mostly_numbers and survey.whole else "category"


def _plain_type(roles: set[str], survey: Survey) -> str:
    """By what most cells are."""
    if TEXT in roles or DATE in roles:
        return "text" if survey.levels is None else "category"
    if survey.mostly_dates:
        return "date"
    if survey.mostly_numbers:
        return "integer" if survey.whole else "number"
    if survey.words and survey.present:
        return "boolean"
    return "category" if survey.levels else "text"


def _typed(name: str, kind: str, survey: Survey, uses: tuple[str, ...], role: str) -> Column:
    """The column with its bounds, decimals or levels."""
    low: Decimal | None = None
    high: Decimal | None = None
    if kind in {"integer", "number"}:
        if survey.low is None or survey.high is None:
            raise _nothing(name, "a number")
        low, high = outward(survey.low, survey.high)
    if kind == "date":
        if survey.day_low is None or survey.day_high is None:
            raise _nothing(name, "a date")
        low, high = _years(survey.day_low, survey.day_high)
    return Column(
        name=name,
        type=kind,
        minimum=low,
        maximum=high,
        decimals=survey.decimals if kind == "number" else None,
        levels=_levels(name, survey) if kind == "category" else (),
        uses=uses,
        role=role,
    )


def _nothing(name: str, what: str) -> BadData:
    return BadData(
        f"column {name}: no site has {what} in it",
        next="check that the study means this column, or hand in a dictionary",
        column=name,
    )


def _levels(name: str, survey: Survey) -> tuple[str, ...]:
    if survey.levels is None:
        raise BadData(
            f"column {name} has more than {LEVELS_MAX} different values, too many for groups",
            next="group it beforehand, or use another column",
            column=name,
        )
    if not survey.levels:
        raise _nothing(name, "a value")
    if all(is_number(level, commas=False) for level in survey.levels):
        return tuple(sorted(survey.levels, key=lambda level: (float(level), level)))
    return tuple(sorted(survey.levels))


def _years(low: int, high: int) -> tuple[Decimal, Decimal]:
    """From the first day of the first year to the last day of the last."""
    first, last = EPOCH + timedelta(days=low), EPOCH + timedelta(days=high)
    days = date(first.year, 1, 1) - EPOCH, date(last.year, 12, 31) - EPOCH
    return Decimal(days[0].days), Decimal(days[1].days)


def told(column: Column) -> str:
    """One line for the owner: what the draft took the column for, and its bounds."""
    if column.type == "category":
        shown = ", ".join(column.levels[:6]) + (", ..." if len(column.levels) > 6 else "")
        return f"{column.name} is a category ({shown})"
    if column.minimum is None or column.maximum is None:
        return f"{column.name} is {column.type}"
    if column.type == "date":
        ends = [EPOCH + timedelta(days=int(end)) for end in (column.minimum, column.maximum)]
        return f"{column.name} is a date from {ends[0]} to {ends[1]}"
    fine = (
        f" with {column.decimals} decimals" if column.type == "number" and column.decimals else ""
    )
    return f"{column.name} is {column.type} from {column.minimum} to {column.maximum}{fine}"


# --- a draft for its owner ---

DRAFT_USES = {
    "integer": ("aggregate", "filter", "model"),
    "number": ("aggregate", "filter", "model"),
    "category": ("aggregate", "group", "filter", "model"),
    "boolean": ("aggregate", "group", "filter", "model"),
    "date": ("aggregate", "filter"),
    "identifier": ("link",),
    "text": (),
}


def draft_for_owner(name: str, survey: Survey) -> Column:
    """The column as its values look, for an owner who has no study in mind yet.

    Levels are public, so texts of which none stands twice are taken for names, not for groups.
    """
    kind = _plain_type({ANY}, survey)
    few = survey.levels is not None and len(survey.levels) <= DRAFT_LEVELS_MAX
    few &= survey.repeats or survey.present < DRAFT_ROWS_TOLD
    if kind == "category" and not few:
        kind = "text"
    once = survey.present > 1 and not survey.repeats and not few
    if (kind == "text" and once) or (kind == "integer" and once and _names_an_identifier(name)):
        kind = "identifier"
    role = "identifier" if kind == "identifier" else "other"
    uses = DRAFT_USES[kind]
    if kind == "integer" and survey.levels is not None and len(survey.levels) <= CODES_MAX:
        uses = (*uses, "group")
    return _typed(name, kind, survey, uses, role)


def _names_an_identifier(name: str) -> bool:
    plain = name.casefold().replace("-", "_").replace(" ", "_").replace(".", "_")
    return bool({"id", "key", "nr", "number", "code"} & set(plain.split("_")))
