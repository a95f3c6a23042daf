"""Members' nodes with real links and stores that move, come back in time, and find one another."""

from __future__ import annotations

import asyncio
import shutil
from decimal import Decimal

import msgspec

from nodes.core.effects import DatasetAdded
from nodes.durable import open_home
from nodes.home import make_home
from nodes.people.desk import Desk
from nodes.shell import addresses
from nodes.store.keys import Effort
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.settings import Settings

NAMES = ("north", "south", "west")
PASSPHRASE = b"correct horse"
LIGHT = Effort(1, 8192)


def dictionary(units):
    age = Column(
        name="age",
        type="integer",
        units=units,
        minimum=Decimal(0),
        maximum=Decimal(120),
        uses=("aggregate",),
    )
    return Dictionary(name="lung", unit="person", columns=(age,))


async def until(holds, within_s=20.0):
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110  # conditions of all kinds
            await asyncio.sleep(0.01)


class Village:
    """Three members in this process; each start of a node takes a free port."""

    def __init__(self, folder):
        self.homes, self.nodes, self.at = {}, {}, {}
        for name in NAMES:
            settings = Settings(name=name, listen_port=0, gossip_s=30.0, advertise="127.0.0.1:1")
            self.homes[name] = make_home(folder / name, settings, PASSPHRASE, counting(name), LIGHT)
            plain = msgspec.structs.replace(settings, advertise="")
            self.homes[name].settings_file.write_text(plain.to_toml())

    async def start(self, name, seeds=()):
        home = self.homes[name]
        settings = msgspec.structs.replace(home.settings(), seeds=tuple(seeds))
        home.settings_file.write_text(settings.to_toml())
        self.nodes[name], port = await open_home(home, PASSPHRASE, "process", lambda _: None)
        self.at[name] = f"127.0.0.1:{port}"
        return self.at[name]

    async def stop(self, name):
        await self.nodes.pop(name).close()

    def found(self):
        cards = tuple(self.homes[name].card() for name in NAMES)
        for name in NAMES:
            if name in self.nodes and self.nodes[name].core.feeds.roster is None:
                Desk(self.nodes[name]).found("village", cards)

    def linked(self, *names):
        return all(
            set(names) - {name} <= self.nodes[name].core.up for name in names if name in self.nodes
        )

    async def close(self):
        for name in list(self.nodes):
            await self.stop(name)


def counting(name):
    state = [0]

    def random(count):
        state[0] += 1
        return f"{name}{state[0]:06}".encode().rjust(count, b"r")[-count:]

    return random


def play(tmp_path, story):
    async def whole():
        village = Village(tmp_path)
        try:
            await story(village)
        finally:
            await village.close()

    asyncio.run(whole())


async def begin(village):
    """All are linked, though no card says where anybody is: one seed is enough."""
    first = await village.start("north")
    for name in ("south", "west"):
        await village.start(name, [first])
    village.found()
    await until(lambda: village.linked(*NAMES))


def test_members_whose_cards_are_out_of_date_find_one_another_by_one_seed(tmp_path):
    async def story(village):
        await begin(village)
        where = addresses(village.nodes["west"].core)
        assert where["south"].address == addresses(village.nodes["north"].core)["south"].address
        assert where["south"].address != "127.0.0.1:1", "not what the card says"

    play(tmp_path, story)


def test_a_member_that_starts_elsewhere_and_dials_one_is_found_again_by_all(tmp_path):
    async def story(village):
        await begin(village)
        before = addresses(village.nodes["south"].core)["west"].address
        await village.stop("west")
        await until(lambda: "west" not in village.nodes["south"].core.up)
        now = await village.start("west", [village.at["north"]])
        assert now != before
        village.nodes["west"].transport.connect(["north"])  # and never dials south
        await until(lambda: village.linked("north", "south") and village.linked("south", "west"))
        assert addresses(village.nodes["south"].core)["west"].address == now

    play(tmp_path, story)


def test_a_store_that_was_copied_back_in_time_is_completed_from_two_peers_and_forks_nobody(
    tmp_path,
):
    async def story(village):
        await begin(village)
        backup = tmp_path / "backup.sqlite"
        await village.stop("west")
        shutil.copy(village.homes["west"].record_file, backup)
        await village.start("west")
        await until(lambda: village.linked(*NAMES))
        west = village.nodes["west"]
        for units in ("years", "months"):
            west.take(DatasetAdded(dictionary(units), bytes(32)))
        after = west.core.feeds.heads["west"].seq
        await until(lambda: village.nodes["south"].core.feeds.heads["west"].seq == after)
        await village.stop("west")
        for side in village.homes["west"].folder.glob("record.sqlite-*"):
            side.unlink()
        shutil.copy(backup, village.homes["west"].record_file)
        await village.start("west")
        west = village.nodes["west"]
        assert west.core.recovering
        assert Desk(west).status()["recovering"]
        assert west.core.feeds.heads["west"].seq < after
        west.take(DatasetAdded(dictionary("days"), bytes(32)))
        await until(lambda: not west.core.recovering)
        kinds = [signed.read().kind for signed, _ in west.store.entries("west", after, after + 9)]
        assert kinds == ["dataset", "recovered", "dataset"]
        for name in ("north", "south"):
            feeds = village.nodes[name].core.feeds
            await until(lambda feeds=feeds: feeds.heads["west"].seq == after + 2)
            assert feeds.forks == {}

    play(tmp_path, story)


def test_two_nodes_that_run_with_one_members_keys_are_named_to_its_people(tmp_path):
    async def story(village):
        await begin(village)
        twin = tmp_path / "twin"
        await village.stop("west")
        shutil.copytree(village.homes["west"].folder, twin)
        await village.start("west")
        await until(lambda: village.linked(*NAMES))
        first = village.nodes["west"]
        village.homes["west"] = type(village.homes["west"])(twin)
        await village.start("west")
        second = village.nodes["west"]

        def told(node):
            return [line for line in node.stories.lines.get("", []) if line.event == "twin"]

        try:
            await until(lambda: told(first) and told(second))
            assert all(line.member == "west" for line in told(first) + told(second))
        finally:
            await first.close()

    play(tmp_path, story)
