"""Plain sentences for people who decide: who asks, what leaves, to whom, what opens on the way.

Everything here follows from the study, the public dictionaries and the rules; a reviewer and the
program read the same. Texts that a researcher wrote are quoted, never obeyed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from p2pmpc.answer import INTEGRITY
from p2pmpc.catalogue import Resolved, ResolvedStatistic
from p2pmpc.policy import Rules
from p2pmpc.study import Study

__all__ = ["review", "statistic_sentence"]

NEVER = (
    "any row, any value of one person, any member's own counts or sums, who is in which data set"
)
NEVER_LINKED = "which persons the members share, how many below the minimum, any key"


def review(study: Study, resolved: Resolved, asker: str) -> tuple[tuple[str, str], ...]:
    """(heading, sentence) pairs in the order in which a reviewer needs them.

    `asker` is the member or researcher who proposes. Headings may repeat.
    """
    return (
        ("asks", _asks(study, asker)),
        *(("of", line) for line in _sources(study, resolved)),
        *(("linked by", line) for line in _linking(study)),
        *(("leaves", _leaves(one)) for one in resolved.statistics if one.withheld is None),
        *(("withheld", _withheld(one)) for one in resolved.statistics if one.withheld is not None),
        ("to", _recipients(study)),
        ("under", _rules(resolved.rules)),
        ("opened on the way", _on_the_way(study)),
        ("never opened", NEVER + (f"; {NEVER_LINKED}" if study.link else "")),
        *(("beware", line) for line in _subtraction(resolved)),
        ("every member sees", "the study, who agreed, the padded sizes of what was sent, and which "
         "statistics passed"),
        ("rests on", INTEGRITY),
    )  # fmt: skip


def _asks(study: Study, asker: str) -> str:
    purpose = f", for {_purpose(study.purpose)}" if study.purpose else ""
    question = f' The question: "{study.question}"' if study.question else ""
    return f'{asker} proposes "{study.title}"{purpose}.{question}'


def _purpose(stated: str) -> str:
    """A code of the Data Use Ontology in words; any other text quoted."""
    return f"{PURPOSES[stated]} ({stated})" if stated in PURPOSES else f'"{stated}"'


PURPOSES: Mapping[str, str] = {  # Lawson and others, Cell Genomics 2021; the ontology's own labels
    "DUO:0000004": "research without restriction",
    "DUO:0000006": "health, medical or biomedical research",
    "DUO:0000007": "research on one disease",
    "DUO:0000011": "research on the origins or ancestry of populations",
    "DUO:0000016": "genetic studies",
    "DUO:0000018": "use that is not for profit and not commercial",
    "DUO:0000042": "general research",
    "DUO:0000045": "use by organisations that are not for profit",
    "DUO:0000046": "use that is not commercial",
}


def _sources(study: Study, resolved: Resolved) -> list[str]:
    found = []
    for alias in study.data:
        optional = f" ({_list(alias.optional)} may be absent)" if alias.optional else ""
        where = resolved.where.get(alias.name)
        rows = f", only rows where {where.text}" if where is not None else ""
        found.append(f"{alias.dataset} at {_list(alias.members)}{optional}{rows}")
    return found


def _linking(study: Study) -> list[str]:
    if study.link is None:
        return []
    passes = [_list(columns) for columns in study.link.by]
    first, *later = passes
    tail = "".join(f", else by {one}" for one in later)
    return [f"{first}{tail}: the same person in {_list(study.link.tables)}, compared in secret"]


def _leaves(one: ResolvedStatistic) -> str:
    return f"{one.name}: {statistic_sentence(one)}"


def _withheld(one: ResolvedStatistic) -> str:
    assert one.withheld is not None
    return f"{one.name}: {one.withheld.reason}. What would pass: {one.withheld.would_pass}."


def _recipients(study: Study) -> str:
    others = [member for member in study.parties if member not in study.recipients]
    rest = f"; {_list(others)} will see no number" if others else ""
    return f"{_list(study.recipients)}{rest}"


def _rules(rules: Rules) -> str:
    zeros = "also hidden when zero" if rules.zeros == "suppress" else "zeros may be shown"
    return (
        f"no cell below {rules.minimum_cell} persons ({zeros}), no statistic on fewer than "
        f"{rules.minimum_cohort} persons or {rules.minimum_members} members, at most "
        f"{rules.parameters_per_row:f} model parameters a row; the strictest of all members"
    )


def _on_the_way(study: Study) -> str:
    linked = ", the smallest cohort first" if study.link else ""
    return (
        "one bit for each part of the answer: whether it passes these rules"
        f"{linked}. The numbers of what passes open to the recipients alone, after all members "
        "have signed"
    )


def _subtraction(resolved: Resolved) -> list[str]:
    if any(len(one.members) == 2 and one.withheld is None for one in resolved.statistics):
        return [
            "with two members a recipient can subtract its own part from an opened sum; "
            "what remains is the other member's"
        ]
    return []


# --- one statistic ---


def statistic_sentence(one: ResolvedStatistic) -> str:
    """What one statistic would let out, in a few words."""
    people = "linked persons" if one.linked else "persons"
    said = SAID.get(one.kind, _plain)(one.parameters, people)
    by = one.parameters.get("by")
    return f"{said}, by {by}" if by and one.kind in BY_ADDED else said


def _plain(parameters: Mapping[str, object], people: str) -> str:
    shown = ", ".join(f"{key} {value}" for key, value in parameters.items() if value is not None)
    return f"{people}: {shown}"


def _count(parameters: Mapping[str, object], people: str) -> str:
    del parameters
    return f"the number of {people}"


def _describe(parameters: Mapping[str, object], people: str) -> str:
    columns = _list(_texts(parameters["columns"]))
    return f"number, mean, standard deviation, skewness and kurtosis of {columns} over {people}"


def _histogram(parameters: Mapping[str, object], people: str) -> str:
    edges = _texts(parameters["edges"])
    return f"the number of {people} in {len(edges) - 1} bins of {parameters['column']}"


def _crosstab(parameters: Mapping[str, object], people: str) -> str:
    table = f"{parameters['rows']} against {parameters['columns']}"
    return f"the table of {table} in {people}, with its tests"


def _correlation(parameters: Mapping[str, object], people: str) -> str:
    return f"correlations among {_list(_texts(parameters['columns']))} over {people}"


def _t_test(parameters: Mapping[str, object], people: str) -> str:
    groups = f"the two groups of {parameters['by']}"
    return f"the difference in mean {parameters['column']} between {groups} of {people}"


def _anova(parameters: Mapping[str, object], people: str) -> str:
    groups = f"the groups of {parameters['by']}"
    return f"whether mean {parameters['column']} differs between {groups} of {people}"


def _linear_model(parameters: Mapping[str, object], people: str) -> str:
    return f"the coefficients of the linear model {parameters['formula']} over {people}"


SAID: Mapping[str, Callable[[Mapping[str, object], str], str]] = {
    "count": _count,
    "describe": _describe,
    "histogram": _histogram,
    "crosstab": _crosstab,
    "correlation": _correlation,
    "t_test": _t_test,
    "anova": _anova,
    "linear_model": _linear_model,
}
BY_ADDED = ("count", "describe")


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, tuple) else (str(value),)


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
