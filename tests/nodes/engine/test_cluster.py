"""A node on Ray: the same answers, healed after every death, nothing secret in Ray, nothing left.

North's kernels are Ray tasks and its rows lie in two processes; south has what is usual. Tests
run in the order of this file, on the same two nodes.
"""

import contextlib
import os
import stat
import time
from pathlib import Path

import pytest

COUNT = """
[study]
title = "How many"
[data.people]
dataset = "people"
members = ["north", "south"]
[[statistic]]
name = "n"
kind = "count"
"""
HEALED_S = 15.0  # five on a machine of its own


@pytest.fixture(scope="module")
def plain(make_pair, frames, texts):
    """The answers of two nodes in one process each."""
    pair = make_pair("process")
    try:
        pair.meet()
        pair.hold(frames, texts)
        yield [pair.answer(pair.propose(text))["statistics"] for text in texts]
    finally:
        pair.end()


@pytest.fixture(scope="module")
def pair(make_pair, frames, texts):
    pair = make_pair("ray", north={"kernels": "tasks", "rows_per_partition": 65_536})
    try:
        pair.meet()
        pair.hold(frames, texts)
        yield pair
    finally:
        pair.end()


def test_the_answers_are_those_of_nodes_in_one_process(pair, plain, texts):
    found = [pair.answer(pair.propose(text))["statistics"] for text in texts]
    assert found == plain
    assert found[0]["ages"]["n"] == 73_000
    assert 500 < found[1]["both"]["n"] < 900


def test_a_large_data_set_lies_in_several_processes(pair):
    assert len(pair.actors("north")["Dataset"]) == 2 + 1
    assert len(pair.actors("south")["Dataset"]) == 1 + 1


def test_no_row_and_no_key_is_in_any_file_of_ray_and_no_other_user_reads_one(pair, marks):
    for name, member in pair.members.items():
        (folder,) = member.home.glob("ray????")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, name
        files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        assert any("gcs" in path.name for path in files)
        for path in files:
            assert not path.stat().st_mode & 0o077, path
            data = path.read_bytes()
            assert not any(mark in data for mark in marks), path


def test_no_actor_was_given_a_key(pair, processes_below):
    """Keys exist in the node process and its Gateway; neither's environment or command has more
    than paths, and Ray's store of constructor arguments has the words of `Berth` alone."""
    for member in pair.members.values():
        read = 0
        for pid, _ in processes_below(member.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a spare that ended
                words = Path(f"/proc/{pid}/environ").read_bytes().lower()
                assert b"passphrase" not in words
                assert b"seed" not in words
                read += 1
        assert read > 3  # Ray's own and the actors


@pytest.mark.parametrize("kind", ["Dataset", "Host", "Gateway"])
def test_after_any_actor_was_killed_the_next_study_is_answered(pair, kind):
    killed = pair.kill("south", kind)
    began = time.monotonic()
    study = pair.propose(COUNT.replace("How many", f"How many after {kind}"))
    answer = pair.answer(study)
    assert answer["statistics"]["n"]["values"]["n"] == 73_000
    assert time.monotonic() - began < HEALED_S
    assert not killed & set(pair.actors("south").get(kind, []))


def test_a_session_killed_in_a_study_opens_nothing_and_another_attempt_answers(pair, texts):
    pair.wait_warm()  # a session that still waits for its process has none that could be killed
    study = pair.propose(texts[1].replace("Who is", "Who is still"))
    pair.wait("south", study, lambda line: line["event"] == "started")
    time.sleep(0.3)
    pair.kill("south", "Host")
    ended = pair.wait("south", study, lambda line: line["event"] == "attempt ended")
    assert ended["text"].startswith("south: the process of its session ended")
    answer = pair.answer(study)
    assert 500 < answer["statistics"]["both"]["n"] < 900


def test_a_node_that_ends_leaves_no_process_and_no_file(pair, processes_below):
    member = pair.members["south"]
    running = [pid for pid, _ in processes_below(member.pid)]
    assert len(running) > 5
    (folder,) = member.home.glob("ray????")
    member.client.post("/stop", {}, 5)
    member.process.wait(10)
    deadline = time.monotonic() + 2.0
    while [pid for pid in running if alive(pid)] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [pid for pid in running if alive(pid)]
    assert not folder.exists()
    assert not list(Path("/dev/shm").glob(f"p2pmpc-{os.getuid()}-*-{folder.name[3:]}"))


def test_a_node_that_is_killed_leaves_none_either(pair, processes_below):
    member = pair.members["north"]
    running = [pid for pid, _ in processes_below(member.pid)]
    (folder,) = member.home.glob("ray????")
    os.kill(member.pid, 9)
    member.process.wait(5)
    deadline = time.monotonic() + 10.0  # the keeper is a shell on a busy machine
    while (folder.exists() or any(map(alive, running))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in running if alive(pid)]
    assert not folder.exists()


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
