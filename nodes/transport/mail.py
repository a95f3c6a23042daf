"""Reliable mail of one session between two members: pure state, no I/O.

The sender numbers its mails from 0, keeps each until it is acknowledged, and after a new link sends
again from the first that was not: the same bytes. The receiver delivers each number once, in order.
A mail travels in frames of at most CHUNK bytes; frames of one mail follow one another. The last one
carries a signature over session, receiver, name, number and the BLAKE3 of the whole: evidence that
others can check. An acknowledgement is cumulative, and it is the credit: a sender never has more
than WINDOW_BYTES or WINDOW_MAILS unacknowledged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from blake3 import blake3

from nodes.transport.reason import Reason
from p2pmpc.errors import RemoteError
from p2pmpc.messages import MAIL_BYTES_MAX, Mail, mail_claim

__all__ = [
    "CHUNK",
    "MAIL_MAX",
    "WINDOW_BYTES",
    "WINDOW_MAILS",
    "Delivered",
    "Inbox",
    "Outbox",
]

MAIL_MAX = MAIL_BYTES_MAX
CHUNK = 256 * 2**10  # several fit a TLS write; a control message never waits behind more
WINDOW_BYTES = 2 * MAIL_MAX  # two bins in flight keep a link busy while one is acknowledged
WINDOW_MAILS = 16_384  # small mails cost more memory than their bytes; a round says a few hundred


@dataclass(slots=True)
class Posted:
    """A mail that waits for its acknowledgement. The signature is made when it is first sent."""

    number: int
    name: str
    data: bytes = field(repr=False)
    signature: bytes = b""


@dataclass(slots=True)
class Outbox:
    """All mail of one session to one receiver."""

    session: bytes
    receiver: str
    sign: Callable[[bytes], bytes]
    waiting: deque[Posted] = field(default_factory=deque)  # unacknowledged, oldest first
    in_flight: int = 0  # bytes of `waiting`
    numbered: int = 0  # the next mail's number
    completed: int = 0  # mails below this number have left completely at least once
    turn: int = 0  # index in `waiting` of the mail being sent on this link
    offset: int = 0  # bytes of it that have been sent on this link
    hashed: blake3 = field(default_factory=blake3)  # these bytes of a mail that is not signed yet

    def has_room(self, size: int) -> bool:
        """Whether a mail of this size may be put in now."""
        return len(self.waiting) < WINDOW_MAILS and self.in_flight + size <= WINDOW_BYTES

    def put(self, name: str, data: bytes) -> int:
        """Its number. The caller has asked `has_room`."""
        assert len(data) <= MAIL_MAX, "the transport refuses larger mail"
        assert self.has_room(len(data)), "post waits for room"
        self.waiting.append(Posted(self.numbered, name, data))
        self.in_flight += len(data)
        self.numbered += 1
        return self.numbered - 1

    def rewind(self) -> None:
        """A new link: begin again with the oldest mail that is not acknowledged."""
        self.turn = self.offset = 0

    def next_frame(self) -> Mail | None:
        """The next frame for the link, or None when all has been sent on it."""
        if self.turn >= len(self.waiting):
            return None
        posted = self.waiting[self.turn]
        chunk = memoryview(posted.data)[self.offset : self.offset + CHUNK]
        if not posted.signature:
            self._hash(chunk)
        self.offset += len(chunk)
        last = self.offset == len(posted.data)
        if last:
            self._complete(posted)
        return Mail(
            session=self.session,
            name=posted.name,
            number=posted.number,
            last=last,
            total=len(posted.data),
            signature=posted.signature if last else b"",
            data=cast("bytes", chunk),  # a view: encoders and sockets take any buffer
        )

    def _hash(self, chunk: memoryview) -> None:
        """Chunk by chunk, while each is at hand: 32 MiB at once would hold up the whole node."""
        if not self.offset:
            self.hashed = blake3()
        self.hashed.update(chunk)

    def _complete(self, posted: Posted) -> None:
        if not posted.signature:
            whole = self.hashed.digest()
            claim = mail_claim(self.session, self.receiver, posted.name, posted.number, whole)
            posted.signature = self.sign(claim)
        self.completed = max(self.completed, posted.number + 1)
        self.turn, self.offset = self.turn + 1, 0

    def acknowledge(self, number: int) -> None:
        """All mails up to `number` have arrived. Raises RemoteError when one was never sent."""
        if number >= self.completed:
            raise RemoteError(Reason.MAIL_ACK, member=self.receiver)
        while self.waiting and self.waiting[0].number <= number:
            self.in_flight -= len(self.waiting.popleft().data)
            if self.turn == 0:
                self.offset = 0  # the one being sent again had arrived before
            else:
                self.turn -= 1

    def drop(self) -> None:
        """Forget everything: the receiver will never take it."""
        self.waiting.clear()
        self.in_flight = self.turn = self.offset = 0


@dataclass(frozen=True, slots=True)
class Delivered:
    """One whole mail, exactly once."""

    session: bytes
    peer: str
    name: str
    data: bytes = field(repr=False)


@dataclass(slots=True)
class Inbox:
    """All mail of one session from one sender, put together again."""

    session: bytes
    sender: str
    receiver: str
    check: Callable[[str, bytes, bytes], bool]
    expected: int = 0  # the number that comes next; all below are delivered
    name: str = ""
    total: int = 0
    size: int = 0  # bytes in `parts`
    parts: list[bytes] = field(default_factory=list, repr=False)
    hashed: blake3 = field(default_factory=blake3)  # of `parts`

    def break_off(self) -> None:
        """The link is gone: its unfinished mail will come again from its first byte."""
        self.parts, self.size = [], 0

    def take(self, mail: Mail) -> Delivered | None:
        """The mail that this frame completes. None: more is needed, or it had arrived before.

        Raises RemoteError: out of order, contradicting frames, too large, signature does not hold.
        """
        if mail.number < self.expected:
            return None
        self._check_frame(mail)
        self.hashed.update(mail.data)
        self.parts.append(mail.data)
        self.size += len(mail.data)
        if self.size > self.total or mail.last != (self.size == self.total):
            raise self._fault(Reason.MAIL_SHAPE)
        return self._whole(mail) if mail.last else None

    def _check_frame(self, mail: Mail) -> None:
        if mail.number != self.expected:
            raise self._fault(Reason.MAIL_ORDER)
        if mail.total > MAIL_MAX or len(mail.data) > CHUNK:
            raise self._fault(Reason.MAIL_SIZE)
        if not mail.data and mail.total:
            raise self._fault(Reason.MAIL_SHAPE)
        if not self.parts:
            self.name, self.total = mail.name, mail.total
            self.hashed = blake3()
        elif (mail.name, mail.total) != (self.name, self.total):
            raise self._fault(Reason.MAIL_SHAPE)

    def _whole(self, mail: Mail) -> Delivered:
        data = bytearray().join(self.parts)  # the hearer's own to write to, so it need not copy
        self.break_off()
        whole = self.hashed.digest()
        claim = mail_claim(self.session, self.receiver, mail.name, mail.number, whole)
        if not self.check(self.sender, claim, mail.signature):
            raise self._fault(Reason.MAIL_SIGNATURE)
        self.expected += 1
        return Delivered(self.session, self.sender, mail.name, cast("bytes", data))

    def _fault(self, reason: Reason) -> RemoteError:
        self.break_off()
        return RemoteError(reason, member=self.sender)
