"""One contract for both records: the one on disk and the one in memory."""

import importlib.util
import pathlib

import pytest

from nodes.store.record import RecordStore
from p2pmpc.errors import LogError, SplitView
from p2pmpc.record import Body, SignedEntry, entry_hash
from simulations.memory import Library, MemoryStore

spec = importlib.util.spec_from_file_location(
    "store_scene", pathlib.Path(__file__).parents[1] / "nodes" / "store" / "conftest.py"
)
scene = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scene)


@pytest.fixture
def feeds():
    return scene.Feeds()


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    if request.param == "disk":
        made = RecordStore(tmp_path / "record.sqlite")
    else:
        made = MemoryStore(Library())
    yield made
    made.close()


def test_what_was_appended_is_there_byte_for_byte(store, feeds):
    batch = [*feeds.several("north", 3), *feeds.several("south", 2)]
    store.append(batch)
    assert store.heads() == feeds.heads
    assert list(store.heads()) == ["north", "south"]
    assert store.head("north") == feeds.heads["north"]
    assert store.head("nobody") is None
    assert store.entries("north", 0, 2) == batch[:3]
    assert store.entries("north", 1, 1) == batch[1:2]
    assert store.entries("north", 2, 9) == batch[2:3]
    assert store.entries("north", 3, 9) == []
    assert store.entries("nobody", 0, 9) == []
    assert store.entry(entry_hash(batch[4][0])) == batch[4][0]
    assert store.entry(bytes(32)) is None
    assert store.body(batch[4][0].read().body_hash) == batch[4][1]
    assert store.body(bytes(32)) is None


def test_an_entry_may_come_without_its_body(store, feeds):
    signed, _ = feeds.write("north")
    store.append([(signed, None)])
    assert store.entries("north", 0, 0) == [(signed, None)]
    assert store.body(signed.read().body_hash) is None


def test_a_batch_with_one_wrong_entry_leaves_nothing(store, feeds):
    first, second, third = feeds.several("north", 3)
    with pytest.raises(LogError, match="does not follow"):
        store.append([first, third])
    assert store.heads() == {}
    store.append([first, second])
    with pytest.raises(LogError, match="another body"):
        store.append([(third[0], Body(bytes(16), b"x"))])
    assert store.head("north").seq == 1


def test_bytes_that_are_no_entry_are_refused(store):
    with pytest.raises(LogError):
        store.append([(SignedEntry(b"\x93", bytes(64)), None)])


def test_a_number_is_taken_once_and_a_second_history_is_a_proof(store, feeds):
    batch = feeds.several("north", 2)
    store.append(batch)
    with pytest.raises(LogError, match="already holds") as again:
        store.append(batch[1:])
    assert not isinstance(again.value, SplitView)
    feeds.heads["north"] = scene.Head(0, entry_hash(batch[0][0]), batch[0][0].read().lamport)
    other = feeds.write("north", "another history")
    with pytest.raises(SplitView) as fork:
        store.append([other])
    assert fork.value.proof.check(feeds.roster) == "north"


def test_a_library_keeps_a_body_from_stores_that_were_not_given_it(feeds):
    library = Library()
    signed, body = feeds.write("north")
    whole, bare = MemoryStore(library), MemoryStore(library)
    whole.append([(signed, body)])
    bare.append([(signed, None)])
    assert whole.entries("north", 0, 0) == [(signed, body)]
    assert bare.entries("north", 0, 0) == [(signed, None)]
