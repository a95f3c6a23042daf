"""The core of one node: handle(now, event) -> effects. No clock, no disk, no network in here.

Members agree by entries in their own feeds, and every node draws the same conclusions from the
same entries: a study is agreed when all its parties consented to the same bytes; it starts when
all n `ready` entries match; a certificate is complete when all n `release` entries name it.
Nobody starts it for the others.

Here stand what the core knows, the record, and tables of what calls what. A proposal and its expiry
are in `proposals`, whether this member takes part in `consent`, second thoughts in `withdrawal`,
which studies run at once in `slots`, how an attempt starts in `attempts`, what it puts on record
before the answer opens in `opening`, its early end in `ending`, starting again on a record in
`recovery`: plain functions of the core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodes.core import (
    attempts,
    consent,
    gossip,
    opening,
    proposals,
    slots,
    withdrawal,
    witnesses,
)
from nodes.core.book import Book
from nodes.core.effects import (
    Append,
    Connect,
    DatasetAdded,
    Decided,
    Effect,
    Emit,
    Event,
    Founded,
    Gone,
    LinkLost,
    LinkMade,
    Listening,
    PolicySet,
    Proposed,
    Received,
    Remember,
    RevokeAsked,
    Send,
    SessionEnded,
    SessionPaused,
    SessionStopped,
    SetTimer,
    TimerFired,
    WithdrawAsked,
)
from nodes.core.feeds import Feeds, Known, batches
from nodes.core.gossip import Gossip
from nodes.core.recovery import recall
from nodes.core.slots import Places
from nodes.core.studies import Case, following, read_or_refuse, topic_of
from nodes.core.witnesses import Witnesses
from p2pmpc.codec import encode
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import P2pmpcError, WrongUsage
from p2pmpc.identity import Signer
from p2pmpc.policy import Policy
from p2pmpc.record import (
    Answered,
    Body,
    Checked,
    Consent,
    Content,
    DatasetNote,
    Ended,
    ForkNote,
    Genesis,
    Ready,
    Refusal,
    Release,
    Released,
    Revocation,
    SignedEntry,
    StudyNote,
    Withdrawal,
    Withheld,
)
from p2pmpc.settings import Settings

__all__ = ["ASIDE_BYTES_MAX", "ASIDE_MAX", "Core"]

ASIDE_BYTES_MAX = 2**20  # of their contents: one may be three quarters of this
ASIDE_MAX = 64  # entries of one author about studies and sessions that are not known here yet


@dataclass(slots=True)
class Core:
    """All that a node knows. One caller at a time; only `handle` and `restore` change it."""

    name: str
    settings: Settings
    feeds: Feeds
    signer: Signer
    randomness: Callable[[int], bytes]
    make_key_pair: Callable[[bytes], tuple[bytes, bytes]]
    policy: Policy
    dictionaries: dict[str, dict[str, Dictionary]] = field(default_factory=dict)
    commitments: dict[str, bytes] = field(default_factory=dict)  # own data sets
    unusable: dict[str, str] = field(default_factory=dict)  # own data sets -> why, since a restart
    cases: dict[str, Case] = field(default_factory=dict)
    places: Places = field(default_factory=Places)
    sessions: dict[bytes, str] = field(default_factory=dict)  # session -> study, earlier ones too
    up: set[str] = field(default_factory=set)
    effects: list[Effect] = field(default_factory=list)
    appends: list[tuple[SignedEntry, Body | None]] = field(default_factory=list)
    news: list[tuple[SignedEntry, Body | None]] = field(default_factory=list)
    aside: dict[str | bytes, list[Known]] = field(default_factory=dict)  # by study or session
    notes: list[Remember] = field(default_factory=list)
    gossip: Gossip = field(default_factory=Gossip)
    witnesses: Witnesses = field(default_factory=Witnesses)
    book: Book = field(init=False)
    now_ms: int = 0
    recovering: bool = False  # started again, and not compared with others yet: nothing is written
    learning: bool = False  # the record is read again: nothing is written, started or stopped

    def __post_init__(self) -> None:
        self.book = Book(self.name, self.signer, self.feeds.reading)

    def handle(self, now_ms: int, event: Event) -> list[Effect]:
        """Everything to do about one event, the store's part first."""
        self._begin(now_ms)
        if not witnesses.hold(self, event):
            self.dispatch(event)
        return self._outcome()

    def dispatch(self, event: Event) -> None:
        """Do about the event what the table says."""
        HANDLERS[type(event)](self, event)

    def restore(self, now_ms: int, entries: Iterable[Known], clean: bool = False) -> list[Effect]:
        """Start again on a record; everything to do about it, the store's part first.

        entries  all that is stored, in causal order, gone through more than once; the feeds know
                 its roster and heads already
        clean    the store was closed on purpose: alone, this node goes on after a while
        """
        self._begin(now_ms)
        self.learning = True
        recall(self, entries)
        self.learning = False
        self._begin(now_ms)
        self._meet()
        witnesses.begin(self, entries, clean)
        return self._outcome()

    def _meet(self) -> None:
        """There is a roster: reach its members, compare with them, say where this node listens."""
        assert self.feeds.roster is not None, "nobody is met without a roster"
        self.effects.append(Connect(tuple(n for n in self.feeds.roster.names if n != self.name)))
        self.effects.append(SetTimer("gossip", self.settings.gossip_s))
        gossip.tell_address(self)

    def _begin(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.effects, self.appends, self.news, self.notes = [], [], [], []
        self.feeds.fresh = {}

    def _outcome(self) -> list[Effect]:
        slots.settle(self)
        announced = [
            Send(peer, message) for message in batches(self.news) for peer in sorted(self.up)
        ]
        stored: list[Effect] = [Append(tuple(self.appends))] if self.appends else []
        return [*self.notes, *stored, *announced, *self.effects]

    # ---- what people do ----

    def on_founded(self, event: Founded) -> None:
        """Found the network of these cards. Raises P2pmpcError if it is in one, or not in this."""
        if self.feeds.roster is not None:
            raise WrongUsage(
                "this node belongs to a network already",
                next="A node keeps to one network; p2pmpc node new makes one for another.",
            )
        roster = self.feeds.reading.roster(event.title, event.cards)
        if self.name not in roster.names:
            raise P2pmpcError(f"{self.name} is not among the founding members")
        self.feeds.roster = roster
        self.notes.append(Remember("roster", encode(roster)))  # a genesis means nothing without it
        self.write("genesis", Genesis(roster=roster.hash))
        self._meet()

    def on_dataset(self, event: DatasetAdded) -> None:
        """Put the data set's description and commitment on record, for everybody to read."""
        name = event.dictionary.name
        self.commitments[name] = event.commitment
        self.unusable.pop(name, None)
        self.write(
            "dataset",
            DatasetNote(dictionary=event.dictionary.to_bytes(), commitment=event.commitment),
        )

    def on_policy(self, event: PolicySet) -> None:
        """Decide by these rules from now on."""
        self.policy = event.policy

    # ---- links and replication: see nodes/core/gossip ----

    def on_listening(self, event: Listening) -> None:
        """Others dial this node here from now on: they are told."""
        self.book.listening = event.address
        gossip.tell_address(self)

    def on_timer(self, event: TimerFired) -> None:
        """One of gossip's own, or the end of a wait of a study."""
        if event.name in TIMERS:
            TIMERS[event.name](self)
            return
        what, _, study = event.name.partition(":")
        if study in self.cases:
            STUDY_TIMERS[what](self, study)

    # ---- the record ----

    def write(self, kind: str, content: Content) -> None:
        """Sign an entry, file it for the store and the peers, draw its conclusions here."""
        if self.learning or self.name in self.feeds.forks:
            return
        signed, body, known = self.feeds.write(kind, content, self.now_ms)
        self.appends.append((signed, body))
        self.news.append((signed, body))
        self.apply(known)

    def apply(self, known: Known) -> None:
        """Draw the conclusions of one entry, whoever wrote it."""
        step = APPLIES.get(type(known.content))
        if step is None or self._set_aside(known):
            return
        try:
            step(self, known.entry.author, known, known.content)
        except P2pmpcError as fault:
            # on record all the same: its author signed it, and it means nothing here
            self.effects.append(Emit("", "entry refused", known.entry.author, fault.message))

    def _set_aside(self, known: Known) -> bool:
        """Whether the entry is of a study or session that is not known here yet: it waits.

        An honest author has read the study before it consents, and its entry comes later. A liar
        may leave that out; the members must not conclude differently by the order of arrival.
        """
        topic = topic_of(known.content)
        if topic is None or topic in self.cases or topic in self.sessions:
            return False
        author = known.entry.author
        kept = [k for aside in self.aside.values() for k in aside if k.entry.author == author]
        size = sum(len(encode(k.content)) for k in (*kept, known) if k.content is not None)
        if len(kept) < ASIDE_MAX and size <= ASIDE_BYTES_MAX:
            self.aside.setdefault(topic, []).append(known)
        return True

    def take_up(self, topic: str | bytes) -> None:
        """What had come before its study or session was known."""
        for known in self.aside.pop(topic, []):
            self.apply(known)

    def apply_dataset(self, author: str, known: Known, note: DatasetNote) -> None:
        """A member describes its data; studies that waited for that are considered."""
        dictionary = read_or_refuse(lambda: self.feeds.reading.dictionary(note.dictionary))
        self.dictionaries.setdefault(author, {})[dictionary.name] = dictionary
        if author == self.name:
            self.commitments[dictionary.name] = note.commitment
        for study in sorted(self.places.open):
            consent.consider(self, self.cases[study])

    def apply_fork(self, author: str, known: Known, note: ForkNote) -> None:
        """Another member has proof of a fork; it is checked here before it is believed."""
        gossip.take_fork(self, note.proof)

    # ---- looking up ----

    def move(self, case: Case, event: str) -> None:
        """Follow the table of a study's life. Raises P2pmpcError for a step that it lacks."""
        case.state = following(case, event)
        self.places.file(case, self.name)
        if case.final:
            case.forget()

    def case_of(self, session: bytes) -> Case | None:
        """The study whose current or last session this is here; None for every other session."""
        case = self.session_case(session)
        return case if case is not None and case.session == session else None

    def session_case(self, session: bytes) -> Case | None:
        """The study that this session is an attempt at, whoever runs it, or ran it."""
        study = self.sessions.get(session)
        return None if study is None else self.cases[study]

    def open_cases(self, member: str) -> list[Case]:
        """Studies with this member that have not ended, sorted by id."""
        found = [self.cases[study] for study in sorted(self.places.open)]
        return [case for case in found if member in case.study.parties]

    def emit(
        self,
        case: Case,
        event: str,
        member: str,
        text: str,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """A line of the study's story, for the people of this node."""
        self.effects.append(Emit(case.id, event, member, text, error))


HANDLERS: Mapping[type, Callable[[Core, Any], None]] = {
    Founded: Core.on_founded,
    DatasetAdded: Core.on_dataset,
    PolicySet: Core.on_policy,
    Proposed: proposals.on_proposed,
    Decided: consent.on_decided,
    WithdrawAsked: withdrawal.on_withdraw,
    RevokeAsked: withdrawal.on_revoke,
    Listening: Core.on_listening,
    LinkMade: gossip.on_link_made,
    LinkLost: gossip.on_link_lost,
    Received: gossip.on_received,
    TimerFired: Core.on_timer,
    SessionPaused: opening.on_paused,
    SessionEnded: opening.on_ended,
    SessionStopped: attempts.on_stopped,
    Gone: attempts.on_gone,
}

TIMERS: Mapping[str, Callable[[Core], None]] = {
    "gossip": gossip.on_gossip,
    "spread": gossip.on_spread,
    "restore": witnesses.on_overdue,
}

STUDY_TIMERS: Mapping[str, Callable[[Core, str], None]] = {
    "start": attempts.start_overdue,
    "retry": attempts.retry,
    "expire": proposals.on_due,
}

APPLIES: Mapping[type, Callable[[Core, str, Known, Any], None]] = {
    DatasetNote: Core.apply_dataset,
    StudyNote: proposals.apply_study,
    Consent: consent.apply_consent,
    Refusal: consent.apply_refusal,
    Ready: attempts.apply_ready,
    Checked: opening.apply_checked,
    Release: opening.apply_release,
    Released: opening.apply_released,
    Answered: opening.apply_answered,
    Withheld: opening.apply_withheld,
    Ended: attempts.apply_ended,
    Withdrawal: withdrawal.apply_withdrawal,
    Revocation: withdrawal.apply_revocation,
    ForkNote: Core.apply_fork,
}
