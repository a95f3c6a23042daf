"""The record, read without its lease while a store holds it."""

import hashlib
import os
import stat

import pytest

from nodes.doctor.clock import read_skews
from nodes.doctor.history import ENTRIES_MAX, check_history, read_history
from nodes.store.record import RecordStore
from nodes.store.roster import ROSTER
from p2pmpc.codec import encode
from p2pmpc.identity import SecretKeys, Signer, make_card
from p2pmpc.record import Genesis, Head, Withheld, author_entry, entry_hash
from p2pmpc.roster import found_roster

NAMES = ("north", "south")


def seed(*parts):
    return hashlib.sha256("/".join(map(str, parts)).encode()).digest()


class Feeds:
    """Two members whose entries name each other's."""

    def __init__(self):
        keys = {n: SecretKeys(*(seed(n, k) for k in range(3))) for n in NAMES}
        cards = [make_card(n, k, b"certificate of " + n.encode(), "") for n, k in keys.items()]
        self.signers = {n: Signer(k.log_seed) for n, k in keys.items()}
        self.roster = found_roster("two members", cards)
        self.heads = {}

    def write(self, name, unix_ms):
        first = name not in self.heads
        filed = author_entry(
            signer=self.signers[name],
            roster=self.roster,
            name=name,
            head=self.heads.get(name),
            kind="genesis" if first else "withheld",
            content=Genesis(self.roster.hash) if first else Withheld(bytes(32), ""),
            heads={a: h for a, h in self.heads.items() if a != name},
            unix_ms=unix_ms,
            salt=os.urandom(16),
        )
        entry = filed[0].read()
        self.heads[name] = Head(entry.seq, entry_hash(filed[0]), entry.lamport)
        return filed


@pytest.fixture
def feeds():
    return Feeds()


def test_a_record_in_use_is_read_with_its_roster_and_bounds_the_clocks(tmp_path, feeds):
    file = tmp_path / "record.sqlite"
    store = RecordStore(file)
    try:
        store.remember(ROSTER, encode(feeds.roster))
        store.append([feeds.write("south", 5_000_000), feeds.write("north", 1_000_000)])
        history = read_history(file)
    finally:
        store.close()
    assert history.trouble == ""
    assert history.roster.names == NAMES
    [skew] = read_skews("north", history.feeds)
    assert (skew.peer, skew.low_s) == ("south", 4000.0)
    assert [one.level for one in check_history(history, file)] == ["ok"]


def test_reading_leaves_no_trace_and_no_open_file(tmp_path, feeds):
    file = tmp_path / "record.sqlite"
    store = RecordStore(file)
    store.append([feeds.write("north", 0)])
    store.close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert read_history(file).feeds["north"][0].author == "north"
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after["record.sqlite"] == before["record.sqlite"]
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    RecordStore(file).close()


def test_of_a_long_feed_the_newest_entries_are_read(tmp_path, feeds):
    file = tmp_path / "record.sqlite"
    store = RecordStore(file)
    store.append([feeds.write("north", n) for n in range(ENTRIES_MAX + 1)])
    store.close()
    found = read_history(file).feeds["north"]
    assert len(found) == ENTRIES_MAX
    assert {entry.unix_ms for entry in found} == set(range(1, ENTRIES_MAX + 1))


def test_a_damaged_file_is_a_fault_and_a_missing_one_is_not(tmp_path):
    file = tmp_path / "record.sqlite"
    assert check_history(read_history(file), file)[0].level == "ok"
    file.write_bytes(b"not a database" * 100)
    [found] = check_history(read_history(file), file)
    assert found.level == "fault"
    assert str(file) in found.text
