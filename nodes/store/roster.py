"""What a store keeps of the network beside the record: its roster, and where members were last.

The core asks for it by `Remember` under these keys; whoever opens a node on an old store reads it
back here. A genesis entry names the roster by its hash alone.
"""

from __future__ import annotations

from typing import Protocol as Shape

from p2pmpc.address import AddressRecord
from p2pmpc.codec import decode
from p2pmpc.errors import LogError
from p2pmpc.messages import Address
from p2pmpc.roster import Roster, read_roster

__all__ = ["ADDRESSES", "ROSTER", "recall_addresses", "recall_roster"]

ROSTER = "roster"
ADDRESSES = "addresses"


class Notes(Shape):
    """The part of a store that keeps small values."""

    def recall(self, key: str) -> bytes | None:
        """What was remembered last."""


def recall_roster(store: Notes) -> Roster | None:
    """The roster of the network that this store belongs to; None before there is one.

    Raises LogError when what is stored is no sound roster.
    """
    data = store.recall(ROSTER)
    if data is None:
        return None
    try:
        return read_roster(data)
    except LogError as fault:
        raise LogError(
            f"the stored roster cannot be used: {fault.message}",
            next="Restore the store from a copy, or join the network again on an empty one.",
        ) from None


def recall_addresses(store: Notes) -> tuple[AddressRecord, ...]:
    """Where members said last that they listen; a help for the first dial, nothing to rely on."""
    data = store.recall(ADDRESSES)
    if data is None:
        return ()
    try:
        return decode(data, Address, "the stored addresses", error=LogError).records
    except LogError:
        return ()
