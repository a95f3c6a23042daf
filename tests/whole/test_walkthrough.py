"""The README's walk "By hand, as a member would", run as it stands: real nodes, real commands."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
MEMBERS = ("north", "south", "west")
MARK = "=== block"


def blocks() -> list[tuple[str, str]]:
    """(language, text) of the walk's fenced blocks, in their order."""
    walk = README.partition("\n## By hand, as a member would\n")[2].partition("\n## ")[0]
    found = re.findall(r"```(\w+)\n(.*?)```", walk, re.DOTALL)
    assert {language for language, _ in found} == {"sh", "python"}
    return found


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; below the range from which the kernel takes its own."""
    found: list[int] = []
    for port in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free ports")


def script() -> str:
    """All blocks as one shell script that stops at the first command that fails."""
    lines = ["set -e -o pipefail"]
    for number, (language, text) in enumerate(blocks()):
        lines.append(f"echo '{MARK} {number}'")
        lines.append(text if language == "sh" else f"{sys.executable} - <<'PYTHON'\n{text}PYTHON\n")
    found = "\n".join(lines)
    for written, free in zip((7443, 7444, 7445), free_ports(3), strict=True):
        assert str(written) in found
        found = found.replace(f":{written}", f":{free}")
    return found


@pytest.fixture(scope="module")
def walk(place) -> Iterator[tuple[Path, list[str]]]:
    """The folder of the walk, and what each block printed."""
    program = place.folder / "bin" / "p2pmpc"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m p2pmpc.cli "$@"\n')
    program.chmod(0o755)
    environment = dict(place.environment)
    environment["PATH"] = f"{program.parent}{os.pathsep}{environment['PATH']}"
    environment.pop("P2PMPC_NODE", None)
    try:
        done = subprocess.run(
            ["bash", "-c", script()],
            cwd=place.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said = re.split(rf"^{MARK} \d+\n", done.stdout, flags=re.MULTILINE)[1:]
        yield place.folder / "walk", said
    finally:
        end_nodes(place.folder / "walk")


def end_nodes(folder: Path) -> None:
    """Whatever the walk has left running after a failure."""
    for name in MEMBERS:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((folder / name / "node.pid").read_text()), signal.SIGKILL)


def said_by(walk, words: str) -> str:
    """What the block with these words printed."""
    (place,) = (i for i, (_, text) in enumerate(blocks()) if words in text)
    return walk[1][place]


def test_every_command_of_the_walk_does_what_it_says(walk) -> None:
    assert len(walk[1]) == len(blocks())
    assert "south has joined" in said_by(walk, "network join")
    assert said_by(walk, "network members").count(" up ") == 2
    assert "12 rows were read and checked" in said_by(walk, "data add")
    catalogue = said_by(walk, "data list --all")
    offered = catalogue[catalogue.index("may be used to") :]
    assert offered.count("age ") == 3
    assert "12" not in offered.replace("120", "")


def test_a_steward_reads_in_plain_words_what_it_approves(walk) -> None:
    shown = " ".join(said_by(walk, "study approve").split())
    assert "Age of the visitors" in shown
    for words in (
        *("north proposes", "How old are they?", "general research", "never opened"),
        *("no cell below 10 persons", "not yet", "Your organisation decides, until 20"),
    ):
        assert words in shown
    assert "waits for south, west" in shown
    assert "Traceback" not in shown


def test_the_answer_is_that_of_all_rows_together(walk) -> None:
    answer = json.loads((walk[0] / "answer.json").read_text())
    (row,) = answer["statistics"]["ages"]["table"]
    ages = [
        int(line.split(",")[0])
        for name in MEMBERS
        for line in (walk[0] / f"{name}.csv").read_text().splitlines()[1:]
    ]
    assert row["n"] == len(ages) == 36
    assert row["mean"] == pytest.approx(sum(ages) / len(ages), rel=1e-9)
    assert answer["statistics"]["how_many"]["values"]["n"] == 36
    assert "computed from these integers again: the same" in said_by(walk, "study receipt")
    assert {path.name for path in (walk[0] / "ages").iterdir()} == {
        "study.toml", "answer.json", "receipt", "log.bundle"
    }  # fmt: skip


def test_one_refusal_is_read_by_everybody_with_its_reason(walk) -> None:
    said = said_by(walk, "study refuse")
    assert "a member refused; it will not run" in said
    assert said.count("Our agreement does not cover sex") >= 3
    assert "It ended. west: Our agreement" in said
    record = said[said.index("entries of 3 members") :]
    for words in ("founding member", "offers the data set", "approves", "refuses", "opens to"):
        assert words in record
    assert "{" not in record


def test_python_reads_the_same_answer(walk) -> None:
    said = said_by(walk, "import p2pmpc")
    assert "answered" in said
    assert re.search(r"\bage\s+36\b", said), said


def test_nothing_of_it_runs_any_more(walk, place) -> None:
    deadline = time.monotonic() + 5
    while place.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert place.processes() == []
    assert not any((walk[0] / name / "node.pid").exists() for name in MEMBERS)
