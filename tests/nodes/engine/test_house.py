"""When the node process gives its Gateway up, and when it waits for the next one."""

import asyncio
import os

import pytest

from nodes.engine.cluster.gateway import Berth
from nodes.engine.cluster.house import DEATHS, SILENT_S, House
from nodes.engine.cluster.letters import Ready, WantKeys
from nodes.engine.cluster.runtime import Runtime
from nodes.logging import make_log
from p2pmpc.errors import LocalError
from p2pmpc.identity import make_keys
from p2pmpc.settings import rehearsal_settings


class Quiet:
    """A channel's end on which the keys are sent to nobody."""

    def send(self, frame):
        pass


def watched(folder, scene):
    """Run a scene with a house that has begun, and has no actors."""

    async def play():
        berth = Berth("north", str(folder), "", str(folder))
        house = House(
            Runtime(folder, folder), rehearsal_settings("north"), make_keys(os.urandom), berth,
            lambda port: None, lambda text: None, make_log(folder / "node.log", "north"),
        )  # fmt: skip
        house.well = asyncio.get_running_loop().time()
        scene(house)

    asyncio.run(play())


def test_a_gateway_that_served_for_an_hour_and_dies_is_waited_for(tmp_path):
    def scene(house):
        house._answer(Quiet(), WantKeys())
        house._answer(Quiet(), Ready(7443))
        house.well -= 3600
        house._lost_gateway()
        house._lost_gateway()  # Ray says it again while it starts the next one
        house._answer(Quiet(), WantKeys())
        house._answer(Quiet(), Ready(7443))
        house.well -= 3600
        house._lost_gateway()

    watched(tmp_path, scene)


def test_a_gateway_that_does_not_come_back_ends_the_node_by_name(tmp_path):
    def scene(house):
        house._answer(Quiet(), WantKeys())
        house._answer(Quiet(), Ready(7443))
        house._lost_gateway()
        house.well -= SILENT_S + 1
        with pytest.raises(LocalError, match="again and again"):
            house._lost_gateway()

    watched(tmp_path, scene)


def test_gateways_that_die_before_they_are_ready_end_the_node_by_name(tmp_path):
    def scene(house):
        for _ in range(DEATHS - 1):
            house._answer(Quiet(), WantKeys())
            house._lost_gateway()
        house._answer(Quiet(), WantKeys())
        with pytest.raises(LocalError, match="again and again"):
            house._lost_gateway()

    watched(tmp_path, scene)
