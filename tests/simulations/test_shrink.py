"""A failing run becomes small, within a bound, and says how to run it again."""

import pytest

from simulations import shrink as shrinking
from simulations.faults import Fault
from simulations.plan import draw_plan
from simulations.run import Run, run
from simulations.scenario import Scenario
from simulations.shrink import SHRINK_RUNS_MAX, SHRINK_S_MAX, shrink

FOR_EVER = Fault("partition", 1_000_000, 10**12, (0, 1), (), 0.0, "", 0)


def silent(world):
    pass


def still():
    return 0.0


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("simulations.run.PATIENCE_US", 60_000_000)


def failing(*others, nodes=6):
    """A partition that the plan never ends, among faults that have nothing to do with it."""
    plan = draw_plan(Scenario(nodes, 4, "ring", 1, 1, (), 0, None))
    done = run(plan.with_faults((FOR_EVER, *others)), silent)
    assert done.broken is not None
    return done


def loss(number):
    return Fault("loss", number * 1000, number * 1000 + 500, (), ((2, 3),), 0.1, "", number)


def test_the_faults_around_the_cause_fall_away(impatient):
    done = failing(*(loss(number) for number in range(1, 6)))
    fewest = shrink(done, still)
    assert fewest.plan.faults == (FOR_EVER,)
    assert fewest.broken.invariant == done.broken.invariant
    assert fewest.plan.scenario.command.endswith("--faults none --only 0")


def test_a_failure_that_comes_without_faults_is_tried_with_fewer_nodes(impatient, monkeypatch):
    monkeypatch.setattr("simulations.dialling.HANDSHAKE_US", (10**12, 10**12 + 1))
    plan = draw_plan(Scenario(16, 4, "ring", 1, 1, None, 0, None))
    done = run(plan, silent)
    fewest = shrink(done, still)
    assert fewest.plan.nodes == shrinking.NODES_LEAST
    assert fewest.plan.faults == ()
    assert fewest.broken.invariant == done.broken.invariant


def test_shrinking_stops_after_its_limit_of_runs(impatient, monkeypatch):
    done = failing(*(loss(number) for number in range(1, SHRINK_RUNS_MAX + 2)))
    tried = []

    def counted(plan, tell):
        tried.append(plan)
        return Run(plan, done.world, None)

    monkeypatch.setattr(shrinking, "run", counted)
    assert shrink(done, still) is done
    assert len(tried) == SHRINK_RUNS_MAX


def test_shrinking_stops_after_its_limit_of_time(impatient):
    done = failing(loss(1))
    seconds = iter([0.0, *[SHRINK_S_MAX + 1] * 50])
    assert shrink(done, lambda: next(seconds)) is done
