"""Three real nodes make correlations while they are idle, and use each once."""

import asyncio
from decimal import Decimal

import numpy as np
import pytest
from msgspec.structs import replace

from nodes.ephemeral import open_node
from nodes.people.desk import Desk
from nodes.pools import fill as filling
from nodes.pools import keeper as keeping
from nodes.pools.keeper import RECENT_MAX, REST_S, REST_S_MAX, SHELF_MAX, WAITING_MAX
from nodes.pools.pool import PeerSet
from nodes.session.session import Session
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import LocalError
from p2pmpc.messages import Offer
from p2pmpc.settings import rehearsal_settings
from p2pmpc.study import parse_study
from protocols.batches import Batch

NAMES = ("east", "north", "south")
STUDY = """
[study]
title = "{title}"
purpose = "DUO:0000007"
question = "How many?"
[data.patients]
dataset = "lung"
members = ["east", "north", "south"]
[[statistic]]
name = "n"
kind = "count"
"""
ONES = np.ones((3, 1), np.uint64)
LIMIT_S = 60.0  # on a machine that is busy with other things
AGE = Column(
    name="age",
    type="integer",
    units="years",
    minimum=Decimal(0),
    maximum=Decimal(120),
    uses=("aggregate",),
)
LUNG = Dictionary(name="lung", unit="person", columns=(AGE,))


class Village:
    """Three nodes with their data, founded and linked, and all of them keep a pool."""

    def __init__(self, nodes, home):
        self.nodes, self.home = nodes, home
        self.keepers = [node.keeper for node in nodes.values()]

    async def load(self, name):
        path = self.home / f"{name}.csv"
        path.write_text("age\n" + "".join(f"{40 + k}\n" for k in range(30)))
        await Desk(self.nodes[name]).add_data((str(path),), LUNG.to_bytes(), "utf-8")

    async def until(self, holds):
        async with asyncio.timeout(LIMIT_S):
            while not holds():  # noqa: ASYNC110  there is nothing to wait on but the state
                await asyncio.sleep(0.02)

    async def answered(self, title):
        """What this study cost at north, once all have its answer."""
        study = parse_study(STUDY.format(title=title), "study.toml")
        Desk(self.nodes["north"]).propose(study.to_bytes(), None)
        await self.until(
            lambda: all(
                (case := node.core.cases.get(study.id)) is not None
                and case.state == "answered"
                and not node.runs.running
                for node in self.nodes.values()
            )
        )
        return Desk(self.nodes["north"]).cost(study.id)

    async def filled(self):
        await self.until(
            lambda: (
                all(k.pool.batches and k.filling is None for k in self.keepers)
                and len({k.pool.batches for k in self.keepers}) == 1
            )
        )


def village(tmp_path, monkeypatch, scene, pool_mb=8):
    """Run scene(village) among three nodes that find themselves idle at once."""
    monkeypatch.setattr(keeping, "IDLE_S", 0.1)
    monkeypatch.setattr(keeping, "LOOK_EVERY_S", 0.05)

    async def whole():
        nodes = {}
        for name in NAMES:
            file = tmp_path / f"{name}.toml"
            file.write_text(replace(rehearsal_settings(name), pool_mb=pool_mb).to_toml())
            nodes[name] = await open_node(name, tmp_path / name, file)
        made = Village(nodes, tmp_path)
        try:
            for node in nodes.values():
                Desk(node).found("pools", tuple(one.card for one in nodes.values()))
            await made.until(lambda: all(len(node.core.up) == 2 for node in nodes.values()))
            for name in NAMES:
                await made.load(name)
            await scene(made)
        finally:
            for node in nodes.values():
                await node.close()

    asyncio.run(whole())


def test_what_idle_nodes_make_saves_rounds_and_bytes_and_is_used_once(tmp_path, monkeypatch):
    async def scene(made):
        first = await made.answered("first")
        await made.filled()
        before = [{b.id for s in k.pool.shelves.values() for b in s} for k in made.keepers]
        assert before[0] == before[1] == before[2]
        assert len({tuple(k.pool.held(PeerSet(NAMES, k.epoch)).items()) for k in made.keepers}) == 1
        asked = parse_study(STUDY.format(title="second"), "study.toml").to_bytes()
        assert Desk(made.nodes["south"]).quote(asked)["missing"] == {}
        second = await made.answered("second")
        assert second["rounds"] < first["rounds"]
        assert second["bytes_sent"] < first["bytes_sent"]
        after = {b.id for s in made.keepers[0].pool.shelves.values() for b in s}
        used = before[0] - after
        assert used
        await made.until(lambda: made.keepers[0].filled >= 2)
        later = {b.id for s in made.keepers[0].pool.shelves.values() for b in s}
        assert not used & later

    village(tmp_path, monkeypatch, scene)


def test_a_node_that_lost_its_pool_costs_the_others_theirs_and_no_answer(tmp_path, monkeypatch):
    async def scene(made):
        first = await made.answered("first")
        await made.filled()
        made.nodes["south"].keeper.pool.close()  # as after a start
        taken = []
        east = made.nodes["east"].keeper
        take = type(east.pool).take

        def noted(pool, peers, needs):
            found = take(pool, peers, needs)
            taken.extend(found)
            return found

        monkeypatch.setattr(type(east.pool), "take", noted)
        monkeypatch.setattr(keeping, "IDLE_S", 60.0)
        second = await made.answered("second")
        assert taken
        assert not any(array.any() for batch in taken for array in batch.arrays.values())
        assert second["rounds"] >= first["rounds"]

    village(tmp_path, monkeypatch, scene)


def test_nothing_of_a_pool_lies_in_a_members_folder(tmp_path, monkeypatch):
    async def scene(made):
        await made.answered("first")
        await made.filled()
        found = [b"".join(p.read_bytes() for p in made.home.rglob("*") if p.is_file())]
        for keeper in made.keepers:
            for shelf in keeper.pool.shelves.values():
                for batch in shelf:
                    parts = [a.tobytes()[:64] for a in batch.arrays.values() if a.nbytes >= 64]
                    assert parts
                    assert not any(part in whole for part in parts for whole in found)

    village(tmp_path, monkeypatch, scene)


def test_a_study_that_becomes_ready_ends_a_fill_at_once_and_nothing_of_it_is_kept(
    tmp_path, monkeypatch
):
    async def scene(made):
        posted = []

        async def stalled(self, peer, name, data):
            posted.append(name)
            await asyncio.sleep(3600)

        await made.answered("first")
        monkeypatch.setattr(filling.Fill, "_post", stalled)
        await made.until(lambda: all(k.filling is not None for k in made.keepers))
        await made.answered("second")
        assert posted
        assert all(k.pool.batches == 0 for k in made.keepers)

    village(tmp_path, monkeypatch, scene)


def test_a_fill_that_stalls_ends_after_its_time_and_the_peer_set_rests(tmp_path, monkeypatch):
    async def scene(made):
        async def silent(self, peer, name, data):
            """A party that agrees and then says nothing."""

        await made.answered("first")
        monkeypatch.setattr(filling, "FILL_S_MAX", 0.2)
        monkeypatch.setattr(filling.Fill, "_post", silent)
        await made.until(lambda: made.keepers[0].rests)
        await made.until(lambda: made.keepers[0].filling is None)
        rest = made.keepers[0].rests[NAMES]
        assert rest.until_s > made.keepers[0].clock() + REST_S / 2
        assert made.keepers[0].pool.batches == 0

    assert filling.FILL_S_MAX > 60  # long enough for what fills a pool
    village(tmp_path, monkeypatch, scene)


def test_a_pool_of_nothing_offers_and_joins_nothing(tmp_path, monkeypatch):
    async def scene(made):
        await made.answered("first")
        await asyncio.sleep(0.5)
        asked = parse_study(STUDY.format(title="second"), "study.toml").to_bytes()
        quoted = Desk(made.nodes["south"]).quote(asked)
        assert quoted["missing"] == quoted["needs"]
        assert quoted["needs"]["wire"] == 1
        assert all(k.filled == 0 and k.talks.talk is None for k in made.keepers)

    village(tmp_path, monkeypatch, scene, pool_mb=0)


def test_what_a_peer_may_not_offer_makes_nobody_work(tmp_path, monkeypatch):
    async def scene(made):
        monkeypatch.setattr(keeping, "IDLE_S", 60.0)
        await made.answered("first")
        south = made.nodes["south"].keeper
        good = Offer(b"f" * 32, NAMES, south.epoch, (("and", 1),), b"k" * 32)
        for number, wrong in enumerate(
            (
                replace(good, parties=("east", "south")),
                replace(good, parties=("east", "nobody", "south")),
                replace(good, epoch=south.epoch + 1),
                replace(good, kinds=(("and", 2**40),)),
                replace(good, kinds=(("gold", 1),)),
            )
        ):
            south.hear("east", replace(wrong, fill=bytes([number]) * 32))
            assert (south.talks.talk, south.filling) == (None, None)
        south.hear("east", good)
        assert south.talks.talk is not None
        south.hear("north", replace(good, kinds=(("and", 2),), key=b"n" * 32))
        assert south.talks.talk is None
        assert NAMES in south.rests
        south.hear("east", replace(good, fill=b"g" * 32))
        assert south.talks.talk is None

    village(tmp_path, monkeypatch, scene)


def test_rests_grow_and_have_an_end_and_few_peer_sets_are_remembered(tmp_path, monkeypatch):
    async def scene(made):
        monkeypatch.setattr(keeping, "IDLE_S", 60.0)
        keeper = made.keepers[0]
        for _ in range(64):
            keeper._rest(NAMES)
        assert keeper.rests[NAMES].until_s <= keeper.clock() + REST_S_MAX
        await made.answered("first")
        asked = keeper.recent[NAMES]
        for number in range(RECENT_MAX + 3):
            keeper.remember(("east", f"m{number}"), asked)
        assert len(keeper.recent) == RECENT_MAX
        assert NAMES not in keeper.recent
        found = [(("east", "north"), [asked] * (WAITING_MAX + 1))]
        assert len(keeping.first_waiting(dict(found))[("east", "north")]) == WAITING_MAX

    village(tmp_path, monkeypatch, scene)


def test_a_peer_cannot_send_others_to_rest_or_make_a_list_of_rests_grow(tmp_path, monkeypatch):
    async def scene(made):
        monkeypatch.setattr(keeping, "IDLE_S", 60.0)
        await made.answered("first")
        south = made.nodes["south"].keeper
        good = Offer(b"f" * 32, NAMES, south.epoch, (("and", 1),), b"k" * 32)
        south.hear("north", replace(good, parties=("east", "south")))  # it is no party of
        for number in range(40):  # the last are more than a peer may offer
            parties = ("east", f"m{number}", "south")
            south.hear("north", replace(good, parties=parties, kinds=(("b", 1), ("a", 1))))
        assert south.rests == {}
        south.hear("east", good)
        south.hear("lab", replace(good, parties=("lab", "south")))
        assert south.talks.talk is not None

    village(tmp_path, monkeypatch, scene)


def test_small_batches_do_not_fill_the_memory_beyond_their_bytes(tmp_path, monkeypatch):
    async def scene(made):
        monkeypatch.setattr(keeping, "IDLE_S", 60.0)
        await made.answered("first")
        south = made.nodes["south"].keeper
        peers = PeerSet(NAMES, south.epoch)
        small = [Batch(bytes(32), NAMES, "and", 1, {}) for _ in range(SHELF_MAX - 1)]
        south.pool.add(peers, small)
        good = Offer(b"f" * 32, NAMES, south.epoch, (("and", 1),), b"k" * 32)
        assert south._unwilling(good) == ""
        south.pool.add(peers, small[:1])
        assert south._unwilling(good) == "many batches already"

    village(tmp_path, monkeypatch, scene)


def test_a_fault_of_the_program_in_a_fill_is_told_to_the_others(tmp_path, monkeypatch):
    async def scene(made):
        east = made.nodes["east"].keeper
        run = filling.Fill.run

        async def faulty(self):
            if self.me == "east":
                await asyncio.sleep(0.2)
                raise MemoryError
            return await run(self)

        monkeypatch.setattr(filling.Fill, "run", faulty)
        await made.answered("first")
        await made.until(lambda: east.rests)
        monkeypatch.setattr(keeping, "IDLE_S", 60.0)
        await made.until(lambda: all(k.filling is None for k in made.keepers))
        assert all(k.pool.batches == 0 for k in made.keepers)

    village(tmp_path, monkeypatch, scene)


def test_a_study_that_cannot_be_counted_ends_no_node_and_no_look(tmp_path, monkeypatch):
    async def scene(made):
        def broken(asked):
            raise OverflowError

        await made.answered("first")
        await made.filled()
        for keeper in made.keepers:
            keeper.known.clear()
        monkeypatch.setattr(keeping, "study_needs", broken)
        await made.answered("second")
        assert all(node.failure is None for node in made.nodes.values())

        def worse(self, epoch):
            looks.append(epoch)
            raise KeyError

        looks = []
        monkeypatch.setattr(type(made.keepers[0].pool), "keep_epoch", worse)
        await made.until(lambda: len(looks) > 3 * len(NAMES))

    village(tmp_path, monkeypatch, scene)


def test_a_pool_takes_nothing_in_once_its_node_has_ended(tmp_path, monkeypatch):
    async def scene(made):
        await made.answered("first")
        await made.filled()
        south = made.nodes["south"].keeper
        peers, batch = PeerSet(NAMES, south.epoch), Batch(bytes(32), NAMES, "and", 1, {"0": ONES})
        south.close()
        with pytest.raises(LocalError, match="do not fit"):
            south.pool.add(peers, [batch])
        assert not batch.arrays["0"].any()
        await asyncio.wait_for(south.watch(), 5)

    village(tmp_path, monkeypatch, scene)


def test_what_a_study_took_is_burnt_though_its_protocol_never_began(tmp_path, monkeypatch):
    async def scene(made):
        took = []
        take = type(made.keepers[0].pool).take

        def noted(pool, peers, needs):
            found = take(pool, peers, needs)
            took.extend(found)
            return found

        def refused(self):
            raise LocalError("no plan today")

        await made.answered("first")
        await made.filled()
        monkeypatch.setattr(keeping, "IDLE_S", 60.0)
        monkeypatch.setattr(type(made.keepers[0].pool), "take", noted)
        monkeypatch.setattr(Session, "_draw", refused)
        study = parse_study(STUDY.format(title="second"), "study.toml")
        Desk(made.nodes["north"]).propose(study.to_bytes(), None)
        await made.until(
            lambda: took and not any(node.runs.running for node in made.nodes.values())
        )
        assert not any(array.any() for batch in took for array in batch.arrays.values())

    village(tmp_path, monkeypatch, scene)


@pytest.mark.parametrize("name", ["Keeper", "Fill"])
def test_who_fills_shows_nothing_of_what_is_filled(name):
    kind = getattr(keeping if name == "Keeper" else filling, name)
    assert not kind.__dataclass_params__.repr
