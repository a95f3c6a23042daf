"""The core of one node: handle(now, event) -> effects. No clock, no disk, no network in here.

Members agree by entries in their own feeds, and every node draws the same conclusions from the
same entries: a study is agreed when all its parties consented to the same bytes; it starts when
all n `ready` entries match; a certificate is complete when all n `release` entries name it.
Nobody starts it for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodes.core.decision import APPROVE, REFUSE, decide
from nodes.core.effects import (
    Append,
    Connect,
    DatasetAdded,
    Effect,
    Emit,
    Event,
    Founded,
    Gone,
    LinkLost,
    LinkMade,
    PolicySet,
    Proposed,
    Received,
    ResumeSession,
    Send,
    SessionEnded,
    SessionOrder,
    SessionPaused,
    SessionStopped,
    SetTimer,
    StartSession,
    StopSession,
    TimerFired,
)
from nodes.core.ending import error_json, shared_code, shared_text
from nodes.core.feeds import Feeds, Known, batches
from nodes.core.recovery import live_on, recall
from nodes.core.studies import Case, EndedNote, move, read_or_refuse, topic_of
from p2pmpc.catalogue import Resolved, resolve
from p2pmpc.certificate import (
    Certificate,
    certificate_hash,
    program_hash,
    session_hash,
    sign_certificate,
)
from p2pmpc.codec import digest, encode
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import LogError, P2pmpcError, Refused, SplitView, WrongUsage
from p2pmpc.identity import Signer, verify_signature
from p2pmpc.messages import End, Entries, ForkNotice, Frontier, sentence
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
    ForkProof,
    Genesis,
    Ready,
    Refusal,
    Release,
    Released,
    SignedEntry,
    StudyNote,
    Withheld,
)
from p2pmpc.roster import found_roster
from p2pmpc.settings import Settings
from p2pmpc.study import Study

__all__ = ["ASIDE_MAX", "PROGRAM_VERSION", "Core"]

PROGRAM_VERSION = b"p2pmpc 0.1.0 joint/1"
FIRST_ATTEMPT = 1
ASIDE_MAX = 64  # entries of one author about studies and sessions that are not known here yet


@dataclass(slots=True)
class Core:
    """All that a node knows. One caller at a time; every field is written by `handle` alone."""

    name: str
    settings: Settings
    feeds: Feeds
    signer: Signer
    randomness: Callable[[int], bytes]
    make_key_pair: Callable[[bytes], tuple[bytes, bytes]]
    policy: Policy
    dictionaries: dict[str, dict[str, Dictionary]] = field(default_factory=dict)
    commitments: dict[str, bytes] = field(default_factory=dict)  # own data sets
    cases: dict[str, Case] = field(default_factory=dict)
    up: set[str] = field(default_factory=set)
    effects: list[Effect] = field(default_factory=list)
    appends: list[tuple[SignedEntry, Body | None]] = field(default_factory=list)
    news: list[tuple[SignedEntry, Body | None]] = field(default_factory=list)
    aside: dict[str | bytes, list[Known]] = field(default_factory=dict)  # by study or session
    now_ms: int = 0
    learning: bool = False  # the record is read again: nothing is written, started or stopped

    def handle(self, now_ms: int, event: Event) -> list[Effect]:
        """Everything to do about one event, the store's part first."""
        self.begin(now_ms)
        HANDLERS[type(event)](self, event)
        return self.outcome()

    def restore(self, now_ms: int, entries: Sequence[Known]) -> list[Effect]:
        """Start again on a record; everything to do about it, the store's part first.

        entries  all that is stored, in causal order; the feeds know its roster and heads already
        """
        self.begin(now_ms)
        self.learning = True
        recall(self, entries)
        self.learning = False
        self.begin(now_ms)
        live_on(self, entries)
        return self.outcome()

    def begin(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.effects, self.appends, self.news = [], [], []
        self.feeds.fresh = {}

    def outcome(self) -> list[Effect]:
        announced = [
            Send(peer, message) for message in batches(self.news) for peer in sorted(self.up)
        ]
        stored: list[Effect] = [Append(tuple(self.appends))] if self.appends else []
        return [*stored, *announced, *self.effects]

    # ---- what people do ----

    def on_founded(self, event: Founded) -> None:
        if self.feeds.roster is not None:
            raise WrongUsage("this node belongs to a network already")
        roster = found_roster(event.title, event.cards)
        if self.name not in roster.names:
            raise P2pmpcError(f"{self.name} is not among the founding members")
        self.feeds.roster = roster
        self.write("genesis", Genesis(roster=encode(roster)))
        self.effects.append(Connect(tuple(n for n in roster.names if n != self.name)))
        self.effects.append(SetTimer("gossip", self.settings.gossip_s))

    def on_dataset(self, event: DatasetAdded) -> None:
        name = event.dictionary.name
        self.commitments[name] = event.commitment
        self.write(
            "dataset",
            DatasetNote(dictionary=event.dictionary.to_bytes(), commitment=event.commitment),
        )

    def on_policy(self, event: PolicySet) -> None:
        self.policy = event.policy

    def on_proposed(self, event: Proposed) -> None:
        self.read_study(event)
        self.write(
            "study",
            StudyNote(study=event.study, researcher=event.researcher, signature=event.signature),
        )

    # ---- links and replication ----

    def on_link_made(self, event: LinkMade) -> None:
        self.up.add(event.peer)
        self.effects.append(Send(event.peer, self.feeds.frontier()))

    def on_link_lost(self, event: LinkLost) -> None:
        self.up.discard(event.peer)

    def on_gone(self, event: Gone) -> None:
        case = self.cases.get(event.study)
        if case is not None and not case.final and not case.session:
            self.stop(case, 402, event.why, event.member, "")

    def on_received(self, event: Received) -> None:
        message = event.message
        if isinstance(message, Entries):
            self.take_entries(event.peer, message)
        elif isinstance(message, Frontier):
            for news in self.feeds.news_for(message):
                self.effects.append(Send(event.peer, news))
        elif isinstance(message, ForkNotice):
            self.take_fork(message.proof)
        elif isinstance(message, End):
            self.take_end(event.peer, message)

    def take_entries(self, peer: str, message: Entries) -> None:
        for signed, body in message.entries:
            try:
                placed = self.feeds.take(signed, body, peer)
            except SplitView as fork:
                self.tell_fork(str(fork.where.get("member", "")))
                continue
            except P2pmpcError as fault:
                self.effects.append(Emit("", "entry refused", peer, fault.message))
                continue
            self.put_on_record(placed)

    def put_on_record(self, placed: list[tuple[tuple[SignedEntry, Body | None], Known]]) -> None:
        for filed, known in placed:
            self.appends.append(filed)
            self.apply(known)
        for fault in self.feeds.refused:
            author = str(fault.where.get("member", ""))
            self.effects.append(Emit("", "entry refused", author, fault.message))
        self.feeds.refused = []

    def tell_fork(self, author: str) -> None:
        """The proof goes to everyone and into this member's own feed; then on without the author.

        What others wrote after they had read the author's other history is placed from now on.
        """
        proof = self.feeds.forks[author]
        self.effects.append(Emit("", "fork found", author, f"{author} signed two histories"))
        for peer in sorted(self.up):
            self.effects.append(Send(peer, ForkNotice(proof)))
        for case in self.open_cases(author):
            self.stop(case, 403, f"{author} signed two histories", author, "")
        if author != self.name:
            self.write("fork", ForkNote(proof))
        self.put_on_record(self.feeds.place_waiting())

    def take_fork(self, proof: ForkProof) -> None:
        assert self.feeds.roster is not None
        author = proof.check(self.feeds.roster)
        if author not in self.feeds.forks:
            self.feeds.forks[author] = proof
            self.tell_fork(author)

    def take_end(self, peer: str, message: End) -> None:
        case = self.case_of(message.session)
        if case is not None and peer in case.study.parties and not case.final:
            self.stop_as_told(case, peer, message.code, message.text, message.waited_for)

    def stop_as_told(self, case: Case, peer: str, code: int, why: str, waited_for: str) -> None:
        """A party says that its attempt is over. Its word is recorded as its word."""
        named = waited_for if waited_for in case.study.parties else peer
        text = f"{peer} ended the run: {why}" if why else f"{peer} ended the run"
        self.stop(case, shared_code(code), text, named, peer)

    def on_timer(self, event: TimerFired) -> None:
        if event.name == "gossip":
            for peer in sorted(self.up):
                self.effects.append(Send(peer, self.feeds.frontier()))
            self.effects.append(SetTimer("gossip", self.settings.gossip_s))
        elif event.name.startswith("start:"):
            self.start_overdue(event.name.removeprefix("start:"))

    # ---- the record ----

    def write(self, kind: str, content: Content) -> None:
        if self.learning:
            return
        signed, body, known = self.feeds.write(kind, content, self.now_ms)
        self.appends.append((signed, body))
        self.news.append((signed, body))
        self.apply(known)

    def apply(self, known: Known) -> None:
        """Draw the conclusions of one entry, whoever wrote it."""
        step = APPLIES.get(type(known.content))
        if step is None or self.set_aside(known):
            return
        try:
            step(self, known.entry.author, known, known.content)
        except P2pmpcError as fault:
            # on record all the same: its author signed it, and it means nothing here
            self.effects.append(Emit("", "entry refused", known.entry.author, fault.message))

    def set_aside(self, known: Known) -> bool:
        """Whether the entry is of a study or session that is not known here yet: it waits.

        An honest author has read the study before it consents, and its entry comes later. A liar
        may leave that out; the members must not conclude differently by the order of arrival.
        """
        topic = topic_of(known.content)
        if topic is None or topic in self.cases or (isinstance(topic, bytes) and self.runs(topic)):
            return False
        author = known.entry.author
        kept = sum(one.entry.author == author for aside in self.aside.values() for one in aside)
        if kept < ASIDE_MAX:
            self.aside.setdefault(topic, []).append(known)
        return True

    def runs(self, session: bytes) -> bool:
        return self.case_of(session) is not None

    def take_up(self, topic: str | bytes) -> None:
        for known in self.aside.pop(topic, []):
            self.apply(known)

    def apply_dataset(self, author: str, known: Known, note: DatasetNote) -> None:
        dictionary = read_or_refuse(lambda: Dictionary.from_bytes(note.dictionary))
        self.dictionaries.setdefault(author, {})[dictionary.name] = dictionary
        if author == self.name:
            self.commitments[dictionary.name] = note.commitment
        for case in self.cases.values():
            self.consider(case)

    def apply_study(self, author: str, known: Known, note: StudyNote) -> None:
        study = self.read_study(note)
        if study.id in self.cases:
            return
        case = Case(study)
        self.cases[study.id] = case
        self.emit(case, "proposed", author, f"{study.title} (proposed through {author})")
        self.consider(case)
        self.take_up(study.id)

    def read_study(self, note: StudyNote | Proposed) -> Study:
        """The study, signed by its researcher and among members. Raises P2pmpcError."""
        if self.feeds.roster is None:
            raise WrongUsage("this node belongs to no network yet")
        study = read_or_refuse(lambda: Study.from_bytes(note.study))
        network = self.feeds.roster.network
        verify_signature(note.researcher, network, "study", study.hash, note.signature)
        strangers = sorted(set(study.parties) - set(self.feeds.roster.names))
        if strangers:
            raise WrongUsage(
                f"the study names {strangers[0]!r}, who is no member of this network",
                next=f"The members are {', '.join(self.feeds.roster.names)}.",
            )
        return study

    def apply_fork(self, author: str, known: Known, note: ForkNote) -> None:
        self.take_fork(note.proof)

    def apply_consent(self, author: str, known: Known, note: Consent) -> None:
        case = self.cases[note.study]
        if case.final or author not in case.study.parties or author in case.consents:
            return
        try:
            read_or_refuse(lambda: Policy.from_bytes(note.rules))
        except P2pmpcError:
            self.stop(case, 404, f"{author} consented under rules that are none", author, "")
            return
        case.consents[author], case.rules[author] = known.hash, note.rules
        if author == self.name:
            case.described = self.catalogue(case.study)  # what was consented to, whatever comes
        self.emit(case, "consented", author, note.reason)
        if case.state == "proposed" and set(case.consents) == set(case.study.parties):
            move(case, "consents held")
            self.make_ready(case)

    def apply_refusal(self, author: str, known: Known, note: Refusal) -> None:
        case = self.cases[note.study]
        if author not in case.study.parties:
            return
        case.refusals[author] = note.reason
        if case.state in {"proposed", "agreed"}:
            move(case, "refused")
            case.ended = EndedNote(note.code, note.reason, "")
            error = error_json(note.code, note.reason, author, note.would_pass)
            self.emit(case, "refused", author, note.reason, error)

    def apply_ready(self, author: str, known: Known, note: Ready) -> None:
        case = self.cases[note.study]
        if author not in case.study.parties or author in case.readies:
            return
        case.readies[author] = (known.hash, note)
        self.start_if_all_ready(case)

    def apply_checked(self, author: str, known: Known, note: Checked) -> None:
        case = self.case_of(note.session)
        if case is not None and author in case.study.parties:
            case.checked.setdefault(author, note.transcript)

    def apply_release(self, author: str, known: Known, note: Release) -> None:
        case = self.case_of(note.session)
        if case is None or author not in case.study.parties or author in case.releases:
            return
        case.releases[author] = (note.certificate_hash, note.signature)
        if author not in case.checked and not case.final:
            self.stop(case, 404, f"{author} released before it had checked", author, "")
            return
        self.certify_if_complete(case)

    def apply_ended(self, author: str, known: Known, note: Ended) -> None:
        case = self.cases[note.study]
        if author != self.name and author in case.study.parties and not case.final:
            self.stop_as_told(case, author, note.code, note.why, note.waited_for)

    # ---- consent ----

    def consider(self, case: Case) -> None:
        """Decide as soon as every description that the study needs is known."""
        me = self.name
        if case.state != "proposed" or me not in case.study.parties or me in case.consents:
            return
        if self.learning or me in case.refusals or not self.described(case.study):
            return
        try:
            catalogue, policies = self.catalogue(case.study), {me: self.policy}
            read_or_refuse(lambda: resolve(case.study, catalogue, policies))
        except P2pmpcError as fault:
            self.refuse(case, fault.code, fault.message, fault.next)
            return
        verdict = decide(case.study, self.policy.rules_for_all(case.study.datasets_of(me)))
        if verdict.verdict == APPROVE:
            self.consent(case, verdict.reason)
        elif verdict.verdict == REFUSE:
            self.refuse(case, Refused.code, verdict.reason, verdict.would_pass)
        elif not case.asked:
            case.asked = True
            self.emit(case, "asked", me, verdict.reason)

    def described(self, study: Study) -> bool:
        return all(
            alias.dataset in self.dictionaries.get(member, {})
            for alias in study.data
            for member in alias.members
        )

    def catalogue(self, study: Study) -> dict[str, dict[str, Dictionary]]:
        return {
            member: {
                alias.dataset: self.dictionaries[member][alias.dataset]
                for alias in study.data
                if member in alias.members
            }
            for member in study.parties
        }

    def consent(self, case: Case, reason: str) -> None:
        rules = self.policy.restricted_to(case.study.datasets_of(self.name))
        self.write("consent", Consent(study=case.id, reason=reason, rules=rules.to_bytes()))

    def refuse(self, case: Case, code: int, reason: str, would_pass: str) -> None:
        self.write("refusal", Refusal(case.id, code, sentence(reason), sentence(would_pass)))

    def resolved(self, case: Case) -> Resolved:
        """The study against all descriptions and the strictest of all consented rules."""
        policies = {member: Policy.from_bytes(rules) for member, rules in case.rules.items()}
        return resolve(case.study, case.described, policies)

    def program(self, case: Case) -> bytes:
        """One hash over all that decides the computation: study, descriptions, rules, version."""
        described = [
            dictionary.to_bytes()
            for _, sets in sorted(case.described.items())
            for _, dictionary in sorted(sets.items())
        ]
        rules = [rules for _, rules in sorted(case.rules.items())]
        return program_hash(PROGRAM_VERSION, case.study.hash, described, rules)

    # ---- attempt ----

    def make_ready(self, case: Case) -> None:
        if self.learning or self.name not in case.study.parties or self.feeds.roster is None:
            return
        try:
            read_or_refuse(lambda: self.resolved(case))
        except P2pmpcError as fault:
            self.stop(case, fault.code, fault.message, "", "")
            return
        case.secret, public = self.make_key_pair(self.randomness(32))
        consents = digest("p2pmpc/consents/1", *(h for _, h in sorted(case.consents.items())))
        names = sorted(case.study.datasets_of(self.name))
        case.commitments = {name: self.commitments[name] for name in names}
        move(case, "own ready")
        self.effects.append(SetTimer(f"start:{case.id}", self.settings.ready_wait_s))
        self.write(
            "ready",
            Ready(
                study=case.id,
                attempt=FIRST_ATTEMPT,
                epoch=self.feeds.roster.epoch,
                consents=consents,
                snapshot=digest("p2pmpc/snapshots/1", *case.commitments.values()),
                key=public,
                program=self.program(case),
            ),
        )

    def start_if_all_ready(self, case: Case) -> None:
        if case.state != "ready" or set(case.readies) != set(case.study.parties):
            return
        mine = case.readies[self.name][1]
        for member, (_, other) in sorted(case.readies.items()):
            if _agreed(other) != _agreed(mine):
                self.stop(case, 303, f"{member} is ready for another program or roster", member, "")
                return
        case.session = session_hash([entry for entry, _ in case.readies.values()])
        move(case, "all ready")
        self.emit(case, "started", "", f"all {len(case.readies)} parties are ready")
        order = SessionOrder(
            session=case.session,
            study=case.id,
            parties=case.study.parties,
            recipients=recipients_of(case.study),
            peer_keys={m: note.key for m, (_, note) in case.readies.items() if m != self.name},
            secret=case.secret,
        )
        case.secret = b""
        self.effects.append(StartSession(order))
        self.take_up(case.session)

    def start_overdue(self, study: str) -> None:
        case = self.cases[study]
        if case.state == "ready":
            late = sorted(set(case.study.parties) - set(case.readies))
            waited = f"{self.settings.ready_wait_s:g} s"
            self.stop(case, 402, f"{', '.join(late)} was not ready within {waited}", late[0], "")

    def on_paused(self, event: SessionPaused) -> None:
        case = self.case_of(event.session)
        if case is None or case.final:
            return
        if event.kind == "checked":
            move(case, "transcript recorded")
            transcript = event.facts["transcript"]
            self.write("checked", Checked(session=case.session, transcript=transcript))
            self.emit(case, "checked", "", "thresholds were compared on shares")
            self.effects.append(ResumeSession(case.session))
        else:
            self.release(case, event.facts)

    def release(self, case: Case, facts: Mapping[str, Any]) -> None:
        """Sign the certificate over everyone's commitments; not yet a share leaves."""
        assert self.feeds.roster is not None
        certificate = Certificate(
            network=self.feeds.roster.network,
            session=case.session,
            study=case.study.hash,
            epoch=self.feeds.roster.epoch,
            parties=case.study.parties,
            recipients=recipients_of(case.study),
            readies=tuple(case.readies[party][0] for party in case.study.parties),
            transcript=facts["transcript"],
            layout=tuple((unit, cells) for unit, cells in facts["layout"]),
            verdicts=tuple(bool(v) for v in facts["verdicts"]),
            commitments=tuple(facts["commitments"][party] for party in case.study.parties),
            program=case.readies[self.name][1].program,
        )
        case.certificate = certificate
        move(case, "own release")
        self.write(
            "release",
            Release(
                session=case.session,
                certificate_hash=certificate_hash(certificate),
                signature=sign_certificate(self.signer, certificate),
            ),
        )

    def certify_if_complete(self, case: Case) -> None:
        waits = set(case.releases) != set(case.study.parties)
        if self.learning or waits or case.state != "releasing":
            return
        assert case.certificate is not None
        fault = self.release_fault(case, case.certificate)
        if fault is not None:
            self.stop(case, *fault, "")
            return
        signatures = tuple(case.releases[party][1] for party in case.study.parties)
        certificate = encode(case.certificate)
        move(case, "certificate complete")
        self.write(
            "released",
            Released(session=case.session, certificate=certificate, signatures=signatures),
        )
        self.emit(case, "released", "", f"certificate signed by all {len(signatures)} parties")
        self.effects.append(ResumeSession(case.session, certificate, signatures))

    def release_fault(self, case: Case, certificate: Certificate) -> tuple[int, str, str] | None:
        """What is wrong with the parties' releases: an error code, a sentence, who."""
        wanted = certificate_hash(certificate)
        for member, (found, signature) in sorted(case.releases.items()):
            if found == wanted and not self.signed_by(member, certificate, signature):
                return 404, f"{member} did not sign the certificate that it released", member
            if case.checked[member] != certificate.transcript:
                return 404, f"{member} had checked another transcript", member
        others = [member for member, (found, _) in sorted(case.releases.items()) if found != wanted]
        if not others:
            return None
        # one of them lied, or whoever told them other things than this node; only two are certain
        who = others[0] if len(case.study.parties) == 2 else ""
        return 401, f"{', '.join(others)} signed another certificate than this node", who

    def signed_by(self, member: str, certificate: Certificate, signature: bytes) -> bool:
        assert self.feeds.roster is not None
        key = self.feeds.roster.member(member).log_key
        try:
            verify_signature(
                key, certificate.network, "certificate", certificate_hash(certificate), signature
            )
        except LogError:
            return False
        return True

    def on_ended(self, event: SessionEnded) -> None:
        case = self.case_of(event.session)
        if case is None or case.final:
            return
        move(case, "answer read" if event.released else "nothing passed")
        if event.released and event.answer_hash:  # a party that is no recipient read nothing
            self.write("answered", Answered(session=case.session, answer_hash=event.answer_hash))
        elif not event.released:
            self.write("withheld", Withheld(session=case.session, reason="no unit passed"))
        self.emit(
            case, case.state, "", "the answer is opened" if event.released else "nothing passed"
        )

    def on_stopped(self, event: SessionStopped) -> None:
        case = self.case_of(event.session)
        if case is not None and not case.final:
            self.stop(case, event.code, event.why, event.waited_for, event.told_by)

    def stop(self, case: Case, code: int, why: str, waited_for: str, told_by: str) -> None:
        """End the attempt, say so to the others, and put it on record.

        The details of this machine's own troubles stay on it.
        """
        if self.learning:
            return
        move(case, "ended")
        case.ended, case.secret = EndedNote(code, why, waited_for), b""
        told, text = shared_code(code), shared_text(self.name, code, why)
        if case.session:
            self.effects.append(StopSession(case.session, code, why, waited_for, told_by))
            for peer in case.study.parties:
                if peer in self.up and peer not in {self.name, told_by}:
                    self.effects.append(Send(peer, End(case.session, told, text, waited_for)))
        self.emit(case, "ended", waited_for, why, error_json(code, why, waited_for, ""))
        if self.name in case.study.parties:
            self.write("ended", Ended(case.id, told, text, waited_for))

    # ---- looking up ----

    def case_of(self, session: bytes) -> Case | None:
        found = [case for case in self.cases.values() if case.session == session]
        return found[0] if found else None

    def open_cases(self, member: str) -> list[Case]:
        return [
            case
            for _, case in sorted(self.cases.items())
            if member in case.study.parties and not case.final
        ]

    def emit(
        self,
        case: Case,
        event: str,
        member: str,
        text: str,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        self.effects.append(Emit(case.id, event, member, text, error))


def recipients_of(study: Study) -> tuple[str, ...]:
    """Who may open the answer, sorted; all parties unless the study says fewer."""
    return tuple(sorted(study.recipients or study.parties))


def _agreed(note: Ready) -> tuple[int, int, bytes, bytes]:
    """What must be the same in all ready entries of one attempt."""
    return note.attempt, note.epoch, note.consents, note.program


HANDLERS: Mapping[type, Callable[[Core, Any], None]] = {
    Founded: Core.on_founded,
    DatasetAdded: Core.on_dataset,
    PolicySet: Core.on_policy,
    Proposed: Core.on_proposed,
    LinkMade: Core.on_link_made,
    LinkLost: Core.on_link_lost,
    Received: Core.on_received,
    TimerFired: Core.on_timer,
    SessionPaused: Core.on_paused,
    SessionEnded: Core.on_ended,
    SessionStopped: Core.on_stopped,
    Gone: Core.on_gone,
}

APPLIES: Mapping[type, Callable[[Core, str, Known, Any], None]] = {
    DatasetNote: Core.apply_dataset,
    StudyNote: Core.apply_study,
    Consent: Core.apply_consent,
    Refusal: Core.apply_refusal,
    Ready: Core.apply_ready,
    Checked: Core.apply_checked,
    Release: Core.apply_release,
    Ended: Core.apply_ended,
    ForkNote: Core.apply_fork,
}
