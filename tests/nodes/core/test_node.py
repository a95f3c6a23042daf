"""The core: what members conclude from each other's entries, in whatever order these come."""

import importlib.util
import pathlib
import random

import pytest

from nodes.core.effects import (
    Emit,
    Received,
    ResumeSession,
    SessionEnded,
    SessionPaused,
    SessionStopped,
    StartSession,
    StopSession,
    TimerFired,
)
from nodes.core.feeds import WAITING_MAX
from p2pmpc.errors import P2pmpcError
from p2pmpc.messages import End, Entries, ForkNotice
from p2pmpc.policy import Policy, Rules
from p2pmpc.record import Answered, author_entry, read_content

spec = importlib.util.spec_from_file_location(
    "core_conftest", pathlib.Path(__file__).with_name("conftest.py")
)
scene = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scene)
add_data, propose, make_world = scene.add_data, scene.propose, scene.make_world

NAMES = ("east", "north", "south")


def started(world):
    return {name: world.effects(name, StartSession) for name in world.cores}


def run_to_start(world, study):
    add_data(world)
    world.deliver()
    propose(world, "north", study)
    world.deliver()
    return started(world)["north"][0].order.session


def facts(world, session, **changes):
    found = {
        "transcript": bytes(32),
        "layout": (("n/main", 1),),
        "verdicts": (True,),
        "commitments": {name: bytes([place]) * 32 for place, name in enumerate(NAMES)},
    }
    return found | changes


def pause_all(world, session, kind, changes=None):
    for name in NAMES:
        change = (changes or {}).get(name, {})
        world.handle(name, SessionPaused(session, kind, facts(world, session, **change)))


def kinds(world, name, author):
    filed = world.stores[name].entries(author, 0, 1000)
    return [signed.read().kind for signed, _ in filed]


def test_all_members_start_the_same_session_with_each_others_keys(world, study):
    run_to_start(world, study)
    orders = [starts[0].order for starts in started(world).values()]
    assert len({order.session for order in orders}) == 1
    assert all(len(starts) == 1 for starts in started(world).values())
    public = {name: world.cores[name].make_key_pair for name in NAMES}
    north = next(o for n, s in started(world).items() if n == "north" for o in [s[0].order])
    assert set(north.peer_keys) == {"east", "south"}
    assert all(callable(make) for make in public.values())


@pytest.mark.parametrize("seed", range(12))
def test_the_order_in_which_entries_arrive_changes_nothing(tmp_path, study, seed):
    world = make_world(tmp_path)
    coins = random.Random(seed)
    add_data(world)
    propose(world, "south", study)
    world.deliver(pick=lambda mail: coins.randrange(len(mail)))
    assert {world.state(name, study) for name in NAMES} == {"computing"}
    assert len({starts[0].order.session for starts in started(world).values()}) == 1


@pytest.mark.parametrize("seed", range(6))
def test_what_is_lost_on_the_way_comes_again_with_the_next_frontier(tmp_path, study, seed):
    world = make_world(tmp_path)
    coins = random.Random(seed)
    add_data(world)
    propose(world, "south", study)
    world.deliver(lose=lambda item: coins.random() < 0.4)
    for _ in range(12):
        for name in NAMES:
            world.handle(name, TimerFired("gossip"))
        world.deliver()
    assert {world.state(name, study) for name in NAMES} == {"computing"}


def test_a_study_runs_to_its_answer_and_everybody_holds_every_entry(world, study):
    session = run_to_start(world, study)
    pause_all(world, session, "checked")
    world.deliver()
    assert all(world.effects(name, ResumeSession) for name in NAMES)
    pause_all(world, session, "release")
    world.deliver()
    certified = [world.effects(name, ResumeSession)[-1] for name in NAMES]
    assert len({effect.certificate for effect in certified}) == 1
    assert all(len(effect.signatures) == 3 for effect in certified)
    for name in NAMES:
        world.handle(name, SessionEnded(session, bytes(32), True))
    world.deliver()
    assert {world.state(name, study) for name in NAMES} == {"answered"}
    expected = [
        "genesis",
        "dataset",
        "consent",
        "ready",
        "checked",
        "release",
        "released",
        "answered",
    ]
    for holder in NAMES:
        for author in NAMES:
            found = [kind for kind in kinds(world, holder, author) if kind != "study"]
            assert found == expected


def test_nobody_is_resumed_before_the_last_signature(world, study):
    session = run_to_start(world, study)
    pause_all(world, session, "checked")
    before = {name: len(world.effects(name, ResumeSession)) for name in NAMES}
    for name in ("north", "south"):
        world.handle(name, SessionPaused(session, "release", facts(world, session)))
    world.deliver()
    assert {n: len(world.effects(n, ResumeSession)) for n in NAMES} == before
    world.handle("east", SessionPaused(session, "release", facts(world, session)))
    world.deliver()
    assert all(len(world.effects(n, ResumeSession)) == before[n] + 1 for n in NAMES)


def test_a_certificate_over_other_commitments_is_signed_by_nobody_else(world, study):
    session = run_to_start(world, study)
    pause_all(world, session, "checked")
    other = {"commitments": dict.fromkeys(NAMES, b"\xee" * 32)}
    pause_all(world, session, "release", {"south": other})
    world.deliver()
    assert {world.state(name, study) for name in NAMES} == {"failed"}
    assert "released" not in kinds(world, "north", "north")
    assert all(not effect.certificate for n in NAMES for effect in world.effects(n, ResumeSession))


def test_a_refusal_ends_the_study_for_all_with_its_reason(world, study):
    world.cores["south"].policy = Policy(Rules(decide="refuse"))
    add_data(world)
    propose(world, "north", study)
    world.deliver()
    for name in NAMES:
        case = world.cores[name].cases[study.id]
        assert case.state == "refused"
        assert "refuses every study" in case.ended.why
    assert not any(started(world).values())


def test_a_kind_that_a_policy_does_not_list_is_refused_with_what_would_pass(world, study):
    world.cores["east"].policy = Policy(Rules(decide="approve", kinds=("describe",)))
    add_data(world)
    propose(world, "north", study)
    world.deliver()
    errors = [e.error for e in world.effects("north", Emit) if e.event == "refused"]
    assert errors[0]["code"] == 301
    assert errors[0]["where"] == {"member": "east"}
    assert errors[0]["next"] == "a kind among: describe"


def test_a_member_that_asks_a_steward_keeps_the_study_waiting(world, study):
    world.cores["east"].policy = Policy(Rules(decide="ask"))
    add_data(world)
    propose(world, "north", study)
    world.deliver()
    assert {world.state(name, study) for name in NAMES} == {"proposed"}
    assert [e.member for e in world.effects("east", Emit) if e.event == "asked"] == ["east"]


def test_members_that_describe_the_data_differently_refuse_before_any_secret_work(world):
    from p2pmpc.study import parse_study

    text = scene.STUDY.replace('kind = "count"', 'kind = "describe"\ncolumns = ["age"]')
    study = parse_study(text, "study.toml")
    add_data(world, {"south": scene.dictionary(units="months")})
    propose(world, "north", study)
    world.deliver()
    case = world.cores["north"].cases[study.id]
    assert case.state == "refused"
    assert "months" in case.ended.why
    assert len(case.ended.why.splitlines()) <= 3


def test_a_member_that_is_not_ready_in_time_is_named(world, study):
    add_data(world)
    propose(world, "north", study)
    quiet = {"south"}
    world.deliver(lose=lambda item: item[0] in quiet and is_ready(item[2]))
    assert world.state("north", study) == "ready"
    world.handle("north", TimerFired(f"start:{study.id}"))
    ended = world.cores["north"].cases[study.id].ended
    assert (ended.code, ended.waited_for) == (402, "south")


def is_ready(message):
    return isinstance(message, Entries) and any(
        signed.read().kind == "ready" for signed, _ in message.entries
    )


def test_the_end_of_one_partys_attempt_ends_all_with_the_name_of_the_missing(world, study):
    session = run_to_start(world, study)
    world.handle("north", SessionStopped(session, 402, "south was not heard", "south", ""))
    world.deliver()
    for name in NAMES:
        assert world.state(name, study) == "failed"
        assert world.cores[name].cases[study.id].ended.waited_for == "south"
        assert world.effects(name, StopSession)
        assert "ended" in kinds(world, name, "north")


def test_an_end_of_another_session_ends_nothing(world, study):
    run_to_start(world, study)
    world.handle("north", Received("south", End(bytes(32), 402, "x", "east")))
    assert world.state("north", study) == "computing"


def second_history(world, author):
    """An entry with the number of the last one, signed by the author's own key."""
    core = world.cores[author]
    last = core.feeds.heads[author].seq
    before, _ = world.stores[author].entries(author, last, last)[0]
    entry = before.read()
    from p2pmpc.record import Head

    head = Head(last - 1, entry.prev, entry.lamport - 1)
    return author_entry(
        signer=world.signers[author],
        roster=core.feeds.roster,
        name=author,
        head=head,
        kind="answered",
        content=Answered(bytes(32), bytes(32)),
        heads={},
        unix_ms=1,
        salt=bytes(16),
    )


def test_a_fork_is_proven_told_to_everyone_and_its_author_is_heard_no_more(world, study):
    run_to_start(world, study)
    signed, body = second_history(world, "south")
    world.handle("north", Received("south", Entries(((signed, body),))))
    told = [m for s, r, m in world.mail if isinstance(m, ForkNotice)]
    assert told
    world.deliver()
    for name in ("east", "north"):
        assert "south" in world.cores[name].feeds.forks
        assert world.state(name, study) == "failed"
    before = world.cores["north"].feeds.heads["south"]
    world.handle("south", SessionStopped(bytes(32), 402, "", "", ""))
    add = world.cores["south"].feeds
    assert add.heads["south"].seq >= before.seq
    world.deliver()
    assert world.cores["north"].feeds.heads["south"] == before


def test_a_forged_second_entry_proves_nothing(world, study):
    run_to_start(world, study)
    signed, body = second_history(world, "south")
    forged = type(signed)(signed.entry, bytes(64))
    world.handle("north", Received("east", Entries(((forged, body),))))
    assert "south" not in world.cores["north"].feeds.forks
    assert [e for e in world.effects("north", Emit) if e.event == "entry refused"]


def test_the_same_entry_again_is_no_news(world, study):
    add_data(world)
    copies = list(world.mail)
    world.deliver()
    heads = dict(world.cores["north"].feeds.heads)
    world.mail = copies
    world.deliver()
    assert world.cores["north"].feeds.heads == heads


def test_a_body_of_another_entry_is_refused(world):
    add_data(world)
    world.deliver()
    feeds = world.cores["south"].feeds
    content = Answered(bytes(32), bytes(32))
    signed, body, known = feeds.write("answered", content, 1)
    assert read_content("answered", body) == content
    wrong = type(body)(b"\x09" * 16, body.content)
    world.handle("north", Received("south", Entries(((signed, wrong),))))
    refused = [e for e in world.effects("north", Emit) if e.event == "entry refused"]
    assert "another body" in refused[0].text
    assert world.cores["north"].feeds.heads["south"].seq == known.entry.seq - 1


def test_entries_ahead_of_what_they_have_read_wait_up_to_a_limit(world):
    feeds = world.cores["north"].feeds
    south = world.cores["south"].feeds
    world.deliver()
    written = [south.write("answered", Answered(bytes(32), bytes(32)), 1) for _ in range(3)]
    late = written[2]
    feeds.waiting = {"south": dict.fromkeys(range(100, 100 + WAITING_MAX), late[:2])}
    assert feeds.take(late[0], late[1], "south") == []
    assert len(feeds.waiting["south"]) == WAITING_MAX
    feeds.waiting = {}
    assert feeds.take(late[0], late[1], "south") == []
    assert feeds.take(written[1][0], written[1][1], "south") == []
    placed = feeds.take(written[0][0], written[0][1], "south")
    assert [known.entry.seq for _, known in placed] == [w[2].entry.seq for w in written]


def test_a_node_that_is_not_among_the_founders_is_told_so(tmp_path):
    from nodes.core.effects import Founded

    world = make_world(tmp_path)
    cards = tuple(m.card for m in world.cores["east"].feeds.roster.members)
    from p2pmpc.codec import encode

    world.cores["east"].name = "west"
    world.cores["east"].feeds.roster = None
    with pytest.raises(P2pmpcError, match="west"):
        world.handle("east", Founded("tests", tuple(encode(card) for card in cards)))


def test_a_study_whose_researcher_did_not_sign_it_is_kept_on_record_and_runs_nowhere(world, study):
    from nodes.core.effects import Proposed
    from p2pmpc.record import StudyNote

    add_data(world)
    public = world.signers["north"].public
    with pytest.raises(P2pmpcError):
        world.handle("north", Proposed(study.to_bytes(), public, bytes(64)))
    note = StudyNote(study.to_bytes(), public, bytes(64), 10_000)
    signed, body, _ = world.cores["north"].feeds.write("study", note, 1)
    world.stores["north"].append([(signed, body)])
    world.handle("east", Received("north", Entries(((signed, body),))))
    world.deliver()
    assert all(study.id not in world.cores[name].cases for name in NAMES)
    assert kinds(world, "east", "north")[-1] == "study"


def test_an_entry_whose_content_means_nothing_does_not_stop_the_next(world, study):
    from p2pmpc.record import DatasetNote

    world.deliver()
    signed, body, _ = world.cores["south"].feeds.write(
        "dataset", DatasetNote(b"no dictionary", bytes(32)), 1
    )
    world.stores["south"].append([(signed, body)])
    world.handle("north", Received("south", Entries(((signed, body),))))
    assert [e for e in world.effects("north", Emit) if e.event == "entry refused"]
    assert kinds(world, "north", "south")[-1] == "dataset"
    world.handle("south", TimerFired("gossip"))
    world.handle("east", TimerFired("gossip"))
    world.deliver()
    run_to_start(world, study)


def test_an_author_that_has_read_another_history_is_not_placed(world):
    from p2pmpc.record import Head

    world.deliver()
    south = world.cores["south"].feeds
    truth = south.heads["east"]
    south.heads["east"] = Head(truth.seq, b"\xee" * 32, truth.lamport)
    signed, body, _ = south.write("answered", Answered(bytes(32), bytes(32)), 1)
    world.handle("north", Received("south", Entries(((signed, body),))))
    refused = [e for e in world.effects("north", Emit) if e.event == "entry refused"]
    assert "another history of east" in refused[0].text
    assert "answered" not in kinds(world, "north", "south")
