"""What a peer's control messages cost it."""

import asyncio

import pytest

from nodes.transport.events import Received
from nodes.transport.pace import CONTROLS_BURST_MAX, CONTROLS_PER_S, DEBT_MAX, Pace
from nodes.transport.peer import CONTROLS_MAX
from nodes.transport.reason import Reason
from p2pmpc.errors import RemoteError
from p2pmpc.messages import Frontier, Ping, Progress

SESSION = b"s" * 32


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pace(clock):
    return Pace(clock, clock())


def test_a_whole_burst_is_read_at_once_and_one_more_message_waits(pace):
    assert pace.pay(CONTROLS_BURST_MAX) == 0
    assert pace.pay(1) == pytest.approx(1 / CONTROLS_PER_S)


def test_time_pays_and_a_long_silence_pays_no_more_than_a_burst(pace, clock):
    pace.pay(CONTROLS_BURST_MAX)
    clock.now += 1.0
    assert pace.pay(CONTROLS_PER_S) == 0
    clock.now += 3600.0
    assert pace.pay(CONTROLS_BURST_MAX) == 0
    assert pace.pay(CONTROLS_PER_S) == pytest.approx(1.0)


def test_what_a_sender_may_keep_for_a_slow_peer_is_no_flood():
    assert CONTROLS_BURST_MAX == CONTROLS_MAX


def test_the_largest_debt_is_waited_for_and_one_message_more_is_a_flood(pace):
    assert pace.pay(CONTROLS_BURST_MAX + DEBT_MAX) == DEBT_MAX / CONTROLS_PER_S
    with pytest.raises(RemoteError, match=Reason.FLOOD):
        pace.pay(1)


def test_a_flood_ends_the_link_by_name(play, add_rude):
    async def story(scene):
        alpha = await scene.add("alpha")
        rude = await add_rude(scene)
        rude.say(*[Ping()] * (4 * CONTROLS_BURST_MAX))
        await scene.until(lambda: alpha.counts().get(Reason.FLOOD) == 1)
        assert not alpha.link_state("mallory").up

    play(story)


def test_what_is_sent_too_fast_is_taken_later_and_nothing_of_it_is_lost(play, add_rude):
    async def story(scene):
        alpha = await scene.add("alpha")
        rude = await add_rude(scene)
        began = asyncio.get_running_loop().time()
        count = CONTROLS_BURST_MAX + 200
        rude.say(*[Frontier(())] * count)
        await scene.until(lambda: len(scene.of("alpha", Received)) == count)
        rude.say(Progress(SESSION, "after", ()))
        await scene.until(lambda: len(scene.of("alpha", Received)) == count + 1)
        assert alpha.link_state("mallory").up
        assert asyncio.get_running_loop().time() - began >= 0.5 * 200 / CONTROLS_PER_S

    play(story)
