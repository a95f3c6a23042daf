"""MiB/s and round trips of the transport against plain sockets, in one run on this machine.

    python tests/benchmarks/bench_transport.py [--mebibytes 512] [--pings 2000] [--loop uvloop]

Both ends of each kind share one process and one event loop, so the transport's figure is the sum
of sending, encrypting, decrypting, hashing, signing, verifying and delivering on one core. Plain
sockets are streams of the same event loop with the same framing and nothing else.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import time

from nodes.transport.events import MailIn, MemberAddress
from nodes.transport.timing import Timing
from nodes.transport.tls import make_certificate
from nodes.transport.transport import Transport
from p2pmpc.errors import LogError
from p2pmpc.identity import Signer, verify_signature

SESSION = b"s" * 32
NETWORK = b"n" * 32
MAIL = 2**20
PING = 1024
NAMES = ("alpha", "beta")


def verifies(key, message, signature):
    try:
        verify_signature(key, NETWORK, "mail", message, signature)
    except LogError:
        return False
    return True


class Pair:
    """Two transports, linked, with real signatures; counts what beta and alpha receive."""

    def __init__(self):
        self.signers = {name: Signer(os.urandom(32)) for name in NAMES}
        self.certificates = {name: make_certificate(os.urandom(32), name) for name in NAMES}
        self.roster = {}
        self.received = dict.fromkeys(NAMES, 0)
        self.changed = asyncio.Event()

    def member(self, name):
        def on_event(event):
            if isinstance(event, MailIn):
                self.received[name] += 1
                self.changed.set()

        return Transport(
            name=name,
            network=lambda: NETWORK,
            certificate=self.certificates[name],
            members=lambda: self.roster,
            sign=lambda message: self.signers[name].sign(NETWORK, "mail", message),
            check=lambda peer, message, signature: verifies(
                self.signers[peer].public, message, signature
            ),
            on_event=on_event,
            clock=time.monotonic,
            settings=Timing(),
        )

    async def open(self):
        self.transports = {name: self.member(name) for name in NAMES}
        for name, transport in self.transports.items():
            port = await transport.listen("127.0.0.1", 0)
            self.roster[name] = MemberAddress(self.certificates[name].der, f"127.0.0.1:{port}")
        for name, other in (NAMES, NAMES[::-1]):
            self.transports[name].connect([other])
            self.transports[name].open_session(SESSION, [other])
        return self

    async def until(self, name, count):
        while self.received[name] < count:
            self.changed.clear()
            await self.changed.wait()

    async def close(self):
        for transport in self.transports.values():
            await transport.close()


async def transport_figures(mebibytes, pings):
    pair = await Pair().open()
    alpha, beta = pair.transports.values()
    data = os.urandom(MAIL)
    await alpha.post(SESSION, "beta", "warm", data)
    await pair.until("beta", 1)
    began, busy = time.perf_counter(), time.process_time()
    for _ in range(mebibytes):
        await alpha.post(SESSION, "beta", "bulk", data)
    await pair.until("beta", 1 + mebibytes)
    took, busy = time.perf_counter() - began, time.process_time() - busy
    trips, small = [], data[:PING]
    for number in range(pings):
        start = time.perf_counter()
        await alpha.post(SESSION, "beta", "ping", small)
        await pair.until("beta", 2 + mebibytes + number)
        await beta.post(SESSION, "alpha", "pong", small)
        await pair.until("alpha", 1 + number)
        trips.append(time.perf_counter() - start)
    await pair.close()
    return figures(mebibytes, took, busy, trips)


async def plain_figures(mebibytes, pings):
    arrived = asyncio.Event()

    async def serve(reader, writer):
        for _ in range(1 + mebibytes):
            await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
        arrived.set()
        for _ in range(pings):
            size = await reader.readexactly(4)
            writer.write(size + await reader.readexactly(int.from_bytes(size, "big")))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**21)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**21)
    data = os.urandom(MAIL)
    head = MAIL.to_bytes(4, "big")
    writer.write(head + data)
    began, busy = time.perf_counter(), time.process_time()
    for _ in range(mebibytes):
        writer.write(head + data)
        await writer.drain()
    await arrived.wait()
    took, busy = time.perf_counter() - began, time.process_time() - busy
    trips = []
    for _ in range(pings):
        start = time.perf_counter()
        writer.write(PING.to_bytes(4, "big") + data[:PING])
        await reader.readexactly(4 + PING)
        trips.append(time.perf_counter() - start)
    writer.close()
    server.close()
    return figures(mebibytes, took, busy, trips)


def figures(mebibytes, took, busy, trips):
    ordered = sorted(trips)
    return {
        "MiB_per_s": round(mebibytes / took, 1),
        "cpu_s_per_GiB_both_ends": round(busy * 1024 / mebibytes, 2),
        "round_trip_us_median": round(statistics.median(ordered) * 1e6),
        "round_trip_us_p99": round(ordered[int(len(ordered) * 0.99)] * 1e6),
    }


def run(story, loop):
    if loop == "uvloop":
        import uvloop

        return uvloop.run(story)
    return asyncio.run(story)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mebibytes", type=int, default=512)
    parser.add_argument("--pings", type=int, default=2000)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    options = parser.parse_args()
    size = options.mebibytes, options.pings
    report = {
        "python": platform.python_version(),
        "loop": options.loop,
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "plain": run(plain_figures(*size), options.loop),
        "transport": run(transport_figures(*size), options.loop),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
