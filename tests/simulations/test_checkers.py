"""Each invariant is broken on purpose, by the least that breaks it, and named."""

import pytest

from nodes.core.effects import ResumeSession, Send, SessionOrder, StartSession
from p2pmpc.address import make_address
from p2pmpc.messages import Address, Entries, Frontier
from p2pmpc.record import Answered, Head, Ready, Released, author_entry
from simulations.chance import Chance
from simulations.checkers import INVARIANTS, NOT_YET, Checkers, Step, Violation
from simulations.inhabitant import make_key_pair
from simulations.memory import Library, MemoryStore
from simulations.plan import draw_plan
from simulations.scenario import Scenario
from simulations.world import make_world

SESSION = bytes([7]) * 32


class Scene:
    """Two founded nodes of a small world and a checker of their own."""

    def __init__(self):
        plan = draw_plan(Scenario(2, 1, "ring", 1, 0, (), 0, None))
        self.world = make_world(plan)
        while not all(node.core for node in self.world.nodes) or self.world.spread.missing:
            self.world.step()
        self.checkers = Checkers(frozenset())
        self.checkers.parties[SESSION] = ("n0000", "n0001")

    def write(self, node, kind, content, store=True):
        """An entry in a node's feed; returns its volume."""
        one = self.world.nodes[node]
        signed, body = author_entry(
            signer=one.signer,
            roster=one.core.feeds.roster,
            name=one.name,
            head=one.store.head(one.name),
            kind=kind,
            content=content,
            heads={a: h for a, h in one.store.heads().items() if a != one.name},
            unix_ms=0,
            salt=bytes(16),
        )
        if store:
            one.store.append([(signed, body)])
        return signed, body, one.store.volume(signed)

    def look(self, node, stored=(), effects=(), store=None):
        one = self.world.nodes[node]
        self.checkers.look(Step(one.name, 0, store or one.store, tuple(effects), tuple(stored)))


@pytest.fixture
def scene():
    return Scene()


def released(certificate=b"certificate"):
    return Released(SESSION, certificate, (bytes(64), bytes(64)))


def ready(key, attempt):
    return Ready("study", attempt, 0, bytes(32), bytes(32), key, bytes(32))


def broken(invariant):
    return pytest.raises(Violation, match=f"^{invariant}: ")


def test_an_answer_before_everybodys_record_is_found(scene):
    scene.look(0, [scene.write(0, "released", released())[2]])
    with broken("no_answer_without_n_records"):
        scene.look(0, [scene.write(0, "answered", Answered(SESSION, bytes(32)))[2]])
    scene.look(1, [scene.write(1, "released", released())[2]])
    scene.look(0, [scene.write(0, "answered", Answered(SESSION, bytes(32)))[2]])


def test_an_answer_of_a_session_that_nobody_started_is_found(scene):
    with broken("no_answer_without_n_records"):
        scene.checkers.opened(bytes(32))


def test_two_certificates_of_one_session_are_found(scene):
    scene.look(0, [scene.write(0, "released", released())[2]])
    with broken("one_certificate_per_session"):
        scene.look(1, [scene.write(1, "released", released(b"another"))[2]])


def test_a_second_history_is_found_at_whichever_store_it_turns_up(scene):
    first = scene.write(0, "answered", Answered(SESSION, bytes(32)), store=False)[2]
    second = scene.write(0, "released", released(), store=False)[2]
    other = MemoryStore(Library())
    scene.checkers._one_head(Step("n0000", 0, other, (), (first,)), first)
    with broken("no_fork_by_an_honest_node"):
        scene.checkers._one_head(Step("n0001", 0, other, (), (second,)), second)


def order(keys, secret, session=SESSION):
    return SessionOrder(session, "study", ("n0000", "n0001"), ("n0000",), keys, secret)


def test_a_session_that_starts_again_or_with_another_attempts_key_is_found(scene):
    from p2pmpc.certificate import session_hash

    keys, hashes = {}, []
    for node in (0, 1):
        secret, public = make_key_pair(Chance(node, "key").bytes(32))
        volume = scene.write(node, "ready", ready(public, 1))[2]
        scene.look(node, [volume])
        keys[node] = (secret, public)
        hashes.append(volume.hash)
    session = session_hash(hashes)
    good = order({"n0001": keys[1][1]}, keys[0][0], session)
    scene.look(0, effects=[StartSession(good)])
    with broken("no_share_of_one_attempt_in_another"):
        scene.look(0, effects=[StartSession(good)])
    with broken("no_share_of_one_attempt_in_another"):  # a key that nobody announced
        bad = order({"n0000": keys[0][1]}, bytes([9]) * 32, session)
        scene.look(1, effects=[StartSession(bad)])


def test_an_answer_that_another_than_a_recipient_read_is_found(scene):
    scene.checkers.recipients[SESSION] = ("n0001",)
    for node in (0, 1):
        scene.look(node, [scene.write(node, "released", released())[2]])
    scene.look(1, [scene.write(1, "answered", Answered(SESSION, bytes(32)))[2]])
    with broken("results_only_at_recipients"):
        scene.look(0, [scene.write(0, "answered", Answered(SESSION, bytes(32)))[2]])


@pytest.mark.parametrize("second", [0, 1])
def test_a_key_that_was_announced_before_is_found_whoever_announces_it_again(scene, second):
    key = make_key_pair(bytes([3]) * 32)[1]
    scene.look(0, [scene.write(0, "ready", ready(key, 1))[2]])
    with broken("no_share_of_one_attempt_in_another"):
        scene.look(second, [scene.write(second, "ready", ready(key, 2))[2]])


def test_an_address_that_its_member_never_gave_is_found(scene):
    victim, other = scene.world.nodes
    network, now_ms = victim.core.feeds.roster.network, scene.world.now_ms
    own = victim.core.book.records[victim.name]
    scene.checkers.issues(0, victim.name, victim.core.book)
    other.core.book.records[victim.name] = own
    scene.checkers.heard(0, other.name, other.core.book, Address((own,)))
    forged = make_address(other.signer, network, victim.name, "10.9.9.9:1", now_ms)
    other.core.book.records[victim.name] = forged
    with broken("no_address_that_nobody_gave"):
        scene.checkers.heard(0, other.name, other.core.book, Address((forged,)))


def test_what_a_liar_signs_twice_breaks_nothing(scene):
    scene.checkers.liars = frozenset({"n0000"})
    first = scene.write(0, "answered", Answered(SESSION, bytes(32)), store=False)[2]
    second = scene.write(0, "released", released(), store=False)[2]
    for volume in (first, second):
        scene.checkers._one_head(Step("n0001", 0, MemoryStore(Library()), (), (volume,)), volume)
    assert not scene.checkers.counts["no_fork_by_an_honest_node"]


def test_an_entry_placed_before_what_it_had_read_is_found(scene):
    _, _, volume = scene.write(0, "answered", Answered(SESSION, bytes(32)))
    with broken("causal_order"):
        scene.look(1, [volume], store=MemoryStore(Library()))


def test_what_leaves_before_it_is_stored_is_found(scene):
    signed, body, _ = scene.write(0, "released", released(), store=False)
    with broken("nothing_sent_before_stored"):
        scene.look(0, effects=[Send("n0001", Entries(((signed, body),)))])
    head: Head = scene.world.nodes[0].store.head("n0000")
    scene.look(0, effects=[Send("n0001", Frontier((("n0000", head.seq, head.hash),)))])
    with broken("nothing_sent_before_stored"):
        ahead = Frontier((("n0000", head.seq + 1, bytes(32)),))
        scene.look(0, effects=[Send("n0001", ahead)])


def test_a_session_resumed_without_its_certificate_on_disk_is_found(scene):
    resumed = ResumeSession(SESSION, b"certificate", (bytes(64), bytes(64)))
    with broken("nothing_sent_before_stored"):
        scene.look(0, effects=[resumed])
    scene.look(0, [scene.write(0, "released", released())[2]], [resumed])


def test_every_invariant_is_named_in_the_head_of_its_module():
    import simulations.checkers as module

    assert all(name in module.__doc__ for name in (*INVARIANTS, *NOT_YET))
