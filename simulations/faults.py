"""What goes wrong, drawn from the seed: which faults exist in this run, and each one's time.

    loss       messages on some links vanish, a share of them, though the link stays up
    delay      messages on some links take up to many times as long, and overtake each other
    cut        some links break and come back
    partition  a group of nodes is cut off from all others
    crash      a node's process dies, at rest or between two steps of a commit, and starts again at
               another address

A link under TCP loses nothing while it is up; `loss` and overtaking are harsher than that on
purpose. Every fault ends before the network heals, and after that everything must finish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from simulations.chance import Chance

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["CRASH_POINTS", "FAULTS_MAX", "KINDS", "Fault", "draw_faults"]

CRASH_POINTS = ("at rest", "before the store", "after the store")
KINDS = ("loss", "delay", "cut", "partition", "crash")
EXISTS = 0.7  # the chance of each kind to exist in a run
BURSTS = (1, 4)  # how many faults of a kind that exists; crashes grow with the network
FAULTS_MAX = 1000  # of one kind: more is a slip of the finger
LASTS = (0.02, 0.25)  # of the time until the network heals


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, from `begin_us` to before `end_us`; `number` names it among those drawn.

    nodes   who is cut off or crashes;  links  what is lossy, slow or cut
    amount  the share lost, or the factor of delay;  point  where a crash strikes
    """

    kind: str
    begin_us: int
    end_us: int
    nodes: tuple[int, ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    amount: float = 0.0
    point: str = ""
    number: int = -1

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value or key == "number"}


def draw_faults(
    graph: nx.Graph[int],
    heal_us: int,
    wanted: Mapping[str, int] | None,
    spared: frozenset[int],
    chance: Chance,
) -> tuple[Fault, ...]:
    """All faults of one run, by time. The same arguments draw the same faults.

    wanted  kind -> how many, -1 for as many as are drawn; None draws which kinds exist as well
    spared  nodes that do not crash: a liar is trouble enough
    """
    found: list[Fault] = []
    for kind in KINDS:
        stream = chance.fork(kind)
        exists = stream.happens(EXISTS) if wanted is None else kind in wanted
        count = BURSTS[0] + stream.below(BURSTS[1])
        if kind == "crash":
            count += len(graph) // 25
        if wanted is not None and wanted.get(kind, -1) >= 0:
            count = wanted[kind]
        if exists:
            found += [_fault(kind, graph, heal_us, stream) for _ in range(count)]
    kept = [one for one in found if one.kind != "crash" or not spared & set(one.nodes)]
    ordered = sorted(kept, key=lambda fault: (fault.begin_us, fault.end_us, fault.kind))
    return tuple(replace(fault, number=number) for number, fault in enumerate(ordered))


def _fault(kind: str, graph: nx.Graph[int], heal_us: int, chance: Chance) -> Fault:
    lasts = chance.between(*LASTS) * heal_us
    begin = int(chance.between(0.02 * heal_us, heal_us - lasts))
    nodes, links, amount, point = DRAWS[kind](graph, chance)
    return Fault(kind, begin, int(begin + lasts), nodes, links, amount, point)


Drawn = tuple[tuple[int, ...], tuple[tuple[int, int], ...], float, str]


def _links(graph: nx.Graph[int], share: float, chance: Chance) -> tuple[tuple[int, int], ...]:
    every: Sequence[tuple[int, int]] = sorted((min(e), max(e)) for e in graph.edges)
    return tuple(sorted(chance.some(every, max(1, int(len(every) * share)))))


def _loss(graph: nx.Graph[int], chance: Chance) -> Drawn:
    return (), _links(graph, chance.between(0.05, 0.4), chance), chance.between(0.02, 0.5), ""


def _delay(graph: nx.Graph[int], chance: Chance) -> Drawn:
    return (), _links(graph, chance.between(0.05, 0.4), chance), chance.between(2, 100), ""


def _cut(graph: nx.Graph[int], chance: Chance) -> Drawn:
    return (), _links(graph, chance.between(0.02, 0.2), chance), 0.0, ""


def _partition(graph: nx.Graph[int], chance: Chance) -> Drawn:
    """A group around a drawn node: real partitions follow the network's own seams."""
    import networkx as nx

    reach = nx.single_source_shortest_path_length(graph, chance.below(len(graph)))
    near = sorted(reach, key=lambda node: (reach[node], node))
    size = max(1, int(len(graph) * chance.between(0.1, 0.5)))
    return tuple(sorted(near[:size])), (), 0.0, ""


def _crash(graph: nx.Graph[int], chance: Chance) -> Drawn:
    return (chance.below(len(graph)),), (), 0.0, chance.pick(CRASH_POINTS)


DRAWS: Mapping[str, Callable[[nx.Graph[int], Chance], Drawn]] = {
    "loss": _loss,
    "delay": _delay,
    "cut": _cut,
    "partition": _partition,
    "crash": _crash,
}
