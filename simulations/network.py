"""The links between simulated nodes: up or down, slow, lossy; and what a message weighs.

A link is free while both ends live and no fault cuts it, and up once one end has dialled the other
through it (`simulations/dialling`). Every time it comes up it is another connection: what was on
its way over the one before is lost. Both ends notice a change a little later, each in its own time,
and what they send before they notice is lost as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2pmpc.messages import Address, Entries, Frontier, Message, encode_message
from simulations.chance import Chance
from simulations.faults import Fault
from simulations.topologies import latency_us

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Link", "Links", "Weights", "weigh"]

JITTER = 0.3  # of the latency
BYTES_A_SECOND = 12_500_000  # 100 Mbit/s
HEADER_BYTES = 4  # a frame's length
ADDRESS_BYTES = 123  # of a record beside its texts: network, signature, two times, lengths
WEIGHTS_KEPT = 8192  # about a network's frontiers
NOWHERE = 0  # the number of no connection


@dataclass(slots=True)
class Link:
    """One link; the numbers of faults that work on it now. Connections count from 1."""

    latency_us: int
    connection: int = NOWHERE  # of the present or the last one
    free: bool = False
    up: bool = False
    cuts: int = 0
    losses: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Links:
    """All links of a world, by (smaller, larger) node."""

    chance: Chance
    links: dict[tuple[int, int], Link]
    neighbours: dict[int, tuple[int, ...]]
    alive: list[bool]

    @staticmethod
    def of(graph: nx.Graph[int], chance: Chance) -> Links:
        edges = sorted((min(edge), max(edge)) for edge in graph.edges)
        links = {(a, b): Link(latency_us(graph, a, b)) for a, b in edges}
        neighbours = {node: tuple(sorted(graph[node])) for node in sorted(graph)}
        return Links(chance, links, neighbours, [True] * len(graph))

    def between(self, first: int, second: int) -> Link:
        return self.links[(first, second) if first < second else (second, first)]

    def refresh(self, edges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Lives and cuts have changed; returns the links that broke or that may be dialled now."""
        changed = []
        for first, second in edges:
            link = self.between(first, second)
            free = self.alive[first] and self.alive[second] and not link.cuts
            if free != link.free:
                link.free, link.up = free, link.up and free
                changed.append((first, second))
        return changed

    def connect(self, link: Link) -> None:
        """One end has reached the other."""
        link.up = True
        link.connection += 1

    def of_node(self, node: int) -> list[tuple[int, int]]:
        return [(node, peer) for peer in self.neighbours[node]]

    def work(self, fault: Fault, begins: bool) -> list[tuple[int, int]]:
        """Begin or end a fault of links; returns the links that it works on."""
        inside = set(fault.nodes)
        edges = [*fault.links, *(e for e in self.links if (e[0] in inside) != (e[1] in inside))]
        for edge in edges:
            link = self.links[edge]
            if fault.kind in {"cut", "partition"}:
                link.cuts += 1 if begins else -1
            else:
                amounts = link.losses if fault.kind == "loss" else link.delays
                (amounts.append if begins else amounts.remove)(fault.amount)
        return edges

    def travel_us(self, link: Link, size: int) -> int | None:
        """How long a message is on its way; None when it is lost."""
        if any(self.chance.happens(share) for share in link.losses):
            return None
        latency = link.latency_us * self.chance.between(1, 1 + JITTER)
        for factor in link.delays:
            latency *= self.chance.between(1, factor)
        return int(latency) + size * 1_000_000 // BYTES_A_SECOND

    def joined(self, nodes: Iterable[int]) -> bool:
        """Whether all of these live and reach each other over links that are up."""
        wanted = set(nodes)
        if not all(self.alive[node] for node in wanted):
            return False
        start = min(wanted)
        seen, edge = {start}, deque([start])
        while edge and not wanted <= seen:
            node = edge.popleft()
            for peer in self.neighbours[node]:
                if peer not in seen and self.between(node, peer).up:
                    seen.add(peer)
                    edge.append(peer)
        return wanted <= seen


@dataclass(slots=True)
class Weights:
    """The bytes of messages' frames. A frontier is often sent many times before it changes."""

    last: dict[int, tuple[Frontier, int]] = field(default_factory=dict)

    def of(self, message: Message) -> int:
        if not isinstance(message, Frontier):
            return weigh(message)
        found = self.last.get(id(message))
        if found is None or found[0] is not message:
            if len(self.last) >= WEIGHTS_KEPT:
                self.last.clear()
            found = self.last[id(message)] = (message, weigh(message))
        return found[1]


def weigh(message: Message) -> int:
    """About the bytes of a message's frame without encoding it: large worlds send millions."""
    if isinstance(message, Frontier):
        return HEADER_BYTES + 5 + sum(38 + len(author) for author, _, _ in message.heads)
    if isinstance(message, Address):
        sizes = (len(r.name) + len(r.address) for r in message.records)
        return HEADER_BYTES + 5 + sum(sizes) + ADDRESS_BYTES * len(message.records)
    if not isinstance(message, Entries):
        return HEADER_BYTES + len(encode_message(message))
    size = HEADER_BYTES + 5
    for signed, body in message.entries:
        size += len(signed.entry) + 64 + 8
        size += 24 + len(body.content) if body is not None else 1
    return size
