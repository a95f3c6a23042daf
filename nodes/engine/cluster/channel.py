"""Frames between the processes of one node: four bytes of length, then MessagePack; no pickle.

Both ends are processes of one user on one machine. The socket is 0600 in a 0700 folder, and the
user id of whoever calls is compared with this process's before a byte is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from p2pmpc.errors import LocalError

__all__ = ["FRAME_BYTES_MAX", "Channel", "dial", "listen"]

FRAME_BYTES_MAX = 64 * 2**20  # a mail is at most 32 MiB; a brief holds all members' dictionaries
LENGTH_BYTES = 4
STREAM_BYTES = 4 * 2**20  # read ahead at most; the writer waits then
DIAL_EVERY_S = 0.05


@dataclass(slots=True, repr=False)
class Channel:
    """One connection. `receive` is called by one task at a time, `send` by any."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    decoder: msgspec.msgpack.Decoder[Any]
    encoder: msgspec.msgpack.Encoder = field(default_factory=msgspec.msgpack.Encoder)

    async def receive(self) -> Any:
        """The next frame; None when the other end is gone. Raises LocalError for a wrong one."""
        try:
            head = await self.reader.readexactly(LENGTH_BYTES)
            length = int.from_bytes(head, "big")
            if length > FRAME_BYTES_MAX:
                raise LocalError(f"a frame of {length} bytes is longer than {FRAME_BYTES_MAX}")
            data = await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        try:
            return self.decoder.decode(data)
        except msgspec.MsgspecError:
            raise LocalError("a process of this node sent what no frame is") from None

    def send(self, frame: msgspec.Struct) -> None:
        """Queue a frame. Raises LocalError when it is too long; to one that is gone: nothing."""
        data = self.encoder.encode(frame)
        if len(data) > FRAME_BYTES_MAX:
            raise LocalError(f"a frame of {len(data)} bytes is longer than {FRAME_BYTES_MAX}")
        if not self.writer.is_closing():
            self.writer.write(len(data).to_bytes(LENGTH_BYTES, "big"))
            self.writer.write(data)

    @property
    def waiting(self) -> int:
        """Bytes sent that the other end has not taken."""
        return int(self.writer.transport.get_write_buffer_size())

    def finish(self) -> None:
        """Say that nothing more is sent. Then read until the other end closes, and only then close.

        A Unix socket that is closed with unread frames in it takes away from the other end what
        that has not read either: the last word would be lost by a race.
        """
        if not self.writer.is_closing():
            self.writer.write_eof()

    def close(self) -> None:
        """End the connection; what was sent is delivered if the other end has sent nothing new."""
        self.writer.close()


async def listen(
    path: Path,
    decoder: msgspec.msgpack.Decoder[Any],
    handle: Callable[[Channel], Awaitable[None]],
) -> asyncio.Server:
    """Serve each connection of this user's with `handle`, which closes it."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if _peer_uid(writer) != os.getuid():
            writer.close()
            return
        with contextlib.suppress(asyncio.CancelledError):  # the loop ends, and asyncio would log it
            await handle(Channel(reader, writer, decoder))

    path.unlink(missing_ok=True)  # noqa: ASYNC240  one, at start
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(accept, path, limit=STREAM_BYTES)
    finally:
        os.umask(before)


async def dial(path: Path, decoder: msgspec.msgpack.Decoder[Any], within_s: float) -> Channel:
    """A connection to this socket, tried again until somebody listens. Raises LocalError."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=STREAM_BYTES)
            return Channel(reader, writer, decoder)
        except OSError as fault:
            if loop.time() > deadline:
                raise LocalError(f"nobody listens at {path}: {fault.strerror}") from None
        await asyncio.sleep(DIAL_EVERY_S)


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    sock = writer.get_extra_info("socket")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
