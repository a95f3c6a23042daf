"""Proposals expire by the names of the undecided, whatever the clocks say; floods are refused."""

import importlib.util
import pathlib
import random

import pytest

from nodes.core import proposals
from nodes.core.effects import Decided, Emit, PolicySet, Proposed, Received, TimerFired
from nodes.core.ending import SKEW_MS
from nodes.core.proposals import OPEN_PROPOSALS_MAX
from p2pmpc.errors import Refused, WrongUsage
from p2pmpc.messages import Entries
from p2pmpc.policy import Policy, Rules
from p2pmpc.record import LIFETIME_MS_MAX, Ended, StudyNote, author_entry

spec = importlib.util.spec_from_file_location(
    "core_stage", pathlib.Path(__file__).with_name("stage.py")
)
scenes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scenes)

ASK = Policy(Rules(decide="ask", minimum_members=2))
DAY_MS = 86_400_000


@pytest.fixture
def stage(tmp_path):
    made = scenes.make_stage(tmp_path, ("east", "north", "south", "west"))
    made.handle("east", PolicySet(ASK))
    yield made
    scenes.close(made)


def propose(stage, name, study, expires_ms=0):
    signer = stage.signers[name]
    network = stage.cores[name].feeds.roster.network
    signature = signer.sign(network, "study", study.hash)
    stage.handle(name, Proposed(study.to_bytes(), signer.public, signature, expires_ms))


def expire(stage, name, study):
    stage.handle(name, TimerFired(f"expire:{study.id}"))


def test_a_member_that_never_decides_is_named_when_the_study_expires(stage, study):
    propose(stage, "north", study)
    stage.deliver()
    assert stage.timers("south")[f"expire:{study.id}"] == pytest.approx(14 * 86400, abs=1)
    stage.now_ms += 14 * DAY_MS + 1000
    expire(stage, "north", study)
    stage.deliver()
    assert set(stage.states(study).values()) == {"expired"}
    (ended,) = stage.contents("north", "ended")
    assert (ended.attempt, ended.code, ended.waited_for) == (0, 406, "east")
    assert ended.why == "east did not decide before the proposal expired"
    (told,) = [e.error for e in stage.effects("north", Emit) if e.event == "ended"]
    assert (told["code"], told["where"]) == (406, {"member": "east"})
    assert stage.cores["west"].cases[study.id].state == "expired"  # it takes no part, and knows
    assert "ended" not in stage.kinds("west")


def test_a_study_that_is_decided_in_time_does_not_expire(stage, study):
    stage.handle("east", PolicySet(stage.cores["north"].policy))
    propose(stage, "north", study, stage.now_ms + 5_000)
    stage.deliver()
    stage.now_ms += 10_000
    for name in stage.cores:
        expire(stage, name, study)
    stage.settle(random.Random(1))
    assert set(stage.states(study).values()) == {"answered"}
    assert stage.cores["west"].cases[study.id].state == "answered"


def test_an_agreed_study_that_got_no_place_in_time_expires(stage, study):
    stage.handle("east", PolicySet(stage.cores["north"].policy))
    stage.tune(sessions=1)
    first = scenes.study_among(("east", "north", "south"), "First")
    propose(stage, "north", first)
    stage.deliver()
    propose(stage, "north", study, stage.now_ms + 5_000)
    stage.deliver()
    assert set(stage.states(study).values()) == {"agreed"}
    stage.now_ms += 10_000
    expire(stage, "south", study)
    stage.deliver()
    assert set(stage.states(study).values()) == {"expired"}
    assert "before the study could begin" in stage.contents("south", "ended")[0].why
    assert set(stage.states(first).values()) == {"computing"}


def test_nothing_is_decided_any_more_once_it_has_expired(stage, study):
    propose(stage, "north", study, stage.now_ms + 5_000)
    stage.deliver()
    stage.now_ms += 5_000 + SKEW_MS
    with pytest.raises(Refused, match="past its time"):
        stage.handle("east", Decided(study.id, study.hash, True, "yes"))


@pytest.mark.parametrize(
    ("after_ms", "said"), [(0, "passed"), (-5, "passed"), (LIFETIME_MS_MAX + 2, "year")]
)
def test_an_absurd_moment_is_refused_when_it_is_proposed(stage, study, after_ms, said):
    with pytest.raises(WrongUsage, match=said) as fault:
        propose(stage, "north", study, stage.now_ms + 1 + after_ms)
    assert fault.value.where == {"field": "expires_ms"}
    assert "study" not in stage.kinds("north")


@pytest.mark.parametrize("lifetime_ms", [0, -1, LIFETIME_MS_MAX + 1])
def test_an_absurd_moment_by_a_liar_means_nothing_to_anybody(stage, study, lifetime_ms):
    signer, feeds = stage.signers["south"], stage.cores["south"].feeds
    signature = signer.sign(feeds.roster.network, "study", study.hash)
    signed, body = author_entry(
        signer=signer,
        roster=feeds.roster,
        name="south",
        head=feeds.heads["south"],
        kind="study",
        content=StudyNote(study.to_bytes(), signer.public, signature, 50_000 + lifetime_ms),
        heads={a: h for a, h in feeds.heads.items() if a != "south"},
        unix_ms=50_000,
        salt=bytes(16),
    )
    stage.handle("north", Received("south", Entries(((signed, body),))))
    assert study.id not in stage.cores["north"].cases
    told = [e.text for e in stage.effects("north", Emit) if e.event == "entry refused"]
    assert "expires before it begins or in over a year" in told[-1]


def arrive(stage, study, lifetime_ms, ahead_ms):
    """North proposes; east's clock is so far ahead. Until when may east decide, by its clock?"""
    propose(stage, "north", study, stage.now_ms + 1 + lifetime_ms)
    mail, stage.mail = stage.mail, []
    began = stage.now_ms
    stage.now_ms += ahead_ms
    for sender, receiver, message in mail:
        if receiver == "east":
            stage.handle("east", Received(sender, message))
    case = stage.cores["east"].cases[study.id]
    return case, case.due_ms - (began + ahead_ms)


@pytest.mark.parametrize("ahead_ms", [0, SKEW_MS // 2, SKEW_MS - 100, -SKEW_MS // 2, -DAY_MS])
def test_a_clock_that_is_wrong_by_up_to_an_hour_leaves_the_time_that_was_meant(
    stage, study, ahead_ms
):
    stage.now_ms += 10 * DAY_MS
    case, left_ms = arrive(stage, study, 600_000, ahead_ms)
    assert case.state == "proposed"
    assert case.asked
    assert left_ms == pytest.approx(600_000, abs=100)


def test_a_proposal_that_comes_after_its_time_is_taken_and_expires(stage, study):
    case, left_ms = arrive(stage, study, 600_000, 3 * DAY_MS)
    assert (case.state, case.asked) == ("proposed", False)
    assert left_ms < 0
    assert stage.timers("east")[f"expire:{study.id}"] == 0
    expire(stage, "east", study)
    assert case.state == "expired"


def test_a_timer_that_rings_before_its_moment_is_set_again(stage, study):
    propose(stage, "north", study, stage.now_ms + 1 + 60_000)
    stage.deliver()
    expire(stage, "south", study)
    assert stage.states(study)["south"] == "proposed"
    assert stage.timers("south")[f"expire:{study.id}"] == pytest.approx(60, abs=1)


def test_who_takes_no_part_ends_nothing_and_waits_longer(stage, study):
    propose(stage, "north", study, stage.now_ms + 1 + 60_000)
    stage.deliver()
    stage.now_ms += 61_000
    expire(stage, "west", study)
    stage.deliver()
    assert stage.cores["west"].cases[study.id].state == "proposed"
    stage.now_ms += SKEW_MS
    expire(stage, "west", study)
    assert stage.cores["west"].cases[study.id].state == "expired"
    stage.deliver()
    assert set(stage.states(study).values()) == {"proposed"}


def test_a_party_that_calls_a_study_expired_days_early_has_only_ended_it(stage, study):
    propose(stage, "north", study)
    stage.deliver()
    why = "east did not decide before the proposal expired"
    signed, body, _ = stage.cores["south"].feeds.write(
        "ended", Ended(study.id, 0, 406, why, "east"), 1
    )
    stage.handle("north", Received("south", Entries(((signed, body),))))
    case = stage.cores["north"].cases[study.id]
    assert (case.state, case.ended.code) == ("failed", 401)
    assert case.ended.why.startswith("south ended the run")


def test_a_study_that_has_ended_is_not_proposed_again(stage, study):
    propose(stage, "north", study, stage.now_ms + 1 + 1000)
    stage.now_ms += 5000
    expire(stage, "north", study)
    with pytest.raises(Refused, match="proposed before: it is expired"):
        propose(stage, "north", study)


def test_one_member_has_so_many_proposals_open_and_no_more(stage, monkeypatch):
    monkeypatch.setattr(proposals, "OPEN_PROPOSALS_MAX", 3)
    assert OPEN_PROPOSALS_MAX == 1024
    for number in range(3):
        propose(stage, "west", scenes.study_among(("east", "north"), f"Study {number}"))
    with pytest.raises(Refused, match="west has 3 proposals open"):
        propose(stage, "west", scenes.study_among(("east", "north"), "One more"))
    propose(stage, "south", scenes.study_among(("east", "north"), "Another member's"))
    stage.deliver()
    assert len(stage.cores["east"].cases) == 4


def test_a_flood_of_proposals_is_looked_at_up_to_twice_that(stage, monkeypatch):
    for number in range(8):
        propose(stage, "west", scenes.study_among(("east", "north"), f"Study {number}"))
    monkeypatch.setattr(proposals, "OPEN_PROPOSALS_MAX", 3)
    stage.deliver()
    assert len(stage.cores["east"].cases) == 6
    told = [e.text for e in stage.effects("east", Emit) if e.event == "entry refused"]
    assert "too many open proposals" in told[-1]
