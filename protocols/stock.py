"""One party's correlations in stock, each unit of which is handed out once.

A draw takes from the stock of its seat when that holds enough of its kind, and else makes its
correlations afresh: the stocks of all parties hold the same, because `protocols.supply` fills them
together and all parties draw in the same order. What is handed out is zeroed here, so that it is in
one place only. A stock belongs to one party among one set of parties, in one epoch of their roster,
and is refused everywhere else. The kinds stand in `protocols.needs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from protocols.needs import Kind, Needs
from protocols.party import Parties, Party, Seat

__all__ = ["Exhausted", "Foreign", "Needs", "Stock", "drawn"]

Words = npt.NDArray[np.uint64]


class Exhausted(ValueError):
    """A stock holds fewer units of a kind than are asked for, or was burnt or handed over."""


class Foreign(ValueError):
    """A stock of another party, set of parties or epoch, or arrays that are no stock."""


@dataclass(slots=True)
class Lot:
    """The arrays of one kind, units along axis 1; the first `taken` units are gone."""

    arrays: tuple[Words, ...]
    taken: int = 0

    @property
    def left(self) -> int:
        return int(self.arrays[0].shape[1]) - self.taken

    def take(self, units: int) -> tuple[Words, ...]:
        part = slice(self.taken, self.taken + units)
        self.taken += units
        copies = tuple(array[:, part].copy() for array in self.arrays)
        for array in self.arrays:
            array[:, part] = 0
        return copies


@dataclass(slots=True, repr=False)
class Stock:
    """What party `me` of `parties` holds of each kind. Only the seat that uses it takes from it.

    epoch  names the roster and the batch; all parties of a run hold stocks of one epoch
    """

    me: Party
    parties: Parties
    epoch: str
    lots: dict[str, Lot] = field(default_factory=dict)
    burnt: bool = False

    def __repr__(self) -> str:
        levels = ", ".join(f"{kind}: {lot.left}" for kind, lot in sorted(self.lots.items()))
        return f"Stock({self.me} among {len(self.parties)}, {levels}, <redacted>)"

    def check(self, me: Party, parties: Parties, epoch: str) -> None:
        """Raises Foreign unless the stock was made for this party, these parties, this epoch."""
        if (self.me, self.parties, self.epoch) != (me, parties, epoch):
            raise Foreign(
                f"correlations of {self.me} among {', '.join(self.parties)} in epoch {self.epoch}"
                f" cannot be used by {me} among {', '.join(parties)} in epoch {epoch}"
            )

    def left(self, kind: str) -> int:
        """Units of this kind that can still be taken."""
        Kind.parse(kind)
        return self.lots[kind].left if kind in self.lots and not self.burnt else 0

    def holds(self, needs: Needs) -> bool:
        """Whether all of this can be taken."""
        return all(self.left(kind) >= units for kind, units in needs.counts.items())

    def take(self, kind: str, units: int) -> tuple[Words, ...]:
        """The next units of this kind, arrays as `protocols.needs.Kind.shapes`, units on axis 1.

        Raises Exhausted when too few are left.
        """
        if units < 0 or units > self.left(kind):
            state = "burnt: make a new one" if self.burnt else f"has {self.left(kind)}"
            raise Exhausted(f"{units} units of {kind} asked for, and the stock {state}")
        if kind not in self.lots:
            return tuple(np.zeros((s[0], 0, *s[1:]), np.uint64) for s in Kind.parse(kind).shapes)
        return self.lots[kind].take(units)

    def put(self, kind: str, arrays: tuple[Words, ...]) -> None:
        """Add units of a kind, behind those that are left. Raises Foreign for other shapes."""
        _check_arrays(kind, arrays)
        if self.burnt:
            raise Exhausted(f"a stock that was burnt takes no {kind}")
        if kind in self.lots:
            before = self.lots.pop(kind)
            kept = before.take(before.left)
            arrays = tuple(np.concatenate(pair, axis=1) for pair in zip(kept, arrays, strict=True))
        self.lots[kind] = Lot(tuple(a if a.flags.writeable else a.copy() for a in arrays))

    def allot(self, needs: Mapping[str, Needs]) -> dict[str, Stock]:
        """A stock for each label, taken out of this one: for protocols that run together.

        Raises Exhausted, and takes nothing, when all of them together need more than there is.
        """
        total = Needs({})
        for one in needs.values():
            total = total + one
        for kind, units in total.counts.items():
            if units > self.left(kind):
                raise Exhausted(f"{units} units of {kind} needed, the stock has {self.left(kind)}")
        parts = {label: Stock(self.me, self.parties, self.epoch) for label in sorted(needs)}
        for label, part in parts.items():
            for kind, units in needs[label].counts.items():
                part.put(kind, self.take(kind, units))
        return parts

    def burn(self) -> None:
        """Zero all that is left, after a run that ended early; nothing can be taken any more."""
        for lot in self.lots.values():
            for array in lot.arrays:
                array[...] = 0
        self.lots.clear()
        self.burnt = True

    def arrays(self) -> dict[str, Words]:
        """All that is left, handed over: "kind.place" to its array. The stock is burnt then."""
        found = {
            f"{kind}.{place}": array
            for kind, lot in sorted(self.lots.items())
            for place, array in enumerate(lot.take(lot.left))
        }
        self.burn()
        return found

    @staticmethod
    def from_arrays(me: Party, parties: Parties, epoch: str, arrays: Mapping[str, Words]) -> Stock:
        """The stock whose `arrays` these are; it owns them. Raises Foreign for anything else."""
        made = Stock(me, parties, epoch)
        kinds = sorted({name.rsplit(".", 1)[0] for name in arrays})
        for kind in kinds:
            places = range(len(_kind(kind).shapes))
            if sum(name.rsplit(".", 1)[0] == kind for name in arrays) != len(places):
                raise Foreign(f"the arrays of {kind} are not those of a stock")
            lacking = [f"{kind}.{place}" for place in places if f"{kind}.{place}" not in arrays]
            if lacking:
                raise Foreign(f"the stock lacks {', '.join(lacking)}")
            made.put(kind, tuple(arrays[f"{kind}.{place}"] for place in places))
        return made


def _kind(name: str) -> Kind:
    try:
        return Kind.parse(name)
    except ValueError as error:
        raise Foreign(str(error)) from None


def _check_arrays(kind: str, arrays: tuple[Words, ...]) -> None:
    shapes = _kind(kind).shapes
    units = {array.shape[1] for array in arrays if array.ndim > 1}
    fits = len(arrays) == len(shapes) and len(units) == 1
    for array, shape in zip(arrays, shapes, strict=False):
        fits = fits and array.dtype == np.uint64
        fits = fits and (*array.shape[:1], *array.shape[2:]) == shape
    if not fits:
        raise Foreign(f"the arrays of {kind} are not those of a stock")


def drawn(seat: Seat, kind: str, units: int) -> tuple[Words, ...] | None:
    """The units from the seat's stock, or None when it has none or too few: make them afresh."""
    stock = seat.stock
    if stock is None or units == 0 or stock.left(kind) < units:
        return None
    return stock.take(kind, units)
