"""What goes wrong among real processes: dead members, cut links, full disks, and what is left."""

import base64
import contextlib
import resource
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from p2pmpc.bundle import open_bundle
from p2pmpc.errors import P2pmpcError, StoreFailed
from p2pmpc.record import KINDS, read_content
from p2pmpc.verify import verify_bundle


def bundle(member):
    return base64.b64decode(member.get("/log/export")["bundle"])


def contents(data, author):
    """(kind, content) of every entry of one author in a bundle."""
    feeds = {feed.author: feed.entries for feed in open_bundle(data).feeds}
    return [
        (signed.read().kind, read_content(signed.read().kind, body))
        for signed, body in feeds[author]
    ]


def ended(event):
    return event["event"] == "ended"


def answered(event):
    assert event["event"] != "ended", event
    return event["event"] == "answered"


def started(event):
    return event["event"] == "started"


def wait_links(town, count, limit_s=20):
    began = time.monotonic()
    while any(len(m.get("/status")["links"]) < count for m in town.members.values()):
        assert time.monotonic() - began < limit_s
        time.sleep(0.05)


def test_a_member_killed_mid_run_is_named_to_all_and_the_run_ends_on_record(
    town, linked_frames, linked_study
):
    for name in ("lab", "north", "south"):
        town.start(name)
    town.found()
    study = town.propose(linked_study, linked_frames)
    town.wait("north", study, started, 20)
    time.sleep(0.3)
    town.members["south"].kill()
    killed = time.monotonic()
    for name in ("lab", "north"):
        named, _ = town.wait(
            name, study, lambda e: e["member"] == "south" and e["event"] == "waiting", 10
        )
        assert time.monotonic() - killed < 10
        assert "south" in named["text"]
    for name in ("lab", "north"):
        event, _ = town.wait(name, study, ended, 30 - (time.monotonic() - killed))
        assert event["error"]["code"] == 402
        assert event["error"]["where"]["member"] == "south"
        found = town.members[name].get(f"/study/{study}/events")
        assert found["state"] == "aborted"
        with pytest.raises(P2pmpcError):
            town.members[name].get(f"/study/{study}/result")
        record = contents(bundle(town.members[name]), name)
        assert [c.waited_for for k, c in record if k == "ended"] == ["south"]
        assert not [k for k, _ in record if k in {"released", "answered"}]
        verify_bundle(bundle(town.members[name]))


@pytest.mark.parametrize("cut_s", [2.0, pytest.param(10.0, marks=pytest.mark.slow)])
def test_a_link_that_is_cut_for_a_while_costs_a_pause(town, linked_frames, linked_study, cut_s):
    for name in ("lab", "north", "south"):
        town.start(name, wired=True)
    town.found()
    study = town.propose(linked_study, linked_frames)
    town.wait("lab", study, started, 20)
    for wire in town.wires:
        wire.cut()
    time.sleep(cut_s)
    for wire in town.wires:
        wire.mend()
    for name in ("lab", "north", "south"):
        town.wait(name, study, answered, 60)
    answer = town.members["north"].get(f"/study/{study}/result")
    assert answer["statistics"]["n"]["values"]["n"] == 228
    verify_bundle(bundle(town.members["lab"]))


def fill_disk(member):
    """Its record may grow by one more page, whatever has been written by now."""
    log = member.home / "record.sqlite-wal"
    room = max(log.stat().st_size, (member.home / "record.sqlite").stat().st_size) + 4096
    resource.prlimit(member.process.pid, resource.RLIMIT_FSIZE, (room, room))


def test_a_full_disk_ends_the_node_before_anything_signed_leaves_it(
    town, count_frames, count_study
):
    for name in ("lab", "north"):
        town.start(name)
    victim = town.start("south")
    town.found()
    wait_links(town, 2)
    fill_disk(victim)
    study = None
    with contextlib.suppress(StoreFailed):  # the disk may be full before the data is announced
        study = town.propose(count_study, count_frames)
    if study is not None:
        town.wait("north", study, ended, 90)
        assert town.members["north"].get(f"/study/{study}/events")["state"] == "aborted"
    failure = victim.get("/status")["failure"]
    assert failure["code"] == 103
    assert failure["next"]
    found = open_bundle(bundle(town.members["north"])).feeds
    others = {feed.author: feed.entries for feed in found}
    victim.end()
    with sqlite3.connect(victim.home / "record.sqlite") as database:
        rows = database.execute("SELECT seq, entry FROM entry WHERE author = 'south'").fetchall()
    kept = dict(rows)
    for signed, _ in others.get("south", ()):
        assert kept[signed.read().seq] == signed.entry


@pytest.mark.slow
def test_a_member_whose_process_hangs_is_named_and_the_run_ends(town, linked_frames, linked_study):
    for name in ("lab", "north", "south"):
        town.start(name)
    town.found()
    study = town.propose(linked_study, linked_frames)
    town.wait("north", study, started, 20)
    town.members["south"].process.send_signal(signal.SIGSTOP)
    try:
        for name in ("lab", "north"):
            event, _ = town.wait(name, study, ended, 90)
            assert event["error"]["where"]["member"] == "south"
    finally:
        town.members["south"].process.send_signal(signal.SIGCONT)


def test_two_processes_cannot_write_one_store(town):
    first = town.start("north")
    command = [sys.executable, "-m", "nodes", "--ephemeral", "--name", "north"]
    command += ["--home", str(first.home)]
    done = subprocess.run(
        command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False
    )
    assert done.returncode == 1
    assert b'"ready": false' in done.stdout
    assert str(first.process.pid).encode() in done.stdout
    assert b"Traceback" not in done.stderr


def test_every_kind_of_a_whole_run_is_on_everybodys_record(town, count_frames, count_study):
    for name in ("lab", "north", "south"):
        town.start(name)
    town.found()
    study = town.propose(count_study, count_frames)
    for name in ("lab", "north", "south"):
        town.wait(name, study, answered, 60)
    time.sleep(0.3)
    expected = {
        "genesis",
        "dataset",
        "consent",
        "ready",
        "checked",
        "release",
        "released",
        "answered",
    }
    for holder in ("lab", "north", "south"):
        data = bundle(town.members[holder])
        verify_bundle(data)
        for author in ("lab", "north", "south"):
            kinds = {kind for kind, _ in contents(data, author)}
            assert expected <= kinds <= set(KINDS)


def test_the_answers_of_all_recipients_are_one_answer(town, linked_frames, linked_study):
    for name in ("lab", "north", "south"):
        town.start(name)
    town.found()
    study = town.propose(linked_study, linked_frames, by="lab")
    answers = []
    for name in ("lab", "north", "south"):
        town.wait(name, study, answered, 60)
        answer = town.members[name].get(f"/study/{study}/result")
        answers.append(answer["statistics"])
    assert answers[0] == answers[1] == answers[2]
