"""HTTP/1.1 on a Unix socket that only this user can open. Parsing is h11's; a request is JSON.

One request a connection. The socket's folder is 0700 and the peer's user id is compared with this
process's: another user of the machine is turned away.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import h11

from p2pmpc.errors import NotFound, P2pmpcError, WrongUsage

__all__ = ["REQUEST_BYTES_MAX", "Answerer", "Request", "serve"]

REQUEST_BYTES_MAX = 8 * 2**20  # a study, a policy or the cards of a network; never rows
REQUEST_WAIT_S = 10.0  # a client on this machine sends its request at once
SOCKET_PATH_MAX = 107  # bytes, a limit of the kernel


@dataclass(frozen=True, slots=True)
class Request:
    """One parsed request: `path` without its slashes, `body` the JSON object."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    body: Mapping[str, Any]


Answerer = Callable[[Request], Awaitable[Mapping[str, Any]]]


async def serve(path: Path, answer: Answerer) -> asyncio.Server:
    """Listen on this socket until the server is closed. Raises WrongUsage for too long a path."""
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        raise WrongUsage(
            f"the control socket's path is longer than {SOCKET_PATH_MAX} bytes",
            field="home",
            next="Choose a shorter folder for the node.",
        )
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(lambda r, w: _connection(r, w, answer), path)
    finally:
        os.umask(before)


async def _connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answerer
) -> None:
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * 1024)
    try:
        if _peer_uid(writer) == os.getuid():
            status, body = await _respond(http, reader, answer)
            writer.write(_encode(http, status, body))
            await writer.drain()
    except (h11.RemoteProtocolError, TimeoutError, ConnectionError):
        pass  # a client that breaks HTTP or goes away gets no answer
    finally:
        writer.close()


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    sock = writer.get_extra_info("socket")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


async def _respond(
    http: h11.Connection, reader: asyncio.StreamReader, answer: Answerer
) -> tuple[int, Mapping[str, Any]]:
    try:
        request = await asyncio.wait_for(_read(http, reader), REQUEST_WAIT_S)
        return 200, await answer(request)
    except P2pmpcError as fault:
        return (404 if isinstance(fault, NotFound) else 400), {"error": fault.to_json()}


async def _read(http: h11.Connection, reader: asyncio.StreamReader) -> Request:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > REQUEST_BYTES_MAX:
                raise WrongUsage(f"a request holds at most {REQUEST_BYTES_MAX} bytes")
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return _parse(head, bytes(body))
        else:
            raise ConnectionError("the client went away")


def _parse(head: h11.Request, body: bytes) -> Request:
    target = urlsplit(head.target.decode("ascii", "replace"))
    try:
        parsed = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        raise WrongUsage("the request's body is not JSON") from None
    if not isinstance(parsed, dict):
        raise WrongUsage("the request's body is not a JSON object")
    parts = tuple(part for part in target.path.split("/") if part)
    return Request(head.method.decode(), parts, dict(parse_qsl(target.query)), parsed)


def _encode(http: h11.Connection, status: int, body: Mapping[str, Any]) -> bytes:
    data = json.dumps(body, separators=(",", ":")).encode()
    headers = [
        ("content-type", "application/json"),
        ("content-length", str(len(data))),
        ("connection", "close"),
    ]
    parts = (
        http.send(h11.Response(status_code=status, headers=headers)),
        http.send(h11.Data(data=data)),
        http.send(h11.EndOfMessage()),
    )
    return b"".join(part for part in parts if part)
