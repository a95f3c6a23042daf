"""A node process that kills itself (SIGKILL) at one step of the record: `dying.py STEP NODE-ARGS`.

STEP is WHEN:WHAT. `before:KIND` dies when an own entry of this kind is about to be written,
`after:KIND` when it is on disk and nobody has been told; `before:opening` and `after:opening` die
around the first share of an answer that leaves. `never` lives. Each opening is noted in the file
`openings` of the node's home, with whether this node's `released` entry was on disk by then; each
transaction is a line in `appends`.
"""

import os
import signal
import sqlite3
import sys
from pathlib import Path

from nodes.__main__ import main
from nodes.store.record import RecordStore
from nodes.transport.transport import Transport
from p2pmpc.record import SignedEntry

WHEN, _, WHAT = sys.argv[1].partition(":")
NAME = sys.argv[sys.argv.index("--name") + 1]
HOME = Path(sys.argv[sys.argv.index("--home") + 1])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def own_kinds_on_disk() -> set[str]:
    with sqlite3.connect(HOME / "record.sqlite") as database:
        rows = database.execute("SELECT entry, signature FROM entry WHERE author = ?", (NAME,))
        return {SignedEntry(entry, signature).read().kind for entry, signature in rows}


append, post = RecordStore.append, Transport.post


def append_or_die(self, entries):
    read = [signed.read() for signed, _ in entries]
    here = WHAT in {entry.kind for entry in read if entry.author == NAME}
    if here and WHEN == "before":
        die()
    append(self, entries)
    with open(HOME / "appends", "a") as file:
        file.write("one\n")
    if here and WHEN == "after":
        die()


async def post_or_die(self, session, peer, name, data):
    opening = name.rsplit("/", 1)[-1] == "opening"
    if opening:
        with open(HOME / "openings", "a") as file:  # noqa: ASYNC230  a line, in a test
            file.write("released\n" if "released" in own_kinds_on_disk() else "too early\n")
    if opening and (WHEN, WHAT) == ("before", "opening"):
        die()
    await post(self, session, peer, name, data)
    if opening and (WHEN, WHAT) == ("after", "opening"):
        die()


if __name__ == "__main__":
    RecordStore.append, Transport.post = append_or_die, post_or_die
    sys.exit(main(sys.argv[2:]))
