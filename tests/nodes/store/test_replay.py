"""A stored record read again: every entry once, what was read before who had read it."""

import random
import tracemalloc

from nodes.store.record import RecordStore
from nodes.store.replay import PAGE, Replay


def stored(tmp_path, feeds, authors):
    store = RecordStore(tmp_path / "record.sqlite")
    store.append([feeds.write(name) for name in authors])
    return store


def test_every_entry_comes_after_all_that_it_has_read(tmp_path, feeds):
    drawn = random.Random(7)
    authors = [drawn.choice(("north", "south")) for _ in range(5 * PAGE)]
    store = stored(tmp_path, feeds, authors)
    seen = {}
    for known in Replay(store):
        entry = known.entry
        assert entry.seq == seen.get(entry.author, -1) + 1
        for author, seq, _ in entry.heads:
            assert seq <= seen.get(author, -1), "it had read what comes later"
        seen[entry.author] = entry.seq
    assert seen == {author: head.seq for author, head in store.heads().items()}


def test_it_can_be_gone_through_twice_and_has_no_end_at_a_full_page(tmp_path, feeds):
    replay = Replay(stored(tmp_path, feeds, ["north"] * (2 * PAGE)))
    first, second = [known.hash for known in replay], [known.hash for known in replay]
    assert first == second
    assert len(first) == 2 * PAGE


def test_an_erased_body_leaves_its_entry(tmp_path, feeds):
    store = stored(tmp_path, feeds, ["north", "north"])
    (_, body) = store.entries("north", 1, 1)[0]
    assert store.erase_body(store.entries("north", 1, 1)[0][0].read().body_hash)
    assert body is not None
    assert [known.content is None for known in Replay(store)] == [False, True]


def test_a_long_record_is_not_held_in_memory(tmp_path, feeds):
    store = stored(tmp_path, feeds, ["north", "south"] * 500)
    tracemalloc.start()
    number = sum(1 for _ in Replay(store))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert number == 1000
    assert peak < 200_000, "all of them at once take 0.9 MB"
