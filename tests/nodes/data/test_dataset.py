"""A file under its dictionary: what is taken, what is refused and where, and the root."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodes.data.dataset import BLOCK_ROWS, Snapshot, load, load_part, root_of
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import BadData, NotFound

SECRET = "Xanthippe-4711"
SPECIFICATION = Path(__file__).parents[3] / "nodes" / "data" / "dataset.md"


def column(kind: str, name: str = "age", role: str = "sensitive", **facts: object) -> Column:
    bounds = {k: Decimal(str(facts.pop(k))) for k in ("minimum", "maximum") if k in facts}
    return Column(name=name, type=kind, role=role, **bounds, **facts)


def dictionary(*columns: Column, **facts: object) -> Dictionary:
    return Dictionary(name="lung", columns=columns, **facts)


def written(folder: Path, text: str, name: str = "lung.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def loaded(folder: Path, text: str, *columns: Column, **facts: object) -> Snapshot:
    return load(written(folder, text), dictionary(*columns, **facts), "north")


def refused(folder: Path, text: str, *columns: Column, **facts: object) -> BadData:
    with pytest.raises(BadData) as caught:
        loaded(folder, text, *columns, **facts)
    fault = caught.value
    assert fault.where["member"] == "north"
    assert fault.message.startswith("north: lung.csv")
    assert fault.where["file"].endswith("lung.csv")
    assert fault.next
    return fault


def refused_cell(folder: Path, cell: str, kind: str, **facts: object) -> BadData:
    """The cell stands in row 3, after one that is missing."""
    fault = refused(folder, f'id;age\n1;\n2;"{cell}"\n', column(kind, **facts))
    assert (fault.where["row"], fault.where["column"]) == (3, "age")
    assert "row 3, column age: " in fault.message
    assert cell not in fault.message + fault.next
    return fault


def numbers(snapshot: Snapshot, name: str = "age") -> list[object]:
    values = snapshot.values(name)
    pairs = zip(values.numbers.tolist(), values.missing.tolist(), strict=True)
    return [None if missing else number for number, missing in pairs]


# --- types ---


def test_each_type_has_its_numbers(tmp_path):
    text = (
        "i,n,c,b,d,t,id,x\n"
        "7,0.1,male,yes,2020-01-31,3.5,007, free text \n"
        "-9223372036854775808,-1e-3,female,F,1969-12-31,0,8,NA\n"
    )
    snapshot = loaded(
        tmp_path,
        text,
        column("integer", "i"),
        column("number", "n"),
        column("category", "c", levels=("female", "male")),
        column("boolean", "b"),
        column("date", "d"),
        column("time_to_event", "t"),
        column("identifier", "id"),
        column("text", "x"),
    )
    assert numbers(snapshot, "i") == [7, -(2**63)]
    assert numbers(snapshot, "n") == [0.1, -0.001]
    assert numbers(snapshot, "c") == [1, 0]
    assert numbers(snapshot, "b") == [1, 0]
    assert numbers(snapshot, "d") == [
        (date(2020, 1, 31) - date(1970, 1, 1)).days,
        -1,
    ]
    assert numbers(snapshot, "t") == [3.5, 0.0]
    assert snapshot.texts["id"] == ("007", "8")
    assert snapshot.texts["x"] == ("free text", None)
    kinds = {name: snapshot.values(name).numbers.dtype.name for name in "incbdt"}
    assert kinds == {
        "i": "int64",
        "n": "float64",
        "c": "int64",
        "b": "int64",
        "d": "int64",
        "t": "float64",
    }
    assert snapshot.rows == 2


@pytest.mark.parametrize("spelling", ["", " ", "NA", "n/a", "NaN", "NULL", "None", "."])
@pytest.mark.parametrize("kind", ["integer", "number", "boolean", "date", "identifier", "text"])
def test_missing_spellings_are_missing_in_every_type(tmp_path, spelling, kind):
    snapshot = loaded(tmp_path, f"id,age\n1,{spelling}\n", column(kind))
    assert snapshot.missing("age").tolist() == [True]


def test_the_dictionary_may_add_missing_spellings(tmp_path):
    text = "age,id\n-9,1\n-9.0,2\nUNK,3\n5,4\n"
    snapshot = loaded(tmp_path, text, column("number"), missing=("-9", "unk"))
    assert numbers(snapshot) == [None, None, None, 5.0]


def test_a_missing_spelling_among_the_levels_is_a_level(tmp_path):
    text = "id,age\n1,NA\n2,\n3,EU\n"
    snapshot = loaded(tmp_path, text, column("category", levels=("EU", "NA")))
    assert numbers(snapshot) == [1, None, 0]


def test_whole_numbers_may_be_spelled_with_a_point_or_exponent(tmp_path):
    text = "id,age\n1,60.0\n2,6e1\n3, 60 \n4,+60\n"
    assert numbers(loaded(tmp_path, text, column("integer"))) == [60, 60, 60, 60]


def test_large_whole_numbers_are_exact(tmp_path):
    text = "id,age\n1,9007199254740993\n2,9007199254740993.0\n"
    assert numbers(loaded(tmp_path, text, column("integer"))) == [2**53 + 1, 2**53 + 1]


def test_levels_are_trimmed_and_whole_numbers_with_a_point_are_their_level(tmp_path):
    text = "id,age\n1, 2 \n2,1.0\n"
    assert numbers(loaded(tmp_path, text, column("category", levels=("1", "2")))) == [1, 0]


def test_iso_dates_may_be_basic_or_midnight(tmp_path):
    text = "id,age\n1,2020-01-31\n2,20200131\n3,2020-01-31 00:00:00\n4,2020-01-31T00:00\n"
    assert len(set(numbers(loaded(tmp_path, text, column("date"))))) == 1


def test_a_decimal_comma_is_taken_in_semicolon_separated_files_and_stated(tmp_path):
    snapshot = loaded(tmp_path, "id;age\n1;1,5\n2;,25\n3;2\n", column("number"))
    assert numbers(snapshot) == [1.5, 0.25, 2.0]
    assert "lung.csv: decimal comma in age" in snapshot.notes


def test_several_files_are_one_table(tmp_path):
    paths = [written(tmp_path, "age\n1\n"), written(tmp_path, "age\n2\n", "more.csv")]
    assert numbers(load(paths, dictionary(column("integer")), "north")) == [1, 2]


def test_columns_that_the_dictionary_lacks_are_ignored_and_named_once(tmp_path):
    snapshot = loaded(tmp_path, "age,extra,more\n1,x,y\n", column("integer"))
    assert [n for n in snapshot.notes if "ignored" in n] == [
        "lung.csv: ignored, not in the dictionary: extra, more"
    ]


def test_identifiers_that_look_like_decimals_are_kept_and_noted(tmp_path):
    snapshot = loaded(tmp_path, "age,b\n12.0,1\n", column("identifier"))
    assert snapshot.texts["age"] == ("12.0",)
    assert any("end in .0" in note for note in snapshot.notes)


# --- refusals ---


@pytest.mark.parametrize("kind", ["number", "integer", "time_to_event"])
def test_text_in_a_column_of_numbers_is_refused(tmp_path, kind):
    fault = refused_cell(tmp_path, "unknown", kind)
    assert "not a number" in fault.message
    assert "leave it empty" in fault.next


@pytest.mark.parametrize("cell", ["1_000", "0x10", "1e", "１２", "--1", "1 2"])
def test_only_plain_decimals_are_numbers(tmp_path, cell):
    refused_cell(tmp_path, cell, "number")
    refused_cell(tmp_path, cell, "integer")


@pytest.mark.parametrize("kind", ["number", "integer"])
@pytest.mark.parametrize("cell", ["Inf", "-Infinity"])
def test_infinity_is_refused(tmp_path, cell, kind):
    assert "infinity" in refused_cell(tmp_path, cell, kind).message


def test_a_number_beyond_float64_is_refused(tmp_path):
    assert "larger than a float64" in refused_cell(tmp_path, "1e999", "number").message


@pytest.mark.parametrize("cell", ["9223372036854775808", "-9223372036854775809", "1e30", "1e400"])
def test_a_whole_number_beyond_64_bits_is_refused(tmp_path, cell):
    assert "beyond 64 bits" in refused_cell(tmp_path, cell, "integer").message


def test_a_fraction_in_a_column_of_whole_numbers_is_refused(tmp_path):
    assert "not a whole number" in refused_cell(tmp_path, "60.5", "integer").message


@pytest.mark.parametrize("cell", ["1,234,567", "1.234,5", "1'234", "1 234"])
def test_thousands_separators_are_refused(tmp_path, cell):
    assert "thousands separator" in refused_cell(tmp_path, cell, "number").message


def test_a_comma_before_three_digits_is_no_whole_number(tmp_path):
    assert "thousands separator" in refused_cell(tmp_path, "1,000", "integer").message


def test_a_decimal_comma_in_a_comma_separated_file_is_refused(tmp_path):
    fault = refused(tmp_path, 'id,age\n1,"1,5"\n', column("number"))
    assert fault.where["row"] == 2
    assert "decimal comma" in fault.message


def test_points_and_commas_in_one_column_are_refused(tmp_path):
    fault = refused(tmp_path, "id;age\n1;1.234\n2;5,5\n", column("number"))
    assert fault.where["row"] == 3
    assert "one of them" in fault.next


@pytest.mark.parametrize("kind", ["number", "integer", "time_to_event"])
def test_values_outside_the_bounds_are_refused(tmp_path, kind):
    bounds = {"minimum": 18, "maximum": 65}
    above = refused_cell(tmp_path, "66", kind, **bounds)
    assert "above the maximum 65" in above.message
    assert "from 18 to 65" in above.next
    assert "widen the bounds" in above.next
    assert "below the minimum 18" in refused_cell(tmp_path, "17", kind, **bounds).message
    assert numbers(loaded(tmp_path, "id,age\n1,18\n2,65\n", column(kind, **bounds))) == [18, 65]


def test_a_value_at_a_decimal_bound_is_inside(tmp_path):
    found = loaded(tmp_path, "id,age\n1,0.1\n", column("number", minimum=0.1, maximum=0.1))
    assert numbers(found) == [0.1]


def test_a_negative_time_is_refused_without_bounds(tmp_path):
    assert "below zero" in refused_cell(tmp_path, "-1", "time_to_event").message


def test_dates_outside_the_bounds_are_refused_with_the_bound_as_a_date(tmp_path):
    fault = refused_cell(tmp_path, "2031-01-01", "date", maximum=0)
    assert "above the maximum 1970-01-01" in fault.message


def test_values_finer_than_the_declared_decimals_are_refused_not_rounded(tmp_path):
    fault = refused_cell(tmp_path, "1.25", "number", decimals=1)
    assert "more than 1 decimals" in fault.message
    assert "round the column" in fault.next
    exact = loaded(tmp_path, "id,age\n1,1.2\n2,1.20\n3,-0.3\n", column("number", decimals=1))
    assert numbers(exact) == [1.2, 1.2, -0.3]


def test_without_declared_decimals_every_number_is_taken(tmp_path):
    assert numbers(loaded(tmp_path, "id,age\n1,0.123456789012\n", column("number"))) == [
        0.123456789012
    ]


def test_an_unknown_level_is_refused_with_the_levels(tmp_path):
    fault = refused_cell(tmp_path, "diverse", "category", levels=("f", "m"))
    assert "not a level" in fault.message
    assert "f, m" in fault.next


def test_a_level_in_another_case_is_refused_and_says_so(tmp_path):
    fault = refused_cell(tmp_path, "MALE", "category", levels=("female", "male"))
    assert "upper and lower case" in fault.message


@pytest.mark.parametrize("cell", ["2", "maybe", "ture"])
def test_other_words_are_no_booleans(tmp_path, cell):
    fault = refused_cell(tmp_path, cell, "boolean")
    assert "true/false, yes/no" in fault.next


@pytest.mark.parametrize("cell", ["01/02/2020", "1.2.2020", "02-01-20"])
def test_ambiguous_dates_are_refused_not_guessed(tmp_path, cell):
    fault = refused_cell(tmp_path, cell, "date")
    assert "ambiguous date" in fault.message
    assert "2020-01-31" in fault.next


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("31/01/2020", "not written year-month-day"),
        ("2020-02-30", "in no calendar"),
        ("2020-01-31 12:30", "time of day"),
        ("yesterday", "not a date"),
        ("43861", "not a date"),
    ],
)
def test_other_dates_are_refused_by_class(tmp_path, cell, said):
    assert said in refused_cell(tmp_path, cell, "date").message


def test_a_column_of_the_dictionary_that_the_file_lacks_is_refused(tmp_path):
    fault = refused(tmp_path, "Age,sex\n1,f\n", column("integer"))
    assert fault.where["column"] == "age"
    assert "column age of the dictionary is missing" in fault.message
    assert fault.next == "rename column Age to age"


def test_a_header_without_rows_is_refused(tmp_path):
    assert "no rows" in refused(tmp_path, "age\n", column("integer")).message


def test_more_rows_than_rows_max_are_refused_at_the_first_too_many(tmp_path):
    text = "age\n1\n2\n3\n4\n"
    fault = refused(tmp_path, text, column("integer"), rows_max=3)
    assert fault.where["row"] == 5
    assert "rows_max" in fault.next
    assert loaded(tmp_path, text, column("integer"), rows_max=4).rows == 4


def test_a_missing_file_names_the_member(tmp_path):
    with pytest.raises(NotFound) as caught:
        load(tmp_path / "absent.csv", dictionary(column("integer")), "north")
    assert caught.value.where["member"] == "north"


def test_a_fault_far_down_has_its_row(tmp_path):
    lines = ["age"] + ["5"] * 40_000
    lines[30_000] = "x"
    assert refused(tmp_path, "\n".join(lines), column("integer")).where["row"] == 30_001


def test_an_unknown_column_of_a_snapshot_is_not_found(tmp_path):
    snapshot = loaded(tmp_path, "age,name\n1,x\n", column("integer"), column("text", "name"))
    with pytest.raises(NotFound, match="has no column agee"):
        snapshot.values("agee")
    with pytest.raises(NotFound, match="has no numbers"):
        snapshot.values("name")


# --- Parquet ---


def parquet(folder: Path, **columns: object) -> Path:
    path = folder / "lung.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return path


def test_identifiers_are_text_also_where_parquet_holds_numbers(tmp_path):
    path = parquet(tmp_path, a=[7, 8], b=[7.0, None], c=["007", None])
    kinds = [column("identifier", name) for name in "abc"]
    snapshot = load(path, dictionary(*kinds), "north")
    assert snapshot.texts == {"a": ("7", "8"), "b": ("7", None), "c": ("007", None)}


@pytest.mark.parametrize("value", [7.5, float("inf"), 2.0**60])
def test_fractions_and_inexact_numbers_identify_nobody(tmp_path, value):
    path = parquet(tmp_path, age=[1.0, value])
    with pytest.raises(BadData, match="row 3, column age: a number that is not whole"):
        load(path, dictionary(column("identifier")), "north")


def test_typed_cells_that_do_not_fit_are_refused_by_class(tmp_path):
    for cells, kind, said in (
        ([True], "number", "a boolean, not a number"),
        ([date(2020, 1, 1)], "number", "a date, not a number"),
        ([float("inf")], "number", "infinity"),
        ([float("inf")], "integer", "infinity"),
        ([1.5], "integer", "not a whole number"),
        ([datetime(2020, 1, 1, 12)], "date", "time of day"),  # noqa: DTZ001  dates carry no zone
        ([20200131], "date", "not a date"),
        ([np.uint64(2**63)], "integer", "beyond 64 bits"),
    ):
        with pytest.raises(BadData, match=f"row 2, column age: .*{said}"):
            load(parquet(tmp_path, age=cells), dictionary(column(kind)), "north")


# --- root and commitment ---


FRAME = pd.DataFrame(
    {
        "i": [1, 2, 3],
        "n": [0.1, np.nan, -0.0],
        "c": ["m", None, "f"],
        "b": [True, False, True],
        "d": pd.to_datetime(["2020-01-31", "1950-02-01", None]),
        "id": ["007", "8", None],
    }
)
KINDS = dictionary(
    column("integer", "i"),
    column("number", "n"),
    column("category", "c", levels=("f", "m")),
    column("boolean", "b"),
    column("date", "d"),
    column("identifier", "id"),
)


def roots(folder: Path, frame: pd.DataFrame, described: Dictionary) -> tuple[bytes, bytes]:
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_parquet(folder / "t.parquet")
    return tuple(load(folder / f"t.{end}", described, "north").root for end in ("csv", "parquet"))


def test_csv_and_parquet_of_one_table_have_one_root(tmp_path):
    first, second = roots(tmp_path, FRAME, KINDS)
    assert first == second
    assert len(first) == 32


@pytest.mark.parametrize(
    ("name", "value"), [("i", 4), ("n", 0.2), ("c", "m"), ("b", False), ("d", None), ("id", "8")]
)
def test_every_changed_cell_changes_the_root(tmp_path, name, value):
    changed = FRAME.copy()
    changed.loc[0 if name != "c" else 2, name] = value
    assert roots(tmp_path, changed, KINDS)[0] != roots(tmp_path, FRAME, KINDS)[0]


def test_a_moved_row_changes_the_root(tmp_path):
    assert roots(tmp_path, FRAME[::-1], KINDS)[0] != roots(tmp_path, FRAME, KINDS)[0]


def test_the_root_does_not_depend_on_spelling_or_ignored_columns(tmp_path):
    kinds = (column("number"), column("boolean", "b"))
    plain = loaded(tmp_path, "age,b\n1.5,true\n,no\n", *kinds)
    other = loaded(tmp_path, "x;b;age\n9;Y; 1,50 \n9;0;NA\n", *kinds)
    assert plain.root == other.root


def test_text_boundaries_are_part_of_the_root(tmp_path):
    kind = column("text")
    texts = [f"age,b\n{a},1\n{b},1\n" for a, b in (("ab", "c"), ("a", "bc"), ("abc", ""))]
    assert len({loaded(tmp_path, text, kind).root for text in texts}) == 3


def test_the_root_and_commitment_of_the_specification(tmp_path):
    snapshot = loaded(
        tmp_path,
        "age,sex,id\n61,f,007\n,m,\n",
        column("integer"),
        column("category", "sex", levels=("f", "m")),
        column("identifier", "id"),
    )
    written_down = SPECIFICATION.read_text(encoding="utf-8")
    assert f"root                    {snapshot.root.hex()}" in written_down
    assert f"commitment, salt 0^16   {snapshot.commitment(bytes(16)).hex()}" in written_down


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_parts_of_a_table_have_the_values_and_the_root_of_the_whole(tmp_path, end):
    rows = 2 * BLOCK_ROWS + 100
    path = tmp_path / f"t.{end}"
    frame = pd.DataFrame({"age": np.arange(rows) % 90, "id": [f"P{k}" for k in range(rows)]})
    getattr(frame, f"to_{end}")(path, index=False)
    described = dictionary(column("integer"), column("identifier", "id"))
    whole = load(path, described, "north")
    spans = [range(BLOCK_ROWS), range(BLOCK_ROWS, 2 * BLOCK_ROWS), range(2 * BLOCK_ROWS, 10**9)]
    parts = [load_part(path, described, "north", None, span) for span in spans]
    assert [(part.rows, total) for part, total in parts] == [
        (BLOCK_ROWS, rows),
        (BLOCK_ROWS, rows),
        (100, rows),
    ]
    numbers = np.concatenate([part.values("age").numbers for part, _ in parts])
    assert (numbers == whole.values("age").numbers).all()
    assert sum((part.texts["id"] for part, _ in parts), ()) == whole.texts["id"]
    joined = {name: sum((part.blocks[name] for part, _ in parts), ()) for name in whole.blocks}
    assert root_of(described, rows, joined) == whole.root


def test_the_first_part_checks_the_rows_of_all_parts(tmp_path):
    rows = BLOCK_ROWS + 10
    text = "age\n" + "".join(f"{k % 90}\n" for k in range(rows)) + "many\n"
    path = written(tmp_path, text)
    described = dictionary(column("integer"))
    with pytest.raises(BadData) as caught:
        load_part(path, described, "north", None, range(BLOCK_ROWS))
    assert caught.value.where["row"] == rows + 2


def test_a_commitment_hides_behind_its_salt(tmp_path):
    snapshot = loaded(tmp_path, "age\n1\n", column("integer"))
    first, second = snapshot.commitment(b"a" * 16), snapshot.commitment(b"b" * 16)
    assert first != second
    assert first == snapshot.commitment(b"a" * 16)
    assert snapshot.root not in (first, second)


WHOLE = st.integers(-(2**53), 2**53)
FINE = st.floats(allow_nan=False, allow_infinity=False, width=64)
# pandas does not quote a carriage return when it writes CSV, so that file would be another table
WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8
)
DAYS = st.dates(date(1700, 1, 1), date(2200, 1, 1))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(
            st.none() | WHOLE,
            st.none() | FINE,
            st.none() | st.sampled_from(["f", "m"]),
            st.none() | st.booleans(),
            st.none() | DAYS,
            st.none() | WORDS,
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_table_has_one_root_in_csv_and_parquet(tmp_path, rows):
    frame = pd.DataFrame(rows, columns=list("incbdx"), dtype=object)
    frame["i"] = frame["i"].astype("Int64")
    frame["n"] = frame["n"].astype("float64")
    frame["b"] = frame["b"].astype("boolean")
    described = dictionary(
        column("integer", "i"),
        column("number", "n"),
        column("category", "c", levels=("f", "m")),
        column("boolean", "b"),
        column("date", "d"),
        column("text", "x"),
    )
    first, second = roots(tmp_path, frame, described)
    assert first == second


# --- nothing leaks ---


BROKEN = [
    ("integer", {}),
    ("number", {}),
    ("time_to_event", {}),
    ("category", {"levels": ("f", "m")}),
    ("boolean", {}),
    ("date", {}),
]


@pytest.mark.parametrize("role", ["identifier", "quasi-identifier", "sensitive", "other"])
@pytest.mark.parametrize(("kind", "facts"), BROKEN)
def test_no_refused_value_stands_in_the_error(tmp_path, kind, facts, role):
    text = f"id,age\n1,\n2,{SECRET}\n"
    fault = refused(tmp_path, text, column(kind, role=role, **facts))
    told = f"{fault} {fault!r} {fault.to_json()} {fault.__cause__} {fault.__context__}"
    assert "4711" not in str(fault.to_json()) + fault.message
    assert SECRET not in told


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    value=st.integers(10**6, 10**12).map(lambda n: f"{n}7"),
    shape=st.sampled_from(
        ["{}", "{}x", '"{}', '"{}"x', "{},{}", "1e{}", "{}.5", "-{}", "inf{}", "{}/1/2"]
    ),
    kind=st.sampled_from(BROKEN),
)
def test_no_planted_value_stands_in_any_error(tmp_path, value, shape, kind):
    path = written(tmp_path, f"id,age\n1,{shape.replace('{}', value)}\n")
    facts = dict(kind[1])
    if kind[0] in {"integer", "number", "time_to_event"}:
        facts |= {"minimum": 0, "maximum": 10, "decimals": 0}
    with pytest.raises(BadData) as caught:
        load(path, dictionary(column(kind[0], **facts)), "north")
    assert value not in f"{caught.value} {caught.value!r} {caught.value.to_json()}"


def test_no_repr_shows_values_or_counts(tmp_path):
    snapshot = loaded(tmp_path, f"age,id\n{SECRET},1\n", column("text"), column("integer", "id"))
    assert repr(snapshot) == "Snapshot(lung, <private>)"
    assert SECRET not in repr(snapshot.values("id"))


def test_a_reader_and_a_raw_table_show_no_values(tmp_path):
    from nodes.data.columns import ColumnReader
    from nodes.data.source import read_table

    table = read_table(written(tmp_path, f"age\n{SECRET}\n"))
    batch = next(table.batches(["age"]))
    reader = ColumnReader(column("text"), ())
    reader.add(batch.columns[0], commas=False, kept=slice(None))
    told = f"{table!r} {table.reader!r} {batch!r} {batch.columns[0]!r} {reader!r}"
    assert SECRET not in told
