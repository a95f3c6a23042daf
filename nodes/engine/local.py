"""The engine in one process: data sets in this heap, kernels on threads. No isolation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nodes.data.dataset import Snapshot, load
from nodes.engine.engine import DatasetFacts
from nodes.processes import peak_memory
from nodes.session.driver import Post
from nodes.session.inputs import Drawn, gather_inputs
from nodes.session.session import Brief, Session
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import NotFound, Refused
from protocols.joint import JointInputs

__all__ = ["THREADS", "LocalEngine"]

THREADS = 4  # one steps the generator, the others run kernels; more gain nothing on two cores


class LocalEngine:
    """Owns the snapshots and the threads."""

    def __init__(self, member: str, randomness: Callable[[int], bytes]) -> None:
        self._member = member
        self._randomness = randomness
        self._snapshots: dict[str, tuple[Snapshot, bytes]] = {}  # with what it was committed by
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="kernel")

    def __repr__(self) -> str:
        return f"LocalEngine({self._member}, {len(self._snapshots)} data sets)"

    async def load_dataset(
        self, dictionary: Dictionary, paths: tuple[str, ...], encoding: str | None, salt: bytes
    ) -> DatasetFacts:
        """Read and check; nothing is kept unless all of it is sound. Raises BadData."""
        loop = asyncio.get_running_loop()
        files = [Path(path) for path in paths]
        snapshot = await loop.run_in_executor(
            self.threads, load, files, dictionary, self._member, encoding
        )
        commitment = snapshot.commitment(salt)
        self._snapshots[dictionary.name] = snapshot, commitment
        return DatasetFacts(snapshot.rows, tuple(snapshot.notes), commitment)

    def start_session(self, brief: Brief, post: Post) -> Session:
        """The session itself: it shares this process."""
        return Session.prepare(brief, self, post, self._randomness, self.threads, self.threads)

    async def gather(self, brief: Brief, drawn: Drawn) -> tuple[JointInputs, dict[str, int]]:
        """This party's inputs, and for its owner the rows that repeat a person by alias."""
        snapshots = self.snapshots(brief.commitments)
        return await asyncio.get_running_loop().run_in_executor(
            self.threads, gather_inputs, brief.me, brief.resolved, drawn.joint, snapshots
        )

    def snapshots(self, commitments: Mapping[str, bytes]) -> Mapping[str, Snapshot]:
        """The rows of these data sets, exactly as committed.

        Raises NotFound naming the first that is not loaded, Refused the first that was read anew.
        """
        return {name: self._snapshot(name, wanted) for name, wanted in sorted(commitments.items())}

    def _snapshot(self, name: str, wanted: bytes) -> Snapshot:
        if name not in self._snapshots:
            raise NotFound(f"the data set {name!r} is not loaded here", member=self._member)
        snapshot, commitment = self._snapshots[name]
        if commitment != wanted:
            raise Refused(
                f"{self._member} has read the data set {name!r} anew since it was ready",
                member=self._member,
                next="Propose the study again: other rows need another consent.",
            )
        return snapshot

    def peak_memory(self) -> int:
        """Bytes that this process held at most."""
        return peak_memory()

    async def close(self) -> None:
        """Forget all rows and stop the threads; what still runs is not waited for."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self._snapshots.clear()
