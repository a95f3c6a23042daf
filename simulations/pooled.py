"""The demo's answers as one table would give them: pandas and SciPy, for comparison only.

Each function takes the pooled frame that no organisation has, and returns (statistic, measure) ->
number. The names of the measures are those of the interface.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simulations.lung import Split

__all__ = ["Comparison", "compare", "linked_values", "pooled_values"]

from dataclasses import dataclass

Measures = dict[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number of the joint answer beside its pooled value."""

    statistic: str
    measure: str
    joint: float | None
    pooled: float

    @property
    def difference(self) -> float:
        """Relative to the pooled value; infinite where the joint answer lacks the number."""
        if self.joint is None:
            return float("inf")
        return abs(self.joint - self.pooled) / max(abs(self.pooled), 1e-300)


def pooled_values(parts: Split) -> Measures:
    """The first study: three hospitals."""
    import numpy as np
    import pandas as pd
    from scipy import stats

    frame = parts.pooled
    found: Measures = {("ages", "n"): len(frame)}
    found["ages", "mean"] = frame["age"].mean()
    found["ages", "sd"] = frame["age"].std()
    found["ages", "skewness"] = stats.skew(frame["age"])
    men, women = _groups(frame, "age")
    found |= _t_test("age_by_sex", men, women)
    edges = [30, 50, 60, 70, 90]
    counts = np.histogram(frame["age"], edges)[0]
    found |= {
        ("age_bins", f"{low} to {high}"): int(count)
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    }
    table = pd.crosstab(frame["sex"], frame["status"])
    chi2 = stats.chi2_contingency(table, correction=False)
    found["sex_and_status", "chi2"] = chi2.statistic
    found["sex_and_status", "p_value"] = chi2.pvalue
    return found | _model("time_by_age_and_sex", frame, "time")


def linked_values(parts: Split) -> Measures:
    """The second study: the hospitals' patients with the laboratory's columns."""
    from scipy import stats

    frame = parts.pooled
    found: Measures = {("linked_patients", "n"): len(frame)}
    both = frame.dropna(subset=["wt_loss"])
    found["age_and_weight_loss", "n"] = len(both)
    found["age_and_weight_loss", "r"] = stats.pearsonr(both["age"], both["wt_loss"]).statistic
    men, women = _groups(both, "wt_loss")
    found |= _t_test("weight_loss_by_sex", men, women)
    return found | _model("calories", frame.dropna(subset=["meal_cal"]), "meal_cal")


def compare(answer: Mapping[str, Any], pooled: Measures) -> list[Comparison]:
    """Each pooled value beside the joint one."""
    return [
        Comparison(name, measure, _measure(answer["statistics"][name], measure), float(value))
        for (name, measure), value in pooled.items()
    ]


def _measure(one: Mapping[str, Any], measure: str) -> float | None:
    """The joint number of this measure: a value, or a cell of the table."""
    if measure == "n":
        return one["n"]  # type: ignore[no-any-return]
    if measure in one["values"]:
        return one["values"][measure]  # type: ignore[no-any-return]
    return next((value for key, value in _cells(one) if key == measure), None)


def _cells(one: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    for row in one["table"]:
        if one["kind"] == "histogram":
            yield f"{row['low']:g} to {row['high']:g}", row["count"]
        elif one["kind"] == "linear_model":
            yield f"{row['term']} estimate", row["estimate"]
            yield f"{row['term']} std_error", row["std_error"]
        elif one["kind"] == "correlation":
            if row["a"] != row["b"]:
                yield "r", row["r"]
        else:
            yield from row.items()


def _groups(frame: Any, column: str) -> tuple[Any, Any]:
    values = frame[column].astype(float)
    return values[frame["sex"] == "male"], values[frame["sex"] == "female"]


def _t_test(name: str, men: Any, women: Any) -> Measures:
    from scipy import stats

    result = stats.ttest_ind(men, women, equal_var=False)
    return {
        (name, "t"): result.statistic,
        (name, "p_value"): result.pvalue,
        (name, "difference"): men.mean() - women.mean(),
    }


def _model(name: str, frame: Any, response: str) -> Measures:
    """Least squares of the response on age and sex (male is the reference)."""
    import numpy as np

    y = frame[response].astype(float).to_numpy()
    female = (frame["sex"] == "female").astype(float).to_numpy()
    x = np.column_stack([np.ones(len(y)), frame["age"].astype(float).to_numpy(), female])
    inverse = np.linalg.inv(x.T @ x)
    estimate = inverse @ x.T @ y
    residuals = y - x @ estimate
    errors = np.sqrt(np.diag(inverse) * (residuals @ residuals) / (len(y) - x.shape[1]))
    found: Measures = {(name, "n"): len(y)}
    for place, term in enumerate(("(intercept)", "age", "sex[female]")):
        found[name, f"{term} estimate"] = estimate[place]
        found[name, f"{term} std_error"] = errors[place]
    return found
