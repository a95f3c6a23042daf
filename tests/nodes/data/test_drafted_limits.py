"""What a draft and a reader do one past each of their limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodes.data.dataset import IGNORED_NAMED_MAX, load
from nodes.data.derive import describe_file
from nodes.data.draft import CODES_MAX, DRAFT_LEVELS_MAX
from nodes.data.survey import DECIMALS_SEEN_MAX
from p2pmpc.dictionary import Column, Dictionary


def drafted(tmp_path: Path, cells: list[str]) -> Column:
    path = tmp_path / "data.csv"
    path.write_text("x\n" + "\n".join(cells * 2) + "\n")
    found = describe_file(path).column("x")
    assert found is not None
    return found


@pytest.mark.parametrize("past", [0, 1])
def test_many_whole_numbers_are_no_codes(tmp_path: Path, past: int) -> None:
    column = drafted(tmp_path, [str(100 + number) for number in range(CODES_MAX + past)])
    assert column.type == "integer"
    assert ("group" in column.uses) is not bool(past)


@pytest.mark.parametrize("past", [0, 1])
def test_many_texts_are_no_levels(tmp_path: Path, past: int) -> None:
    names = [f"level {number:03d}" for number in range(DRAFT_LEVELS_MAX + past)]
    column = drafted(tmp_path, names)
    assert (column.type == "category") is not bool(past)
    assert len(column.levels) == (0 if past else DRAFT_LEVELS_MAX)


@pytest.mark.parametrize("past", [0, 1])
def test_very_fine_numbers_have_no_declared_resolution(tmp_path: Path, past: int) -> None:
    digits = DECIMALS_SEEN_MAX + past
    column = drafted(tmp_path, [f"0.{number:0{digits}d}" for number in range(1, 60, 2)])
    assert column.type == "number"
    assert column.decimals == (None if past else digits)


@pytest.mark.parametrize("past", [0, 1])
def test_the_note_of_ignored_columns_names_so_many_and_counts_the_rest(
    tmp_path: Path, past: int
) -> None:
    names = [f"c{number}" for number in range(IGNORED_NAMED_MAX + past)]
    path = tmp_path / "data.csv"
    path.write_text(",".join(["x", *names]) + "\n" + ",".join(["1"] * (len(names) + 1)) + "\n")
    dictionary = Dictionary(name="data", columns=(Column(name="x", type="integer"),))
    note = next(n for n in load(path, dictionary, "north").notes if "ignored" in n)
    assert ("and 1 more" in note) is bool(past)
    assert f"c{IGNORED_NAMED_MAX - 1}" in note


def test_texts_that_all_differ_are_names_and_no_public_levels(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("who,sex\nAnna,f\nBerta,f\nClara,m\n")
    found = describe_file(path)
    who, sex = found.column("who"), found.column("sex")
    assert who is not None
    assert who.type == "identifier"
    assert who.levels == ()
    assert sex is not None
    assert sex.levels == ("f", "m")
