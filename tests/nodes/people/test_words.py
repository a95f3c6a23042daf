"""The words of a member on the command line, against three real nodes."""

from __future__ import annotations

import json

import pytest

from p2pmpc.cli.commands import run
from p2pmpc.cli.entry import main
from p2pmpc.cli.proposal import _proposed

NAMES = ("north", "south", "west")


@pytest.fixture
def say(capsys, monkeypatch):
    """A command's exit code and its one object."""

    def say(house, member: str, *words: str) -> tuple[int, dict]:
        monkeypatch.chdir(house.folder)
        code = run([*words, "--node", str(house.home(member)), "--json"])
        out = capsys.readouterr().out
        assert out.count("\n") == 1, out
        return code, json.loads(out)

    return say


@pytest.fixture
def read(capsys, monkeypatch):
    """A command as a person reads it: exit code, output, errors; its blanks made one."""

    def read(house, member: str, *words: str) -> tuple[int, str]:
        monkeypatch.chdir(house.folder)
        code = run([*words, "--node", str(house.home(member))])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, " ".join((out + err).split())

    return read


def test_a_command_without_a_node_says_how_to_name_one(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("P2PMPC_NODE", raising=False)
    assert main(["study", "list", "--json"]) == 2
    assert "--node DIR" in json.loads(capsys.readouterr().out)["error"]["next"]
    assert main(["study", "list", "--node", str(tmp_path / "none"), "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["error"]["code"] == 601


def test_founding_and_joining(empty_house, say, read) -> None:
    cards = [str(empty_house.home(name) / f"{name}.card") for name in NAMES]
    code, text = read(empty_house, "north", "network", "members")
    assert code == 6
    assert "p2pmpc network found" in text
    code, reply = say(empty_house, "north", "data", "list", "--all")
    assert (code, reply["data"]["catalogue"]) == (0, [])
    # two members were meant where one is given twice: nothing is founded
    code, reply = say(empty_house, "north", "network", "found", "Twice", cards[1], cards[1])
    assert (code, "south" in reply["error"]["message"]) == (2, True)
    assert not (empty_house.folder / "Twice.network").exists()
    # a network without south is not south's to join
    code, _ = say(empty_house, "west", "network", "found", "Two", cards[2], cards[0])
    assert code == 0
    code, reply = say(empty_house, "south", "network", "join", "Two.network", "--yes")
    assert (code, reply["status"]) == (3, "refused")
    assert "its members are north, west" in reply["error"]["message"]
    # who is in one network founds no other, and leaves no file behind
    code, reply = say(empty_house, "west", "network", "found", "Three", *cards)
    assert code == 2
    assert "p2pmpc node new" in reply["error"]["next"]
    assert not (empty_house.folder / "Three.network").exists()
    # nobody joins unasked
    code, reply = say(empty_house, "north", "network", "join", "Two.network")
    assert code == 2
    fingerprint = empty_house.node("north").status()["fingerprint"]
    assert fingerprint in reply["error"]["message"]
    assert "--yes" in reply["error"]["next"]
    code, reply = say(empty_house, "north", "network", "join", "Two.network", "--yes")
    assert code == 0
    assert [one["name"] for one in reply["data"]["members"]] == ["north", "west"]


def test_an_older_card_of_ones_own_founds_nothing(empty_house, say) -> None:
    other = empty_house.folder / "older.card"
    other.write_bytes((empty_house.home("north") / "north.card").read_bytes())
    renamed = empty_house.folder / "south.card"
    renamed.write_bytes(b"no card")
    code, reply = say(empty_house, "south", "network", "found", "T", str(other), str(renamed))
    assert code == 7
    assert str(renamed) in reply["error"]["message"]


def test_data_that_does_not_fit_its_dictionary_is_refused_by_place(house, say) -> None:
    house.write("late.csv", "age,sex\n30,female\n999,male\n")
    code, reply = say(house, "west", "data", "add", "late.csv", "--dictionary", "visits.toml")
    assert code == 5
    assert reply["error"]["where"] | {"file": ""} == {
        "file": "", "row": 3, "column": "age", "member": "west"
    }  # fmt: skip
    code, reply = say(house, "west", "data", "list")
    assert [one["rows"] for one in reply["data"]["datasets"]] == [40]


def test_a_study_is_followed_from_its_proposal_to_its_files(house, say, read, capsys) -> None:
    house.study("ages by hand")
    code, reply = say(house, "north", "study", "check", "ages-by-hand.toml")
    assert code == 0
    code, reply = say(house, "north", "study", "propose", "ages-by-hand.toml", "--expires", "2")
    assert code == 0
    study = reply["data"]["study"]
    assert reply["data"]["waits_for"] == [*NAMES]
    house.until(lambda: all(study in house.node(n).status()["waiting"] for n in NAMES))
    code, text = read(house, "south", "study", "list")
    assert "you" in text
    assert f"p2pmpc study show {study[:16]}" in text
    code, text = read(house, "south", "study", "show", study[:12])
    assert "Your organisation decides, until" in text
    assert f"--hash {study}" in text
    code, reply = say(house, "north", "study", "result", study)
    assert code == 6
    assert "--wait" in reply["error"]["next"]
    code, reply = say(house, "south", "study", "approve", study, "--why", "x", "--hash", "00" * 32)
    assert code == 2
    code, reply = say(house, "south", "study", "approve", study, "--why", "  ")
    assert code == 2
    for name in NAMES:
        code, reply = say(house, name, "study", "approve", study[:16], "--why", f"{name} agrees")
        assert code == 0
    code, reply = say(house, "north", "study", "result", study, "--wait", "--out", "answer.json")
    assert (code, reply["status"]) == (0, "ok")
    assert reply["data"]["answer"]["statistics"]["ages"]["table"][0]["n"] == 120
    assert json.loads((house.folder / "answer.json").read_text()) == reply["data"]["answer"]
    code, reply = say(house, "west", "study", "result", study, "--wait")
    assert code == 6
    assert "no recipient" in reply["error"]["message"]
    code, reply = say(house, "north", "study", "receipt", study, "--recompute", "--out", "proof")
    assert (code, reply["data"]["recomputed"]) == (0, True)
    assert main(["study", "receipt", str(house.folder / "proof"), "--json"]) == 0
    capsys.readouterr()
    for name, files in (("north", 4), ("west", 2)):
        code, reply = say(house, name, "study", "export", study, "--out", f"out-{name}")
        assert (code, len(reply["data"]["files"])) == (0, files)
        assert main(["log", "verify", str(house.folder / f"out-{name}" / "log.bundle")]) == 0
        capsys.readouterr()
    code, reply = say(house, "north", "study", "export", study, "--out", "out-north")
    assert code == 2
    code, reply = say(house, "west", "log", "show", "--study", study[:16])
    kinds = {one["kind"] for one in reply["data"]["entries"]}
    assert kinds == {
        *("study", "consent", "ready", "checked", "release", "released", "answered")
    }  # fmt: skip


def test_a_refusal_is_an_exit_code_and_a_reason_for_the_proposer(house, say) -> None:
    study = house.proposed("ages refused")["north"].id
    code, _ = say(house, "west", "study", "refuse", study, "--why", "asked before")
    assert code == 0
    code, reply = say(house, "north", "study", "show", study, "--wait")
    assert (code, reply["status"]) == (3, "refused")
    assert reply["error"]["where"]["member"] == "west"
    assert "asked before" in reply["error"]["message"]
    code, reply = say(house, "north", "study", "receipt", study)
    assert code == 6


def test_a_proposer_withdraws_and_a_member_revokes(house, say) -> None:
    study = house.proposed("ages withdrawn")["north"].id
    code, reply = say(house, "south", "study", "withdraw", study, "--why", "not mine")
    assert code == 3
    code, reply = say(house, "north", "study", "withdraw", study, "--why", "a mistake")
    assert (code, reply["data"]["state"]) == (0, "withdrawn")
    study = house.proposed("ages revoked")["north"].id
    say(house, "south", "study", "approve", study, "--why", "yes")
    code, reply = say(house, "south", "study", "revoke", study, "--why", "our board met")
    assert (code, reply["data"]["state"]) == (0, "revoked")


def test_what_can_never_be_released_is_not_proposed(house, say) -> None:
    text = house.study("too few members").read_text()
    alone = text.replace('["north", "south", "west"]', '["north", "south"]')
    house.write("few.toml", alone)
    code, reply = say(house, "north", "study", "propose", "few.toml")
    assert code == 3
    assert "nothing of it would be released" in reply["error"]["message"]
    assert reply["error"]["next"].startswith("What would pass")


def test_an_id_that_fits_several_studies_names_them_all() -> None:
    from p2pmpc.errors import WrongUsage
    from p2pmpc.node import _the_one

    known = ["abcdef01" + "0" * 56, "abcdef02" + "0" * 56]
    with pytest.raises(WrongUsage) as caught:
        _the_one("abcdef0", known)
    assert all(one[:16] in caught.value.message for one in known)
    assert _the_one("abcdef02", known) == known[1]


def test_a_nodes_record_is_one_file_that_is_never_written_over(house, say, capsys) -> None:
    code, reply = say(house, "south", "log", "export", "--out", "south.bundle")
    assert code == 0
    assert reply["data"]["entries"] > 5
    assert main(["log", "verify", str(house.folder / "south.bundle")]) == 0
    capsys.readouterr()
    code, reply = say(house, "south", "log", "export", "--out", "south.bundle")
    assert code == 2
    code, reply = say(house, "south", "log", "show", "--study", "no-id")
    assert code == 2


def test_of_a_long_record_the_latest_is_shown(house, read, say, monkeypatch) -> None:
    monkeypatch.setattr("p2pmpc.cli.log.ROWS_SHOWN_MAX", 3)
    _, reply = say(house, "south", "log", "show")
    entries = reply["data"]["entries"]
    assert len(entries) > 3
    code, text = read(house, "south", "log", "show")
    assert code == 0
    assert "the last 3 are shown, --json has all" in text
    assert " ".join(entries[-1]["says"].split()) in text
    assert "founding member" not in text


@pytest.mark.parametrize(
    ("state", "waits", "words"),
    [
        ("proposed", ["south"], "members decide; it waits for south, until 1970-01-02 00:00 UTC"),
        ("expired", [], "not all members decided in time; it will not run"),
    ],
)
def test_a_proposal_that_has_ended_waits_for_nobody(state, waits, words) -> None:
    facts = {
        "study": "ab" * 32,
        "title": "T",
        "state": state,
        "waits_for": waits,
        "expires_ms": 86_400_000,
        "asks_me": False,
        "ended": None if waits else {"code": 406},
    }
    assert list(_proposed(facts))[1] == words
