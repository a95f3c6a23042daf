"""What `finish` hands back, and the sentences that families share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from protocols.disclosure.threshold import DIFFERS
from protocols.statistics.distribution import real
from protocols.statistics.plan import Plan, Unit
from protocols.statistics.precision import Bounded, shown, worst_error

__all__ = [
    "LEFT_OUT_HIDDEN",
    "Finished",
    "Opened",
    "Scalar",
    "finished",
    "left_out_of",
    "suppression",
    "undefined",
    "withheld",
]

NAMED_MAX = 60  # cells named one by one in a sentence

Scalar = float | int | str | None
Opened = Mapping[str, list[int] | None]

# Nobody asked for this count, so its absence does not make an answer incomplete.
LEFT_OUT_HIDDEN = (
    "How many rows were left out for a missing value is not given: it is zero or below the minimum "
    "cell, and the policy shows neither."
)
SUBTRACTION = (
    "A member can subtract its own part from an opened sum and so learns the sum of the others; "
    "between two members, the other one's."
)
LINKED = (
    "A member knows its own rows: exact sums over the linked persons can tell it which of its "
    "persons were linked, the fewer its rows and the finer its columns the better."
)


@dataclass(frozen=True, slots=True)
class Finished:
    """One statistic's answer. Numbers are float or int; None is a number that is not given.

    `bounds` is the largest error of each number by its name, 0.0 where it is exact.
    """

    values: dict[str, Scalar]
    table: list[dict[str, Scalar]]
    n: int | None
    left_out: int | None
    suppressed: list[dict[str, str]]
    precision: str
    method: str
    opened: list[str]
    caveats: list[str]
    released: bool
    reason: str | None
    would_pass: str | None
    bounds: dict[str, float] = field(default_factory=dict)


def finished(
    plan: Plan,
    opened: Opened,
    *,
    values: dict[str, Scalar],
    table: list[dict[str, Scalar]],
    n: int | None,
    numbers: Mapping[str, Bounded],
    method: str,
    caveats: Sequence[str],
    suppressed: Sequence[dict[str, str]] = (),
    left_out: int | None = None,
) -> Finished:
    """A released answer. `numbers` are the printed ones with their bounds."""
    beyond = [name for name, one in numbers.items() if one.value is not None and shown(one) is None]
    range_words = [f"{name} is beyond the range of a float64 and not given." for name in beyond]
    if "left_out" in opened and opened["left_out"] is None:
        range_words.append(LEFT_OUT_HIDDEN)
    return Finished(
        values=values,
        table=table,
        n=n,
        left_out=left_out_of(opened) if left_out is None else left_out,
        suppressed=[*suppressed],
        precision=worst_error(numbers),
        method=method,
        opened=opened_words(plan, opened),
        caveats=[*dict.fromkeys((*caveats, *range_words, _own_part(plan)))],
        released=True,
        reason=None,
        would_pass=None,
        bounds={name: real(one.error) for name, one in numbers.items()},
    )


def _own_part(plan: Plan) -> str:
    """What a member's own rows tell it beside the answer."""
    return LINKED if plan.linked else SUBTRACTION


def withheld(plan: Plan, opened: Opened, unit: Unit, method: str) -> Finished:
    """The statistic did not pass: nothing but what passed beside it is given."""
    wanted = advice(unit)
    return Finished(
        values={},
        table=[],
        n=None,
        left_out=left_out_of(opened),
        suppressed=[suppression(unit, "", "")],
        precision="nothing was computed",
        method=method,
        opened=opened_words(plan, opened),
        caveats=[],
        released=False,
        reason="a number of persons or members behind this statistic is below its minimum",
        would_pass=wanted,
    )


def undefined(plan: Plan, opened: Opened, method: str, reason: str, would_pass: str) -> Finished:
    """The sums opened, but the statistic does not exist for these rows."""
    return Finished(
        values={},
        table=[],
        n=None,
        left_out=left_out_of(opened),
        suppressed=[],
        precision="nothing was computed",
        method=method,
        opened=opened_words(plan, opened),
        caveats=[_own_part(plan)],
        released=False,
        reason=reason,
        would_pass=would_pass,
    )


def advice(unit: Unit) -> str:
    """All that the unit must meet; which of it failed does not open."""
    found: dict[str, list[str]] = {}
    for text in dict.fromkeys(check.would_pass for check in unit.checks):
        said, differs, name = text.partition(DIFFERS)
        found.setdefault(said + differs, []).append(name)
    return "; ".join(said + ", ".join(names) for said, names in found.items())


def suppression(unit: Unit, row: str, column: str) -> dict[str, str]:
    """The row of an answer's list of what is withheld: the cell, the rule, what would pass."""
    rule = unit.checks[-1].rule if len(unit.checks) == 1 else unit.checks[0].rule
    return {"row": row, "column": column, "rule": rule, "would_pass": advice(unit)}


def left_out_of(opened: Opened) -> int | None:
    """How many rows a missing value left out; None where that count did not open."""
    found = opened.get("left_out")
    return None if found is None else found[0]


def opened_words(plan: Plan, opened: Opened) -> list[str]:
    """What integers opened, by unit."""
    return [
        f"{unit.name}: " + _cell_words([cell.name for cell in unit.opened])
        for unit in plan.units
        if opened.get(unit.name) is not None
    ]


def _cell_words(names: Sequence[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more sums alike" if more > 0 else "")
