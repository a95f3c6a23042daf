"""Which mail is taken: sessions that are open, not open yet, closed or unknown. Pure state, no I/O.

Mail for an open session is delivered and acknowledged at once; the session bounds what waits
unread. Mail for a session that is not open here is early: it is put together, kept unacknowledged
(so the sender's window bounds it) and handed over when the session opens; after `early_s` seconds
it is answered by End. A first mail with another number than 0 shows that this process has forgotten
the session: End at once. Mail for a closed session is acknowledged, counted and dropped, so that a
peer that closes later need not keep it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.transport.mail import WINDOW_BYTES, WINDOW_MAILS, Delivered, Inbox
from nodes.transport.reason import Reason
from p2pmpc.errors import MemberSuspected, NotFound
from p2pmpc.messages import Ack, End, Mail

__all__ = ["CLOSED_MAX", "EARLY_SESSIONS_MAX", "FORGOTTEN", "Office", "Taken"]

CLOSED_MAX = 4096  # sessions remembered as closed; older ones count as unknown
EARLY_SESSIONS_MAX = 4  # a peer may be ahead of us in so many studies at once
PRESSING_BYTES = WINDOW_BYTES // 8  # acknowledged at once: a sender must never wait for the timer
PRESSING_MAILS = WINDOW_MAILS // 8
FORGOTTEN = NotFound.code  # the code of an End that says "I do not know this session"


@dataclass(frozen=True, slots=True)
class Taken:
    """What one frame of mail led to."""

    delivered: Delivered | None = None
    answer: End | None = None
    dropped: Reason | None = None


@dataclass(slots=True)
class Early:
    """Whole mails of one sender for a session that is not open yet."""

    since: float
    mails: list[Delivered] = field(default_factory=list)
    size: int = 0

    def add(self, mail: Delivered) -> bool:
        """False when it is one more than a conforming sender can have unacknowledged."""
        self.mails.append(mail)
        self.size += len(mail.data)
        return len(self.mails) <= WINDOW_MAILS and self.size <= WINDOW_BYTES


@dataclass(slots=True)
class Office:
    """The mail that comes to this node. One task, the event loop, owns every field."""

    name: str
    check: Callable[[str, bytes, bytes], bool]
    early_s: float
    parties: dict[bytes, frozenset[str]] = field(default_factory=dict)  # open sessions
    closed: dict[bytes, None] = field(default_factory=dict)  # oldest first
    inboxes: dict[tuple[bytes, str], Inbox] = field(default_factory=dict)
    early: dict[tuple[bytes, str], Early] = field(default_factory=dict)
    due: dict[str, dict[bytes, int]] = field(default_factory=dict)  # acknowledgements not yet sent
    due_bytes: Counter[str] = field(default_factory=Counter)  # of mail that these acknowledge
    due_mails: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def open(self, session: bytes, peers: tuple[str, ...]) -> list[Delivered]:
        """From now on mail is delivered; the early mail is."""
        self.parties[session] = frozenset(peers)
        found: list[Delivered] = []
        for owner, peer in sorted(key for key in self.early if key[0] == session):
            early = self.early.pop((owner, peer))
            if peer not in peers:
                self._forget(session, peer, Reason.NO_PARTY)
                continue
            found += early.mails
            self._owe(session, peer, self.inboxes[session, peer].expected - 1)
        return found

    def close(self, session: bytes) -> None:
        """Nothing is delivered any more."""
        peers = self.parties.pop(session, frozenset())
        for peer in peers:
            self.inboxes.pop((session, peer), None)
        self.closed[session] = None
        while len(self.closed) > CLOSED_MAX:
            del self.closed[next(iter(self.closed))]

    def take(self, peer: str, mail: Mail, now: float) -> Taken:
        """One frame. Raises RemoteError when no conforming sender could have sent it."""
        session = mail.session
        if session in self.closed:
            return self._take_late(peer, mail)
        if session not in self.parties:
            return self._take_early(peer, mail, now)
        if peer not in self.parties[session]:
            return self._refuse(mail, Reason.NO_PARTY, MemberSuspected.code)
        inbox = self._inbox(session, peer)
        whole = inbox.take(mail)
        if inbox.expected and mail.last:
            self._owe(session, peer, inbox.expected - 1, mail.total)
        return Taken(delivered=whole)

    def _take_late(self, peer: str, mail: Mail) -> Taken:
        self.counts[Reason.CLOSED_SESSION] += 1
        if mail.last:
            self._owe(mail.session, peer, mail.number, mail.total)
        return Taken(dropped=Reason.CLOSED_SESSION)

    def _take_early(self, peer: str, mail: Mail, now: float) -> Taken:
        key = (mail.session, peer)
        if key not in self.early:
            if mail.number:
                return self._refuse(mail, Reason.UNKNOWN_SESSION, FORGOTTEN)
            if sum(1 for _, other in self.early if other == peer) >= EARLY_SESSIONS_MAX:
                return self._refuse(mail, Reason.EARLY_LIMIT, FORGOTTEN)
            self.early[key] = Early(now)
        whole = self._inbox(*key).take(mail)
        if whole is not None and not self.early[key].add(whole):
            self._forget(mail.session, peer, None)
            return self._refuse(mail, Reason.EARLY_LIMIT, MemberSuspected.code)
        return Taken()

    def overdue(self, now: float) -> list[tuple[str, End]]:
        """Early mail whose session did not open in time is forgotten: what its senders are told."""
        late = sorted(key for key, early in self.early.items() if now - early.since >= self.early_s)
        for session, peer in late:
            self._forget(session, peer, Reason.UNKNOWN_SESSION)
        return [(peer, _end(session, Reason.UNKNOWN_SESSION, FORGOTTEN)) for session, peer in late]

    def break_off(self, peer: str) -> None:
        """The link to this peer is gone: unfinished mails come again, and so do duplicates."""
        self._clear(peer)
        for (_, sender), inbox in self.inboxes.items():
            if sender == peer:
                inbox.break_off()

    def greet(self, peer: str) -> None:
        """A new link: owe again what has arrived, so that little is sent twice."""
        for (session, sender), inbox in self.inboxes.items():
            if sender == peer and session in self.parties and inbox.expected:
                self._owe(session, peer, inbox.expected - 1)

    def acknowledgements(self, peer: str) -> list[Ack]:
        """What is owed to this peer; owed no longer."""
        if peer not in self.due:
            return []
        return [
            Ack(session=session, number=number)
            for session, number in sorted(self._clear(peer).items())
        ]

    def is_pressing(self, peer: str) -> bool:
        """Whether so much is owed to this peer that it should not wait for other words."""
        return self.due_bytes[peer] >= PRESSING_BYTES or self.due_mails[peer] >= PRESSING_MAILS

    def _clear(self, peer: str) -> dict[bytes, int]:
        self.due_bytes.pop(peer, None)
        self.due_mails.pop(peer, None)
        return self.due.pop(peer, {})

    def _inbox(self, session: bytes, peer: str) -> Inbox:
        key = (session, peer)
        if key not in self.inboxes:
            self.inboxes[key] = Inbox(session, peer, self.name, self.check)
        return self.inboxes[key]

    def _owe(self, session: bytes, peer: str, number: int, size: int = 0) -> None:
        if number >= 0:
            self.due.setdefault(peer, {})[session] = number
            self.due_bytes[peer] += size
            self.due_mails[peer] += 1

    def _forget(self, session: bytes, peer: str, reason: Reason | None) -> None:
        self.early.pop((session, peer), None)
        self.inboxes.pop((session, peer), None)
        if reason is not None:
            self.counts[reason] += 1

    def _refuse(self, mail: Mail, reason: Reason, code: int) -> Taken:
        # one answer a mail, not one a frame: nobody gets more out of this node than they put in
        if not mail.last:
            return Taken(dropped=reason)
        self.counts[reason] += 1
        return Taken(answer=_end(mail.session, reason, code), dropped=reason)


def _end(session: bytes, reason: Reason, code: int) -> End:
    return End(session=session, code=code, text=reason.value, waited_for="")
