"""A stream of bytes as frames: four bytes of length (big-endian), then one encoded message.

A frame is 1 to FRAME_MAX bytes. The reader owns one buffer of that size, into which the loop writes
directly; no peer can make it grow. Of a frame that has begun exactly the rest is asked for, so that
the next one starts at the buffer's beginning and nothing large is ever moved.
"""

from __future__ import annotations

from nodes.transport.reason import Reason
from p2pmpc.errors import RemoteError
from p2pmpc.limits import FRAME_BYTES_MAX

__all__ = ["FRAME_MAX", "HEAD_BYTES", "FrameReader", "frame", "frame_head"]

HEAD_BYTES = 4
FRAME_MAX = FRAME_BYTES_MAX
READ_BYTES = 16 * 2**10  # a TLS record: asked for where no larger frame has begun


def frame(message: bytes) -> bytes:
    """The bytes of one frame. Its sender bounds a message; one past FRAME_MAX is a fault here."""
    return frame_head(len(message)) + message


def frame_head(size: int) -> bytes:
    """What stands before a message of so many bytes."""
    assert 0 < size <= FRAME_MAX, f"a message of {size} bytes"
    return size.to_bytes(HEAD_BYTES, "big")


class FrameReader:
    """Cuts received bytes into messages. Owned by one link; untouched pages cost no memory."""

    def __init__(self) -> None:
        self._buffer = bytearray(HEAD_BYTES + FRAME_MAX)
        self._view = memoryview(self._buffer)
        self._start = 0  # of the first frame that was not handed over
        self._filled = 0

    @property
    def inside(self) -> bool:
        """Whether a frame has begun that is not complete."""
        return self._filled > self._start

    def free(self) -> memoryview:
        """Where the next bytes go; never empty. What `received` gave is overwritten by them."""
        self._keep_rest()
        length = self._length_at(0)
        end = READ_BYTES if length is None else max(HEAD_BYTES + length, READ_BYTES)
        return self._view[self._filled : end]

    def received(self, count: int) -> list[memoryview]:
        """The messages that `count` more bytes complete. Raises RemoteError: bad length.

        They lie in the reader's own buffer: they hold until `free` is asked again.
        """
        self._filled += count
        messages = []
        while (length := self._length_at(self._start)) is not None:
            end = self._start + HEAD_BYTES + length
            if end > self._filled:
                break
            messages.append(self._view[self._start + HEAD_BYTES : end])
            self._start = end
        return messages

    def _length_at(self, start: int) -> int | None:
        if self._filled - start < HEAD_BYTES:
            return None
        length = int.from_bytes(self._view[start : start + HEAD_BYTES], "big")
        if not 0 < length <= FRAME_MAX:
            raise RemoteError(Reason.FRAME_LENGTH)
        return length

    def _keep_rest(self) -> None:
        if self._start:
            rest = bytes(self._view[self._start : self._filled])
            self._view[: len(rest)] = rest
            self._start, self._filled = 0, len(rest)
