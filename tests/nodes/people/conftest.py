"""Three real nodes on loopback, each behind its own control socket, and people who ask them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nodes.ephemeral import open_node
from nodes.people.api import People
from nodes.people.desk import Desk
from nodes.people.http import serve
from nodes.shell import Node as RunningNode
from p2pmpc.folder import private_folder
from p2pmpc.node import Node, connect

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
    def until(holds: Callable[[], bool], within_s: float = 15.0) -> None:
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


def _lived_in(folder: Path) -> Iterator[House]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start(name: str) -> tuple[RunningNode, asyncio.Server]:
        node = await open_node(name, folder / name, None)
        people = People(Desk(node), node.log)
        return node, await serve(folder / name / "control.sock", people.answer)

    def wait(work):  # type: ignore[no-untyped-def]
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    started = {name: wait(start(name)) for name in NAMES}
    try:
        yield House(folder, loop, {name: node for name, (node, _) in started.items()})
    finally:
        for node, server in started.values():
            loop.call_soon_threadsafe(server.close)
            wait(node.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
