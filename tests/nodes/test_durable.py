"""Members' own nodes as real processes that die and start again: what is kept, what goes on."""

from __future__ import annotations

import base64
import contextlib
import os
import resource
import signal
import socket
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from nodes.home import Home, make_home
from nodes.launch import launch
from nodes.store.keys import Effort
from p2pmpc.bundle import open_bundle
from p2pmpc.client import NodeClient
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import LocalError, NotFound, P2pmpcError, StoreFailed
from p2pmpc.policy import REHEARSAL
from p2pmpc.settings import Settings
from p2pmpc.study import parse_study
from p2pmpc.verify import verify_bundle

NAMES = ("north", "south", "west")
PASSPHRASE = b"correct horse"
LIGHT = Effort(1, 8192)
LIMIT_S = 60.0  # on a machine that is busy with other things
ROWS = 40
STUDY = """
[study]
title = "{title}"
purpose = "DUO:0000007"
question = "How many?"
[data.patients]
dataset = "lung"
members = ["north", "south", "west"]
[[statistic]]
name = "ages"
kind = "describe"
columns = ["age"]
"""


def until(holds, what: str):
    """What `holds` returns once it is true; a node that is just being started may not answer."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {LIMIT_S:g} s for {what}")


def dictionary() -> Dictionary:
    age = Column(
        name="age",
        type="integer",
        units="years",
        minimum=Decimal(0),
        maximum=Decimal(120),
        uses=("aggregate",),
    )
    return Dictionary(name="lung", unit="person", columns=(age,))


@dataclass
class Member:
    """One member with its folder; `pid` while its process runs."""

    name: str
    home: Home
    file: Path
    pid: int = 0

    @property
    def client(self) -> NodeClient:
        return NodeClient(self.home.socket, self.name)

    def start(self, told=None) -> None:
        tell = [].append if told is None else told.append
        self.pid = launch(self.home, PASSPHRASE, "process", tell).pid

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.gone()

    def gone(self) -> None:
        with contextlib.suppress(ChildProcessError):  # whoever starts the next may have waited
            os.waitpid(self.pid, 0)
        self.pid = 0

    def get(self, path):
        return self.client.get(path, LIMIT_S)

    def post(self, path, body):
        return self.client.post(path, body, LIMIT_S)

    def add_data(self):
        description = base64.b64encode(dictionary().to_bytes()).decode()
        return self.post("/data", {"paths": [str(self.file)], "dictionary": description})

    def propose(self, title):
        study = parse_study(STUDY.format(title=title), "study.toml")
        data = base64.b64encode(study.to_bytes()).decode()
        return self.post("/study", {"study": data})["study"]

    def approve(self, study):
        facts = self.get(f"/study/{study}")
        body = {"approve": True, "why": "it is useful", "hash": facts["hash"]}
        self.post(f"/study/{study}/decision", body)

    def state(self, study):
        return self.get("/status")["studies"].get(study)

    def story(self, study):
        return self.get(f"/study/{study}/events?after=0&wait=0")["events"]


class Village:
    """The members of one network, each with its data on record."""

    def __init__(self, members):
        self.members = members

    def __getitem__(self, name) -> Member:
        return self.members[name]

    def __iter__(self):
        return iter(self.members.values())

    def linked(self):
        for one in self:
            until(lambda one=one: len(one.get("/status")["links"]) == len(NAMES) - 1, "the links")

    def known(self, study):
        for one in self:
            until(lambda one=one: one.state(study), f"{study} at {one.name}")

    def ends(self, study, state):
        """Every running member has the study in this final state."""
        for one in self:
            if one.pid:
                until(lambda one=one: one.state(study) == state, f"{state} at {one.name}")


def free_ports(number):
    plugs = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [plug.getsockname()[1] for plug in plugs]
    for plug in plugs:
        plug.close()
    return ports


def make_member(folder, name, port) -> Member:
    settings = Settings(name=name, listen_port=port, gossip_s=0.5, ready_wait_s=30.0)
    home = make_home(folder / name, settings, PASSPHRASE, os.urandom, LIGHT)
    home.policy_file.write_text(REHEARSAL.to_toml())
    file = folder / f"{name}.csv"
    file.write_text("age\n" + "".join(f"{30 + k}\n" for k in range(ROWS)))
    return Member(name, home, file)


@pytest.fixture
def village(tmp_path):
    ports = free_ports(len(NAMES))
    made = [make_member(tmp_path, name, port) for name, port in zip(NAMES, ports, strict=True)]
    whole = Village({one.name: one for one in made})
    try:
        for one in whole:
            one.start()
        cards = [one.get("/card")["card"] for one in whole]
        for one in whole:
            one.post("/network", {"name": "village", "cards": cards})
        whole.linked()
        for one in whole:
            one.add_data()
        yield whole
    finally:
        for one in whole:
            if one.pid:
                os.kill(one.pid, signal.SIGKILL)
                one.gone()


def ask(member: Member) -> None:
    """This member's steward decides from now on."""
    rules = REHEARSAL.to_toml().replace('decide = "approve"', 'decide = "ask"')
    member.home.policy_file.write_text(rules)
    member.post("/policy", {"policy": rules})


def test_an_answer_its_receipt_and_the_record_outlive_every_process(village):
    study = village["north"].propose("Ages")
    village.ends(study, "answered")
    before = {one.name: one.get(f"/study/{study}/result") for one in village}
    receipts = {one.name: one.get(f"/study/{study}/receipt") for one in village}
    cost = village["south"].get(f"/study/{study}/cost")
    with pytest.raises(LocalError, match=f"in use by process {village['north'].pid}"):
        launch(village["north"].home, PASSPHRASE, "process", [].append)
    for one in village:
        one.kill()
    for one in village:
        one.start()
    village.linked()
    for one in village:
        assert one.state(study) == "answered"
        assert one.get(f"/study/{study}/result") == before[one.name]
        assert one.get(f"/study/{study}/receipt") == receipts[one.name]
    assert village["south"].get(f"/study/{study}/cost") == cost
    bundle = base64.b64decode(village["west"].get("/log/export")["bundle"])
    verify_bundle(bundle)
    assert len(open_bundle(bundle).receipts) == 1
    again = village["west"].propose("Ages, again")
    village.ends(again, "answered")


def test_a_proposal_that_waits_still_waits_after_a_restart_and_can_then_be_decided(village):
    south = village["south"]
    ask(south)
    study = village["north"].propose("Ages")
    village.known(study)
    until(lambda: study in south.get("/status")["waiting"], "the question to the steward")
    for name in ("south", "north"):
        village[name].kill()
        village[name].start()
    village.linked()
    assert south.state(study) == "proposed"
    assert study in south.get("/status")["waiting"]
    south.approve(study)
    village.ends(study, "answered")


def test_a_node_that_dies_while_it_waits_for_ready_completes_the_study_in_a_later_attempt(village):
    north, south, west = village
    ask(south)
    study = north.propose("Ages")
    village.known(study)
    until(lambda: study in south.get("/status")["waiting"], "the question to the steward")
    os.kill(west.pid, signal.SIGSTOP)  # it has consented, and cannot become ready
    south.approve(study)
    until(lambda: north.state(study) == "ready", "north's ready")
    north.kill()
    north.start()
    os.kill(west.pid, signal.SIGCONT)
    village.ends(study, "answered")
    assert any("started again" in line["text"] for line in south.story(study))


def running(village):
    """A study whose sessions run at north and south, and hear nothing of west for now."""
    north, _, west = village
    west.file.write_text("age\n" + "".join(f"{20 + k % 60}\n" for k in range(400_000)))
    west.add_data()
    study = north.propose("Many ages")
    until(lambda: north.state(study) == "computing", "the run")
    os.kill(west.pid, signal.SIGSTOP)
    return study


def test_stop_during_a_study_names_who_stopped_it_and_it_goes_on_when_the_node_is_back(village):
    north, south, west = village
    study = running(village)
    began = time.monotonic()
    north.post("/stop", {})
    north.gone()
    assert time.monotonic() - began < 10
    said = "north was stopped by its own people"
    until(lambda: any(said in line["text"] for line in south.story(study)), "the reason at south")
    os.kill(west.pid, signal.SIGCONT)
    north.start()
    village.ends(study, "answered")


def test_a_node_that_is_killed_during_a_run_completes_the_study_in_a_later_attempt(village):
    north, _, west = village
    study = running(village)
    north.kill()
    north.start()
    os.kill(west.pid, signal.SIGCONT)
    village.ends(study, "answered")
    verify_bundle(base64.b64decode(west.get("/log/export")["bundle"]))


def test_a_file_that_has_changed_is_named_and_refused_until_it_is_added_again(village):
    west = village["west"]
    west.post("/stop", {})
    west.gone()
    west.file.write_text("age\n" + "".join(f"{50 + k % 9}\n" for k in range(ROWS)))
    told: list[str] = []
    west.start(told)
    assert any("lung" in line for line in told)
    assert "not those that were announced" in west.get("/status")["data_faults"]["lung"]
    assert "data set unusable" in west.home.log_file.read_text()
    village.linked()
    study = village["north"].propose("Ages")
    village.ends(study, "refused")
    assert any("'lung'" in line["text"] for line in village["north"].story(study))
    west.add_data()
    assert west.get("/status")["data_faults"] == {}
    again = village["north"].propose("Ages, again")
    village.ends(again, "answered")
    west.kill()
    west.file.unlink()
    west.start()
    assert "cannot be read" in west.get("/status")["data_faults"]["lung"]


def fill(member):
    """Write until the disk takes no more."""
    for number in range(100):
        member.propose(f"Ages {number}")


def test_a_full_disk_is_said_and_nothing_on_record_is_lost(village):
    north = village["north"]
    study = north.propose("Ages")
    village.ends(study, "answered")
    wal = north.home.record_file.with_name("record.sqlite-wal")
    room = wal.stat().st_size + 4096
    resource.prlimit(north.pid, resource.RLIMIT_FSIZE, (room, room))
    with pytest.raises(StoreFailed):
        fill(north)
    assert north.get("/status")["failure"]["code"] == StoreFailed.code
    north.kill()
    north.start()
    village.linked()
    assert north.get(f"/study/{study}/result")["released"]
    verify_bundle(base64.b64decode(north.get("/log/export")["bundle"]))
    again = village["south"].propose("Ages, after all")
    village.ends(again, "answered")


def test_a_folder_without_its_keys_is_said_in_a_sentence(tmp_path):
    (port,) = free_ports(1)
    north = make_member(tmp_path, "north", port)
    north.home.keys_file.unlink()
    with pytest.raises(P2pmpcError, match=r"keys\.sealed"):
        north.start()
    north.home.settings_file.unlink()
    with pytest.raises(NotFound, match="no node's folder"):
        north.start()
