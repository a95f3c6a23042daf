"""Members that lie: what one of them can say, and what the honest ones make of it."""

import importlib.util
import pathlib
import random

import pytest

from nodes.core.attempts import program, resolved
from nodes.core.effects import (
    Append,
    DatasetAdded,
    Emit,
    Founded,
    Received,
    ResumeSession,
    SessionPaused,
    SessionStopped,
    StartSession,
    TimerFired,
)
from nodes.core.feeds import NEWS_BYTES_MAX, WAITING_BYTES_MAX, WAITING_MAX
from nodes.core.node import ASIDE_BYTES_MAX, ASIDE_MAX
from p2pmpc.codec import digest, encode
from p2pmpc.errors import P2pmpcError
from p2pmpc.messages import End, Entries, Frontier
from p2pmpc.record import (
    Answered,
    Body,
    Checked,
    Consent,
    DatasetNote,
    Ended,
    Entry,
    Head,
    Ready,
    Release,
    SignedEntry,
    StudyNote,
    author_entry,
    entry_hash,
)
from p2pmpc.study import parse_study

spec = importlib.util.spec_from_file_location(
    "core_conftest", pathlib.Path(__file__).with_name("conftest.py")
)
scene = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scene)
add_data, propose, make_world = scene.add_data, scene.propose, scene.make_world

NAMES = ("east", "north", "south")
NOTHING = Answered(bytes(32), bytes(32))


def lie(world, author, kind, content, head=None, heads=None):
    """An entry that the author's own key signs, whatever the author's node holds."""
    feeds = world.cores[author].feeds
    return author_entry(
        signer=world.signers[author],
        roster=feeds.roster,
        name=author,
        head=feeds.heads[author] if head is None else head,
        kind=kind,
        content=content,
        heads={a: h for a, h in feeds.heads.items() if a != author} if heads is None else heads,
        unix_ms=1,
        salt=bytes(16),
    )


def after(signed):
    entry = signed.read()
    return Head(entry.seq, entry_hash(signed), entry.lamport)


def hand(world, receiver, sender, *filed):
    return world.handle(receiver, Received(sender, Entries(tuple(filed))))


def refusals(world, name):
    return [e.text for e in world.effects(name, Emit) if e.event == "entry refused"]


def stored(world, holder, author):
    return [s.read().kind for s, _ in world.stores[holder].entries(author, 0, 10_000)]


def run_to_start(world, study):
    add_data(world)
    world.deliver()
    propose(world, "north", study)
    world.deliver()
    return world.effects("north", StartSession)[0].order.session


def facts(**changes):
    found = {
        "transcript": bytes(32),
        "layout": (("n/main", 1),),
        "verdicts": (True,),
        "commitments": {name: bytes([place]) * 32 for place, name in enumerate(NAMES)},
    }
    return found | changes


# ---- entries -------------------------------------------------------------------------------------


def test_a_forged_entry_that_waits_is_not_kept_and_does_not_lose_the_honest_one(world):
    world.deliver()
    first, first_body = lie(world, "south", "answered", NOTHING)
    second, second_body = lie(world, "south", "answered", NOTHING, head=after(first))
    forged = SignedEntry(second.entry, bytes(64))
    hand(world, "north", "east", (forged, second_body))
    assert world.cores["north"].feeds.waiting == {}
    assert "not signed by its author" in refusals(world, "north")[-1]
    hand(world, "north", "south", (first, first_body))
    hand(world, "north", "south", (second, second_body))
    assert stored(world, "north", "south")[-2:] == ["answered", "answered"]


def test_an_entry_that_proves_wrong_after_it_waited_loses_only_itself(world):
    world.deliver()
    first, first_body = lie(world, "south", "answered", NOTHING)
    elsewhere = Head(after(first).seq, b"\xee" * 32, after(first).lamport)
    wrong, wrong_body = lie(world, "south", "answered", NOTHING, head=elsewhere)
    hand(world, "north", "south", (wrong, wrong_body))
    effects = hand(world, "north", "south", (first, first_body))
    assert [len(e.entries) for e in effects if isinstance(e, Append)] == [1]
    assert "does not follow" in refusals(world, "north")[-1]
    assert world.stores["north"].head("south") == world.cores["north"].feeds.heads["south"]


def test_what_waits_is_bounded_for_each_author_in_number_and_bytes(world):
    world.deliver()
    feeds = world.cores["north"].feeds
    large = DatasetNote(bytes(700 * 2**10), bytes(32))
    head = world.cores["south"].feeds.heads["south"]
    for ahead in range(1, 16):
        far = Head(head.seq + ahead, b"\xee" * 32, head.lamport)
        hand(world, "north", "south", lie(world, "south", "dataset", large, head=far))
    size = sum(len(b.content) for _, b in feeds.waiting["south"].values())
    assert 0 < size <= WAITING_BYTES_MAX
    for ahead in range(1, WAITING_MAX + 20):
        far = Head(head.seq + 100 + ahead, b"\xee" * 32, head.lamport)
        signed, body = lie(world, "south", "answered", NOTHING, head=far)
        feeds.take(signed, body, "south")
    assert len(feeds.waiting["south"]) <= WAITING_MAX
    hand(world, "north", "east", lie(world, "east", "answered", NOTHING))
    assert stored(world, "north", "east")[-1] == "answered"


def test_a_body_left_out_on_the_way_is_taken_whole_from_another(world, study):
    add_data(world)
    world.deliver()
    signed, body = lie(world, "south", "dataset", DatasetNote(b"x", bytes(32)))
    hand(world, "north", "east", (signed, None))
    assert stored(world, "north", "south").count("dataset") == 1
    hand(world, "north", "south", (signed, body))
    filed = world.stores["north"].entries("south", 0, 100)
    assert filed[-1][1] == body


def test_an_author_may_leave_its_own_body_out_and_nothing_follows_from_it(world):
    world.deliver()
    signed, _ = lie(world, "south", "dataset", DatasetNote(b"x", bytes(32)))
    hand(world, "north", "south", (signed, None))
    assert stored(world, "north", "south")[-1] == "dataset"
    assert "south" not in world.cores["north"].dictionaries


def test_heads_of_entries_that_nobody_wrote_only_keep_their_author_waiting(world):
    world.deliver()
    heads = dict(world.cores["south"].feeds.heads)
    heads["east"] = Head(10_000, b"\xee" * 32, heads["east"].lamport)
    del heads["south"]
    hand(world, "north", "south", lie(world, "south", "answered", NOTHING, heads=heads))
    assert list(world.cores["north"].feeds.waiting) == ["south"]
    assert stored(world, "north", "south")[-1] != "answered"


@pytest.mark.parametrize("fault", ["time", "unread"])
def test_an_entry_that_an_auditor_would_refuse_is_not_placed(world, fault):
    for _ in range(2):  # the second time everybody has read everybody
        add_data(world)
        world.deliver()
    feeds = world.cores["south"].feeds
    heads = {a: h for a, h in feeds.heads.items() if a != "south"}
    if fault == "unread":
        heads.pop("east")
    signed, body = lie(world, "south", "answered", NOTHING, heads=heads)
    if fault == "time":
        entry = signed.read()
        values = [getattr(entry, name) for name in entry.__struct_fields__]
        values[entry.__struct_fields__.index("lamport")] += 7
        data = encode(Entry(*values))
        claim = digest("p2pmpc/entry-hash/1", data)
        signature = world.signers["south"].sign(feeds.roster.network, "entry", claim)
        signed = SignedEntry(data, signature)
    hand(world, "north", "south", (signed, body))
    expected = "wrong logical time" if fault == "time" else "forgets what it had read of east"
    assert expected in refusals(world, "north")[-1]
    assert stored(world, "north", "south")[-1] == "dataset"


def test_news_for_one_frontier_are_bounded(world):
    world.deliver()
    core = world.cores["south"]
    large = DatasetNote(bytes(700 * 2**10), bytes(32))
    for _ in range(16):
        signed, body, _ = core.feeds.write("dataset", large, 1)
        world.stores["south"].append([(signed, body)])
    sent = core.feeds.news_for(Frontier(()), NEWS_BYTES_MAX).batches
    assert 0 < sum(len(encode(message)) for message in sent) <= NEWS_BYTES_MAX + 2**16


# ---- forks ---------------------------------------------------------------------------------------


def fork(world, author):
    """Two different next entries of the author."""
    one = lie(world, author, "answered", NOTHING)
    two = lie(world, author, "answered", Answered(bytes(32), b"\x01" * 32))
    return one, two


def test_histories_of_one_length_are_found_by_the_next_frontier_and_put_on_record(world):
    world.deliver()
    one, two = fork(world, "south")
    hand(world, "north", "south", one)
    hand(world, "east", "south", two)
    assert not world.cores["north"].feeds.forks
    world.handle("north", TimerFired("gossip"))
    world.handle("east", TimerFired("gossip"))
    world.deliver(lose=lambda item: "south" in item[:2])
    for name in ("east", "north"):
        assert set(world.cores[name].feeds.forks) == {"south"}
        assert stored(world, "north", name)[-1] == "fork"
        assert stored(world, "east", name)[-1] == "fork"


def test_a_member_that_was_down_learns_of_a_fork_from_the_record(world):
    world.deliver()
    one, two = fork(world, "south")
    hand(world, "north", "south", one, two)
    world.mail.clear()  # whatever was told, east did not hear
    for name in ("north", "east"):
        world.handle(name, TimerFired("gossip"))
    world.deliver(lose=lambda item: "south" in item[:2])
    assert set(world.cores["east"].feeds.forks) == {"south"}


def test_whoever_has_read_the_other_history_is_still_heard_once_the_fork_is_proven(world, study):
    world.deliver()
    one, two = fork(world, "south")
    hand(world, "north", "south", one)
    hand(world, "east", "south", two)
    world.handle("east", DatasetAdded(scene.dictionary(), bytes(32)))  # cites south's second
    world.deliver(lose=lambda item: "south" in item[:2])
    assert "dataset" not in stored(world, "north", "east")
    for _ in range(3):
        for name in ("north", "east"):
            world.handle(name, TimerFired("gossip"))
        world.deliver(lose=lambda item: "south" in item[:2])
    assert "dataset" in stored(world, "north", "east")
    assert world.cores["north"].dictionaries["east"]


# ---- ends ----------------------------------------------------------------------------------------


@pytest.fixture
def four(tmp_path):
    made = make_world(tmp_path, ("east", "north", "south", "west"))
    yield made
    for store in made.stores.values():
        store.close()


def test_a_member_that_is_no_party_ends_nobody_elses_run(four, study):
    session = run_to_start(four, study)
    four.handle("north", Received("west", End(session, 402, "south is dead", "south")))
    assert four.state("north", study) == "computing"
    ended = Ended(study.id, 0, 402, "south is dead", "south")
    hand(four, "north", "west", lie(four, "west", "ended", ended))
    assert four.state("north", study) == "computing"


@pytest.mark.parametrize("code", [402, 103, 501, 999])
@pytest.mark.parametrize("named", ["east", "nobody", ""])
def test_an_end_is_recorded_as_the_word_of_who_said_it(world, study, code, named):
    session = run_to_start(world, study)
    world.handle("north", Received("south", End(session, code, "a lie", named)))
    ended = world.cores["north"].cases[study.id].ended
    assert ended.why == "south ended the run: a lie"
    assert ended.waited_for == ("east" if named == "east" else "south")
    assert ended.code in {401, 402}
    assert stored(world, "north", "north")[-1] == "ended"


def test_a_members_own_trouble_is_told_to_others_as_a_number(world, study):
    session = run_to_start(world, study)
    secret = "row 17 of /data/patients.csv holds 31.41592653"
    world.handle("north", SessionStopped(session, 501, secret, "", ""))
    said = [message for sender, _, message in world.mail if sender == "north"]
    assert any(isinstance(message, End) for message in said)
    for message in said:
        data = encode(message)
        assert b"31.41" not in data
        assert b"patients.csv" not in data
    assert secret in world.cores["north"].cases[study.id].ended.why
    world.deliver()
    assert "error 501 on its own machine" in world.cores["east"].cases[study.id].ended.why


# ---- studies -------------------------------------------------------------------------------------


def test_a_consent_under_rules_that_are_none_ends_the_study_by_name(world, study):
    add_data(world)
    world.deliver()
    propose(world, "north", study)
    world.deliver(lose=lambda item: "south" in item[:2])
    known = {a: h for a, h in world.cores["north"].feeds.heads.items() if a != "south"}
    note = Consent(study.id, "yes", b"\x93\x01\x02\x03")
    for name in ("north", "east"):
        hand(world, name, "south", lie(world, "south", "consent", note, heads=known))
    world.deliver(lose=lambda item: "south" in item[:2])
    for name in ("north", "east"):
        ended = world.cores[name].cases[study.id].ended
        assert (ended.code, ended.waited_for) == (404, "south")


@pytest.mark.parametrize("first", ["study", "consent"])
def test_a_consent_that_hides_what_it_had_read_means_the_same_in_every_order(world, study, first):
    add_data(world)
    world.deliver()
    rules = world.cores["south"].policy.restricted_to(study.datasets_of("south")).to_bytes()
    heads = {a: h for a, h in world.cores["south"].feeds.heads.items() if a != "south"}
    early = lie(world, "south", "consent", Consent(study.id, "yes", rules), heads=heads)
    quiet = {"lose": lambda item: "south" in item[:2]}
    if first == "consent":
        for name in ("east", "north"):
            hand(world, name, "south", early)
    propose(world, "north", study)
    world.deliver(**quiet)
    if first == "study":
        for name in ("east", "north"):
            hand(world, name, "south", early)
    world.deliver(**quiet)
    assert {world.state(name, study) for name in ("east", "north")} == {"ready"}


def test_entries_about_studies_that_nobody_proposed_are_kept_up_to_a_limit(world):
    world.deliver()
    head = None
    for number in range(ASIDE_MAX + 5):
        note = Ready(f"s{number}", 1, 0, bytes(32), bytes(32), bytes(32), bytes(32))
        filed = lie(world, "south", "ready", note, head=head)
        hand(world, "north", "south", filed)
        head = after(filed[0])
    aside = world.cores["north"].aside
    assert sum(len(kept) for kept in aside.values()) == ASIDE_MAX


def test_what_is_kept_about_studies_that_nobody_proposed_is_bounded_in_bytes(world):
    world.deliver()
    head = None
    for number in range(6):
        rules = bytes(ASIDE_BYTES_MAX // 4)
        filed = lie(world, "south", "consent", Consent(f"none{number}", "", rules), head=head)
        hand(world, "north", "south", filed)
        head = after(filed[0])
    kept = [known for aside in world.cores["north"].aside.values() for known in aside]
    assert len(kept) == 3


def test_another_description_after_the_consent_changes_nothing_of_what_runs(world, study):
    add_data(world)
    world.deliver()
    propose(world, "north", study)
    world.deliver(lose=lambda item: item[0] == "south" and holds(item[2], "ready"))
    wide = scene.dictionary(units="months")
    note = DatasetNote(wide.to_bytes(), bytes(32))
    assert world.state("north", study) == "ready"
    before = world.cores["north"].cases[study.id].described
    feeds = world.cores["south"].feeds
    signed, body, _ = feeds.write("dataset", note, 1)
    world.stores["south"].append([(signed, body)])
    for name in NAMES:
        world.handle(name, TimerFired("gossip"))
    world.deliver()
    assert world.cores["north"].dictionaries["south"]["lung"] == wide
    case = world.cores["north"].cases[study.id]
    assert case.state == "computing"
    assert case.described == before
    assert program(world.cores["north"], case) == case.readies["east"][1].program
    assert resolved(world.cores["north"], case)


def holds(message, kind):
    return isinstance(message, Entries) and any(s.read().kind == kind for s, _ in message.entries)


def test_a_release_without_its_check_before_it_is_refused_by_name(world, study):
    session = run_to_start(world, study)
    for name in ("east", "north"):
        world.handle(name, SessionPaused(session, "checked", facts()))
    world.deliver()
    for name in ("east", "north"):
        world.handle(name, SessionPaused(session, "release", facts()))
    world.deliver()
    note = Release(session, bytes(32), bytes(64))
    hand(world, "north", "south", lie(world, "south", "release", note))
    ended = world.cores["north"].cases[study.id].ended
    assert (ended.code, ended.waited_for) == (404, "south")
    assert "released" not in stored(world, "north", "north")


def test_a_signature_that_does_not_hold_is_its_authors_fault_and_opens_nothing(world, study):
    session = run_to_start(world, study)
    for kind in ("checked", "release"):
        for name in ("east", "north"):
            world.handle(name, SessionPaused(session, kind, facts()))
        world.deliver()
    certificate = next(iter(world.cores["north"].cases.values())).releases["north"][0]
    checked = lie(world, "south", "checked", Checked(session, bytes(32)))
    note = Release(session, certificate, bytes(64))
    bad = lie(world, "south", "release", note, head=after(checked[0]))
    hand(world, "north", "south", checked, bad)
    ended = world.cores["north"].cases[study.id].ended
    assert (ended.code, ended.waited_for) == (404, "south")
    assert all(not effect.certificate for effect in world.effects("north", ResumeSession))


def test_certificates_that_differ_blame_nobody_who_may_be_honest(world, study):
    """South told east and north other commitments: neither may call the other a liar."""
    session = run_to_start(world, study)
    for name in NAMES:
        world.handle(name, SessionPaused(session, "checked", facts()))
    world.deliver()
    two_faced = {"commitments": dict.fromkeys(NAMES, b"\xee" * 32)}
    for name in NAMES:
        world.handle(
            name, SessionPaused(session, "release", facts(**(two_faced if name == "east" else {})))
        )
    world.deliver()
    first = world.cores["north"].cases[study.id].ended
    assert first.code == 401
    assert "east signed another certificate" in first.why or "ended the run" in first.why


def test_a_study_with_somebody_who_is_no_member_is_refused_at_once(world):
    text = scene.STUDY.replace('"south"', '"stranger"')
    with pytest.raises(P2pmpcError, match="stranger"):
        propose(world, "north", parse_study(text, "study.toml"))
    assert "study" not in stored(world, "north", "north")


def test_a_node_is_founded_once(world):
    roster = world.cores["north"].feeds.roster
    cards = tuple(encode(member.card) for member in roster.members)
    with pytest.raises(P2pmpcError, match="already"):
        world.handle("north", Founded("again", cards[:2]))
    assert world.cores["north"].feeds.roster is roster


def test_a_study_proposed_through_two_members_is_one_study(world, study):
    add_data(world)
    world.deliver()
    propose(world, "north", study)
    propose(world, "east", study)
    world.deliver()
    assert all(len(world.cores[name].cases) == 1 for name in NAMES)
    assert all(len(world.effects(name, StartSession)) == 1 for name in NAMES)


@pytest.mark.parametrize("seed", range(8))
def test_hostile_contents_never_stop_a_core(tmp_path, study, seed):
    """Mutated descriptions, studies, rules and deep nesting: on record, and they mean nothing."""
    coins = random.Random(seed)
    world = make_world(tmp_path)
    world.deliver()
    sound = scene.dictionary().to_bytes()
    plain = study.to_bytes()
    head = None
    for turn in range(40):
        data = bytearray(sound if turn % 2 else plain)
        for _ in range(coins.choice((1, 2, 8))):
            data[coins.randrange(len(data))] = coins.randrange(256)
        if turn == 5:
            data = bytearray(b"[" * 60_000)
        if turn == 7:
            data = bytearray(b"\x91" * 60_000)
        public = world.signers["south"].public if turn % 3 else bytes(32)
        signature = bytes(64)
        if turn % 2:
            content, kind = DatasetNote(bytes(data), bytes(32)), "dataset"
        elif turn % 4:
            content, kind = Consent(study.id, "\x1b[2J", bytes(data)), "consent"
        else:
            content, kind = StudyNote(bytes(data), public, signature, 10_000), "study"
        filed = lie(world, "south", kind, content, head=head)
        hand(world, "north", "south", filed)
        head = after(filed[0])
    assert world.stores["north"].head("south") == head
    assert isinstance(filed[1], Body)
