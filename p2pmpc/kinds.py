"""Every kind of statistic and every parameter of the interface, whether built yet or not.

A word that stands here but is not built is refused by name (NotBuilt); a word that does not stand
here is a mistake (BadStudy). `protocols/statistics` computes what is built; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

__all__ = ["GROUPS", "KINDS", "NUMBERS", "Kind", "Parameter", "Value"]

Value = str | bool | int | Decimal | tuple[str, ...] | tuple[Decimal, ...] | None

NUMBERS = ("integer", "number", "time_to_event")
GROUPS = ("category", "boolean", "integer")
ANYTHING = ("integer", "number", "time_to_event", "date", "category", "boolean")
OUTCOMES = ("boolean", "category", "integer")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One word that a statistic takes.

    sort     column | columns | formula | right_side | number | share | numbers | whole | flag |
             word
    default  its value when left out; None with `needed` false means: not asked for
    types    dictionary types that its column may have; `use` what the dictionary must allow
    words    for sort word: all words; `built_words` those that are built
    instead  another parameter that makes this one needless
    """

    name: str
    sort: str
    needed: bool = False
    default: Value = None
    built: bool = True
    types: tuple[str, ...] = ANYTHING
    use: str = "aggregate"
    words: tuple[str, ...] = ()
    built_words: tuple[str, ...] = ()
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of statistic. `built` over pooled rows, `linked` over linked persons."""

    name: str
    parameters: tuple[Parameter, ...]
    built: bool
    linked: bool

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of this name; None where the kind has none."""
        return next((one for one in self.parameters if one.name == name), None)

    @property
    def words(self) -> tuple[str, ...]:
        """The parameters' names, as a study spells them."""
        return tuple(one.name for one in self.parameters)


def _column(name: str, types: tuple[str, ...], use: str = "aggregate") -> Parameter:
    return Parameter(name, "column", needed=True, types=types, use=use)


def _by(*, needed: bool, built: bool = True) -> Parameter:
    return Parameter("by", "column", needed=needed, types=GROUPS, use="group", built=built)


def _formula(sort: str = "formula") -> Parameter:
    return Parameter("formula", sort, needed=True, use="model")


def _word(name: str, words: tuple[str, ...], built: tuple[str, ...]) -> Parameter:
    return Parameter(name, "word", default=words[0], words=words, built_words=built)


def _strata(*, use: str = "group") -> Parameter:
    return Parameter("strata", "column", types=GROUPS, use=use, built=False)


CONFIDENCE = Parameter("confidence", "share", default=Decimal("0.95"))
ITERATES = _word("iterates", ("opened", "hidden"), ())
TIME = _column("time", NUMBERS)
EVENT = _column("event", OUTCOMES)
SCORE = _column("score", NUMBERS)
OUTCOME = _column("outcome", OUTCOMES)
OFFSET = Parameter("offset", "column", types=NUMBERS, use="model")


def _kinds() -> tuple[Kind, ...]:
    return (*_described(), *_compared(), *_modelled(), *_survived(), *_judged())


def _described() -> tuple[Kind, ...]:
    columns = Parameter("columns", "columns", needed=True)
    return (
        Kind("count", (_by(needed=False),), built=True, linked=True),
        Kind("describe", (columns, _by(needed=False)), built=True, linked=True),
        Kind(
            "quantiles",
            (
                _column("column", NUMBERS),
                Parameter("q", "numbers", needed=True),
                _by(needed=False),
            ),
            built=False,
            linked=False,
        ),
        Kind(
            "histogram",
            (
                _column("column", (*NUMBERS, "date")),
                Parameter("edges", "numbers", needed=True),
            ),
            built=True,
            linked=True,
        ),
        Kind(
            "crosstab",
            (
                _column("rows", GROUPS, "group"),
                _column("columns", GROUPS, "group"),
                _strata(),
                CONFIDENCE,
            ),
            built=True,
            linked=True,
        ),
        Kind("table1", (columns, _by(needed=True)), built=False, linked=False),
        Kind(
            "correlation",
            (
                Parameter("columns", "columns", needed=True, types=NUMBERS),
                _word("method", ("pearson", "spearman"), ("pearson",)),
                CONFIDENCE,
            ),
            built=True,
            linked=True,
        ),
    )


def _compared() -> tuple[Kind, ...]:
    column = _column("column", NUMBERS)
    ranks = (column, _by(needed=True))
    return (
        Kind(
            "t_test",
            (
                Parameter("column", "column", needed=True, types=NUMBERS, instead="columns"),
                Parameter(
                    "by", "column", needed=True, types=GROUPS, use="group", instead="columns"
                ),
                Parameter("columns", "columns", types=NUMBERS, built=False),
                Parameter("equal_var", "flag", default=False),
                Parameter("paired", "flag", default=False, built=False),
                CONFIDENCE,
            ),
            built=True,
            linked=True,
        ),
        Kind(
            "anova",
            (
                column,
                _by(needed=True),
                Parameter("welch", "flag", default=False),
                _word("levene_center", ("median", "mean"), ("median",)),
            ),
            built=True,
            linked=True,
        ),
        Kind("mann_whitney", ranks, built=False, linked=False),
        Kind("kruskal_wallis", ranks, built=False, linked=False),
        Kind("wilcoxon", ranks, built=False, linked=False),
    )


def _modelled() -> tuple[Kind, ...]:
    penalty = Parameter("penalty", "number", needed=True)
    counted = (_formula(), OFFSET, ITERATES, CONFIDENCE)
    return (
        Kind("linear_model", (_formula(), CONFIDENCE), built=True, linked=True),
        Kind("logistic_model", counted, built=False, linked=False),
        Kind("poisson_model", counted, built=False, linked=False),
        Kind("ridge", (_formula(), penalty), built=False, linked=False),
        Kind("lasso", (_formula(), penalty), built=False, linked=False),
        Kind(
            "pca",
            (
                Parameter("columns", "columns", needed=True, types=NUMBERS),
                Parameter("components", "whole"),
                Parameter("standardise", "flag", default=True),
            ),
            built=False,
            linked=False,
        ),
    )


def _survived() -> tuple[Kind, ...]:
    return (
        Kind(
            "kaplan_meier",
            (
                TIME,
                EVENT,
                _by(needed=False),
                Parameter("at", "numbers"),
                Parameter("step", "number"),
                Parameter("horizon", "number"),
                _word("interval", ("log-log", "log", "plain"), ()),
                CONFIDENCE,
            ),
            built=False,
            linked=False,
        ),
        Kind("log_rank", (TIME, EVENT, _by(needed=True), _strata()), built=False, linked=False),
        Kind(
            "cox",
            (
                TIME,
                EVENT,
                _formula("right_side"),
                _word("ties", ("efron", "breslow"), ()),
                _strata(use="model"),
                ITERATES,
                CONFIDENCE,
            ),
            built=False,
            linked=False,
        ),
    )


def _judged() -> tuple[Kind, ...]:
    return (
        Kind("roc_auc", (SCORE, OUTCOME, CONFIDENCE), built=False, linked=False),
        Kind(
            "k_anonymity",
            (
                Parameter("quasi_identifiers", "columns", needed=True, use="group"),
                Parameter("sensitive", "column", use="group"),
                Parameter("k", "whole"),
            ),
            built=False,
            linked=False,
        ),
        Kind(
            "fairness",
            (
                Parameter("score", "column", needed=True, types=NUMBERS, instead="prediction"),
                Parameter("prediction", "column", needed=True, types=OUTCOMES, instead="score"),
                OUTCOME,
                _by(needed=True),
                Parameter("threshold", "number", default=Decimal("0.5")),
            ),
            built=False,
            linked=False,
        ),
    )


KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _kinds()})
