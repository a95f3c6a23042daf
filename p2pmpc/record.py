"""The record: signed entries in one feed per member, each naming how far it had read the others.

An `Entry` is small and carries no content: kind, number, the hash before it, the heads of the other
feeds, and the hash of a salted `Body`. Bodies travel beside and may be erased; nothing guessable is
left. One author writes one feed, in order; two entries by one author with one number are a
`ForkProof` for anyone who has the roster. The wire format and what a signature claims stand in
record.md.

The hash of an entry covers its bytes, not the signature: an author who signs the same bytes twice
with different randomness has not written two histories.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from p2pmpc.codec import decode, digest, encode
from p2pmpc.errors import LogError, SplitView
from p2pmpc.identity import Bytes16, Bytes32, Bytes64, Name, Signer, verify_signature
from p2pmpc.roster import EPOCH_MAX, MEMBERS_MAX, Roster

__all__ = [
    "ATTEMPTS_MAX",
    "BODY_CONTENT_BYTES_MAX",
    "ENTRY_BYTES_MAX",
    "GAVE_WAY",
    "KINDS",
    "LAMPORT_MAX",
    "LIFETIME_MS_MAX",
    "SEQ_MAX",
    "TEXT_CHARS_MAX",
    "Answered",
    "Body",
    "Checked",
    "Consent",
    "Content",
    "DatasetNote",
    "Ended",
    "Entry",
    "ForkNote",
    "ForkProof",
    "Genesis",
    "Head",
    "Ready",
    "Recovered",
    "Refusal",
    "Release",
    "Released",
    "Revocation",
    "SignedEntry",
    "StudyNote",
    "Withdrawal",
    "Withheld",
    "author_entry",
    "body_hash",
    "check_alone",
    "check_body",
    "check_entry",
    "check_fork_proof",
    "check_lifetime",
    "check_place",
    "compare_entries",
    "entry_hash",
    "read_content",
    "wrong_entry",
]

ENTRY_BYTES_MAX = 32 * 1024  # 255 heads of 64-character names are 27 kB
BODY_CONTENT_BYTES_MAX = 768 * 1024  # with its entry it fits a frame of 1 MiB
SEQ_MAX = 2**48 - 1  # a thousand entries a second for nine thousand years
LAMPORT_MAX = 2**53 - 1  # saturates, so that one member's absurd clock stops nobody
UNIX_MS_MAX = 2**53 - 1
TEXT_CHARS_MAX = 4000  # a reason for people
CODE_MAX = 999
ATTEMPTS_MAX = 1000  # of one study, those included that gave way to another
GAVE_WAY = 0  # the code of an attempt that nobody is at fault for: its place went to another study
LIFETIME_MS_MAX = 366 * 86_400_000  # of a proposal: a year, whichever year it is
ZERO = bytes(32)

Kind: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z]{1,32}\Z")]
Seq: TypeAlias = Annotated[int, Meta(ge=0, le=SEQ_MAX)]
Lamport: TypeAlias = Annotated[int, Meta(ge=1, le=LAMPORT_MAX)]
UnixMs: TypeAlias = Annotated[int, Meta(ge=0, le=UNIX_MS_MAX)]
Number: TypeAlias = Annotated[int, Meta(ge=0, le=EPOCH_MAX)]
Attempt: TypeAlias = Annotated[int, Meta(ge=1, le=ATTEMPTS_MAX)]
AttemptOrAll: TypeAlias = Annotated[int, Meta(ge=0, le=ATTEMPTS_MAX)]  # 0: the study as a whole
Code: TypeAlias = Annotated[int, Meta(ge=0, le=CODE_MAX)]
Text: TypeAlias = Annotated[str, Meta(max_length=TEXT_CHARS_MAX)]
WaitedFor: TypeAlias = Annotated[str, Meta(max_length=64)]  # a member, or empty
Blob: TypeAlias = Annotated[bytes, Meta(min_length=1, max_length=BODY_CONTENT_BYTES_MAX)]
Signatures: TypeAlias = Annotated[tuple[Bytes64, ...], Meta(min_length=2, max_length=MEMBERS_MAX)]
Heads: TypeAlias = Annotated[tuple[tuple[Name, Seq, Bytes32], ...], Meta(max_length=MEMBERS_MAX)]
EntryBytes: TypeAlias = Annotated[bytes, Meta(min_length=1, max_length=ENTRY_BYTES_MAX)]
BodyBytes: TypeAlias = Annotated[bytes, Meta(max_length=BODY_CONTENT_BYTES_MAX)]


class Entry(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What is signed. No names of people, no text, no counts of data: those are in bodies."""

    network: Bytes32
    author: Name
    keyseq: Number
    seq: Seq
    prev: Bytes32  # hash of the author's entry before; zero at number 0
    lamport: Lamport  # 1 + the largest that the author had seen
    unix_ms: UnixMs  # advisory: the author's own clock
    heads: Heads  # (author, number, hash) of the other feeds as known, sorted by author
    kind: Kind
    body_hash: Bytes32


class SignedEntry(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An entry's bytes, kept verbatim, with the author's signature over their hash."""

    entry: EntryBytes
    signature: Bytes64

    def read(self) -> Entry:
        """The entry, parsed but not verified. Raises LogError."""
        return decode(self.entry, Entry, "a record's entry", error=LogError)


class Body(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An entry's content with the salt that makes its hash unguessable. Shows neither."""

    salt: Bytes16
    content: BodyBytes

    def __repr__(self) -> str:
        return f"Body(<{len(self.content)} bytes>)"


class Head(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Where a feed ends: the last entry's number, hash and logical time."""

    seq: Seq
    hash: Bytes32
    lamport: Lamport


class ForkProof(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Two different entries that one member signed with one number."""

    first: SignedEntry
    second: SignedEntry

    def check(self, roster: Roster) -> str:
        """The member that this proves a fork of. Raises LogError when it proves nothing."""
        return check_fork_proof(self, roster)


# ---- contents, one for each kind -----------------------------------------------------------------


class Genesis(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I am a member of the network whose roster has this hash; its cards are kept beside."""

    roster: Bytes32


class DatasetNote(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I hold a data set with this description; `commitment` binds its rows."""

    dictionary: Blob
    commitment: Bytes32


class StudyNote(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """This study was proposed through me; `signature` is the researcher's, over its hash."""

    study: Blob
    researcher: Bytes32
    signature: Bytes64
    expires_ms: UnixMs  # members may decide until then; by my clock, as is the entry's unix_ms


class Consent(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I agree to this study under these rules."""

    study: Name
    reason: Text
    rules: Blob


class Refusal(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I refuse this study."""

    study: Name
    code: Code
    reason: Text
    would_pass: Text


class Ready(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """My inputs are committed; n matching ones of these start an attempt."""

    study: Name
    attempt: Attempt
    epoch: Number
    consents: Bytes32  # hash over all parties' consent entries
    snapshot: Bytes32  # hash over the data sets' commitments
    key: Bytes32  # fresh X25519 public key of this attempt
    program: Bytes32  # hash over all that decides the computation


class Checked(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Before my verdict shares leave: the hash of all broadcasts so far."""

    session: Bytes32
    transcript: Bytes32


class Release(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I sign this release certificate; my opening share has not left."""

    session: Bytes32
    certificate_hash: Bytes32
    signature: Bytes64


class Released(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I hold the certificate with all parties' signatures; my opening share may leave now."""

    session: Bytes32
    certificate: Blob
    signatures: Signatures


class Answered(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I opened the answer with this salted hash."""

    session: Bytes32
    answer_hash: Bytes32


class Withheld(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Nothing was released."""

    session: Bytes32
    reason: Text


class Ended(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """This attempt, or with attempt 0 this study, ended early at me, with who was waited for."""

    study: Name
    attempt: AttemptOrAll
    code: Code
    why: Text
    waited_for: WaitedFor


class Withdrawal(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I take back the study that was proposed through me."""

    study: Name
    reason: Text


class Revocation(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I take my consent back; no opening share of mine has left, and none will."""

    study: Name
    reason: Text


class Recovered(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """My store was restored; I fetched my own feed from others and continue after this entry."""

    seq: Seq
    hash: Bytes32


class ForkNote(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """I hold proof that a member wrote two histories."""

    proof: ForkProof


Content: TypeAlias = (
    Genesis
    | DatasetNote
    | StudyNote
    | Consent
    | Refusal
    | Ready
    | Checked
    | Release
    | Released
    | Answered
    | Withheld
    | Ended
    | Withdrawal
    | Revocation
    | Recovered
    | ForkNote
)

KINDS: Mapping[str, type[Content]] = {
    "genesis": Genesis,
    "dataset": DatasetNote,
    "study": StudyNote,
    "consent": Consent,
    "refusal": Refusal,
    "ready": Ready,
    "checked": Checked,
    "release": Release,
    "released": Released,
    "answered": Answered,
    "withheld": Withheld,
    "ended": Ended,
    "withdrawal": Withdrawal,
    "revocation": Revocation,
    "recovered": Recovered,
    "fork": ForkNote,
}


# ---- hashes --------------------------------------------------------------------------------------


def entry_hash(signed: SignedEntry) -> bytes:
    """The name of an entry, 32 bytes; the same for every signature over the same bytes."""
    return digest("p2pmpc/entry-hash/1", signed.entry)


def body_hash(body: Body) -> bytes:
    """The salted hash that an entry keeps of its body, 32 bytes."""
    return digest("p2pmpc/body/1", body.salt, body.content)


# ---- writing -------------------------------------------------------------------------------------


def author_entry(
    *,
    signer: Signer,
    roster: Roster,
    name: str,
    head: Head | None,
    kind: str,
    content: Content,
    heads: Mapping[str, Head],
    unix_ms: int,
    salt: bytes,
) -> tuple[SignedEntry, Body]:
    """The next entry of `name`'s feed, which ends at `head`. Store it before anyone sees it.

    heads  the other feeds' ends as known here
    salt   16 fresh random bytes
    Raises LogError when the content is not what its kind allows, or the key is not `name`'s.
    """
    body = Body(salt, encode(content))
    read_content(kind, body)  # what others would refuse is refused here
    entry = Entry(
        network=roster.network,
        author=name,
        keyseq=roster.member(name).keyseq,
        seq=0 if head is None else head.seq + 1,
        prev=ZERO if head is None else head.hash,
        lamport=_following(head, heads),
        unix_ms=unix_ms,
        heads=tuple((a, h.seq, h.hash) for a, h in sorted(heads.items()) if a != name),
        kind=kind,
        body_hash=body_hash(body),
    )
    data = encode(entry)
    signature = signer.sign(roster.network, "entry", digest("p2pmpc/entry-hash/1", data))
    signed = SignedEntry(data, signature)
    check_entry(signed, roster, head)
    return signed, body


def _following(head: Head | None, heads: Mapping[str, Head]) -> int:
    seen = [h.lamport for h in heads.values()] + ([head.lamport] if head else [])
    return min(LAMPORT_MAX, 1 + max(seen, default=0))


# ---- checking ------------------------------------------------------------------------------------


def check_entry(signed: SignedEntry, roster: Roster, head: Head | None) -> Entry:
    """The entry, if it is sound and follows `head` in its author's feed.

    Raises LogError naming the author and what is wrong. An entry that repeats or contradicts an
    earlier number is for `compare_entries`, which needs the earlier entry itself.
    """
    entry = check_alone(signed, roster)
    check_place(entry, head)
    return entry


def check_alone(signed: SignedEntry, roster: Roster) -> Entry:
    """The entry, if all but its place in the feed is sound. Raises LogError naming the author."""
    if len(signed.entry) > ENTRY_BYTES_MAX or len(signed.signature) != 64:
        raise LogError("an entry or its signature has an impossible length")
    entry = signed.read()
    if entry.network != roster.network:
        raise wrong_entry(entry, "belongs to another network")
    if entry.author not in roster.names:
        raise wrong_entry(entry, "is by someone who is no member")
    member = roster.member(entry.author)
    if entry.keyseq != member.keyseq:
        raise wrong_entry(entry, "names a log key that is not in the roster")
    if entry.kind not in KINDS:
        raise wrong_entry(entry, f"has the kind {entry.kind!r}, which this version does not know")
    _check_heads(entry, roster)
    try:
        verify_signature(
            member.log_key, roster.network, "entry", entry_hash(signed), signed.signature
        )
    except LogError:
        raise wrong_entry(entry, "is not signed by its author") from None
    return entry


def _check_heads(entry: Entry, roster: Roster) -> None:
    names = [author for author, _, _ in entry.heads]
    if names != sorted(set(names)) or entry.author in names:
        raise wrong_entry(entry, "does not list the other feeds once each, sorted")
    strangers = sorted(set(names) - set(roster.names))
    if strangers:
        raise wrong_entry(entry, f"has read a feed of {strangers[0]!r}, who is no member")


def check_place(entry: Entry, head: Head | None) -> None:
    """Raises LogError unless the entry follows `head` in its author's feed."""
    expected = 0 if head is None else head.seq + 1
    if entry.seq != expected:
        raise wrong_entry(entry, f"comes where number {expected} should")
    if entry.prev != (ZERO if head is None else head.hash):
        raise wrong_entry(entry, "does not follow the entry before it as known here")
    if (entry.kind == "genesis") != (entry.seq == 0):
        raise wrong_entry(entry, "is out of place: a feed begins with its genesis and has no other")
    earlier = 0 if head is None else head.lamport
    if entry.lamport <= earlier and entry.lamport != LAMPORT_MAX:
        raise wrong_entry(entry, "has a logical time that does not grow")


def wrong_entry(entry: Entry, what: str) -> LogError:
    """The error to raise about one entry: which it is, what is wrong, whose fault it is."""
    return LogError(f"entry {entry.seq} of {entry.author} {what}", member=entry.author)


def check_body(entry: Entry, body: Body) -> None:
    """Raises LogError unless this is the body that the entry was signed with."""
    if body_hash(body) != entry.body_hash:
        raise wrong_entry(entry, "came with another body than it was signed with")


def read_content(kind: str, body: Body) -> Content:
    """The content of a body of this kind. Raises LogError."""
    if kind not in KINDS:
        raise LogError(f"this version does not know the kind {kind!r}")
    if len(body.content) > BODY_CONTENT_BYTES_MAX or len(body.salt) != 16:
        raise LogError(f"the {kind} body has {len(body.content)} bytes or its salt is not 16")
    return decode(body.content, KINDS[kind], f"the {kind} body", error=LogError)


def check_lifetime(entry: Entry, note: StudyNote) -> None:
    """Raises LogError for a proposal that had expired when it was written, or lives too long.

    Both moments are the author's own, so that everybody judges alike, whatever their clocks say.
    """
    if not 0 < note.expires_ms - entry.unix_ms <= LIFETIME_MS_MAX:
        raise wrong_entry(entry, "proposes a study that expires before it begins or in over a year")


# ---- forks ---------------------------------------------------------------------------------------


def compare_entries(mine: SignedEntry, other: SignedEntry, roster: Roster) -> None:
    """Compare an entry that came in with the one held under the same author and number.

    Returns when they are the same. Raises SplitView, with the proof as `proof`, when the author
    signed both; LogError when the other one is forged and so proves nothing.
    """
    if mine.entry == other.entry:
        return
    proof = ForkProof(mine, other)
    author = check_fork_proof(proof, roster)
    fault = SplitView(
        f"{author} signed two entries with the number {mine.read().seq}",
        member=author,
        next="Nothing more by this member is accepted until it is readmitted.",
    )
    fault.proof = proof
    raise fault


def check_fork_proof(proof: ForkProof, roster: Roster) -> str:
    """The author that signed both entries of the proof. Needs nothing but the roster.

    Raises LogError when the two are the same entry, have different places, or one is not signed.
    """
    first, second = check_alone(proof.first, roster), check_alone(proof.second, roster)
    if (first.author, first.seq) != (second.author, second.seq):
        raise LogError("a fork proof needs two entries by one author with one number")
    if proof.first.entry == proof.second.entry:
        raise LogError("a fork proof needs two different entries", member=first.author)
    return first.author
