"""The links to all peers, and the mail of all sessions over them.

One link for each pair of members, which the `Dialler` keeps up from both sides: one of them may be
unreachable from outside, and both learn whether a process is dead (refused) or a path is
(unreachable). Of two links the newer wins; of two made at the same moment the one dialled by the
lower name, at both ends.

A broken link loses nothing: mail is kept until acknowledged. The death of a process loses its
sessions, and SessionUnknown says so. Events are handed over in order, one turn of the loop later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from nodes.transport.dialler import Dialler
from nodes.transport.events import (
    Event,
    LinkDown,
    LinkUp,
    MailIn,
    MailRefused,
    MemberAddress,
    PeerRefused,
    Received,
    SessionUnknown,
    TwinFound,
)
from nodes.transport.frames import FRAME_MAX, HEAD_BYTES
from nodes.transport.link import Link, LinkEvent
from nodes.transport.listener import Listener
from nodes.transport.mail import CHUNK, MAIL_MAX, Delivered, Outbox
from nodes.transport.office import FORGOTTEN, Office
from nodes.transport.peer import LinkState, Outgoing, Peer, Traffic
from nodes.transport.reason import Reason
from nodes.transport.timing import Timing
from nodes.transport.tls import OwnCertificate, fingerprint
from p2pmpc.errors import LocalError, NotFound, RemoteError
from p2pmpc.messages import VERSION, Ack, End, Hello, Mail, Message

__all__ = [
    "Event",
    "LinkDown",
    "LinkState",
    "LinkUp",
    "MailIn",
    "MailRefused",
    "MemberAddress",
    "PeerRefused",
    "Received",
    "SessionUnknown",
    "Traffic",
    "Transport",
    "TwinFound",
]

FRAME_NEEDED = CHUNK + 1024  # a frame of mail with its name, numbers and signature
TICK_S = 1.0  # how often waits of many seconds are looked at
STRANGERS_MAX = 256  # refused certificates remembered, so that each is told once
TWIN_LINKS = 3  # live links of one member replaced by it within TWIN_S: two processes take turns
TWIN_S = 60.0
CLOSED_TRAFFIC_MAX = 256  # closed sessions whose byte counts are kept


class Transport:
    """Made and used on one event loop, which owns every field."""

    def __init__(
        self,
        *,
        name: str,
        network: Callable[[], bytes],
        certificate: OwnCertificate,
        members: Callable[[], Mapping[str, MemberAddress]],
        sign: Callable[[bytes], bytes],
        check: Callable[[str, bytes, bytes], bool],
        on_event: Callable[[Event], None],
        clock: Callable[[], float],
        settings: Timing,
    ) -> None:
        self._name = name
        self._network = network
        self._own = certificate
        self._members = members
        self._sign = sign
        self._on_event = on_event
        self._clock = clock
        self._timing = settings
        self._office = Office(name, check, settings.early_s)
        self._peers: dict[str, Peer] = {}
        self._links: set[Link] = set()
        self._sessions: dict[bytes, Traffic] = {}
        self._lingering: dict[bytes, float] = {}  # closed session -> when its mail is dropped
        self._strangers: dict[str, None] = {}
        self._counts: Counter[str] = Counter()
        self._replaced: dict[str, list[float]] = {}  # member -> when its live links were replaced
        self._listener: Listener | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._closing = False
        self._dialler = self._make_dialler()

    def _make_dialler(self) -> Dialler:
        return Dialler(
            name=self._name,
            own=self._own,
            members=self._members,
            certificates=self._certificates,
            peers=self._peers,
            make_link=lambda address: self._link(True, address),
            tell=self._tell,
            clock=self._clock,
            timing=self._timing,
        )

    # ---- opening and closing ----

    async def listen(self, host: str, port: int) -> int:
        """The port listened on; `port` 0 takes a free one. Raises LocalError when it is taken."""
        self._listener = Listener(
            self._own, self._certificates, self._incoming, self._turned_away, self._timing.connect_s
        )
        found = self._listener.open(host, port)
        self._tick()
        return found

    def connect(self, peers: Sequence[str]) -> None:
        """Dial these and keep links to them; let the others go.

        Whoever dials this node is let in by the roster alone.
        """
        for name in sorted(set(self._peers) - set(peers)):
            self._let_go(self._peers[name])
            del self._peers[name]
        for name in sorted(set(peers) - {self._name}):
            peer = self._peer(name)
            if peer.task is None:
                peer.task = asyncio.get_running_loop().create_task(self._dialler.keep_linked(peer))

    def seek(self, seeds: Sequence[str]) -> None:
        """Dial these addresses too, whoever of the roster answers, while somebody is not linked."""
        self._dialler.seek(seeds)

    async def close(self) -> None:
        """Wait a moment for unacknowledged mail, say goodbye, end everything."""
        await self._drain()
        self._closing = True
        if self._ticker is not None:
            self._ticker.cancel()
        tasks = [peer.task for peer in self._peers.values() if peer.task is not None]
        tasks += [task for _, task in self._dialler.seeds.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            await self._listener.close()
        for link in list(self._links):
            link.leave()
        for peer in self._peers.values():
            for outgoing in peer.outgoing.values():
                outgoing.end()
        await asyncio.sleep(0)

    async def _drain(self) -> None:
        linked = [peer for peer in self._peers.values() if peer.link is not None]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.drain_s):
                for outgoing in [one for peer in linked for one in peer.outgoing.values()]:
                    await outgoing.drained()

    # ---- control messages ----

    def send(self, peer: str, message: Message) -> bool:
        """Hand a control message to the link. False: it is not up, or too many wait already.

        Raises P2pmpcError when the message is longer than a frame.
        """
        found = self._peers.get(peer)
        if found is None or not found.queue(message):
            return False
        if found.link is not None:
            found.link.pump()
        return True

    # ---- sessions and mail ----

    def open_session(self, session: bytes, peers: Sequence[str]) -> None:
        """From now on mail goes to and comes from these peers; mail that came early is told."""
        assert session not in self._office.parties, "a session is opened once"
        self._sessions.setdefault(session, Traffic())
        self._lingering.pop(session, None)
        for name in sorted(peers):
            outbox = Outbox(session, name, self._sign)
            self._peer(name).outgoing[session] = Outgoing(outbox, self._sessions[session])
        for mail in self._office.open(session, tuple(peers)):
            self._deliver(mail)
        for name in sorted(peers):
            self._pump(name)

    async def post(self, session: bytes, peer: str, name: str, data: bytes) -> None:
        """Keep one mail until the peer has it; waits while too much is unacknowledged.

        Mail to a peer that does not know the session is dropped: SessionUnknown has said so.
        Raises LocalError when `data` is larger than one mail, NotFound when the session is closed.
        """
        if len(data) > MAIL_MAX:
            raise LocalError(f"the message {name!r} is larger than one mail may be")
        outgoing = self._outgoing(session, peer)
        async with outgoing.order:
            while self._must_wait(session, outgoing, len(data)):
                outgoing.changed.clear()
                await outgoing.changed.wait()
            if session not in self._office.parties:
                raise NotFound("this session is closed")
            if outgoing.ended:
                return
            outgoing.outbox.put(name, data)
        self._peer(peer).wake(session)
        self._pump(peer)

    def _must_wait(self, session: bytes, outgoing: Outgoing, size: int) -> bool:
        hopeless = outgoing.ended or session not in self._office.parties
        return not hopeless and not outgoing.outbox.has_room(size)

    async def close_session(self, session: bytes) -> None:
        """Nothing more is posted or delivered. What was posted is still brought to its peers.

        For `linger_s` at most; a peer that is ahead of us must be able to finish.
        """
        if session not in self._office.parties:
            return
        self._office.close(session)
        self._lingering[session] = self._clock() + self._timing.linger_s
        for peer in self._peers.values():
            outgoing = peer.outgoing.get(session)
            if outgoing is not None:
                outgoing.changed.set()
                self._finish(peer, session, outgoing)

    def _finish(self, peer: Peer, session: bytes, outgoing: Outgoing) -> None:
        """Forget a closed session's outbox once it is empty."""
        if session in self._lingering and not outgoing.outbox.waiting:
            outgoing.end()
            del peer.outgoing[session]

    def _outgoing(self, session: bytes, peer: str) -> Outgoing:
        if session not in self._office.parties:
            raise NotFound("this session is not open")
        outgoing = self._peer(peer).outgoing.get(session)
        if outgoing is None:
            raise NotFound(f"{peer} is no party of this session, or no member", member=peer)
        return outgoing

    # ---- what can be asked ----

    def link_state(self, peer: str) -> LinkState:
        """How the link to this peer stands and since when (a reading of the clock)."""
        return self._peer(peer).state

    def address_of(self, peer: str) -> str:
        """Where this peer is dialled; empty when nobody knows."""
        member = self._members().get(peer)
        return member.address if member else ""

    def seed_states(self) -> dict[str, tuple[str, str]]:
        """Each seed's address with the member that answered there and why it is not linked."""
        return {
            address: (seed.member, seed.reason.value)
            for address, (seed, _) in sorted(self._dialler.seeds.items())
        }

    def session_traffic(self, session: bytes) -> Traffic:
        """Bytes of frames sent and received for this session, with all its peers together."""
        return self._sessions.get(session, Traffic())

    def traffic(self, peer: str) -> Traffic:
        """Bytes of frames exchanged with this peer since the node started."""
        return self._peer(peer).traffic

    def counts(self) -> dict[str, int]:
        """How often each Reason ended, refused or dropped something."""
        return dict(self._counts + self._office.counts)

    # ---- LinkOwner: what a link asks and tells ----

    def identify(self, link: Link, der: bytes) -> str | None:
        """The member with exactly this certificate; on a dialled link only the one dialled."""
        names = [name for name, member in self._members().items() if member.certificate == der]
        if not names or names[0] == self._name or link.peer not in {"", names[0]}:
            self._refuse(Reason.UNKNOWN_CERTIFICATE, fingerprint(der), link.remote)
            return None
        return names[0]

    def greeting(self) -> Hello:
        return Hello(
            first_version=VERSION,
            last_version=VERSION,
            network=self._network(),
            epoch=0,  # the record carries the epoch; the network is the hash of the first roster
            name=self._name,
            frame_bytes_max=FRAME_MAX,
            mail_bytes_max=MAIL_MAX,
        )

    def judge(self, link: Link, hello: Hello) -> Reason | None:
        if hello.network != self._network():
            return self._judged(link, Reason.WRONG_NETWORK)
        if hello.name != link.peer:
            return self._judged(link, Reason.WRONG_NAME)
        if not hello.first_version <= VERSION <= hello.last_version:
            return self._judged(link, Reason.NO_VERSION)
        if hello.mail_bytes_max < MAIL_MAX or hello.frame_bytes_max < FRAME_NEEDED:
            return self._judged(link, Reason.LIMITS)
        return None

    def _judged(self, link: Link, reason: Reason) -> Reason:
        member = self._members().get(link.peer)
        self._refuse(reason, fingerprint(member.certificate) if member else "", link.remote)
        return reason

    def link_up(self, link: Link) -> None:
        peer = self._peer(link.peer)
        old = peer.link
        if old is not None:
            if self._keeps(old, link):
                link.end(LinkEvent.REPLACED, Reason.REPLACED)
                return
            if not (old.dialled or link.dialled) and old.silent_s < self._timing.ping_s:
                self._count_replaced(peer.name)
            old.replace()
        peer.begin_link(link, self._clock())
        self._office.greet(peer.name)
        peer.told = ("", "")
        self._tell(LinkUp(peer.name))
        link.pump()

    def _keeps(self, old: Link, new: Link) -> bool:
        """Both ends dialled at once: both keep the link of the lower name."""
        lower = min(self._name, old.peer)
        together = self._clock() - old.up_since < self._timing.tie_s
        return together and self._who_dialled(old) == lower != self._who_dialled(new)

    def _count_replaced(self, member: str) -> None:
        """One process has one link: who replaces a live one again and again is two."""
        now = self._clock()
        times = [t for t in self._replaced.get(member, []) if now - t < TWIN_S] + [now]
        self._replaced[member] = times
        if len(times) >= TWIN_LINKS:
            del self._replaced[member]
            self._tell(TwinFound(member))

    def _who_dialled(self, link: Link) -> str:
        return self._name if link.dialled else link.peer

    def link_heard(self, link: Link, message: Message, size: int) -> None:
        peer = self._peer(link.peer)
        peer.traffic.received += size + HEAD_BYTES
        if peer.link is not link:
            return
        if isinstance(message, Mail):
            self._take_mail(peer, message, size + HEAD_BYTES)
        elif isinstance(message, Ack):
            self._take_ack(peer, message)
        elif isinstance(message, End) and message.code == FORGOTTEN:
            self._take_end(peer, message)
        else:
            self._tell(Received(peer.name, message))

    def link_read(self, link: Link) -> None:
        if self._office.is_pressing(link.peer):
            link.pump()
        elif link.peer in self._office.due:
            link.pump_later()

    def link_ended(self, link: Link, reason: Reason) -> None:
        self._links.discard(link)
        self._counts[reason] += 1
        if reason is Reason.OUSTED:
            self._count_replaced(self._name)
        peer = self._peers.get(link.peer)
        if peer is None or peer.link is not link:
            return
        peer.end_link(reason, self._clock())
        self._office.break_off(peer.name)
        self._tell(LinkDown(peer.name, reason.value, refused=False))

    def next_batch(self, link: Link) -> list[bytes | memoryview]:
        peer = self._peers.get(link.peer)
        if peer is None or peer.link is not link:
            return []
        waiting = link.rests and not self._office.is_pressing(peer.name)
        return peer.next_batch([] if waiting else self._office.acknowledgements(peer.name))

    # ---- mail that comes in ----

    def _take_mail(self, peer: Peer, mail: Mail, size: int) -> None:
        if mail.session in self._sessions:
            self._sessions[mail.session].received += size
        try:
            taken = self._office.take(peer.name, mail, self._clock())
        except RemoteError as fault:
            self._tell(MailRefused(mail.session, peer.name, fault.message))
            raise
        if taken.delivered is not None:
            self._deliver(taken.delivered)
        if taken.answer is not None:
            self.send(peer.name, taken.answer)

    def _take_ack(self, peer: Peer, ack: Ack) -> None:
        outgoing = peer.outgoing.get(ack.session)
        if outgoing is None or outgoing.ended:
            return
        outgoing.outbox.acknowledge(ack.number)
        outgoing.changed.set()
        self._finish(peer, ack.session, outgoing)

    def _take_end(self, peer: Peer, end: End) -> None:
        outgoing = peer.outgoing.get(end.session)
        if outgoing is None or outgoing.ended:
            return
        outgoing.end()
        self._finish(peer, end.session, outgoing)
        self._tell(SessionUnknown(end.session, peer.name))

    def _deliver(self, mail: Delivered) -> None:
        self._tell(MailIn(mail.session, mail.peer, mail.name, mail.data))

    # ---- making links ----

    def _peer(self, name: str) -> Peer:
        if name not in self._peers:
            state = LinkState(False, Reason.NEVER, self._clock(), False)
            self._peers[name] = Peer(name, state)
            self._peers[name].needed.set()
        return self._peers[name]

    def _certificates(self) -> list[bytes]:
        members = sorted(self._members().items())
        return [member.certificate for name, member in members if name != self._name]

    def _link(self, dialled: bool, remote: str) -> Link:
        link = Link(self, self._clock, self._timing, dialled, remote)
        self._links.add(link)
        return link

    def _incoming(self, remote: str) -> Link:
        return self._link(False, remote)

    def _turned_away(self, link: Link, reason: Reason, der: bytes) -> None:
        self._refuse(reason, fingerprint(der) if der else "", link.remote)
        link.end(LinkEvent.REFUSED, reason)

    def _let_go(self, peer: Peer) -> None:
        if peer.task is not None:
            peer.task.cancel()
        if peer.link is not None:
            peer.link.leave()
        for outgoing in peer.outgoing.values():
            outgoing.end()

    # ---- small things ----

    def _refuse(self, reason: Reason, print_: str, remote: str) -> None:
        """Tell each refused certificate once for each reason: floods of them stay quiet."""
        key = f"{reason} {print_}"
        if key in self._strangers:
            return
        self._strangers[key] = None
        while len(self._strangers) > STRANGERS_MAX:
            del self._strangers[next(iter(self._strangers))]
        self._tell(PeerRefused(f"from {remote}: {reason}", print_))

    def _pump(self, name: str) -> None:
        link = self._peer(name).link
        if link is not None:
            link.pump()

    def _tell(self, event: Event) -> None:
        if not self._closing:
            asyncio.get_running_loop().call_soon(self._on_event, event)

    def _tick(self) -> None:
        now = self._clock()
        for name, end in self._office.overdue(now):
            self.send(name, end)
        for session in [s for s, until in self._lingering.items() if now >= until]:
            self._drop_session(session)
        while len(self._sessions) - len(self._office.parties) > CLOSED_TRAFFIC_MAX:
            del self._sessions[next(s for s in self._sessions if s not in self._office.parties)]
        self._ticker = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _drop_session(self, session: bytes) -> None:
        for peer in self._peers.values():
            outgoing = peer.outgoing.pop(session, None)
            if outgoing is not None:
                outgoing.end()
        del self._lingering[session]
