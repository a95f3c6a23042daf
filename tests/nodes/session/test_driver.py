"""The driver: two real drivers on one loop, joined by their mailboxes."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nodes.session.driver import Driver, Toll
from nodes.session.mailbox import Mailbox
from protocols.abort import Missing
from protocols.kernels.registry import KERNELS, Kernel
from protocols.party import Compute, Expect, Pause, Round, together

PARTIES = ("north", "south")
ONE_WORD = Expect("uint64", (1,))


def exchange(me, value, closed):
    """Adds both parties' words, then waits for the record."""
    peer = PARTIES[1 - PARTIES.index(me)]
    try:
        heard = yield Round(
            {(peer, "word"): np.array([value], np.uint64)}, {(peer, "word"): ONE_WORD}
        )
        yield Pause("checked", {"sum": value})
        yield Round()
        return value + int(heard[peer, "word"][0])
    finally:
        closed.append(me)


def pair(protocols, pauses=None):
    boxes = {me: Mailbox(me, PARTIES, {"word"}) for me in PARTIES}
    threads = ThreadPoolExecutor(2)

    def driver(me):
        async def post(peer, name, data):
            boxes[peer].put(me, name, data)

        async def pause(step):
            if pauses is not None:
                pauses.append((me, step.kind))

        return Driver(protocols[me], boxes[me], post, pause, threads, threads, Toll())

    return boxes, {me: driver(me) for me in PARTIES}


def test_two_drivers_finish_with_the_same_sum():
    closed, pauses = [], []
    _, drivers = pair(
        {"north": exchange("north", 2, closed), "south": exchange("south", 3, closed)}, pauses
    )

    async def scene():
        return await asyncio.gather(*(drivers[me].run() for me in PARTIES))

    assert asyncio.run(scene()) == [5, 5]
    assert sorted(pauses) == [("north", "checked"), ("south", "checked")]
    assert drivers["north"].toll.rounds == 1
    assert sorted(closed) == ["north", "south"]


def test_protocols_in_the_same_rounds_are_told_apart_by_their_names():
    def both(me, first, second):
        peer = PARTIES[1 - PARTIES.index(me)]

        def one(value):
            heard = yield Round(
                {(peer, "word"): np.array([value], np.uint64)}, {(peer, "word"): ONE_WORD}
            )
            return int(heard[peer, "word"][0])

        return together({"a": one(first), "b": one(second)})

    _, drivers = pair({"north": both("north", 1, 2), "south": both("south", 3, 4)})

    async def scene():
        return await asyncio.gather(*(drivers[me].run() for me in PARTIES))

    assert asyncio.run(scene()) == [{"a": 3, "b": 4}, {"a": 1, "b": 2}]
    assert drivers["north"].toll.rounds == 1


def test_a_fault_from_outside_ends_the_wait_and_closes_the_generator():
    closed = []
    boxes, drivers = pair(
        {"north": exchange("north", 2, closed), "south": exchange("south", 3, closed)}
    )

    async def scene():
        task = asyncio.create_task(drivers["north"].run())
        await asyncio.sleep(0.05)
        boxes["north"].fail(Missing("south", "not heard for 20 s"))
        with pytest.raises(Missing, match="south"):
            await task

    asyncio.run(scene())
    assert closed == ["north"]


def test_a_peer_that_takes_no_mail_is_the_one_that_is_waited_for():
    protocols = {me: exchange(me, 1, []) for me in PARTIES}
    _, drivers = pair(protocols)

    async def scene():
        held = asyncio.Event()

        async def post(peer, name, data):
            await held.wait()

        driver = Driver(
            protocols["north"],
            drivers["north"].mailbox,
            post,
            drivers["north"].pause,
            drivers["north"].threads,
            drivers["north"].threads,
            Toll(),
        )
        run = asyncio.get_running_loop().create_task(driver.run())
        async with asyncio.timeout(5):
            while not driver.toll.posting:  # noqa: ASYNC110  there is nothing else to wait on
                await asyncio.sleep(0.01)
        assert driver.toll.posting == "south"
        driver.mailbox.fail(Missing("south", "not heard"))
        held.set()
        with pytest.raises(Missing):
            await run
        assert driver.toll.posting == ""

    asyncio.run(scene())


def computing(where, lists):
    """Has kernels run that note their thread, a list at a time."""
    done = []
    for count in lists:
        done.append((yield [Compute("noted", (where, value), 1) for value in range(count)]))
        where.append("step on " + threading.current_thread().name)
    return done


@pytest.fixture
def noted(monkeypatch):
    def note(where, value):
        where.append("kernel on " + threading.current_thread().name)
        return value + 1

    monkeypatch.setitem(KERNELS, "noted", Kernel("noted", note, note, "a call"))


def run_computing(lists, apart):
    where = []
    threads = ThreadPoolExecutor(4, thread_name_prefix="steps")
    kernels = ThreadPoolExecutor(2, thread_name_prefix="apart") if apart else threads
    mailbox = Mailbox("north", PARTIES, {"word"})
    driver = Driver(computing(where, lists), mailbox, None, None, threads, kernels, Toll())

    async def scene():
        return await driver.run()

    return asyncio.run(scene()), where


def test_kernels_alone_run_one_after_another_on_the_thread_of_the_step(noted):
    done, where = run_computing([1, 1, 1], apart=False)
    assert done == [[1], [1], [1]]
    assert len({entry.split(" on ")[1] for entry in where}) == 1


@pytest.mark.parametrize("lists", [[0], [2], [1, 3, 1], [1, 0, 1]])
def test_however_many_kernels_a_step_has_their_results_come_in_order(noted, lists):
    for apart in (False, True):
        done, _ = run_computing(lists, apart)
        assert done == [list(range(1, count + 1)) for count in lists]


def test_a_kernel_never_runs_on_a_step_s_thread_where_kernels_have_threads_of_their_own(noted):
    _, where = run_computing([1, 2], apart=True)
    ran = [entry for entry in where if entry.startswith("kernel")]
    assert len(ran) == 3
    assert all("apart" in entry for entry in ran)
