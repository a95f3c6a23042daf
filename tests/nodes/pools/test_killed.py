"""A real node process killed between taking a batch and using it: nobody uses that batch again."""

import base64
import contextlib
import os
import signal
import socket
import time
from collections import Counter
from decimal import Decimal

import pytest

from nodes.home import make_home
from nodes.launch import launch
from nodes.store.keys import Effort
from p2pmpc.client import NodeClient
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import P2pmpcError
from p2pmpc.policy import REHEARSAL
from p2pmpc.settings import Settings
from p2pmpc.study import parse_study

NAMES = ("north", "south")
PASSPHRASE = b"correct horse"
LIMIT_S = 90.0  # on a machine that is busy with other things
STUDY = """
[study]
title = "{title}"
purpose = "DUO:0000007"
question = "How many?"
[data.patients]
dataset = "lung"
members = ["north", "south"]
[[statistic]]
name = "n"
kind = "count"
"""
AGE = Column(
    name="age",
    type="integer",
    units="years",
    minimum=Decimal(0),
    maximum=Decimal(120),
    uses=("aggregate",),
)
LUNG = Dictionary(name="lung", unit="person", columns=(AGE,)).to_bytes()
# read by the node's interpreter when it starts: it notes what the pool gives, and dies when told
HOOK = """
import os, signal
from pathlib import Path
from nodes.pools.pool import Pool
from protocols import batches

notes, order = Path(os.environ["POOL_NOTES"]), Path(os.environ["POOL_DEATH"])
take, wires = Pool.take, batches._wires

def perhaps_die(step):
    if order.exists() and order.read_text() == f"{os.getpid()} {step}":
        os.kill(os.getpid(), signal.SIGKILL)

def noted(self, peers, needs):
    found = take(self, peers, needs)
    with notes.open("a") as file:
        for one in found:
            probe = b"".join(array.tobytes()[:32] for array in one.arrays.values())[:32].hex()
            file.write(f"{Path.cwd().name} {os.getpid()} {one.id.hex()} {probe}\\n")
    if found:
        perhaps_die("taken")
    return found

def used(seat, session, ticket):
    perhaps_die("named")
    return wires(seat, session, ticket)

Pool.take, batches._wires = noted, used
"""


class Member:
    """One node's folder and process; all of them note into one file what their pools give."""

    def __init__(self, folder, name, port):
        settings = Settings(name=name, listen_port=port, gossip_s=0.5, ready_wait_s=30.0, pool_mb=8)
        self.home = make_home(folder / name, settings, PASSPHRASE, os.urandom, Effort(1, 8192))
        self.home.policy_file.write_text(REHEARSAL.to_toml())
        self.rows = folder / f"{name}.csv"
        self.rows.write_text("age\n" + "".join(f"{30 + k}\n" for k in range(40)))
        self.client = NodeClient(self.home.socket, name)

    def start(self):
        self.pid = launch(self.home, PASSPHRASE, "process", [].append).pid

    def gone(self):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def quote(self, title):
        return self.client.post("/quote", {"study": written(title)}, LIMIT_S)


def written(title):
    study = parse_study(STUDY.format(title=title), "study.toml")
    return base64.b64encode(study.to_bytes()).decode()


def until(holds):
    deadline = time.monotonic() + LIMIT_S
    while True:
        with contextlib.suppress(P2pmpcError):  # it may be starting
            if holds():
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def pair(tmp_path, monkeypatch):
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hook"))
    monkeypatch.setenv("POOL_NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("POOL_DEATH", str(tmp_path / "death"))
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ports = one.getsockname()[1], two.getsockname()[1]
    members = [Member(tmp_path, name, port) for name, port in zip(NAMES, ports, strict=True)]
    try:
        for one in members:
            one.start()
        cards = [one.client.get("/card", LIMIT_S)["card"] for one in members]
        for one in members:
            one.client.post("/network", {"name": "pair", "cards": cards}, LIMIT_S)
        for one in members:
            body = {"paths": [str(one.rows)], "dictionary": base64.b64encode(LUNG).decode()}
            one.client.post("/data", body, LIMIT_S)
        yield members
    finally:
        for one in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
            one.gone()


def notes(folder):
    """(member, process, id, first bytes) of each batch that a pool gave, in order."""
    return [tuple(line.split()) for line in (folder / "notes").read_text().splitlines()]


@pytest.mark.parametrize("step", ["taken", "named"])
def test_what_a_killed_process_had_taken_is_used_by_nobody(pair, tmp_path, step):
    north, south = pair

    def ask(title):
        return north.client.post("/study", {"study": written(title)}, LIMIT_S)["study"]

    def answered(study):
        def holds():
            found = [one.client.get("/status", LIMIT_S)["studies"].get(study) for one in pair]
            return found == ["answered"] * 2

        until(holds)

    def filled():
        until(lambda: not any(one.quote("next")["missing"] for one in pair))

    answered(ask("first"))
    filled()
    dead = south.pid
    (tmp_path / "death").write_text(f"{dead} {step}")
    study = ask("second")
    south.gone()
    taken = {found for _, pid, found, _ in notes(tmp_path) if int(pid) == dead}
    probes = [bytes.fromhex(one) for _, pid, _, one in notes(tmp_path) if int(pid) == dead]
    assert taken
    assert all(any(probe) for probe in probes)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(probe in data for probe in probes for data in files)
    south.start()
    answered(study)  # in a later attempt
    answered(ask("third"))
    given = Counter((name, found) for name, _, found, _ in notes(tmp_path))
    assert set(given.values()) == {1}
    assert not {found for _, pid, found, _ in notes(tmp_path) if int(pid) == south.pid} & taken
