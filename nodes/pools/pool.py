"""What a node holds of correlations for studies to come: in memory alone, each batch used once.

A batch belongs to one peer set: the parties that made it, in one epoch of the roster. `take`
deletes before it returns, so that a study which fails afterwards, or a process that dies, uses
nothing twice: whatever it had taken is gone. Nothing here is ever written to a disk, to a backup or
to Ray's object store; a node that starts again begins with an empty pool.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from p2pmpc.errors import LocalError
from protocols.batches import BATCHES_MAX, Batch
from protocols.party import Parties

__all__ = ["PeerSet", "Pool", "chosen", "missing"]


@dataclass(frozen=True, slots=True, order=True)
class PeerSet:
    """Who made a batch with whom, and under which roster: it is good for nobody else."""

    parties: Parties
    epoch: int


@dataclass(slots=True, repr=False)
class Pool:
    """One node's. Owned by its event loop.

    bytes_max  what it may hold in all; 0 turns it off
    """

    bytes_max: int
    shelves: dict[PeerSet, list[Batch]] = field(default_factory=dict)  # in the order they were made

    def __repr__(self) -> str:
        return f"Pool({self.batches} batches, {self.nbytes} bytes)"

    @property
    def batches(self) -> int:
        """How many batches lie here."""
        return sum(len(shelf) for shelf in self.shelves.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all batches."""
        return sum(batch.nbytes for shelf in self.shelves.values() for batch in shelf)

    @property
    def room(self) -> int:
        """Bytes that still fit."""
        return self.bytes_max - self.nbytes

    def held(self, peers: PeerSet) -> dict[str, int]:
        """Kind -> units for this peer set."""
        found: Counter[str] = Counter()
        for batch in self.shelves.get(peers, ()):
            found[batch.kind] += batch.units
        return dict(sorted(found.items()))

    def add(self, peers: PeerSet, batches: Sequence[Batch]) -> None:
        """Keep what a fill has made. Raises LocalError, and burns it, if it is foreign or too much.

        All of it or nothing: what one party lacks, the others would burn.
        """
        foreign = [batch for batch in batches if batch.parties != peers.parties]
        size = sum(batch.nbytes for batch in batches)
        if foreign or size > self.room:
            for batch in batches:
                batch.burn()
            made = ", ".join((foreign or batches)[0].parties)
            raise LocalError(
                f"correlations of {made} do not belong to {', '.join(peers.parties)}"
                if foreign
                else f"{size} bytes of correlations do not fit: {self.room} are free",
                next="" if foreign else "Raise pool_mb in settings.toml.",
            )
        self.shelves.setdefault(peers, []).extend(batches)

    def take(self, peers: PeerSet, needs: Mapping[str, int]) -> tuple[Batch, ...]:
        """Batches towards these needs, deleted here before they are returned.

        They may cover less than is needed: what is missing is made in the session.
        """
        shelf = self.shelves.get(peers, [])
        taken = chosen(shelf, needs)
        gone = {batch.id for batch in taken}
        self.shelves[peers] = [batch for batch in shelf if batch.id not in gone]
        if not self.shelves[peers]:
            del self.shelves[peers]
        return tuple(taken)

    def burn(self, peers: PeerSet) -> None:
        """Overwrite and forget all of one peer set."""
        for batch in self.shelves.pop(peers, []):
            batch.burn()

    def keep_epoch(self, epoch: int) -> None:
        """Burn what was made under another roster."""
        for peers in [one for one in self.shelves if one.epoch != epoch]:
            self.burn(peers)

    def make_room(self, size: int, wanted: Iterable[PeerSet]) -> bool:
        """Burn peer sets that no study waits for, oldest first, until so much fits; if it does."""
        spared = set(wanted)
        for peers in [one for one in self.shelves if one not in spared]:
            if self.room >= size:
                break
            self.burn(peers)
        return self.room >= size

    def close(self) -> None:
        """Burn everything."""
        for peers in list(self.shelves):
            self.burn(peers)


def chosen(shelf: Sequence[Batch], needs: Mapping[str, int]) -> list[Batch]:
    """Of each kind the smallest batch that is enough, else the largest until they are enough.

    In an order that all parties share, so that equal pools give equal batches.
    """
    found: list[Batch] = []
    for kind, units in sorted((kind, units) for kind, units in needs.items() if units > 0):
        ordered = sorted(
            (batch for batch in shelf if batch.kind == kind), key=lambda one: (one.units, one.id)
        )
        enough = next((batch for batch in ordered if batch.units >= units), None)
        if enough is not None:
            found.append(enough)
            continue
        left = units
        for batch in reversed(ordered):
            if left <= 0:
                break
            found.append(batch)
            left -= batch.units
    return found[:BATCHES_MAX]


def missing(shelf: Sequence[Batch], studies: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    """For each of these studies in turn what the shelf does not give it; none gets another's."""
    left, found = list(shelf), []
    for needs in studies:
        given = chosen(left, needs)
        covered: Counter[str] = Counter()
        for batch in given:
            covered[batch.kind] += batch.units
        lacking = {kind: units - covered[kind] for kind, units in sorted(needs.items())}
        found.append({kind: units for kind, units in lacking.items() if units > 0})
        gone = {batch.id for batch in given}
        left = [batch for batch in left if batch.id not in gone]
    return found
