"""What must hold after every step of a world, each by its name.

    no_answer_without_n_records           an answer is opened only when every party holds `released`
    results_only_at_recipients            nobody else has opened an answer
    one_certificate_per_session           all parties of a session hold the same certificate
    no_fork_by_an_honest_node             one entry for each honest author and number in all stores
    no_share_of_one_attempt_in_another    a session starts once at a party, with that attempt's
                                          keys, and no two `ready` entries ever have the same key
    no_address_that_nobody_gave           every address held was issued by that member itself
    causal_order                          whatever an entry has read is stored before it
    nothing_sent_before_stored            what leaves a node is on its disk
    the_core_never_fails                  no event ends a node, and its store takes all it writes

And in the end, once everything that was asked for has had its time (`world.missing`):

    every_node_lives       every_study_ends      one_end_of_a_study
    one_record_everywhere  every_fork_is_proved  every_address_is_known

Not yet applicable, because this version has neither: one_successor_per_epoch (no later epochs) and
no_budget_below_zero (no budgets). Each check looks at what the step has changed, so that a world of
thousands is affordable; what was true of older entries stays true, because stores only grow. So an
entry's heads are compared with its author's entry before: what that had read is stored already.
Members that lie are bound by nothing; what they are sent is looked at as everything else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from nacl.bindings import crypto_scalarmult_base

from nodes.core.book import Book
from nodes.core.effects import Effect, ResumeSession, Send, StartSession
from nodes.core.effects import SessionOrder as Order
from p2pmpc.address import AddressRecord
from p2pmpc.certificate import session_hash
from p2pmpc.messages import Address, Entries, Frontier
from p2pmpc.record import Answered, Ready, Released, read_content
from simulations.memory import MemoryStore, Volume

__all__ = ["FINALLY", "INVARIANTS", "NOT_YET", "Checkers", "Step", "Violation"]

NOT_YET = ("one_successor_per_epoch", "no_budget_below_zero")


class Violation(Exception):
    """An invariant does not hold. `invariant` is its name; the text says what was seen."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant


@dataclass(frozen=True, slots=True)
class Step:
    """What one event did at one node. `stored` are the entries that its store took just now."""

    node: str
    network: int
    store: MemoryStore
    effects: tuple[Effect, ...]
    stored: tuple[Volume, ...]


@dataclass(slots=True)
class Checkers:
    """Owned by the world; every field is written by the checks alone."""

    liars: frozenset[str]
    parties: dict[bytes, tuple[str, ...]] = field(default_factory=dict)  # session -> parties
    recipients: dict[bytes, tuple[str, ...]] = field(default_factory=dict)
    released: dict[bytes, dict[str, bytes]] = field(default_factory=dict)  # by session and party
    first: dict[tuple[int, str, int], bytes] = field(default_factory=dict)
    keys: dict[tuple[str, bytes], bytes] = field(default_factory=dict)  # (author, key) -> entry
    owners: dict[bytes, bytes] = field(default_factory=dict)  # X25519 public key -> entry
    issued: set[tuple[int, AddressRecord]] = field(default_factory=set)  # by network
    vouched: dict[int, AddressRecord] = field(default_factory=dict)  # by id: looked at already
    fronts: dict[str, Frontier] = field(default_factory=dict)  # the last that each node sent
    started: set[tuple[bytes, str]] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    def look(self, step: Step) -> None:
        """Raises Violation. The order is that of the damage done."""
        for volume in step.stored:
            self._one_head(step, volume)
            if volume.entry.author == step.node:
                self._own(step, volume)
        if step.stored:
            self._causal_order(step)
        for effect in step.effects:
            match effect:
                case Send():
                    self._sent(step, effect)
                case StartSession():
                    self._start(step, effect)
                case ResumeSession():
                    self._resumed(step, effect)

    def hold(self, invariant: str, holds: bool, text: str) -> None:
        self.counts[invariant] += 1
        if not holds:
            raise Violation(invariant, text)

    # ---- what a store took ----

    def _one_head(self, step: Step, volume: Volume) -> None:
        entry = volume.entry
        if entry.author in self.liars:
            return
        known = self.first.setdefault((step.network, entry.author, entry.seq), volume.hash)
        self.hold(
            "no_fork_by_an_honest_node",
            known == volume.hash,
            f"{entry.author} wrote two entries with the number {entry.seq} ({step.node} has one)",
        )

    def _own(self, step: Step, volume: Volume) -> None:
        if volume.entry.kind not in {"ready", "released", "answered"}:
            return
        body = step.store.body_of(volume)
        assert body is not None, "an author holds its own bodies"
        content = read_content(volume.entry.kind, body)
        if isinstance(content, Ready):
            self._own_ready(step.node, content.key, volume.hash)
        elif isinstance(content, Released):
            self._own_released(step.node, content)
        elif isinstance(content, Answered):
            self.opened(content.session)
            self.hold(
                "results_only_at_recipients",
                step.node in self.recipients.get(content.session, (step.node,)),
                f"{step.node} read the answer of session {content.session.hex()[:16]}",
            )

    def _own_ready(self, node: str, key: bytes, entry: bytes) -> None:
        self.keys[node, key] = entry
        owner = self.owners.setdefault(key, entry)
        self.hold(
            "no_share_of_one_attempt_in_another",
            owner == entry,
            f"{node} is ready with a key that another `ready` has announced",
        )

    def _own_released(self, node: str, content: Released) -> None:
        held = self.released.setdefault(content.session, {})
        held[node] = content.certificate
        self.hold(
            "one_certificate_per_session",
            len(set(held.values())) == 1,
            f"{node} holds another certificate of session {content.session.hex()[:16]}",
        )

    def opened(self, session: bytes) -> None:
        """An answer of this session was opened somewhere."""
        missing = sorted(
            set(self.parties.get(session, ("?",))) - set(self.released.get(session, {}))
        )
        self.hold(
            "no_answer_without_n_records",
            not missing,
            f"session {session.hex()[:16]} was answered; no `released` at {', '.join(missing)}",
        )

    def _causal_order(self, step: Step) -> None:
        for volume in step.stored:
            entry = volume.entry
            unread = [
                author
                for author, seq, _ in step.store.newly_read(volume)
                if step.store.length(author) <= seq and author not in self.liars
            ]
            self.hold(
                "causal_order",
                not unread,
                f"{step.node} placed entry {entry.seq} of {entry.author} before "
                f"what it had read of {unread[0] if unread else ''}",
            )

    # ---- addresses ----

    def issues(self, network: int, node: str, book: Book) -> None:
        """Remember what a node says of itself."""
        own = book.records.get(node)
        if own is not None:
            self.issued.add((network, own))

    def heard(self, network: int, node: str, book: Book, message: Address) -> None:
        """Whatever was kept of a message must be its member's own word."""
        for record in message.records:
            if self.vouched.get(id(record)) is record:
                continue
            if book.records.get(record.name) is record and record.name not in self.liars:
                self.vouched[id(record)] = record
                self.hold(
                    "no_address_that_nobody_gave",
                    (network, record) in self.issued,
                    f"{node} believes {record.name} at {record.address}, as nobody said",
                )

    # ---- what a node does ----

    def _start(self, step: Step, effect: StartSession) -> None:
        order = effect.order
        self.parties[order.session] = order.parties
        self.recipients[order.session] = order.recipients
        readies = self._readies(step, order)
        fresh = (order.session, step.node) not in self.started
        self.started.add((order.session, step.node))
        self.hold(
            "no_share_of_one_attempt_in_another",
            fresh and readies is not None and session_hash(readies) == order.session,
            f"{step.node} starts session {order.session.hex()[:16]} "
            f"{'with keys of another attempt' if fresh else 'again'}",
        )

    def _readies(self, step: Step, order: Order) -> list[bytes] | None:
        """The ready entries that announced this order's keys; None when one was not announced."""
        keys = {**order.peer_keys, step.node: crypto_scalarmult_base(order.secret)}
        found = [self.keys.get((party, keys.get(party, b""))) for party in order.parties]
        known = [one for one in found if one is not None]
        return known if len(known) == len(found) else None

    def _sent(self, step: Step, effect: Send) -> None:
        message = effect.message
        if isinstance(message, Entries):
            missing = [s for s, _ in message.entries if not step.store.holds(s)]
            self.hold(
                "nothing_sent_before_stored",
                not missing,
                f"{step.node} sends {len(missing)} entries that it does not hold",
            )
        elif isinstance(message, Frontier) and self.fronts.get(step.node) is not message:
            self.fronts[step.node] = message  # stores only grow: once right, it stays right
            ahead = step.store.behind(message.heads)
            self.hold(
                "nothing_sent_before_stored",
                not ahead,
                f"{step.node} says it knows more of {ahead[0] if ahead else ''} than it holds",
            )

    def _resumed(self, step: Step, effect: ResumeSession) -> None:
        """A session that gets the certificate sends its opening share next."""
        if effect.certificate:
            held = self.released.get(effect.session, {}).get(step.node)
            self.hold(
                "nothing_sent_before_stored",
                held == effect.certificate,
                f"{step.node} may open its share; its certificate is not on its disk",
            )


INVARIANTS = (
    "no_answer_without_n_records",
    "results_only_at_recipients",
    "one_certificate_per_session",
    "no_fork_by_an_honest_node",
    "no_share_of_one_attempt_in_another",
    "no_address_that_nobody_gave",
    "causal_order",
    "nothing_sent_before_stored",
    "the_core_never_fails",
)

FINALLY = (
    "every_node_lives",
    "every_study_ends",
    "one_end_of_a_study",
    "one_record_everywhere",
    "every_fork_is_proved",
    "every_address_is_known",
)
