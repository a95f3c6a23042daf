"""Who has a link to whom: four shapes of networks, drawn from the seed.

    ring              each with its two neighbours: the longest way round
    small-world       a ring of four neighbours, a tenth of the links drawn anew (Watts, Strogatz)
    scale-free        newcomers link to three, sooner to those with many (Barabasi, Albert)
    hospital-regions  close inside a region, few links between regions, and those are long

A link's latency follows from the places of its ends; regions lie far apart. All graphs connect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from simulations.chance import Chance

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["TOPOLOGIES", "draw_topology", "latency_us"]

NEAR_US = (500, 3_000)  # within a city
FAR_US = (8_000, 60_000)  # between regions
REDRAWN = 0.1  # share of a small world's links that lead elsewhere
LINKS_OF_NEWCOMERS = 3
BRIDGES = 2  # links from each region to the next, and as many to drawn ones


def draw_topology(kind: str, nodes: int, chance: Chance) -> nx.Graph[int]:
    """A connected graph on 0..nodes-1. Every node has a `region`, every link a `latency_us`."""
    seed = chance.below(2**31)
    graph: nx.Graph[int] = TOPOLOGIES[kind](nodes, seed, chance)
    for node in sorted(graph):
        graph.nodes[node].setdefault("region", 0)
    for first, second in sorted(tuple(sorted(edge)) for edge in graph.edges):
        near = graph.nodes[first]["region"] == graph.nodes[second]["region"]
        graph.edges[first, second]["latency_us"] = int(
            chance.between(*(NEAR_US if near else FAR_US))
        )
    return graph


def latency_us(graph: nx.Graph[int], first: int, second: int) -> int:
    found: int = graph.edges[first, second]["latency_us"]
    return found


def _ring(nodes: int, seed: int, chance: Chance) -> nx.Graph[int]:  # noqa: ARG001  one form
    import networkx as nx

    graph: nx.Graph[int] = nx.cycle_graph(nodes) if nodes > 2 else nx.path_graph(nodes)
    return graph


def _small_world(nodes: int, seed: int, chance: Chance) -> nx.Graph[int]:  # noqa: ARG001
    import networkx as nx

    if nodes <= 5:
        return _complete(nodes)
    graph: nx.Graph[int] = nx.connected_watts_strogatz_graph(nodes, 4, REDRAWN, seed=seed)
    return graph


def _scale_free(nodes: int, seed: int, chance: Chance) -> nx.Graph[int]:  # noqa: ARG001
    import networkx as nx

    if nodes <= LINKS_OF_NEWCOMERS + 1:
        return _complete(nodes)
    graph: nx.Graph[int] = nx.barabasi_albert_graph(nodes, LINKS_OF_NEWCOMERS, seed=seed)
    return graph


def _regions(nodes: int, seed: int, chance: Chance) -> nx.Graph[int]:
    """About sqrt(nodes) regions, each a small world; two bridges to the next and two elsewhere."""
    import networkx as nx

    count = max(1, round(math.sqrt(nodes)))
    members = [list(range(r * nodes // count, (r + 1) * nodes // count)) for r in range(count)]
    graph: nx.Graph[int] = nx.Graph()
    for region, inside in enumerate(members):
        graph.add_nodes_from(inside, region=region)
        local = _small_world(len(inside), seed + region, chance)
        graph.add_edges_from((inside[a], inside[b]) for a, b in local.edges)
    for region, inside in enumerate(members if count > 1 else []):
        others = [r for r in range(count) if r != region]
        for there in [(region + 1) % count] * BRIDGES + chance.some(others, BRIDGES):
            graph.add_edge(chance.pick(inside), chance.pick(members[there]))
    return graph


def _complete(nodes: int) -> nx.Graph[int]:
    import networkx as nx

    graph: nx.Graph[int] = nx.complete_graph(nodes)
    return graph


TOPOLOGIES: Mapping[str, Callable[[int, int, Chance], Any]] = {
    "ring": _ring,
    "small-world": _small_world,
    "scale-free": _scale_free,
    "hospital-regions": _regions,
}
