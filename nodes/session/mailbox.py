"""The mail of one session: early mail waits, wrong mail is refused by name, duplicates cannot be.

The transport delivers each mail once and in order for a sender. What is left to judge here is
whether a party may say this name at all, and how much may wait unheard.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from nodes.session.arrays import decode_array
from p2pmpc.errors import RemoteError
from protocols.abort import Suspected
from protocols.party import Expect, Parties

__all__ = ["EARLY_BYTES_MAX", "EARLY_MAILS_MAX", "Mailbox", "declared_name"]

EARLY_BYTES_MAX = 2**30  # one-way parts of a linkage are never answered: 150 MB at 4 x 2,500 rows
EARLY_MAILS_MAX = 20_000  # several hundred names a round in a ten-party study, a few rounds early


def declared_name(name: str) -> str:
    """A name as ROUNDS lists it: without the prefixes of `together` and a part's number."""
    parts = [part for part in name.split("/") if not part.isdigit()]
    return parts[-1] if parts else ""


@dataclass(slots=True, repr=False)
class Mailbox:
    """Mail by (sender, name), FIFO. One task puts (the shell), one task hears (the driver)."""

    me: str
    parties: Parties
    names: Collection[str]  # the last parts of names that the program may say
    waiting: dict[tuple[str, str], deque[tuple[int, npt.NDArray[Any]]]] = field(
        default_factory=dict
    )
    early_bytes: dict[str, int] = field(default_factory=dict)
    early_mails: dict[str, int] = field(default_factory=dict)
    fault: Exception | None = None
    wanted: frozenset[tuple[str, str]] = frozenset()
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, sender: str, name: str, data: bytes) -> None:
        """Take one mail. What it may not be ends the session: the fault is raised in `hear`."""
        if self.fault is not None:
            return
        try:
            self._take(sender, name, data)
        except (Suspected, RemoteError) as fault:
            self.fault = fault
        self.changed.set()

    def _take(self, sender: str, name: str, data: bytes) -> None:
        if sender not in self.parties or sender == self.me:
            raise Suspected(sender, f"sent {name!r} to a session that it is no party of")
        if declared_name(name) not in self.names:
            raise Suspected(sender, f"sent {name!r}, which this study never says")
        size = self.early_bytes.get(sender, 0) + len(data)
        count = self.early_mails.get(sender, 0) + 1
        if size > EARLY_BYTES_MAX or count > EARLY_MAILS_MAX:
            raise Suspected(sender, f"ran ahead: {count} mails, {size} bytes are unheard")
        array = decode_array(data, sender, name)
        self.early_bytes[sender], self.early_mails[sender] = size, count
        self.waiting.setdefault((sender, name), deque()).append((len(data), array))

    def fail(self, fault: Exception) -> None:
        """End the session from outside: the driver sees this at its next wait."""
        self.fault = self.fault or fault
        self.changed.set()

    @property
    def missing(self) -> tuple[str, ...]:
        """The senders that the driver waits for now."""
        return tuple(
            sorted({sender for sender, name in self.wanted if not self.waiting.get((sender, name))})
        )

    async def hear(
        self, expects: Mapping[tuple[str, str], Expect]
    ) -> dict[tuple[str, str], npt.NDArray[Any]]:
        """All of these, each exactly as expected. Raises the fault that ended the session."""
        self.wanted = frozenset(expects)
        while self.fault is None and not all(self.waiting.get(key) for key in expects):
            self.changed.clear()
            await self.changed.wait()
        if self.fault is not None:
            raise self.fault
        self.wanted = frozenset()
        return {key: self._pop(key, expect) for key, expect in expects.items()}

    def _pop(self, key: tuple[str, str], expect: Expect) -> npt.NDArray[Any]:
        sender, name = key
        size, array = self.waiting[key].popleft()
        if not self.waiting[key]:
            del self.waiting[key]
        self.early_bytes[sender] -= size
        self.early_mails[sender] -= 1
        expect.check(sender, name, array)
        return array
