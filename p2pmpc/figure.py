"""Figures of released answers, drawn with Matplotlib from the tables that the answer holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from p2pmpc.errors import LocalError, NotFound

if TYPE_CHECKING:
    from p2pmpc.answer import StatisticAnswer

__all__ = ["figure"]

MODELS = ("linear_model", "logistic_model", "poisson_model", "cox")
Rows = Sequence[Mapping[str, Any]]


def figure(answer: StatisticAnswer) -> Any:
    """A Matplotlib Figure of one statistic. Raises NotFound for kinds that have none."""
    draw = DRAWN.get(answer.kind)
    if draw is None:
        raise NotFound(
            f"there is no figure of {answer.kind}",
            next=f"frame() has its numbers. Figures: {', '.join(DRAWN)}.",
        )
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise LocalError("plot() needs Matplotlib", next="Run `pip install matplotlib`.") from None
    made = Figure(layout="constrained")
    draw(made.add_subplot(), answer)
    return made


def _histogram(axes: Any, answer: StatisticAnswer) -> None:
    rows = [row for row in answer.table if row["count"] is not None]
    axes.bar(
        [row["low"] for row in rows],
        [row["count"] for row in rows],
        width=[_number(row["high"]) - _number(row["low"]) for row in rows],
        align="edge",
        edgecolor="white",
    )
    widths = {round(_number(row["high"]) - _number(row["low"]), 9) for row in answer.table}
    axes.set_ylabel("persons" if len(widths) == 1 else "persons (bins differ in width)")
    _note_gaps(axes, len(answer.table) - len(rows))


def _note_gaps(axes: Any, gaps: int) -> None:
    if gaps:
        axes.set_title(f"{gaps} suppressed", fontsize="small")


def _crosstab(axes: Any, answer: StatisticAnswer) -> None:
    down = list(dict.fromkeys(row["row"] for row in answer.table))
    across = list(dict.fromkeys(row["column"] for row in answer.table))
    counts = {(row["row"], row["column"]): row["count"] for row in answer.table}
    grid = [[_number(counts.get((r, c))) for c in across] for r in down]
    axes.imshow(grid, aspect="auto", cmap="Blues")
    axes.set_xticks(range(len(across)), labels=[str(one) for one in across])
    axes.set_yticks(range(len(down)), labels=[str(one) for one in down])
    for y, row in enumerate(down):
        for x, column in enumerate(across):
            count = counts.get((row, column))
            said = "suppressed" if count is None else str(count)
            axes.text(x, y, said, ha="center", va="center", backgroundcolor="white")


def _count(axes: Any, answer: StatisticAnswer) -> None:
    level = next((key for key in answer.table[0] if key != "n"), "") if answer.table else ""
    rows = answer.table or ({"n": answer.values.get("n")},)
    kept = [row for row in rows if row["n"] is not None]
    axes.bar([str(row.get(level, "all")) for row in kept], [row["n"] for row in kept])
    axes.set_xlabel(level)
    axes.set_ylabel("persons")
    _note_gaps(axes, len(rows) - len(kept))


def _correlation(axes: Any, answer: StatisticAnswer) -> None:
    names = list(dict.fromkeys(row[side] for row in answer.table for side in ("a", "b")))
    found = {frozenset((row["a"], row["b"])): row["r"] for row in answer.table}
    grid = [
        [1.0 if a == b else _number(found.get(frozenset((a, b)))) for b in names] for a in names
    ]
    axes.figure.colorbar(axes.imshow(grid, cmap="RdBu", vmin=-1.0, vmax=1.0), label="r")
    axes.set_xticks(range(len(names)), labels=names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), labels=names)
    for y, row in enumerate(grid):
        for x, r in enumerate(row):
            axes.text(x, y, f"{r:.2f}", ha="center", va="center", backgroundcolor="white")


def _model(axes: Any, answer: StatisticAnswer) -> None:
    _forest(axes, [row for row in answer.table if row["term"] != "(intercept)"], "estimate")


def _t_test(axes: Any, answer: StatisticAnswer) -> None:
    _forest(axes, [{"term": "difference", **answer.values}], "difference")


def _forest(axes: Any, rows: Rows, centre: str) -> None:
    kept = [row for row in rows if row.get(centre) is not None]
    places = range(len(kept))
    axes.hlines(
        places, [row["conf_low"] for row in kept], [row["conf_high"] for row in kept], color="C0"
    )
    axes.plot([row[centre] for row in kept], places, "o", color="C0")
    axes.axvline(0.0, color="grey", linewidth=0.8, linestyle="--")
    axes.set_yticks(places, labels=[str(row["term"]) for row in kept])
    axes.invert_yaxis()
    axes.set_xlabel(f"{centre} with its interval")
    _note_gaps(axes, len(rows) - len(kept))


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


DRAWN: Mapping[str, Callable[[Any, StatisticAnswer], None]] = {
    "count": _count,
    "correlation": _correlation,
    "histogram": _histogram,
    "crosstab": _crosstab,
    "t_test": _t_test,
    **dict.fromkeys(MODELS, _model),
}
