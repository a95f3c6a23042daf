"""What a Session does before its brief comes, so that no study pays for it.

It plays a tiny study of two parties with itself, and loads the compiler of the kernels and the
distribution functions. The keys of the play are fixed, its rows are all alike: they mean nothing.
"""

from __future__ import annotations

import importlib
from fractions import Fraction

import numpy as np

from protocols.disclosure.threshold import Thresholds
from protocols.joint import JointInputs, JointPlan, joint
from protocols.party import Parties, Party, Seat, play
from protocols.randomness import RAND_BYTES, Randomness
from protocols.statistics.cells import pooled_cells
from protocols.statistics.menu import finish, plan_statistic

__all__ = ["warm_up"]

PARTIES: Parties = ("a", "b")
ROWS = 8
RULES = Thresholds(1, 1, 2, Fraction(1), "show", "never")
LATE = ("numba", "scipy.special")  # imported by the functions that need them


def warm_up() -> None:
    """Play it once."""
    for name in LATE:
        importlib.import_module(name)
    counted = plan_statistic("n", "count", {}, {}, RULES, 2 * ROWS, 1, False, ("rows",))
    plan = JointPlan(bytes(32), (counted,), {"n": PARTIES}, None, PARTIES)
    cells = pooled_cells(counted, {}, np.ones(ROWS, np.bool_))
    inputs = JointInputs({"n": cells}, {}, {}, bytes(32))
    found = play({party: joint(_seat(party), plan, inputs) for party in PARTIES})["a"]
    assert found is not None, "both are recipients"
    units = {unit.name: found.integers[f"n/{unit.name}"] for unit in counted.units}
    finish(counted, {name: None if n is None else list(n) for name, n in units.items()})


def _seat(me: Party) -> Seat:
    pair = Randomness(bytes(RAND_BYTES))
    peers = {peer: pair for peer in PARTIES if peer != me}
    return Seat(me, PARTIES, Randomness(me.encode() * RAND_BYTES), peers)
