"""One member's node as a real process of this machine: started, spoken to, ended, never left.

A node runs in a session of its own, so a Ctrl-C at the terminal reaches the rehearsal alone, which
then ends its nodes in order. Its standard input is a pipe that nobody writes to: the node ends
itself when that closes, so it does not outlive a rehearsal that is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from p2pmpc.client import NodeClient
from p2pmpc.errors import LocalError, MemberMissing, P2pmpcError, error_from_json

__all__ = ["READY_BYTES_MAX", "MemberProcess", "end_all", "node_command", "start"]

READY_BYTES_MAX = 64 * 1024  # the ready line, or the error that took its place
POLITE_S = 1.5  # after POST /stop
FIRM_S = 1.0  # after SIGTERM; SIGKILL follows
LAST_WORDS_MAX = 20_000  # characters of a node's log that --debug keeps

Command = Callable[[str, Path], Sequence[str]]


def node_command(engine: str) -> Command:
    """The command lines of throw-away nodes on this engine: "process" or "ray"."""

    def command(name: str, home: Path) -> list[str]:
        words = ["-m", "nodes", "--ephemeral", "--name", name, "--home", str(home)]
        return [sys.executable, *words, *([] if engine == "process" else ["--engine", engine])]

    return command


@dataclass(frozen=True, slots=True)
class MemberProcess:
    """A running node process. `client` speaks to it once `wait_ready` has returned."""

    name: str
    home: Path
    process: subprocess.Popen[bytes]
    client: NodeClient

    @property
    def pid(self) -> int:
        """The process id, for signals."""
        return self.process.pid

    def dead(self) -> str | None:
        """How the process ended, or None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        if code < 0:
            return f"ended by signal {-code} ({_signal_name(-code)})"
        return f"ended with exit code {code}"

    def missing(self, step: str) -> MemberMissing:
        """The error for a process that died during `step`."""
        return MemberMissing(
            f"{self.name}: its node process {self.dead()} {step}; the run is over",
            member=self.name,
            next="Run it again; with --debug the node's last words are in the file that is named.",
        )

    def last_words(self) -> str:
        """The ends of the node's log and of its standard error: for --debug only."""
        found = [f"---- {self.name}, {self.dead() or 'still running'}"]
        for name in ("node.log", "stderr"):
            with contextlib.suppress(OSError):
                text = (self.home / name).read_text("utf-8", "replace")
                found.append(text[-LAST_WORDS_MAX:])
        return "\n".join(found)

    def wait_ready(self, deadline: float) -> None:
        """Read the ready line. Raises the node's own error, MemberMissing or LocalError."""
        line = _read_line(self.process, deadline)
        if not line:
            self.process.poll()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.5)
            if self.dead():
                raise self.missing("while it started")
            raise LocalError(f"{self.name}: its node was not ready in time", member=self.name)
        self._accept(line)

    def _accept(self, line: bytes) -> None:
        try:
            word = json.loads(line)
            ready = bool(word["ready"])
        except (ValueError, KeyError, TypeError):
            raise LocalError(f"{self.name}: its node said something else than ready") from None
        if not ready:
            raise error_from_json(word["error"])
        if word["socket"] != str(self.home / "control.sock"):
            raise LocalError(f"{self.name}: its node opened another control socket")


def start(name: str, home: Path, command: Command) -> MemberProcess:
    """Start one node with its own 0700 home and its own process group; returns at once."""
    home.mkdir(mode=0o700)
    with (home / "stderr").open("wb") as errors:
        try:
            process = subprocess.Popen(  # noqa: S603  this interpreter, our own node
                command(name, home),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=home,
                env=_environment(),
                start_new_session=True,
                umask=0o077,
            )
        except OSError as fault:
            raise LocalError(f"{name}: a node process could not be started: {fault}") from None
    client = NodeClient(home / "control.sock", name)
    return MemberProcess(name, home, process, client)


def end_all(members: Sequence[MemberProcess]) -> None:
    """End every process: asked on its socket, then SIGTERM, then SIGKILL; each wait is bounded."""
    for one in members:
        if one.dead() is None:
            with contextlib.suppress(P2pmpcError):
                one.client.post("/stop", {}, 0.3)
        for pipe in (one.process.stdin, one.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
    for wait_s, number in ((POLITE_S, signal.SIGTERM), (FIRM_S, signal.SIGKILL)):
        _wait_all(members, wait_s)
        for one in members:
            if one.dead() is None:
                one.process.send_signal(number)
    _wait_all(members, FIRM_S)


def _wait_all(members: Sequence[MemberProcess], wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    for one in members:
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.process.wait(max(0.0, deadline - time.monotonic()))


def _read_line(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """One line of standard output, or what there is at the end of the stream or at the deadline."""
    assert process.stdout is not None
    found = bytearray()
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in found and len(found) < READY_BYTES_MAX:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return b""
                chunk = os.read(process.stdout.fileno(), 4096)
                if not chunk:
                    break
                found += chunk
        except (OSError, ValueError):  # the rehearsal is ending and has closed the pipe
            return b""
    return bytes(found.partition(b"\n")[0])


def _environment() -> dict[str, str]:
    """This environment, with our packages importable from the node's own folder."""
    found = dict(os.environ)
    roots = [str(Path(__file__).resolve().parent.parent), found.get("PYTHONPATH", "")]
    found["PYTHONPATH"] = os.pathsep.join(root for root in roots if root)
    found["PYTHONUNBUFFERED"] = "1"
    found["OMP_NUM_THREADS"] = found["OPENBLAS_NUM_THREADS"] = "1"  # kernels bring their own
    return found


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
