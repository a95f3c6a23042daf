"""Two selections of one data set: whether the same row can be in both."""

import pytest

from p2pmpc.catalogue import OVERLAP_RULE, resolve
from p2pmpc.dictionary import parse_dictionary
from p2pmpc.expression import parse_where
from p2pmpc.overlap import apart
from p2pmpc.policy import REHEARSAL
from p2pmpc.study import parse_study

TYPES = {"age": "integer", "sex": "category", "ill": "boolean", "seen": "date"}

LUNG = """
[dataset]
name = "lung"
rows_max = 1000
[columns.age]
type = "integer"
minimum = 0
maximum = 120
uses = ["aggregate", "filter"]
[columns.sex]
type = "category"
levels = ["f", "m"]
uses = ["group", "filter"]
"""
STUDY = """
[study]
title = "t"
[data.all]
dataset = "lung"
members = ["north", "south"]
{first}
[data.some]
dataset = "lung"
members = ["south", "west"]
{second}
[[statistic]]
name = "one"
kind = "describe"
columns = ["all.age"]
[[statistic]]
name = "two"
kind = "describe"
columns = ["some.age"]
[[statistic]]
name = "three"
kind = "histogram"
column = "all.age"
edges = [0, 60, 120]
"""


def where(text):
    return None if text is None else parse_where(text)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (None, None, False),
        ("sex = 'f'", None, False),
        ("sex = 'f'", "sex = 'm'", True),
        ("sex = 'f'", "sex = ' f '", False),
        ("sex in ['f', 'm']", "sex = 'm'", False),
        ("sex = 'f' and age > 50", "age < 40 and sex = 'm'", True),
        ("sex = 'f' or age > 50", "sex = 'm'", False),
        ("not sex = 'f'", "sex = 'f'", False),
        ("age >= 60", "age >= 61", False),
        ("age < 60", "age >= 60", True),
        ("age <= 60", "age >= 60", False),
        ("age <= 60", "60 < age", True),
        ("age = 60", "age > 60", True),
        ("age in [1, 2]", "age in [3]", True),
        ("ill = true", "ill = 'no'", False),
        ("ill = 'yes'", "ill = 'true'", False),
        ("seen < '2020-01-02'", "seen > '2021-01-01'", False),
        ("sex is missing", "sex = 'f'", False),
    ],
)
def test_only_tests_that_exclude_each_other_keep_rows_apart(one, other, expected):
    assert apart(where(one), where(other), TYPES.__getitem__) == expected
    assert apart(where(other), where(one), TYPES.__getitem__) == expected


def resolved(first, second, study=STUDY):
    lung = parse_dictionary(LUNG, "lung.toml")
    said = {member: {"lung": lung} for member in ("north", "south", "west")}
    text = study.format(
        first=f'where = "{first}"' if first else "", second=f'where = "{second}"' if second else ""
    )
    return resolve(parse_study(text, "s.toml"), said, {"north": REHEARSAL})


@pytest.mark.parametrize("second", ["age != 63", "age >= 1", ""])
def test_a_second_table_of_the_same_rows_is_withheld_and_says_why(second):
    one, two, three = resolved("", second).statistics
    assert one.withheld is None
    assert two.withheld is not None
    assert two.withheld.rule == OVERLAP_RULE
    assert "all and some" in two.withheld.reason
    assert three.withheld is None


def test_tables_of_different_persons_or_of_different_members_stay():
    found = resolved("sex = 'f'", "sex = 'm'").statistics
    assert [one.withheld for one in found] == [None] * 3
    apart_members = STUDY.replace('members = ["south", "west"]', 'members = ["east", "west"]')
    lung = parse_dictionary(LUNG, "lung.toml")
    said = {member: {"lung": lung} for member in ("north", "south", "east", "west")}
    study = parse_study(apart_members.format(first="", second=""), "s.toml")
    found = resolve(study, said, {"north": REHEARSAL}).statistics
    assert [one.withheld for one in found] == [None] * 3
