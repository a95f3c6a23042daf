"""What a member's own machine does to its node: full disks, small memory, wrong clocks."""

import base64
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nodes.doctor.clock import check_clock, read_skews
from nodes.doctor.history import read_history
from nodes.home import make_home
from nodes.launch import launch
from nodes.store.keys import Effort
from p2pmpc.client import NodeClient
from p2pmpc.errors import P2pmpcError
from p2pmpc.settings import Settings
from p2pmpc.study import parse_study

LIGHT = Effort(1, 8192)
PASSPHRASE = b"correct horse"
NAMES = ("lab", "north", "south")


def answered(event):
    assert event["event"] != "ended", event
    return event["event"] == "answered"


# ---- the clock ----


@pytest.mark.parametrize(("skew_s", "side"), [(3700, "ahead of"), (-3700, "behind")])
def test_a_clock_that_is_wrong_by_an_hour_stops_nothing_and_the_doctor_names_it(
    town, count_frames, count_study, skew_s, side
):
    for name in NAMES:
        town.start(name, skew_s=skew_s if name == "south" else None)
    town.found()
    study = town.propose(count_study, count_frames)
    for name in NAMES:
        town.wait(name, study, answered, 60)
    for name in ("lab", "north"):
        [found] = doubts(town, name, 1)
        assert found.level == "fault"
        assert f"the clock of south is at least 1 h 1 min {side}" in found.text
    assert all("all the others differ" in found.fix for found in doubts(town, "south", 2))


def doubts(town, name, count):
    """What the doctor finds of clocks, once so many others have named this member's entries."""
    deadline = time.monotonic() + 20
    while True:
        history = read_history(town.folder / name / "record.sqlite")
        found = [one for one in check_clock(read_skews(name, history.feeds)) if one.level != "ok"]
        if len(found) == count:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


# ---- the disk ----


def can_mount():
    done = subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    return done.returncode == 0


needs_mount = pytest.mark.skipif(
    shutil.which("unshare") is None or not can_mount(),
    reason="this machine gives its users no mount namespace",
)


@needs_mount
def test_a_disk_that_is_really_full_ends_the_node_by_name_and_loses_nothing(
    town, count_frames, count_study
):
    for name in ("lab", "north"):
        town.start(name)
    victim = town.start("south", disk_bytes=3 * 2**20)
    town.found()
    study = town.propose(count_study, count_frames)
    for name in NAMES:
        town.wait(name, study, answered, 60)
    inside = Path(f"/proc/{victim.process.pid}/root{victim.home}")
    before = entries_in(inside, town.folder / "before")
    fill(inside / "filler")
    town.members["north"].post("/study", {"study": renamed(count_study, "again")})
    deadline = time.monotonic() + 30
    while (failure := victim.get("/status")["failure"]) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert failure["code"] == 103
    assert "full" in failure["message"]
    assert "Free some space" in failure["next"]
    with pytest.raises(P2pmpcError, match="full"):
        victim.post("/study", {"study": renamed(count_study, "a third")})
    assert entries_in(inside, town.folder / "after") >= before > 8
    assert victim.process.poll() is None


def fill(path):
    """Every byte that is left, and then some."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def entries_in(home, copy):
    """How many entries the record in this folder holds; read from a copy, which is checked."""
    copy.mkdir()
    for file in home.glob("record.sqlite*"):
        shutil.copy(file, copy)
    with contextlib.closing(sqlite3.connect(copy / "record.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute("SELECT count(*) FROM entry").fetchone()[0]


def renamed(study, title):
    text = study.replace("How many", title, 1)
    return base64.b64encode(parse_study(text, "study.toml").to_bytes()).decode()


# ---- memory and Ray ----


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "n", Settings(name="north"), PASSPHRASE, os.urandom, LIGHT)


def doctor(home, *before, environment=None):
    command = [*before, sys.executable, "-m", "p2pmpc.cli", "node", "doctor", "--json"]
    command += ["--engine", "ray", "--node", str(home.folder)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    findings = json.loads(done.stdout)["data"]["findings"]
    return done.returncode, {one["check"]: one for one in findings}


@needs_mount
@pytest.mark.parametrize(
    ("mount", "says"),
    [("-t tmpfs -o size=64m none", "holds 64 MB"), ("--bind /var", "would reach a disk")],
)
def test_a_memory_folder_that_is_small_or_no_memory_is_a_fault_for_ray(home, mount, says):
    script = f'mount {mount} /dev/shm && exec "$@"'
    code, found = doctor(home, "unshare", "-rm", "sh", "-c", script, "sh")
    assert code == 1
    assert found["memory folder"]["level"] == "fault"
    assert says in found["memory folder"]["text"]


def test_ray_of_another_version_is_a_fault(home, tmp_path):
    stale = tmp_path / "other" / "ray-1.13.0.dist-info"
    stale.mkdir(parents=True)
    (stale / "METADATA").write_text("Metadata-Version: 2.1\nName: ray\nVersion: 1.13.0\n")
    paths = os.pathsep.join(filter(None, [str(stale.parent), os.environ.get("PYTHONPATH", "")]))
    code, found = doctor(home, environment={"PYTHONPATH": paths})
    assert code == 1
    assert found["ray"]["level"] == "fault"
    assert "1.13.0" in found["ray"]["text"]


# ---- a running node under the doctor's eyes ----


def test_the_doctor_leaves_a_running_node_alone_and_sees_what_it_listens_on(tmp_path):
    settings = Settings(name="north", listen_port=0)
    home = make_home(tmp_path / "n", settings, PASSPHRASE, os.urandom, LIGHT)
    started = launch(home, PASSPHRASE, "process", [].append)
    try:
        code, found = doctor(home)
        assert found["node"]["text"] == f"the node runs as process {started.pid}"
        assert found["umask"]["text"].startswith("the umask is 0077")
        assert found["certificate"]["text"] == "keys, card and certificate are of one node"
        assert found["listeners"]["level"] == "ok"
        assert NodeClient(home.socket, "north").get("/status", 10)["failure"] is None
        assert code == 0, [one for one in found.values() if one["level"] == "fault"]
    finally:
        os.kill(started.pid, 15)
        os.waitpid(started.pid, 0)
    assert doctor(home)[1]["node"]["text"].startswith("the node does not run")


def test_details_go_to_a_file_that_the_start_names_and_nowhere_else(home, tmp_path):
    settings = home.settings_file.read_text()
    home.settings_file.write_text(settings.replace("listen_port = 7443", "listen_port = 0"))
    secret = tmp_path / "passphrase"
    secret.write_bytes(PASSPHRASE + b"\n")
    secret.chmod(0o600)
    command = [sys.executable, "-m", "p2pmpc.cli", "node", "start", "--node", str(home.folder)]
    command += ["--passphrase-file", str(secret), "--json", "--debug"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = json.loads(done.stdout)["data"]
    try:
        card = NodeClient(home.socket, "north").get("/card", 10)["card"]
        with contextlib.suppress(P2pmpcError):  # an event of the core, whatever comes of it
            NodeClient(home.socket, "north").post("/network", {"name": "x", "cards": [card]}, 10)
    finally:
        NodeClient(home.socket, "north").post("/stop", {}, 10)
    file = home.folder / "node.debug.log"
    assert said["debug_file"] == str(file)
    assert file.stat().st_mode & 0o077 == 0
    details = [json.loads(line)["event"] for line in file.read_text().splitlines()]
    assert {"node started", "event taken"} <= set(details)
    assert "event taken" not in home.log_file.read_text()
