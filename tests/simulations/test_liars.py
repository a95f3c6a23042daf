"""Members that lie are proved to, frozen by all honest ones, and believed nothing."""

import pytest

from simulations.goals import missing
from simulations.liars import DEEDS
from simulations.plan import draw_plan
from simulations.report import make_report
from simulations.run import run
from simulations.scenario import Scenario
from simulations.topologies import TOPOLOGIES
from simulations.world import make_world


def silent(world):
    pass


def planned(nodes, seed, topology, liars, studies=3, minutes=4, faults=()):
    return draw_plan(Scenario(nodes, seed, topology, minutes, studies, faults, liars, None))


@pytest.mark.parametrize("topology", sorted(TOPOLOGIES))
def test_every_fork_is_proved_everywhere_and_honest_records_are_alike(topology):
    done = run(planned(12, 3, topology, 2, faults=None), silent)
    assert done.broken is None, done.broken
    world = done.world
    for name in DEEDS:
        assert world.happened[f"lie: {name}"]
    liars = {world.nodes[node].name for node in world.plan.liars}
    honest = [node for node in world.nodes if node.name not in liars]
    for node in honest:
        assert set(node.core.feeds.forks) == liars
    for author in honest:
        assert len({node.store.head(author.name) for node in honest}) == 1
    assert make_report(done)["plan"]["liars"] == list(world.plan.liars)


def test_a_study_with_a_liar_ends_at_every_honest_party_by_the_liars_name():
    """A steward who never looks keeps the study open until the fork is proved."""
    for seed in range(20):
        plan = planned(6, seed, "ring", 2, studies=12, minutes=5)
        liars = {f"n{node:04d}" for node in plan.liars}
        done = run(plan, silent)
        assert done.broken is None, f"seed {seed}: {done.broken}"
        found = [
            study["ended"]
            for study in make_report(done)["studies"]
            if liars & set(study["parties"]) and study["ended"] is not None
        ]
        if any(end["code"] == 403 and end["waited_for"] in liars for end in found):
            return
    pytest.fail("no seed has a study that a fork ended")


def test_a_fork_that_only_some_know_has_not_finished():
    world = make_world(planned(6, 1, "ring", 1, studies=0))
    while not world.forkers:
        world.step()
    while missing(world)[0] != "every_fork_is_proved":
        world.step()  # until everything else is in place
    assert world.nodes[world.plan.liars[0]].name in missing(world)[1]


def test_forged_and_foreign_addresses_and_claims_change_no_honest_book():
    done = run(planned(8, 2, "small-world", 1), silent)
    assert done.broken is None, done.broken
    assert done.world.checkers.counts["no_address_that_nobody_gave"] > 0
    liar = done.world.nodes[done.world.plan.liars[0]]
    for node in done.world.nodes:
        for name, record in node.core.book.records.items():
            assert record.network == node.core.feeds.roster.network
            assert name == liar.name or record.address != liar.address
