"""What this member's sessions left: answers and receipts, on the disk by study.

A recipient's answer is written here before its `answered` entry, and counts only where the record
says that the study was answered: `keep` comes first, so that no crash leaves a record of an answer
that this member no longer has. Parts that are large are read when they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from nodes.session.session import Outcome
from nodes.store.record import RecordStore
from p2pmpc.certificate import RECEIPT_BYTES_MAX
from p2pmpc.codec import decode, encode
from p2pmpc.errors import StoreFailed

__all__ = ["Outcomes"]

SHELF = "outcome"
COSTS = "cost"


class Kept(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An outcome as it lies on the disk. Shows nothing of it."""

    released: bool
    answer: bytes  # JSON; empty at a member that is no recipient
    answer_hash: bytes
    receipt: Annotated[bytes, Meta(max_length=RECEIPT_BYTES_MAX)]
    duplicates: dict[str, int]

    def __repr__(self) -> str:
        return "Kept(<redacted>)"


class Outcomes:
    """Written by the shell, read by its people."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def __repr__(self) -> str:
        return "Outcomes()"

    def keep(self, study: str, outcome: Outcome) -> None:
        """Durably, before the study is recorded as answered. Raises StoreFailed."""
        kept = Kept(
            released=outcome.released,
            answer=b"" if outcome.answer is None else _text(outcome.answer),
            answer_hash=outcome.answer_hash,
            receipt=outcome.receipt,
            duplicates=dict(outcome.duplicates),
        )
        self._store.put(SHELF, study, encode(kept))

    def forget(self, study: str) -> None:
        """The study did not end well on record: what this member had read counts for nothing."""
        self._store.drop(SHELF, study)

    def get(self, study: str) -> Outcome | None:
        """What the study left here; None when nothing, or when it did not end here."""
        data = self._store.fetch(SHELF, study)
        return (
            None if data is None else _outcome(decode(data, Kept, "an outcome", error=StoreFailed))
        )

    def __contains__(self, study: str) -> bool:
        return self._store.fetch(SHELF, study) is not None

    def studies(self) -> list[str]:
        """Those that left something here, sorted."""
        return self._store.shelved(SHELF)

    def items(self) -> Iterator[tuple[str, Outcome]]:
        """All of them by study, one in memory at a time."""
        for study in self.studies():
            outcome = self.get(study)
            if outcome is not None:
                yield study, outcome

    def keep_cost(self, study: str, cost: dict[str, Any]) -> None:
        """What the study cost here. Raises StoreFailed."""
        self._store.put(COSTS, study, json.dumps(cost).encode())

    def cost(self, study: str) -> dict[str, Any]:
        """Empty where nothing is known."""
        data = self._store.fetch(COSTS, study)
        return {} if data is None else dict(json.loads(data))


def _text(answer: Mapping[str, Any]) -> bytes:
    """In the order in which people read it; the receipt keeps the sorted spelling."""
    return json.dumps(answer, separators=(",", ":"), allow_nan=False).encode()


def _outcome(kept: Kept) -> Outcome:
    return Outcome(
        released=kept.released,
        answer=json.loads(kept.answer) if kept.answer else None,
        answer_hash=kept.answer_hash,
        receipt=kept.receipt,
        duplicates=kept.duplicates,
    )
