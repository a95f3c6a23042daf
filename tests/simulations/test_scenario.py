"""What is asked of a simulation is bounded, and can be asked again by its own line."""

import pytest

from p2pmpc.errors import WrongUsage
from simulations.faults import FAULTS_MAX
from simulations.plan import draw_plan
from simulations.scenario import (
    LIARS_MAX,
    MINUTES_MAX,
    NODES_MAX,
    SEED_MAX,
    STUDIES_MAX,
    Scenario,
    parse_faults,
    parse_numbers,
)


def scenario(**given):
    fields = {
        "nodes": 8,
        "seed": 1,
        "topology": "ring",
        "minutes": 2.0,
        "studies": 2,
        "faults": None,
        "liars": 0,
        "only": None,
    }
    return Scenario(**{**fields, **given})


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("--nodes", {"nodes": 1}),
        ("--nodes", {"nodes": NODES_MAX + 1}),
        ("--minutes", {"minutes": MINUTES_MAX + 1}),
        ("--studies", {"studies": STUDIES_MAX + 1}),
        ("--seed", {"seed": -1}),
        ("--seed", {"seed": SEED_MAX + 1}),
        ("--liars", {"nodes": 200, "liars": LIARS_MAX + 1}),
        ("--liars", {"nodes": 4, "liars": 3}),
        ("--topology", {"topology": "star"}),
    ],
)
def test_a_number_out_of_bounds_is_refused_by_its_field(field, given):
    with pytest.raises(WrongUsage) as fault:
        scenario(**given)
    assert fault.value.where["field"] == field


@pytest.mark.parametrize("text", ["fire", "crash=", "crash=x", "crash=-1", f"cut={FAULTS_MAX + 1}"])
def test_faults_that_do_not_exist_are_refused(text):
    with pytest.raises(WrongUsage, match="--faults"):
        parse_faults(text)


def test_faults_are_drawn_none_or_as_many_as_asked_for():
    assert parse_faults("drawn") is None
    assert parse_faults("none") == ()
    plan = draw_plan(scenario(faults=parse_faults("loss,crash=3"), nodes=20))
    kinds = [fault.kind for fault in plan.faults]
    assert kinds.count("crash") == 3
    assert kinds.count("loss") >= 1
    assert set(kinds) == {"crash", "loss"}


def test_only_some_of_the_drawn_faults_happen():
    drawn = draw_plan(scenario(faults=parse_faults("crash=5,cut=5"))).faults
    some = draw_plan(scenario(faults=parse_faults("crash=5,cut=5"), only=(2, 7))).faults
    assert some == (drawn[2], drawn[7])
    assert parse_numbers("7, 2,2") == (2, 7)
    assert parse_numbers("none") == ()
    assert parse_numbers("") is None
    with pytest.raises(WrongUsage, match="--only"):
        parse_numbers("1;2")


def test_its_command_asks_for_the_same_run_again():
    asked = scenario(nodes=30, liars=2, faults=(("crash", 4), ("loss", -1)), only=(0, 3))
    assert asked.command == (
        "p2pmpc sim run --nodes 30 --seed 1 --topology ring --minutes 2 --studies 2 "
        "--liars 2 --faults crash=4,loss --only 0,3"
    )
    words = asked.command.split()
    again = parse_faults(words[words.index("--faults") + 1])
    assert again == asked.faults
    assert scenario(only=()).command.endswith("--only none")


def test_a_liar_does_not_crash_and_asks_for_no_study():
    plan = draw_plan(scenario(nodes=12, liars=6, faults=(("crash", 40),), studies=30))
    crashed = {node for fault in plan.faults for node in fault.nodes}
    assert len(plan.liars) == 6
    assert crashed
    assert not crashed & set(plan.liars)
    assert not {errand.node for errand in plan.errands} & set(plan.liars)
