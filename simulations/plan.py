"""What one simulated run is to be: its size, its network, its studies, and what goes wrong in it.

Everything follows from the seed. A roster holds at most 256 members; larger worlds are several
networks side by side under one clock, each with a topology of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import WrongUsage
from p2pmpc.roster import MEMBERS_MAX
from p2pmpc.study import Study, parse_study
from simulations.chance import Chance
from simulations.faults import Fault, draw_faults
from simulations.topologies import TOPOLOGIES, draw_topology

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "EXACT_NODES_MAX",
    "MINUTES_MAX",
    "NODES_MAX",
    "STUDIES_MAX",
    "Errand",
    "Plan",
    "dictionary",
    "draw_plan",
]

NODES_MAX = 4096  # sixteen full networks: about 4 GB and an hour
EXACT_NODES_MAX = 50  # up to here every message is encoded and parsed as on the wire
MINUTES_MAX = 1440  # a day of virtual time
STUDIES_MAX = 1000  # each is read by every member
HEALED = 0.5  # of the run: faults end by then
ASKED = (0.03, 0.45)  # of the run: when studies are proposed
REACH = 2  # links between a study's centre and its parties
PARTIES = (2, 5)

STUDY = """
[study]
title = "Simulated study {number}"
purpose = "DUO:0000007"
question = "How many persons are there?"
recipients = [{recipients}]
[data.patients]
dataset = "lung"
members = [{members}]
[[statistic]]
name = "n"
kind = "count"
"""


@dataclass(frozen=True, slots=True)
class Errand:
    """A study and where and when it is handed in. `passes` is what its thresholds will say."""

    study: Study
    node: int
    network: int
    at_us: int
    compute_us: int
    passes: bool


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One run. The same plan runs the same everywhere; `without` is for shrinking."""

    seed: int
    nodes: int
    topology: str
    minutes: float
    networks: tuple[range, ...]
    graph: nx.Graph[int]
    errands: tuple[Errand, ...]
    faults: tuple[Fault, ...]

    @property
    def fidelity(self) -> str:
        return "exact control plane" if self.nodes <= EXACT_NODES_MAX else "shape"

    @property
    def end_us(self) -> int:
        return int(self.minutes * 60_000_000)

    @property
    def heal_us(self) -> int:
        return int(self.end_us * HEALED)

    def network_of(self, node: int) -> int:
        return next(place for place, inside in enumerate(self.networks) if node in inside)

    def with_faults(self, faults: tuple[Fault, ...]) -> Plan:
        return Plan(
            self.seed,
            self.nodes,
            self.topology,
            self.minutes,
            self.networks,
            self.graph,
            self.errands,
            faults,
        )


def member_name(node: int) -> str:
    """Names sort as numbers do."""
    return f"n{node:04d}"


def dictionary() -> Dictionary:
    """The one description that all simulated members share."""
    age = Column(
        name="age",
        type="integer",
        units="years",
        minimum=Decimal(0),
        maximum=Decimal(120),
        uses=("aggregate",),
    )
    return Dictionary(name="lung", unit="person", columns=(age,))


def draw_plan(nodes: int, seed: int, topology: str, minutes: float, studies: int) -> Plan:
    """Draw a run from its seed. Raises WrongUsage for a number out of its bounds."""
    _check("--nodes", nodes, 2, NODES_MAX)
    _check("--minutes", minutes, 1, MINUTES_MAX)
    _check("--studies", studies, 0, STUDIES_MAX)
    _check("--seed", seed, 0, 2**63 - 1)
    if topology not in TOPOLOGIES:
        raise WrongUsage(
            f"there is no topology {topology!r}",
            field="--topology",
            next=f"Use one of {', '.join(sorted(TOPOLOGIES))}.",
        )
    chance = Chance(seed, "plan")
    networks = _networks(nodes)
    graph = _graph(networks, topology, chance.fork("topology"))
    plan = Plan(seed, nodes, topology, minutes, networks, graph, (), ())
    faults = draw_faults(graph, plan.heal_us, chance.fork("faults"))
    errands = tuple(
        _errand(plan, number, chance.fork(f"study {number}")) for number in range(studies)
    )
    return Plan(seed, nodes, topology, minutes, networks, graph, errands, faults)


def _check(field: str, value: float, least: int, most: int) -> None:
    if not least <= value <= most:
        raise WrongUsage(f"{field} must be from {least} to {most}, not {value:g}", field=field)


def _networks(nodes: int) -> tuple[range, ...]:
    count = -(-nodes // MEMBERS_MAX)
    return tuple(
        range(place * nodes // count, (place + 1) * nodes // count) for place in range(count)
    )


def _graph(networks: tuple[range, ...], topology: str, chance: Chance) -> nx.Graph[int]:
    import networkx as nx

    drawn = [
        nx.relabel_nodes(
            draw_topology(topology, len(inside), chance.fork(str(place))),
            {node: inside[node] for node in range(len(inside))},
        )
        for place, inside in enumerate(networks)
    ]
    whole: nx.Graph[int] = nx.compose_all(drawn)
    return whole


def _errand(plan: Plan, number: int, chance: Chance) -> Errand:
    """A study among nodes near a drawn one, which need not be a party itself."""
    import networkx as nx

    network = number % len(plan.networks)
    centre = chance.pick(plan.networks[network])
    near = sorted(nx.single_source_shortest_path_length(plan.graph, centre, cutoff=REACH))
    count = PARTIES[0] + chance.below(PARTIES[1] - PARTIES[0] + 1)
    parties = sorted(member_name(node) for node in chance.some(near, count))
    recipients = parties if chance.happens(0.5) else [chance.pick(parties)]
    text = STUDY.format(number=number, recipients=_quoted(recipients), members=_quoted(parties))
    return Errand(
        study=parse_study(text, "a simulated study"),
        node=centre,
        network=network,
        at_us=int(chance.between(*ASKED) * plan.end_us),
        compute_us=int(chance.between(0.5, 30) * 1_000_000),
        passes=chance.happens(0.8),
    )


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
