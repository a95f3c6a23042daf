"""Members that lie about attempts, bodies, proposals and stores, so that something opens twice."""

import contextlib
import importlib.util
import pathlib
import random
from dataclasses import dataclass, field

import pytest

from nodes.core.attempts import EARLY_MAX
from nodes.core.effects import (
    Append,
    Emit,
    Received,
    RevokeAsked,
    SessionPaused,
    SessionStopped,
    TimerFired,
    WithdrawAsked,
)
from nodes.people.bundle import export_bundle
from nodes.store.replay import Replay
from p2pmpc.certificate import Certificate, certificate_hash, sign_certificate
from p2pmpc.codec import encode
from p2pmpc.errors import P2pmpcError, Refused
from p2pmpc.messages import End, Entries
from p2pmpc.policy import Policy, Rules
from p2pmpc.record import (
    GAVE_WAY,
    Answered,
    Checked,
    Ended,
    Head,
    Ready,
    Release,
    Released,
    StudyNote,
    author_entry,
    entry_hash,
)
from p2pmpc.verify import verify_bundle

spec = importlib.util.spec_from_file_location(
    "core_stage", pathlib.Path(__file__).with_name("stage.py")
)
scenes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scenes)
propose = scenes.scene.propose

ASKING = Policy(Rules(decide="ask", minimum_members=2))
FACTS = {"transcript": bytes(32), "layout": (("n/main", 1),), "verdicts": (True,)}


@dataclass
class Liar:
    """A member whose key signs whatever the test says; `heads` is what it admits to have read."""

    stage: object
    name: str
    head: Head
    heads: dict = field(default_factory=dict)

    def write(self, kind, content):
        feeds = self.stage.cores[self.name].feeds
        signed, body = author_entry(
            signer=self.stage.signers[self.name],
            roster=feeds.roster,
            name=self.name,
            head=self.head,
            kind=kind,
            content=content,
            heads=self.heads,
            unix_ms=1,
            salt=bytes(16),
        )
        entry = signed.read()
        self.head = Head(entry.seq, entry_hash(signed), entry.lamport)
        return signed, body

    def read_all(self, reader):
        """Admit to have read what this member's store holds."""
        found = self.stage.cores[reader].feeds.heads
        self.heads = {author: head for author, head in found.items() if author != self.name}

    def tell(self, receiver, *filed):
        self.stage.handle(receiver, Received(self.name, Entries(tuple(filed))))


def liar(stage, name):
    """From now on the member's own node is out of the play."""
    feeds = stage.cores[name].feeds
    stage.mail.clear()
    heads = {author: head for author, head in feeds.heads.items() if author != name}
    return Liar(stage, name, feeds.heads[name], heads)


def ready_like(stage, study, name, attempt):
    first = stage.contents(name, "ready")[0]
    key = bytes([attempt]) * 32
    return Ready(study.id, attempt, 0, first.consents, first.snapshot, key, first.program)


def stop(stage, study, name, code=402):
    session = stage.cores[name].cases[study.id].session
    stage.handle(name, SessionStopped(session, code, "not heard", "east", ""))


def open_with(stage, study, name, partner):
    """The honest member's session goes on until it holds the certificate; the liar plays along."""
    case = stage.cores[name].cases[study.id]
    stage.handle(name, SessionPaused(case.session, "checked", FACTS))
    partner.read_all(name)
    partner.tell(name, partner.write("checked", Checked(case.session, bytes(32))))
    commitments = {party: bytes(32) for party in study.parties}
    stage.handle(
        name, SessionPaused(case.session, "release", {**FACTS, "commitments": commitments})
    )
    partner.read_all(name)
    signature = sign_certificate(stage.signers[partner.name], case.certificate)
    claim = certificate_hash(case.certificate)
    partner.tell(name, partner.write("release", Release(case.session, claim, signature)))
    stage.mail.clear()


def start_again(stage, name):
    """The process dies and starts again on its record."""
    old, store = stage.cores[name], stage.stores[name]
    core = scenes.core_on(old, store)
    stage.cores[name] = core
    for effect in core.restore(stage.now_ms, Replay(store)):
        if isinstance(effect, Append):
            store.append(effect.entries)
        stage.told.setdefault(name, []).append(effect)
    return core


# ---- nothing opens twice -------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path):
    """East lies, north is honest; east sorts first where times are equal."""
    made = scenes.make_stage(tmp_path, ("east", "north"))
    yield made
    scenes.close(made)


def test_a_share_that_left_in_a_hidden_attempt_is_remembered_after_a_restart(pair):
    """East's second `ready` hides what it had read, so that it comes too early in a replay."""
    study = scenes.study_among(("east", "north"))
    propose(pair, "north", study)
    pair.deliver()
    east = liar(pair, "east")
    stop(pair, study, "north")
    pair.mail.clear()
    east.tell("north", east.write("ready", ready_like(pair, study, "east", 2)))
    assert pair.states(study)["north"] == "computing"
    open_with(pair, study, "north", east)
    assert pair.states(study)["north"] == "opening"
    core = start_again(pair, "north")
    assert core.cases[study.id].state == "failed"
    core.cases[study.id].resting = False
    pair.handle("north", TimerFired(f"retry:{study.id}"))
    assert [note.attempt for note in pair.contents("north", "ready")] == [1, 2]
    assert [note.attempt for note in pair.contents("north", "ended")] == [1, 0]


def test_a_consent_or_release_that_comes_without_its_body_waits_for_the_whole(stage, study):
    """A body shown to some alone would make the others conclude differently."""
    propose(stage, "north", study)
    consents = [one for one in own_entries(stage, "north") if one[0].read().kind == "consent"]
    ((signed, body),) = consents
    stage.mail.clear()
    (proposal,) = [one for one in own_entries(stage, "north") if one[0].read().kind == "study"]
    stage.handle("east", Received("north", Entries((proposal,))))
    stage.handle("east", Received("north", Entries(((signed, None),))))
    case = stage.cores["east"].cases[study.id]
    assert "north" not in case.consents
    stage.handle("east", Received("south", Entries(((signed, body),))))
    assert "north" in case.consents


def test_an_own_feed_that_comes_back_without_its_bodies_is_not_taken(pair):
    """East strips the bodies: north would not know that its share had left, and open again."""
    study = scenes.study_among(("east", "north"))
    backup = own_entries(pair, "north")
    propose(pair, "north", study)
    pair.deliver()
    later = own_entries(pair, "north")[len(backup) :]
    core = scenes.core_on(pair.cores["north"], pair.stores["north"])
    core.feeds.heads["north"] = head_of(backup[-1][0])
    core.feeds.marks.clear()
    stripped = [(signed, None) for signed, _ in later]
    core.handle(1, Received("east", Entries(tuple(stripped))))
    assert core.feeds.heads["north"].seq == len(backup) - 1


# ---- members conclude alike ----------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path, study):
    made = scenes.make_stage(tmp_path, ("east", "north", "south", "west"))
    yield made
    scenes.close(made)


def own_entries(stage, name):
    return stage.stores[name].entries(name, 0, stage.stores[name].head(name).seq)


def head_of(signed):
    entry = signed.read()
    return Head(entry.seq, entry_hash(signed), entry.lamport)


def test_attempts_that_a_liar_hides_are_counted_alike_in_every_order(stage, study):
    """South is ready for attempt 2 and ends it before north hears how the first one ended."""
    propose(stage, "north", study)
    stage.deliver()
    south = liar(stage, "south")
    stop(stage, study, "east")
    (end,) = [one for one in own_entries(stage, "east") if one[0].read().kind == "ended"]
    stage.mail.clear()
    lies = [
        south.write("ready", ready_like(stage, study, "south", 2)),
        south.write("ended", Ended(study.id, 2, 402, "because", "east")),
    ]
    south.tell("east", *lies)
    south.tell("north", *lies)
    stage.handle("north", Received("east", Entries((end,))))
    found = {name: stage.cores[name].cases[study.id].due for name in ("east", "north")}
    assert found == {"east": 3, "north": 3}


def test_a_party_that_writes_of_many_attempts_that_had_not_begun_ends_the_study_by_name(
    stage, study
):
    propose(stage, "north", study)
    stage.deliver()
    south = liar(stage, "south")
    lies = [ready_like(stage, study, "south", k) for k in range(2, EARLY_MAX + 3)]
    for note in lies[:-1]:
        south.tell("north", south.write("ready", note))
    assert stage.states(study)["north"] == "computing"
    south.tell("north", south.write("ready", lies[-1]))
    ended = stage.cores["north"].cases[study.id].ended
    assert (ended.code, ended.waited_for) == (404, "south")


def test_attempts_that_one_party_uses_up_alone_end_the_study_by_its_name(stage, study):
    propose(stage, "north", study)
    stage.deliver()
    south = liar(stage, "south")
    lies = [south.write("ended", Ended(study.id, 1, 402, "because", ""))]
    for attempt in (2, 3):
        lies.append(south.write("ready", ready_like(stage, study, "south", attempt)))
        lies.append(south.write("ended", Ended(study.id, attempt, 402, "because", "")))
    south.tell("north", *lies)
    stage.handle("north", TimerFired(f"retry:{study.id}"))
    ended = stage.cores["north"].cases[study.id].ended
    assert ended.waited_for == "south"
    assert "3 attempts have ended" in ended.why


def test_giving_way_counts_as_an_attempt_once_a_transcript_was_compared(stage, study):
    propose(stage, "north", study)
    stage.deliver()
    case = stage.cores["north"].cases[study.id]
    stage.handle("north", SessionPaused(case.session, "checked", FACTS))
    stage.handle("north", Received("south", End(case.session, GAVE_WAY, "", "")))
    assert case.over[1].code == 401
    assert case.resting


def test_two_descriptions_of_a_third_members_data_blame_nobody(stage, study):
    """South may have shown north and east different ones: neither is certain to be wrong."""
    propose(stage, "north", study)
    stage.deliver(lose=lambda item: item[0] != "north" and has_kind(item[2], "ready"))
    assert stage.states(study)["north"] == "ready"
    east = liar(stage, "east")
    note = ready_like(stage, study, "east", 1)
    other = Ready(study.id, 1, 0, note.consents, note.snapshot, bytes(32), b"\x05" * 32)
    east.head = head_of(own_entries(stage, "east")[-2][0])
    east.tell("north", east.write("ready", other))
    (whole,) = [one for one in own_entries(stage, "south") if one[0].read().kind == "ready"]
    stage.handle("north", Received("south", Entries((whole,))))
    ended = stage.cores["north"].cases[study.id].ended
    assert (ended.code, ended.waited_for) == (303, "")


def has_kind(message, kind):
    entries = getattr(message, "entries", ())
    return any(signed.read().kind == kind for signed, _ in entries)


# ---- certificates that are none ------------------------------------------------------------------


def test_a_release_that_nobody_signed_neither_stops_a_withdrawal_nor_tells_of_an_answer(
    stage, study
):
    propose(stage, "west", study)
    stage.deliver()
    south = liar(stage, "south")
    case = stage.cores["west"].cases[study.id]
    (session,) = stage.seats
    readies = tuple(
        entry_hash(one[0])
        for party in study.parties
        for one in own_entries(stage, party)
        if one[0].read().kind == "ready"
    )
    certificate = Certificate(
        stage.cores["west"].feeds.roster.network, session, study.hash, 0, study.parties,
        study.parties, readies, bytes(32), (), (), (bytes(32),) * 3, bytes(32),
    )  # fmt: skip
    south.tell(
        "west", south.write("released", Released(session, encode(certificate), (bytes(64),) * 3))
    )
    south.tell("west", south.write("answered", Answered(session, bytes(32))))
    assert case.state == "agreed"
    told = [e.text for e in stage.effects("west", Emit) if e.event == "entry refused"]
    assert told == ["east did not sign the certificate"]
    stage.handle("west", WithdrawAsked(study.id, "the wrong cohort"))
    assert case.state == "withdrawn"


# ---- proposals of others -------------------------------------------------------------------------


def test_whoever_repeats_a_proposal_takes_back_its_own_asking_alone(stage, study):
    propose(stage, "north", study)
    stage.deliver()
    propose(stage, "west", study)
    stage.deliver()
    stage.handle("west", WithdrawAsked(study.id, "to stop the others"))
    stage.deliver()
    assert set(stage.states(study).values()) == {"computing"}
    with pytest.raises(Refused, match="not through west"):
        stage.handle("west", WithdrawAsked(study.id, "again"))
    stage.handle("north", WithdrawAsked(study.id, "the wrong cohort"))
    stage.deliver()
    assert set(stage.states(study).values()) == {"withdrawn"}


def test_a_party_that_withdraws_while_another_member_asks_the_same_takes_no_part(stage, study):
    propose(stage, "north", study)
    propose(stage, "west", study)
    stage.deliver()
    stage.handle("north", WithdrawAsked(study.id, "the wrong cohort"))
    stage.deliver()
    assert set(stage.states(study).values()) == {"revoked"}


def proposal_by(stage, name, study, expires_ms):
    """What any member can write that has read another's proposal."""
    network = stage.cores[name].feeds.roster.network
    signer = stage.signers[name]
    signature = signer.sign(network, "study", study.hash)
    return StudyNote(study.to_bytes(), signer.public, signature, expires_ms)


@pytest.mark.parametrize("first", ["west", "north"])
def test_whoever_repeats_a_proposal_shortens_nobodys_time(stage, study, first):
    """West's has expired when it comes, before north's or after it."""
    stage.cores["east"].policy = ASKING
    propose(stage, "north", study)
    (honest,) = [one for one in own_entries(stage, "north") if one[0].read().kind == "study"]
    west = liar(stage, "west")
    copy = west.write("study", proposal_by(stage, "west", study, 2))
    filed = {"west": copy, "north": honest}
    for name in (first, *({"west", "north"} - {first})):
        stage.handle("east", Received(name, Entries((filed[name],))))
    case = stage.cores["east"].cases[study.id]
    assert case.due_ms > stage.now_ms + 86_400_000
    stage.handle("east", TimerFired(f"expire:{study.id}"))
    assert case.state == "proposed"


def test_proposals_that_had_expired_do_not_hide_later_ones_from_a_replay(stage, monkeypatch):
    """Else a member that starts again would not know what it had done in the later ones."""
    monkeypatch.setattr("nodes.core.proposals.OPEN_PROPOSALS_MAX", 2)
    west = liar(stage, "west")
    studies = [scenes.study_among(("south", "west"), f"Number {number}") for number in range(8)]
    for one in studies:
        west.tell("east", west.write("study", proposal_by(stage, "west", one, 2)))
        stage.now_ms += 20 * 86_400_000
        stage.handle("east", TimerFired(f"expire:{one.id}"))
    assert set(stage.cores["east"].cases) == {one.id for one in studies}
    core = start_again(stage, "east")
    assert set(core.cases) == {one.id for one in studies}


# ---- honest members, whatever happens ------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_whoever_dies_and_whatever_is_taken_back_all_end_and_nobody_signs_a_fault(tmp_path, seed):
    coins = random.Random(seed)
    names = ("east", "north", "south", "west")
    stage = scenes.make_stage(tmp_path, names, sessions=coins.choice((1, 2)))
    groups = (("east", "north", "south"), ("east", "west"), ("north", "south", "west"))
    studies = [scenes.study_among(group, f"Study {k}") for k, group in enumerate(groups)]
    for one in studies:
        for name in coins.sample(names, coins.choice((1, 1, 2))):
            propose(stage, name, one)
    for _ in range(coins.randrange(6)):
        step(stage, coins, coins.randrange(60))
        with contextlib.suppress(P2pmpcError):
            disturb(stage, coins, coins.choice(names), coins.choice(studies))
    for _ in range(4):
        for name in names:
            stage.handle(name, TimerFired("gossip"))
        stage.settle(coins)
    for one in studies:
        ended = [stage.cores[name].cases[one.id].final for name in one.parties]
        assert all(ended), f"seed {seed}: {stage.states(one)}"
    core = stage.cores["north"]
    data = export_bundle(core.feeds, stage.stores["north"], core.signer, (), stage.now_ms)
    report = verify_bundle(data)
    assert report.ok, f"seed {seed}: {report.faults}"
    scenes.close(stage)


def step(stage, coins, count):
    """So many moves or messages, in a drawn order."""
    for _ in range(count):
        moves = stage.movable()
        drawn = coins.randrange(max(1, len(stage.mail) + len(moves)))
        if drawn < len(stage.mail):
            sender, receiver, message = stage.mail.pop(drawn)
            stage.handle(receiver, Received(sender, message))
        elif moves:
            stage.advance(*moves[drawn - len(stage.mail)])


def disturb(stage, coins, name, study):
    """A death, a second thought, or a party that is not heard."""
    case = stage.cores[name].cases.get(study.id)
    session = case.session if case is not None else b""
    event = coins.choice(
        (
            None,
            WithdrawAsked(study.id, "why"),
            RevokeAsked(study.id, "why"),
            SessionStopped(session, 402, "not heard", study.parties[0], ""),
        )
    )
    stage.restart(name) if event is None else stage.handle(name, event)
