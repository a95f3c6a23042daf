"""What goes over the channels of one node: keys and orders, and everything of one session.

    node process <-> Gateway    WantKeys, Keys; Listening; Make, Made; Drop; Ready
    Gateway <-> Session         Hello; Begin; Mail, Post, Posted; Paused, Resumed; Progress;
                                Done or Failed; before the first mail what the pool gave, in Pieces

A session's brief goes as the bytes that were agreed on, and is resolved again at the other end: the
same function of the same public bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from nodes.core.effects import ResumeSession, SessionOrder
from nodes.session.session import Brief, Outcome
from p2pmpc.catalogue import resolve
from p2pmpc.codec import encode
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import P2pmpcError, error_from_json
from p2pmpc.identity import SecretKeys
from p2pmpc.policy import Policy
from p2pmpc.roster import Roster, read_roster
from p2pmpc.study import Study
from protocols import abort
from protocols.abort import Abort
from protocols.batches import Batch
from protocols.party import Pause

__all__ = [
    "GATEWAY_FRAMES",
    "HOUSE_FRAMES",
    "PIECE_BYTES_MAX",
    "SESSION_FRAMES",
    "Begin",
    "Done",
    "Drop",
    "Failed",
    "Hello",
    "Keys",
    "Listening",
    "Made",
    "Mail",
    "Make",
    "Paused",
    "Piece",
    "Portion",
    "Post",
    "Posted",
    "Progress",
    "Ready",
    "Resumed",
    "Stock",
    "Told",
    "WantKeys",
    "batches_of",
    "brief_of",
    "fault_of",
    "outcome_of",
    "pieces_of",
]

PIECE_BYTES_MAX = 32 * 2**20  # half a frame
Seed = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Frame(Struct, array_like=True, frozen=True, tag=True, forbid_unknown_fields=True):
    """One frame; its class's name is its tag. Shows no content: keys and masks are among it."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<redacted>)"


# ---- keys and orders -----------------------------------------------------------------------------


class WantKeys(Frame, frozen=True):
    """The Gateway has started and holds nothing yet."""


class Keys(Frame, frozen=True):
    """The member's seeds, and the port that an earlier Gateway listened on; 0 for none."""

    root: Seed
    log: Seed
    transport: Seed
    port: int

    @staticmethod
    def of(keys: SecretKeys, port: int) -> Keys:
        """The frame of these keys."""
        return Keys(keys.root_seed, keys.log_seed, keys.transport_seed, port)

    def secret(self) -> SecretKeys:
        """The keys of this frame."""
        return SecretKeys(self.root, self.log, self.transport)


class Listening(Frame, frozen=True):
    """The Gateway's port; the next one takes the same."""

    port: int


class Ready(Frame, frozen=True):
    """The control socket answers."""

    port: int


class Make(Frame, frozen=True):
    """So many Dataset actors are needed."""

    count: int


class Made(Frame, frozen=True):
    """They can be called by these names."""

    actors: tuple[str, ...]


class Drop(Frame, frozen=True):
    """These Dataset actors are no longer needed."""

    actors: tuple[str, ...]


class Told(Frame, frozen=True):
    """A sentence for whoever waits for the node."""

    text: str


# ---- where rows lie ------------------------------------------------------------------------------


class Portion(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Rows `start` up to `stop` of a data set, and which actor holds them.

    seal  32 bytes that these rows must give when they are read again; empty before the first time
    """

    actor: str
    member: str
    paths: tuple[str, ...]
    dictionary: bytes
    encoding: str | None
    start: int
    stop: int
    seal: bytes


class Stock(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A whole data set: its portions in the order of the rows."""

    portions: tuple[Portion, ...]
    root: bytes
    commitment: bytes


# ---- one session ---------------------------------------------------------------------------------


class Hello(Frame, frozen=True):
    """A Session is warm and waits for its brief."""

    pid: int


class Begin(Frame, frozen=True):
    """The brief of an attempt, its secret among it, and where this member's rows lie."""

    me: str
    session: bytes
    study: str
    parties: tuple[str, ...]
    recipients: tuple[str, ...]
    peer_keys: dict[str, bytes]
    secret: bytes
    asked: bytes
    dictionaries: tuple[tuple[str, bytes], ...]
    rules: dict[str, bytes]
    commitments: dict[str, bytes]
    roster: bytes
    heads: dict[str, str]
    stocks: dict[str, Stock]
    pieces: int
    thin_links: bool

    @staticmethod
    def of(brief: Brief, stocks: dict[str, Stock], pieces: int) -> Begin:
        """The frame of this brief; so many pieces of what the pool gave follow it."""
        order = brief.order
        return Begin(
            me=brief.me,
            session=order.session,
            study=order.study,
            parties=order.parties,
            recipients=order.recipients,
            peer_keys=dict(order.peer_keys),
            secret=order.secret,
            asked=brief.resolved.study.to_bytes(),
            dictionaries=tuple(
                (member, dictionary.to_bytes())
                for member, sets in sorted(brief.catalogue.items())
                for _, dictionary in sorted(sets.items())
            ),
            rules=dict(brief.rules),
            commitments=dict(brief.commitments),
            roster=encode(brief.roster),
            heads=dict(brief.heads),
            stocks=stocks,
            pieces=pieces,
            thin_links=brief.thin_links,
        )


class Piece(Frame, frozen=True):
    """Part of one array of a batch that the pool gave; parts of an array come in order."""

    batch: bytes
    parties: tuple[str, ...]
    kind: str
    units: int
    array: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class Mail(Frame, frozen=True):
    """From a peer, each once and in order."""

    peer: str
    name: str
    data: bytes


class Post(Frame, frozen=True):
    """To a peer."""

    peer: str
    name: str
    data: bytes


class Posted(Frame, frozen=True):
    """So many bytes of what was posted have been taken on; credit for more."""

    size: int


class Paused(Frame, frozen=True):
    """The session waits for a fact to be on record."""

    kind: str
    transcript: bytes
    layout: tuple[tuple[str, int], ...]
    verdicts: tuple[bool, ...]
    commitments: dict[str, bytes]

    @staticmethod
    def of(pause: Pause) -> Paused:
        """The frame of this pause."""
        facts = pause.facts
        return Paused(
            pause.kind,
            facts["transcript"],
            tuple((unit, int(count)) for unit, count in facts.get("layout", ())),
            tuple(bool(one) for one in facts.get("verdicts", ())),
            dict(facts.get("commitments", {})),
        )

    def pause(self) -> Pause:
        """The pause of this frame."""
        facts: dict[str, Any] = {"transcript": self.transcript}
        if self.kind == "release":
            facts |= {
                "layout": self.layout,
                "verdicts": self.verdicts,
                "commitments": self.commitments,
            }
        return Pause(self.kind, facts)


class Resumed(Frame, frozen=True):
    """The fact is on record; a release comes with its certificate."""

    session: bytes
    certificate: bytes
    signatures: tuple[bytes, ...]

    @staticmethod
    def of(resumed: ResumeSession) -> Resumed:
        """The frame of what the core says."""
        return Resumed(resumed.session, resumed.certificate, resumed.signatures)

    def resume(self) -> ResumeSession:
        """What the core says."""
        return ResumeSession(self.session, self.certificate, self.signatures)


class Progress(Frame, frozen=True):
    """How far the session is, whom it waits for, and the most memory it has held."""

    rounds: int
    missing: tuple[str, ...]
    peak: int


class Done(Frame, frozen=True):
    """What the attempt left here; `answer` is JSON, empty at a party that is no recipient."""

    released: bool
    answer: bytes
    answer_hash: bytes
    receipt: bytes
    duplicates: dict[str, int]

    @staticmethod
    def of(outcome: Outcome) -> Done:
        """The frame of this outcome."""
        answer = b"" if outcome.answer is None else json.dumps(dict(outcome.answer)).encode()
        return Done(
            outcome.released,
            answer,
            outcome.answer_hash,
            outcome.receipt,
            dict(outcome.duplicates),
        )


class Failed(Frame, frozen=True):
    """What ended the session early: a protocol's abort, or an error as people read it."""

    abort: str
    party: str
    what: str
    error: bytes

    @staticmethod
    def of(fault: Abort | P2pmpcError) -> Failed:
        """The frame of this fault."""
        if isinstance(fault, Abort):
            return Failed(type(fault).__name__, fault.party, fault.what, b"")
        return Failed("", "", "", json.dumps(fault.to_json()).encode())


def pieces_of(batches: Sequence[Batch]) -> list[Piece]:
    """What the pool gave, cut to frames; the batches are burnt, they travel."""
    pieces = []
    for batch in batches:
        for name, array in sorted(batch.arrays.items()):
            data = array.tobytes()
            for start in range(0, max(1, len(data)), PIECE_BYTES_MAX):
                part = data[start : start + PIECE_BYTES_MAX]
                head = (batch.id, batch.parties, batch.kind, batch.units)
                pieces.append(Piece(*head, name, array.dtype.name, array.shape, part))
        batch.burn()
    return pieces


def batches_of(pieces: Sequence[Piece]) -> tuple[Batch, ...]:
    """The batches that the pieces were made of."""
    heads = {one.batch: one for one in pieces}
    arrays: dict[bytes, dict[str, list[Piece]]] = {}
    for one in pieces:
        arrays.setdefault(one.batch, {}).setdefault(one.array, []).append(one)
    return tuple(
        Batch(
            key,
            head.parties,
            head.kind,
            head.units,
            {
                name: np.frombuffer(b"".join(part.data for part in parts), parts[0].dtype)
                .reshape(parts[0].shape)
                .copy()
                for name, parts in arrays[key].items()
            },
        )
        for key, head in heads.items()
    )


def brief_of(begin: Begin, pieces: Sequence[Piece]) -> Brief:
    """The brief that the frames were made of. Raises what `resolve` raises."""
    catalogue: dict[str, dict[str, Dictionary]] = {}
    for member, data in begin.dictionaries:
        dictionary = Dictionary.from_bytes(data)
        catalogue.setdefault(member, {})[dictionary.name] = dictionary
    policies = {member: Policy.from_bytes(rules) for member, rules in begin.rules.items()}
    study = Study.from_bytes(begin.asked)
    order = SessionOrder(
        begin.session,
        begin.study,
        begin.parties,
        begin.recipients,
        begin.peer_keys,
        begin.secret,
    )
    roster: Roster = read_roster(begin.roster)
    return Brief(
        me=begin.me,
        order=order,
        resolved=resolve(study, catalogue, policies),
        catalogue=catalogue,
        rules=begin.rules,
        commitments=begin.commitments,
        roster=roster,
        heads=begin.heads,
        held=batches_of(pieces),
        thin_links=begin.thin_links,
    )


def outcome_of(done: Done) -> Outcome:
    """The outcome that the frame was made of."""
    answer = json.loads(done.answer) if done.answer else None
    return Outcome(done.released, answer, done.answer_hash, done.receipt, done.duplicates)


def fault_of(failed: Failed) -> Abort | P2pmpcError:
    """The fault that the frame was made of."""
    if failed.abort:
        kind: type[Abort] = getattr(abort, failed.abort)
        return kind(failed.party, failed.what)
    return error_from_json(json.loads(failed.error))


HOUSE_FRAMES = msgspec.msgpack.Decoder(WantKeys | Listening | Ready | Make | Drop | Told)
GATEWAY_FRAMES = msgspec.msgpack.Decoder(Keys | Made)
SESSION_FRAMES = msgspec.msgpack.Decoder(
    Hello | Begin | Piece | Mail | Post | Posted | Paused | Resumed | Progress | Done | Failed
)
