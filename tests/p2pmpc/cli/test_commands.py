"""The command line without nodes: replies, exit codes, what is imported, words that are coming."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from p2pmpc.cli import entry
from p2pmpc.cli.answer import answer_lines, withheld
from p2pmpc.cli.commands import COMING, run
from p2pmpc.cli.engine import announce
from p2pmpc.cli.entry import main
from p2pmpc.cli.output import ROWS_SHOWN_MAX, Progress, Reply, Table, failed, perform, show_reply
from p2pmpc.errors import Aborted, BadData, Refused, RemoteError, Withheld, error_tree

ROOT = Path(__file__).resolve().parents[3]


def reply_of(capsys) -> dict:
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def test_the_status_follows_the_error() -> None:
    cases = ((None, "ok"), (Withheld("x"), "refused"), (Aborted("x"), "aborted"))
    for error, status in (*cases, (RemoteError("x"), "aborted"), (BadData("x"), "error")):
        assert Reply("c", error=error).status == status


def test_every_error_has_an_exit_code_of_the_interface() -> None:
    assert {cls.exit for cls in error_tree().values()} == {1, 2, 3, 4, 5, 6, 7}


def test_a_fault_that_is_not_ours_is_told_without_its_words(capsys) -> None:
    def work() -> Reply:
        raise ValueError("a secret value")

    assert perform("c", True, False, work) == 1
    reply = reply_of(capsys)
    assert reply["error"]["code"] == 101
    assert "secret" not in json.dumps(reply)
    assert "--debug" in reply["error"]["next"]


def test_debug_writes_the_traceback_to_a_file_of_ones_own(capsys) -> None:
    def work() -> Reply:
        raise BadData("row 5", file="x.csv")

    assert perform("c", True, True, work) == 5
    name = Path(reply_of(capsys)["data"]["debug_file"])
    assert "Traceback" in name.read_text()
    assert name.stat().st_mode & 0o777 == 0o600
    name.unlink()


def test_an_error_for_a_person_has_what_where_and_what_next(capsys) -> None:
    fault = BadData("row 5, column age: a text", next="Correct it.", file="x.csv", row=5)
    assert show_reply(failed("c", fault), False) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "501: row 5, column age: a text (file x.csv, row 5)",
        "Correct it.",
        "p2pmpc explain 501 says more.",
    ]


def test_a_table_wider_than_the_line_comes_in_parts_and_breaks_no_number(capsys) -> None:
    columns = ("column", *(f"number_{place}" for place in range(20)))
    row = ["age", *(-1234.5678 - place for place in range(20))]
    show_reply(Reply("c", lines=(Table("wide", columns, [row]),)), False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    assert sum(line.startswith("age") for line in lines) == 2
    assert sorted(word for line in lines for word in line.split() if word[0] == "-") == sorted(
        f"{value:.6g}" for value in row[1:]
    )


def test_ctrl_c_while_libraries_are_read_is_a_reply(capsys, monkeypatch) -> None:
    def interrupted(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_dispatch", interrupted)
    assert main(["rehearse", "--json"]) == 4
    assert reply_of(capsys)["status"] == "aborted"


def test_an_error_names_its_member_where_its_words_do_not(capsys) -> None:
    show_reply(failed("c", Refused("this policy refuses every study", member="north")), False)
    assert capsys.readouterr().err.startswith("301: north: this policy refuses every study")
    show_reply(failed("c", BadData("north: x.csv is empty", member="north")), False)
    assert capsys.readouterr().err.startswith("501: north: x.csv is empty")


def test_what_is_withheld_is_said_once_in_one_list() -> None:
    closed = {"released": False, "reason": "too few", "would_pass": "10 persons; 2 members"}
    cell = {"rule": "R", "would_pass": "10 persons", "row": "a", "column": "n"}
    open_ = {"released": True, "suppressed": [cell]}
    fault = withheld({"released": False, "statistics": {"x": closed, "y": closed, "z": open_}})
    assert fault.message.endswith("withheld: x, y not released; z: 1 cell suppressed (R)")
    assert fault.next == "What would pass: 10 persons; 2 members"


def test_a_receipt_with_sorted_keys_reads_in_the_order_of_an_answer() -> None:
    row = {"column": "age", "kurtosis": 1.0, "mean": 2.0, "n": 3, "sex": "a"}
    one = {"kind": "describe", "released": True, "table": [row], "caveats": []}
    answer = {"study": "s", "released": True, "members": ["a"], "statistics": {"d": one}}
    tables = [line for line in answer_lines(answer) if isinstance(line, Table)]
    assert tables[0].columns == ("column", "sex", "n", "mean", "kurtosis")


def test_a_table_longer_than_a_screen_says_how_many_rows_it_hides(capsys) -> None:
    rows = [[number, "[bold]x"] for number in range(ROWS_SHOWN_MAX + 1)]
    show_reply(Reply("c", lines=(Table("T", ("n", "text"), rows),)), False)
    out = capsys.readouterr().out
    assert "and 1 more rows" in out
    assert "[bold]x" in out
    assert "\x1b" not in out


def test_a_number_that_is_not_finite_never_reaches_the_reply() -> None:
    with pytest.raises(ValueError, match="JSON"):
        show_reply(Reply("c", {"x": float("nan")}), True)


def test_progress_names_who_is_meant_once(capsys) -> None:
    say = Progress(silent=False)
    say("data", "north", "95 rows", 1.0)
    say("waiting", "north", "north: not heard", 2.0)
    Progress(silent=True)("data", "north", "95 rows", 1.0)
    err = capsys.readouterr().err.splitlines()
    assert [line.split("s  ")[1] for line in err] == [
        "data       north: 95 rows",
        "waiting    north: not heard",
    ]


def test_version_speaks_both_ways(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("p2pmpc 0.")
    assert main(["--version", "--json"]) == 0
    assert reply_of(capsys)["data"]["version"].startswith("0.")


@pytest.mark.parametrize("words", [[], ["--help"], ["network", "--help"], ["rehearse", "-h"]])
def test_help_lists_what_exists_and_what_is_coming(words, capsys) -> None:
    assert run(words) == (0 if words else 2)
    out = capsys.readouterr().out
    assert "Usage: p2pmpc" in out
    if words == ["network", "--help"]:
        assert "members" in out
        assert "(coming)" in out


def test_every_coming_word_is_refused_by_name_with_any_arguments(capsys) -> None:
    for group, verbs in COMING.items():
        for verb in verbs:
            assert run([group, verb, "x", "--whatever", "1", "--json"]) == 3
            reply = reply_of(capsys)
            assert reply["command"] == f"{group} {verb}"
            assert reply["error"]["code"] == 302


def test_wrong_usage_is_one_object_too(capsys) -> None:
    assert run(["study", "check", "--json"]) == 2
    reply = reply_of(capsys)
    assert reply["command"] == "study check"
    assert reply["error"]["code"] == 201


def test_a_study_is_written_checked_and_shown(tmp_path, capsys) -> None:
    file = str(tmp_path / "s.toml")
    words = ["study", "new", file, "--member", "north", "--member", "lab", "--title", 'A "b" \\']
    assert run([*words, "--json"]) == 0
    study = reply_of(capsys)["data"]["study"]
    assert run(["study", "new", file, "--json"]) == 2
    assert "exists" in reply_of(capsys)["error"]["message"]
    assert run(["study", "check", file, "--json"]) == 0
    data = reply_of(capsys)["data"]
    assert data["study"] == study
    assert data["parties"] == ["lab", "north"]
    assert data["title"] == 'A "b" \\'
    assert run(["study", "show", file]) == 0
    assert "Who will learn what" in capsys.readouterr().out


def test_a_study_is_shown_without_the_spelling_of_a_programming_language(tmp_path, capsys) -> None:
    file = tmp_path / "s.toml"
    file.write_text(STUDY)
    assert run(["study", "show", str(file)]) == 0
    assert "columns = [age]" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["log", "show"], ["study", "receipt"]])
def test_a_file_of_another_kind_is_no_record_and_the_reply_says_where_one_is(
    words, tmp_path, capsys
) -> None:
    file = tmp_path / "s.toml"
    file.write_text(STUDY)
    assert run([*words, str(file), "--json"]) == 7
    assert "--out DIR" in reply_of(capsys)["error"]["next"]


DICTIONARY = """
[dataset]
name = "lung"
[columns.age]
type = "integer"
minimum = 0
maximum = 120
uses = ["aggregate"]
[columns.sex]
type = "category"
levels = ["a", "b"]
uses = []
"""
STUDY = """
[study]
title = "t"
[data.p]
dataset = "lung"
members = ["north", "south"]
[[statistic]]
name = "ages"
kind = "describe"
columns = ["age"]
"""


def test_a_study_is_checked_against_dictionaries(tmp_path, capsys) -> None:
    study, dictionary = tmp_path / "s.toml", tmp_path / "d.toml"
    dictionary.write_text(DICTIONARY)
    study.write_text(STUDY)
    words = ["study", "check", str(study), "--dictionary", str(dictionary), "--json"]
    assert run(words) == 0
    assert reply_of(capsys)["data"]["statistics"][0]["withheld"] is False
    study.write_text(STUDY + '[[statistic]]\nname = "s"\nkind = "count"\nby = "sex"\n')
    assert run(words) == 3
    reply = reply_of(capsys)
    assert reply["error"]["code"] == 305
    assert [one["withheld"] for one in reply["data"]["statistics"]] == [False, True]
    study.write_text(STUDY.replace('"age"', '"aeg"'))
    assert run(words) == 2
    assert "aeg" in reply_of(capsys)["error"]["message"]


def test_a_data_file_is_described_and_checked(tmp_path, capsys) -> None:
    file, draft = tmp_path / "lung.csv", tmp_path / "lung.toml"
    file.write_text("age,sex\n30,a\n40,b\nNA,a\n")
    assert run(["data", "describe", str(file), "--out", str(draft), "--json"]) == 0
    assert reply_of(capsys)["data"]["file"] == str(draft)
    assert run(["data", "describe", str(file), "--out", str(draft), "--json"]) == 2
    capsys.readouterr()
    assert run(["data", "check", str(file), "--dictionary", str(draft), "--json"]) == 0
    data = reply_of(capsys)["data"]
    assert data["rows"] == 3
    assert data["columns"][0]["missing"] == 1
    file.write_text("age,sex\nold,a\n")
    assert run(["data", "check", str(file), "--dictionary", str(draft), "--json"]) == 5
    assert reply_of(capsys)["error"]["where"]["row"] == 2


LIGHT = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"click", "rich", "numpy", "pandas", "cryptography", "structlog"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
from p2pmpc.cli.entry import main
sys.exit(main(sys.argv[1:]))
"""


def light(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIGHT, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_log_verify_needs_neither_click_nor_numpy(tmp_path) -> None:
    done = light("log", "verify", str(tmp_path / "none.bundle"), "--json")
    assert done.returncode == 6, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == 601
    (tmp_path / "bad.bundle").write_bytes(b"not a bundle")
    done = light("log", "verify", str(tmp_path / "bad.bundle"), "--json")
    assert done.returncode == 7, done.stderr


def test_a_missing_library_is_said_in_one_sentence() -> None:
    done = light("study", "check", "x", "--json")
    assert done.returncode == 1, done.stderr
    reply = json.loads(done.stdout)
    assert "click" in reply["error"]["message"]
    assert "pip install" in reply["error"]["next"]


def test_a_closed_pipe_is_no_traceback(tmp_path) -> None:
    command = f'"{sys.executable}" -m p2pmpc.cli --help | true'
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


@pytest.mark.parametrize(("engine", "said"), [("ray", 1), ("process", 0)])
def test_where_nodes_start_a_ray_of_their_own_it_is_said(engine, said, capsys) -> None:
    announce(engine, Progress(silent=False))
    assert capsys.readouterr().err.count("a Ray runtime of its own") == said


def test_a_folder_is_no_bundle_and_the_reply_names_the_file_in_it(tmp_path, capsys) -> None:
    assert main(["log", "verify", str(tmp_path), "--json"]) == 2
    assert str(tmp_path / "log.bundle") in reply_of(capsys)["error"]["next"]
