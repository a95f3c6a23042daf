"""A run as a picture: its network coloured by the time one entry took, how entries spread, faults.

Of several networks the first is drawn. The entry is the one that took longest to reach everybody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulations.faults import KINDS
from simulations.plan import Plan
from simulations.run import Run
from simulations.spread import Spread, Wave

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["draw_picture"]

Places = Mapping[int, tuple[float, float]]
COLOURS = ("#4c78a8", "#72b7b2", "#eeca3b", "#f58518", "#e45756")  # one a kind of fault


def draw_picture(done: Run, path: Path) -> None:
    """Write it as PNG or SVG, by the path's ending. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic([["map", "curve"], ["map", "faults"]], width_ratios=[1.25, 1])
    plan = done.plan
    figure.suptitle(
        f"{plan.nodes} nodes, {plan.topology}, seed {plan.seed}, {plan.minutes:g} minutes "
        f"({plan.fidelity})"
    )
    _draw_map(figure, axes["map"], plan, _slowest(done.world.spread, plan))
    _draw_curve(axes["curve"], done.world.spread)
    _draw_faults(axes["faults"], plan)
    figure.savefig(path, dpi=130)


def _slowest(spread: Spread, plan: Plan) -> Wave | None:
    """The later entry of the first network that took longest; a founding one if there is none."""
    first = plan.networks[0]
    waves = [w for w in (spread.later() or spread.waves.values()) if w.nodes[0] in first]
    return max(waves, key=lambda wave: max(wave.waits_us), default=None)


def _draw_map(figure: Any, axes: Any, plan: Plan, wave: Wave | None) -> None:
    inside = plan.graph.subgraph(plan.networks[0])
    places = _places(plan.topology, inside)
    waits = {} if wave is None else dict(zip(wave.nodes, wave.waits_us, strict=True))
    for first, second in inside.edges:
        (x0, y0), (x1, y1) = places[first], places[second]
        axes.plot([x0, x1], [y0, y1], color="#c8c8c8", linewidth=0.6, zorder=1)
    nodes = sorted(inside)
    size = max(8, min(160, 9000 / len(nodes)))
    dots = axes.scatter(
        [places[node][0] for node in nodes],
        [places[node][1] for node in nodes],
        c=[waits.get(node, math.nan) / 1e6 for node in nodes],
        s=size,
        cmap="viridis",
        edgecolors="black",
        linewidths=0.4,
        plotnonfinite=True,
        zorder=2,
    )
    if wave is not None:
        start = places[wave.nodes[0]]
        axes.scatter(*start, marker="*", s=size * 4, c="#e45756", edgecolors="black", zorder=3)
        axes.set_title(f"seconds until each node held one entry ({wave.kind}) of the starred node")
    figure.colorbar(dots, ax=axes, location="bottom", shrink=0.6, label="seconds", pad=0.01)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _places(topology: str, graph: nx.Graph[int]) -> Places:
    """Where to draw each node: on a circle, on circles of regions, or by springs."""
    import networkx as nx

    nodes = sorted(graph)
    if topology == "regions":
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
    axes.plot(seconds, share, color="#4c78a8")
    for name, style in (("median_s", "--"), ("p95_s", ":")):
        if figures[name] is not None:
            text = f"everywhere: {name.removesuffix('_s')} {figures[name]:.1f} s"
            axes.axvline(figures[name], color="#555555", linestyle=style, label=text)
            axes.legend(loc="lower right", frameon=False)
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds since an entry was written")
    axes.set_ylabel("share of nodes that hold it")
    axes.set_title(f"how {figures['entries']} entries spread")


def _draw_faults(axes: Any, plan: Plan) -> None:
    for number, fault in enumerate(plan.faults):
        begin, end = fault.begin_us / 6e7, fault.end_us / 6e7
        colour = COLOURS[KINDS.index(fault.kind)]
        axes.barh(number, end - begin, left=begin, color=colour, height=0.8)
    for errand in plan.errands:
        axes.axvline(errand.at_us / 6e7, color="black", linewidth=0.6)
    seen = [kind for kind in KINDS if any(fault.kind == kind for fault in plan.faults)]
    for kind in seen:
        axes.barh(0, 0, color=COLOURS[KINDS.index(kind)], label=kind)
    if seen:
        axes.legend(loc="upper right", frameon=False)
    axes.axvline(plan.heal_us / 6e7, color="#2ca02c")
    axes.set_xlim(0, plan.minutes)
    axes.set_yticks([])
    axes.set_xlabel("minutes (black: a study is proposed, green: the network has healed)")
    axes.set_title(f"{len(plan.faults)} faults")
