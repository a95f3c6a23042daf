"""One member's key in hostile hands, and strangers: real nodes go on with their work.

Each case runs while the honest members compute a study; they must answer it, stay quick to ask, and
take no more memory than a bound. What the transport makes of each kind of wrong bytes is tested in
tests/nodes/transport; here it is the whole node that must bear them.
"""

import base64
import contextlib
import json
import os
import socket
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from nodes.transport.frames import frame
from nodes.transport.tls import client_context, make_certificate
from p2pmpc.identity import SecretKeys, check_card, make_card, make_keys
from p2pmpc.messages import VERSION, Entries, Frontier, Hello, Ping, Want, encode_message
from p2pmpc.record import SignedEntry

HONEST = ("lab", "north", "south")
ROGUE = "mallory"
MEMORY_BYTES_MAX = 64 * 2**20  # what an attack may add to a node; its window to one peer is 16 MiB
ANSWER_S = 30.0
ASKED_S_MAX = 2.0  # the slowest answer of /status while a peer floods, on two busy cores


@dataclass
class Rogue:
    """A member of the network whose node is a few lines of a test."""

    keys: SecretKeys = field(default_factory=lambda: make_keys(os.urandom))
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list = field(default_factory=list)
    acts: Counter = field(default_factory=Counter)  # by the member that was pestered
    network: bytes = bytes(32)

    @property
    def own(self):
        return make_certificate(self.keys.transport_seed, ROGUE)

    def card(self):
        return make_card(ROGUE, self.keys, self.own.der, "127.0.0.1:1")

    def hello(self, network=None):
        return Hello(VERSION, VERSION, network or self.network, 0, ROGUE, 2**20, 32 * 2**20)

    def link(self, member, own=None, hello=None):
        """A TLS connection to this member's node that has greeted it."""
        card = check_card(base64.b64decode(member.get("/card")["card"]))
        context = client_context(own or self.own, card.certificate)
        plain = socket.create_connection(("127.0.0.1", member.port()), timeout=10)
        wire = context.wrap_socket(plain)
        wire.sendall(frame(encode_message(hello or self.hello())))
        return wire

    def pester(self, members, act):
        """`act(wire)` on one link to each member, again and again, until stopped.

        Returns when each has felt it more than once.
        """
        self.acts.clear()
        for member in members:
            thread = threading.Thread(target=self._pester, args=(member, act), daemon=True)
            thread.start()
            self.threads.append(thread)
        deadline = time.monotonic() + 20
        while any(self.acts[member.name] < 2 for member in members):
            assert time.monotonic() < deadline, self.acts
            time.sleep(0.01)

    def _pester(self, member, act):
        while not self.stop.is_set():
            with contextlib.suppress(OSError, ssl.SSLError), self.link(member) as wire:
                while not self.stop.is_set():
                    self.acts[member.name] += 1
                    act(wire)
                    time.sleep(0.005)  # a real one has a machine of its own
            time.sleep(0.02)

    def rest(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(15)


def hush(wire):
    """Read whatever comes and say nothing about it."""
    wire.settimeout(0.001)
    with contextlib.suppress(TimeoutError):
        while wire.recv(65536):
            pass


def floods(wire):
    wire.sendall(b"".join(frame(encode_message(Ping())) for _ in range(500)))
    hush(wire)


def asks_for_everything_again_and_again(wire):
    wire.sendall(b"".join(frame(encode_message(Frontier(()))) for _ in range(50)))
    hush(wire)


def asks_and_never_reads(wire):
    wire.settimeout(1)
    with contextlib.suppress(TimeoutError):
        wire.sendall(frame(encode_message(Frontier(()))) * 200)
    time.sleep(0.05)


def stalls(_wire):
    time.sleep(0.05)


def stops_inside_a_frame(wire):
    wire.sendall((2**19).to_bytes(4, "big") + b"half")
    time.sleep(0.2)
    raise OSError


def sends_garbage(wire):
    wire.sendall(frame(os.urandom(300)))
    time.sleep(0.02)


def lies_about_frontiers(wire):
    heads = tuple((name, 2**40, os.urandom(32)) for name in sorted((*HONEST, ROGUE)))
    wire.sendall(frame(encode_message(Frontier(heads))))
    wire.sendall(frame(encode_message(Want("north", 0, 2**40))))
    hush(wire)


def sends_entries_that_nobody_signed(wire):
    entries = tuple((SignedEntry(os.urandom(200), os.urandom(64)), None) for _ in range(50))
    wire.sendall(frame(encode_message(Entries(entries))))
    hush(wire)


CASES = (
    floods,
    asks_for_everything_again_and_again,
    asks_and_never_reads,
    stalls,
    stops_inside_a_frame,
    sends_garbage,
    lies_about_frontiers,
    sends_entries_that_nobody_signed,
)


def resident(member):
    with open(f"/proc/{member.process.pid}/status") as file:
        line = next(one for one in file if one.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def answered(event):
    assert event["event"] != "ended", event
    return event["event"] == "answered"


def retitled(study, title):
    return study.replace("How many", title, 1)


@pytest.fixture(scope="module")
def rogue():
    made = Rogue()
    yield made
    made.rest()


@pytest.fixture(scope="module")
def honest(module_town, rogue, count_frames, count_study):
    """Three real nodes in a network with a fourth that is none, and a first answer."""
    town = module_town
    for name in HONEST:
        town.start(name)
    cards = [one.get("/card")["card"] for one in town.members.values()]
    cards.append(base64.b64encode(rogue.card()).decode())
    for one in town.members.values():
        found = one.post("/network", {"cards": sorted(cards), "name": "trouble"})
    rogue.network = bytes.fromhex(found["network"])
    study = town.propose(retitled(count_study, "first"), count_frames)
    for name in HONEST:
        town.wait(name, study, answered, ANSWER_S)
    return town


@pytest.mark.parametrize("act", CASES, ids=lambda act: act.__name__)
def test_a_study_of_others_is_answered_while_a_member(
    honest, rogue, count_frames, count_study, act
):
    before = {name: resident(honest.members[name]) for name in HONEST}
    rogue.stop.clear()
    rogue.pester(honest.members.values(), act)
    study = honest.propose(retitled(count_study, act.__name__), count_frames)
    slowest = 0.0
    for name in HONEST:
        honest.wait(name, study, answered, ANSWER_S)
        began = time.monotonic()
        status = honest.members[name].get("/status")
        slowest = max(slowest, time.monotonic() - began)
        assert status["failure"] is None
    rogue.rest()
    assert slowest < ASKED_S_MAX
    for name in HONEST:
        assert resident(honest.members[name]) - before[name] < MEMORY_BYTES_MAX


def log_lines(town, name, event, holds):
    """The lines of this event for which holds(line), as soon as there is one."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = (town.folder / name / "node.log").read_text().splitlines()
        found = [one for one in map(json.loads, lines) if one["event"] == event and holds(one)]
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{name} logs no such {event!r}")


def test_a_member_that_floods_is_let_go_by_name(honest, rogue):
    with contextlib.suppress(OSError), rogue.link(honest.members["north"]) as wire:
        wire.settimeout(20)
        wire.sendall(frame(encode_message(Ping())) * 100_000)
    flood = "more control messages at once than any node sends"
    assert log_lines(honest, "north", "link down", lambda line: line["reason"] == flood)


def test_a_member_that_greets_for_another_network_is_refused_by_name(honest, rogue):
    north = honest.members["north"]
    with rogue.link(north, hello=rogue.hello(os.urandom(32))) as wire:
        wire.settimeout(10)
        while wire.recv(65536):
            pass
    wrong = "it is in another network"
    assert log_lines(honest, "north", "peer refused", lambda line: wrong in line["what"])
    assert ROGUE not in north.get("/status")["links"]


def test_a_stranger_is_refused_once_in_the_log_however_often_it_knocks(honest, rogue):
    stranger = make_certificate(os.urandom(32), "north")
    north = honest.members["north"]
    for _ in range(20):
        with contextlib.suppress(OSError), rogue.link(north, own=stranger) as wire:
            wire.settimeout(10)
            assert wire.recv(65536) == b""
    shown = stranger.fingerprint
    lines = log_lines(honest, "north", "peer refused", lambda line: line["fingerprint"] == shown)
    assert len(lines) == 1
    assert north.get("/status")["failure"] is None
