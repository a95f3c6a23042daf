"""No keystream serves two purposes: every coin and every column of a whole study is noted.

Two leaders, three tables, one of them held by a leader too, two passes, persons counted once, three
linked statistics and a pooled one with a party of its own: all labels of the tree of forks are in
use. The watch calls through; nothing is replaced.
"""

import sys
from collections import defaultdict
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from protocols.arithmetic import and_bits
from protocols.disclosure.threshold import Thresholds
from protocols.joint import JointInputs, JointPlan, joint
from protocols.kernels.registry import KERNELS
from protocols.linkage.cohort import Holding, LinkPlan
from protocols.masked_sum import zero_share
from protocols.party import play
from protocols.randomness import Randomness
from protocols.ring import Ring
from protocols.statistics.cells import features, linked_layout, pooled_cells
from protocols.statistics.menu import plan_statistic
from protocols.statistics.plan import ColumnFacts, Values

RULES = Thresholds(2, 2, 2, Fraction(1, 2), "show", "never")
AGE = ColumnFacts(("patients", "age"), "integer", 0, 120, None, ())
SEX = ColumnFacts(("patients", "sex"), "category", None, None, None, ("f", "m"))
LDH = ColumnFacts(("labs", "ldh"), "number", 0, 1000, 1, ())
VISITS = ColumnFacts(("visits", "days"), "integer", 0, 400, None, ())
TABLES = (("patients", ("a", "b")), ("labs", ("b", "c")), ("visits", ("c",)))
PEOPLE = 40


@dataclass
class Watch:
    """What was read: of each key by each object that holds it, and of each AES key by counters."""

    read: dict = field(default_factory=lambda: defaultdict(dict))
    columns: dict = field(default_factory=lambda: defaultdict(list))
    kept: list = field(default_factory=list)  # so that no address is used again

    def bytes(self, coins, key, count):
        self.kept.append(coins)
        purpose = purpose_of(sys._getframe(2))
        self.read[key].setdefault(id(coins), []).append((purpose, count))

    def faults(self):
        """Keys that more than two objects read, or two to different ends; overlapping columns."""
        found = []
        for readers in self.read.values():
            uses = list(readers.values())
            if len(uses) > 2 or any(use != uses[0] for use in uses):
                found.append(uses)
        for (role, key), ranges in self.columns.items():
            ordered = sorted(ranges)
            for (_, end), (start, _) in pairwise(ordered):
                if start < end:
                    found.append((role, key, ordered))
        return found


def purpose_of(frame):
    while frame.f_globals["__name__"] in {"protocols.randomness", __name__}:
        frame = frame.f_back
    return f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}"


@pytest.fixture
def watch(monkeypatch):
    found, read = Watch(), Randomness.bytes

    def reading(coins, count):
        found.bytes(coins, coins._key, count)
        return read(coins, count)

    def expanding(kernel):
        def run(keys, said, start, *others):
            receives = "receive" in kernel.name
            leaves = keys if receives else keys[0][:, 1:]
            counters = len(said) // 2 if receives else len(said)
            role = "receive" if receives else "send"
            for leaf in leaves.reshape(-1, 16):
                found.columns[role, leaf.tobytes()].append((start, start + counters))
            return kernel.run(keys, said, start, *others)

        return run

    monkeypatch.setattr(Randomness, "bytes", reading)
    for name in [name for name in KERNELS if name.startswith("extension.")]:
        monkeypatch.setitem(KERNELS, name, replace(KERNELS[name], run=expanding(KERNELS[name])))
    return found


def statistic(name, kind, parameters, facts, linked=True, aliases=("labs", "patients", "visits")):
    words = {one.key[1]: one for one in facts}
    return plan_statistic(name, kind, parameters, words, RULES, 1 << 10, 2, linked, aliases)


def scene():
    asked = (
        statistic("n", "count", {"by": "sex"}, [SEX]),
        statistic("t", "t_test", {"column": "ldh", "by": "sex"}, [LDH, SEX]),
        statistic("r", "correlation", {"columns": ("age", "days", "ldh")}, [AGE, VISITS, LDH]),
    )
    pooled = statistic("p", "count", {}, [], linked=False, aliases=("other",))
    classes = {(alias, member): 1024 for alias, members in TABLES for member in members}
    widths = {
        alias: sum(len(linked_layout(one).features[alias]) for one in asked)
        for alias, _ in TABLES[1:]
    }
    link = LinkPlan(TABLES, 2, classes, widths, 2, count_once=True)
    plan = JointPlan(bytes(32), (*asked, pooled), {"p": ("c", "d")}, link, ("a", "d"))
    return plan, {party: inputs(plan, asked, party) for party in "abcd"}


def inputs(plan, asked, party):
    holdings = {
        alias: holding(asked, alias, coins)
        for coins, (alias, members) in enumerate(TABLES)
        if party in members
    }
    mine = {one.name: pooled_cells(one, {}, np.ones(9, bool)) for one in plan.plans[-1:]}
    sizes = dict.fromkeys(holdings, 1024)
    return JointInputs(mine if party in "cd" else {}, sizes, holdings, bytes(32))


def holding(asked, alias, seed):
    every, coins = np.ones(PEOPLE, bool), np.random.default_rng(seed)
    rows = {
        one.key: Values(coins.integers(0, 2, PEOPLE), np.zeros(PEOPLE, bool))
        for one in (AGE, SEX, LDH, VISITS)
    }
    table = [features(one, alias, {f.key: rows[f.key] for f in one.facts}, every) for one in asked]
    keys = [[b"%d%d" % (number, k) for k in range(PEOPLE)] for number in range(2)]
    return Holding((keys[0], keys[1]), every, np.concatenate(table, axis=1))


def test_every_stream_of_a_linked_study_has_one_purpose(seats, watch):
    plan, mine = scene()
    found = play({p: joint(s, plan, mine[p]) for p, s in seats(4, "streams").items()})
    assert found["a"].integers["p/main"] == (18,)
    assert watch.faults() == []
    assert len(watch.read) > 100
    assert len({purpose for uses in watch.read.values() for (purpose, _), *_ in uses.values()}) > 12
    assert len(watch.columns) > 480 * 50


def test_the_watch_finds_coins_and_columns_that_are_used_twice(connected, seats, watch):
    bits = np.ones(64, np.uint8)
    once = connected(2)
    again = {
        me: replace(s, wires={q: replace(w, sent=0, received=0) for q, w in s.wires.items()})
        for me, s in once.items()
    }
    for table in (once, again):
        play({p: and_bits(s, bits, bits) for p, s in table.items()})
    assert {role for role, *_ in watch.faults()} == {"receive", "send"}
    for _ in range(3):
        zero_share(seats(2, "alike")["a"], Ring(1), (3,))
    assert [len(fault) for fault in watch.faults() if isinstance(fault, list)] == [3]
