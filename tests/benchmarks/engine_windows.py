"""Work of any number of rows in windows of WINDOW_ROWS: what memory may depend on, and no more.

Each window's numbers are drawn, used and forgotten; of results only sums are kept and opened in the
end. What a party has to hold at once is one window's inputs, outputs and correlations.
"""

from decimal import Decimal
from fractions import Fraction

import numpy as np
from engine_work import RING, Work, numbers, own_share

from protocols.arithmetic import multiply, open_bits, open_ring
from protocols.comparison import less_than
from protocols.disclosure.threshold import Thresholds
from protocols.masked_sum import pooled_sum
from protocols.ring import Ring
from protocols.statistics.cells import cells_of, pooled_sums
from protocols.statistics.menu import finish, plan_statistic
from protocols.statistics.plan import ColumnFacts, Values

WINDOW_ROWS = 1 << 18
WIDE = Ring(2)
COLUMNS = ("age", "weight", "score")
LARGEST = 1000
OPEN = Thresholds(1, 1, 1, Fraction(1), "show", "never")


def windows(items):
    for start in range(0, items, WINDOW_ROWS):
        yield start, min(WINDOW_ROWS, items - start)


def operands(seat, start, count, bound):
    """A window's two columns in the clear, and this party's shares of them."""
    clear = [numbers(f"{name} {start}".encode(), count, bound) for name in "xy"]
    return clear, [own_share(seat, column, f"{start} {k}") for k, column in enumerate(clear)]


def multiplying(seat, items):
    """The sum of all products."""
    expected = 0

    def run(at):
        nonlocal expected
        total = RING.zeros(())
        for start, count in windows(items):
            clear, mine = operands(at, start, count, 1000)
            products = yield from multiply(at.fork(f"window {start}"), RING, *mine)
            total = RING.add(total, RING.sum(products))
            expected += int(clear[0] @ clear[1])
        return total

    def error(at, total):
        opened = yield from open_ring(at, RING, total.reshape(1, 1))
        return abs(int(opened.view(np.int64)[0, 0]) - expected)

    return Work(run, error)


def comparing(seat, items):
    """In place i of 64, whether an odd number of rows i, i + 64, ... are less."""
    expected = np.zeros(64, np.uint8)

    def run(at):
        nonlocal expected
        folded = np.zeros(64, np.uint8)
        for start, count in windows(items):
            clear, mine = operands(at, start, count, 10**6)
            less = yield from less_than(at.fork(f"window {start}"), RING, *mine)
            folded ^= parities(less)
            expected ^= parities(clear[0] < clear[1])
        return folded

    def error(at, folded):
        opened = yield from open_bits(at, folded)
        return int(np.count_nonzero(opened != expected))

    return Work(run, error)


def parities(bits):
    padded = np.zeros(-(-len(bits) // 64) * 64, np.uint8)
    padded[: len(bits)] = bits
    return np.bitwise_xor.reduce(padded.reshape(-1, 64))


def describing(seat, items):
    """`describe` of three columns of every party's own rows, pooled; items are rows a party."""
    facts = {
        name: ColumnFacts(("rows", name), "integer", Decimal(0), Decimal(LARGEST), None, ())
        for name in COLUMNS
    }
    parties = len(seat.parties)
    plan = plan_statistic(
        "asked", "describe", {"columns": list(COLUMNS)}, facts, OPEN, max(items, 64) * parties,
        parties, False, ("rows",),
    )  # fmt: skip

    def drawn(party, start, count):
        return {name: numbers(f"{party} {name} {start}".encode(), count, 500) for name in COLUMNS}

    def run(at):
        parts = []
        for start, count in windows(items):
            whole = np.zeros(count, np.bool_)
            rows = drawn(at.me, start, count)
            values = {facts[n].key: Values(rows[n] + 500, whole) for n in COLUMNS}
            parts.append(pooled_sums(plan, values, ~whole))
        cells = cells_of(plan, items, parts)
        flat = [integer for unit in plan.units for integer in cells[unit.name]]
        return (yield from pooled_sum(at, WIDE, WIDE.from_ints(flat)))

    def error(at, opened):
        yield from ()
        flat = iter(WIDE.to_ints(opened))
        sums = {unit.name: [next(flat) for _ in unit.cells][: unit.opens] for unit in plan.units}
        found = {row["column"]: row["mean"] for row in finish(plan, sums).table}
        totals = dict.fromkeys(COLUMNS, 0)
        for party in at.parties:
            for start, count in windows(items):
                for name, column in drawn(party, start, count).items():
                    totals[name] += int(column.sum()) + 500 * count
        return max(abs(found[n] - totals[n] / (items * parties)) for n in COLUMNS)

    return Work(run, error)


OPERATIONS = {
    "multiply in windows": multiplying,
    "less_than in windows": comparing,
    "describe in windows": describing,
}
