"""One party of ours, as a process of its own: a job a line on stdin, a figure a line out.

    python tests/benchmarks/engine_party.py NAME NAME,NAME,...   (its own name, then all)

Protocols run through the product's driver over the product's transport: TLS 1.3 with pinned
certificates, frames, hashes, signatures, acknowledgements; real base OTs once at the start. The
first line out has this party's address, the first line in all of them. A job is {"operation":
"multiply", "items": 1000, "stock": false, "silent": false, "fresh": false, "profile": false}; with
`stock` what the operation draws is made before the clock starts, with `silent` OTs are stretched
silently, with `fresh` base OTs are made while the clock runs. A figure has wall and process CPU
seconds, where these went, bytes of frames sent, rounds, peak memory and the largest error of the
result.
"""

import asyncio
import cProfile
import hashlib
import io
import json
import pstats
import resource
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import engine_describe
import engine_windows
import engine_work
import numpy as np
from measuring import coins

import nodes.session.driver
from nodes.engine.local import THREADS
from nodes.lifetime import run as run_loop
from nodes.session.driver import Driver, Toll
from nodes.session.mailbox import Mailbox
from nodes.transport.events import MailIn, MemberAddress
from nodes.transport.timing import Timing
from nodes.transport.tls import make_certificate
from nodes.transport.transport import Transport
from p2pmpc.errors import LogError
from p2pmpc.identity import Signer, verify_signature
from protocols import silent
from protocols.kernels.registry import run_kernel
from protocols.oblivious_transfer import connect
from protocols.party import Expect, Round, Seat

NETWORK = b"n" * 32
OPERATIONS = {
    **engine_work.OPERATIONS,
    **engine_windows.OPERATIONS,
    **engine_describe.OPERATIONS,
}
PROFILED = 25  # functions that a profile lists
LINES = frozenset({"VmHWM", "VmRSS"})


def seed_of(name, purpose):
    return hashlib.sha256(f"{name} {purpose}".encode()).digest()


def certificate_of(name):
    return make_certificate(seed_of(name, "tls"), name)


def declared_names():
    """Every message name that a protocol in use here declares."""
    used = [module for name, module in sys.modules.items() if name.startswith("protocols.")]
    rounds = [says for module in (silent, *used) for says in getattr(module, "ROUNDS", ())]
    return frozenset({"meet"} | {says.name.rsplit("/", 1)[-1] for says in rounds})


def meet(seat):
    """Nobody goes on before all are here."""
    yield Round(
        {(peer, "meet"): np.zeros(1, np.uint8) for peer in seat.peers},
        {(peer, "meet"): Expect("uint8", (1,)) for peer in seat.peers},
    )


def from_base(seat, run):
    """The work with base OTs of its own."""
    wires = yield from connect(seat)
    return (yield from run(replace(seat, wires=wires)))


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory():
    """Bytes that this process holds and held at most since `forget_peak`."""
    lines = (line.split() for line in Path("/proc/self/status").read_text("ascii").splitlines())
    return {line[0][:-1]: int(line[1]) * 1024 for line in lines if line and line[0][:-1] in LINES}


def forget_peak():
    with suppress(OSError):  # where the kernel forbids it the peak is the process's
        Path("/proc/self/clear_refs").write_text("5", "ascii")


class Meter:
    """CPU seconds of threads by what they ran: each kernel, and the steps of the protocol."""

    def __init__(self):
        self.spent, self.inside = Counter(), threading.local()

    def kernel(self, name, *arguments):
        """In place of the driver's `run_kernel`."""
        began = time.thread_time()
        try:
            return run_kernel(name, *arguments)
        finally:
            took = time.thread_time() - began
            self.spent[name] += took
            self.inside.kernels = getattr(self.inside, "kernels", 0.0) + took

    def run(self, profile, function, *arguments):
        self.inside.kernels, began = 0.0, time.thread_time()
        try:
            stepping = profile is not None and function is not self.kernel
            return (profile.runcall if stepping else call)(function, *arguments)
        finally:
            self.spent["steps"] += time.thread_time() - began - self.inside.kernels


def call(function, *arguments):
    return function(*arguments)


class Metered(Executor):
    """Threads whose work a meter counts; `profile` takes that of the protocol's steps."""

    def __init__(self, threads, meter, profile):
        self.threads, self.meter, self.profile = threads, meter, profile

    def submit(self, function, /, *arguments):
        return self.threads.submit(self.meter.run, self.profile, function, *arguments)


class Party:
    """One end of all links, and its seat."""

    def __init__(self, name, parties):
        self.name, self.parties = name, parties
        self.peers = tuple(peer for peer in parties if peer != name)
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="kernel")
        self.signers = {peer: Signer(seed_of(peer, "log")) for peer in parties}
        self.names, self.mailboxes, self.roster = declared_names(), {}, {}
        self.numbered, self.meter = 0, Meter()
        nodes.session.driver.run_kernel = self.meter.kernel
        self.transport = Transport(
            name=name,
            network=lambda: NETWORK,
            certificate=certificate_of(name),
            members=lambda: self.roster,
            sign=lambda message: self.signers[name].sign(NETWORK, "mail", message),
            check=self._holds,
            on_event=self._take,
            clock=time.monotonic,
            settings=Timing(),
        )

    def _holds(self, peer, message, signature):
        try:
            verify_signature(self.signers[peer].public, NETWORK, "mail", message, signature)
        except LogError:
            return False
        return True

    def _take(self, event):
        if isinstance(event, MailIn) and event.session in self.mailboxes:
            self.mailboxes[event.session].put(event.peer, event.name, event.data)

    async def open(self):
        port = await self.transport.listen("127.0.0.1", 0)
        return f"127.0.0.1:{port}"

    async def join(self, addresses):
        for peer, address in addresses.items():
            self.roster[peer] = MemberAddress(certificate_of(peer).der, address)
        self.transport.connect(self.peers)
        pair = {peer: coins(*sorted((self.name, peer))) for peer in self.peers}
        seat = Seat(self.name, self.parties, coins(self.name), pair)
        with self.session() as session:
            wires = await session.play(connect(seat))
        self.seat = replace(seat, wires=wires)

    def session(self):
        self.numbered += 1
        return Session(self, hashlib.sha256(f"session {self.numbered}".encode()).digest())

    def sent_bytes(self):
        return sum(self.transport.traffic(peer).sent for peer in self.peers)

    async def run(self, job):
        """The figure of one job."""
        extension = "silent" if job["silent"] else "softspoken"
        seat = replace(self.seat.fork(f"job {self.numbered}"), extension=extension)
        work = OPERATIONS[job["operation"]](seat, job["items"])
        with self.session() as session:
            if job["stock"]:
                seat = await session.play(work.stocked(seat))
            await session.play(meet(seat))
            run = from_base(seat, work.run) if job["fresh"] else work.run(seat)
            figure, result = await session.timed(run, seat, job["profile"])
            figure["error"] = await session.play(work.error(seat.fork("opening"), result))
        return figure


class Session:
    """One session of the transport: a mailbox and the driver's ends of it."""

    def __init__(self, party, name):
        self.party, self.name = party, name
        self.mailbox = Mailbox(party.name, party.parties, party.names)
        self.toll = Toll()

    def __enter__(self):
        self.party.mailboxes[self.name] = self.mailbox
        self.party.transport.open_session(self.name, self.party.peers)
        return self

    def __exit__(self, *_fault):
        del self.party.mailboxes[self.name]
        self.closing = asyncio.get_running_loop().create_task(
            self.party.transport.close_session(self.name)
        )

    async def play(self, protocol, profile=None):
        threads = Metered(self.party.threads, self.party.meter, profile)
        driver = Driver(protocol, self.mailbox, self._post, None, threads, threads, self.toll)
        return await driver.run()

    async def _post(self, peer, name, data):
        await self.party.transport.post(self.name, peer, name, data)

    async def timed(self, protocol, seat, profiled):
        profile = cProfile.Profile() if profiled else None
        self.toll.rounds = 0
        self.party.meter.spent.clear()
        forget_peak()
        held, sent = memory()["VmRSS"], self.party.sent_bytes()
        began, busy, looped = time.perf_counter(), cpu_s(), time.thread_time()
        result = await self.play(protocol, profile)
        took, rounds = time.perf_counter() - began, self.toll.rounds
        busy, looped = cpu_s() - busy, time.thread_time() - looped
        sent, peak = self.party.sent_bytes() - sent, memory()["VmHWM"]
        await self.play(meet(seat))
        parts = {"transport": looped, **self.party.meter.spent}
        figure = {"wall_s": took, "cpu_s": busy, "sent_bytes": sent, "rounds": rounds}
        figure |= {"held_bytes": held, "peak_bytes": peak, "cpu_parts_s": parts}
        if profile is not None:
            text = io.StringIO()
            pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(PROFILED)
            print(text.getvalue(), file=sys.stderr)
        return figure, result


def say(words):
    print(json.dumps(words), flush=True)


async def told():
    line = await asyncio.to_thread(sys.stdin.readline)
    return json.loads(line) if line else None


async def main():
    party = Party(sys.argv[1], tuple(sys.argv[2].split(",")))
    say({"address": await party.open()})
    await party.join(await told())
    say({"ready": True})
    while job := await told():
        say(await party.run(job))
    await party.transport.close()
    party.threads.shutdown()


if __name__ == "__main__":
    run_loop(main())
