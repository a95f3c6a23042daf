"""Stopped at any moment, a rehearsal leaves no process and no file; a dead node is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest


@pytest.fixture(scope="module")
def words(lung):
    names = ("north", "south", "west", "lab")
    return ["rehearse", lung.folder / "linked.toml", *lung.sites(*names), *lung.dictionaries]


def until(child: subprocess.Popen[str], step: str) -> None:
    """Read progress lines until one of this step; "" is before the first."""
    assert child.stderr is not None
    while step:
        line = child.stderr.readline()
        assert line, f"the rehearsal ended before {step!r}"
        if line.split()[2] == step:
            return


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["start", "network", "started"])
def test_a_signal_at_any_step_ends_everything(place, words, number, step) -> None:
    child = place.start(*words)
    until(child, step)
    time.sleep(0.1)
    child.send_signal(number)
    began = time.monotonic()
    out, err = child.communicate(timeout=20)
    assert child.returncode == 4, out + err
    assert number.name in err
    assert "Traceback" not in out + err
    assert time.monotonic() - began < 6
    assert place.left(1.0) == []


def test_a_second_signal_does_not_stop_the_cleaning(place, words) -> None:
    child = place.start(*words)
    until(child, "network")
    for _ in range(5):
        child.send_signal(signal.SIGINT)
        time.sleep(0.02)
    child.communicate(timeout=20)
    assert child.returncode == 4
    assert place.left(1.0) == []


def test_a_signal_with_json_is_still_one_object(place, words) -> None:
    child = place.start(*words, "--json")
    deadline = time.monotonic() + 20
    while len(place.processes()) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=20)
    reply = json.loads(out)
    assert reply["status"] == "aborted"
    assert reply["error"]["code"] == 401
    assert err == ""
    assert place.left(1.0) == []


def test_a_killed_rehearsal_leaves_nothing_either(place, words) -> None:
    child = place.start(*words)
    until(child, "network")
    child.kill()
    child.communicate(timeout=20)
    assert place.left(6.0) == []


@pytest.mark.parametrize("step", ["network", "started"])
def test_a_dead_node_is_named_at_once_and_the_run_ends(place, words, step) -> None:
    child = place.start(*words)
    until(child, step)
    victim = next(pid for pid in place.processes() if b"\0west\0" in _words(pid))
    os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    out, err = child.communicate(timeout=30)
    assert child.returncode == 4, out + err
    assert "west: its node process ended by signal 9 (SIGKILL)" in err
    assert time.monotonic() - began < 6
    assert place.left(1.0) == []


def test_a_node_that_is_frozen_does_not_hold_the_end_up(place, words) -> None:
    child = place.start(*words)
    until(child, "network")
    victim = next(pid for pid in place.processes() if b"\0south\0" in _words(pid))
    os.kill(victim, signal.SIGSTOP)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=20)
    assert child.returncode == 4
    assert place.left(1.0) == []


def _words(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()
