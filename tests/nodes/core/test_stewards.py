"""A person decides: on exactly one study, once, with a reason, and never against the rules."""

import importlib.util
import pathlib

import pytest

from nodes.core.effects import Decided, Emit, PolicySet
from nodes.people.sheet import asks_me, line
from p2pmpc.errors import BadData, NotFound, Refused, WrongUsage
from p2pmpc.policy import Policy, Rules
from p2pmpc.record import TEXT_CHARS_MAX

spec = importlib.util.spec_from_file_location(
    "core_stage", pathlib.Path(__file__).with_name("stage.py")
)
scenes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scenes)
propose = scenes.scene.propose

ASK = Policy(Rules(decide="ask", minimum_members=2))


@pytest.fixture
def stage(tmp_path, study):
    """East asks a steward; north has proposed, and the others have consented."""
    made = scenes.make_stage(tmp_path)
    made.handle("east", PolicySet(ASK))
    propose(made, "north", study)
    made.deliver()
    yield made
    scenes.close(made)


def awaited(core):
    """The studies that a steward of this member is asked about."""
    return [study for study, case in sorted(core.cases.items()) if asks_me(core, case)]


def decide(stage, study, approve=True, why="it serves the patients", hashed=None):
    stage.handle("east", Decided(study.id, hashed or study.hash, approve, why))


def test_what_waits_for_a_steward_is_listed_until_it_is_decided(stage, study):
    core = stage.cores["east"]
    assert awaited(core) == [study.id]
    assert awaited(stage.cores["north"]) == []
    decide(stage, study)
    assert awaited(core) == []


def test_of_members_that_are_not_ready_those_that_are_away_are_waited_for(stage, study):
    decide(stage, study)
    core = stage.cores["east"]
    case = core.cases[study.id]
    assert case.state in {"agreed", "ready"}
    late = line(core, case, ())["waits_for"]
    assert {"north", "south"} <= set(late)
    core.up.discard("south")
    assert line(core, case, ())["waits_for"] == ["south"]


def test_an_approval_goes_on_record_with_its_reason_and_the_study_begins(stage, study):
    decide(stage, study, why="  it serves the patients ")
    (consent,) = stage.contents("east", "consent")
    assert consent.reason == "it serves the patients"
    stage.deliver()
    assert set(stage.states(study).values()) == {"computing"}
    assert stage.cores["south"].cases[study.id].words["east"].reason == consent.reason


def test_a_no_ends_the_study_for_all_with_its_reason(stage, study):
    decide(stage, study, approve=False, why="not in this year")
    (refusal,) = stage.contents("east", "refusal")
    assert (refusal.code, refusal.reason) == (301, "not in this year")
    stage.deliver()
    assert set(stage.states(study).values()) == {"refused"}
    told = [e.error for e in stage.effects("south", Emit) if e.event == "refused"]
    assert told[0]["message"] == "not in this year"
    assert told[0]["where"] == {"member": "east"}


@pytest.mark.parametrize(
    ("changes", "fault", "said"),
    [
        ({"hashed": bytes(32)}, WrongUsage, "a steward's decision on another hash"),
        ({"why": " \n"}, WrongUsage, "no reason"),
        ({"why": "x" * (TEXT_CHARS_MAX + 1)}, WrongUsage, "longer than"),
    ],
)
def test_a_decision_that_cannot_stand_is_refused_by_name_and_changes_nothing(
    stage, study, changes, fault, said
):
    before = stage.kinds("east")
    with pytest.raises(fault, match=said):
        decide(stage, study, **changes)
    assert stage.kinds("east") == before
    assert awaited(stage.cores["east"]) == [study.id]


def test_a_study_that_nobody_proposed_is_not_decided(stage):
    with pytest.raises(NotFound, match="not known here"):
        stage.handle("east", Decided("ab" * 32, bytes(32), True, "yes"))


def test_a_study_is_decided_once(stage, study):
    decide(stage, study)
    with pytest.raises(Refused, match="east has approved it") as fault:
        decide(stage, study, approve=False)
    assert "revoke" in fault.value.next
    assert stage.kinds("east").count("consent") == 1
    assert "refusal" not in stage.kinds("east")


def test_a_study_that_has_ended_is_not_decided(stage, study):
    decide(stage, study, approve=False, why="no")
    with pytest.raises(Refused, match="it is refused"):
        decide(stage, study)


def test_a_member_that_takes_no_part_decides_nothing(tmp_path, stage):
    other = scenes.study_among(("east", "north"))
    propose(stage, "north", other)
    stage.deliver()
    with pytest.raises(Refused, match="south takes no part"):
        stage.handle("south", Decided(other.id, other.hash, True, "yes"))


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (Rules(decide="refuse"), "refuses every study"),
        (Rules(decide="approve", kinds=("describe",)), "the kind count is not allowed"),
    ],
)
def test_no_steward_approves_what_the_rules_forbid(stage, study, rules, said):
    stage.handle("east", PolicySet(Policy(rules)))
    with pytest.raises(Refused, match=said) as fault:
        decide(stage, study)
    assert fault.value.where == {"member": "east"}
    assert "consent" not in stage.kinds("east")
    decide(stage, study, approve=False, why="the rules forbid it")
    assert stage.cores["east"].cases[study.id].state == "refused"


def test_no_steward_approves_what_cannot_run_on_the_rows_that_are_there(stage, study):
    stage.cores["east"].unusable = {"lung": "its rows changed"}
    with pytest.raises(BadData, match="cannot use its data set 'lung' now: its rows changed"):
        decide(stage, study)
    assert "consent" not in stage.kinds("east")


def test_no_steward_approves_data_that_is_not_described_yet(stage):
    text = scenes.scene.STUDY.replace('dataset = "lung"', 'dataset = "heart"')
    unknown = scenes.parse_study(text, "study.toml")
    propose(stage, "north", unknown)
    stage.deliver()
    with pytest.raises(Refused, match="not all its members have described"):
        decide(stage, unknown)


def test_a_question_that_was_open_is_asked_again_after_a_restart(stage, study):
    stage.restart("east")
    assert awaited(stage.cores["east"]) == [study.id]
    decide(stage, study)
    stage.deliver()
    assert stage.kinds("east").count("consent") == 1
    assert stage.cores["east"].cases[study.id].state == "computing"
