"""Which rows a `where` keeps: types, missing values, three-valued logic."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodes.data.dataset import Snapshot, load
from nodes.data.filter import kept_rows
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import BadStudy
from p2pmpc.expression import All, Among, Any, Compare, IsMissing, Node, Not, Where, parse_where

TEXT = """age,weight,sex,smoker,birth,name
40,0.1,f,yes,1950-01-31,Ann
41,2.5,m,no,1960-02-01,Bob
,,,,,
42,-1,f,yes,1970-03-01, Cy
"""
KINDS = Dictionary(
    name="lung",
    columns=(
        Column(name="age", type="integer"),
        Column(name="weight", type="number"),
        Column(name="sex", type="category", levels=("m", "f")),
        Column(name="smoker", type="boolean"),
        Column(name="birth", type="date"),
        Column(name="name", type="text"),
    ),
)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    path = tmp_path_factory.mktemp("filter") / "lung.csv"
    path.write_text(TEXT)
    return load(path, KINDS, "north")


def kept(snapshot: Snapshot, text: str) -> list[int]:
    return kept_rows(parse_where(text), snapshot, "patients").nonzero()[0].tolist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("age >= 41", [1, 3]),
        ("41 <= age", [1, 3]),
        ("age = 41", [1]),
        ("age != 41", [0, 3]),
        ("age < 40.5", [0]),
        ("age <= 40.5", [0]),
        ("age > 40.5", [1, 3]),
        ("age >= 40.5", [1, 3]),
        ("age = 40.5", []),
        ("age != 40.5", [0, 1, 3]),
        ("age > -0.5", [0, 1, 3]),
        ("age < 1e30", [0, 1, 3]),
        ("age > 1e30", []),
        ("age > -1e30", [0, 1, 3]),
        ("age = 1e30", []),
        ("age in [40, 42, 7]", [0, 3]),
        ("age not in [40, 42]", [1]),
        ("weight = 0.1", [0]),
        ("weight <= 0.1", [0, 3]),
        ("weight > 0.1", [1]),
        ("sex = 'f'", [0, 3]),
        ("sex != ' f '", [1]),
        ("sex in ['m', 'f']", [0, 1, 3]),
        ("smoker = true", [0, 3]),
        ("smoker != true", [1]),
        ("smoker = 'no'", [1]),
        ("smoker = 1", [0, 3]),
        ("birth > '1960-02-01'", [3]),
        ("birth in ['1950-01-31']", [0]),
        ("name = 'Cy'", [3]),
        ("name != 'Cy'", [0, 1]),
        ("age is missing", [2]),
        ("name is missing", [2]),
        ("age is not missing", [0, 1, 3]),
        ("not age = 41", [0, 3]),
        ("age = 41 or age is missing", [1, 2]),
        ("not (age = 41 or weight > 100)", [0, 3]),
        ("not (age = 41 and weight is missing)", [0, 1, 3]),
        ("age = 41 and sex = 'f'", []),
        ("patients.age = 41", [1]),
    ],
)
def test_a_where_keeps_these_rows(snapshot, text, rows):
    assert kept(snapshot, text) == rows


def test_without_a_where_every_row_stays(snapshot):
    assert kept_rows(None, snapshot, "patients").all()


@pytest.mark.parametrize(
    ("text", "column", "said", "action"),
    [
        ("age = '41'", "age", "is integer but is compared with a text", "number"),
        ("weight = true", "weight", "is number but is compared with a truth value", "number"),
        ("sex = 'female'", "sex", "has no level 'female'", "m, f"),
        ("sex = 'F'", "sex", "has no level 'F'", "m, f"),
        ("sex in ['f', 'x']", "sex", "has no level 'x'", "m, f"),
        ("sex < 'f'", "sex", "has no order", "="),
        ("smoker = 'maybe'", "smoker", "is boolean", "true or false"),
        ("smoker > false", "smoker", "has no order", "="),
        ("birth = 1950", "birth", "is a date", "2020-01-31"),
        ("birth = '31.01.1950'", "birth", "is a date", "2020-01-31"),
        ("name = true", "name", "compared with a truth value", "quote"),
        ("name >= 'A'", "name", "has no order", "="),
        ("agee > 3", "agee", "has no column agee", "did you mean age?"),
        ("labs.age > 3", "labs.age", "has no column labs.age", ""),
    ],
)
def test_a_where_that_does_not_fit_names_the_column(snapshot, text, column, said, action):
    with pytest.raises(BadStudy) as caught:
        kept(snapshot, text)
    assert caught.value.where == {"field": "data.patients.where", "column": column}
    assert said in caught.value.message
    assert action in caught.value.next
    assert caught.value.next


def test_a_level_may_be_written_as_a_number(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("sex\n1\n2\n")
    kinds = Dictionary(name="t", columns=(Column(name="sex", type="category", levels=("1", "2")),))
    found = load(path, kinds, "north")
    assert kept(found, "sex = 2") == kept(found, "sex = '2'") == [1]


# --- against the textbook: Kleene's tables, one row at a time ---

LEAVES = st.one_of(
    st.builds(
        Compare,
        st.just("age"),
        st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        st.sampled_from([Decimal(40), Decimal("40.5"), Decimal(41), Decimal(43)]),
    ),
    st.builds(Among, st.just("age"), st.just((Decimal(40), Decimal(42)))),
    st.builds(IsMissing, st.just("age")),
    st.builds(Compare, st.just("sex"), st.sampled_from(["=", "!="]), st.sampled_from(["f", "m"])),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Any(tuple(parts))),
    ),
    max_leaves=8,
)
COMPARE = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def kleene(node: Node, row: dict[str, object]) -> bool | None:
    if isinstance(node, Not):
        inner = kleene(node.part, row)
        return None if inner is None else not inner
    if isinstance(node, All | Any):
        parts = [kleene(part, row) for part in node.parts]
        deciding = isinstance(node, Any)
        if deciding in parts:
            return deciding
        return None if None in parts else not deciding
    value = row[node.column]
    if isinstance(node, IsMissing):
        return value is None
    if value is None:
        return None
    if isinstance(node, Among):
        return value in node.values
    return bool(COMPARE[node.operator](value, node.value))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=TREES)
def test_every_expression_follows_three_valued_logic(snapshot, tree):
    rows = [
        {"age": Decimal(40), "sex": "f"},
        {"age": Decimal(41), "sex": "m"},
        {"age": None, "sex": None},
        {"age": Decimal(42), "sex": "f"},
    ]
    expected = [kleene(tree, row) is True for row in rows]
    assert kept_rows(Where(tree, ""), snapshot, "patients").tolist() == expected


def test_no_repr_shows_which_rows_are_true(snapshot):
    from nodes.data.filter import Truth

    values = snapshot.values("age")
    assert repr(Truth(values.missing, values.missing)) == "Truth(<private>)"
