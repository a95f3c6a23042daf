"""Where Ray may run and where it may not; every refusal says what to do instead."""

import importlib.metadata
import os
import subprocess
import sys
import time

import pytest

from nodes.engine.cluster import runtime
from nodes.engine.cluster.runtime import FOLDER_BYTES_MAX, descendants, find
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


def test_no_two_starts_share_a_folder_and_what_was_left_is_removed(tmp_path):
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(dir="/tmp") as short:
        home = tmp_path.__class__(short)
        first = find(home)
        first.folder.mkdir()
        (first.folder / "left").write_text("x")
        holder = subprocess.Popen(
            [sys.executable, "-c", "import sys,time; f=open(sys.argv[1]); time.sleep(60)",
             str(first.folder / "left")]
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while holder.pid not in runtime._holders(first.folder):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        second = find(home)
        assert second.folder != first.folder
        assert not first.folder.exists()
        assert holder.wait(5) == -9


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
