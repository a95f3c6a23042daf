"""Who the members are, as one value that everybody computes alike from the founding cards.

The network's name is a hash: that of the roster of epoch 0. Whoever holds it can check the whole
record; a roster with one other key is another network. Members are sorted by name, and no two
share a name, a key or a certificate. A roster carries the members' cards whole, so that an auditor
checks their signatures again and a node finds the others after a restart.

A later epoch names its predecessor (`previous`) and the network (`origin`). This version founds
networks and checks epoch 0; it has no admission and no expulsion yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from p2pmpc.codec import decode, digest, encode
from p2pmpc.errors import LogError, NotFound
from p2pmpc.identity import Bytes32, Card, check_card

__all__ = ["MEMBERS_MAX", "Member", "Roster", "check_roster", "found_roster", "read_roster"]

MEMBERS_MAX = 256  # the complete graph of masks and links is kept up to here
MEMBERS_MIN = 2  # alone there is nobody to record anything with
TITLE_CHARS_MAX = 200
EPOCH_MAX = 2**32 - 1
ZERO = bytes(32)

Title: TypeAlias = Annotated[str, Meta(min_length=1, max_length=TITLE_CHARS_MAX)]
Number: TypeAlias = Annotated[int, Meta(ge=0, le=EPOCH_MAX)]


class Member(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A member in the roster. `keyseq` counts its log keys: 0 is the founding one."""

    card: Card
    keyseq: Number

    @property
    def name(self) -> str:
        """The organisation's name, as studies and messages spell it."""
        return self.card.name

    @property
    def root_key(self) -> bytes:
        """Ed25519, 32 bytes; it vouched for the other two and is kept offline."""
        return self.card.root_key

    @property
    def log_key(self) -> bytes:
        """Ed25519, 32 bytes; signs the feed, certificates and checkpoints."""
        return self.card.log_key

    @property
    def certificate(self) -> bytes:
        """The transport certificate in DER; links compare it byte for byte."""
        return self.card.certificate

    @property
    def address(self) -> str:
        """Where the node listens, `host:port`."""
        return self.card.address


Members: TypeAlias = Annotated[
    tuple[Member, ...], Meta(min_length=MEMBERS_MIN, max_length=MEMBERS_MAX)
]


# dict=True: the hash and the look-up table are computed once for a roster
class Roster(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, dict=True):
    """The members of one epoch, sorted by name."""

    title: Title
    epoch: Number
    origin: Bytes32  # the network; zero in epoch 0, whose own hash is the network
    previous: Bytes32  # hash of the roster before; zero in epoch 0
    members: Members

    @cached_property
    def hash(self) -> bytes:
        """32 bytes over the whole roster; of epoch 0 this is the network."""
        return digest("p2pmpc/roster/1", encode(self))

    @property
    def network(self) -> bytes:
        """The network's 32 bytes: the hash of its roster of epoch 0."""
        return self.hash if self.epoch == 0 else self.origin

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The members' names, sorted."""
        return tuple(member.name for member in self.members)

    @cached_property
    def _by_name(self) -> dict[str, Member]:
        return {member.name: member for member in self.members}

    def member(self, name: str) -> Member:
        """Raises NotFound, naming who is there."""
        found = self._by_name.get(name)
        if found is None:
            raise NotFound(
                f"{name!r} is no member; the members are {', '.join(self.names)}", member=name
            )
        return found


def found_roster(title: str, cards: Iterable[bytes]) -> Roster:
    """The roster of epoch 0, the same at everyone who has the same cards and title.

    Raises LogError naming the member whose card is malformed, unsigned or clashes with another.
    """
    members = [Member(check_card(card), 0) for card in cards]
    members.sort(key=lambda member: member.name)
    roster = Roster(title, 0, ZERO, ZERO, tuple(members))
    return read_roster(encode(roster))


def read_roster(data: bytes) -> Roster:
    """The roster in these bytes, checked. Raises LogError."""
    roster = decode(data, Roster, "the roster", error=LogError)
    check_roster(roster)
    return roster


def check_roster(roster: Roster) -> None:
    """Raises LogError unless this is a sound roster of epoch 0 whose cards all verify."""
    if (roster.epoch, roster.origin, roster.previous) != (0, ZERO, ZERO):
        raise LogError("this version reads rosters of epoch 0 only", next="Use a newer version.")
    if list(roster.names) != sorted(roster.names):
        raise LogError("the roster's members are not sorted by name")
    _refuse_shared("the name", roster, list(roster.names))
    _refuse_shared("a root key", roster, [member.root_key for member in roster.members])
    _refuse_shared("a log key", roster, [member.log_key for member in roster.members])
    _refuse_shared("a certificate", roster, [member.certificate for member in roster.members])
    for member in roster.members:
        if member.keyseq != 0 or member.root_key == member.log_key:
            raise LogError(
                f"{member.name} is not in the roster by founding keys", member=member.name
            )
        member.card.check()


def _refuse_shared(what: str, roster: Roster, values: Sequence[object]) -> None:
    counts = Counter(values)
    shared = [name for name, value in zip(roster.names, values, strict=True) if counts[value] > 1]
    if shared:
        raise LogError(
            f"{' and '.join(shared)} share {what}",
            member=shared[0],
            next="Each member needs a name and keys of its own; make its node anew.",
        )
