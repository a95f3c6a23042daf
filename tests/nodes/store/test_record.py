"""The record on disk: all of a batch or none, durable when said, checked when opened."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nodes.store.record import NOTE_BYTES_MAX, RecordStore
from p2pmpc.errors import LocalError, LogError, SplitView, StoreFailed
from p2pmpc.record import Body, SignedEntry, entry_hash

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.sqlite"


@pytest.fixture
def store(path):
    made = RecordStore(path)
    yield made
    made.close()


def reopened(store, path):
    store.close()
    again = RecordStore(path)
    again.close()
    return again


def test_what_was_appended_is_there_again_byte_for_byte(store, path, feeds):
    batch = [*feeds.several("north", 3), *feeds.several("south", 2)]
    store.append(batch)
    store.close()
    again = RecordStore(path)
    assert again.heads() == feeds.heads
    assert again.head("north") == feeds.heads["north"]
    assert again.head("nobody") is None
    assert again.entries("north", 0, 2) == batch[:3]
    assert again.entries("north", 1, 1) == batch[1:2]
    assert again.entries("north", 3, 9) == []
    assert again.entry(entry_hash(batch[4][0])) == batch[4][0]
    assert again.entry(bytes(32)) is None
    assert again.body(batch[4][0].read().body_hash) == batch[4][1]
    again.close()


def test_an_entry_may_come_without_its_body(store, feeds):
    signed, _ = feeds.write("north")
    store.append([(signed, None)])
    assert store.entries("north", 0, 0) == [(signed, None)]


def test_a_batch_with_one_wrong_entry_leaves_nothing(store, path, feeds):
    good = feeds.several("north", 2)
    signed, body = feeds.write("south")
    wrong = (signed, Body(body.salt, b"another body"))
    with pytest.raises(LogError, match="another body"):
        store.append([*good, wrong])
    assert store.heads() == {}
    assert reopened(store, path).heads() == {}


def test_a_gap_or_a_foreign_predecessor_is_refused(store, feeds):
    first, second, third = feeds.several("north", 3)
    store.append([first])
    with pytest.raises(LogError, match="does not follow"):
        store.append([third])
    other = type(feeds)()
    other.write("north")
    other.heads["north"] = type(other.heads["north"])(0, b"x" * 32, 1)
    with pytest.raises(LogError, match="does not follow"):
        store.append([other.write("north")])
    store.append([second, third])
    assert store.head("north").seq == 2


def test_a_number_is_taken_once_and_a_second_history_is_a_proof(store, feeds):
    entries = feeds.several("north", 2)
    store.append(entries)
    with pytest.raises(LogError, match="already holds entry 1"):
        store.append(entries[1:])
    other = type(feeds)()
    fork = [other.write("north"), other.write("north", "another text")]
    assert fork[0] == entries[0]
    with pytest.raises(SplitView, match="already holds entry 1 of north") as caught:
        store.append(fork[1:])
    assert caught.value.proof.check(feeds.roster) == "north"
    assert store.entries("north", 0, 9) == entries


def test_the_table_itself_refuses_a_second_writer(store, path, feeds):
    store.append(feeds.several("north", 1))
    with sqlite3.connect(path) as other:
        row = other.execute("SELECT * FROM entry").fetchone()
        with pytest.raises(sqlite3.IntegrityError):
            other.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    other.close()


def test_an_erased_body_is_gone_from_the_files_and_its_entry_stays(store, path, feeds):
    text = "a sentence that nobody should find again"
    store.append([feeds.write("north"), feeds.write("north", text)])
    (signed, body) = store.entries("north", 1, 1)[0]
    assert text.encode() in body.content
    assert store.erase_body(signed.read().body_hash)
    assert not store.erase_body(signed.read().body_hash)
    assert store.entries("north", 1, 1) == [(signed, None)]
    store.close()
    for file in path.parent.iterdir():
        assert text.encode() not in file.read_bytes()
    RecordStore(path).close()


def test_small_state_is_remembered(store, path):
    assert store.recall("ballot") is None
    store.remember("ballot", b"1")
    store.remember("ballot", b"2")
    with pytest.raises(StoreFailed, match="longer than"):
        store.remember("ballot", bytes(NOTE_BYTES_MAX + 1))
    store.close()
    again = RecordStore(path)
    assert again.recall("ballot") == b"2"
    again.close()


def test_the_files_are_for_this_user_alone(store, path, feeds):
    store.append(feeds.several("north", 1))
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name


def test_commits_are_synchronous_in_a_write_ahead_log(store):
    ask = lambda what: store._database.execute(f"PRAGMA {what}").fetchone()[0]
    assert (ask("journal_mode"), ask("synchronous")) == ("wal", 2)


# ---- a disk that does not take it ----------------------------------------------------------------


def test_a_full_database_keeps_nothing_of_the_batch_and_goes_on_when_there_is_room(
    store, path, feeds
):
    store.append(feeds.several("north", 2))
    before = dict(feeds.heads)
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count={pages + 4}")
    batch = feeds.several("north", 60, "x" * 1000)
    with pytest.raises(StoreFailed, match="could not be written") as caught:
        store.append(batch)
    assert "Free some space" in caught.value.next
    assert store.heads() == before
    assert store.entries("north", 2, 99) == []
    store._database.execute("PRAGMA max_page_count=1000000")
    store.append(batch)
    assert store.heads() == feeds.heads
    assert reopened(store, path).heads() == feeds.heads


LIMITED = """
import resource, runpy, sys
from pathlib import Path
from nodes.store.record import RecordStore
from p2pmpc.errors import StoreFailed
scene = runpy.run_path(sys.argv[2])
feeds, path = scene["Feeds"](), Path(sys.argv[1])
store = RecordStore(path)
store.append(feeds.several("north", 2))
size = sum(file.stat().st_size for file in path.parent.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30_000, resource.RLIM_INFINITY))
kept = 2
try:
    while True:
        store.append(feeds.several("north", 5, "x" * 1000))
        kept += 5
except StoreFailed as fault:
    assert "Free some space" in fault.next, fault.next
assert store.head("north").seq == kept - 1
assert len(store.entries("north", 0, 10**6)) == kept
try:
    store.remember("key", b"value")
    raise SystemExit("a write after a failed commit")
except StoreFailed as fault:
    assert "Start the node again" in fault.next, fault.next
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.close()
again = RecordStore(path)
assert again.head("north").seq == kept - 1
print(kept)
"""


def test_a_file_that_may_not_grow_is_a_store_failure_and_loses_nothing(path, child, conftest_path):
    assert int(child(LIMITED, path, conftest_path)) >= 2


READ_ONLY = """
import os, sys
from pathlib import Path
from nodes.store.record import RecordStore
from p2pmpc.errors import LocalError
if os.getuid() == 0:  # folder modes do not count for root
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    RecordStore(Path(sys.argv[1]))
except LocalError as fault:
    print(type(fault).__name__, fault.next)
"""


@pytest.fixture
def open_folder():
    """A folder below which another user may look (a test's own temporary folder is private)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_folder_that_may_not_be_written_is_named_with_the_remedy(open_folder, child):
    folder = open_folder / "store"
    folder.mkdir()
    folder.chmod(0o555)
    said = child(READ_ONLY, folder / "record.sqlite")
    assert said.startswith("LocalError")
    assert "may write in it" in said


def test_a_file_that_may_not_be_written_is_named_with_the_remedy(open_folder, child):
    path = open_folder / "record.sqlite"
    RecordStore(path).close()
    path.with_name("record.sqlite.lock").chmod(0o666)
    path.chmod(0o444)
    said = child(READ_ONLY, path)
    assert said.startswith("StoreFailed Give this user the right to write")


def test_a_locked_database_fails_soon_and_says_who_to_look_for(store, path, feeds):
    store.append(feeds.several("north", 1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    batch = feeds.several("north", 1)
    with pytest.raises(StoreFailed, match="locked") as caught:
        store.append(batch)
    assert "Another program holds the file" in caught.value.next
    other.execute("ROLLBACK")
    other.close()
    store.append(batch)
    assert store.heads() == feeds.heads


# ---- crashes -------------------------------------------------------------------------------------

WRITER = """
import runpy, sys
from pathlib import Path
from nodes.store.record import RecordStore
feeds = runpy.run_path(sys.argv[2])["Feeds"]()
store = RecordStore(Path(sys.argv[1]))
while True:
    store.append(feeds.several("north", 3, "x" * 500))
    print(store.head("north").seq, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_had_said_and_leaves_no_half_batch(
    path, conftest_path
):
    command = [sys.executable, "-c", WRITER, str(path), str(conftest_path)]
    for _ in range(3):
        path.unlink(missing_ok=True)
        for side in ("-wal", "-shm"):
            path.with_name(path.name + side).unlink(missing_ok=True)
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        said = [writer.stdout.readline() for _ in range(8)]
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.readlines()
        writer.wait(10)
        writer.stdout.close()
        store = RecordStore(path)
        seq = store.head("north").seq
        assert seq >= int(said[-1])
        assert (seq + 1) % 3 == 0
        store.close()


# ---- opening what was changed --------------------------------------------------------------------


def spoil(path, *statements):
    database = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        database.execute(*statement)
    database.close()


SPOILED = {
    "entry 1 was changed": [
        ("UPDATE entry SET signature = zeroblob(64) WHERE author = 'north' AND seq = 1",)
    ],
    "entry before 2 is missing": [("DELETE FROM entry WHERE author = 'north' AND seq = 1",)],
    "filed in the wrong place": [("UPDATE entry SET author = 'west' WHERE author = 'north'",)],
    "a body was changed": [("UPDATE body SET content = x'00'",)],
}


@pytest.mark.parametrize("words", sorted(SPOILED))
def test_a_store_that_was_changed_does_not_open(store, path, feeds, words):
    store.append([*feeds.several("north", 3), *feeds.several("south", 1)])
    store.close()
    spoil(path, *SPOILED[words])
    with pytest.raises(LogError, match=words) as caught:
        RecordStore(path)
    assert caught.value.next.startswith("Restore the store")


def test_a_feed_cut_at_its_end_opens_since_only_others_can_tell(store, path, feeds):
    """What a restored copy looks like: a node asks its peers for its own feed before it writes."""
    store.append(feeds.several("north", 3))
    store.close()
    spoil(path, ("DELETE FROM entry WHERE seq = 2",))
    again = RecordStore(path)
    assert again.head("north").seq == 1
    again.close()


def test_changed_bytes_of_the_file_are_noticed_or_harmless(store, path, feeds):
    store.append(feeds.several("north", 20, "x" * 300))
    store.close()
    whole = path.read_bytes()
    for position in range(0, len(whole), 509):
        changed = bytearray(whole)
        changed[position] ^= 0xFF
        path.write_bytes(bytes(changed))
        try:
            again = RecordStore(path)
        except (LogError, StoreFailed):
            continue
        assert again.heads() == feeds.heads
        again.close()


def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StoreFailed, match="not a database"):
        RecordStore(path)
    path.unlink()
    RecordStore(path).close()


def test_a_store_of_a_later_format_is_refused(store, path):
    store.close()
    spoil(path, ("PRAGMA user_version=2",))
    with pytest.raises(StoreFailed, match="format 2"):
        RecordStore(path)


def test_one_process_opens_a_store_once(store, path):
    with pytest.raises(LocalError, match=f"in use by process {os.getpid()}"):
        RecordStore(path)
    store.close()
    store.close()
    RecordStore(path).close()


def test_bytes_that_are_no_entry_are_refused(store):
    with pytest.raises(LogError, match="cannot be read"):
        store.append([(SignedEntry(b"\xc1", bytes(64)), None)])
