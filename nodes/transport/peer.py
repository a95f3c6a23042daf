"""What this node keeps about one peer: its link, what waits to be sent, what was sent.

Control messages go first and are kept only while a link is up; mail is taken from the sessions in
turn, one frame each, so that no study waits for another's large mail.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from nodes.transport.frames import HEAD_BYTES, frame, frame_head
from nodes.transport.link import Link
from nodes.transport.mail import CHUNK, Outbox
from nodes.transport.reason import Reason
from p2pmpc.messages import Mail, Message, encode_message, mail_head

__all__ = ["BATCH_BYTES", "CONTROLS_MAX", "CONTROL_BYTES_MAX", "LinkState", "Peer", "Traffic"]

CONTROLS_MAX = 4096  # control messages that wait for a slow peer
CONTROL_BYTES_MAX = 16 * 2**20  # and their bytes: the record of a long absence, batch by batch
BATCH_BYTES = CHUNK  # frames are handed to TLS together up to this many bytes
JOIN_BYTES = 16 * 2**10  # pieces up to this size are joined: each is a TLS record of its own else


@dataclass(slots=True)
class Traffic:
    """Bytes of frames, TLS not counted."""

    sent: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class LinkState:
    """`since` is a reading of the clock: up, down, or (with `refused`) refused since then."""

    up: bool
    reason: str
    since: float
    refused: bool


@dataclass(slots=True)
class Outgoing:
    """An outbox and who waits for room in it."""

    outbox: Outbox
    traffic: Traffic
    order: asyncio.Lock = field(default_factory=asyncio.Lock)  # who waits first is served first
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False  # the peer does not know the session: nothing is sent any more

    async def drained(self) -> None:
        """Until everything posted is acknowledged or given up."""
        while self.outbox.waiting:
            self.changed.clear()
            await self.changed.wait()

    def end(self) -> None:
        """Nothing more goes to this peer in this session; whoever waits to post returns."""
        self.ended = True
        self.outbox.drop()
        self.changed.set()


@dataclass(slots=True)
class Batch:
    """Pieces of frames for one write."""

    whole: list[bytes | memoryview] = field(default_factory=list)  # complete pieces
    small: list[bytes | memoryview] = field(default_factory=list)  # to be joined to one
    small_bytes: int = 0

    def add(self, piece: bytes | memoryview) -> int:
        """Its size."""
        if len(piece) > JOIN_BYTES:
            self._join()
            self.whole.append(piece)
            return len(piece)
        self.small.append(piece)
        self.small_bytes += len(piece)
        if self.small_bytes > JOIN_BYTES:
            self._join()
        return len(piece)

    def add_mail(self, mail: Mail) -> int:
        """One frame, its data uncopied when they are many; its size."""
        head = mail_head(mail)
        size = len(head) + len(mail.data)
        return self.add(frame_head(size) + head) + self.add(mail.data)

    def pieces(self) -> list[bytes | memoryview]:
        """Everything that was added, in its order."""
        self._join()
        return self.whole

    def _join(self) -> None:
        if self.small:
            self.whole.append(b"".join(self.small))
            self.small, self.small_bytes = [], 0


@dataclass(slots=True)
class Peer:
    """Owned by the event loop."""

    name: str
    state: LinkState
    link: Link | None = None
    needed: asyncio.Event = field(default_factory=asyncio.Event)  # set while there is no link
    task: asyncio.Task[None] | None = None  # dials
    controls: deque[bytes] = field(default_factory=deque)
    control_bytes: int = 0
    outgoing: dict[bytes, Outgoing] = field(default_factory=dict)
    turns: deque[bytes] = field(default_factory=deque)  # sessions with something to send
    traffic: Traffic = field(default_factory=Traffic)
    told: tuple[str, str] = ("", "")  # the last refusal that was told, so that it is told once

    def queue(self, message: Message) -> bool:
        """Keep a control message for the link. False: no link, or too many wait already.

        Raises P2pmpcError when the message is longer than a frame.
        """
        encoded = encode_message(message)
        if not self.state.up or len(self.controls) >= CONTROLS_MAX:
            return False
        if self.control_bytes + len(encoded) > CONTROL_BYTES_MAX:
            return False
        self.controls.append(frame(encoded))
        self.control_bytes += len(encoded) + HEAD_BYTES
        return True

    def wake(self, session: bytes) -> None:
        """This session has something to send."""
        if session not in self.turns:
            self.turns.append(session)

    def next_batch(self, first: Sequence[Message]) -> list[bytes | memoryview]:
        """Frames for one write, `first` and then about BATCH_BYTES; empty when nothing waits.

        Small pieces are joined; the data of a large mail are among them as they lie in memory.
        """
        batch, size = Batch(), 0
        for message in first:
            size += batch.add(frame(encode_message(message)))
        while size < BATCH_BYTES:
            added = self._add_frame(batch)
            if not added:
                break
            size += added
        self.traffic.sent += size
        return batch.pieces()

    def _add_frame(self, batch: Batch) -> int:
        """The bytes of the next frame, which is in the batch now; 0 when nothing waits."""
        if self.controls:
            data = self.controls.popleft()
            self.control_bytes -= len(data)
            return batch.add(data)
        while self.turns:
            session = self.turns.popleft()
            outgoing = self.outgoing.get(session)
            mail = outgoing.outbox.next_frame() if outgoing else None
            if outgoing is not None and mail is not None:
                self.turns.append(session)
                size = batch.add_mail(mail)
                outgoing.traffic.sent += size
                return size
        return 0

    def begin_link(self, link: Link, now: float) -> None:
        """A new link: every session's unacknowledged mail goes out again from its start."""
        self.link, self.state = link, LinkState(True, "", now, False)
        self.needed.clear()
        for session, outgoing in self.outgoing.items():
            outgoing.outbox.rewind()
            self.wake(session)

    def end_link(self, reason: Reason, now: float) -> None:
        """The link is gone: control messages with it, mail is kept, and dialling begins anew."""
        self.link, self.state = None, LinkState(False, reason, now, False)
        self.controls.clear()
        self.control_bytes = 0
        self.needed.set()

    def note_failure(self, reason: Reason, now: float) -> None:
        """A dial failed. The time of a refusal counts from the first of an unbroken row."""
        if self.state.up:
            return
        refused = reason is Reason.REFUSED
        since = now if refused and not self.state.refused else self.state.since
        self.state = LinkState(False, reason, since, refused)
