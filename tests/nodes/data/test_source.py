"""Files as they lie on the disk: what is read, and what is refused with its place."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from nodes.data.separated import LINE_CHARACTERS_MAX
from nodes.data.source import BATCH_ROWS, COLUMNS_MAX, FILE_BYTES_MAX, RawTable, read_table
from p2pmpc.errors import BadData, NotFound, P2pmpcError, WrongUsage


def written(folder: Path, content: str | bytes, name: str = "lung.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cells(table: RawTable, name: str) -> list[object]:
    found: list[object] = []
    for batch in table.batches([name]):
        found += [batch.columns[0].cells[code] for code in batch.columns[0].codes]
    return found


def read_whole(path: Path, encoding: str | None = None) -> None:
    table = read_table(path, encoding)
    for _ in table.batches(table.names):
        pass


def refused(path: Path, encoding: str | None = None) -> P2pmpcError:
    with pytest.raises(P2pmpcError) as caught:
        read_whole(path, encoding)
    assert caught.value.next, "every refusal says what to do next"
    return caught.value


# --- what is read ---


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", "UTF-8, separator comma"),
        ("utf-8-sig", "UTF-8 with byte order mark, separator comma"),
        ("utf-16", "UTF-16 with byte order mark, separator comma"),
    ],
)
def test_utf8_and_marked_encodings_are_detected_and_stated(tmp_path, encoding, said):
    table = read_table(written(tmp_path, "größe,b\n1,é\n".encode(encoding)))
    assert table.names == ("größe", "b")
    assert cells(table, "b") == ["é"]
    assert table.notes == (f"lung.csv: {said}",)


def test_big_endian_utf16_is_read_by_its_mark(tmp_path):
    table = read_table(written(tmp_path, b"\xfe\xff" + "a,b\n1,é\n".encode("utf-16-be")))
    assert cells(table, "b") == ["é"]


def test_latin1_is_read_on_request_only(tmp_path):
    path = written(tmp_path, "name,b\nRené,2\n".encode("latin-1"))
    assert cells(read_table(path, "latin-1"), "name") == ["René"]
    fault = refused(path)
    assert isinstance(fault, BadData)
    assert fault.where["row"] == 2
    assert fault.where["column"] == "name"
    assert "byte 11 is not UTF-8" in fault.message
    assert "latin-1" in fault.next


def test_an_unknown_encoding_is_wrong_usage(tmp_path):
    fault = refused(written(tmp_path, "a,b\n1,2\n"), "ebcdic")
    assert isinstance(fault, WrongUsage)
    assert "utf-8, utf-16 or latin-1" in fault.next


@pytest.mark.parametrize(
    ("separator", "name"),
    [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "vertical bar")],
)
def test_the_separator_is_detected_and_stated(tmp_path, separator, name):
    text = f"a{separator}b\n1{separator}2\n"
    table = read_table(written(tmp_path, text))
    assert table.names == ("a", "b")
    assert cells(table, "b") == ["2"]
    assert f"separator {name}" in table.notes[0]
    assert table.decimal_comma == (separator in ";\t")


def test_commas_inside_semicolon_separated_fields_do_not_mislead(tmp_path):
    table = read_table(written(tmp_path, 'a;b\n1,5;"x, y"\n2,5;z\n'))
    assert table.names == ("a", "b")
    assert cells(table, "a") == ["1,5", "2,5"]


def test_two_possible_separators_are_refused_not_guessed(tmp_path):
    fault = refused(written(tmp_path, "a,b;c\n1,2;3\n"))
    assert fault.where["row"] == 1
    assert "could both be the separator" in fault.message
    assert "quote" in fault.next


def test_one_column_needs_no_separator(tmp_path):
    table = read_table(written(tmp_path, "age\n1\n\n3\n\n\n"))
    assert cells(table, "age") == ["1", "", "3"]
    assert table.notes == ("lung.csv: UTF-8, one column",)


def test_quoted_fields_may_hold_line_breaks_separators_and_quotes(tmp_path):
    table = read_table(written(tmp_path, 'a,b\n"x\r\ny, ""z""",1\nq,2\n'))
    assert cells(table, "a") == ['x\r\ny, "z"', "q"]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_every_line_break_is_read(tmp_path, line_break):
    table = read_table(written(tmp_path, line_break.join(["a,b", "1,2", "3,4", "", ""])))
    assert cells(table, "b") == ["2", "4"]


def test_tables_longer_than_a_batch_keep_their_order(tmp_path):
    rows = [str(i) for i in range(2 * BATCH_ROWS + 3)]
    table = read_table(written(tmp_path, "a,b\n" + "".join(f"{r},x\n" for r in rows)))
    assert cells(table, "a") == rows
    assert [b.first_row for b in table.batches(["a"])] == [2, 2 + BATCH_ROWS, 2 + 2 * BATCH_ROWS]


# --- what is refused ---


def test_a_missing_file_is_not_found(tmp_path):
    fault = refused(tmp_path / "absent.csv")
    assert isinstance(fault, NotFound)
    assert fault.where["file"].endswith("absent.csv")
    assert "path" in fault.next


def test_a_folder_is_not_a_file(tmp_path):
    fault = refused(tmp_path)
    assert isinstance(fault, BadData)
    assert "is a folder" in fault.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_says_how_to_give_it(tmp_path):
    path = written(tmp_path, "a\n1\n")
    path.chmod(0)
    fault = refused(path)
    assert isinstance(fault, BadData)
    assert "chmod u+r" in fault.next


def test_a_path_through_a_file_says_why_it_cannot_be_read(tmp_path):
    fault = refused(written(tmp_path, "a\n1\n") / "inner.csv")
    assert isinstance(fault, BadData)
    assert "cannot be read" in fault.message


def test_a_file_above_the_limit_is_refused_unread(tmp_path):
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(FILE_BYTES_MAX + 1)
    assert "larger than 4 GiB" in refused(path).message


def test_an_empty_file_is_refused(tmp_path):
    fault = refused(written(tmp_path, ""))
    assert isinstance(fault, BadData)
    assert "is empty" in fault.message
    assert "column names" in fault.next


@pytest.mark.parametrize("text", ["\n\n", ",,\n1,2,3\n"])
def test_a_first_line_without_names_is_refused(tmp_path, text):
    fault = refused(written(tmp_path, text))
    assert fault.where["row"] == 1
    assert "no column names" in fault.message


def test_a_ragged_row_is_named(tmp_path):
    fault = refused(written(tmp_path, 'a,b,c\n1,2,"3\n3"\n1,2\n1,2,3\n'))
    assert isinstance(fault, BadData)
    assert fault.where["row"] == 3, "records are counted, not lines"
    assert fault.where["column"] == "c"
    assert "row 3 has 2 fields, the header has 3" in fault.message
    assert "separator: comma" in fault.message
    assert "quote fields" in fault.next


def test_a_ragged_row_in_a_later_batch_is_named(tmp_path):
    text = "a,b\n" + "1,2\n" * (BATCH_ROWS + 5) + "1,2,3\n"
    assert refused(written(tmp_path, text)).where["row"] == BATCH_ROWS + 7


def test_an_empty_line_between_rows_is_refused(tmp_path):
    fault = refused(written(tmp_path, "a,b\n1,2\n\n3,4\n"))
    assert fault.where["row"] == 3
    assert "empty line" in fault.message


def test_empty_lines_at_the_end_mean_nothing(tmp_path):
    assert cells(read_table(written(tmp_path, "a,b\n1,2\n\n\n")), "a") == ["1"]


def test_a_column_name_that_stands_twice_is_refused(tmp_path):
    fault = refused(written(tmp_path, "age,sex,age \n1,2,3\n"))
    assert fault.where == {"file": str(tmp_path / "lung.csv"), "row": 1, "column": "age"}
    assert "rename" in fault.next


def test_a_column_without_a_name_is_refused(tmp_path):
    fault = refused(written(tmp_path, ",age\n0,2\n"))
    assert "column 1 has no name" in fault.message
    assert "index=False" in fault.next


def test_a_file_cut_off_inside_a_quoted_field_is_refused(tmp_path):
    fault = refused(written(tmp_path, 'a,b\n1,2\n3,"4\n5,6\n'))
    assert isinstance(fault, BadData)
    assert fault.where["row"] == 3
    assert fault.where["column"] == "b"
    assert "ends inside a quoted field" in fault.message
    assert "not closed" in fault.next


def test_a_header_with_an_open_quotation_mark_is_refused(tmp_path):
    fault = refused(written(tmp_path, 'a,"b\n1,2\n'))
    assert fault.where["row"] == 1


def test_text_after_a_closing_quotation_mark_is_refused(tmp_path):
    fault = refused(written(tmp_path, 'a,b\n1,"2"x\n'))
    assert (fault.where["row"], fault.where["column"]) == (2, "b")
    assert "double quotation marks" in fault.next


def test_a_nul_character_is_refused(tmp_path):
    fault = refused(written(tmp_path, b"a,b\n1,2\n3,\x004\n"))
    assert (fault.where["row"], fault.where["column"]) == (3, "b")
    assert "NUL" in fault.message


def test_utf16_without_its_mark_is_recognised(tmp_path):
    fault = refused(written(tmp_path, "a,b\n1,2\n".encode("utf-16-le")))
    assert "UTF-16 without its byte order mark" in fault.message


def test_wrong_bytes_are_placed_by_record_not_by_line(tmp_path):
    fault = refused(written(tmp_path, b'a,b\n"x\ny",2\n3,\xff\n'))
    assert (fault.where["row"], fault.where["column"]) == (3, "b")
    assert "byte 15 is not UTF-8" in fault.message


def test_a_line_above_the_limit_is_refused(tmp_path):
    wide = "9," * (LINE_CHARACTERS_MAX // 2)
    fault = refused(written(tmp_path, f"a,b\n1,2\n{wide}1\n"))
    assert fault.where["row"] == 3
    assert f"more than {LINE_CHARACTERS_MAX} characters" in fault.message
    assert "line breaks" in fault.next


def test_a_field_above_the_limit_is_refused(tmp_path):
    fault = refused(written(tmp_path, "a,b\n1,2\n3," + "x" * 140_000 + "\n"))
    assert (fault.where["row"], fault.where["column"]) == (3, "b")
    assert "a field of more than" in fault.message


def test_more_columns_than_the_limit_are_refused(tmp_path):
    names = ",".join(f"c{i}" for i in range(COLUMNS_MAX + 1))
    assert f"more than {COLUMNS_MAX} columns" in refused(written(tmp_path, names + "\n")).message


@pytest.mark.parametrize(
    ("start", "what"), [(b"PK\x03\x04", "spreadsheet"), (b"\x1f\x8b", "gzip"), (b"%PDF", "PDF")]
)
def test_other_documents_are_recognised(tmp_path, start, what):
    fault = refused(written(tmp_path, start + b"....."))
    assert what in fault.message
    assert "CSV" in fault.next


# --- Parquet ---


def test_parquet_is_recognised_by_its_bytes(tmp_path):
    path = tmp_path / "lung.data"
    pd.DataFrame({"a": [1, 2], "b": ["x", None]}).to_parquet(path)
    table = read_table(path)
    assert table.names == ("a", "b")
    assert cells(table, "b") == ["x", None]


def test_a_truncated_parquet_file_is_refused(tmp_path):
    path = tmp_path / "lung.parquet"
    pd.DataFrame({"a": range(1000)}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    fault = refused(path)
    assert isinstance(fault, BadData)
    assert "damaged or cut off" in fault.message
    assert "whole" in fault.next


def test_a_parquet_file_with_damaged_pages_is_refused(tmp_path):
    path = tmp_path / "lung.parquet"
    pd.DataFrame({"a": range(1000)}).to_parquet(path)
    raw = bytearray(path.read_bytes())
    raw[4:400] = b"\xff" * 396
    path.write_bytes(raw)
    assert isinstance(refused(path), BadData)


def test_text_named_parquet_is_refused(tmp_path):
    fault = refused(written(tmp_path, "a,b\n1,2\n", "lung.parquet"))
    assert "is no Parquet file" in fault.message


@pytest.mark.parametrize(
    "values",
    [[[1, 2]], [{"x": 1}], pa.array([b"raw"], pa.binary()), pa.array([1], pa.time64("us"))],
)
def test_nested_and_binary_parquet_types_are_refused(tmp_path, values):
    path = tmp_path / "lung.parquet"
    parquet.write_table(pa.table({"a": [1], "b": values}), path)
    fault = refused(path)
    assert fault.where["column"] == "b"
    assert "cannot be read" in fault.message
    assert cells(read_table(path), "a") == [1], "a column that nobody asks for does no harm"


def test_parquet_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "lung.parquet"
    parquet.write_table(pa.Table.from_arrays([pa.array([1])] * 2, names=["a", "a "]), path)
    assert refused(path).where["column"] == "a"


def test_float32_is_its_shortest_decimal(tmp_path):
    path = tmp_path / "lung.parquet"
    parquet.write_table(pa.table({"a": pa.array([0.1, None], pa.float32())}), path)
    assert cells(read_table(path), "a") == [0.1, None]
