"""Which files a member's data sets come from: kept beside the record, never sent.

A node that starts again reads the same files with the same salt, and its rows must give the
commitment that stands on record: other rows need another note, and another consent.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from nodes.store.record import RecordStore
from p2pmpc.codec import decode, encode
from p2pmpc.errors import StoreFailed

__all__ = ["Held", "recall_dataset", "remember_dataset", "remembered_datasets"]

PREFIX = "dataset:"  # before a data set's name, among the store's notes


class Held(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One data set as it was added. Shows no salt."""

    paths: tuple[str, ...]
    dictionary: bytes
    encoding: str | None
    salt: Annotated[bytes, Meta(min_length=16, max_length=16)]
    commitment: Annotated[bytes, Meta(min_length=32, max_length=32)]
    rows: Annotated[int, Meta(ge=0)]  # for the owner's eyes alone
    unix_ms: Annotated[int, Meta(ge=0)]  # when it was added, by this node's clock

    def __repr__(self) -> str:
        return f"Held({', '.join(self.paths)})"


def remember_dataset(store: RecordStore, name: str, held: Held) -> None:
    """Keep where this data set comes from, durably, in place of the one before."""
    store.remember(f"{PREFIX}{name}", encode(held))


def recall_dataset(store: RecordStore, name: str) -> Held | None:
    """Where this data set comes from, or None. Raises StoreFailed when the note is damaged."""
    data = store.recall(f"{PREFIX}{name}")
    return None if data is None else decode(data, Held, f"the note of {name}", error=StoreFailed)


def remembered_datasets(store: RecordStore) -> list[str]:
    """The names of all data sets that were added here, sorted."""
    return [key.removeprefix(PREFIX) for key in store.noted(PREFIX)]
