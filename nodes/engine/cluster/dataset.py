"""Rows of one data set in one process's memory: read on demand, asked for sums and linkage inputs.

A Dataset that died is started again with nothing in it. Every call says which rows it means, so the
next one reads them from the files again; they must give the same seal, else the call is refused.
What leaves the process is what an attempt puts in, never a column. Faults are answered as values:
Ray writes what is raised into its own files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from nodes.data.dataset import Blocks, Snapshot, load_part, root_of
from nodes.engine.cluster.letters import Portion
from nodes.logging import make_log
from nodes.processes import peak_memory
from nodes.session.inputs import Share, share_of
from p2pmpc.catalogue import Resolved
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import P2pmpcError, Refused, error_from_json
from protocols.joint import JointPlan

__all__ = ["Dataset", "Fault", "Loaded", "answer_of"]

T = TypeVar("T")


class Fault(Struct, frozen=True):
    """An error as people read it, in place of an answer."""

    error: dict[str, Any]


class Loaded(Struct, frozen=True):
    """What was read: these rows, the rows of the whole data set, and the hashes of the blocks."""

    rows: int
    table_rows: int
    notes: tuple[str, ...]
    blocks: dict[str, tuple[bytes, ...]]
    seal: bytes
    peak: int

    def __repr__(self) -> str:
        return "Loaded(<private>)"


def answer_of(found: T | Fault) -> T:
    """The answer; raises the error that came in its place."""
    if isinstance(found, Fault):
        raise error_from_json(found.error)
    return found


class Dataset:
    """The actor. One call at a time."""

    def __init__(self) -> None:
        self._held: tuple[Portion, Snapshot, int] | None = None

    def load(self, portion: Portion) -> Loaded | Fault:
        """Read these rows, unless they are here already."""
        return _answer(lambda: self._loaded(portion))

    def share(
        self, portion: Portion, me: str, alias: str, resolved: Resolved, plan: JointPlan
    ) -> Share | Fault:
        """What these rows put into an attempt as this alias of its study."""
        return _answer(lambda: share_of(me, alias, resolved, plan, self._rows(portion)[0]))

    def _loaded(self, portion: Portion) -> Loaded:
        snapshot, table_rows = self._rows(portion)
        return Loaded(
            snapshot.rows,
            table_rows,
            snapshot.notes,
            dict(snapshot.blocks),
            _seal(snapshot),
            peak_memory(),
        )

    def _rows(self, portion: Portion) -> tuple[Snapshot, int]:
        if self._held is None or _place(self._held[0]) != _place(portion):
            snapshot, table_rows = _read(portion)
            self._held = portion, snapshot, table_rows
        _, snapshot, table_rows = self._held
        if portion.seal and portion.seal != _seal(snapshot):
            self._held = None
            raise Refused(
                f"the files of {portion.member} no longer hold the rows that were committed to",
                member=portion.member,
                file=portion.paths[0],
                next="Put the files back, or add the data set anew and propose the study again.",
            )
        return snapshot, table_rows


def _place(portion: Portion) -> tuple[object, ...]:
    """All of a portion but its seal."""
    return (portion.paths, portion.dictionary, portion.encoding, portion.start, portion.stop)


def _read(portion: Portion) -> tuple[Snapshot, int]:
    dictionary = Dictionary.from_bytes(portion.dictionary)
    return load_part(
        [Path(path) for path in portion.paths],
        dictionary,
        portion.member,
        portion.encoding,
        range(portion.start, portion.stop),
    )


def _seal(snapshot: Snapshot) -> bytes:
    blocks: Blocks = snapshot.blocks
    return root_of(snapshot.dictionary, snapshot.rows, blocks)


def _answer(work: Callable[[], T]) -> T | Fault:
    try:
        return work()
    except P2pmpcError as fault:
        return Fault(fault.to_json())
    except Exception:
        log = make_log(None, "dataset")
        log.exception("data set fault")
        return Fault(P2pmpcError("an internal fault while rows were read or summed").to_json())
