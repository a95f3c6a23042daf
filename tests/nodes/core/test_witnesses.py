"""A node that starts again compares its own feed with others' before it writes."""

import importlib.util
import pathlib

import msgspec
import pytest

from nodes.core.effects import (
    Append,
    Connect,
    DatasetAdded,
    Emit,
    LinkLost,
    LinkMade,
    Received,
    Remember,
    Send,
    SetTimer,
    TimerFired,
)
from nodes.core.feeds import Feeds
from nodes.core.node import Core
from nodes.core.witnesses import AWAY_WAITS, HELD_MAX
from nodes.store.record import RecordStore
from nodes.store.replay import Replay
from nodes.store.roster import recall_roster
from nodes.wiring import make_key_pair
from p2pmpc.errors import WrongUsage
from p2pmpc.messages import Entries, Frontier, Want
from p2pmpc.record import Recovered

spec = importlib.util.spec_from_file_location(
    "witness_scene", pathlib.Path(__file__).with_name("conftest.py")
)
scene = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scene)

WAIT_S = 20.0


def add(world, name, units="years"):
    world.handle(name, DatasetAdded(scene.dictionary(units), bytes(32)))


def copy_of(world, name):
    """The member's store as a backup holds it: entries and notes."""
    store = world.stores[name]
    return [
        (author, store.entries(author, 0, head.seq)) for author, head in store.heads().items()
    ], store.recall("roster")


def die(world, name):
    """The process ends; its peers notice, and what was on the way to it is lost."""
    world.mail = [item for item in world.mail if item[1] != name]
    for peer in sorted(set(world.cores) - {name}):
        world.handle(peer, LinkLost(name, "cut"))


def begin(world, name, clean=False, wait_s=WAIT_S):
    """A new process on the member's store."""
    old, store = world.cores[name], world.stores[name]
    feeds = Feeds(name, old.signer, old.randomness, store)
    settings = msgspec.structs.replace(old.settings, restore_wait_s=wait_s)
    core = Core(name, settings, feeds, old.signer, old.randomness, make_key_pair, old.policy)
    core.feeds.roster, core.feeds.heads = recall_roster(store), store.heads()
    world.cores[name] = core
    world.told[name] = []
    carry_out(world, name, core.restore(world.now_ms, Replay(store), clean))
    return core


def carry_out(world, name, effects):
    for effect in effects:
        if isinstance(effect, Append):
            world.stores[name].append(effect.entries)
        elif isinstance(effect, Remember):
            world.stores[name].remember(effect.key, effect.value)
        elif isinstance(effect, Send):
            world.mail.append((name, effect.peer, effect.message))
    world.told[name] += effects


def put_back(world, name, backup, tmp_path):
    """The member's disk is as the backup had it."""
    feeds, roster = backup
    world.stores[name].close()
    world.stores[name] = RecordStore(tmp_path / f"{name}-restored.sqlite")
    world.stores[name].remember("roster", roster)
    everything = [pair for _, entries in feeds for pair in entries]
    everything.sort(key=lambda pair: pair[0].read().lamport)
    world.stores[name].append(everything)


def link(world, name, *peers):
    for peer in peers:
        world.handle(name, LinkMade(peer))
        world.handle(peer, LinkMade(name))
    world.deliver()


def kinds(world, name):
    head = world.stores[name].head(name)
    return [signed.read().kind for signed, _ in world.stores[name].entries(name, 0, head.seq)]


def told(world, name, event):
    return [e.text for e in world.effects(name, Emit) if e.event == event]


def restored(world, tmp_path, peers=("north", "south")):
    """east's store goes back in time by two entries that its peers have read."""
    add(world, "east")
    world.deliver()
    backup = copy_of(world, "east")
    add(world, "east", "months")
    add(world, "east", "days")
    world.deliver()
    die(world, "east")
    put_back(world, "east", backup, tmp_path)
    return begin(world, "east")


def test_a_store_that_went_back_in_time_is_completed_before_anything_is_written(world, tmp_path):
    core = restored(world, tmp_path)
    assert core.recovering
    add(world, "east", "weeks")
    assert kinds(world, "east") == ["genesis", "dataset"], "what was asked waits"
    link(world, "east", "north")
    assert not core.recovering
    assert kinds(world, "east") == ["genesis", *["dataset"] * 3, "recovered", "dataset"]
    link(world, "east", "south")
    assert not any(core.feeds.forks for core in world.cores.values())
    heads = [core.feeds.heads for core in world.cores.values()]
    assert heads[0] == heads[1] == heads[2]
    assert world.cores["south"].dictionaries["east"]["lung"] == scene.dictionary("weeks")


def test_the_recovered_entry_says_where_the_fetched_feed_ended(world, tmp_path):
    core = restored(world, tmp_path)
    link(world, "east", "south")
    signed, body = world.stores["east"].entries("east", 4, 4)[0]
    content = core.feeds.reading.content(signed.read(), body)
    assert isinstance(content, Recovered)
    assert (content.seq, content.hash) == (3, signed.read().prev)
    assert told(world, "east", "recovered") == ["2 entries of east were fetched from other members"]


def test_without_the_comparison_the_same_store_would_have_forked_its_owner(world, tmp_path):
    """What the others guard against: the test that they cannot pass by accident."""
    restored(world, tmp_path)
    begin(world, "east", wait_s=0.0)
    add(world, "east", "weeks")
    link(world, "east", "north", "south")
    assert set(world.cores["north"].feeds.forks) == {"east"}


def test_a_store_that_is_complete_goes_on_at_the_first_word_of_a_peer(world):
    add(world, "east")
    world.deliver()
    die(world, "east")
    core = begin(world, "east")
    add(world, "east", "months")
    assert core.recovering
    link(world, "east", "north")
    assert not core.recovering
    assert kinds(world, "east") == ["genesis", "dataset", "dataset"]


def test_a_network_of_more_than_three_asks_two(tmp_path):
    world = scene.make_world(tmp_path, ("east", "north", "south", "west"))
    add(world, "east")
    world.deliver()
    die(world, "east")
    core = begin(world, "east")
    link(world, "east", "north")
    assert core.recovering
    link(world, "east", "west")
    assert not core.recovering
    for store in world.stores.values():
        store.close()


def test_one_peer_of_two_is_enough_when_the_wait_is_over(tmp_path):
    world = scene.make_world(tmp_path, ("east", "north", "south", "west"))
    world.deliver()
    die(world, "east")
    core = begin(world, "east")
    link(world, "east", "north")
    world.handle("east", TimerFired("restore"))
    assert not core.recovering
    for store in world.stores.values():
        store.close()


def test_the_second_peer_may_know_more_than_the_first(tmp_path):
    world = scene.make_world(tmp_path, ("east", "north", "south", "west"))
    world.deliver()
    backup = copy_of(world, "east")
    world.handle("east", LinkLost("north", "cut"))
    add(world, "east")
    world.deliver()
    die(world, "east")
    put_back(world, "east", backup, tmp_path)
    core = begin(world, "east")
    north = world.cores["north"].feeds.frontier()
    assert {a: s for a, s, _ in north.heads}["east"] == 0
    world.handle("east", LinkMade("north"))
    world.handle("east", Received("north", north))
    assert core.recovering
    link(world, "east", "west")
    assert not core.recovering
    assert kinds(world, "east") == ["genesis", "dataset", "recovered"]
    for store in world.stores.values():
        store.close()


@pytest.mark.parametrize("clean", [True, False])
def test_alone_a_node_goes_on_only_if_its_store_was_closed_on_purpose(world, clean):
    add(world, "east")
    world.deliver()
    die(world, "east")
    core = begin(world, "east", clean)
    assert world.timers("east")["restore"] == WAIT_S
    world.handle("east", TimerFired("restore"))
    assert core.recovering is not clean
    if not clean:
        assert "waiting for any other member" in told(world, "east", "recovering")[0]
        world.handle("east", TimerFired("restore"))
        assert len(told(world, "east", "recovering")) == 1, "said once"
        assert core.recovering


def test_meanwhile_the_node_dials_compares_and_starts_nothing_else(world):
    world.deliver()
    die(world, "east")
    begin(world, "east")
    assert world.told["east"] == [
        Connect(("north", "south")),
        SetTimer("gossip", 1.0),
        SetTimer("restore", WAIT_S),
    ]


def test_a_peer_that_claims_more_than_it_shows_is_named_and_not_waited_for(world):
    add(world, "east")
    world.deliver()
    die(world, "east")
    core = begin(world, "east")
    world.handle("east", LinkMade("south"))
    world.handle("east", Received("south", Frontier((("east", 2**40, bytes(32)),))))
    world.handle("east", LinkMade("north"))
    world.handle("east", Received("north", world.cores["north"].feeds.frontier()))
    assert core.recovering, "it may be true"
    world.handle("east", TimerFired("restore"))
    assert not core.recovering
    assert told(world, "east", "recovering") == [
        "south claims to hold more of this member's record than it shows"
    ]


def test_a_peer_that_claims_more_and_is_gone_is_waited_for(world):
    add(world, "east")
    world.deliver()
    die(world, "east")
    core = begin(world, "east", clean=True)
    world.handle("east", LinkMade("south"))
    world.handle("east", Received("south", Frontier((("east", 2, bytes(32)),))))
    world.handle("east", LinkLost("south", "cut"))
    for _ in range(3):
        world.handle("east", TimerFired("restore"))
    assert core.recovering
    assert "waiting for south" in told(world, "east", "recovering")[0]


def test_a_peer_that_claims_more_and_comes_and_goes_is_not_waited_for_for_ever(world):
    add(world, "east")
    world.deliver()
    die(world, "east")
    core = begin(world, "east", clean=True)
    for _ in range(AWAY_WAITS):
        assert core.recovering
        world.handle("east", LinkMade("south"))
        world.handle("east", Received("south", Frontier((("east", 2**40, bytes(32)),))))
        world.handle("east", LinkLost("south", "cut"))
        world.handle("east", TimerFired("restore"))
    assert not core.recovering


def test_a_flood_that_is_taken_first_does_not_make_a_restored_node_fork_itself(world, tmp_path):
    """North shows one own entry at once; the others' many entries before it take their time."""
    core = restored(world, tmp_path)
    world.handle("east", LinkMade("north"))
    frontier = world.cores["north"].feeds.frontier()
    effects = world.handle("east", Received("north", frontier))
    assert Send("north", Want("east", 2, 2)) in effects
    for number in range(5):
        add(world, "south", f"unit {number}")
    world.mail.clear()
    late = world.stores["north"].entries("east", 3, 3)
    world.handle("east", Received("north", Entries(tuple(late))))
    for _ in range(3 * AWAY_WAITS):
        world.handle("east", TimerFired("restore"))
    assert core.recovering
    assert told(world, "east", "recovering") == [
        "waiting for north: east's record is compared before anything is written"
    ]
    link(world, "east", "north")
    assert not core.recovering
    assert not any(core.feeds.forks for core in world.cores.values())


def test_every_peer_that_is_linked_is_heard_before_a_restored_node_goes_on(world, tmp_path):
    """South hides what it holds and speaks first; north is linked already."""
    core = restored(world, tmp_path)
    world.handle("east", LinkMade("north"))
    world.handle("east", LinkMade("south"))
    world.handle("east", Received("south", Frontier((("east", 1, bytes(32)),))))
    assert core.recovering
    link(world, "east", "north", "south")
    assert kinds(world, "east") == ["genesis", *["dataset"] * 3, "recovered"]


def test_requests_past_their_limit_are_refused_with_what_to_do(world):
    world.deliver()
    die(world, "east")
    begin(world, "east")
    for _ in range(HELD_MAX):
        add(world, "east")
    with pytest.raises(WrongUsage, match="still compares its record"):
        add(world, "east")


def test_a_study_that_came_meanwhile_is_decided_after_the_comparison(world, study):
    scene.add_data(world)
    world.deliver()
    die(world, "east")
    core = begin(world, "east")
    scene.propose(world, "north", study)
    world.mail = [item for item in world.mail if item[1] != "east"]
    ((signed, body),) = world.stores["north"].entries("north", 2, 2)
    world.handle("east", LinkMade("north"))
    world.handle("east", Received("north", Entries(((signed, body),))))
    assert study.id in core.cases
    assert kinds(world, "east") == ["genesis", "dataset"]
    world.deliver()
    link(world, "east", "north", "south")
    assert kinds(world, "east")[:3] == ["genesis", "dataset", "consent"]
    assert not any(core.feeds.forks for core in world.cores.values())


def test_a_roster_without_any_entry_of_ones_own_is_taken_up_where_it_was_left(tmp_path):
    """The process died between the roster and the genesis."""
    world = scene.make_world(tmp_path, ("east", "north"))
    world.mail.clear()
    put_back(world, "east", ([], world.stores["east"].recall("roster")), tmp_path)
    world.cores["north"].feeds.heads.pop("east", None)
    core = begin(world, "east")
    world.handle("east", LinkMade("north"))
    world.handle("east", Received("north", world.cores["north"].feeds.frontier()))
    assert not core.recovering
    assert kinds(world, "east") == ["genesis"]
    for store in world.stores.values():
        store.close()


def test_a_store_is_clean_only_after_it_was_closed(tmp_path):
    path = tmp_path / "record.sqlite"
    store = RecordStore(path)
    assert not store.clean
    store.close()
    store = RecordStore(path)
    assert store.clean
    assert store.recall("closed") == b"no", "a process that dies now leaves it unclean"
    store.close()
