"""An answer for a person: a heading, small tables and plain sentences for each statistic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from p2pmpc.answer import Answer, labels_first
from p2pmpc.cli.output import Table
from p2pmpc.errors import Withheld

__all__ = ["answer_lines", "cost_line", "withheld"]

# A receipt's answer has sorted keys: its numbers stand in a reader's order all the same.
NUMBERS = (
    *("n", "missing", "count", "mean", "sd", "var", "skewness", "kurtosis", "q1", "median", "q3"),
    *("min", "max", "r", "estimate", "std_error", "statistic", "r_squared", "adj_r_squared"),
    *("sigma", "t", "F", "chi2", "df", "df_between", "df_within", "p_value", "cramers_v"),
    *("chi2_yates", "fisher_p", "odds_ratio", "difference", "conf_low", "conf_high", "cohens_d"),
    *("eta_squared", "levene_W", "levene_p"),
)


def answer_lines(answer: Mapping[str, Any]) -> Iterator[str | Table]:
    """The whole answer: first on how many members it is, last what was and was not checked."""
    yield Answer.from_json(answer).heading
    told: set[str] = set()
    for name, one in answer["statistics"].items():
        yield ""
        yield from _statistic(name, one)
        for caveat in one.get("caveats") or ():
            if caveat not in told:  # each once, under the first statistic that it holds for
                yield f"  note: {caveat}"
        told.update(one.get("caveats") or ())
    if answer.get("integrity"):
        yield ""
        yield str(answer["integrity"])


def withheld(answer: Mapping[str, Any]) -> Withheld | None:
    """The error of an answer in which something asked for is not there, with what would pass."""
    if answer["released"]:
        return None
    closed, parts, advice = [], [], []
    for name, one in answer["statistics"].items():
        if not one.get("released", True):
            closed.append(name)
            advice.append(one.get("would_pass") or "")
        elif one.get("suppressed"):
            cells = len(one["suppressed"])
            rules = sorted({str(cell["rule"]) for cell in one["suppressed"]})
            parts.append(f"{name}: {cells} cell{'s' * (cells > 1)} suppressed ({', '.join(rules)})")
            advice += [str(cell.get("would_pass") or "") for cell in one["suppressed"]]
    if closed:
        parts.insert(0, f"{', '.join(closed)} not released")
    would_pass = "; ".join(dict.fromkeys(part for text in advice for part in _parts(text)))
    return Withheld(
        f"part of what was asked for is withheld: {'; '.join(parts)}",
        next=f"What would pass: {would_pass}" if would_pass else "",
    )


def _parts(would_pass: str) -> list[str]:
    return [part for part in would_pass.split("; ") if part]


def cost_line(cost: Mapping[str, Any], verified: bool) -> str:
    """The last line: seconds, rounds, bytes, and whether the receipt holds."""
    sent = sum(cost["bytes_sent"].values())
    checked = "receipt verified offline" if verified else "no receipt"
    return (
        f"{cost['seconds']:.1f} s, {cost['rounds']} rounds, {_size(sent)} sent by "
        f"{len(cost['bytes_sent'])} members, {checked}"
    )


def _statistic(name: str, one: Mapping[str, Any]) -> Iterator[str | Table]:
    head = f"{name} ({one['kind']})"
    if not one.get("released", True):
        yield f"{head}: withheld. {one.get('reason', '')}"
        if one.get("would_pass"):
            yield f"  what would pass: {one['would_pass']}"
        return
    yield head + _counts(one)
    yield from _values(one.get("values") or {})
    if one.get("table"):
        yield _table(one["table"])
    for cell in one.get("suppressed") or ():
        place = ", ".join(str(cell[key]) for key in ("row", "column") if cell.get(key))
        yield f"  suppressed: {place} ({cell['rule']})"


def _counts(one: Mapping[str, Any]) -> str:
    n, left_out = one.get("n"), one.get("left_out")
    text = "" if n is None else f", n = {n}"
    return text if not left_out else f"{text}, {left_out} left out (missing)"


def _values(values: Mapping[str, Any]) -> Iterator[Table]:
    plain = {k: v for k, v in values.items() if not isinstance(v, Mapping | list | tuple)}
    if plain:
        columns = _readable(plain)
        yield Table("", columns, [[plain[key] for key in columns]])
    groups = values.get("groups")
    if isinstance(groups, Mapping) and groups:
        columns = tuple(dict.fromkeys(key for row in groups.values() for key in row))
        rows = [[level, *(row.get(key) for key in columns)] for level, row in groups.items()]
        yield Table("", ("group", *columns), rows)


def _table(table: Sequence[Mapping[str, Any]]) -> Table:
    columns = _readable(labels_first(table))
    return Table("", columns, [[row.get(key) for key in columns] for row in table])


def _readable(keys: Iterable[str]) -> tuple[str, ...]:
    """Names that are no numbers of ours first, as they stand, then the numbers in their order."""
    found = list(keys)
    named = [key for key in found if key not in NUMBERS]
    return (*named, *(key for key in NUMBERS if key in found))


def _size(count: int) -> str:
    if count < 10_000:
        return f"{count} bytes"
    return f"{count / 1000:.0f} kB" if count < 10_000_000 else f"{count / 1_000_000:.1f} MB"
