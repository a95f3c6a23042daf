"""A table held in parts by members, asked as a study would ask it, all steps in the clear."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from protocols.disclosure.threshold import Thresholds, all_pass
from protocols.statistics.cells import features, linked_layout, pooled_cells
from protocols.statistics.menu import Finished, finish, plan_statistic
from protocols.statistics.plan import ColumnFacts, ColumnKey, Plan, Values

OPEN = Thresholds(1, 1, 1, Fraction(1), "show", "never")
ALIAS = "patients"


def facts_of(alias: str, name: str, spec: Sequence[Any]) -> ColumnFacts:
    """spec: ("category", levels) | ("boolean",) | (type, low, high[, decimals])."""
    if spec[0] in ("category", "boolean"):
        levels = tuple(spec[1]) if len(spec) > 1 else ()
        return ColumnFacts((alias, name), spec[0], None, None, None, levels)
    low, high = (None if v is None else Decimal(str(v)) for v in spec[1:3])
    decimals = spec[3] if len(spec) > 3 else None
    return ColumnFacts((alias, name), spec[0], low, high, decimals, ())


def values_of(facts: ColumnFacts, column: pd.Series) -> Values:
    missing = column.isna().to_numpy()
    if facts.type == "category":
        codes = {level: code for code, level in enumerate(facts.levels)}
        numbers = column.map(codes).fillna(0).to_numpy(np.int64)
    elif facts.type in ("integer", "boolean") and not missing.any():
        numbers = column.to_numpy(np.int64)
    else:
        numbers = column.to_numpy(np.float64)
    return Values(numbers, missing)


@dataclass(frozen=True)
class Asked:
    """One pooled statistic over members' frames. `specs` describes each column."""

    specs: Mapping[str, Sequence[Any]]
    kind: str
    parameters: Mapping[str, Any]
    thresholds: Thresholds = OPEN
    rows_max: int = 1 << 20
    members: int = 3
    facts: dict[str, ColumnFacts] = field(init=False)

    def __post_init__(self) -> None:
        facts = {name: facts_of(ALIAS, name, spec) for name, spec in self.specs.items()}
        object.__setattr__(self, "facts", facts)

    def plan(self) -> Plan:
        return plan_statistic(
            "asked",
            self.kind,
            self.parameters,
            self.facts,
            self.thresholds,
            self.rows_max,
            self.members,
            False,
            (ALIAS,),
        )

    def rows(self, frame: pd.DataFrame) -> dict[ColumnKey, Values]:
        return {facts.key: values_of(facts, frame[name]) for name, facts in self.facts.items()}

    def sums(self, parts: Sequence[pd.DataFrame]) -> dict[str, list[int]]:
        """All cells, hidden ones too, summed over the members."""
        plan = self.plan()
        total = {unit.name: [0] * len(unit.cells) for unit in plan.units}
        for part in parts:
            share = pooled_cells(plan, self.rows(part), np.ones(len(part), dtype=bool))
            for unit, integers in share.items():
                total[unit] = [a + b for a, b in zip(total[unit], integers, strict=True)]
        return total

    def opened(self, parts: Sequence[pd.DataFrame]) -> dict[str, list[int] | None]:
        sums = self.sums(parts)
        return {
            unit.name: sums[unit.name][: unit.opens]
            if all_pass(unit.checks, sums[unit.name])
            else None
            for unit in self.plan().units
        }

    def answer(self, *parts: pd.DataFrame) -> Finished:
        return finish(self.plan(), self.opened(parts))


@dataclass(frozen=True)
class Joined:
    """One linked statistic: each alias has its own frame, row r of each is one linked person."""

    specs: Mapping[str, Mapping[str, Sequence[Any]]]
    kind: str
    parameters: Mapping[str, Any]
    thresholds: Thresholds = OPEN
    rows_max: int = 1 << 12

    def plan(self) -> Plan:
        facts = {
            f"{alias}.{name}": facts_of(alias, name, spec)
            for alias, columns in self.specs.items()
            for name, spec in columns.items()
        }
        aliases = tuple(self.specs)
        return plan_statistic(
            "joined",
            self.kind,
            self.parameters,
            facts,
            self.thresholds,
            self.rows_max,
            1,
            True,
            aliases,
        )

    def sums(
        self, frames: Mapping[str, pd.DataFrame], keep: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, list[int]]:
        plan = self.plan()
        layout = linked_layout(plan)
        owned = {}
        for alias, frame in frames.items():
            rows = {
                (alias, name): values_of(facts_of(alias, name, spec), frame[name])
                for name, spec in self.specs[alias].items()
            }
            where = np.ones(len(frame), dtype=bool) if keep is None else keep[alias]
            owned[alias] = features(plan, alias, rows, where).astype(object)
        return {
            unit: [_linked_sum(terms, owned) for terms in cells]
            for unit, cells in layout.cells.items()
        }

    def answer(
        self, frames: Mapping[str, pd.DataFrame], keep: Mapping[str, np.ndarray] | None = None
    ) -> Finished:
        plan, sums = self.plan(), self.sums(frames, keep)
        opened = {
            unit.name: sums[unit.name][: unit.opens]
            if all_pass(unit.checks, sums[unit.name])
            else None
            for unit in plan.units
        }
        return finish(plan, opened)


def _linked_sum(terms: Any, owned: Mapping[str, np.ndarray]) -> int:
    total = 0
    for sign, places in terms:
        product: Any = 1
        for alias, place in places.items():
            product = product * owned[alias][:, place]
        total += sign * int(sum(product))
    return total


@pytest.fixture(scope="session")
def asked() -> type[Asked]:
    return Asked


@pytest.fixture(scope="session")
def joined() -> type[Joined]:
    return Joined


@pytest.fixture(scope="session")
def thresholds() -> Callable[..., Thresholds]:
    def made(**changed: Any) -> Thresholds:
        plain = {name: getattr(OPEN, name) for name in OPEN.__slots__}
        return Thresholds(**{**plain, **changed})

    return made


@pytest.fixture(scope="session")
def lung() -> pd.DataFrame:
    """The lung cancer table that ships with lifelines; sex as words."""
    spec = find_spec("lifelines")
    assert spec is not None
    assert spec.origin is not None
    frame = pd.read_csv(Path(spec.origin).parent / "datasets" / "lung.csv")
    frame["sex"] = frame["sex"].map({1: "male", 2: "female"})
    return frame


LUNG = {
    "age": ("integer", 0, 120),
    "sex": ("category", ("male", "female")),
    "time": ("integer", 0, 2000),
    "status": ("integer", 0, 1),
    "ph.ecog": ("integer", 0, 4),
    "ph.karno": ("integer", 0, 100),
    "meal.cal": ("number", 0, 3000),
    "wt.loss": ("integer", -50, 100),
}


@pytest.fixture(scope="session")
def lung_specs() -> Callable[..., dict[str, Sequence[Any]]]:
    return lambda *names: {name: LUNG[name] for name in names}


@pytest.fixture(scope="session")
def uneven() -> Callable[[pd.DataFrame], list[pd.DataFrame]]:
    """Most rows at one member, one row at the second, none at the third."""
    return lambda frame: [frame.iloc[1:], frame.iloc[:1], frame.iloc[:0]]
