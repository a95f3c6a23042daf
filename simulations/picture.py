"""A run as a picture: its network coloured by the time one entry took, how entries spread, and what
went wrong when beside what became of each study.

Of several networks the first is drawn. The entry is the one that most nodes waited for longest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from simulations.faults import KINDS
from simulations.plan import Plan
from simulations.report import make_report
from simulations.run import Run
from simulations.spread import Spread, Wave

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["draw_picture"]

Places = Mapping[int, tuple[float, float]]
COLOURS = ("#4c78a8", "#72b7b2", "#b279a2", "#f58518", "#e45756")  # one a kind of fault
OUTCOMES = {
    "answered": "#2ca02c",
    "withheld": "#8cc68c",
    "refused": "#9d9d9d",
    "expired": "#c9a227",
    "withdrawn": "#6b6ecf",
    "revoked": "#6b6ecf",
}
ENDED_BADLY = "#d62728"  # failed, or ended in several ways
FIRST_S = 0.01  # the left end of the curve: the fastest links
STUDIES_DRAWN = 24  # more would be a grey band


def draw_picture(done: Run, path: Path) -> None:
    """Write it as PNG or SVG, by the path's ending. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic([["map", "curve"], ["map", "times"]], width_ratios=[1.15, 1])
    plan, report = done.plan, make_report(done)
    liars = f", liars: {len(plan.liars)}" if plan.liars else ""
    figure.suptitle(
        f"{plan.nodes} nodes{liars}, {plan.topology}, seed {plan.seed}: "
        + ("everything finished" if report["finished"] else "an invariant broke"),
        fontsize=15,
    )
    _draw_map(figure, axes["map"], plan, _slowest(done.world.spread, plan))
    _draw_curve(axes["curve"], done.world.spread)
    _draw_times(axes["times"], plan, report)
    figure.savefig(path, dpi=130)


def _slowest(spread: Spread, plan: Plan) -> Wave | None:
    """The later entry of the first network that took most nodes longest; a founding one if none.

    Not the one that took a single node longest: that shows how long one was dead, and nothing else.
    """
    first = plan.networks[0]
    waves = [w for w in (spread.later() or spread.waves.values()) if w.nodes[0] in first]
    return max(waves, key=lambda wave: median(wave.waits_us), default=None)


def _draw_map(figure: Any, axes: Any, plan: Plan, wave: Wave | None) -> None:
    import matplotlib as mpl

    inside = plan.graph.subgraph(plan.networks[0])
    places = _places(plan.topology, inside)
    waits = {} if wave is None else dict(zip(wave.nodes, wave.waits_us, strict=True))
    late = quantiles(wave.waits_us, n=20)[-1] / 1e6 if wave and len(waits) > 1 else None
    for first, second in inside.edges:
        (x0, y0), (x1, y1) = places[first], places[second]
        axes.plot([x0, x1], [y0, y1], color="#c8c8c8", linewidth=0.6, zorder=1)
    colours = mpl.colormaps["viridis"].with_extremes(bad="#b0b0b0")
    nodes = sorted(inside)
    lying = [places[node] for node in nodes if node in plan.liars]
    size = max(8, min(160, 9000 / len(nodes)))
    dots = axes.scatter(
        [places[node][0] for node in nodes],
        [places[node][1] for node in nodes],
        c=[waits.get(node, math.nan) / 1e6 for node in nodes],
        s=size,
        cmap=colours,
        vmin=0,
        vmax=late,
        edgecolors="black",
        linewidths=0.4,
        plotnonfinite=True,
        zorder=2,
    )
    if lying:
        axes.scatter(*zip(*lying, strict=True), marker="X", s=size * 2, c="#e45756", zorder=3)
    if wave is not None:
        start = places[wave.nodes[0]]
        axes.scatter(*start, marker="*", s=size * 5, c="white", edgecolors="black", zorder=3)
    count = len(plan.networks)
    of = "" if count == 1 else f" (the first of {count} networks)"
    axes.set_title(
        f"one entry ({wave.kind if wave else 'none'}) of the starred node on its way to all{of}"
        + ("\nred crosses lie" if lying else "")
    )
    label = "seconds until a node held it (the last twentieth alike; grey: never)"
    figure.colorbar(
        dots, ax=axes, location="bottom", shrink=0.6, label=label, pad=0.01, extend="max"
    )
    axes.set_aspect("equal")
    axes.set_axis_off()


def _places(topology: str, graph: nx.Graph[int]) -> Places:
    """Where to draw each node: on a circle, on circles of regions, or by springs."""
    import networkx as nx

    nodes = sorted(graph)
    if topology == "hospital-regions":
        return _on_circles(nodes, [graph.nodes[node]["region"] for node in nodes])
    if topology == "scale-free":
        found = nx.spring_layout(graph, seed=1, iterations=80, k=2 / math.sqrt(len(nodes)))
        return {node: (float(x), float(y)) for node, (x, y) in found.items()}
    return _on_circles(nodes, [0] * len(nodes))


def _on_circles(nodes: list[int], regions: list[int]) -> Places:
    count = max(regions) + 1
    wide = 0.0 if count == 1 else 1.0
    radius = 1.0 if count == 1 else 0.75 * math.sin(math.pi / max(count, 3))
    places = {}
    for region in range(count):
        inside = [node for node, where in zip(nodes, regions, strict=True) if where == region]
        x, y = _turn(region / count)
        for number, node in enumerate(inside):
            dx, dy = _turn(number / len(inside))
            places[node] = (wide * x + radius * dx, wide * y + radius * dy)
    return places


def _turn(share: float) -> tuple[float, float]:
    angle = 2 * math.pi * share
    return math.sin(angle), math.cos(angle)


def _draw_curve(axes: Any, spread: Spread) -> None:
    seconds, share = spread.curve()
    figures = spread.summary()["later"]
    axes.fill_between(seconds, share, color="#4c78a8", alpha=0.25)
    axes.plot(seconds, share, color="#4c78a8")
    for name, style in (("median_s", "--"), ("p95_s", ":")):
        if figures[name] is not None:
            text = f"{name.removesuffix('_s')} until everywhere: {figures[name]:.1f} s"
            axes.axvline(figures[name], color="#555555", linestyle=style, label=text)
            axes.legend(loc="upper left", frameon=False)
    axes.set_ylim(0, 1.02)
    axes.set_xscale("log")
    axes.set_xlim(left=FIRST_S)
    axes.set_xlabel("seconds since an entry was written (logarithmic)")
    axes.set_ylabel("share of the members that hold it")
    axes.set_title(f"how {figures['entries']} entries spread")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_times(axes: Any, plan: Plan, report: Mapping[str, Any]) -> None:
    """Lanes from the bottom: one for each kind of fault, and one for each study above them."""
    ticks: list[tuple[float, str]] = []
    top = 0.0
    for kind in KINDS:
        spans = [(f.begin_us / 6e7, f.end_us / 6e7) for f in plan.faults if f.kind == kind]
        if spans:
            rows = _rows(spans)
            height = 1.6 / (1 + max(rows))
            for row, (begin, end) in zip(rows, spans, strict=True):
                colour = COLOURS[KINDS.index(kind)]
                y = top + height * row
                axes.barh(y, end - begin, height * 0.85, begin, align="edge", color=colour)
            ticks.append((top + 0.8, kind))
            top += 2
    top = _draw_studies(axes, report, ticks, top)
    axes.axvline(plan.heal_us / 6e7, color="#2ca02c", linewidth=1.2)
    axes.text(plan.heal_us / 6e7, top, " healed", color="#2ca02c", va="top")
    axes.set_yticks([y for y, _ in ticks], [text for _, text in ticks])
    axes.set_ylim(0, max(top, 1))
    axes.set_xlim(0, max(plan.minutes, report["virtual_s"] / 60))
    axes.set_xlabel("minutes of virtual time")
    axes.set_title(f"{len(plan.faults)} faults, {len(plan.errands)} studies from proposal to end")
    axes.spines[["top", "right"]].set_visible(False)


def _rows(spans: list[tuple[float, float]]) -> list[int]:
    """The lowest row for each span in which it overlaps none before it."""
    ends: list[float] = []
    rows = []
    for begin, end in spans:
        free = next((row for row, last in enumerate(ends) if last <= begin), len(ends))
        ends[free:] = [end, *ends[free + 1 :]]
        rows.append(free)
    return rows


def _draw_studies(
    axes: Any,
    report: Mapping[str, Any],
    ticks: list[tuple[float, str]],
    top: float,
) -> float:
    studies = sorted(report["studies"], key=lambda one: -one["proposed_at_s"])
    for study in studies[-STUDIES_DRAWN:]:
        begin = study["proposed_at_s"] / 60
        end = (study["ended_at_s"] or report["virtual_s"]) / 60
        colour = OUTCOMES.get(study["outcome"], ENDED_BADLY)
        axes.barh(top, max(end - begin, 0.03), 0.7, begin, align="edge", color=colour)
        axes.text(end, top + 0.35, f" {study['outcome']}", va="center", fontsize=7, color=colour)
        top += 1
    if studies:
        ticks.append((top - min(len(studies), STUDIES_DRAWN) / 2, "studies"))
    return top + 0.5
