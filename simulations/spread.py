"""How long entries take to reach everybody, and whether all have."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spread", "Wave"]


@dataclass(slots=True)
class Wave:
    """One entry on its way. `nodes` and `waits_us` (since its birth) go together."""

    author: str
    kind: str
    born_us: int
    members: int
    nodes: array[int] = field(default_factory=lambda: array("i"))
    waits_us: array[int] = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class Spread:
    """All entries of a world. `missing` counts (entry, node) pairs that are still apart."""

    waves: dict[bytes, Wave] = field(default_factory=dict)
    missing: int = 0

    def stored(
        self, entry: bytes, author: str, kind: str, node: int, members: int, now_us: int
    ) -> None:
        """A store took this entry. The first one to do so is its author's."""
        wave = self.waves.get(entry)
        if wave is None:
            wave = self.waves[entry] = Wave(author, kind, now_us, members)
            self.missing += members
        wave.nodes.append(node)
        wave.waits_us.append(now_us - wave.born_us)
        self.missing -= 1

    def reach_s(self, kinds: frozenset[str] | None = None) -> NDArray[np.float64]:
        """Seconds until each complete entry was everywhere; of some kinds, or of all."""
        found = [
            max(wave.waits_us) / 1e6
            for wave in self.waves.values()
            if len(wave.nodes) == wave.members and (kinds is None or wave.kind in kinds)
        ]
        return np.array(found, dtype=np.float64)

    def summary(self) -> dict[str, Any]:
        """Of founding entries (all at once, at the start) and of all later ones."""
        start = frozenset({"genesis", "dataset"})
        later = frozenset({wave.kind for wave in self.waves.values()}) - start
        return {
            "entries": len(self.waves),
            "missing": self.missing,
            "founding": _figures(self.reach_s(start)),
            "later": _figures(self.reach_s(later)),
        }

    def curve(self, points: int = 200) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds since birth, and the share of (node, later entry) pairs that were reached."""
        waits = [w for v in self.later() for w in v.waits_us]
        pairs = sum(wave.members for wave in self.later())
        seconds = np.sort(np.array(waits, dtype=np.float64)) / 1e6
        if not len(seconds):
            return seconds, seconds
        at = np.linspace(0, len(seconds) - 1, min(points, len(seconds))).astype(int)
        return seconds[at], (at + 1) / pairs

    def later(self) -> list[Wave]:
        """Entries that were written after the founding."""
        return [w for w in self.waves.values() if w.kind not in {"genesis", "dataset"}]


def _figures(seconds: NDArray[np.float64]) -> dict[str, float | int | None]:
    if not len(seconds):
        return {"entries": 0, "median_s": None, "p95_s": None, "max_s": None}
    median, p95 = np.quantile(seconds, [0.5, 0.95])
    return {
        "entries": len(seconds),
        "median_s": round(float(median), 3),
        "p95_s": round(float(p95), 3),
        "max_s": round(float(seconds.max()), 3),
    }
