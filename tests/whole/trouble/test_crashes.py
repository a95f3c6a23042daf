"""SIGKILL at every step of the record, at every member: what the others are left with."""

import base64
import itertools
import sqlite3
import time

import pytest

from nodes.store.record import RecordStore
from p2pmpc.bundle import open_bundle
from p2pmpc.record import SignedEntry
from p2pmpc.verify import verify_bundle

NAMES = ("lab", "north", "south")  # north proposes; lab's name sorts first
KINDS = ("ready", "checked", "release", "released", "answered")
STEPS = [f"{when}:{kind}" for kind in KINDS for when in ("before", "after")]
STEPS = [*STEPS[:8], "before:opening", "after:opening", *STEPS[8:]]
FAST = {("north", "after:ready"), ("south", "after:release"), ("lab", "before:opening")}
CASES = [
    pytest.param(name, step, marks=() if (name, step) in FAST else pytest.mark.slow)
    for step, name in itertools.product(STEPS, NAMES)
]
LIMIT_S = 30  # from the death to the survivors' end; the members wait 4 s for a dead process


def final(event):
    return event["event"] in {"answered", "ended"}


def bundle(member):
    return base64.b64decode(member.get("/log/export")["bundle"])


def on_disk(town, name):
    """author -> the entries of its feed in this member's store, as bytes."""
    found = {}
    with sqlite3.connect(town.folder / name / "record.sqlite") as database:
        rows = database.execute("SELECT author, entry, signature FROM entry ORDER BY author, seq")
        for author, entry, signature in rows:
            found.setdefault(author, []).append(SignedEntry(entry, signature))
    return found


def kinds(entries):
    return [signed.read().kind for signed in entries]


@pytest.mark.parametrize(("victim", "step"), CASES)
def test_a_death_at_any_step_opens_nothing_early_and_ends_by_name(
    town, count_frames, count_study, victim, step
):
    for name in NAMES:
        town.start(name, step=step if name == victim else "never")
    town.found()
    study = propose(town, count_study, count_frames, victim)
    town.members[victim].process.wait(60)
    survivors = [name for name in NAMES if name != victim]
    ends = {name: end_at(town, name, study, victim) for name in survivors}
    for name in survivors:
        if ends[name] is not None:
            check_survivor(town, name, study, victim, ends[name])
    assert step.endswith(":ready") or None not in ends.values()
    check_record_before_reveal(town, [end for end in ends.values() if end is not None])
    check_the_dead(town, victim, survivors)


def propose(town, text, frames, victim):
    """Through a member that lives long enough to answer: a dead proposer's reply is lost."""
    return town.propose(text, frames, by="south" if victim == "north" else "north")


def end_at(town, name, study, victim):
    """The last event at a survivor; None where the study waits for the dead member's consent.

    A member that dies right after it was ready may not have sent its consent: then nothing is
    agreed, whose node is away is said, and the study waits.
    """
    began, story = time.monotonic(), []
    while time.monotonic() - began < LIMIT_S:
        member = town.members[name]
        story = member.get(f"/study/{study}/events?after=0&wait=0.2")["events"]
        for event in filter(final, story):
            return event
        named = any((e["event"], e["member"]) == ("waiting", victim) for e in story)
        if named and member.get("/status")["studies"][study] == "proposed":
            return None
    raise AssertionError(f"{name} ended nothing within {LIMIT_S} s: {story}")


def check_survivor(town, name, study, victim, end):
    member = town.members[name]
    if end["event"] == "ended":
        assert end["error"]["code"] == 402
        assert end["error"]["where"]["member"] == victim
        assert member.get(f"/study/{study}/events")["state"] == "aborted"
    report = verify_bundle(bundle(member))
    assert report.ok
    own = {feed.author: feed.entries for feed in open_bundle(bundle(member)).feeds}[name]
    last = own[-1][0].read().kind
    assert last == end["event"]


def check_record_before_reveal(town, ends):
    """No share left before its owner's certificate was on disk; no answer before all hold one."""
    for name in NAMES:
        noted = town.folder / name / "openings"
        if noted.exists():
            assert set(noted.read_text().split("\n")) <= {"released", ""}
            assert "released" in kinds(on_disk(town, name)[name])
    if any(end["event"] == "answered" for end in ends):
        assert all("released" in kinds(on_disk(town, name)[name]) for name in NAMES)


def check_the_dead(town, victim, survivors):
    """Its store opens again, and nobody holds an entry of it that is not on its own disk."""
    RecordStore(town.folder / victim / "record.sqlite").close()
    own = [signed.entry for signed in on_disk(town, victim)[victim]]
    for name in survivors:
        theirs = [signed.entry for signed in on_disk(town, name)[victim]]
        assert theirs == own[: len(theirs)]
