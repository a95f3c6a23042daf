"""The shell's end of a session and the session's own end, over a real socket; no Ray."""

import asyncio
from types import SimpleNamespace

import pytest

from nodes.core.effects import SessionOrder
from nodes.engine.cluster import attempt as attempt_module
from nodes.engine.cluster.attempt import HEARD_BYTES_MAX, RemoteAttempt
from nodes.engine.cluster.channel import dial, listen
from nodes.engine.cluster.letters import SESSION_FRAMES, Done, Mail, Post, Posted
from nodes.engine.cluster.session import AHEAD_BYTES_MAX, Run
from nodes.session.session import Outcome
from p2pmpc.errors import Aborted, LocalError


async def ends(folder):
    """Two ends of one channel: the Gateway's and the Session's."""
    accepted = asyncio.get_running_loop().create_future()

    async def accept(channel):
        accepted.set_result(channel)

    server = await listen(folder / "s", SESSION_FRAMES, accept)
    there = await dial(folder / "s", SESSION_FRAMES, 5)
    here = await accepted
    server.close()
    return here, there


def remote(channel, mail):
    """An attempt whose brief is not looked at: it has begun as far as the channel is concerned."""

    async def spare():
        return channel

    order = SessionOrder(bytes(32), "s", (), (), {}, b"")
    brief = SimpleNamespace(me="north", order=order, held=())
    ending = asyncio.get_running_loop().create_future()
    return RemoteAttempt(brief, {}, spare, mail, lambda peak: None, ending)


@pytest.fixture
def begun(monkeypatch):
    """The first frame stands for the brief."""
    monkeypatch.setattr(
        attempt_module.Begin, "of", staticmethod(lambda brief, stocks, pieces: Posted(0))
    )


async def pause(step):
    raise AssertionError("nothing pauses here")


def test_mail_goes_both_ways_in_order_and_what_came_early_is_not_lost(tmp_path, begun):
    async def scene():
        here, there = await ends(tmp_path)
        posted = []

        async def mail(peer, name, data):
            posted.append((peer, name, data))

        one = remote(here, mail)
        one.hear("south", "first", b"1")
        run = asyncio.create_task(one.run(pause))
        assert await there.receive() == Posted(0)
        assert await there.receive() == Mail("south", "first", b"1")
        one.hear("south", "second", b"2")
        assert await there.receive() == Mail("south", "second", b"2")
        for k in range(3):
            there.send(Post("south", f"p{k}", bytes([k])))
        there.send(Done(True, b"", b"h", b"r", {"here": 1}))
        assert await run == Outcome(True, None, b"h", b"r", {"here": 1})
        assert posted == [("south", f"p{k}", bytes([k])) for k in range(3)]
        assert await there.receive() == Posted(1)

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_a_session_whose_process_ends_ends_the_run_by_this_members_name(tmp_path, begun):
    async def scene():
        here, there = await ends(tmp_path)
        run = asyncio.create_task(remote(here, None).run(pause))
        await there.receive()
        there.close()
        with pytest.raises(Aborted) as caught:
            await run
        assert caught.value.where["member"] == "north"

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_stopping_an_attempt_closes_its_channel_even_while_a_peer_takes_no_mail(tmp_path, begun):
    async def scene():
        here, there = await ends(tmp_path)
        held = asyncio.Event()

        async def mail(peer, name, data):
            await held.wait()

        one = remote(here, mail)
        run = asyncio.create_task(one.run(pause))
        await there.receive()
        there.send(Post("south", "p", b"x"))
        async with asyncio.timeout(5):
            while one.posting != "south":  # noqa: ASYNC110  there is nothing else to wait on
                await asyncio.sleep(0.01)
        one.stop(Aborted("enough", member="south"))
        with pytest.raises(Aborted, match="enough"):
            await run
        async with asyncio.timeout(5):
            assert await there.receive() is None

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_more_mail_than_may_wait_for_a_session_ends_it(tmp_path, monkeypatch):
    assert HEARD_BYTES_MAX >= 2**30
    monkeypatch.setattr(attempt_module, "HEARD_BYTES_MAX", 1000)

    async def scene():
        here, _ = await ends(tmp_path)
        one = remote(here, None)
        one.hear("south", "m", bytes(1000))
        assert not one.ending.done()
        one.hear("south", "m", b"x")
        with pytest.raises(LocalError, match="1000 bytes"):
            await one.run(pause)

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_a_session_waits_while_the_gateway_takes_none_of_its_mail(tmp_path):
    async def scene():
        here, there = await ends(tmp_path)
        run = Run(there, None)
        await run.post("south", "a", bytes(AHEAD_BYTES_MAX))
        late = asyncio.create_task(run.post("south", "b", b"x"))
        await asyncio.sleep(0.05)
        assert not late.done()
        hearing = asyncio.create_task(run._hear())
        first = await here.receive()
        here.send(Posted(len(first.data)))
        assert (await here.receive()).name == "b"
        await late
        hearing.cancel()

    asyncio.run(asyncio.wait_for(scene(), 30))
