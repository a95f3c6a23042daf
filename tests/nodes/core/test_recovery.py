"""A core that starts again on its record: nothing is written twice or runs on without keys."""

import importlib.util
import pathlib

import pytest

from nodes.core.effects import (
    Append,
    Connect,
    LinkMade,
    PolicySet,
    Received,
    SessionPaused,
    SetTimer,
    StartSession,
)
from nodes.core.feeds import Feeds, Known
from nodes.core.node import Core
from nodes.wiring import make_key_pair
from p2pmpc.codec import digest
from p2pmpc.policy import Policy, Rules
from p2pmpc.record import read_content

spec = importlib.util.spec_from_file_location(
    "core_scene", pathlib.Path(__file__).with_name("conftest.py")
)
scene = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scene)
add_data, dictionary, propose = scene.add_data, scene.dictionary, scene.propose


def stored(store):
    """All that a store holds, in causal order."""
    found = []
    for author, head in store.heads().items():
        for signed, body in store.entries(author, 0, head.seq):
            entry = signed.read()
            name = digest("p2pmpc/entry-hash/1", signed.entry)
            found.append(Known(entry, name, read_content(entry.kind, body)))
    return sorted(found, key=lambda k: (k.entry.lamport, k.entry.author, k.entry.seq))


def restart(world, name):
    """The process of one member dies and starts again on its record; returns its first effects."""
    old, store = world.cores[name], world.stores[name]
    feeds = Feeds(name, old.signer, old.randomness, store)
    feeds.roster, feeds.heads = old.feeds.roster, store.heads()
    core = Core(name, old.settings, feeds, old.signer, old.randomness, make_key_pair, old.policy)
    world.cores[name] = core
    world.mail = [item for item in world.mail if item[1] != name]
    world.told[name] = core.restore(world.now_ms, stored(store))
    for effect in world.told[name]:
        if isinstance(effect, Append):
            store.append(effect.entries)
    return world.told[name]


def link(world, name):
    for peer in sorted(set(world.cores) - {name}):
        world.handle(name, LinkMade(peer))
        world.handle(peer, LinkMade(name))
    world.deliver()


def kinds(world, name):
    head = world.stores[name].head(name)
    return [signed.read().kind for signed, _ in world.stores[name].entries(name, 0, head.seq)]


def test_a_restart_before_any_study_writes_nothing_and_knows_its_data(world):
    add_data(world)
    world.deliver()
    effects = restart(world, "east")
    assert effects == [Connect(("north", "south")), SetTimer("gossip", 1.0)]
    core = world.cores["east"]
    assert core.commitments == {"lung": bytes(32)}
    assert set(core.dictionaries) == {"east", "north", "south"}
    assert core.dictionaries["south"]["lung"] == dictionary()


def test_a_study_that_waits_for_others_is_neither_consented_twice_nor_lost(world, study):
    add_data(world)
    world.deliver()
    propose(world, "north", study)
    world.deliver(lose=lambda item: item[0] == "south")  # south's consent stays away
    assert world.state("east", study) == "proposed"
    restart(world, "east")
    assert kinds(world, "east") == ["genesis", "dataset", "consent"]
    assert world.state("east", study) == "proposed"
    link(world, "east")
    link(world, "south")
    assert {world.state(name, study) for name in world.cores} == {"computing"}


def test_a_consent_that_was_never_given_is_given_after_the_restart(world, study):
    add_data(world)
    world.deliver()
    propose(world, "north", study)
    store = world.stores["east"]
    (entries,) = {m.entries for _, to, m in world.mail if to == "east"}
    store.append(entries[:1])  # the study is stored, and the process dies before it has consented
    restart(world, "east")
    assert kinds(world, "east") == ["genesis", "dataset", "consent"]


@pytest.mark.parametrize("paused", [False, True])
def test_an_attempt_that_died_with_its_process_is_ended_by_name_and_not_started_again(
    world, study, paused
):
    add_data(world)
    propose(world, "north", study)
    world.deliver()
    session = world.cores["east"].cases[study.id].session
    assert session
    if paused:
        world.handle("east", SessionPaused(session, "checked", {"transcript": bytes(32)}))
    before = kinds(world, "east")
    effects = restart(world, "east")
    assert not [effect for effect in effects if isinstance(effect, StartSession)]
    assert kinds(world, "east") == [*before, "ended"]
    assert world.state("east", study) == "failed"
    link(world, "east")
    for name in ("north", "south"):
        assert world.state(name, study) == "failed"
        assert (
            "east was started again during the run" in world.cores[name].cases[study.id].ended.why
        )


def test_what_a_node_writes_after_a_restart_follows_its_own_feed(world, study):
    add_data(world)
    propose(world, "north", study)
    world.deliver()
    restart(world, "east")
    link(world, "east")
    assert not any(core.feeds.forks for core in world.cores.values())
    heads = [core.feeds.heads for core in world.cores.values()]
    assert heads[0] == heads[1] == heads[2]


def test_a_study_that_was_over_is_over_after_a_restart(world, study):
    world.handle("east", PolicySet(Policy(Rules(decide="refuse"), ())))
    add_data(world)
    propose(world, "north", study)
    world.deliver()
    before = world.state("east", study), kinds(world, "east")
    assert before[0] == "refused"
    restart(world, "east")
    assert (world.state("east", study), kinds(world, "east")) == before


def test_a_restart_reads_again_what_others_say(world, study):
    add_data(world)
    restart(world, "east")
    propose(world, "north", study)
    for _, to, message in [item for item in world.mail if item[1] == "east"]:
        world.handle(to, Received("north", message))
    link(world, "east")
    assert world.state("east", study) == "computing"
