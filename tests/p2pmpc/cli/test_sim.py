"""`sim run` as it is typed: what it prints, what it writes, how it refuses."""

import json

from p2pmpc.cli.commands import run
from simulations import run as runs
from simulations.checkers import Violation

SMALL = ["sim", "run", "--nodes", "6", "--seed", "2", "--minutes", "1", "--studies", "1"]


def reply_of(capsys):
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def test_a_run_reports_itself_and_draws_its_picture(capsys, tmp_path):
    out = tmp_path / "deep" / "er"
    assert run([*SMALL, "--topology", "ring", "--out", str(out), "--json"]) == 0
    reply = reply_of(capsys)
    data = reply["data"]
    assert (reply["command"], reply["status"]) == ("sim run", "ok")
    assert data["plan"]["fidelity"] == "exact control plane"
    assert data["finished"]
    assert data["checks"]["causal_order"] > 0
    assert data["not_yet"] == ["one_successor_per_epoch", "no_budget_below_zero"]
    assert json.loads((out / "report.json").read_text())["trace"] == data["trace"]
    assert (out / "simulation.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_reports_the_same_but_for_this_machine(capsys):
    found = []
    for _ in range(2):
        assert run([*SMALL, "--json"]) == 0
        found.append(reply_of(capsys)["data"])
        del found[-1]["host"]
    assert found[0] == found[1]


def test_a_person_reads_tables(capsys):
    assert run(SMALL) == 0
    out = capsys.readouterr().out
    assert "6 nodes in one network" in out
    assert "no_fork_by_an_honest_node" in out
    assert "one_record_everywhere" in out
    assert "--nodes 6 --seed 2" in out
    assert "Not yet applicable: one_successor_per_epoch, no_budget_below_zero" in out


def test_a_size_out_of_bounds_is_wrong_usage(capsys):
    assert run(["sim", "run", "--nodes", "1", "--json"]) == 2
    assert reply_of(capsys)["error"]["where"]["field"] == "--nodes"


def test_a_broken_invariant_names_seed_and_step_and_what_it_needs(capsys, monkeypatch):
    def until(world, time_us, tell):
        for _ in range(50):
            world.step()
        raise Violation("causal_order", "n0001 placed entry 3 of n0000 before its time")

    monkeypatch.setattr(runs, "_until", until)
    assert run([*SMALL, "--json"]) == 1
    reply = reply_of(capsys)
    assert "seed 2, step 50: causal_order: n0001" in reply["error"]["message"]
    assert reply["data"]["broken"]["step"] == 50
    assert reply["data"]["shrunk"]["plan"]["nodes"] == 3
    assert reply["data"]["shrunk"]["faults"]["drawn"] == []
    assert reply["error"]["next"].endswith(reply["data"]["shrunk"]["plan"]["command"])


def test_the_line_of_a_report_runs_the_same_again(capsys):
    asked = [*SMALL, "--faults", "loss,crash=2", "--liars", "1", "--only", "0", "--json"]
    assert run(asked) == 0
    found = [reply_of(capsys)["data"]]
    assert run([*found[0]["plan"]["command"].split()[1:], "--json"]) == 0
    found.append(reply_of(capsys)["data"])
    assert found[0]["trace"] == found[1]["trace"]
    assert [fault["number"] for fault in found[0]["faults"]["drawn"]] == [0]
    assert len(found[0]["plan"]["liars"]) == 1
