"""Judges a whole record: every feed by itself, the feeds against each other, and every release.

Against an exporter or members who lie: none can change, leave out or invent another member's entry
without a signature, a hash or a head that contradicts it. What cannot be seen: the end of a feed
that nobody else has cited yet, and whether the rows behind a commitment are true.

The order of checks is the order of the functions below. `LogError` says that the bundle itself does
not hold together, and who is at fault as far as the record shows it. What a member signed and
should not have is no such error: a proven fork is listed in `Audit.forks`, a false or premature
statement in `Audit.faults`, and the rest is judged on, so that nobody can spoil others' records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from p2pmpc.bundle import Bundle, Feed
from p2pmpc.certificate import (
    Certificate,
    answer_hash,
    certificate_hash,
    check_receipt,
    check_signatures,
    read_certificate,
    read_receipt,
    study_hash,
)
from p2pmpc.checkpoint import check_checkpoint
from p2pmpc.codec import digest
from p2pmpc.errors import LogError, SplitView
from p2pmpc.identity import verify_signature
from p2pmpc.life import Attempt, Lives, had_read
from p2pmpc.record import (
    KINDS,
    LAMPORT_MAX,
    Answered,
    Body,
    Checked,
    Consent,
    Content,
    Ended,
    Entry,
    ForkNote,
    Genesis,
    Head,
    Ready,
    Release,
    Released,
    Revocation,
    SignedEntry,
    StudyNote,
    Withdrawal,
    check_body,
    check_entry,
    check_lifetime,
    entry_hash,
    read_content,
    wrong_entry,
)
from p2pmpc.roster import Roster
from p2pmpc.tree import Tree

__all__ = ["Audit", "Filing", "audit_bundle"]

C = TypeVar("C", bound=Content)
Topic: TypeAlias = str | bytes  # a study's id or a session


@dataclass(frozen=True, slots=True)
class Filing:
    """One checked entry of a feed. `content` is None where the body was erased."""

    entry: Entry
    hash: bytes
    content: Content | None


@dataclass(slots=True)
class Audit:
    """What was found. Filled by the checks of this module alone."""

    roster: Roster
    feeds: dict[str, list[Filing]] = field(default_factory=dict)
    by_hash: dict[bytes, Filing] = field(default_factory=dict)
    by_topic: dict[tuple[str, type, Topic], list[Filing]] = field(default_factory=dict)
    erased: set[tuple[str, str]] = field(default_factory=set)  # author, kind
    forks: set[str] = field(default_factory=set)
    faults: list[tuple[str, str]] = field(default_factory=list)  # member, what it did
    certificates: dict[bytes, Certificate] = field(default_factory=dict)  # by session
    opened: dict[bytes, dict[str, list[int]]] = field(default_factory=dict)  # by session
    checkpoints: int = 0
    unchecked: list[str] = field(default_factory=list)

    def filings(self) -> Iterator[Filing]:
        """All entries, feed by feed."""
        for author in sorted(self.feeds):
            yield from self.feeds[author]

    def file(self, filing: Filing) -> None:
        """Make an entry findable by its hash and by what it is about."""
        author, content = filing.entry.author, filing.content
        self.by_hash[filing.hash] = filing
        if content is None:
            self.erased.add((author, filing.entry.kind))
        elif isinstance(content, StudyNote):
            study = study_hash(content.study).hex()
            self.by_topic.setdefault((author, StudyNote, study), []).append(filing)
        elif isinstance(content, Consent | Ready):
            self.by_topic.setdefault((author, type(content), content.study), []).append(filing)
        elif isinstance(content, Checked | Release | Released | Answered):
            self.by_topic.setdefault((author, type(content), content.session), []).append(filing)

    def about(self, author: str, kind: type[C], topic: Topic) -> list[tuple[Filing, C]]:
        """An author's readable entries of this kind about one study or session, in order."""
        found = self.by_topic.get((author, kind, topic), ())
        return [(f, f.content) for f in found if isinstance(f.content, kind)]


def audit_bundle(bundle: Bundle) -> Audit:
    """Check everything in an opened bundle. Raises LogError at the first thing that breaks it."""
    audit = Audit(bundle.roster)
    _check_feeds(audit, bundle)
    _check_forks(audit, bundle)
    for filing in audit.filings():
        _check_heads(audit, filing)
    _check_checkpoints(audit, bundle)
    for filing in audit.filings():
        _judge(audit, filing, lambda filing: _check_content(audit, filing))
    lives = Lives(_attempts(audit), audit.erased)
    lives.gather(audit.filings())
    for filing in audit.filings():
        _judge(audit, filing, lives.check)
    _check_receipts(audit, bundle)
    return audit


def _judge(audit: Audit, filing: Filing, check: Callable[[Filing], None]) -> None:
    try:
        check(filing)
    except LogError as fault:
        who = str(fault.where.get("member", filing.entry.author))
        audit.faults.append((who, fault.message))


def _attempts(audit: Audit) -> dict[bytes, Attempt]:
    """The sessions that were certified, each with the number that its `ready` entries name."""
    found: dict[bytes, Attempt] = {}
    for session, certificate in audit.certificates.items():
        filings = [audit.by_hash.get(name) for name in certificate.readies]
        notes = [filing.content for filing in filings if filing is not None]
        numbers = [note.attempt for note in notes if isinstance(note, Ready)]
        found[session] = Attempt(certificate, numbers[0] if numbers else 0)
    return found


# ---- feeds by themselves -------------------------------------------------------------------------


def _check_feeds(audit: Audit, bundle: Bundle) -> None:
    authors = [feed.author for feed in bundle.feeds]
    if authors != sorted(set(authors)):
        raise LogError("the bundle's feeds are not sorted and distinct")
    for feed in bundle.feeds:
        audit.feeds[feed.author] = _check_feed(feed, bundle.roster)
    for filing in audit.filings():
        audit.file(filing)


def _check_feed(feed: Feed, roster: Roster) -> list[Filing]:
    filings: list[Filing] = []
    head: Head | None = None
    for signed, body in feed.entries:
        filing = _check_one(signed, body, roster, head)
        entry = filing.entry
        if entry.author != feed.author:
            raise LogError(f"the feed of {feed.author} holds an entry of {entry.author}")
        if filings:
            _check_reading(filings[-1].entry, entry)
        head = Head(entry.seq, filing.hash, entry.lamport)
        filings.append(filing)
    return filings


def _check_one(signed: SignedEntry, body: Body | None, roster: Roster, head: Head | None) -> Filing:
    entry = check_entry(signed, roster, head)
    content = None
    if body is not None:
        check_body(entry, body)
        content = read_content(entry.kind, body)
    return Filing(entry, entry_hash(signed), content)


def _check_reading(before: Entry, entry: Entry) -> None:
    """An author never un-reads what it has read of another feed."""
    now = {author: seq for author, seq, _ in entry.heads}
    for author, seq, _ in before.heads:
        if now.get(author, -1) < seq:
            raise wrong_entry(entry, f"forgets what it had read of {author}'s feed")


# ---- feeds against each other --------------------------------------------------------------------


def _check_forks(audit: Audit, bundle: Bundle) -> None:
    for proof in bundle.forks:
        audit.forks.add(proof.check(bundle.roster))
    for filing in audit.filings():
        if isinstance(filing.content, ForkNote):
            try:
                audit.forks.add(filing.content.proof.check(bundle.roster))
            except LogError as fault:
                what = f"noted a fork that is none: {fault.message}"
                audit.faults.append((filing.entry.author, what))


def _check_heads(audit: Audit, filing: Filing) -> None:
    entry = filing.entry
    seen = [0]
    both = False  # whether it had read the other history of a forked member
    if entry.seq:
        seen.append(audit.feeds[entry.author][entry.seq - 1].entry.lamport)
    for author, seq, found in entry.heads:
        feed = audit.feeds.get(author, [])
        if author in audit.forks and (seq >= len(feed) or feed[seq].hash != found):
            both = True
            continue
        if seq >= len(feed):
            raise LogError(
                f"entry {len(feed)} of {author} is missing: {entry.author} had read up to {seq}",
                member=author,
                next="Ask another member for its bundle; this one was cut short.",
            )
        if feed[seq].hash != found:
            raise SplitView(
                f"{entry.author} has read another entry {seq} of {author} than this record holds",
                member=author,
                next=f"Compare with the bundle of {entry.author}: both entries together are proof.",
            )
        seen.append(feed[seq].entry.lamport)
    if not both and entry.lamport != min(LAMPORT_MAX, 1 + max(seen)):
        raise wrong_entry(entry, "has a wrong logical time")


def _check_checkpoints(audit: Audit, bundle: Bundle) -> None:
    trees = {author: Tree(filing.hash for filing in feed) for author, feed in audit.feeds.items()}
    for note in bundle.checkpoints:
        checkpoint = check_checkpoint(note, bundle.roster)
        author, tree = checkpoint.author, trees.get(checkpoint.author, Tree(()))
        if author in audit.forks:
            continue
        if checkpoint.size > len(tree):
            raise LogError(
                f"entry {len(tree)} of {author} is missing: a checkpoint counts {checkpoint.size}",
                member=author,
            )
        if tree.root(checkpoint.size) != checkpoint.root:
            raise SplitView(
                f"{author}'s checkpoint over {checkpoint.size} entries is of another history",
                member=author,
            )
        audit.checkpoints += 1


# ---- what entries say ----------------------------------------------------------------------------


def _check_content(audit: Audit, filing: Filing) -> None:
    content = filing.content
    if content is None:
        entry = filing.entry
        audit.unchecked.append(f"the {entry.kind} entry {entry.seq} of {entry.author}: erased")
    elif isinstance(content, Genesis):
        if content.roster != audit.roster.hash:
            raise wrong_entry(filing.entry, "names another roster than this network's")
    elif isinstance(content, StudyNote):
        _check_study(audit, filing, content)
    elif isinstance(content, Release):
        _check_release(audit, filing, content)
    elif isinstance(content, Released):
        _check_released(audit, filing, content)
    elif isinstance(content, Answered):
        _check_answered(audit, filing, content)
    elif isinstance(content, Ended):
        _check_ended(audit, filing, content)
    elif isinstance(content, Withdrawal):
        _check_before(audit, filing, StudyNote, content.study, "withdraws a study that it proposed")
    elif isinstance(content, Revocation):
        _check_revocation(audit, filing, content)


def _check_before(
    audit: Audit, filing: Filing, kind: type[Content], study: str, what: str
) -> list[Filing]:
    """The author's earlier entries of this kind; none means that it says what it cannot say."""
    entry = filing.entry
    found = [f for f, _ in audit.about(entry.author, kind, study) if f.entry.seq < entry.seq]
    word = next(word for word, cls in KINDS.items() if cls is kind)
    if not found and (entry.author, word) not in audit.erased:
        raise wrong_entry(entry, f"{what}, and the record holds no such {word} before it")
    return found


def _check_ended(audit: Audit, filing: Filing, note: Ended) -> None:
    """An attempt ends at a member that had been ready for it."""
    if not note.attempt:
        return
    what = f"ends attempt {note.attempt}"
    readies = _check_before(audit, filing, Ready, note.study, what)
    said = {f.content.attempt for f in readies if isinstance(f.content, Ready)}
    if note.attempt not in said and (filing.entry.author, "ready") not in audit.erased:
        raise wrong_entry(filing.entry, f"{what}, for which it had not been ready")


def _check_revocation(audit: Audit, filing: Filing, note: Revocation) -> None:
    """A consent is taken back after it was given, and before an own share could leave."""
    entry = filing.entry
    _check_before(audit, filing, Consent, note.study, "takes a consent back")
    sessions = {s for s, one in audit.certificates.items() if one.study.hex() == note.study}
    for session in sorted(sessions):
        if audit.about(entry.author, Released, session):
            raise wrong_entry(entry, "takes a consent back, and its share of the answer left")


def _check_study(audit: Audit, filing: Filing, note: StudyNote) -> None:
    claim = study_hash(note.study)
    try:
        verify_signature(note.researcher, audit.roster.network, "study", claim, note.signature)
    except LogError:
        raise wrong_entry(filing.entry, "holds a study that its researcher did not sign") from None
    check_lifetime(filing.entry, note)


def _check_release(audit: Audit, filing: Filing, note: Release) -> None:
    """One author signs one certificate in one session, and says first what it had checked."""
    entry = filing.entry
    if len(audit.about(entry.author, Release, note.session)) != 1:
        raise wrong_entry(entry, "is one of several certificates that it signed for one session")
    key = audit.roster.member(entry.author).log_key
    try:
        verify_signature(
            key, audit.roster.network, "certificate", note.certificate_hash, note.signature
        )
    except LogError:
        raise wrong_entry(entry, "holds a certificate's signature that does not verify") from None


def _check_released(audit: Audit, filing: Filing, note: Released) -> None:
    certificate = read_certificate(note.certificate)
    if certificate.session != note.session or filing.entry.author not in certificate.parties:
        raise wrong_entry(filing.entry, "holds a certificate of another session")
    check_signatures(certificate, note.signatures, audit.roster)
    known = audit.certificates.setdefault(note.session, certificate)
    if certificate_hash(known) != certificate_hash(certificate):
        raise wrong_entry(filing.entry, "holds a second certificate for one session")
    forked = sorted(audit.forks & set(certificate.parties))
    if forked:
        audit.unchecked.append(f"a release with {forked[0]}, who wrote two histories")
        return
    for party, ready in zip(certificate.parties, certificate.readies, strict=True):
        _check_ready(audit, certificate, party, ready)
        checked = _check_checked(audit, certificate, party)
        released = _find_release(audit, filing, certificate, party)
        if checked is not None and released is not None and checked >= released:
            raise LogError(f"{party} released before it had checked", member=party)


def _check_ready(audit: Audit, certificate: Certificate, party: str, ready: bytes) -> None:
    filing = audit.by_hash.get(ready)
    if filing is None or filing.entry.author != party or filing.entry.kind != "ready":
        raise LogError(f"the record lacks the ready entry of {party}", member=party)
    note = filing.content
    if not isinstance(note, Ready):
        return
    said = (note.study, note.epoch, note.program)
    if said != (certificate.study.hex(), certificate.epoch, certificate.program):
        raise LogError(f"{party} was ready for another study than was certified", member=party)
    _check_alike(audit, certificate, party, note)
    consents = _consents(audit, certificate)
    if consents is None:
        return
    if note.consents != digest("p2pmpc/consents/1", *(one.hash for one in consents)):
        raise LogError(f"{party} was ready on other consents than the record holds", member=party)
    for consent in consents:
        if not had_read(filing.entry, consent.entry):
            who = consent.entry.author
            raise LogError(f"{party} was ready before it had read {who}'s consent", member=party)


def _check_alike(audit: Audit, certificate: Certificate, party: str, note: Ready) -> None:
    """All were ready for one attempt: that of the first party, as far as it can be read."""
    first = audit.by_hash.get(certificate.readies[0])
    said = first.content if first is not None else None
    if isinstance(said, Ready) and said.attempt != note.attempt:
        raise LogError(f"{party} was ready for another attempt than was certified", member=party)


def _consents(audit: Audit, certificate: Certificate) -> list[Filing] | None:
    """The parties' first consents; None when an erased body hides one."""
    found: list[Filing] = []
    for party in certificate.parties:
        study = certificate.study.hex()
        given = audit.about(party, Consent, study)
        if (party, "consent") in audit.erased:
            return None
        if not given:
            raise LogError(f"the record lacks the consent of {party}", member=party)
        found.append(given[0][0])
    return found


def _check_checked(audit: Audit, certificate: Certificate, party: str) -> int | None:
    """The number of the party's `checked` entry; None when it may be an erased one."""
    for filing, note in audit.about(party, Checked, certificate.session):
        if note.transcript != certificate.transcript:
            raise LogError(f"{party} had checked another transcript", member=party)
        return filing.entry.seq
    if (party, "checked") not in audit.erased:
        raise LogError(f"the record lacks the checked entry of {party}", member=party)
    return None


def _find_release(audit: Audit, filing: Filing, certificate: Certificate, party: str) -> int | None:
    """The number of the party's `release` entry, which the holder must have read before."""
    claim = certificate_hash(certificate)
    holder = filing.entry
    for released, note in audit.about(party, Release, certificate.session):
        if note.certificate_hash != claim:
            raise LogError(f"{party} signed another certificate", member=party)
        if not had_read(holder, released.entry):
            raise wrong_entry(holder, f"comes before it had read the release of {party}")
        return released.entry.seq
    if (party, "release") not in audit.erased:
        raise LogError(f"the record lacks the release entry of {party}", member=party)
    return None


def _check_answered(audit: Audit, filing: Filing, note: Answered) -> None:
    entry = filing.entry
    held = audit.about(entry.author, Released, note.session)
    before = any(filing.entry.seq < entry.seq for filing, _ in held)
    if not before and (entry.author, "released") not in audit.erased:
        raise wrong_entry(entry, "answers a session for which it holds no complete certificate")


# ---- receipts ------------------------------------------------------------------------------------


def _check_receipts(audit: Audit, bundle: Bundle) -> None:
    for data in bundle.receipts:
        receipt = read_receipt(data)
        if receipt.roster != bundle.roster:
            raise LogError("a receipt belongs to another network")
        values = check_receipt(receipt)
        session = receipt.certificate.session
        known = audit.certificates.get(session)
        if known is None or certificate_hash(known) != certificate_hash(receipt.certificate):
            raise LogError("a receipt's certificate is not in the record")
        read = answer_hash(session, receipt.answer_salt, receipt.answer)
        said = [n.answer_hash for _, n in audit.about(bundle.exporter, Answered, session)]
        if said and read not in said:
            raise LogError(
                f"{bundle.exporter} recorded another answer than its receipt holds",
                member=bundle.exporter,
            )
        audit.opened[session] = values
