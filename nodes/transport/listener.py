"""The port: takes connections, judges certificates by the newest roster, makes links."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterable

from nodes.transport.dial import no_delay
from nodes.transport.link import Link
from nodes.transport.reason import Reason
from nodes.transport.tls import OwnCertificate, server_context, unwatch
from p2pmpc.errors import LocalError

__all__ = ["HANDSHAKES_MAX", "Listener"]

HANDSHAKES_MAX = 64  # at a few milliseconds each; whoever opens more only waits in line
BACKLOG = 128
RETRY_S = 0.1  # after the process ran out of file descriptors


class Listener:
    """Owned by the event loop. `refused` is told of each link that was not let in."""

    def __init__(
        self,
        own: OwnCertificate,
        members: Callable[[], Iterable[bytes]],
        make_link: Callable[[str], Link],
        refused: Callable[[Link, Reason, bytes], None],
        handshake_s: float,
    ) -> None:
        self._own = own
        self._members = members
        self._make_link = make_link
        self._refused = refused
        self._handshake_s = handshake_s
        self._plug: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._handshakes: set[asyncio.Task[None]] = set()

    def open(self, host: str, port: int) -> int:
        """The port listened on (`port` 0: a free one). Raises LocalError when it is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._plug = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as fault:
            said = str(fault.strerror).partition(" (while")[0]
            why = "is in use" if fault.errno == errno.EADDRINUSE else "cannot be listened on"
            raise LocalError(
                f"port {port} on {host} {why}: {said}",
                next="Stop the program that holds it, or set listen_port in the node's settings.",
            ) from None
        self._plug.setblocking(False)
        self._task = asyncio.get_running_loop().create_task(self._accept(self._plug))
        return int(self._plug.getsockname()[1])

    async def _accept(self, plug: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(plug)
            except OSError:
                await asyncio.sleep(RETRY_S)
                continue
            link = self._make_link(f"{address[0]}:{address[1]}")
            if len(self._handshakes) >= HANDSHAKES_MAX:
                connection.close()
                self._refused(link, Reason.BUSY, b"")
                continue
            task = loop.create_task(self._secure(connection, link))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _secure(self, connection: socket.socket, link: Link) -> None:
        """The server's side of one handshake; a link takes over, or the refusal is told."""
        no_delay(connection)
        shown: list[bytes] = []
        context = server_context(self._own, self._members(), shown.append)
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: link,
                connection,
                ssl=context,
                ssl_handshake_timeout=self._handshake_s,
            )
        except (OSError, TimeoutError) as fault:
            connection.close()
            self._refused(link, _reason(fault, shown), shown[0] if shown else b"")
        finally:
            unwatch(context)

    async def close(self) -> None:
        """Stop listening and end half-made connections; links live on with their owner."""
        tasks = [*self._handshakes, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._plug is not None:
            self._plug.close()


def _reason(fault: Exception, shown: list[bytes]) -> Reason:
    if isinstance(fault, ssl.SSLCertVerificationError):
        return Reason.UNKNOWN_CERTIFICATE
    if isinstance(fault, ssl.SSLError) and "CERTIFICATE" in str(fault.reason) and not shown:
        return Reason.NO_CERTIFICATE
    return Reason.HANDSHAKE
