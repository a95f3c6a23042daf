"""A stream of bytes as frames: four bytes of length (big-endian), then one encoded message.

A frame is 1 to FRAME_MAX bytes. The reader owns one buffer of that size, into which the loop writes
directly; no peer can make it grow.
"""

from __future__ import annotations

from nodes.transport.reason import Reason
from p2pmpc.errors import RemoteError
from p2pmpc.limits import FRAME_BYTES_MAX

__all__ = ["FRAME_MAX", "HEAD_BYTES", "FrameReader", "frame"]

HEAD_BYTES = 4
FRAME_MAX = FRAME_BYTES_MAX


def frame(message: bytes) -> bytes:
    """The bytes of one frame. Its sender bounds a message; one past FRAME_MAX is a fault here."""
    assert 0 < len(message) <= FRAME_MAX, f"a message of {len(message)} bytes"
    return len(message).to_bytes(HEAD_BYTES, "big") + message


class FrameReader:
    """Cuts received bytes into messages. Owned by one link; untouched pages cost no memory."""

    def __init__(self) -> None:
        self._buffer = bytearray(HEAD_BYTES + FRAME_MAX)
        self._view = memoryview(self._buffer)
        self._filled = 0

    @property
    def inside(self) -> bool:
        """Whether a frame has begun that is not complete."""
        return self._filled > 0

    def free(self) -> memoryview:
        """Where the next bytes go; never empty, since a full buffer holds a complete frame."""
        return self._view[self._filled :]

    def received(self, count: int) -> list[bytes]:
        """The messages that `count` more bytes complete. Raises RemoteError: bad length."""
        self._filled += count
        messages, start = [], 0
        while (length := self._length_at(start)) is not None:
            end = start + HEAD_BYTES + length
            if end > self._filled:
                break
            messages.append(bytes(self._view[start + HEAD_BYTES : end]))
            start = end
        self._keep_from(start)
        return messages

    def _length_at(self, start: int) -> int | None:
        if self._filled - start < HEAD_BYTES:
            return None
        length = int.from_bytes(self._view[start : start + HEAD_BYTES], "big")
        if not 0 < length <= FRAME_MAX:
            raise RemoteError(Reason.FRAME_LENGTH)
        return length

    def _keep_from(self, start: int) -> None:
        rest = self._filled - start
        if start and rest:
            self._view[:rest] = bytes(self._view[start : self._filled])
        self._filled = rest
