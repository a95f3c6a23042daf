"""Bad input of every sort: one object, the right exit code, the place named, nothing left."""

from __future__ import annotations

import pytest

STUDY = """
[study]
title = "Ages"

[data.patients]
dataset = "lung"
members = ["north", "south", "west"]

[[statistic]]
name = "ages"
kind = "describe"
columns = ["age"]
"""


def changed(old: str, new: str) -> str:
    assert old in STUDY
    return STUDY.replace(old, new)


@pytest.fixture(scope="module")
def study(write):
    return write("study.toml", STUDY)


def refused(result, status: int, code: int, *words: str):
    assert result.exit == status, result.stdout
    error = result.error
    assert error["code"] == code
    said = f"{error['message']} {error['next']} {error['where']}"
    for word in words:
        assert word in said
    assert result.reply["status"] in {"refused", "aborted", "error"}
    return error


# ---- wrong usage ---------------------------------------------------------------------------------


def test_one_site_alone_is_wrong_usage(place, lung, study) -> None:
    result = place.run("rehearse", study, *lung.sites("north"), "--json")
    refused(result, 2, 201, "at least two")


def test_no_site_is_wrong_usage(place, study) -> None:
    refused(place.run("rehearse", study, "--json"), 2, 201, "--site")


def test_a_site_given_twice_is_wrong_usage(place, lung, study) -> None:
    result = place.run("rehearse", study, *lung.sites("north", "south", "north"), "--json")
    error = refused(result, 2, 201, "twice")
    assert error["where"]["member"] == "north"


def test_a_member_of_the_study_that_is_no_site_is_wrong_usage(place, lung, study) -> None:
    result = place.run("rehearse", study, *lung.sites("north", "south"), "--json")
    error = refused(result, 2, 201, "west")
    assert error["where"]["member"] == "west"


def test_a_data_set_that_a_site_lacks_is_wrong_usage(place, lung, study) -> None:
    sites = [*lung.sites("north", "south"), "--site", f"west={lung.file('lab')}"]
    result = place.run("rehearse", study, *sites, "--json")
    refused(result, 2, 201, "west", "'lung'", "markers")


def test_a_site_without_a_file_is_wrong_usage(place, lung, study) -> None:
    sites = [*lung.sites("north", "south"), "--site", "west"]
    refused(place.run("rehearse", study, *sites, "--json"), 2, 201, "NAME=FILE")


def test_a_file_that_is_not_there_is_not_found(place, lung, study) -> None:
    sites = [*lung.sites("north", "south"), "--site", "west=nowhere/lung.csv"]
    error = refused(place.run("rehearse", study, *sites, "--json"), 6, 601, "nowhere/lung.csv")
    assert error["where"]["member"] == "west"


def test_a_study_that_is_not_there_is_not_found(place, lung) -> None:
    refused(place.run("rehearse", "nowhere.toml", *lung.sites(), "--json"), 6, 601, "nowhere.toml")


@pytest.mark.parametrize(
    "words",
    [
        ["rehears"],
        ["study", "chek", "x"],
        ["rehearse", "study.toml", "--sites", "a=b"],
        ["rehearse", "study.toml", "--site", "a=b", "--engine", "gpu"],
        ["study", "check"],
        ["study"],
        ["explain"],
    ],
)
def test_a_command_line_that_is_wrong_exits_2_as_one_object(place, words) -> None:
    refused(place.run(*words, "--json"), 2, 201, "--help")


@pytest.mark.parametrize(
    "words",
    [
        ["network", "admit", "card"],
        ["data", "withdraw", "lung"],
        ["keys", "rotate"],
        ["sim", "predict", "study.toml"],
    ],
)
def test_a_word_that_is_coming_is_refused_by_name(place, words) -> None:
    refused(place.run(*words, "--json"), 3, 302, f"p2pmpc {words[0]} {words[1]}")


# ---- malformed studies, dictionaries, policies ---------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("[study", 202, "TOML"),
        (changed('title = "Ages"', 'titel = "Ages"'), 202, "titel"),
        (changed('kind = "describe"', 'kind = "describ"'), 202, "describ"),
        (changed('columns = ["age"]', 'colums = ["age"]'), 202, "colums"),
        (changed('dataset = "lung"', 'dataset = "lung"\nwhere = "age >"'), 203, "where"),
        (changed('members = ["north", "south", "west"]', 'members = ["north"]'), 202, "north"),
    ],
)
def test_a_malformed_study_exits_2_and_names_the_place(
    place, lung, write, text, code, word
) -> None:
    path = write("bad.toml", text)
    error = refused(place.run("rehearse", path, *lung.sites(), "--json"), 2, code, word)
    assert error["where"]["file"].endswith("bad.toml")
    assert place.run("study", "check", path, "--json").error["code"] == code


def test_a_kind_that_is_coming_is_refused_by_name(place, lung, write) -> None:
    text = changed('kind = "describe"\ncolumns = ["age"]', 'kind = "cox"\ntime = "time"\n')
    text += 'event = "status"\nformula = "age"\n'
    path = write("cox.toml", text)
    refused(place.run("rehearse", path, *lung.sites(), "--json"), 3, 302, "cox")


def test_a_malformed_dictionary_exits_2(place, lung, study, write) -> None:
    text = (lung.folder / "lung.toml").read_text().replace('"integer"', '"intger"', 1)
    path = write("bad-lung.toml", text)
    words = ["rehearse", study, *lung.sites(), "--dictionary", path, "--json"]
    refused(place.run(*words), 2, 204, "intger")


def test_a_malformed_policy_exits_2(place, lung, study, write) -> None:
    path = write("bad-policy.toml", "[default]\nminimum_cels = 5\n")
    words = ["rehearse", study, *lung.sites(), "--policy", path, "--json"]
    refused(place.run(*words), 2, 205, "minimum_cels")


def test_a_column_that_no_file_has_exits_2(place, lung, write) -> None:
    path = write("column.toml", changed('["age"]', '["aeg"]'))
    refused(place.run("rehearse", path, *lung.sites(), "--json"), 2, 202, "aeg")
    assert place.left(2.0) == []


# ---- unusable data -------------------------------------------------------------------------------


def with_north(lung, write, name: str, change) -> list[str]:
    text = change(lung.file("north").read_text())
    path = write(f"{name}/lung.csv", text)
    return ["--site", f"north={path}", *lung.sites("south", "west")]


def second_age(text: str, value: str) -> str:
    lines = text.splitlines(keepends=True)
    cells = lines[4].split(",")
    cells[3] = value
    lines[4] = ",".join(cells)
    return "".join(lines)


def test_a_text_among_numbers_names_row_and_column_and_not_the_value(
    place, lung, study, write
) -> None:
    sites = with_north(lung, write, "words", lambda text: second_age(text, "unknownage"))
    result = place.run("rehearse", study, *sites, *lung.dictionaries[:2], "--json")
    error = refused(result, 5, 501, "north")
    assert error["where"]["member"] == "north"
    assert error["where"]["row"] == 5
    assert error["where"]["column"] == "age"
    assert "unknownage" not in result.stdout
    assert result.seconds < 10
    assert place.left(2.0) == []


def test_a_number_outside_the_bounds_is_unusable(place, lung, study, write) -> None:
    sites = with_north(lung, write, "bounds", lambda text: second_age(text, "130"))
    result = place.run("rehearse", study, *sites, *lung.dictionaries[:2], "--json")
    error = refused(result, 5, 501, "north")
    assert error["where"]["row"] == 5
    assert "130" not in error["message"]


def test_a_missing_column_is_unusable_and_names_the_likely_one(place, lung, study, write) -> None:
    sites = with_north(lung, write, "renamed", lambda text: text.replace("age", "Age", 1))
    for words in ([], lung.dictionaries[:2]):
        result = place.run("rehearse", study, *sites, *words, "--json")
        error = refused(result, 5, 501, "north", "Age")
        assert error["where"]["member"] == "north"
        assert error["where"]["column"] == "age"


def test_an_empty_file_is_unusable(place, lung, study, write) -> None:
    sites = with_north(lung, write, "empty", lambda text: "")
    refused(place.run("rehearse", study, *sites, "--json"), 5, 501, "north")
    assert place.left(2.0) == []


# ---- refused -------------------------------------------------------------------------------------


def test_members_that_describe_a_column_differently_are_a_mismatch(
    place, lung, study, write
) -> None:
    text = (lung.folder / "lung.toml").read_text().replace('units = "years"', 'units = "months"')
    other = write("months.toml", text)
    words = [*lung.dictionaries[:2], "--dictionary", f"south={other}"]
    result = place.run("rehearse", study, *lung.sites(), *words, "--json")
    refused(result, 3, 303, "age")
    assert result.reply["status"] == "refused"
    assert place.left(2.0) == []


def test_a_member_whose_policy_refuses_ends_the_study(place, lung, study, write) -> None:
    policy = write("refuse.toml", '[default]\ndecide = "refuse"\n')
    result = place.run("rehearse", study, *lung.sites(), "--policy", f"west={policy}", "--json")
    error = refused(result, 3, 301, "west")
    assert error["where"]["member"] == "west"
    assert place.left(2.0) == []


def test_what_is_withheld_is_listed_and_the_rest_is_released(place, lung, write) -> None:
    text = f'{STUDY}\n[[statistic]]\nname = "rare"\nkind = "crosstab"\n'
    path = write("withheld.toml", text + 'rows = "sex"\ncolumns = "ph_ecog"\n')
    result = place.run("rehearse", path, *lung.sites(), *lung.dictionaries[:2], "--json")
    error = refused(result, 3, 305, "rare")
    assert "would pass" in error["next"]
    assert result.reply["status"] == "refused"
    answer = result.reply["data"]["answer"]
    assert answer["released"] is False
    assert answer["statistics"]["ages"]["table"][0]["n"] == len(lung.pooled)
    rare = answer["statistics"]["rare"]
    assert rare["released"] is False or rare["suppressed"]
    assert place.left(2.0) == []


# ---- never a traceback ---------------------------------------------------------------------------


def test_debug_names_a_file_and_prints_no_traceback(place, lung) -> None:
    from pathlib import Path

    result = place.run("rehearse", "nowhere.toml", *lung.sites(), "--debug", "--json")
    name = result.reply["data"]["debug_file"]
    text = Path(name).read_text()
    assert "Traceback" in text
    assert Path(name).stat().st_mode & 0o777 == 0o600
    Path(name).unlink()


def test_every_error_code_is_explained_offline(place) -> None:
    from p2pmpc.errors import error_tree

    for code in (101, 305, 501):
        result = place.run("explain", str(code), "--json")
        assert result.exit == 0
        assert str(code) in result.reply["data"]["page"]
    refused(place.run("explain", "999", "--json"), 6, 601, *map(str, error_tree()))
