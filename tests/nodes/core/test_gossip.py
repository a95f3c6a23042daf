"""How records are compared: what it costs, how fast news spread, what liars and floods get."""

import importlib.util
import pathlib
import random

import pytest

from nodes.core import feeds as feeds_module
from nodes.core import gossip as gossip_module
from nodes.core.effects import (
    DatasetAdded,
    Emit,
    LinkLost,
    LinkMade,
    Received,
    Send,
    SetTimer,
    TimerFired,
)
from nodes.core.feeds import MARKS_MAX, NEWS_BYTES_MAX
from nodes.core.gossip import ASK_BYTES, REFUSED_MAX, SERVED_BYTES_MAX
from p2pmpc.errors import SplitView
from p2pmpc.messages import Entries, ForkNotice, Frontier, Want
from p2pmpc.record import SEQ_MAX, ForkProof, Head, SignedEntry, Withheld, author_entry, entry_hash

spec = importlib.util.spec_from_file_location(
    "gossip_scene", pathlib.Path(__file__).with_name("conftest.py")
)
scene = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scene)


class CountingShelf:
    """A store that counts how often it is read."""

    def __init__(self, store):
        self.store, self.reads = store, 0

    def entries(self, author, first, last):
        self.reads += 1
        return self.store.entries(author, first, last)


def test_a_frontier_that_is_ones_own_reads_nothing_from_the_store(world):
    scene.add_data(world)
    world.deliver()
    feeds = world.cores["east"].feeds
    feeds.shelf = shelf = CountingShelf(feeds.shelf)
    assert feeds.news_for(world.cores["north"].feeds.frontier(), NEWS_BYTES_MAX).batches == []
    assert shelf.reads == 0


def test_an_entry_that_is_here_is_not_checked_again_whatever_signature_comes_with_it(world):
    scene.add_data(world)
    world.deliver()
    before = dict(world.cores["east"].feeds.heads)
    ((signed, body),) = world.stores["east"].entries("north", 1, 1)
    again = SignedEntry(signed.entry, bytes(64))
    effects = world.handle("east", Received("south", Entries(((again, body),))))
    assert not [effect for effect in effects if isinstance(effect, Emit)]
    assert effects == []
    assert world.cores["east"].feeds.heads == before
    assert world.stores["east"].entries("north", 1, 1) == [(signed, body)]


def test_marks_beyond_their_limit_are_read_from_the_store_again(world, monkeypatch):
    assert MARKS_MAX > 4
    monkeypatch.setattr(feeds_module, "MARKS_MAX", 4)
    scene.add_data(world)
    world.deliver()
    for core in world.cores.values():
        assert len(core.feeds.marks) <= 4
        assert len(core.feeds.marked) <= 4
    heads = [core.feeds.heads for core in world.cores.values()]
    assert len(heads[0]) == 3
    assert heads[0] == heads[1] == heads[2]
    feeds = world.cores["east"].feeds
    feeds.marks.clear()
    assert feeds.news_for(world.cores["north"].feeds.frontier(), NEWS_BYTES_MAX).batches == []


# ---- spreading -----------------------------------------------------------------------------------


def hand(world, receiver, sender, message):
    return world.handle(receiver, Received(sender, message))


def sent(effects, kind, peer=None):
    return [
        effect.message
        for effect in effects
        if isinstance(effect, Send)
        and isinstance(effect.message, kind)
        and peer in {None, effect.peer}
    ]


def told(world, name, event):
    return [effect.text for effect in world.effects(name, Emit) if effect.event == event]


def cut(world, first, second):
    world.handle(first, LinkLost(second, "cut"))
    world.handle(second, LinkLost(first, "cut"))


def run_timers(world, *names):
    """The timers of these names fire at every node that has set them, and mail is delivered."""
    for name in sorted(world.cores):
        for timer in names:
            world.handle(name, TimerFired(timer))
    world.deliver()


def heads(world):
    return [core.feeds.heads for core in world.cores.values()]


def test_what_is_news_is_spread_within_moments_to_who_is_not_linked_to_its_author(world):
    world.deliver()
    cut(world, "east", "south")
    scene.add_data(world)
    world.deliver()
    assert "east" not in world.cores["south"].dictionaries
    assert 0.1 <= world.timers("north")["spread"] <= 0.3
    world.handle("north", TimerFired("spread"))
    world.deliver()
    assert "east" in world.cores["south"].dictionaries
    assert "south" in world.cores["east"].dictionaries
    first, *rest = heads(world)
    assert all(one == first for one in rest)


def test_one_timer_spreads_all_news_of_its_time(world):
    world.deliver()
    before = len([e for e in world.effects("north", SetTimer) if e.name == "spread"])
    scene.add_data(world)
    world.deliver()
    after = len([e for e in world.effects("north", SetTimer) if e.name == "spread"])
    assert after - before <= 1


def test_spreading_reaches_some_peers_only_in_a_large_network(tmp_path):
    names = tuple(f"member{k}" for k in range(8))
    world = scene.make_world(tmp_path, names)
    world.deliver()
    world.cores["member0"].randomness = random.Random(7).randbytes
    effects = world.handle("member0", TimerFired("spread"))
    assert len(sent(effects, Frontier)) == 3
    chosen = set()
    for _ in range(20):
        chosen |= {e.peer for e in world.handle("member0", TimerFired("spread")) if type(e) is Send}
    assert len(chosen) == 7, "another time others are chosen"
    for store in world.stores.values():
        store.close()


def test_two_frontiers_that_know_the_same_end_the_talk(world):
    scene.add_data(world)
    world.deliver()
    same = world.cores["north"].feeds.frontier()
    assert hand(world, "east", "north", same) == []
    assert hand(world, "north", "east", same) == []


def test_whoever_hears_that_others_know_more_asks_once_until_something_came(world):
    world.deliver()
    ahead = Frontier((("north", 7, b"h" * 32),))
    first = hand(world, "east", "north", ahead)
    assert sent(first, Frontier) == [world.cores["east"].feeds.frontier()]
    assert not sent(hand(world, "east", "north", ahead), Frontier)
    world.handle("east", TimerFired("gossip"))
    assert sent(hand(world, "east", "north", ahead), Frontier)


def test_a_long_absence_is_made_up_run_by_run_without_waiting_for_the_next_interval(
    world, monkeypatch
):
    monkeypatch.setattr(gossip_module, "NEWS_BYTES_MAX", 4_000)
    world.deliver()
    for peer in ("north", "south"):
        cut(world, "east", peer)
    for k in range(60):
        world.handle("north", DatasetAdded(scene.dictionary(), bytes([k]) * 32))
        if k % 3 == 0:
            world.handle("south", DatasetAdded(scene.dictionary(), bytes([k]) * 32))
            world.deliver()
    world.handle("east", LinkMade("north"))
    world.handle("north", LinkMade("east"))
    world.deliver()
    assert world.cores["east"].feeds.heads == world.cores["north"].feeds.heads
    assert world.cores["east"].feeds.waiting == {}, (
        "news come in the order in which they are placed"
    )
    runs = [m for m in sent(world.told["north"], Entries, "east") if len(m.entries) > 1]
    assert len(runs) > 5


def test_a_lost_message_is_made_good_by_the_regular_comparison(world):
    world.deliver()
    scene.add_data(world)
    world.deliver(lose=lambda item: item[0] == "north")
    assert "north" not in world.cores["east"].dictionaries
    run_timers(world, "gossip")
    first, *rest = heads(world)
    assert all(one == first for one in rest)


# ---- wants ---------------------------------------------------------------------------------------


def test_a_range_is_given_as_far_as_it_is_here(world):
    scene.add_data(world)
    world.deliver()
    (batch,) = sent(hand(world, "east", "south", Want("north", 0, 2**40)), Entries)
    assert [signed.read().seq for signed, _ in batch.entries] == [0, 1]
    assert all(body is not None for _, body in batch.entries)
    assert not sent(hand(world, "east", "south", Want("north", 2, 2**40)), Entries)
    assert not sent(hand(world, "east", "south", Want("nobody", 0, 5)), Entries)
    assert not sent(hand(world, "east", "south", Want("north", 5, 1)), Entries)


def test_a_body_that_was_left_out_on_the_way_is_asked_of_its_author(world):
    world.deliver()
    world.handle("north", DatasetAdded(scene.dictionary(), bytes(32)))
    world.mail.clear()
    ((signed, _),) = world.stores["north"].entries("north", 1, 1)
    effects = hand(world, "east", "south", Entries(((signed, None),)))
    assert [(e.peer, e.message) for e in effects] == [("north", Want("north", 1, 1))]
    world.deliver()
    assert "north" in world.cores["east"].dictionaries


def test_a_body_that_its_author_has_erased_stays_away_and_nobody_is_asked_again(world):
    world.deliver()
    world.handle("north", DatasetAdded(scene.dictionary(), bytes(32)))
    world.mail.clear()
    ((signed, body),) = world.stores["north"].entries("north", 1, 1)
    world.stores["north"].erase_body(signed.read().body_hash)
    hand(world, "east", "south", Entries(((signed, None),)))
    world.deliver()
    assert world.stores["east"].entries("north", 1, 1) == [(signed, None)]
    assert not sent(hand(world, "east", "south", Entries(((signed, body),))), Want)
    assert world.stores["east"].entries("north", 1, 1) == [(signed, None)]


# ---- against peers who lie, flood or ask for everything ------------------------------------------


@pytest.mark.parametrize(
    "lie",
    [
        Frontier((("north", SEQ_MAX, b"h" * 32),)),
        Frontier((("nobody", 3, b"h" * 32),)),
        Frontier((("east", 0, b"h" * 32), ("north", 0, b"h" * 32))),
        Frontier(tuple((f"n{k:03}", 5, b"h" * 32) for k in range(256))),
    ],
    ids=["a number out of reach", "a stranger's feed", "wrong hashes", "256 strangers"],
)
def test_a_lying_frontier_costs_one_answer_and_changes_nothing(world, lie):
    scene.add_data(world)
    world.deliver()
    before = dict(world.cores["east"].feeds.heads)
    answers = [hand(world, "east", "south", lie) for _ in range(20)]
    assert len(sent(answers[0], Frontier)) <= 1
    assert all(len(answer) == 0 for answer in answers[1:])
    assert world.cores["east"].feeds.heads == before
    assert world.cores["east"].feeds.waiting == {}
    scene.add_data(world, {name: scene.dictionary("months") for name in world.cores})
    world.deliver()
    assert world.cores["east"].feeds.heads == world.cores["north"].feeds.heads


def test_a_peer_that_asks_for_everything_all_the_time_gets_its_share_an_interval(
    world, monkeypatch
):
    scene.add_data(world)
    world.deliver()
    budget = 3 * ASK_BYTES
    assert budget < SERVED_BYTES_MAX
    monkeypatch.setattr(gossip_module, "SERVED_BYTES_MAX", budget)
    world.handle("east", TimerFired("gossip"))
    asked = [hand(world, "east", "south", Want("north", 0, 100)) for _ in range(10)] + [
        hand(world, "east", "south", Frontier((("north", k, bytes(32)),))) for k in range(10)
    ]
    assert 0 < sum(bool(sent(answer, Entries)) for answer in asked) <= 3
    assert sent(hand(world, "east", "north", Want("south", 0, 9)), Entries), "others are served"
    world.handle("east", TimerFired("gossip"))
    assert sent(hand(world, "east", "south", Want("north", 0, 100)), Entries)


def test_a_new_link_buys_no_new_share(world, monkeypatch):
    scene.add_data(world)
    world.deliver()
    monkeypatch.setattr(gossip_module, "SERVED_BYTES_MAX", 2 * ASK_BYTES)
    world.handle("east", TimerFired("gossip"))
    served = 0
    for _ in range(10):
        cut(world, "east", "south")
        world.handle("east", LinkMade("south"))
        served += len(sent(hand(world, "east", "south", Frontier(())), Entries))
    assert served == 1


def test_a_flood_of_wrong_entries_is_not_checked_past_its_limit(world):
    scene.add_data(world)
    world.deliver()
    ((signed, body),) = world.stores["north"].entries("north", 1, 1)
    wrong = SignedEntry(signed.entry[:-1] + bytes([signed.entry[-1] ^ 1]), bytes(64))
    for _ in range(3):
        hand(world, "east", "south", Entries(((wrong, body),) * REFUSED_MAX))
    assert len(told(world, "east", "entry refused")) == REFUSED_MAX + 1
    world.handle("north", DatasetAdded(scene.dictionary("months"), bytes(32)))
    world.deliver()
    assert world.cores["east"].dictionaries["north"]["lung"] == scene.dictionary("months")


def test_what_waits_of_one_author_is_counted_in_bytes_without_adding_it_up_again(world):
    scene.add_data(world)
    world.deliver()
    feeds = world.cores["north"].feeds
    later = [feeds.write("withheld", Withheld(bytes(32), "x"), 1)[:2] for _ in range(5)]
    hand(world, "east", "north", Entries(tuple(later[1:])))
    kept = world.cores["east"].feeds
    assert kept.waiting_bytes["north"] == sum(
        feeds_module._weight(*filed) for filed in kept.waiting["north"].values()
    )
    hand(world, "east", "north", Entries(tuple(later[:1])))
    assert (kept.waiting, kept.waiting_bytes) == ({}, {})


# ---- forks and twins -----------------------------------------------------------------------------


def second_history(world, author):
    """A signed entry of the author under a number that is taken, with another content."""
    core, store = world.cores[author], world.stores[author]
    before = store.entries(author, 0, 0)[0][0]
    return author_entry(
        signer=world.signers[author],
        roster=core.feeds.roster,
        name=author,
        head=Head(0, entry_hash(before), before.read().lamport),
        kind="withheld",
        content=Withheld(bytes(32), "another history"),
        heads={},
        unix_ms=0,
        salt=bytes(16),
    )


def test_a_fork_that_one_member_finds_is_known_to_all_and_freezes_its_author(world):
    scene.add_data(world)
    world.deliver()
    cut(world, "east", "south")
    hand(world, "north", "south", Entries((second_history(world, "south"),)))
    world.deliver()
    run_timers(world, "spread")
    for name in ("east", "north"):
        assert set(world.cores[name].feeds.forks) == {"south"}
        assert told(world, name, "fork found") == ["south signed two histories"]
    before = world.cores["east"].feeds.heads["south"]
    assert set(world.cores["south"].feeds.forks) == {"south"}, "it is told as well"
    with pytest.raises(SplitView, match="this node writes nothing more"):
        world.handle("south", DatasetAdded(scene.dictionary(), bytes(32)))
    world.deliver()
    assert world.cores["east"].feeds.heads["south"] == before


def test_a_member_whose_keys_are_used_twice_is_told_so_by_the_fork(world):
    scene.add_data(world)
    world.deliver()
    hand(world, "south", "north", Entries((second_history(world, "south"),)))
    (text,) = told(world, "south", "twin")
    assert "another node runs with the identity of south" in text
    (error,) = [e.error for e in world.effects("south", Emit) if e.event == "twin"]
    assert error["code"] == 702


def test_an_entry_in_ones_own_name_that_was_written_elsewhere_is_told(world):
    scene.add_data(world)
    world.deliver()
    feeds = world.cores["south"].feeds
    kept = dict(feeds.heads)
    elsewhere = feeds.write("withheld", Withheld(bytes(32), "x"), 1)[:2]
    feeds.heads = kept
    feeds.marks.clear()
    feeds.marked.clear()
    hand(world, "south", "north", Entries((elsewhere,)))
    assert "was written elsewhere" in told(world, "south", "twin")[0]


def test_proof_of_a_fork_that_proves_nothing_is_refused_by_name(world):
    scene.add_data(world)
    world.deliver()
    ((signed, _),) = world.stores["south"].entries("south", 1, 1)
    hand(world, "north", "east", ForkNotice(ForkProof(signed, signed)))
    assert told(world, "north", "message refused")
    assert world.cores["north"].feeds.forks == {}


def test_nothing_is_sent_twice_while_it_may_be_on_its_way(world, monkeypatch):
    """Timers go on while a peer works on what it got: each frontier would ask for it again."""
    monkeypatch.setattr(gossip_module, "NEWS_BYTES_MAX", 4_000)
    world.deliver()
    cut(world, "east", "north")
    cut(world, "east", "south")
    for k in range(40):
        world.handle("north", DatasetAdded(scene.dictionary(), bytes([k]) * 32))
    world.mail.clear()
    before = len(world.told["north"])
    world.handle("east", LinkMade("north"))
    world.handle("north", LinkMade("east"))
    while world.mail:
        world.handle("east", TimerFired("spread"))
        world.handle("east", TimerFired("gossip"))
        for _ in range(min(6, len(world.mail))):
            sender, receiver, message = world.mail.pop(0)
            world.handle(receiver, Received(sender, message))
    batches = sent(world.told["north"][before:], Entries, "east")
    numbers = [s.read().seq for batch in batches for s, _ in batch.entries]
    assert world.cores["east"].feeds.heads["north"] == world.cores["north"].feeds.heads["north"]
    assert numbers == sorted(set(numbers))


def test_what_was_lost_on_its_way_is_sent_again_once_an_interval_has_brought_nothing(world):
    scene.add_data(world)
    world.deliver()
    cut(world, "east", "north")
    cut(world, "east", "south")
    world.handle("north", DatasetAdded(scene.dictionary("months"), bytes(32)))
    world.mail.clear()
    world.handle("east", LinkMade("north"))
    world.handle("north", LinkMade("east"))
    world.deliver(lose=lambda item: isinstance(item[2], Entries))
    for _ in range(2):
        run_timers(world, "gossip")
    assert world.cores["east"].feeds.heads["north"] == world.cores["north"].feeds.heads["north"]
