"""Pooled quantiles by bisection, against NumPy on the pooled rows."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.abort import Inconsistent, Suspected
from protocols.kernels.registry import KERNELS
from protocols.order.quantile import (
    ABOVE,
    BELOW,
    INVERSE,
    POINTS_MAX,
    WAYS_MAX,
    Grid,
    Ladder,
    Quantile,
    interpolated,
    ladder,
    levels,
    neighbours,
    quantile_needs,
    quantiles,
)
from protocols.party import Trace, play

FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
GRID = Grid(-8, 1, 32)
QUARTERS = [Fraction(k, 4) for k in (1, 2, 3)]


def inverse(column, q):
    return Quantile(column, q.numerator, q.denominator, INVERSE)


def counted(grid, values, weights=None):
    (counts,) = (
        KERNELS["order.ladder"].portable(grid.lowest, grid.step, grid.points, values, weights),
    )
    return Ladder(grid, counts)


def ask(seats, columns, grids, questions, ways=16, extremes=False, trace=None, total=4096, **run):
    """columns: for each party, one array a column."""

    def one(seat, own):
        made = []
        for grid, values in zip(grids, own, strict=True):
            made.append((yield from ladder(grid, np.asarray(values, np.int64), None)))
        return (yield from quantiles(seat, made, questions, total, ways, extremes))

    found = play(
        {p: one(s, own) for (p, s), own in zip(sorted(seats.items()), columns, strict=True)},
        trace,
        **run,
    )
    answers = list(found.values())
    assert all(answer == answers[0] for answer in answers)
    return answers[0]


def plain(values, q):
    return int(np.quantile(np.asarray(values), float(q), method="inverted_cdf"))


@pytest.mark.parametrize(
    ("count", "ways"), [*((count, 16) for count in range(2, 11)), (2, 2), (3, 2), (3, 3)]
)
def test_quartiles_of_the_pooled_rows(connected, count, ways):
    rng = np.random.default_rng(count)
    columns = [[rng.integers(-8, 24, rng.integers(0, 9))] for _ in range(count)]
    pooled = np.concatenate([own[0] for own in columns] + [[3]])
    columns[0][0] = np.append(columns[0][0], 3)
    found = ask(connected(count), columns, [GRID], [inverse(0, q) for q in QUARTERS], ways)
    assert found == [plain(pooled, q) for q in QUARTERS]


@FEW
@given(st.data())
def test_any_rows_and_any_quantile(connected, data):
    """All order statistics of any rows, ties and lone rows among them."""
    rows = st.lists(st.integers(-8, 23), max_size=9)
    columns = [[data.draw(rows)], [data.draw(rows)], [data.draw(rows.filter(bool))]]
    pooled = sorted(value for own in columns for value in own[0])
    den = data.draw(st.integers(1, 40))
    q = Fraction(data.draw(st.integers(0, den)), den)
    questions = [inverse(0, q), *neighbours(0, q)]
    found = ask(connected(3), columns, [GRID], questions, extremes=True)
    rank = max(1, -(-q.numerator * len(pooled) // q.denominator))
    place = (len(pooled) - 1) * q
    assert found[0] == pooled[rank - 1]
    assert found[1] == pooled[place.__floor__()]
    assert found[2] == pooled[place.__ceil__()]
    linear = np.quantile(np.array(pooled, float), float(q))
    assert float(interpolated(*found[1:], q, len(pooled))) == pytest.approx(linear, abs=1e-9)


@pytest.mark.parametrize("rows", [[[5], [], []], [[], [], [5, 5]], [[5] * 9, [5] * 2, [5]]])
def test_one_row_an_empty_party_and_rows_all_equal(connected, rows):
    questions = [inverse(0, q) for q in QUARTERS] + list(neighbours(0, Fraction(1, 2)))
    assert ask(connected(3), [[own] for own in rows], [GRID], questions) == [5] * 5


def test_all_columns_and_quantiles_go_side_by_side(connected):
    rng = np.random.default_rng(5)
    grids = [Grid(0, 1, 100), Grid(-500, 10, 101), Grid(7, 1, 1)]
    columns = [
        [rng.integers(0, 100, 50), rng.integers(-50, 51, 70) * 10, [7] * 5] for _ in range(2)
    ]
    questions = [inverse(k, q) for k in (1, 0, 2) for q in QUARTERS]
    trace, alone = Trace(), Trace()
    found = ask(connected(2), columns, grids, questions, 4, trace=trace)
    wanted = [
        plain(np.concatenate([own[k] for own in columns]), q) for k in (1, 0, 2) for q in QUARTERS
    ]
    assert found == wanted
    ask(connected(2), columns, grids, questions[:1], 4, trace=alone)
    assert trace.rounds == alone.rounds


def test_a_value_between_points_comes_out_at_the_point_above(connected):
    columns = [[[11, 12, 13]], [[999, -999]]]
    grid = Grid(0, 10, 11)
    questions = [inverse(0, Fraction(k, 5)) for k in (1, 2, 4, 5)]
    assert ask(connected(2), columns, [grid], questions, extremes=True) == [0, 20, 20, 100]


@pytest.mark.parametrize("value", [-(2**62), 2**62])
def test_a_grid_may_stand_at_the_ends_of_64_bits(connected, value):
    grid = Grid(-(2**62), 2**56, 128)
    assert ask(connected(2), [[[value]], [[]]], [grid], [inverse(0, Fraction(1, 2))]) == [
        min(value, grid.highest)
    ]


def test_weights_that_would_wrap_around_are_refused():
    values = np.zeros(4, np.int64)
    with pytest.raises(ValueError, match="add up to 18446744073709551616"):
        next(ladder(GRID, values, np.full(4, 1 << 62)))
    half = Ladder(GRID, np.full(GRID.points, 1 << 61))
    with pytest.raises(ValueError, match="less than 2"):
        half.add(half)


def test_weights_count_as_so_many_rows(connected):
    rng = np.random.default_rng(8)
    values, weights = rng.integers(-8, 24, (2, 20)), rng.integers(0, 6, (2, 20))

    def one(seat, row):
        made = yield from ladder(GRID, values[row], weights[row])
        return (
            yield from quantiles(seat, [made], [inverse(0, q) for q in QUARTERS], 500, 16, False)
        )

    seats = connected(2)
    found = play({"a": one(seats["a"], 0), "b": one(seats["b"], 1)})
    pooled = np.repeat(values.reshape(-1), weights.reshape(-1))
    assert found["a"] == found["b"] == [plain(pooled, q) for q in QUARTERS]


def test_a_finer_grid_within_a_cell_gives_the_rest_of_the_digits(connected):
    columns = [[[123_456_789, 1]], [[987_654_321, 123_456_790]]]
    question = inverse(0, Fraction(1, 2))
    coarse = Grid(0, 1 << 16, 1 << 14)
    (cell,) = ask(connected(2), columns, [coarse], [question])
    fine = Grid(cell - (1 << 16) + 1, 1, 1 << 16)
    assert ask(connected(2), columns, [fine], [question]) == [123_456_789]


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("weighted", [False, True])
def test_ladders_of_both_kernels_and_of_windows_agree(monkeypatch, step, weighted):
    monkeypatch.setattr("protocols.order.quantile.ROWS_A_BLOCK", 100)
    rng = np.random.default_rng(2)
    grid = Grid(-50, step, 40)
    values = rng.integers(-400, 400, 1001)
    weights = rng.integers(0, 5, 1001) if weighted else None
    kernel = KERNELS["order.ladder"]
    places = (grid.lowest, grid.step, grid.points)
    whole = kernel.run(*places, values, weights)
    assert np.array_equal(whole, kernel.portable(*places, values, weights))
    first, second = (
        counted(grid, values[part], None if weights is None else weights[part])
        for part in (slice(0, 300), slice(300, None))
    )
    assert np.array_equal(first.add(second).counts, whole)
    assert "redacted" in repr(first)
    with pytest.raises(ValueError, match="two grids"):
        first.add(counted(GRID, values))


@pytest.mark.parametrize("ways", [2, 16])
def test_the_bits_that_open_follow_from_the_answer(connected, ways):
    """Rows that differ in number and place, with one answer, open the same bits."""

    def opened(columns):
        trace = Trace()
        found = ask(connected(2), columns, [GRID], [inverse(0, Fraction(1, 2))], ways, trace=trace)
        halves = [[v for s, _, n, v in trace.said if n == "bits" and s == p] for p in "ab"]
        return found, [int((x ^ y)[0]) for x, y in zip(*halves, strict=True)]

    seen = [opened(c) for c in ([[[5]], [[]]], [[[5, 9, 9]], [[5, 5, 1, 2]]], [[[5] * 60], [[23]]])]
    assert seen[0] == seen[1] == seen[2]
    found, bits = seen[0]
    tested, first, size = [], 0, GRID.points
    while size > 1:
        step = -(-size // ways)
        tests = range(first + step - 1, first + size - 1, step)
        tested.append(sum(int(found[0] <= GRID.value(t)) << k for k, t in enumerate(tests)))
        first, size = first + step * sum(found[0] > GRID.value(t) for t in tests), step
    assert bits == tested


@pytest.mark.parametrize(("count", "honest"), [(2, "a"), (2, "b"), (3, "b")])
def test_all_but_one_see_nothing_but_the_answer(largest_gap, count, honest):
    """Two honest parties' rows of one answer look alike, bit by bit."""

    def make(table, honest, value):
        def one(seat):
            own = np.array(value if seat.me == honest else [5, 4, 6], np.int64)
            made = yield from ladder(Grid(0, 1, 8), own, None)
            return (yield from quantiles(seat, [made], [inverse(0, Fraction(1, 2))], 30, 3, False))

        return {p: one(s) for p, s in table.items()}

    assert largest_gap(make, honest, ([5], [0, 1, 5, 7, 7]), count) < 6


@pytest.mark.parametrize("count", [2, 3, 5])
def test_what_is_drawn_is_what_is_declared(connected, stocked, count):
    questions = [inverse(0, Fraction(1, 2)), inverse(1, Fraction(1, 3))]
    grids = [Grid(0, 1, 1000), Grid(0, 1, 33)]
    needs = quantile_needs(count, [1000, 33], questions, 4096, 4)
    seats = stocked(connected(count), needs)
    trace = Trace()
    assert ask(seats, [[[1], [2]]] * count, grids, questions, 4, trace=trace) == [1, 2]
    assert {name for _, _, name, _ in trace.said} == {"masked", "bits"}
    assert all(s.stock.left("and") == s.stock.left("pair") == 0 for s in seats.values())


@pytest.mark.parametrize(("ways", "rounds"), [(2, 20), (16, 5), (64, 4)])
def test_a_grid_of_a_million_points_takes_so_many_levels(ways, rounds):
    assert levels(1 << 20, ways) == rounds


def test_the_rounds_are_those_of_the_head(connected):
    for count, saves in ((2, 0), (3, 1), (5, 3)):
        trace = Trace()
        ask(connected(count), [[[1]]] * count, [GRID], [inverse(0, Fraction(1, 2))], 2, trace=trace)
        depth = saves + 2 + 4  # bits - 1 = 14: 4096 rows, twice
        assert trace.rounds / count == 5 * depth + (2 if count == 2 else 4)


def refused(seat, columns, questions, **changes):
    given = {"total_max": 100, "ways": 16, "extremes": False} | changes
    return quantiles(seat, columns, questions, **given)


HALF = inverse(0, Fraction(1, 2))


@pytest.mark.parametrize(
    ("questions", "changes", "reason"),
    [
        ([inverse(0, Fraction(0))], {}, "some person's"),
        ([inverse(0, Fraction(1))], {}, "some person's"),
        ([inverse(1, Fraction(1, 2))], {}, "not there"),
        ([inverse(-1, Fraction(1, 2))], {}, "not there"),
        ([HALF], {"ways": 1}, "2 to"),
        ([HALF], {"ways": WAYS_MAX + 1}, "2 to"),
        ([HALF], {"total_max": 2}, "more than the declared"),
        ([HALF], {"total_max": 0}, "at least one row, not 0"),
        (
            [HALF],
            {"total_max": 2**61},
            "exceed 2.62; what would fit: counts to 2305843009213693950",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_said(
    connected, questions, changes, reason
):
    columns = [counted(GRID, np.array([1, 2, 3]))]
    with pytest.raises(ValueError, match=reason):
        next(refused(connected(2)["a"], columns, questions, **changes))


def test_a_grid_and_a_quantile_that_are_none_are_refused():
    Grid(0, 1, POINTS_MAX)
    for wrong in [
        (0, 1, POINTS_MAX + 1),
        (0, 1, 0),
        (0, 0, 5),
        (2**63 - 1, 1, 2),
        (-(2**63), 2**62, 4),
    ]:
        with pytest.raises(ValueError, match="grid"):
            Grid(*wrong)
    for wrong in [(0, -1, 2, INVERSE), (0, 3, 2, INVERSE), (0, 0, 0, BELOW), (0, 1, 2, "median")]:
        with pytest.raises(ValueError, match=r"quantile|order"):
            Quantile(*wrong)
    assert Quantile(0, 1, 2, ABOVE).offset == -1


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        (np.zeros(3), None),
        (np.zeros((3, 1), np.int64), None),
        (np.zeros(3, np.int64), np.ones(2, np.int64)),
        (np.zeros(3, np.int64), np.ones(3)),
        (np.zeros(3, np.int64), -np.ones(3, np.int64)),
    ],
)
def test_rows_of_another_type_are_refused(values, weights):
    with pytest.raises(ValueError, match=r"rows|weight"):
        next(ladder(GRID, values, weights))


@pytest.mark.parametrize("name", ["extend", "mend", "masked", "bits"])
def test_a_cut_message_names_its_sender(connected, name):
    def tamper(sender, _receiver, said, value):
        return value[:-1] if (sender, said) == ("c", name) else value

    with pytest.raises(Suspected) as caught:
        ask(connected(3), [[[1]]] * 3, [GRID], [HALF], tamper=tamper)
    assert caught.value.party == "c"


def test_bits_that_contradict_one_another_end_the_search(connected):
    def tamper(sender, _receiver, said, value):
        return value ^ np.uint64(2) if (sender, said) == ("b", "bits") else value

    with pytest.raises(Inconsistent, match="contradict"):
        ask(connected(2), [[[-8]], [[-8]]], [GRID], [HALF], tamper=tamper)
