"""The demo, as a newcomer runs it."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("engine", ["process", pytest.param("ray", marks=pytest.mark.slow)])
def test_the_demo_compares_every_answer_and_leaves_nothing(place, engine) -> None:
    result = place.run("demo", "--json", "--engine", engine, "--out", place.folder / "kept")
    assert result.exit == 0, result.reply["error"]
    data = result.reply["data"]
    assert [len(one["answer"]["members"]) for one in data["studies"]] == [3, 4]
    compared = [one for study in data["studies"] for one in study["compared"]]
    assert len(compared) > 25
    assert all(one["difference"] <= 1e-9 for one in compared)
    assert all(study["verified"] for study in data["studies"])
    assert any("sex_and_function" in line for line in data["studies"][0]["withheld"])
    assert any("1 patient has no centre" in note for note in data["notes"])
    kept = sorted(path.name for path in (place.folder / "kept" / "linked-result").iterdir())
    assert kept == ["answer.json", "log.bundle", "receipt"]
    assert place.left(2.0) == []


def test_the_demo_never_writes_over_a_folder(place) -> None:
    folder = place.folder / "full"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    result = place.run("demo", "--json", "--out", folder)
    assert result.exit == 1
    assert "not empty" in result.error["message"]


@pytest.mark.parametrize(
    ("trial", "exit_code", "code", "said"),
    [
        ("refusal", 3, 301, "west: the kind crosstab is not allowed"),
        ("kill", 4, 402, "ended by signal 9 (SIGKILL)"),
        ("forgery", 7, 701, "its signature does not verify"),
    ],
)
def test_a_trial_ends_as_it_would_for_anybody(place, trial, exit_code, code, said) -> None:
    result = place.run("demo", "--try", trial, "--json")
    assert (result.exit, result.error["code"]) == (exit_code, code)
    member = result.error["where"].get("member", "")
    assert said in f"{member}: {result.error['message']}"
    lines = result.reply["data"]["lines"]
    assert lines
    if trial == "forgery":
        assert "signed" in next(line for line in lines if "is called" in line)
    assert place.left(2.0) == []
