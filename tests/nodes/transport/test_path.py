"""Broken paths: a cut, a stall, a crash costs time, never a mail, and never delivers one twice."""

import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from nodes.transport.events import LinkDown, LinkUp
from nodes.transport.reason import Reason
from nodes.transport.timing import Timing

SESSION = b"s" * 32
MEMBER = Path(__file__).with_name("member.py")


async def behind_proxy(scene, add_proxy, timing=None):
    """Alpha dials beta through a proxy; beta cannot dial."""
    alpha = await scene.add("alpha", timing=timing)
    beta = await scene.add("beta", timing=timing)
    proxy = await add_proxy(scene, "beta")
    alpha.connect(["beta"])
    await scene.linked("alpha", "beta")
    alpha.open_session(SESSION, ["beta"])
    beta.open_session(SESSION, ["alpha"])
    return alpha, beta, proxy


def content(number, size):
    return random.Random(number).randbytes(size)


async def post_many(transport, peer, count, size):
    for number in range(count):
        await transport.post(SESSION, peer, f"a/{number}", content(number, size))


def assert_all_once(scene, name, peer, count, size):
    assert [(p, n) for p, n, _ in scene.mails(name)] == [(peer, f"a/{i}") for i in range(count)]
    for number, (_, _, data) in enumerate(scene.mails(name)):
        assert data == content(number, size)


async def cut_for(scene, add_proxy, seconds):
    alpha, beta, proxy = await behind_proxy(scene, add_proxy, Timing())
    count, size = 12, 3 * 2**20
    posting = [
        asyncio.create_task(post_many(alpha, "beta", count, size)),
        asyncio.create_task(post_many(beta, "alpha", count, size)),
    ]
    await scene.until(lambda: proxy.carried > 10 * 2**20)
    await proxy.cut()
    await scene.until(lambda: alpha.link_state("beta").refused)
    assert len(scene.mails("beta")) < count
    await asyncio.sleep(seconds)
    await proxy.mend()
    await asyncio.gather(*posting)
    for name, peer in (("alpha", "beta"), ("beta", "alpha")):
        await scene.until(lambda n=name: len(scene.mails(n)) == count, within_s=30)
        assert_all_once(scene, name, peer, count, size)
    assert [len(scene.of(n, LinkUp)) for n in ("alpha", "beta")] == [2, 2]


def test_a_cut_of_a_second_in_the_middle_of_mail_loses_and_doubles_nothing(play, add_proxy):
    play(lambda scene: cut_for(scene, add_proxy, 1.0))


@pytest.mark.slow
def test_a_cut_of_ten_seconds_in_the_middle_of_mail_loses_and_doubles_nothing(play, add_proxy):
    play(lambda scene: cut_for(scene, add_proxy, 10.0))


def test_a_path_that_resets_again_and_again_carries_all_mail(play, add_proxy):
    async def story(scene):
        alpha, _, proxy = await behind_proxy(scene, add_proxy, Timing(backoff_last_s=0.1))
        count, size = 200, 50_000
        posting = asyncio.create_task(post_many(alpha, "beta", count, size))
        for _ in range(12):
            await asyncio.sleep(0.06)
            proxy.drop()
        await posting
        await scene.until(lambda: len(scene.mails("beta")) == count, within_s=30)
        assert_all_once(scene, "beta", "alpha", count, size)
        assert len(scene.of("alpha", LinkUp)) > 3

    play(story)


def test_a_dead_path_is_noticed_by_its_silence_and_mail_goes_on_over_the_next(play, add_proxy):
    async def story(scene):
        alpha, _, proxy = await behind_proxy(scene, add_proxy)
        proxy.stall()
        await post_many(alpha, "beta", 3, 1000)
        await scene.until(lambda: scene.of("alpha", LinkDown))
        assert scene.of("alpha", LinkDown)[0].reason == Reason.SILENT
        proxy.drop()
        proxy.passing.set()
        await scene.until(lambda: len(scene.mails("beta")) == 3)
        assert_all_once(scene, "beta", "alpha", 3, 1000)

    play(story)


def test_a_stall_shorter_than_the_silence_limit_costs_no_link(play, add_proxy):
    async def story(scene):
        alpha, _, proxy = await behind_proxy(scene, add_proxy)
        proxy.stall()
        await post_many(alpha, "beta", 3, 1000)
        await asyncio.sleep(0.3)
        assert scene.mails("beta") == []
        proxy.passing.set()
        await scene.until(lambda: len(scene.mails("beta")) == 3)
        assert scene.of("alpha", LinkDown) == []

    play(story)


def test_a_slow_path_delivers_in_order(play, add_proxy):
    async def story(scene):
        alpha, _, proxy = await behind_proxy(scene, add_proxy)
        proxy.delay_s = 0.02
        await post_many(alpha, "beta", 40, 3000)
        await scene.until(lambda: len(scene.mails("beta")) == 40)
        assert_all_once(scene, "beta", "alpha", 40, 3000)

    play(story)


# ---- separate processes ----


class Process:
    """A member in a process of its own; see member.py."""

    def __init__(self, name):
        self.name = name
        self.child = None

    async def start(self):
        self.child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(MEMBER),
            self.name,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(MEMBER.parents[3])},
        )
        return (await self.hear())["address"]

    async def hear(self):
        async with asyncio.timeout(20):
            return json.loads(await self.child.stdout.readline())

    def say(self, **words):
        self.child.stdin.write(json.dumps(words).encode() + b"\n")

    async def kill(self):
        if self.child.returncode is None:
            os.kill(self.child.pid, signal.SIGKILL)
        await self.child.wait()


def test_two_processes_exchange_mail_and_a_killed_one_is_told_apart():
    async def story():
        members = {name: Process(name) for name in ("alpha", "beta")}
        try:
            addresses = {name: await member.start() for name, member in members.items()}
            for member in members.values():
                member.say(addresses=addresses, post=20, size=100_000)
            for name, member in members.items():
                told = await member.hear()
                assert told["mails"] == 20, name
                assert told["right"] is True
            await members["beta"].kill()
            told = await members["alpha"].hear()
            assert told["refused"] is True
        finally:
            for member in members.values():
                await member.kill()

    asyncio.run(story())
