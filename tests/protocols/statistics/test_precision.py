import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from protocols.statistics.distribution import root
from protocols.statistics.elimination import inverse
from protocols.statistics.precision import EXACT, RELATIVE_MAX, Bounded, worst_error

WIDE = [(-1, 1), (-1000, 1000), (-1e6, 3e6)]


def exact_moments(values):
    x = [Fraction(v) for v in values]
    n = len(x)
    mean = sum(x) / n
    m2, m3, m4 = (sum((v - mean) ** k for v in x) / n for k in (2, 3, 4))
    var = m2 * n / (n - 1)
    return {
        "mean": mean,
        "var": var,
        "sd": root(var),
        "skewness": m3 / (m2 * root(m2)),
        "kurtosis": m4 / m2**2 - 3,
    }


def printed(sentence):
    return float(re.search(r"largest relative error ([0-9.e+-]+) ", sentence)[1])


@pytest.mark.parametrize("bounds", WIDE)
@pytest.mark.parametrize("seed", range(6))
def test_the_printed_bound_of_describe_is_never_too_small(asked, bounds, seed):
    values = np.random.default_rng(seed).normal(0.3, 0.1, 50).clip(-1, 1)
    whole = asked({"x": ("number", *bounds)}, "describe", {"columns": ["x"]})
    answer = whole.answer(pd.DataFrame({"x": values}))
    worst = 0.0
    for name, true in exact_moments(values).items():
        shown = answer.table[0][name]
        assert shown is not None
        error = abs(Fraction(shown) - true)
        assert error <= Fraction(answer.bounds[f"{name} of x"])
        if answer.bounds[f"{name} of x"] <= 1e-3 * abs(shown):
            worst = max(worst, float(error / abs(true)))
    if "largest relative error" in answer.precision:
        assert worst <= printed(answer.precision)


@pytest.mark.parametrize("bounds", WIDE)
@pytest.mark.parametrize("seed", range(4))
def test_the_printed_bound_of_a_model_is_never_too_small(asked, bounds, seed):
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (60, 2))
    y = (0.2 + x @ [0.1, -0.3] + random.normal(0, 0.1, 60)).clip(-1, 1)
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y})
    specs = dict.fromkeys("aby", ("number", *bounds))
    ask = {"response": "y", "terms": [("a", False), ("b", False)]}
    answer = asked(specs, "linear_model", ask).answer(frame)
    design = [[Fraction(1), Fraction(a), Fraction(b)] for a, b in x]
    gram = [[sum(r[i] * r[j] for r in design) for j in range(3)] for i in range(3)]
    right = [sum(r[i] * Fraction(v) for r, v in zip(design, y, strict=True)) for i in range(3)]
    solved = inverse(gram)
    true = [sum(solved[i][k] * right[k] for k in range(3)) for i in range(3)]
    rss = sum(
        (Fraction(v) - sum(t * c for t, c in zip(true, r, strict=True))) ** 2
        for r, v in zip(design, y, strict=True)
    )
    for place, line in enumerate(answer.table):
        bounds_of = {
            part: answer.bounds[f"{part} of {line['term']}"] for part in line if part != "term"
        }
        assert abs(Fraction(line["estimate"]) - true[place]) <= bounds_of["estimate"]
        deviation = root(rss / 57 * solved[place][place])
        assert abs(Fraction(line["std_error"]) - deviation) <= bounds_of["std_error"]
        assert abs(Fraction(line["statistic"]) - true[place] / deviation) <= bounds_of["statistic"]


@pytest.mark.parametrize("seed", range(4))
def test_the_printed_bound_of_a_correlation_and_a_t_is_never_too_small(asked, seed):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": random.uniform(0, 1, 40), "y": random.uniform(0, 1, 40)})
    frame["g"] = random.random(40) < 0.5
    specs = {"x": ("number", -50, 50), "y": ("number", 0, 1), "g": ("boolean",)}
    answer = asked(specs, "correlation", {"columns": ["x", "y"]}).answer(frame)
    x, y = ([Fraction(v) for v in frame[name]] for name in "xy")
    mx, my = sum(x) / 40, sum(y) / 40
    sxy = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    r = sxy / root(sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y))
    assert abs(Fraction(answer.table[0]["r"]) - r) <= answer.bounds["r of x and y"]
    test = asked(specs, "t_test", {"column": "x", "by": "g"}).answer(frame)
    groups = [
        [v for v, g in zip(x, frame["g"], strict=True) if g == level] for level in (False, True)
    ]
    means = [sum(g) / len(g) for g in groups]
    spread = sum(
        sum((v - m) ** 2 for v in g) / (len(g) - 1) / len(g)
        for g, m in zip(groups, means, strict=True)
    )
    t = (means[0] - means[1]) / root(spread)
    assert abs(Fraction(test.values["t"]) - t) <= test.bounds["t"]
    assert test.bounds["t"] > 0


def test_a_spread_below_the_resolution_is_withheld_not_printed(asked):
    values = 0.3 + np.arange(20) * 1e-12
    whole = asked({"x": ("number", -1e6, 3e6)}, "describe", {"columns": ["x"]})
    answer = whole.answer(pd.DataFrame({"x": values}))
    assert answer.table[0]["sd"] is answer.table[0]["skewness"] is None
    assert answer.table[0]["mean"] == pytest.approx(0.3, abs=1e-9)


def test_whole_numbers_are_called_exact(asked, lung, lung_specs):
    answer = asked(lung_specs("age"), "describe", {"columns": ["age"]}).answer(lung)
    assert answer.precision == "exact: sums of integers; only the last division rounds"
    assert set(answer.bounds.values()) == {0.0}


@pytest.mark.parametrize(
    "value", [Fraction(2), Fraction(1, 3), Fraction(10**400), Fraction(1, 10**400)]
)
def test_roots_are_good_to_220_bits(value):
    assert abs(root(value) ** 2 / value - 1) < Fraction(1, 2**218)
    assert root(Fraction(0)) == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_printed_bound_of_an_interaction_is_never_too_small(asked, seed):
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (60, 2))
    y = (x[:, 0] * x[:, 1] / 2 + random.normal(0, 0.1, 60)).clip(-1, 1)
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y})
    specs = {"a": ("number", -100, 300), "b": ("number", -1, 1), "y": ("number", -1, 1)}
    ask = {"response": "y", "terms": [("a", False), (("a", False), ("b", False))]}
    answer = asked(specs, "linear_model", ask).answer(frame)
    design = [[Fraction(1), Fraction(a), Fraction(a) * Fraction(b)] for a, b in x]
    solved = inverse([[sum(r[i] * r[j] for r in design) for j in range(3)] for i in range(3)])
    right = [sum(r[i] * Fraction(v) for r, v in zip(design, y, strict=True)) for i in range(3)]
    for place, line in enumerate(answer.table):
        true = sum(solved[place][k] * right[k] for k in range(3))
        bound = answer.bounds[f"estimate of {line['term']}"]
        assert abs(Fraction(line["estimate"]) - true) <= bound < 1e-6


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_a_model_of_any_magnitude_is_fitted_with_its_bound(asked, scale):
    random = np.random.default_rng(2)
    frame = pd.DataFrame({"a": random.uniform(0, 1, 40), "y": random.uniform(0, 1, 40)})
    ask = {"response": "y", "terms": [("a", False)]}
    specs = dict.fromkeys("ay", ("number", 0, 1))
    plain = asked(specs, "linear_model", ask).answer(frame)
    frame["a"] *= scale
    large = asked({**specs, "a": ("number", 0, scale)}, "linear_model", ask).answer(frame)
    line, other = plain.table[1], large.table[1]
    assert other["estimate"] * scale == pytest.approx(line["estimate"], rel=1e-9)
    assert other["p_value"] == pytest.approx(line["p_value"], rel=1e-9)
    assert large.bounds["estimate of a"] <= 1e-12 * abs(other["estimate"])


def test_a_number_less_certain_than_its_limit_is_named_with_its_own_bound():
    known = Bounded(Fraction(4), 4 * RELATIVE_MAX)
    vague = Bounded(Fraction(4), 4 * RELATIVE_MAX + Fraction(1, 10**9))
    assert worst_error({"t": known}).count("largest relative error 1.0e-03 (in t)") == 1
    assert "t is within 4.2e-03" in worst_error({"t": vague})
    assert worst_error({"t": Bounded(Fraction(4), Fraction(0))}) == EXACT
