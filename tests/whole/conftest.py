"""Real nodes for whole tests: the command line as a child process, in a place of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSPITALS = ("north", "south", "west")


@dataclass(frozen=True)
class Result:
    exit: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def reply(self) -> dict[str, Any]:
        """The one object on standard output."""
        assert self.stdout.endswith("\n")
        assert self.stdout.count("\n") == 1, self.stdout
        reply = json.loads(self.stdout)
        assert set(reply) == {"schema", "command", "status", "data", "error"}
        assert reply["schema"] == "p2pmpc/1"
        return reply

    @property
    def error(self) -> dict[str, Any]:
        error = self.reply["error"]
        assert set(error) == {"code", "message", "where", "next"}
        assert set(error["where"]) <= {"file", "row", "column", "member", "field"}
        return error


@dataclass(frozen=True)
class Place:
    """A runtime folder of one test's own: whatever a command leaves behind is found here."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "p2pmpc.cli", *map(str, words)]

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *words: str | Path, timeout: float = 90.0) -> Result:
        began = time.monotonic()
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout
        seconds = time.monotonic() - began
        return Result(done.returncode, done.stdout, done.stderr, seconds)

    def processes(self) -> list[int]:
        """Every process that names this folder on its command line."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and entry.name != str(os.getpid()):
                try:
                    words = (entry / "cmdline").read_bytes()
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                except OSError:
                    continue
                if str(self.folder).encode() in words and state != "Z":
                    found.append(int(entry.name))
        return found

    def left(self, within_s: float = 0.0) -> list[str]:
        """Files and processes that are still there after so many seconds at most."""
        deadline = time.monotonic() + within_s
        while True:
            left = [str(path) for path in (self.folder / "run").iterdir()]
            left += [f"process {pid}" for pid in self.processes()]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Short, because a socket's path may have 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="pw-", dir="/tmp"))
    (folder / "run").mkdir(mode=0o700)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"XDG_RUNTIME_DIR": str(folder / "run"), "PYTHONPATH": str(ROOT)}
    yield Place(folder, environment)
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Lung:
    """The demo's files in a folder, and the pooled frame for comparison."""

    folder: Path
    pooled: Any
    hospitals: dict[str, Any]
    lab: Any

    def sites(self, *names: str) -> list[str]:
        chosen = names or HOSPITALS
        return [w for name in chosen for w in ("--site", f"{name}={self.file(name)}")]

    def file(self, name: str) -> Path:
        return self.folder / name / ("markers.csv" if name == "lab" else "lung.csv")

    @property
    def dictionaries(self) -> list[str]:
        return [
            "--dictionary",
            str(self.folder / "lung.toml"),
            "--dictionary",
            str(self.folder / "markers.toml"),
        ]


@pytest.fixture(scope="module")
def lung(place: Place) -> Lung:
    from simulations.lung import read_lung, split, write_files

    parts = split(read_lung())
    folder = place.folder / "lung"
    folder.mkdir()
    write_files(parts, folder)
    return Lung(folder, parts.pooled, dict(parts.hospitals), parts.lab)


@pytest.fixture(scope="module")
def write(place: Place) -> Callable[[str, str], Path]:
    """Write a text into the test's place; its path."""

    def write(name: str, text: str) -> Path:
        path = place.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write
