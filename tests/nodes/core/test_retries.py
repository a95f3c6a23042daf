"""Attempts: another follows what may be chance, on the same inputs with fresh keys."""

import importlib.util
import pathlib
import random

import pytest

from nodes.core.effects import (
    DatasetAdded,
    Gone,
    LinkLost,
    LinkMade,
    Received,
    SessionEnded,
    SessionPaused,
    SessionStopped,
    StartSession,
    StopSession,
    TimerFired,
)
from nodes.people.bundle import export_bundle
from p2pmpc.messages import End, Entries
from p2pmpc.record import ATTEMPTS_MAX, GAVE_WAY, Ended, Ready
from p2pmpc.verify import verify_bundle

spec = importlib.util.spec_from_file_location(
    "core_stage", pathlib.Path(__file__).with_name("stage.py")
)
scenes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scenes)
propose = scenes.scene.propose

NAMES = ("east", "north", "south")


@pytest.fixture
def stage(tmp_path, study):
    made = scenes.make_stage(tmp_path)
    propose(made, "north", study)
    made.deliver()
    yield made
    scenes.close(made)


def session_of(stage, study, name="north"):
    return stage.cores[name].cases[study.id].session


def fail(stage, study, code=402, waited_for="south", name="north"):
    stage.handle(
        name, SessionStopped(session_of(stage, study, name), code, "not heard", waited_for, "")
    )
    stage.deliver()


@pytest.mark.parametrize("code", [401, 402, 102])
def test_what_may_be_chance_is_tried_again_with_fresh_keys_and_answers(stage, study, code):
    first = session_of(stage, study)
    keys = {name: stage.contents(name, "ready")[0].key for name in NAMES}
    fail(stage, study, code)
    assert set(stage.states(study).values()) == {"agreed"}
    assert all(stage.effects(name, StopSession) for name in NAMES)
    assert stage.ring("retry:")
    stage.deliver()
    assert set(stage.states(study).values()) == {"computing"}  # one has rested: so have all
    assert session_of(stage, study) not in {first, b""}
    for name in NAMES:
        one, two = stage.contents(name, "ready")
        assert (one.attempt, two.attempt) == (1, 2)
        assert one.key == keys[name] != two.key
        assert (one.snapshot, one.consents, one.program) == (
            two.snapshot, two.consents, two.program,
        )  # fmt: skip
    stage.settle(random.Random(1))
    assert set(stage.states(study).values()) == {"answered"}


@pytest.mark.parametrize("code", [403, 404, 303, 405, 501, 101])
def test_what_would_come_again_ends_the_study(stage, study, code):
    fail(stage, study, code)
    assert set(stage.states(study).values()) == {"failed"}
    assert {note.attempt for name in NAMES for note in stage.contents(name, "ended")} == {0}


def test_the_last_attempt_ends_the_study_and_names_who_was_waited_for_in_each(stage, study):
    for waited_for in ("south", "east", "south"):
        fail(stage, study, 402, waited_for)
        stage.ring("retry:")
        stage.deliver()
    assert set(stage.states(study).values()) == {"failed"}
    ended = stage.cores["north"].cases[study.id].ended
    assert ended.code == 402
    assert ended.waited_for == "south"
    assert "attempt 1 waited for south, attempt 2 waited for east" in ended.why
    assert [note.attempt for note in stage.contents("north", "ended")] == [1, 2, 0]
    assert not stage.movable()


def test_the_rest_grows_and_is_drawn(stage, study):
    found = []
    for _ in range(2):
        fail(stage, study)
        found.append([stage.rings[name][f"retry:{study.id}"] for name in NAMES])
        stage.ring("retry:")
        stage.deliver()
    assert all(2 <= after_s <= 4 for after_s in found[0])
    assert all(4 <= after_s <= 8 for after_s in found[1])


def test_a_rehearsal_tries_once(tmp_path, study):
    stage = scenes.make_stage(tmp_path, attempts=1)
    propose(stage, "north", study)
    stage.deliver()
    fail(stage, study)
    assert set(stage.states(study).values()) == {"failed"}
    assert stage.cores["north"].cases[study.id].ended.why == "not heard"
    scenes.close(stage)


def test_an_attempt_is_over_once_even_if_two_parties_say_so_at_a_time(stage, study):
    session = session_of(stage, study)
    for name, missed in (("north", "south"), ("east", "south"), ("south", "east")):
        stage.handle(name, SessionStopped(session, 402, "not heard", missed, ""))
    stage.deliver()
    for name in NAMES:
        case = stage.cores[name].cases[study.id]
        assert (case.due, case.state, len(case.over)) == (2, "agreed", 1)
    stage.settle(random.Random(1))
    assert set(stage.states(study).values()) == {"answered"}


def test_nothing_of_an_earlier_session_counts_in_a_later_one(stage, study):
    old = session_of(stage, study)
    fail(stage, study)
    stage.ring("retry:")
    stage.deliver()
    for event in (
        SessionStopped(old, 402, "late", "east", ""),
        SessionEnded(old, bytes(32), True),
        SessionPaused(old, "checked", {"transcript": bytes(32)}),
        Received("south", End(old, 402, "late", "east")),
    ):
        stage.handle("north", event)
    stage.handle("north", Received("south", Entries((ended(stage, study, 1, 402),))))
    assert stage.states(study)["north"] == "computing"
    assert len(stage.contents("north", "ended")) == 1


def ended(stage, study, attempt, code, author="south"):
    note = Ended(study.id, attempt, code, "because", "east")
    signed, body, _ = stage.cores[author].feeds.write("ended", note, 1)
    stage.stores[author].append([(signed, body)])
    return signed, body


def test_no_attempt_is_skipped(stage, study):
    """Neither a `ready` nor an end counts for an attempt that has not begun."""
    ready = stage.contents("south", "ready")[0]
    later = Ready(
        study.id, 5, ready.epoch, ready.consents, ready.snapshot, bytes(32), ready.program
    )
    signed, body, _ = stage.cores["south"].feeds.write("ready", later, 1)
    stage.stores["south"].append([(signed, body)])
    for filed in ((signed, body), ended(stage, study, 4, 402)):
        stage.handle("north", Received("south", Entries((filed,))))
    case = stage.cores["north"].cases[study.id]
    assert (case.state, case.due, case.over) == ("computing", 1, {})
    assert len(case.early) == 2  # until that attempt begins


def test_who_was_not_ready_ends_no_attempt(tmp_path, study):
    stage = scenes.make_stage(tmp_path)
    propose(stage, "north", study)
    stage.deliver(lose=lambda item: item[0] == "south" and is_ready(item[2]))
    assert stage.states(study)["north"] == "ready"
    signed, body = ended(stage, study, 1, 402)
    stage.mail.clear()
    stage.handle("north", Received("east", Entries(((signed, body),))))
    assert stage.states(study)["north"] == "ready"
    scenes.close(stage)


def is_ready(message):
    entries = getattr(message, "entries", ())
    return any(signed.read().kind == "ready" for signed, _ in entries)


def test_an_end_that_nobody_is_at_fault_for_is_not_counted(stage, study):
    for number in range(1, 6):
        stage.handle("north", Received("south", End(session_of(stage, study), GAVE_WAY, "", "")))
        stage.settle(random.Random(number), rest=False) if number == 5 else stage.deliver()
    assert stage.cores["north"].cases[study.id].state in {"answered", "computing"}
    case = stage.cores["north"].cases[study.id]
    assert {note.code for note in case.over.values()} == {GAVE_WAY}
    assert len(case.over) == 5


def test_rows_that_changed_since_the_first_attempt_end_the_study_by_name(stage, study):
    fail(stage, study)
    stage.handle("east", DatasetAdded(scenes.scene.dictionary(), b"\x07" * 32))
    stage.ring("retry:")
    stage.deliver()
    assert set(stage.states(study).values()) == {"failed"}
    case = stage.cores["east"].cases[study.id]
    assert case.ended.code == 303
    assert "the data of east changed" in case.ended.why
    assert "the data of east changed" in stage.cores["south"].cases[study.id].ended.why


def test_a_liar_with_other_rows_in_its_second_attempt_ends_the_study_by_name(stage, study):
    fail(stage, study)
    ready = stage.contents("south", "ready")[0]
    other = Ready(study.id, 2, ready.epoch, ready.consents, bytes(32), b"\x01" * 32, ready.program)
    signed, body, _ = stage.cores["south"].feeds.write("ready", other, 1)
    stage.handle("north", Received("south", Entries(((signed, body),))))
    ended_here = stage.cores["north"].cases[study.id].ended
    assert (ended_here.code, ended_here.waited_for) == (303, "south")


def test_a_member_that_is_gone_before_the_session_costs_an_attempt(tmp_path, study):
    stage = scenes.make_stage(tmp_path)
    propose(stage, "north", study)
    stage.deliver(lose=lambda item: item[0] == "south" and is_ready(item[2]))
    stage.handle("north", Gone(study.id, "south", "south: not heard for 20 s"))
    case = stage.cores["north"].cases[study.id]
    assert (case.state, case.resting) == ("agreed", True)
    stage.handle("north", Gone(study.id, "south", "south: not heard for 20 s"))
    assert (case.state, len(case.over)) == ("agreed", 1)  # while it rests nobody is needed
    scenes.close(stage)


def test_an_attempt_after_which_a_share_may_have_left_is_the_last(stage, study):
    for _ in range(6):
        stage.advance(*stage.movable()[0])
        stage.deliver()
    assert set(stage.states(study).values()) == {"opening"}
    fail(stage, study)
    assert set(stage.states(study).values()) == {"failed"}
    assert stage.contents("north", "ended")[0].attempt == 0


def test_no_attempt_follows_once_the_proposal_has_expired(stage, study):
    stage.now_ms += 15 * 86_400_000
    fail(stage, study)
    assert set(stage.states(study).values()) == {"failed"}


def test_attempts_are_numbered_up_to_a_limit(stage, study):
    fail(stage, study)
    case = stage.cores["north"].cases[study.id]
    case.due = ATTEMPTS_MAX + 1
    stage.handle("north", TimerFired(f"retry:{study.id}"))
    assert case.state == "failed"
    assert str(ATTEMPTS_MAX) in case.ended.why


def test_a_process_that_died_ends_its_attempt_by_name_and_the_next_one_follows(stage, study):
    stage.restart("east")
    (note,) = stage.contents("east", "ended")
    assert (note.attempt, note.waited_for) == (1, "east")
    assert "started again during the run" in note.why
    stage.settle(random.Random(3))
    assert set(stage.states(study).values()) == {"answered"}
    assert [note.attempt for note in stage.contents("east", "ready")] == [1, 2]
    starts = [effect.order.session for effect in stage.effects("north", StartSession)]
    assert len(set(starts)) == 2


@pytest.mark.parametrize("seed", range(10))
def test_a_study_ends_at_all_parties_whoever_dies_and_whenever(tmp_path, seed):
    """Two deaths at drawn moments: answered, or failed by name where a share may have left."""
    coins = random.Random(seed)
    stage = scenes.make_stage(tmp_path, (*NAMES, "west"), sessions=1)
    studies = [
        scenes.study_among(members, f"Study {number}")
        for number, members in enumerate((NAMES, ("east", "west"), ("north", "south", "west")))
    ]
    for one in studies:
        propose(stage, coins.choice(NAMES), one)
    for _ in range(2):
        for _ in range(coins.randrange(60)):
            step(stage, coins)
        stage.restart(coins.choice((*NAMES, "west")))
    for _ in range(4):
        for name in stage.cores:
            stage.handle(name, TimerFired("gossip"))
        stage.settle(coins)
    for one in studies:
        states = set(stage.states(one).values())
        assert states <= {"answered", "failed"}, f"seed {seed}: {states}"
        if "failed" in states:
            held = [n for n in one.parties if "released" in stage.kinds(n)]
            assert held, f"seed {seed}: failed, though nobody could have opened"
    core = stage.cores["north"]
    data = export_bundle(core.feeds, stage.stores["north"], core.signer, (), stage.now_ms)
    report = verify_bundle(data)
    assert report.ok, f"seed {seed}: {report.faults}"  # whatever died, nobody signed a fault
    scenes.close(stage)


def step(stage, coins):
    moves = stage.movable()
    choice = len(stage.mail) + len(moves)
    if not choice:
        stage.ring("retry:")
        return
    drawn = coins.randrange(choice)
    if drawn < len(stage.mail):
        sender, receiver, message = stage.mail.pop(drawn)
        stage.handle(receiver, Received(sender, message))
    else:
        stage.advance(*moves[drawn - len(stage.mail)])


def test_after_a_failed_attempt_the_next_waits_until_the_absent_party_is_linked(stage, study):
    for name, peer in (("north", "south"), ("south", "north"), ("east", "south")):
        stage.handle(name, LinkLost(peer, "its machine starts again"))
    fail(stage, study, 402, "south")
    assert stage.ring("retry:")
    stage.deliver()
    assert stage.states(study)["north"] == "agreed"
    assert len(stage.contents("north", "ready")) == 1
    for name, peer in (("east", "south"), ("north", "south"), ("south", "north")):
        stage.handle(name, LinkMade(peer))
    stage.deliver()
    assert set(stage.states(study).values()) == {"computing"}
    assert [note.attempt for note in stage.contents("north", "ready")] == [1, 2]
