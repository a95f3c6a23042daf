"""What comparing records costs when there is nothing new: neighbours do it all day."""

import importlib.util
import pathlib

from nodes.core import feeds as feeds_module
from nodes.core.effects import Emit, Received
from nodes.core.feeds import MARKS_MAX, NEWS_BYTES_MAX
from p2pmpc.messages import Entries
from p2pmpc.record import SignedEntry

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
