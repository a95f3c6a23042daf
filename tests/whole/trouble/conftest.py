"""Real member processes under the test's own hand: they can be killed, cut off and starved."""

import base64
import contextlib
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from p2pmpc.client import NodeClient
from p2pmpc.settings import rehearsal_settings
from p2pmpc.study import parse_study
from simulations.describe import Describer
from simulations.sites import Site

STUDY = """
[study]
title = "Weight loss by sex"
purpose = "DUO:0000007"
question = "Do men lose more weight?"
[data.patients]
dataset = "lung"
members = ["north", "south"]
[data.labs]
dataset = "markers"
members = ["lab"]
[link]
tables = ["patients", "labs"]
by = [["pid"]]
[[statistic]]
name = "n"
kind = "count"
[[statistic]]
name = "loss"
kind = "t_test"
column = "wt_loss"
by = "sex"
"""
COUNT = """
[study]
title = "How many"
purpose = "DUO:0000007"
question = "How many?"
[data.patients]
dataset = "lung"
members = ["north", "south", "lab"]
[[statistic]]
name = "n"
kind = "count"
"""


def lung():
    """The lung cancer data of lifelines, from its file; the package itself is not imported."""
    origin = Path(importlib.util.find_spec("lifelines").origin).parent
    frame = pd.read_csv(origin / "datasets" / "lung.csv")
    frame = frame.rename(columns=lambda name: name.replace(".", "_"))
    frame["sex"] = frame["sex"].map({1: "male", 2: "female"})
    frame["pid"] = [f"P{k:04d}" for k in range(len(frame))]
    return frame


def shut(end):
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


class Wire:
    """A TCP proxy on loopback that can be cut and mended; bytes in flight are lost by a cut."""

    def __init__(self):
        self.target = None
        self.whole = True
        self.pairs = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.ended = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.ended:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            if not self.whole:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                near.close()
                continue
            self.pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def pump(self, one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            shut(end)

    def cut(self):
        self.whole = False
        for pair in self.pairs:
            for end in pair:
                shut(end)
        self.pairs = []

    def mend(self):
        self.whole = True

    def close(self):
        self.ended = True
        self.cut()
        self.server.close()


class Member:
    """One node process. `limit_bytes` caps the size of any file it writes.

    `step` is where it kills itself (see dying.py); such members wait less long for the dead.
    `skew_s` is how far its clock is ahead (see skewed.py). `changes` are settings. `disk_bytes`
    gives it a disk of its own, which nobody else sees (look in /proc/PID/root).
    """

    def __init__(
        self,
        name,
        home,
        wire=None,
        limit_bytes=None,
        step=None,
        skew_s=None,
        disk_bytes=None,
        changes=None,
    ):
        self.name, self.home, self.wire = name, home, wire
        settings = home.with_suffix(".toml")
        changes = dict(changes or {})
        if wire is not None:
            changes["advertise"] = f"127.0.0.1:{wire.port}"
        program = ["-m", "nodes"]
        if step is not None:
            changes["refused_grace_s"] = 4.0
            program = [str(Path(__file__).with_name("dying.py")), step]
        if skew_s is not None:
            program = [str(Path(__file__).with_name("skewed.py")), str(skew_s)]
        settings.write_text(msgspec.structs.replace(rehearsal_settings(name), **changes).to_toml())
        command = [sys.executable, *program, "--ephemeral", "--name", name]
        command += ["--home", str(home), "--settings", str(settings)]
        if disk_bytes is not None:
            home.mkdir(mode=0o700)
            mount = f"mount -t tmpfs -o size={disk_bytes},mode=700 none {home}"
            command = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh", *command]
        self.errors = open(home.with_suffix(".stderr"), "wb")  # noqa: SIM115  closed in end()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            preexec_fn=(lambda: limit_files(limit_bytes)) if limit_bytes else None,  # noqa: PLW1509
        )
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        assert ready, f"{name} did not start"
        words = json.loads(self.process.stdout.readline())
        assert words["ready"], words
        inside = f"/proc/{self.process.pid}/root" if disk_bytes is not None else ""
        self.client = NodeClient(inside + words["socket"], name)
        if wire is not None:
            wire.target = self.port()

    def sockets(self):
        """The inodes of this process's sockets, as /proc/net spells them."""
        found = set()
        for fd in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(os.readlink(fd).removeprefix("socket:[").removesuffix("]"))
        return found

    def port(self):
        """The TCP port that this process listens on."""
        inodes = self.sockets()
        for line in Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]:
            parts = line.split()
            if parts[3] == "0A" and parts[9] in inodes:
                return int(parts[1].split(":")[1], 16)
        raise AssertionError("listens nowhere")

    def post(self, path, body=None):
        return self.client.post(path, body or {}, 30)

    def get(self, path):
        return self.client.get(path, 30)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()


class Town:
    """All members of a test, with their files."""

    def __init__(self, folder):
        self.folder = folder
        self.members = {}
        self.wires = []

    def start(
        self,
        name,
        wired=False,
        limit_bytes=None,
        step=None,
        skew_s=None,
        disk_bytes=None,
        **changes,
    ):
        wire = None
        if wired:
            wire = Wire()
            self.wires.append(wire)
        member = Member(
            name, self.folder / name, wire, limit_bytes, step, skew_s, disk_bytes, changes
        )
        self.members[name] = member
        return member

    def found(self):
        cards = [one.get("/card")["card"] for _, one in sorted(self.members.items())]
        for _, one in sorted(self.members.items()):
            one.post("/network", {"cards": cards, "name": "trouble"})

    def propose(self, text, frames, by="north"):
        """Load each member's frame {member: {dataset: frame}} and propose; the study's id."""
        study = parse_study(text, "study.toml")
        sites = {}
        for member, sets in frames.items():
            files = {}
            for dataset, frame in sets.items():
                path = self.folder / f"{member}-{dataset}" / f"{dataset}.csv"
                path.parent.mkdir(exist_ok=True)
                frame.to_csv(path, index=False)
                files[dataset] = path
            sites[member] = Site(member, files)
        described = Describer.read([], sites).describe(study, sites)
        for member, sets in frames.items():
            for dataset in sets:
                body = {
                    "name": dataset,
                    "paths": [str(sites[member].files[dataset])],
                    "dictionary": base64.b64encode(described[member][dataset].to_bytes()).decode(),
                }
                self.members[member].post("/data", body)
        encoded = base64.b64encode(study.to_bytes()).decode()
        return self.members[by].post("/study", {"study": encoded})["study"]

    def wait(self, name, study, wanted, limit_s):
        """Seconds until a member's story holds an event for which wanted(event) is true."""
        began, after = time.monotonic(), 0
        while time.monotonic() - began < limit_s:
            path = f"/study/{study}/events?after={after}&wait=0.5"
            found = self.members[name].get(path)
            for event in found["events"]:
                after = event["n"]
                if wanted(event):
                    return event, time.monotonic() - began
        raise AssertionError(f"{name}: not seen within {limit_s} s")

    def end(self):
        for member in self.members.values():
            member.end()
        for wire in self.wires:
            wire.close()


def limit_files(size):
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@contextlib.contextmanager
def made_town():
    folder = Path(
        tempfile.mkdtemp(prefix="town-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    )
    made = Town(folder)
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def town():
    with made_town() as made:
        yield made


@pytest.fixture(scope="module")
def module_town():
    """One for all tests of a module."""
    with made_town() as made:
        yield made


@pytest.fixture(scope="session")
def linked_frames():
    whole = lung()
    hospital = whole[["pid", "age", "sex"]]
    return {
        "north": {"lung": hospital.iloc[:120]},
        "south": {"lung": hospital.iloc[120:]},
        "lab": {"markers": whole[["pid", "wt_loss"]]},
    }


@pytest.fixture(scope="session")
def count_frames():
    whole = lung()[["age", "sex"]]
    return {
        "north": {"lung": whole.iloc[:90]},
        "south": {"lung": whole.iloc[90:160]},
        "lab": {"lung": whole.iloc[160:]},
    }


@pytest.fixture(scope="session")
def linked_study():
    return STUDY


@pytest.fixture(scope="session")
def count_study():
    return COUNT
