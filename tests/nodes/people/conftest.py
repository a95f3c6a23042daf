"""Three real nodes on loopback, each behind its own control socket, and people who ask them."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nodes.durable import open_home
from nodes.home import make_home
from nodes.people.api import People
from nodes.people.desk import Desk
from nodes.people.http import serve
from nodes.shell import Node as RunningNode
from nodes.store.keys import Effort
from nodes.store.lease import Lease
from p2pmpc.folder import private_folder
from p2pmpc.node import Node, StudyHandle, connect
from p2pmpc.settings import Settings

LIGHT = Effort(1, 8192)  # passphrases of tests are no secrets
NAMES = ("north", "south", "west")
DICTIONARY = """
[dataset]
name = "visits"
unit = "person"
rows_max = 1000
[columns.age]
type = "integer"
minimum = 0
maximum = 120
uses = ["aggregate"]
[columns.sex]
type = "category"
levels = ["female", "male"]
uses = ["group"]
"""
STUDY = """
[study]
title = "{title}"
recipients = ["north"]
[data.visits]
dataset = "visits"
members = ["north", "south", "west"]
[[statistic]]
name = "ages"
kind = "describe"
columns = ["age"]
"""


@dataclass(frozen=True)
class House:
    """Nodes in one event loop on a thread of its own; tests speak to their sockets alone."""

    folder: Path
    loop: asyncio.AbstractEventLoop
    running: dict[str, RunningNode]

    def home(self, name: str) -> Path:
        return self.folder / name

    def node(self, name: str) -> Node:
        return connect(self.home(name))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def ask_stewards(self, *names: str) -> None:
        """From now on these members' policies ask a person."""
        for name in names:
            self.node(name).post("/policy", {"policy": '[default]\ndecide = "ask"\n'})

    def proposed(self, title: str) -> dict[str, StudyHandle]:
        """Proposed by north; the study at each member once each member's steward is asked."""
        id_ = self.node("north").propose(self.study(title)).id
        self.until(lambda: all(id_ in self.node(n).status()["waiting"] for n in NAMES))
        return {name: self.node(name).study(id_) for name in NAMES}

    def found(self, title: str = "Three hospitals") -> None:
        cards = [self.node(name).card() for name in NAMES]
        for name in NAMES:
            self.node(name).found(title, cards)

    def add_data(self) -> None:
        """Forty visits a member, then until every member knows what all offer."""
        described = self.write("visits.toml", DICTIONARY)
        for place, name in enumerate(NAMES):
            rows = [
                f"{30 + (7 * row + place) % 40},{('female', 'male')[row % 2]}" for row in range(40)
            ]
            file = self.write(f"{name}.csv", "\n".join(["age,sex", *rows]) + "\n")
            self.node(name).add_data(file, described)
        everybody = [self.node(name) for name in NAMES]
        self.until(lambda: all(len(one.catalogue_rows()) == 6 for one in everybody))

    @staticmethod
    def until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
        """Wait until it holds; a test that waits for ever would tell nothing."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, "it did not come to hold in time"
            time.sleep(0.02)

    def study(self, title: str) -> Path:
        return self.write(f"{title.replace(' ', '-')}.toml", STUDY.format(title=title))


@pytest.fixture(scope="module")
def empty_house() -> Iterator[House]:
    """Nodes that belong to no network yet."""
    with private_folder() as folder:
        yield from _lived_in(folder)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A network with data, whose members' stewards decide."""
    with private_folder() as folder:
        for one in _lived_in(folder):
            one.found()
            one.add_data()
            one.ask_stewards(*NAMES)
            yield one


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    found = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return found


def _lived_in(folder: Path) -> Iterator[House]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start(name: str, port: int) -> tuple[RunningNode, asyncio.Server, Lease]:
        settings = Settings(name=name, listen_port=port, link_grace_s=20.0, gossip_s=1.0)
        home = make_home(folder / name, settings, b"correct horse", os.urandom, LIGHT)
        lease = Lease(home.lease_file)  # as the process of a node holds it
        node, _ = await open_home(home, b"correct horse", "process", lambda _: None)
        people = People(Desk(node), node.log)
        return node, await serve(home.socket, people.answer), lease

    def wait(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    ports = zip(NAMES, free_ports(len(NAMES)), strict=True)
    started = {name: wait(start(name, port)) for name, port in ports}
    try:
        yield House(folder, loop, {name: node for name, (node, *_) in started.items()})
    finally:
        for node, server, lease in started.values():
            loop.call_soon_threadsafe(server.close)
            wait(node.close())
            lease.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
