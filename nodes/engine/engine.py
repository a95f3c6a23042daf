"""What a node asks of the machines it runs on: load a data set, run a session.

Two engines keep to this: `local`, one process, for rehearsals, tests and very small hosts; and
`cluster`, the organisation's own Ray actors. The shell does not know which one it has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol as Shape

from nodes.core.effects import ResumeSession
from nodes.session.driver import Post
from nodes.session.session import Brief, Outcome
from p2pmpc.dictionary import Dictionary
from protocols.party import Pause

__all__ = ["SALT_BYTES", "Attempt", "DatasetFacts", "Engine", "Pauser"]

SALT_BYTES = 16  # of a data set's commitment

Pauser = Callable[[Pause], Awaitable[ResumeSession]]


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What the owner is told of a data set that was read. Stays on this machine."""

    rows: int
    notes: tuple[str, ...]
    commitment: bytes


class Attempt(Shape):
    """One session on this member's machines, as the shell sees it."""

    @property
    def brief(self) -> Brief:
        """What the session was started with."""

    @property
    def rounds(self) -> int:
        """Rounds of messages so far."""

    @property
    def posting(self) -> str:
        """The peer that a mail is being posted to; empty when none is."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The peers whose mail the protocol waits for now, sorted."""

    def hear(self, peer: str, name: str, data: bytes) -> None:
        """Take one mail of a peer, each once and in order. What it may not be ends the session."""

    async def run(self, pause: Pauser) -> Outcome:
        """From inputs to answer; `pause` returns when a fact is on record. Once.

        Raises Abort or P2pmpcError: what ended the session early.
        """

    def stop(self, fault: Exception) -> None:
        """End the session at its next wait; `run` raises this fault."""


class Engine(Shape):
    """Owns the rows and what computes on them."""

    async def load_dataset(
        self, dictionary: Dictionary, paths: tuple[str, ...], encoding: str | None, salt: bytes
    ) -> DatasetFacts:
        """Read and check; nothing is kept unless all of it is sound. Raises BadData.

        encoding  "latin-1" on request; None finds out which of the Unicode ones it is
        salt      16 random bytes, the owner's secret: the same rows and salt, the same commitment
        """

    def start_session(self, brief: Brief, post: Post) -> Attempt:
        """A session with an empty mailbox; nothing runs before its `run`."""

    def peak_memory(self) -> int:
        """Bytes that this member's processes held at most."""

    async def close(self) -> None:
        """Forget all rows and end what runs; it is not waited for long."""
