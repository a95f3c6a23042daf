"""Dictionaries drafted from the files of a rehearsal."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.data.dataset import load
from nodes.data.derive import derivation_notes, derive_dictionaries, describe_file
from nodes.data.survey import outward
from p2pmpc.catalogue import resolve
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import BadData, BadStudy, WrongUsage
from p2pmpc.study import Alias, Link, Statistic, Study

NORTH = "id,age,sex,dead,score,birth\n1,39,1,0,0.5,1950-01-31\n2,61,2.0,1,,1951-02-01\n"
SOUTH = "id,age,sex,dead,score,birth\n3,82,10,1,0.25,1949-12-31\n4,,1,0,-1,\n"

Files = dict[str, dict[str, Path]]


def sites(folder: Path, **tables: str) -> Files:
    """member -> lung -> the file holding this text."""
    found: Files = {}
    for member, text in tables.items():
        path = folder / member / "lung.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        found[member] = {"lung": path}
    return found


def study(
    *statistics: Statistic, where: str = "", members: tuple[str, ...] = ("north", "south")
) -> Study:
    alias = Alias("patients", dataset="lung", members=members, where=where)
    return Study(title="a test", data=(alias,), statistics=statistics)


def asked(kind: str, **parameters: object) -> Statistic:
    return Statistic("s", kind, parameters)


def derived(folder: Path, *statistics: Statistic, where: str = "", **tables: str) -> Dictionary:
    held = sites(folder, **(tables or {"north": NORTH, "south": SOUTH}))
    return derive_dictionaries(study(*statistics, where=where, members=tuple(held)), held)["lung"]


def line(found: Dictionary, name: str) -> Column:
    column = found.column(name)
    assert column is not None
    return column


def test_only_the_columns_of_the_study_are_covered(tmp_path):
    found = derived(tmp_path, asked("describe", columns=["age"], by="sex"))
    assert found.names == ("age", "sex")
    assert line(found, "age").uses == ("aggregate",)
    assert line(found, "sex").uses == ("group",)


def test_levels_are_united_over_sites_and_numbers_sorted_as_numbers(tmp_path):
    found = derived(tmp_path, asked("count", by="sex"))
    assert line(found, "sex").levels == ("1", "2", "10")


def test_bounds_are_rounded_outward_over_all_sites(tmp_path):
    age = line(derived(tmp_path, asked("histogram", column="age", edges=[0, 50, 100])), "age")
    assert (age.type, age.minimum, age.maximum) == ("integer", Decimal(30), Decimal(90))


def test_fractions_make_a_number_with_the_most_decimals_seen(tmp_path):
    score = line(derived(tmp_path, asked("describe", columns=["score"])), "score")
    assert (score.type, score.decimals) == ("number", 2)
    assert score.minimum <= -1
    assert score.maximum >= Decimal("0.5")


def test_fine_measurements_leave_their_decimals_open(tmp_path):
    text = "age\n0.12345678901\n1\n"
    found = derived(tmp_path, asked("describe", columns=["age"]), north=text, south=text)
    assert line(found, "age").decimals is None


def test_words_make_a_boolean_group_and_codes_a_category(tmp_path):
    text = "a,b\nyes,0\nno,1\n"
    held = {"north": text, "south": text}
    found = derived(tmp_path, asked("crosstab", rows="a", columns="b"), **held)
    assert line(found, "a").type == "boolean"
    assert line(found, "b").levels == ("0", "1")


def test_a_column_both_averaged_and_grouped_is_an_integer(tmp_path):
    one, two = Statistic("a", "describe", {"columns": ["sex"]}), asked("count", by="sex")
    numeric = Statistic("c", "correlation", {"columns": ["sex", "age"]})
    found = derived(tmp_path, one, two, numeric)
    assert line(found, "sex").type == "integer"
    assert line(found, "sex").uses == ("aggregate", "group")


def test_a_formula_gives_each_column_its_type(tmp_path):
    found = derived(tmp_path, asked("linear_model", formula="score ~ age + C(sex) + birth"))
    kinds = {column.name: column.type for column in found.columns}
    assert kinds == {"score": "number", "age": "integer", "sex": "category", "birth": "date"}


@pytest.mark.parametrize(
    ("where", "name", "kind"),
    [
        ("age >= 40", "age", "integer"),
        ("sex = '1'", "sex", "category"),
        ("sex = 1", "sex", "integer"),
        ("dead = true", "dead", "boolean"),
        ("birth > '1950-01-01'", "birth", "date"),
        ("score is missing", "score", "number"),
        ("patients.age in [1, 2]", "age", "integer"),
    ],
)
def test_a_where_gives_a_type_by_its_literals(tmp_path, where, name, kind):
    found = line(derived(tmp_path, asked("count"), where=where), name)
    assert (found.type, found.uses) == (kind, ("filter",))


def test_date_bounds_are_whole_years(tmp_path):
    birth = line(derived(tmp_path, asked("count"), where="birth is missing"), "birth")
    epoch = pd.Timestamp("1970-01-01")
    days = [epoch + pd.Timedelta(days=int(end)) for end in (birth.minimum, birth.maximum)]
    assert [str(day.date()) for day in days] == ["1949-01-01", "1951-12-31"]


def test_a_study_that_only_counts_still_has_a_dictionary(tmp_path):
    found = derived(tmp_path, asked("count"))
    assert found.names == ("id",)
    assert found.columns[0].uses == ()


def test_few_texts_leave_a_column_numeric_and_loading_names_the_row(tmp_path):
    held = sites(tmp_path, north=NORTH, south=SOUTH.replace("82", "unknown"))
    asking = study(asked("describe", columns=["age"]))
    found = derive_dictionaries(asking, held)["lung"]
    assert found.column("age").type == "integer"
    load(held["north"]["lung"], found, "north")
    with pytest.raises(BadData, match=r"south: lung\.csv, row 2, column age: not a number"):
        load(held["south"]["lung"], found, "south")


def test_a_column_missing_at_one_site_is_named_with_its_near_name(tmp_path):
    with pytest.raises(BadData) as caught:
        derived(
            tmp_path,
            asked("describe", columns=["age"]),
            north=NORTH,
            south=SOUTH.replace("age", "Age"),
        )
    fault = caught.value
    assert fault.message == "south: lung.csv: column age is missing"
    assert fault.where["member"] == "south"
    assert fault.where["column"] == "age"
    assert fault.where["file"].endswith("lung.csv")
    assert fault.next == "rename column Age to age"


def test_a_column_that_no_site_has_is_a_fault_of_the_study(tmp_path):
    with pytest.raises(
        BadStudy, match=r"statistic\.s\.columns: no file has a column agee"
    ) as caught:
        derived(tmp_path, asked("describe", columns=["agee"]))
    assert caught.value.next == "did you mean age?"


def test_a_member_without_a_file_is_wrong_usage(tmp_path):
    held = sites(tmp_path, north=NORTH)
    with pytest.raises(WrongUsage, match="south: no file for the data set lung") as caught:
        derive_dictionaries(study(asked("count")), held)
    assert "--site south=lung.csv" in caught.value.next


def test_a_numeric_column_without_any_number_is_refused(tmp_path):
    text = "age,sex\nyoung,1\n"
    asking = asked("correlation", columns=["age", "sex"])
    with pytest.raises(BadData, match="column age: no site has a number in it"):
        derived(tmp_path, asking, north=text, south=text)


def test_too_many_groups_are_refused(tmp_path):
    text = "age\n" + "".join(f"w{i}\n" for i in range(1001))
    with pytest.raises(BadData, match="too many for groups"):
        derived(tmp_path, asked("count", by="age"), north=text, south=text)


def test_an_unreadable_file_names_its_member(tmp_path):
    with pytest.raises(BadData, match=r"south: lung\.csv, row 2") as caught:
        derived(tmp_path, asked("count", by="age"), north=NORTH, south="age,sex\n1\n")
    assert caught.value.where["member"] == "south"


# --- linked studies ---

LABS = "id,born,marker\nA,{},1.5\nB,{},2.5\n"


def linked(folder: Path, north: str, labs: str) -> dict[str, Dictionary]:
    held = sites(folder, north=north)
    path = folder / "markers.csv"
    path.write_text(labs)
    held["lab"] = {"markers": path}
    asking = Study(
        title="linked",
        data=(
            Alias("patients", dataset="lung", members=("north",)),
            Alias("labs", dataset="markers", members=("lab",)),
        ),
        link=Link(tables=("patients", "labs"), by=(("id",), ("born",))),
        statistics=(asked("correlation", columns=["age", "marker"]),),
    )
    found = derive_dictionaries(asking, held)
    catalogue = {"north": {"lung": found["lung"]}, "lab": {"markers": found["markers"]}}
    assert resolve(asking, catalogue, {}).keys.keys() == {"patients", "labs"}
    return found


def test_keys_are_identifiers_and_dates_where_all_files_write_dates(tmp_path):
    lung = "id,born,age\nA,1950-01-31,3\nB,1951-01-31,4\n"
    found = linked(tmp_path, lung, LABS.format("1950-01-31", ""))
    for name in ("lung", "markers"):
        assert line(found[name], "id").type == "identifier"
        assert line(found[name], "id").uses == ("link",)
        assert line(found[name], "id").role == "identifier"
        assert line(found[name], "born").type == "date"


def test_keys_stay_text_when_one_file_does_not_write_dates(tmp_path):
    lung = "id,born,age\nA,1950-01-31,3\nB,1951-01-31,4\n"
    found = linked(tmp_path, lung, LABS.format("31.01.1950", "31.01.1951"))
    assert {line(found[name], "born").type for name in found} == {"identifier"}


def test_a_bare_word_belongs_to_the_alias_whose_files_have_it(tmp_path):
    found = linked(tmp_path, "id,born,age\nA,x,3\nB,y,4\n", LABS.format("x", "y"))
    assert set(found["lung"].names) == {"age", "id", "born"}
    assert set(found["markers"].names) == {"marker", "id", "born"}


# --- what was done is said; the drafts hold ---


def test_the_notes_say_what_each_column_was_taken_for(tmp_path):
    found = derived(tmp_path, asked("describe", columns=["age", "score"], by="sex"))
    (note,) = derivation_notes({"lung": found})
    assert note.startswith(
        "lung: no dictionary given; from the files: age is integer from 30 to 90"
    )
    assert "sex is a category (1, 2, 10)" in note
    assert "score is number" in note


def test_a_drafted_dictionary_loads_and_resolves(tmp_path):
    held = sites(tmp_path, north=NORTH, south=SOUTH, west=NORTH)
    asking = study(
        asked("describe", columns=["age", "score"], by="sex"),
        Statistic("m", "linear_model", {"formula": "score ~ age + C(sex)"}),
        where="age >= 40 or birth is missing",
        members=tuple(held),
    )
    found = derive_dictionaries(asking, held)
    for member, tables in held.items():
        assert load(tables["lung"], found["lung"], member).rows == 2
    resolved = resolve(asking, dict.fromkeys(held, found), {})
    assert [one.withheld for one in resolved.statistics] == [None, None]


def test_describe_drafts_every_column_for_its_owner(tmp_path):
    rows = [
        f"p{i},{i % 3},{i / 8},{'yes' if i % 2 else 'no'},2020-01-0{i % 9 + 1}" for i in range(60)
    ]
    path = tmp_path / "my table.csv"
    path.write_text("patient id,code,level,smoker,seen\n" + "\n".join(rows) + "\n")
    found = describe_file(path)
    assert found.name == "my_table"
    assert [(c.name, c.type) for c in found.columns] == [
        ("patient id", "identifier"),
        ("code", "integer"),
        ("level", "number"),
        ("smoker", "boolean"),
        ("seen", "date"),
    ]
    assert line(found, "patient id").uses == ("link",)
    assert "group" in line(found, "code").uses
    assert load(path, found, "north").rows == 60


def test_a_draft_describes_an_empty_column_as_text_that_never_leaves(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,\n2,\n")
    assert line(describe_file(path), "b").type == "text"
    assert line(describe_file(path), "b").uses == ()


@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=5))
def test_rounded_bounds_enclose_and_are_short(values):
    low, high = outward(min(values), max(values))
    assert float(low) <= min(values)
    assert float(high) >= max(values)
    if max(values) > min(values):
        span = Decimal(repr(max(values))) - Decimal(repr(min(values)))
        assert high - low <= 3 * span, "bounds stay near the data"
