"""The benchmarks beside the peers still run: our processes over real TLS, tiny sizes, checked."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    return importlib.import_module("bench_peers")


@pytest.fixture
def contest(bench):
    job = bench.Job("2", "multiply", 1000)
    theirs = bench.Job("cheetah", "multiply", 1000)
    return bench.Contest("multiply", job, theirs, times_min=2, bytes_max=100, rounds_max=3)


@pytest.fixture
def options(bench, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bench_peers.py", "--scale", "1"])
    return bench.arguments()


def figure(**changes):
    plain = {"cpu_s": 1.0, "wall_s": 2.0, "sent_bytes": 100_000, "rounds": 3, "error": 0}
    return {**plain, **changes}


def test_every_contest_runs_between_processes_over_tls_and_is_right(bench):
    command = [sys.executable, str(HERE / "bench_peers.py"), "--ours-only", "--runs", "1"]
    done = subprocess.run(
        [*command, "--scale", "0"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    for contest in bench.CONTESTS:
        [line] = [one for one in lines if one.startswith(f"{contest.name}, {bench.ITEMS_MIN}: ")]
        error = float(line.split("error ")[1].split(";")[0])
        assert error <= contest.error_max, line


def test_a_line_whose_goals_are_met_does_not_say_missed(bench, contest, options):
    line = bench.line(contest, [(figure(), figure(cpu_s=2.0))], options)
    assert "2.00 x less CPU (goal 2 x at least)" in line
    assert "missed" not in line


@pytest.mark.parametrize(
    "changes", [{"cpu_s": 1.1}, {"sent_bytes": 100_001}, {"rounds": 4}, {"error": 1}]
)
def test_a_line_with_a_goal_that_is_not_met_says_missed(bench, contest, options, changes):
    assert bench.line(contest, [(figure(**changes), figure(cpu_s=2.0))], options).endswith("missed")


def test_the_ratio_is_the_median_of_paired_ratios(bench, contest, options):
    pairs = [
        (figure(cpu_s=busy), figure(cpu_s=theirs)) for busy, theirs in ((1, 9), (2, 6), (3, 6))
    ]
    assert "; 3.00 x less CPU" in bench.line(contest, pairs, options)
