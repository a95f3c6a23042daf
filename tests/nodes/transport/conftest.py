"""Transports with real TLS sockets on loopback, a misbehaving proxy, a client without manners."""

import asyncio
import contextlib
import hashlib
import hmac
import time

import pytest

from nodes.transport.events import LinkUp, MailIn, MemberAddress
from nodes.transport.timing import Timing
from nodes.transport.tls import client_context, make_certificate
from nodes.transport.transport import Transport
from p2pmpc.messages import VERSION, Hello, decode_message, encode_message

NETWORK = b"n" * 32
QUICK = Timing(hello_s=0.5, connect_s=2, ping_s=0.2, silent_s=0.6, dial_back_s=0.1, early_s=0.4)


def seed_of(name):
    return hashlib.sha256(name.encode()).digest()


class Scene:
    """Some members of one network in this process, each with its transport and its events."""

    def __init__(self, timing):
        self.timing = timing
        self.certificates = {}
        self.addresses = {}
        self.transports = {}
        self.events = {}
        self.networks = {}
        self.closers = []

    def sign(self, name):
        return lambda message: hmac.digest(seed_of(name), message, "sha512")

    def check(self, peer, message, signature):
        return hmac.compare_digest(hmac.digest(seed_of(peer), message, "sha512"), signature)

    def roster(self):
        return {
            name: MemberAddress(self.certificates[name].der, address)
            for name, address in self.addresses.items()
        }

    async def add(self, name, *, network=NETWORK, seed=None, timing=None, members=None, port=0):
        self.certificates[name] = make_certificate(seed or seed_of(name), name)
        self.events.setdefault(name, [])
        self.networks[name] = network
        transport = Transport(
            name=name,
            network=lambda: self.networks[name],
            certificate=self.certificates[name],
            members=members or self.roster,
            sign=self.sign(name),
            check=self.check,
            on_event=self.events[name].append,
            clock=time.monotonic,
            settings=timing or self.timing,
        )
        self.transports[name] = transport
        port = await transport.listen("127.0.0.1", port)
        self.addresses[name] = f"127.0.0.1:{port}"
        self.closers.append(transport.close)
        return transport

    async def pair(self, first="alpha", second="beta"):
        """Two members, linked."""
        transports = await self.add(first), await self.add(second)
        self.link_all()
        await self.linked(first, second)
        return transports

    def link_all(self):
        for name, transport in self.transports.items():
            transport.connect([other for other in self.addresses if other != name])

    async def linked(self, *names):
        for name in names:
            for other in names:
                if other != name:
                    await self.until(lambda n=name, o=other: self.is_up(n, o))

    def is_up(self, name, other):
        return self.transports[name].link_state(other).up

    def of(self, name, kind):
        return [event for event in self.events[name] if isinstance(event, kind)]

    def mails(self, name):
        return [(event.peer, event.name, event.data) for event in self.of(name, MailIn)]

    async def until(self, true, within_s=10.0):
        """Wait for a condition; its last false is the failure."""
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110  # conditions of all kinds
                await asyncio.sleep(0.005)

    async def close(self):
        for closer in reversed(self.closers):
            await closer()


class Proxy:
    """Forwards TCP to one address; the test cuts, stalls and delays it."""

    def __init__(self, host, port):
        self.target = host, port
        self.pairs = set()
        self.passing = asyncio.Event()
        self.passing.set()
        self.delay_s = 0.0
        self.carried = 0
        self.server = None

    async def open(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return f"127.0.0.1:{self.port}"

    async def _serve(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self.pairs |= {writer, far_writer}
        await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        self.pairs -= {writer, far_writer}

    async def _copy(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.passing.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                self.carried += len(data)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def drop(self):
        """Reset every connection."""
        for writer in list(self.pairs):
            writer.transport.abort()

    def stall(self):
        """Nothing passes, nothing is closed: a dead path."""
        self.passing.clear()

    async def cut(self):
        """Reset every connection and refuse new ones."""
        self.server.close()
        self.drop()

    async def mend(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def close(self):
        self.server.close()
        self.passing.set()
        self.drop()
        await asyncio.sleep(0.01)


class Rude:
    """A TLS client with a member's certificate that writes what it likes."""

    def __init__(self, scene, name, target):
        self.scene = scene
        self.name = name
        self.target = target
        self.reader = self.writer = None

    async def dial(self, greet=True):
        host, port = self.scene.addresses[self.target].split(":")
        context = client_context(
            self.scene.certificates[self.name], self.scene.certificates[self.target].der
        )
        self.reader, self.writer = await asyncio.open_connection(
            host, int(port), ssl=context, server_hostname=""
        )
        if greet:
            self.say(self.hello())
            await self.scene.until(lambda: self.scene.is_up(self.target, self.name))
        return self

    def hello(self, **changes):
        fields = {
            "first_version": VERSION,
            "last_version": VERSION,
            "network": NETWORK,
            "epoch": 0,
            "name": self.name,
            "frame_bytes_max": 2**20,
            "mail_bytes_max": 2**25,
        }
        return Hello(**{**fields, **changes})

    def say(self, *messages):
        for message in messages:
            data = encode_message(message)
            self.write(len(data).to_bytes(4, "big") + data)

    def write(self, data):
        self.writer.write(data)

    async def hear(self, kind):
        """The next message of this kind; None when the link ends before."""
        try:
            while True:
                length = int.from_bytes(await self.reader.readexactly(4), "big")
                message = decode_message(await self.reader.readexactly(length))
                if isinstance(message, kind):
                    return message
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def close(self):
        self.writer.transport.abort()
        await asyncio.sleep(0)


@pytest.fixture(params=["asyncio", "uvloop"])
def play(request):
    """Runs a coroutine function on a scene, on both event loops, and closes the scene."""

    def run(story, timing=QUICK):
        async def whole():
            scene = Scene(timing)
            try:
                async with asyncio.timeout(60):
                    await story(scene)
            finally:
                await scene.close()

        if request.param == "uvloop":
            import uvloop

            uvloop.run(whole())
        else:
            asyncio.run(whole())

    return run


@pytest.fixture
def add_rude():
    """A member without a transport that a test plays itself."""

    async def add(scene, name="mallory", target="alpha", greet=True):
        scene.certificates[name] = make_certificate(seed_of(name), name)
        scene.addresses[name] = "127.0.0.1:9"
        rude = Rude(scene, name, target)
        await rude.dial(greet)
        scene.closers.append(rude.close)
        return rude

    return add


@pytest.fixture
def add_proxy():
    """Puts a proxy in front of a member's port."""

    async def add(scene, name):
        host, port = scene.addresses[name].split(":")
        proxy = Proxy(host, int(port))
        scene.addresses[name] = await proxy.open()
        scene.closers.append(proxy.close)
        return proxy

    return add


@pytest.fixture
def link_ups():
    def count(scene, name):
        return len(scene.of(name, LinkUp))

    return count
