"""The file that one founding member hands to the others: a network's title and all members' cards.

Nothing in it is secret, and it need not be signed: each card is signed by its own keys, and the
network's name is the hash of what the file holds. Whoever changes a card on the way makes another
network, in which the others do not answer; people notice before that when they compare the
fingerprints over another path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from p2pmpc.codec import decode, encode
from p2pmpc.errors import LogError, WrongUsage
from p2pmpc.folder import read_bytes, write_atomically
from p2pmpc.identity import CARD_BYTES_MAX, Card, check_card
from p2pmpc.roster import MEMBERS_MAX, Roster, Title, found_roster

__all__ = ["INVITATION_BYTES_MAX", "Invitation", "file_name", "read_card", "read_invitation"]

INVITATION_BYTES_MAX = MEMBERS_MAX * CARD_BYTES_MAX + 4096  # all cards, the title, the frame
FORM = "p2pmpc/network/1"
NAME_CHARACTERS_MAX = 60  # of the file's name, for any disk

CardBytes = Annotated[bytes, Meta(min_length=1, max_length=CARD_BYTES_MAX)]


class Invitation(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A network's title and its founding members' cards, sorted by member."""

    form: str
    title: Title
    cards: Annotated[tuple[CardBytes, ...], Meta(min_length=2, max_length=MEMBERS_MAX)]

    @classmethod
    def of(cls, title: str, cards: Iterable[bytes]) -> Invitation:
        """From cards in any order; the same card twice counts once.

        Raises LogError naming the member whose card is malformed or clashes with another's,
        WrongUsage for a title or a number of members that no network has.
        """
        found = sorted(set(cards), key=lambda card: check_card(card).name)
        try:
            made = decode(
                encode(cls(FORM, title, tuple(found))), cls, "the network", error=LogError
            )
        except LogError:
            raise WrongUsage(
                f"a network has a title of 1 to 200 characters and 2 to {MEMBERS_MAX} members, "
                f"not {len(found)}",
                next="Give the other members' cards: p2pmpc network found TITLE CARD...",
            ) from None
        made.roster()
        return made

    def roster(self) -> Roster:
        """The network that everyone computes alike from this file. Raises LogError."""
        return found_roster(self.title, self.cards)

    def write(self, path: Path) -> None:
        """Write it as a file, never over an existing one. Raises WrongUsage, LocalError."""
        if path.exists():
            raise WrongUsage(
                f"{path} exists already",
                file=str(path),
                next="Choose another file with --out, or remove it if it is of no network.",
            )
        write_atomically(path, encode(self))


def file_name(title: str) -> str:
    """TITLE.network with only characters that every disk takes."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", title).strip("-")[:NAME_CHARACTERS_MAX]
    return f"{plain or 'our'}.network"


def read_invitation(path: Path) -> Invitation:
    """A network file, its cards checked. Raises NotFound, LogError naming the file."""
    data = read_bytes(path, "a network file")
    if len(data) > INVITATION_BYTES_MAX:
        raise LogError(f"{path} is too long to be a network file", file=str(path))
    try:
        found = decode(data, Invitation, "the network file", error=LogError)
    except LogError:
        raise _none(path) from None
    if found.form != FORM:
        raise _none(path)
    found.roster()
    return found


def _none(path: Path) -> LogError:
    return LogError(
        f"{path} is no network file, or it was damaged on the way",
        file=str(path),
        next="Ask the member who founded the network to send the file again.",
    )


def read_card(path: Path) -> tuple[bytes, Card]:
    """A member's card from its file: the bytes and what they say. Raises NotFound, LogError."""
    data = read_bytes(path, "a card")
    try:
        return data, check_card(data)
    except LogError as fault:
        raise LogError(
            f"{path} is no sound card: {fault.message}",
            file=str(path),
            member=fault.where.get("member"),
            next="Ask the member for NAME.card again; `p2pmpc node new` wrote it.",
        ) from None
