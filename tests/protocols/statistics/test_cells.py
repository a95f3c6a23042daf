from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draw

from protocols.statistics.cells import features, linked_layout, pooled_cells
from protocols.statistics.plan import Values

MIXED = {
    "a": ("integer", -5, 300),
    "b": ("number", -1e3, 1e6),
    "c": ("number", 0, 1, 3),
    "g": ("category", ("p", "q", "r")),
}
KINDS = [
    ("describe", {"columns": ["a", "b", "c", "g"]}),
    ("describe", {"columns": ["b"], "by": "g"}),
    ("crosstab", {"rows": "g", "columns": "h"}),
    ("histogram", {"column": "b", "edges": [0.0, 10.0, 1e5]}),
    ("anova", {"column": "b", "by": "g"}),
    ("correlation", {"columns": ["a", "b", "c"]}),
    ("linear_model", {"response": "b", "terms": [("a", False), ("c", False), ("g", True)]}),
]


def mixed(seed, rows):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "a": random.integers(-5, 300, rows).astype(float),
            "b": random.uniform(-1e3, 1e6, rows),
            "c": random.integers(0, 1000, rows) / 1000,
            "g": random.choice(["p", "q", "r"], rows),
        }
    )
    for name in frame:
        frame.loc[random.random(rows) < 0.1, name] = None
    frame["h"] = random.random(rows) < 0.3
    return frame


@pytest.mark.parametrize(("kind", "parameters"), KINDS)
@settings(max_examples=15, deadline=None)
@given(seed=draw.integers(0, 2**32), rows=draw.integers(0, 80), data=draw.data())
def test_sums_are_the_same_integers_however_rows_are_split(
    asked, kind, parameters, seed, rows, data
):
    frame = mixed(seed, rows)
    members = data.draw(draw.lists(draw.integers(0, 3), min_size=rows, max_size=rows))
    whole = asked({**MIXED, "h": ("boolean",)}, kind, parameters)
    parts = [frame[np.array(members, dtype=int) == member] for member in range(4)]
    together, apart = whole.sums([frame]), whole.sums(parts)
    for unit in whole.plan().units:
        for cell, one, other in zip(unit.cells, together[unit.name], apart[unit.name], strict=True):
            assert abs(one) < 2**126
            if cell.of_members:
                assert (one > 0) == (other > 0)
                assert other <= len(parts)
            else:
                assert one == other


@settings(max_examples=40, deadline=None)
@given(
    values=draw.lists(draw.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=30),
    low=draw.sampled_from([-1e6, -3e6]),
)
def test_opened_powers_are_within_their_bounds_of_the_true_sums(asked, values, low):
    whole = asked({"x": ("number", low, 1e6)}, "describe", {"columns": ["x"]})
    plan = whole.plan()
    centre = next(iter(plan.encodings.values())).centre
    sums = powers_of(whole.sums([pd.DataFrame({"x": values})]))
    cells = [*plan.unit("x").opened, *plan.unit("shape of x").opened[1:]]
    assert len(cells) == len(sums) == 5
    for power, cell in enumerate(cells):
        true = sum((Fraction(v) - centre) ** power for v in values)
        assert abs(sums[power] * cell.scale - true) <= len(values) * cell.row_error * cell.scale


def powers_of(sums):
    """n and the first four powers, of which the last two open with a unit of their own."""
    return [*sums["x"][:3], *sums["shape of x"][1:3]]


def test_columns_with_decimals_are_exact_to_the_fourth_power(asked):
    cents = [1, 250, 99_999, 0, 100_000, 33]
    frame = pd.DataFrame({"x": [c / 100 for c in cents]})
    whole = asked({"x": ("number", 0, 1000, 2)}, "describe", {"columns": ["x"]})
    assert powers_of(whole.sums([frame])) == [
        sum((c - 50_000) ** k for c in cents) for k in range(5)
    ]


def test_sums_past_64_bits_do_not_wrap(asked):
    frame = pd.DataFrame({"x": [2**60] * 40_000, "y": [-(2**60)] * 40_000})
    bounds = ("integer", -(2**60), 2**60)
    whole = asked(
        {"x": bounds, "y": bounds}, "correlation", {"columns": ["x", "y"]}, rows_max=2**17
    )
    sums = dict(
        zip(
            [c.name for c in whole.plan().unit("main").cells],
            whole.sums([frame])["main"],
            strict=True,
        )
    )
    assert sums["sum x"] == 40_000 * 2**60
    cell = next(c for c in whole.plan().unit("main").cells if c.name == "sum x * y")
    assert sums["sum x * y"] * cell.scale == -40_000 * 2**120


@pytest.mark.parametrize("beyond", [-1.0, 10.5, 1e300, float("inf"), float("nan")])
@pytest.mark.parametrize("spec", [("number", 0, 10), ("number", 0, 10, 1)])
def test_a_value_outside_its_bounds_never_reaches_a_sum(asked, beyond, spec):
    whole = asked({"x": spec}, "describe", {"columns": ["x"]})
    rows = {("patients", "x"): Values(np.array([1.0, beyond]), np.zeros(2, dtype=bool))}
    with pytest.raises(ValueError, match="column x: a value outside the declared bounds") as caught:
        pooled_cells(whole.plan(), rows, np.ones(2, dtype=bool))
    assert str(beyond) not in str(caught.value)


def test_more_rows_than_declared_never_reach_a_sum(asked):
    whole = asked({}, "count", {}, rows_max=3, members=1)
    with pytest.raises(ValueError, match="more rows than the declared bound of 3"):
        whole.sums([pd.DataFrame({"x": range(4)})])


def test_values_never_show_themselves():
    assert repr(Values(np.array([41, 43]), np.zeros(2, dtype=bool))) == "Values(<private>)"


LINKED = {
    "patients": {
        "age": ("integer", 0, 120),
        "sex": ("category", ("m", "f")),
        "bmi": ("number", 10, 70, 1),
    },
    "labs": {"crp": ("number", 0, 500, 1), "high": ("boolean",), "x": ("number", -1, 1)},
    "drugs": {"dose": ("integer", 0, 40)},
}
LINKED_KINDS = [
    ("count", {"by": "patients.sex"}),
    ("describe", {"columns": ["patients.age", "labs.crp", "labs.x"], "by": "labs.high"}),
    ("crosstab", {"rows": "patients.sex", "columns": "labs.high"}),
    ("t_test", {"column": "labs.crp", "by": "patients.sex"}),
    ("anova", {"column": "drugs.dose", "by": "patients.sex"}),
    ("histogram", {"column": "labs.crp", "edges": [0, 100, 300, 500]}),
    ("correlation", {"columns": ["patients.age", "labs.crp", "drugs.dose"]}),
    (
        "linear_model",
        {
            "response": "labs.crp",
            "terms": [
                (("patients.age", False),),
                (("patients.sex", True),),
                (("patients.sex", True), ("drugs.dose", False)),
            ],
        },
    ),
]


def linked_frames(rows=120):
    random = np.random.default_rng(11)
    frames = {
        "patients": pd.DataFrame(
            {
                "age": random.integers(0, 121, rows).astype(float),
                "sex": random.choice(["m", "f"], rows),
                "bmi": random.integers(100, 701, rows) / 10,
            }
        ),
        "labs": pd.DataFrame(
            {
                "crp": random.integers(0, 5001, rows) / 10,
                "high": random.random(rows) < 0.4,
                "x": random.uniform(-1, 1, rows),
            }
        ),
        "drugs": pd.DataFrame({"dose": random.integers(0, 41, rows).astype(float)}),
    }
    for frame, name in (("patients", "age"), ("labs", "crp"), ("drugs", "dose")):
        frames[frame].loc[random.random(rows) < 0.15, name] = None
    return frames


@pytest.mark.parametrize(("kind", "parameters"), LINKED_KINDS)
def test_products_of_features_sum_to_the_cells_of_the_joined_table(asked, joined, kind, parameters):
    frames = linked_frames()
    keep = {
        "patients": np.arange(120) % 11 != 0,
        "labs": np.arange(120) % 7 != 0,
        "drugs": np.ones(120, dtype=bool),
    }
    linked = joined(LINKED, kind, parameters)
    table = pd.concat([frames[a].add_prefix(f"{a}.") for a in LINKED], axis=1)
    specs = {f"{a}.{name}": spec for a, columns in LINKED.items() for name, spec in columns.items()}
    pooled = asked(specs, kind, parameters, rows_max=1 << 12, members=1)
    expected = pooled.sums([table[keep["patients"] & keep["labs"]]])
    found = linked.sums(frames, keep)
    for unit, whole in zip(linked.plan().units, pooled.plan().units, strict=True):
        assert unit.name.replace("patients.", "").replace("labs.", "") is not None
        counted = [c for c in whole.cells if not c.of_members]
        pairs = zip(unit.cells, counted, found[unit.name], expected[whole.name], strict=False)
        for cell, other, one, two in pairs:
            distance = abs(one * cell.scale - two * other.scale)
            errors = cell.row_error * cell.scale + other.row_error * other.scale
            assert distance <= len(table) * errors
            assert abs(one) < 2**126


@pytest.mark.parametrize(("kind", "parameters"), LINKED_KINDS)
def test_features_keep_their_declared_widths(joined, kind, parameters):
    plan = joined(LINKED, kind, parameters).plan()
    layout = linked_layout(plan)
    frames = linked_frames()
    for alias, listed in layout.features.items():
        assert (listed[0].factors, listed[0].complete, listed[0].bits) == ((), (), 1)
        assert len(set(listed)) == len(listed)
        rows = {
            (alias, name): values for name, values in joined_values(alias, frames[alias]).items()
        }
        table = features(plan, alias, rows, np.ones(120, dtype=bool))
        assert table.shape == (120, len(listed))
        for feature, column in zip(listed, table.T, strict=True):
            assert feature.bits <= 63
            assert np.abs(column).max() <= feature.bound
            assert feature.signed or column.min() >= 0


def joined_values(alias, frame):
    codes = {"m": 0, "f": 1}
    return {
        name: Values(
            (frame[name].map(codes) if name == "sex" else frame[name].fillna(0)).to_numpy(
                np.int64 if name in ("sex", "high") else np.float64
            ),
            frame[name].isna().to_numpy(),
        )
        for name in frame
    }


def test_left_out_of_a_linked_statistic_counts_linked_rows_only(joined):
    frames = linked_frames()
    keep = {a: np.ones(120, dtype=bool) for a in LINKED}
    keep["labs"] = np.arange(120) % 3 == 0
    ask = {"column": "labs.crp", "by": "patients.sex"}
    answer = joined(LINKED, "t_test", ask).answer(frames, keep)
    missing = frames["labs"]["crp"][keep["labs"]].isna().sum()
    assert (answer.n, answer.left_out) == (keep["labs"].sum() - missing, missing)


def test_features_are_shared_between_units(joined):
    columns = ["patients.age", "labs.crp", "drugs.dose"]
    layout = linked_layout(joined(LINKED, "correlation", {"columns": columns}).plan())
    sizes = {alias: len(listed) for alias, listed in layout.features.items()}
    assert sizes == {"patients": 4, "labs": 4, "drugs": 4}  # where, complete, value, square
