"""`describe` of ten columns of rows that each party holds in memory, from rows to opened sums."""

from decimal import Decimal

import numpy as np
from engine_windows import OPEN, WIDE
from engine_work import Work

from protocols.masked_sum import pooled_sum
from protocols.statistics.cells import pooled_cells
from protocols.statistics.menu import finish, plan_statistic
from protocols.statistics.plan import ColumnFacts, Values

COLUMNS = tuple(f"c{number}" for number in range(10))
LOW, HIGH = Decimal(0), Decimal(200)


def rows_of(place, count, decimals):
    """Column -> numbers between the bounds, those of one party."""
    draw = np.random.default_rng(place)
    found = {}
    for name in COLUMNS:
        column = draw.normal(50, 15, count)
        np.clip(column, float(LOW), float(HIGH), out=column)
        found[name] = column if decimals is None else np.round(column, decimals)
    return found


def describing(decimals):
    """Items are the rows of all parties together."""

    def made(seat, items):
        count = items // len(seat.parties)
        facts = {
            name: ColumnFacts(("rows", name), "number", LOW, HIGH, decimals, ()) for name in COLUMNS
        }
        plan = plan_statistic(
            "asked", "describe", {"columns": list(COLUMNS)}, facts, OPEN, max(items, 64),
            len(seat.parties), False, ("rows",),
        )  # fmt: skip
        own = rows_of(seat.index, count, decimals)
        whole = np.zeros(count, np.bool_)
        values = {facts[name].key: Values(own[name], whole) for name in COLUMNS}

        def run(at):
            cells = pooled_cells(plan, values, ~whole)
            flat = [integer for unit in plan.units for integer in cells[unit.name]]
            return (yield from pooled_sum(at, WIDE, WIDE.from_ints(flat)))

        def error(at, opened):
            yield from ()
            flat = iter(WIDE.to_ints(opened))
            sums = {
                unit.name: [next(flat) for _ in unit.cells][: unit.opens] for unit in plan.units
            }
            found = {row["column"]: row["mean"] for row in finish(plan, sums).table}
            totals = dict.fromkeys(COLUMNS, 0.0)
            for place in range(len(at.parties)):
                for name, column in rows_of(place, count, decimals).items():
                    totals[name] += float(column.sum())
            means = {name: totals[name] / (count * len(at.parties)) for name in COLUMNS}
            return max(abs(found[name] - means[name]) for name in COLUMNS)

        return Work(run, error)

    return made


OPERATIONS = {"describe": describing(None), "describe of one decimal": describing(1)}
