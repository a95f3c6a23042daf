"""Linkage keys: the text of each part, by the type of its column."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodes.data.dataset import Snapshot, load
from nodes.data.keys import key_parts, persons
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import BadStudy, NotFound
from protocols.linkage.tokens import join_parts

TEXT = """id,year,birth,sex,weight
 007 ,1950,1950-01-31,f,1.5
,,,,
Ä-1,-3,19600201,m,2
"""


def loaded(folder: Path, person: str = "") -> Snapshot:
    path = folder / "lung.csv"
    path.write_text(TEXT, encoding="utf-8")
    columns = (
        Column(name="id", type="identifier"),
        Column(name="year", type="integer"),
        Column(name="birth", type="date"),
        Column(name="sex", type="category", levels=("m", "f")),
        Column(name="weight", type="number"),
    )
    return load(path, Dictionary(name="lung", columns=columns, person=person), "north")


def test_each_pass_holds_the_text_of_its_columns(tmp_path):
    first, second = key_parts(loaded(tmp_path), [["id"], ["year", "birth", "sex"]])
    assert first == [("007",), (None,), ("Ä-1",)]
    assert second == [("1950", "1950-01-31", "f"), (None, None, None), ("-3", "1960-02-01", "m")]


def test_the_parts_make_keys_and_a_missing_part_makes_none(tmp_path):
    (parts,) = key_parts(loaded(tmp_path), [["id", "birth"]])
    keys = [join_parts(1, one) for one in parts]
    assert keys[1] is None
    assert keys[0] == join_parts(1, ("007", "1950-01-31"))


def test_fractions_cannot_be_keys(tmp_path):
    with pytest.raises(BadStudy, match="column weight is number and cannot be a key") as caught:
        key_parts(loaded(tmp_path), [["weight"]])
    assert "identifier" in caught.value.next


def test_an_unknown_key_column_is_named(tmp_path):
    with pytest.raises(NotFound, match="has no column birt") as caught:
        key_parts(loaded(tmp_path), [["birt"]])
    assert caught.value.next == "did you mean birth?"


def test_persons_come_from_the_dictionarys_column(tmp_path):
    assert persons(loaded(tmp_path)) is None
    assert persons(loaded(tmp_path, person="id")) == ("007", None, "Ä-1")
