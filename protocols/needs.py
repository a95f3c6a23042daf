"""What a run needs: units of typed correlations, with the exact bytes that making them takes.

Kinds      "and", "pair"                words of 64 AND triples, or of pairs that share a factor
           "cross"                      words of 64 products with either neighbour in a ring
           "product64", "product128"    one product of ring elements
           "edabit64/BITS", "dabit64"   64 values, shared in the ring and in bits
           "truncate64/SHIFT"           one pair for a truncation; these three also with 128

The bytes are those that `protocols.supply` says, the checked correlations included: the sums follow
the protocols message by message, and a test compares them with the trace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from protocols.kernels.bits import words_for
from protocols.oblivious_transfer import blocks

__all__ = [
    "CHECKED",
    "PRODUCTS_A_WINDOW",
    "VALUES_A_WINDOW",
    "Kind",
    "Needs",
    "addend_levels",
    "overflow_bits",
    "packed_words",
]

CHECKED = 128  # correlations of a batch that are opened and thrown away
COUNTER_BITS = 128  # transfers are made in such groups
PRODUCTS_A_WINDOW = 1 << 14  # by words: 2^20 transfers of 64 bits, and of 128
VALUES_A_WINDOW = 1 << 17  # of masks: 63 gates for each are held at once
OPENING_BYTES = 32 + 16  # commitment and salt
NAME = re.compile(
    r"(and|cross|pair)|(product|dabit)(64|128)|(edabit|truncate)(64|128)/([1-9][0-9]{0,2})"
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of correlation: its family, the words of its ring (0 for bits), its bits or shift."""

    family: str
    words: int
    size: int

    @staticmethod
    def parse(name: str) -> Kind:
        """Raises ValueError for a name that no kind has."""
        found = NAME.fullmatch(name)
        if found is None:
            raise ValueError(f"{name!r} is no kind of correlation")
        family = found[1] or found[2] or found[4]
        ring = found[3] or found[5]
        kind = Kind(family, int(ring) // 64 if ring else 0, int(found[6] or 0))
        most = 64 * kind.words - 2 * (family == "truncate")
        if kind.size > max(most, 0):
            raise ValueError(f"{name!r} is no kind of correlation: at most {most} bits")
        return kind

    @property
    def in_words(self) -> bool:
        """Whether a unit is 64 correlations, one a bit of a word."""
        return self.family in ("and", "cross", "pair", "edabit", "dabit")

    @property
    def checked(self) -> int:
        """Units of a batch that are opened and thrown away."""
        return CHECKED // 64 if self.in_words else CHECKED

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The arrays that hold one unit: (rows, words of a row) each, uint64."""
        return {
            "and": ((3,),),
            "cross": ((4,),),
            "pair": ((5,),),
            "product": ((3, self.words),),
            "edabit": ((1, 64 * self.words), (self.size,)),
            "dabit": ((1, 64 * self.words), (1,)),
            "truncate": ((3, self.words),),
        }[self.family]

    @property
    def unit_words(self) -> int:
        """Words of one unit at one party."""
        total = 0
        for shape in self.shapes:
            words = 1
            for length in shape:
                words *= length
            total += words
        return total


@dataclass(frozen=True, slots=True)
class Needs:
    """Units of each kind; kinds of which nothing is needed are left out. Order does not matter."""

    counts: Mapping[str, int]

    def __post_init__(self) -> None:
        for name, units in self.counts.items():
            Kind.parse(name)
            if units < 0:
                raise ValueError(f"{units} units of {name} cannot be needed")
        kept = {name: units for name, units in sorted(self.counts.items()) if units}
        object.__setattr__(self, "counts", kept)

    def __add__(self, other: Needs) -> Needs:
        names = sorted({*self.counts, *other.counts})
        return Needs({n: self.counts.get(n, 0) + other.counts.get(n, 0) for n in names})

    def times(self, k: int) -> Needs:
        """The needs of k runs of the same."""
        return Needs({name: k * units for name, units in self.counts.items()})

    def bytes(self, parties: int, depth: int = 4) -> int:
        """What the party that says most says in all, to all its peers, to make these.

        depth  of the trees of the extension, 4 or 8: a transfer takes 16 / depth bytes
        """
        cost = Cost(parties, depth)
        sent = [0] * parties
        for name, units in self.counts.items():
            sent = _plus(sent, cost.supplied(Kind.parse(name), units))
        return max(sent)

    def seconds(self, rates: Mapping[str, float], parties: int) -> float:
        """Seconds at measured rates: seconds a unit and peer, by kind without its bits or shift.

        The rate of an edaBit is one for each of its bits. Raises KeyError for a rate not given.
        """
        total = 0.0
        for name, units in self.counts.items():
            kind = Kind.parse(name)
            weight = kind.size if kind.family == "edabit" else 1
            total += units * weight * rates[name.split("/", maxsplit=1)[0]] * (parties - 1)
        return total


# ---- the shape of the adders ---------------------------------------------------------------------


def packed_words(bits: int) -> int:
    """Words of the corrections of one product, of which bit t takes bits - t: 33, or 129."""
    return words_for(bits * (bits + 1) // 2)


def overflow_bits(parties: int, bits: int, ring_bits: int) -> int:
    """Bits above `bits` that a sum of so many numbers of `bits` bits can have in the ring."""
    return min(ring_bits, (parties * ((1 << bits) - 1)).bit_length()) - bits


def addend_levels(parties: int, bits: int, width: int) -> tuple[tuple[int, ...], ...]:
    """Carry-save levels that bring n numbers to two: for each group of three its AND gates.

    Addends stand in order; each level joins three by three and leaves the rest at the end. A gate
    is needed where at least two of three numbers reach.
    """
    lengths, levels = [bits] * parties, []
    while len(lengths) > 2:
        whole = len(lengths) // 3 * 3
        groups = [sorted(lengths[k : k + 3]) for k in range(0, whole, 3)]
        gates = [min(group[1], width) for group in groups]
        joined = []
        for group, count in zip(groups, gates, strict=True):
            joined += [group[2], min(count + 1, width)]
        levels.append(tuple(gates))
        lengths = joined + lengths[whole:]
    return tuple(levels)


# ---- bytes ---------------------------------------------------------------------------------------


def _plus(x: list[int], y: list[int]) -> list[int]:
    return [a + b for a, b in zip(x, y, strict=True)]


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes that each party, in sorted order, says to all its peers together."""

    parties: int
    depth: int

    def supplied(self, kind: Kind, units: int) -> list[int]:
        """One batch of the supply, the checked units included."""
        if self.parties == 1 or not units:
            return [0] * self.parties
        opened = self._to_all(OPENING_BYTES + 8 * kind.checked * kind.unit_words)
        return _plus(self.drawn(kind, units + kind.checked), opened)

    def drawn(self, kind: Kind, units: int) -> list[int]:
        """One draw that is made afresh."""
        if self.parties == 1 or not units:
            return [0] * self.parties
        makers: dict[str, Callable[[Kind, int], list[int]]] = {
            "and": lambda _, words: self._gates(words, 1),
            "cross": lambda _, words: self._crosses(words),
            "pair": lambda _, words: self._gates(words, 2),
            "product": self._products,
            "edabit": self._edabits,
            "dabit": lambda kind, words: self._dabits(kind, 64 * words),
            "truncate": self._truncations,
        }
        return makers[kind.family](kind, units)

    def _to_all(self, octets: int) -> list[int]:
        return [octets * (self.parties - 1)] * self.parties

    def _transfers(self, count: int) -> int:
        return -(-count // COUNTER_BITS) * COUNTER_BITS * 16 // self.depth

    def _gates(self, words: int, width: int) -> list[int]:
        mended = 8 * words * width * (self.parties - 2)
        extended = self._to_all(self._transfers(64 * words))
        return _plus(extended, [mended] * self.parties)

    def _crosses(self, words: int) -> list[int]:
        """Two parties sit together, or as many threes as there are; the rest sit alone."""
        inside = 2 if self.parties == 2 else self.parties // 3 * 3
        each = self._transfers(64 * words)
        return [each] * inside + [0] * (self.parties - inside)

    def _products(self, kind: Kind, count: int) -> list[int]:
        bits, octets = 64 * kind.words, 0
        for window in blocks(count, PRODUCTS_A_WINDOW // kind.words):
            size = window.stop - window.start
            octets += self._transfers(bits * size) + 8 * packed_words(bits) * size
        return self._to_all(octets)

    def _edabits(self, kind: Kind, words: int) -> list[int]:
        sent = [0] * self.parties
        for window in blocks(words, VALUES_A_WINDOW // 64):
            sent = _plus(sent, self._edabit_window(kind, window.stop - window.start))
        return sent

    def _edabit_window(self, kind: Kind, words: int) -> list[int]:
        over = overflow_bits(self.parties, kind.size, 64 * kind.words)
        width = kind.size + over
        levels = addend_levels(self.parties, kind.size, width)
        gates = words * (sum(sum(level) for level in levels[1:]) + width - 1)
        sent = _plus(self._gates(gates, 1), self._to_all(16 * gates))
        sent = _plus(sent, self._crossed(words * kind.size))
        if over:
            sent = _plus(sent, self._dabits(kind, 64 * words * over))
            sent = _plus(sent, self._to_all(8 * words * over))
        return sent

    def _crossed(self, words: int) -> list[int]:
        inside = self.parties // 3 * 3
        each = self._transfers(64 * words) + 8 * words
        return [each] * inside + [0] * (self.parties - inside)

    def _dabits(self, kind: Kind, count: int) -> list[int]:
        sent = [0] * self.parties
        for window in blocks(count, VALUES_A_WINDOW):
            size = window.stop - window.start
            extended, corrected = self._transfers(size), 8 * kind.words * size
            for k in range(self.parties):
                sent[k] += k * extended + (self.parties - 1 - k) * corrected
        return sent

    def _truncations(self, kind: Kind, count: int) -> list[int]:
        words, low = words_for(count), kind.size
        high = 64 * kind.words - 1 - low
        sent = self._dabits(kind, 64 * words)
        for bits in (low, high):
            sent = _plus(sent, self._edabits(Kind("edabit", kind.words, bits), words))
        return sent
