"""A proposal that is taken back, and a consent that is: until a share may have left."""

import importlib.util
import pathlib
import random

import pytest

from nodes.core.effects import Emit, Received, RevokeAsked, StopSession, WithdrawAsked
from p2pmpc.errors import NotFound, Refused, WrongUsage
from p2pmpc.messages import End, Entries
from p2pmpc.record import Revocation, Withdrawal

spec = importlib.util.spec_from_file_location(
    "core_stage", pathlib.Path(__file__).with_name("stage.py")
)
scenes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scenes)
propose = scenes.scene.propose

NAMES = ("east", "north", "south")


@pytest.fixture
def stage(tmp_path, study):
    """West, which is no party, has proposed; the session runs."""
    made = scenes.make_stage(tmp_path, (*NAMES, "west"))
    propose(made, "west", study)
    made.deliver()
    assert set(made.states(study).values()) == {"computing"}
    yield made
    scenes.close(made)


def reach(stage, stage_name, names=NAMES):
    """Bring the session at these members to a stage."""
    (session,) = stage.seats
    for name in names:
        while stage.seats[session].get(name) not in {stage_name, None}:
            moves = stage.movable()
            stage.advance(
                *next(m for m in moves if m[1] == name) if (session, name) in moves else moves[0]
            )
            stage.deliver()


def test_a_study_is_withdrawn_by_who_proposed_it_and_its_run_ends_everywhere(stage, study):
    stage.handle("west", WithdrawAsked(study.id, "the second cohort is missing"))
    stage.deliver()
    assert set(stage.states(study).values()) == {"withdrawn"}
    assert stage.cores["west"].cases[study.id].state == "withdrawn"
    for name in NAMES:
        assert stage.effects(name, StopSession)
        case = stage.cores[name].cases[study.id]
        assert (case.ended.code, case.ended.waited_for) == (306, "west")
        assert case.ended.why == "west took the study back: the second cohort is missing"
        (ended,) = stage.contents(name, "ended")
        assert (ended.attempt, ended.code) == (0, 306)
    assert not stage.movable()
    assert "ended" not in stage.kinds("west")


def test_a_consent_is_revoked_and_the_run_ends_everywhere(stage, study):
    stage.handle("south", RevokeAsked(study.id, "a patient objected"))
    stage.deliver()
    assert set(stage.states(study).values()) == {"revoked"}
    assert stage.cores["west"].cases[study.id].state == "revoked"
    case = stage.cores["north"].cases[study.id]
    assert (case.ended.code, case.ended.waited_for) == (307, "south")
    assert case.ended.why == "south took its consent back: a patient objected"
    assert not stage.movable()


def test_a_consent_is_revoked_before_the_others_have_decided(tmp_path, study):
    stage = scenes.make_stage(tmp_path)
    propose(stage, "north", study)
    stage.handle("north", RevokeAsked(study.id, "too early"))
    stage.deliver()
    assert set(stage.states(study).values()) == {"revoked"}
    scenes.close(stage)


def test_a_member_revokes_until_its_own_share_may_have_left(stage, study):
    reach(stage, "sealing", ("east", "north"))
    stage.mail.clear()
    stage.handle("south", RevokeAsked(study.id, "a patient objected"))
    stage.settle(random.Random(1))
    assert set(stage.states(study).values()) == {"revoked"}
    assert all("released" not in stage.kinds(name) for name in NAMES)


def test_a_revocation_ends_also_what_opens_elsewhere(stage, study):
    """East and north hold the certificate; south's copy of north's release is on its way."""
    (session,) = stage.seats
    for _ in range(3):
        stage.advance(*stage.movable()[0])
    stage.deliver()
    for _ in range(3):
        stage.advance(*next(m for m in stage.movable()))
    stage.deliver(lose=lambda item: item[1] == "south")
    assert stage.states(study) == {"east": "opening", "north": "opening", "south": "releasing"}
    stage.handle("south", RevokeAsked(study.id, "a patient objected"))
    stage.deliver()
    assert set(stage.states(study).values()) == {"revoked"}
    assert session in stage.seats
    assert "answered" not in [kind for name in NAMES for kind in stage.kinds(name)]


def test_a_withdrawal_that_comes_too_late_for_some_leaves_nobody_waiting(stage, study):
    """East and north open, south and the proposer do not know it yet."""
    for _ in range(3):
        stage.advance(*stage.movable()[0])
    stage.deliver()
    for _ in range(3):
        stage.advance(*next(m for m in stage.movable()))
    stage.deliver(lose=lambda item: item[1] in {"south", "west"})
    assert stage.states(study) == {"east": "opening", "north": "opening", "south": "releasing"}
    stage.handle("west", WithdrawAsked(study.id, "the second cohort is missing"))
    stage.deliver()
    assert stage.states(study) == {"east": "failed", "north": "failed", "south": "withdrawn"}
    assert "answered" not in [kind for name in NAMES for kind in stage.kinds(name)]


def test_nothing_is_taken_back_once_a_share_may_have_left(stage, study):
    reach(stage, "certified")
    assert set(stage.states(study).values()) == {"opening"}
    with pytest.raises(Refused, match="may have left"):
        stage.handle("south", RevokeAsked(study.id, "too late"))
    with pytest.raises(Refused, match="may have left"):
        stage.handle("west", WithdrawAsked(study.id, "too late"))
    stage.settle(random.Random(1))
    assert set(stage.states(study).values()) == {"answered"}
    with pytest.raises(Refused, match="it has ended"):
        stage.handle("south", RevokeAsked(study.id, "too late"))


@pytest.mark.parametrize(
    ("name", "event", "fault", "said"),
    [
        ("west", RevokeAsked, Refused, "west has not consented"),
        ("south", WithdrawAsked, Refused, "proposed through west"),
    ],
)
def test_only_who_may_takes_something_back(stage, study, name, event, fault, said):
    with pytest.raises(fault, match=said):
        stage.handle(name, event(study.id, "because"))
    with pytest.raises(WrongUsage, match="no reason"):
        stage.handle("west", WithdrawAsked(study.id, " "))
    with pytest.raises(NotFound):
        stage.handle(name, event("ab" * 32, "because"))
    assert set(stage.states(study).values()) == {"computing"}


@pytest.mark.parametrize(
    ("author", "kind", "content", "said"),
    [
        ("south", "withdrawal", Withdrawal, "a study that it had not proposed"),
        ("west", "revocation", Revocation, "a consent that it had not given"),
    ],
)
def test_what_the_wrong_member_takes_back_means_nothing(stage, study, author, kind, content, said):
    feeds = stage.cores[author].feeds
    signed, body, _ = feeds.write(kind, content(study.id, "because"), 1)
    stage.stores[author].append([(signed, body)])
    for name in NAMES:
        if name != author:
            stage.handle(name, Received(author, Entries(((signed, body),))))
            told = [e.text for e in stage.effects(name, Emit) if e.event == "entry refused"]
            assert said in told[-1]
    assert set(stage.states(study).values()) == {"computing"}


@pytest.mark.parametrize("code", [306, 307, 406])
def test_nobody_withdraws_or_revokes_for_another_by_a_message(stage, study, code):
    (session,) = stage.seats
    stage.handle("north", Received("south", End(session, code, "a lie", "east")))
    assert stage.states(study)["north"] == "computing"
