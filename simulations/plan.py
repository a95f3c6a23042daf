"""What one simulated run is to be: its networks, its studies, and what goes wrong in it.

Everything follows from the scenario's seed. A roster holds at most 256 members; larger worlds are
several networks side by side under one clock, each with a topology of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.roster import MEMBERS_MAX
from simulations.chance import Chance
from simulations.errands import Errand, draw_errand
from simulations.faults import Fault, draw_faults
from simulations.scenario import Scenario
from simulations.topologies import draw_topology

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["EXACT_NODES_MAX", "Plan", "dictionary", "draw_plan", "member_name"]

EXACT_NODES_MAX = 50  # up to here every message is encoded and parsed as on the wire
HEALED = 0.5  # of the run: faults end by then
REACH = 2  # links between a study's centre and its parties
CONTENDS = 3  # every so many studies, one shares its parties and its time with the one before


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One run. The same plan runs the same everywhere; `with_faults` is for shrinking."""

    scenario: Scenario
    networks: tuple[range, ...]
    graph: nx.Graph[int]
    liars: tuple[int, ...]
    errands: tuple[Errand, ...]
    faults: tuple[Fault, ...]

    @property
    def nodes(self) -> int:
        return self.scenario.nodes

    @property
    def seed(self) -> int:
        return self.scenario.seed

    @property
    def topology(self) -> str:
        return self.scenario.topology

    @property
    def minutes(self) -> float:
        return self.scenario.minutes

    @property
    def fidelity(self) -> str:
        return "exact control plane" if self.nodes <= EXACT_NODES_MAX else "shape"

    @property
    def end_us(self) -> int:
        return int(self.scenario.minutes * 60_000_000)

    @property
    def heal_us(self) -> int:
        return int(self.end_us * HEALED)

    def honest(self, network: int) -> list[int]:
        """The nodes of a network that do not lie, sorted."""
        liars = set(self.liars)
        return [node for node in self.networks[network] if node not in liars]

    def with_faults(self, faults: tuple[Fault, ...]) -> Plan:
        """The same run where only these go wrong."""
        only = tuple(sorted(fault.number for fault in faults))
        return replace(self, faults=faults, scenario=replace(self.scenario, only=only))


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


def draw_plan(scenario: Scenario) -> Plan:
    """Draw a run from its scenario."""
    chance = Chance(scenario.seed, "plan")
    networks = _networks(scenario.nodes)
    graph = _graph(networks, scenario.topology, chance.fork("topology"))
    liars = tuple(sorted(chance.fork("liars").some(range(scenario.nodes), scenario.liars)))
    bare = Plan(scenario, networks, graph, liars, (), ())
    errands = tuple(_errand(bare, number, chance) for number in range(scenario.studies))
    return replace(bare, errands=errands, faults=_faults(bare, chance.fork("faults")))


def _faults(plan: Plan, chance: Chance) -> tuple[Fault, ...]:
    scenario = plan.scenario
    wanted = None if scenario.faults is None else dict(scenario.faults)
    drawn = draw_faults(plan.graph, plan.heal_us, wanted, frozenset(plan.liars), chance)
    return tuple(one for one in drawn if scenario.only is None or one.number in scenario.only)


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

    first = number - 1 if number % CONTENDS == CONTENDS - 1 else number
    pair = chance.fork(f"study {first} parties")
    network = first % len(plan.networks)
    centre = pair.pick(plan.networks[network])
    reach = nx.single_source_shortest_path_length(plan.graph, centre, cutoff=REACH)
    near = sorted(reach)
    # a study that a frozen member proposes reaches nobody, and so never ends
    asker = min(set(plan.honest(network)), key=lambda node: (reach.get(node, REACH + 1), node))
    names = {node: member_name(node) for node in near}
    own = chance.fork(f"study {number}")
    return draw_errand(number, network, asker, near, names, plan.end_us, own, pair)
