"""One TLS connection to one member: greeting, frames, liveness, and the end with a named reason.

States and events are the table LINK; whatever is not in it ends the link as unexpected. Both ends
greet with Hello at once. The dialling end must wait for it: in TLS 1.3 a client's handshake ends
before the server has judged the client's certificate.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

from nodes.transport.frames import FrameReader, frame
from nodes.transport.pace import Pace
from nodes.transport.reason import Reason
from nodes.transport.timing import Timing
from p2pmpc.errors import RemoteError
from p2pmpc.messages import (
    Ack,
    Bye,
    Hello,
    Mail,
    Message,
    Ping,
    Pong,
    Refuse,
    decode_message,
    encode_message,
)

__all__ = ["LINK", "Link", "LinkEvent", "LinkOwner", "State", "move"]

WRITE_BUFFER_MAX = 2**20  # bytes that may wait in the TLS layer before the mail is held back
ACK_WAIT_S = 0.01  # one acknowledgement for all mail of this time, not one for each answer
FAREWELL_S = 1.0  # how long the last bytes (Bye, Refuse) may take to leave


class State(StrEnum):
    """Where a link stands; LINK below says what moves it."""

    SECURING = "securing"  # TLS handshake
    GREETING = "greeting"  # the peer's certificate is known; its Hello is awaited
    UP = "up"
    CLOSED = "closed"


class LinkEvent(StrEnum):
    """What can happen to a link."""

    SECURED = "secured"  # the handshake ended with the certificate of a member
    GREETED = "greeted"  # a Hello
    HEARD = "heard"  # any other message
    REFUSED = "refused"  # a Refuse, or a Hello or certificate that does not fit
    BROKEN = "broken"  # bytes that the wire format does not allow
    OVERDUE = "overdue"  # no greeting in time, or silence
    REPLACED = "replaced"  # a newer link to the same peer
    LEFT = "left"  # the peer's Bye
    LOST = "lost"  # the connection ended
    STOPPED = "stopped"  # this node ends it


LINK: dict[tuple[State, LinkEvent], State] = {
    (State.SECURING, LinkEvent.SECURED): State.GREETING,
    (State.SECURING, LinkEvent.REFUSED): State.CLOSED,
    (State.SECURING, LinkEvent.LOST): State.CLOSED,
    (State.SECURING, LinkEvent.STOPPED): State.CLOSED,
    (State.GREETING, LinkEvent.GREETED): State.UP,
    (State.GREETING, LinkEvent.REFUSED): State.CLOSED,
    (State.GREETING, LinkEvent.BROKEN): State.CLOSED,
    (State.GREETING, LinkEvent.OVERDUE): State.CLOSED,
    (State.GREETING, LinkEvent.LEFT): State.CLOSED,
    (State.GREETING, LinkEvent.LOST): State.CLOSED,
    (State.GREETING, LinkEvent.STOPPED): State.CLOSED,
    (State.UP, LinkEvent.HEARD): State.UP,
    (State.UP, LinkEvent.REFUSED): State.CLOSED,
    (State.UP, LinkEvent.BROKEN): State.CLOSED,
    (State.UP, LinkEvent.OVERDUE): State.CLOSED,
    (State.UP, LinkEvent.REPLACED): State.CLOSED,
    (State.UP, LinkEvent.LEFT): State.CLOSED,
    (State.UP, LinkEvent.LOST): State.CLOSED,
    (State.UP, LinkEvent.STOPPED): State.CLOSED,
    (State.CLOSED, LinkEvent.LOST): State.CLOSED,
    (State.CLOSED, LinkEvent.STOPPED): State.CLOSED,
}


POLITE = {LinkEvent.REFUSED, LinkEvent.STOPPED, LinkEvent.LEFT, LinkEvent.REPLACED}


def move(state: State, event: LinkEvent) -> State:
    """The next state. Raises RemoteError when the event has no place in this one."""
    if (state, event) not in LINK:
        raise RemoteError(Reason.UNEXPECTED)
    return LINK[state, event]


class LinkOwner(Protocol):
    """Whoever keeps the links; called on the event loop."""

    def identify(self, link: Link, der: bytes) -> str | None:
        """The member whose certificate this is; None for a stranger's."""

    def greeting(self) -> Hello:
        """This node's own Hello."""

    def judge(self, link: Link, hello: Hello) -> Reason | None:
        """Why a peer's Hello does not fit; None when it does."""

    def link_up(self, link: Link) -> None:
        """Both ends have greeted each other."""

    def link_heard(self, link: Link, message: Message, size: int) -> None:
        """A message, whole and well formed; `size` are its bytes."""

    def link_read(self, link: Link) -> None:
        """All messages of one read were handed over: time to think of acknowledgements."""

    def link_ended(self, link: Link, reason: Reason) -> None:
        """The link is closed; said once, whatever ended it."""

    def next_batch(self, link: Link) -> list[bytes | memoryview]:
        """Frames to write next, in pieces; empty when there is nothing to say."""


class Link(asyncio.BufferedProtocol):  # the one way to have bytes read into one's own buffer
    """Owned by the event loop. `peer` is empty until the handshake has shown who it is."""

    def __init__(
        self,
        owner: LinkOwner,
        clock: Callable[[], float],
        timing: Timing,
        dialled: bool,
        remote: str,
    ) -> None:
        self.peer = ""
        self.dialled = dialled  # by this node; else it came in
        self.remote = remote
        self.state = State.SECURING
        self.reason = Reason.NEVER
        self.up_since = 0.0
        self.loop = asyncio.get_running_loop()
        self.settled = asyncio.Event()  # up, or ended before
        self.ended = asyncio.Event()
        self._owner = owner
        self._clock = clock
        self._timing = timing
        self._reader = FrameReader()
        self._wire: Any = None  # the TLS transport
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._writable = True
        self._pumping = False
        self._later: asyncio.TimerHandle | None = None
        self._pace = Pace(clock, clock())
        self._controls = 0  # heard in this read
        self._resting: asyncio.TimerHandle | None = None

    # ---- the connection ----

    def connection_made(self, transport: Any) -> None:
        self._wire = transport
        if self.state is State.CLOSED:
            transport.abort()
            return
        session: ssl.SSLObject = transport.get_extra_info("ssl_object")
        peer = self._owner.identify(self, session.getpeercert(binary_form=True) or b"")
        if peer is None:
            self.end(LinkEvent.REFUSED, Reason.UNKNOWN_CERTIFICATE)
            return
        self.peer = peer
        self.state = move(self.state, LinkEvent.SECURED)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_MAX)
        self._write(self._owner.greeting())
        self._timer = self.loop.call_later(self._timing.hello_s, self._ungreeted)

    def connection_lost(self, _exc: Exception | None) -> None:
        ungreeted = self.state is State.GREETING and self.dialled
        lost = Reason.NOT_KNOWN if ungreeted else Reason.LOST
        self.end(LinkEvent.LOST, Reason.TRUNCATED if self._reader.inside else lost)

    def eof_received(self) -> bool:
        return False

    # ---- reading ----

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._reader.free()

    def buffer_updated(self, nbytes: int) -> None:
        if self.state is State.CLOSED:
            return
        self._heard_at = self._clock()
        self._controls = 0
        try:
            for data in self._reader.received(nbytes):
                self._take(data)
                if self.ended.is_set():
                    return
            self._rest(self._pace.pay(self._controls) if self._controls else 0.0)
        except RemoteError as fault:
            self.end(LinkEvent.BROKEN, _reason(fault))
            return
        self._owner.link_read(self)

    def _rest(self, wait_s: float) -> None:
        """Read nothing for so long: the peer has said more than its share."""
        if wait_s > 0 and self._resting is None:
            self._wire.pause_reading()
            self._resting = self.loop.call_later(wait_s, self._rested)

    def _rested(self) -> None:
        self._resting = None
        self._heard_at = self._clock()  # the silence was this end's
        self._wire.resume_reading()

    def _take(self, data: memoryview) -> None:
        message = decode_message(data)
        if isinstance(message, Hello):
            self._greeted(message)
        elif isinstance(message, Refuse):
            self.end(LinkEvent.REFUSED, refusal(message))
        elif isinstance(message, Bye):
            self.end(LinkEvent.LEFT, Reason.GOODBYE)
        else:
            self.state = move(self.state, LinkEvent.HEARD)
            self._controls += not isinstance(message, Mail | Ack)
            self._heard(message, len(data))

    def _greeted(self, hello: Hello) -> None:
        after = move(self.state, LinkEvent.GREETED)
        reason = self._owner.judge(self, hello)
        if reason is not None:
            self.refuse(reason)
            return
        self.state = after
        self.up_since = self._clock()
        self._set_timer()
        self._owner.link_up(self)
        self.settled.set()

    def _heard(self, message: Message, size: int) -> None:
        if isinstance(message, Ping):
            if self._writable:  # else a peer that pings and never reads would fill this memory
                self._write(Pong())
        elif not isinstance(message, Pong):
            self._owner.link_heard(self, message, size)

    # ---- writing ----

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._pump()

    def pump(self) -> None:
        """Send what waits, soon: what is posted in one turn of the loop leaves together."""
        if not self._pumping:
            self._pumping = True
            self.loop.call_soon(self._pump)

    def pump_later(self) -> None:
        """Send what may wait within ACK_WAIT_S; until then `rests`."""
        if self._later is None:
            self._later = self.loop.call_later(ACK_WAIT_S, self._pump_at_last)

    @property
    def rests(self) -> bool:
        """Whether what may wait still has time."""
        return self._later is not None

    def _pump_at_last(self) -> None:
        self._later = None
        self.pump()

    def _pump(self) -> None:
        self._pumping = False
        while self._writable and self.state is State.UP:
            batch = self._owner.next_batch(self)
            if not batch:
                return
            self._wire.writelines(batch)

    def _write(self, message: Message) -> None:
        self._wire.write(frame(encode_message(message)))

    # ---- liveness and the end ----

    def _ungreeted(self) -> None:
        self.end(LinkEvent.OVERDUE, Reason.NO_GREETING)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(self._timing.ping_s, self._beat)

    def _beat(self) -> None:
        if self._clock() - self._heard_at > self._timing.silent_s:
            self.end(LinkEvent.OVERDUE, Reason.SILENT)
            return
        if self._writable:
            self._write(Ping())
        self._set_timer()

    def refuse(self, reason: Reason) -> None:
        """Say why, then end."""
        self._write(Refuse(code=list(Reason).index(reason), text=reason.value))
        self.end(LinkEvent.REFUSED, reason)

    def replace(self) -> None:
        """A newer link took this one's place: say so, in case another process made it."""
        if self.state is State.UP:
            self._write(Refuse(code=list(Reason).index(Reason.REPLACED), text=Reason.REPLACED))
        self.end(LinkEvent.REPLACED, Reason.REPLACED)

    @property
    def silent_s(self) -> float:
        """Seconds since anything was heard."""
        return self._clock() - self._heard_at

    def leave(self) -> None:
        """Say goodbye, then end."""
        if self.state is State.UP:
            self._write(Bye())
        self.end(LinkEvent.STOPPED, Reason.STOPPED)

    def end(self, event: LinkEvent, reason: Reason) -> None:
        """The one way to CLOSED; its first reason stays."""
        if self.state is State.CLOSED:
            return
        self.state = move(self.state, event)
        self.reason = reason
        for timer in (self._timer, self._later, self._resting):
            if timer is not None:
                timer.cancel()
        self._hang_up(polite=event in POLITE)
        self.settled.set()
        self.ended.set()
        self._owner.link_ended(self, reason)

    def _hang_up(self, polite: bool) -> None:
        if self._wire is None:
            return
        if polite:
            self._wire.close()
            self.loop.call_later(FAREWELL_S, self._wire.abort)
        else:
            self._wire.abort()


def refusal(message: Refuse) -> Reason:
    """The reason that a Refuse names, when it is one of those that a peer may have for it."""
    if message.text == Reason.REPLACED:
        return Reason.OUSTED
    known = {Reason.WRONG_NETWORK, Reason.WRONG_NAME, Reason.NO_VERSION, Reason.LIMITS}
    return Reason(message.text) if message.text in known else Reason.NOT_WELCOME


def _reason(fault: RemoteError) -> Reason:
    """Texts about a peer's bytes do not leave this module: only the vocabulary does."""
    texts = {reason.value for reason in Reason}
    return Reason(fault.message) if fault.message in texts else Reason.MALFORMED
