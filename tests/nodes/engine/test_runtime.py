"""Where Ray may run and where it may not; every refusal says what to do instead."""

import importlib.metadata
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from nodes.engine.cluster import runtime
from nodes.engine.cluster.runtime import FOLDER_BYTES_MAX, find
from nodes.processes import descendants
from p2pmpc.errors import LocalError

FOUR = "[0-9a-f][0-9a-f][0-9a-f][0-9a-f]"


def test_ray_lies_in_the_nodes_folder_where_its_name_is_short_enough(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    long = tmp_path / ("x" * FOLDER_BYTES_MAX)
    long.mkdir()
    found = find(long)
    assert found.folder.parent != long
    assert len(os.fsencode(found.folder)) <= FOLDER_BYTES_MAX
    assert found.spill.parent == runtime.MEMORY_FOLDER


@pytest.fixture
def home():
    """A short folder, named by a symbolic link as some machines name a member's."""
    with TemporaryDirectory(dir="/tmp") as short:
        (Path(short) / "real").mkdir()
        (Path(short) / "link").symlink_to("real")
        yield Path(short) / "link"


def open_in(file, mode):
    """A process that holds a file open, and is seen to."""
    text = f"import sys,time; f=open(sys.argv[1],{mode!r}); print(flush=True); time.sleep(60)"
    found = subprocess.Popen([sys.executable, "-c", text, str(file)], stdout=subprocess.PIPE)
    assert found.stdout.readline() == b"\n"
    return found


def test_no_two_starts_share_a_folder_and_what_was_left_is_removed(home):
    first = find(home)
    first.folder.mkdir()
    (first.folder / "left").write_text("x")
    writer = open_in(first.folder / "left", "a")
    second = find(home)
    assert second.folder != first.folder
    assert not first.folder.exists()
    assert writer.wait(5) == -9


def test_who_only_reads_what_an_earlier_ray_wrote_is_not_ended(home):
    first = find(home)
    first.folder.mkdir()
    (first.folder / "log").write_text("x")
    reader = open_in(first.folder / "log", "r")
    try:
        find(home)
        assert not first.folder.exists()
        assert reader.poll() is None
    finally:
        reader.kill()
        reader.wait()


def test_nothing_of_another_node_or_of_another_name_is_ended(home):
    """Two homes side by side, and a folder whose name only begins like one of Ray's."""
    other = home.parent / "other"
    other.mkdir()
    kept = [find(other).folder, home / "ray12345", home / "raytoolong", home.parent / "ray1234"]
    for folder in kept:
        folder.mkdir()
    holders = [open_in(folder / "log", "a") for folder in kept]
    try:
        find(home)
        assert all(folder.exists() for folder in kept)
        assert [one.poll() for one in holders] == [None] * len(holders)
    finally:
        for one in holders:
            one.kill()
            one.wait()


def test_the_keeper_ends_who_writes_and_removes_all_when_the_node_is_gone(home):
    found = find(home)
    for folder in (found.folder, found.spill):
        folder.mkdir()
    (found.folder / "log").write_text("x")
    holders = [open_in(found.folder / "log", mode) for mode in ("a", "r")]
    keeper = subprocess.run(
        [runtime.SHELL, "-c", runtime.KEEP, "keeper", str(found.folder), str(found.spill)],
        stdin=subprocess.DEVNULL, cwd="/", timeout=30, check=False,
    )  # fmt: skip
    try:
        assert keeper.returncode == 0
        assert holders[0].wait(5) == -9
        assert holders[1].poll() is None
        assert not found.folder.exists()
        assert not found.spill.exists()
    finally:
        holders[1].kill()
        holders[1].wait()


def test_nothing_that_the_outside_says_of_ray_reaches_it(tmp_path, monkeypatch):
    outside = {
        "RAY_ADDRESS": "192.0.2.9:6379",
        "RAY_AUTH_TOKEN": "theirs",
        "RAY_object_spilling_config": "{}",
        "RAY_RUNTIME_ENV_HOOK": "their.module",
    }
    monkeypatch.setattr(os, "environ", {**os.environ, **outside})
    runtime._set_environment(tmp_path)
    assert not outside.keys() & os.environ.keys()
    assert os.environ["RAY_AUTH_MODE"] == "token"
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert token.stat().st_mode & 0o777 == 0o600
    assert len(token.read_text()) == 64


def test_without_ray_or_with_an_old_one_the_other_engine_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.49.1")
    with pytest.raises(LocalError, match=r"2\.49\.1") as caught:
        find(tmp_path)
    assert "--engine process" in caught.value.next

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(LocalError, match="not installed") as caught:
        find(tmp_path)
    assert "--engine process" in caught.value.next


def test_where_rows_would_go_to_a_disk_nothing_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "MEMORY_FOLDER", tmp_path / "none")
    with pytest.raises(LocalError, match="disk") as caught:
        find(tmp_path)
    assert "--engine process" in caught.value.next


def test_all_that_runs_below_a_process_is_found():
    inner = "import subprocess; subprocess.run(['sleep', '60'])"
    child = subprocess.Popen([sys.executable, "-c", inner])
    try:
        deadline = time.monotonic() + 20
        while len(found := descendants(child.pid)) < 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(found) == 1
        assert child.pid in descendants(os.getpid())
        os.kill(found[0], 9)
    finally:
        child.wait(5)
