"""A member that was away comes back: how fast it takes in what the others wrote.

    python tests/benchmarks/bench_catch_up.py [ENTRIES]

Two whole nodes in this process, with real links and real stores. One holds a feed of real entries
(100,000 unless said otherwise); the other has only its own first entry. Measured from the link to
equal frontiers, both nodes' work together. The baseline is measured in the same run: one Ed25519
verification and one bare SQLite insert of a row of the same size, with the same durability, an
entry: nobody can take in a signed entry for less.
"""

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from nacl.signing import SigningKey

from nodes.ephemeral import open_node
from nodes.people.desk import Desk
from p2pmpc.record import Withheld

ENTRIES = 100_000
BATCH = 256


async def write_feed(node, count):
    """`count` entries of the node's own feed, on its disk."""
    content = Withheld(bytes(32), "no unit passed")
    feeds, written = node.core.feeds, []
    for start in range(0, count, BATCH):
        feeds.fresh = {}
        batch = [feeds.write("withheld", content, 1)[:2] for _ in range(min(BATCH, count - start))]
        node.store.append(batch)
        written += batch
    return written


async def caught_up(taker, giver):
    while taker.core.feeds.heads != giver.core.feeds.heads:  # noqa: ASYNC110  a benchmark
        await asyncio.sleep(0.01)


def verify_bare(written):
    key = SigningKey(bytes(32))
    signed = [key.sign(one.entry) for one, _ in written]
    began = time.perf_counter()
    for one in signed:
        key.verify_key.verify(one)
    return time.perf_counter() - began


def insert_bare(folder, written):
    database = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE entry (seq INTEGER PRIMARY KEY, entry BLOB, body BLOB)")
    rows = [(k, one.entry + one.signature, body.content) for k, (one, body) in enumerate(written)]
    began = time.perf_counter()
    for start in range(0, len(rows), BATCH):
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows[start : start + BATCH])
        database.execute("COMMIT")
    taken = time.perf_counter() - began
    database.close()
    return taken


async def run(folder, count):
    north = await open_node("north", folder / "north", None)
    south = await open_node("south", folder / "south", None)
    cards = (north.card, south.card)
    Desk(north).found("benchmark", cards)
    began = time.perf_counter()
    written = await write_feed(north, count)
    print(f"written and kept: {count / (time.perf_counter() - began):,.0f} entries/s", flush=True)
    began = time.perf_counter()
    Desk(south).found("benchmark", cards)
    await caught_up(south, north)
    taken = time.perf_counter() - began
    bare = verify_bare(written) + insert_bare(folder, written)
    print(
        f"caught up on {count:,} entries in {taken:.1f} s: {count / taken:,.0f} entries/s;"
        f" {taken / bare:.1f} times verification and bare insert ({count / bare:,.0f} /s)"
    )
    await south.close()
    await north.close()


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o700)
        asyncio.run(run(Path(name), count))


if __name__ == "__main__":
    main()
