"""Where members listen: who is believed, what is passed on, when this node says it anew."""

import importlib.util
import pathlib

import msgspec
import pytest

from nodes.core.effects import Emit, LinkLost, LinkMade, Listening, Received, Send, TimerFired
from nodes.core.gossip import REFUSED_MAX
from nodes.shell import addresses
from nodes.store.roster import recall_addresses, recall_roster
from p2pmpc.address import LIFE_MS_MAX, SKEW_MS_MAX, make_address
from p2pmpc.messages import Address

spec = importlib.util.spec_from_file_location(
    "book_scene", pathlib.Path(__file__).with_name("conftest.py")
)
scene = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scene)


def record(world, name, address, issued_ms):
    network = world.cores[name].feeds.roster.network
    return make_address(world.signers[name], network, name, address, issued_ms)


def hand(world, receiver, sender, *records):
    return world.handle(receiver, Received(sender, Address(records)))


def told(world, name, event):
    return [effect.text for effect in world.effects(name, Emit) if effect.event == event]


def sent(effects, kind=Address):
    return [e for e in effects if isinstance(e, Send) and isinstance(e.message, kind)]


def at(world, holder, name):
    return addresses(world.cores[holder])[name].address


def cut(world, *pair):
    """These two are not linked; mail between them is lost."""
    for name, peer in (pair, pair[::-1]):
        world.handle(name, LinkLost(peer, "cut"))


def test_a_node_tells_every_peer_where_it_listens(world):
    world.deliver()
    world.handle("east", Listening("east.example:1"))
    assert sorted(peer for _, peer, _ in world.mail) == ["north", "south"]
    world.deliver()
    assert {at(world, name, "east") for name in world.cores} == {"east.example:1"}


def test_without_a_record_the_card_of_the_founding_says_where_a_member_is(world):
    assert at(world, "east", "north") == "127.0.0.1:1"


def test_a_member_that_moves_is_found_by_those_that_it_is_not_linked_to(world):
    world.deliver()
    cut(world, "east", "south")
    world.handle("east", Listening("east.example:2"))
    world.deliver()
    assert at(world, "south", "east") == "127.0.0.1:1"
    assert at(world, "north", "east") == "east.example:2"
    world.handle("north", TimerFired("spread"))
    world.deliver()
    assert at(world, "south", "east") == "east.example:2"


def test_a_new_link_brings_the_whole_book(world):
    world.deliver()
    cut(world, "north", "south")
    hand(world, "north", "east", record(world, "east", "east.example:3", 900))
    effects = world.handle("north", LinkMade("south"))
    assert [r.address for one in sent(effects) for r in one.message.records] == ["east.example:3"]


def test_a_replayed_older_record_is_ignored_in_silence(world):
    newer, older = (record(world, "east", f"east.example:{port}", port) for port in (200, 100))
    hand(world, "north", "south", newer)
    effects = hand(world, "north", "south", older, newer)
    assert effects == []
    assert at(world, "north", "east") == "east.example:200"


def test_an_expired_record_is_refused_by_name_and_never_used(world):
    world.now_ms = LIFE_MS_MAX + SKEW_MS_MAX + 10
    hand(world, "north", "south", record(world, "east", "east.example:1", 1))
    assert told(world, "north", "address refused") == ["the address record of east has expired"]
    assert at(world, "north", "east") == "127.0.0.1:1"


def test_a_held_record_that_expires_is_used_and_passed_on_no_more(world):
    hand(world, "north", "south", record(world, "east", "east.example:1", 1000))
    world.now_ms = 1000 + LIFE_MS_MAX
    assert not sent(world.handle("north", LinkMade("south")))
    assert at(world, "north", "east") == "127.0.0.1:1"


def test_a_member_whose_clock_is_two_hours_ahead_is_refused_by_name(world):
    hand(world, "north", "south", record(world, "east", "east.example:1", 2 * SKEW_MS_MAX))
    assert "a clock is wrong" in told(world, "north", "address refused")[0]


def test_a_record_by_another_member_is_refused(world):
    network = world.cores["east"].feeds.roster.network
    forged = make_address(world.signers["south"], network, "east", "south.example:6", 900)
    hand(world, "north", "south", forged)
    assert "not signed by this member" in told(world, "north", "address refused")[0]
    assert at(world, "north", "east") == "127.0.0.1:1"


def test_whoever_is_no_member_has_no_place_in_the_book(world):
    stranger = msgspec.structs.replace(record(world, "east", "x.example:1", 900), name="nobody")
    hand(world, "north", "south", stranger)
    assert set(world.cores["north"].book.records) <= set(world.cores)
    assert told(world, "north", "address refused")


def test_an_own_record_is_renewed_at_half_its_life_and_not_before(world):
    world.deliver()
    world.handle("east", Listening("east.example:1"))
    first = world.cores["east"].book.records["east"]
    world.now_ms = first.issued_ms + LIFE_MS_MAX // 2 - 10
    world.handle("east", TimerFired("gossip"))
    assert world.cores["east"].book.records["east"] == first
    world.now_ms += 10
    world.handle("east", TimerFired("gossip"))
    assert world.cores["east"].book.records["east"].issued_ms > first.issued_ms


def test_an_address_that_did_not_change_is_not_told_again(world):
    world.handle("east", Listening("east.example:1"))
    assert not sent(world.handle("east", Listening("east.example:1")))


def test_a_node_whose_clock_went_back_still_says_something_newer(world):
    world.handle("east", Listening("east.example:1"))
    world.now_ms = 10
    world.handle("east", Listening("east.example:2"))
    world.deliver()
    assert at(world, "north", "east") == "east.example:2"


def test_a_record_of_a_life_that_was_forgotten_is_answered_by_a_newer_one(world):
    world.deliver()
    hand(world, "east", "north", record(world, "east", "old.example:1", 5_000))
    assert told(world, "east", "twin") == []
    world.handle("east", Listening("new.example:1"))
    world.deliver()
    assert at(world, "north", "east") == "new.example:1"


def test_two_nodes_with_one_identity_are_named_to_their_people_by_their_addresses(world):
    world.deliver()
    world.handle("east", Listening("here.example:1"))
    world.deliver()
    world.now_ms += 1000
    twin = record(world, "east", "there.example:1", world.now_ms)
    effects = hand(world, "east", "north", twin)
    assert "another node runs with the identity of east" in told(world, "east", "twin")[0]
    assert not sent(effects), "two twins do not answer each other without a pause"
    world.handle("east", TimerFired("gossip"))
    world.deliver()
    assert at(world, "north", "east") == "here.example:1"


def test_a_flood_of_wrong_records_is_cut_off_until_the_next_interval(world):
    forged = [record(world, "south", "x.example:1", 10_000_000 + k) for k in range(3)]
    for _ in range(REFUSED_MAX):
        hand(world, "north", "south", *forged)
    texts = told(world, "north", "address refused")
    assert len(texts) == REFUSED_MAX + 1
    assert f"{REFUSED_MAX} wrong things" in texts[-1]
    world.handle("north", TimerFired("gossip"))
    good = record(world, "south", "south.example:1", world.now_ms)
    hand(world, "north", "south", good)
    assert at(world, "north", "south") == "south.example:1"


def test_a_flood_of_new_records_is_passed_on_a_few_times_a_second_and_no_more(world):
    world.deliver()
    effects = [
        effect
        for k in range(50)
        for effect in hand(world, "north", "south", record(world, "south", f"s:{k + 1}", k + 1))
    ]
    assert not sent(effects)
    passed = sent(world.handle("north", TimerFired("spread")))
    assert [[r.address for r in one.message.records] for one in passed] == [["s:50"]] * 2


def test_the_roster_and_the_book_are_found_again_in_the_store(world):
    world.deliver()
    world.handle("east", Listening("east.example:1"))
    world.deliver()
    world.handle("north", TimerFired("gossip"))
    store = world.stores["north"]
    assert recall_roster(store) == world.cores["north"].feeds.roster
    assert [r.address for r in recall_addresses(store)] == ["east.example:1"]


def test_a_store_before_founding_has_neither(tmp_path):
    from nodes.store.record import RecordStore

    store = RecordStore(tmp_path / "new.sqlite")
    assert recall_roster(store) is None
    assert recall_addresses(store) == ()
    store.close()


def test_a_stored_roster_that_was_spoiled_is_said_to_be(tmp_path):
    from nodes.store.record import RecordStore
    from p2pmpc.errors import LogError

    store = RecordStore(tmp_path / "spoiled.sqlite")
    store.remember("roster", b"junk")
    with pytest.raises(LogError, match="stored roster cannot be used"):
        recall_roster(store)
    store.remember("addresses", b"junk")
    assert recall_addresses(store) == ()
    store.close()
