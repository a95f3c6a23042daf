"""The record: writing, taking in from a peer, keeping on disk, auditing offline.

    python tests/benchmarks/bench_log.py

One feed of real entries, batch by batch as a peer sends them. The baselines are measured in the
same run: one Ed25519 verification an entry (nobody can take in a signed entry for less), and a bare
SQLite insert of rows of the same size with the same durability.
"""

import os
import sqlite3
import tempfile
import time
from pathlib import Path

from nacl.signing import SigningKey

from nodes.core.feeds import Feeds
from nodes.store.record import RecordStore
from p2pmpc.bundle import make_bundle
from p2pmpc.identity import Signer, make_card, make_keys
from p2pmpc.record import Ended, Genesis
from p2pmpc.roster import found_roster
from p2pmpc.verify import verify_bundle

ENTRIES = 2000
BATCHES = (1, 50, 256)


def seconds(run):
    began = time.perf_counter()
    result = run()
    return time.perf_counter() - began, result


def town(folder):
    """Two members' feeds over real stores; (feeds, signers, stores)."""
    keys = {name: make_keys(os.urandom) for name in ("north", "south")}
    cards = [make_card(n, k, n.encode(), "127.0.0.1:1") for n, k in keys.items()]
    roster = found_roster("benchmark", cards)
    feeds, stores = {}, {}
    for name, own in keys.items():
        stores[name] = RecordStore(folder / f"{name}.sqlite")
        feeds[name] = Feeds(name, Signer(own.log_seed), os.urandom, stores[name], roster)
    return feeds, stores


def write_feed(feeds):
    north = feeds["north"]
    entries = [north.write("genesis", Genesis(north.roster.hash), 1)[:2]]
    content = Ended("0" * 16, 1, 402, "south was not heard", "south")
    entries += [north.write("ended", content, 1)[:2] for _ in range(ENTRIES - 1)]
    return entries


def take_in(feeds, store, entries, batch):
    """As a node does: check a message's entries, then keep them in one durable transaction."""
    for start in range(0, len(entries), batch):
        placed = []
        for signed, body in entries[start : start + batch]:
            placed += [filed for filed, _ in feeds.take(signed, body, "north")]
        store.append(placed)


def verify_bare(entries):
    key = SigningKey(bytes(32))
    signed = [key.sign(one.entry) for one, _ in entries]
    return seconds(lambda: [key.verify_key.verify(one) for one in signed])[0]


def insert_bare(folder, entries, batch):
    database = sqlite3.connect(folder / f"bare-{batch}.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE entry (seq INTEGER PRIMARY KEY, entry BLOB, body BLOB)")
    rows = [(k, one.entry + one.signature, body.content) for k, (one, body) in enumerate(entries)]

    def run():
        for start in range(0, len(rows), batch):
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows[start : start + batch])
            database.execute("COMMIT")

    taken, _ = seconds(run)
    database.close()
    return taken


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        feeds, stores = town(folder)
        written, entries = seconds(lambda: write_feed(feeds))
        bare = verify_bare(entries)
        print(f"author and sign: {ENTRIES / written:,.0f} entries/s")
        print(f"baseline, one Ed25519 verification: {ENTRIES / bare:,.0f} /s")
        for batch in BATCHES:
            place = folder / f"batch-{batch}"
            place.mkdir()
            roster = feeds["north"].roster
            store = RecordStore(place / "south.sqlite")
            taker = Feeds("south", feeds["south"].signer, os.urandom, store, roster)
            taken, _ = seconds(lambda t=taker, s=store, b=batch: take_in(t, s, entries, b))
            stored = insert_bare(folder, entries, batch)
            print(
                f"take in, batches of {batch}: {ENTRIES / taken:,.0f} entries/s;"
                f" {taken / (bare + stored):.1f} times verification and bare insert"
            )
            store.close()
        bundle = make_bundle(
            signer=feeds["north"].signer,
            exporter="north",
            roster=feeds["north"].roster,
            feeds={"north": entries},
            forks=[],
            checkpoints=[],
            receipts=[],
            unix_ms=1,
        )
        audited, _ = seconds(lambda: verify_bundle(bundle))
        rate = ENTRIES / audited
        print(f"audit offline: {rate:,.0f} entries/s; {audited / bare:.1f} times verification")
        for store in stores.values():
            store.close()


if __name__ == "__main__":
    main()
