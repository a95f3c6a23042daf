"""A member's node as a process of its own: started, waited for until it is ready, ended.

The passphrase goes to the child through a pipe that it inherits, and nowhere else. The child has a
session of its own and nothing of this terminal: it outlives whoever started it. What it prints are
lines of JSON, the last of them `{"ready": true, ...}` or the error that took its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodes.home import Home
from p2pmpc.errors import LocalError, error_from_json

__all__ = ["LINE_BYTES_MAX", "Started", "end", "launch", "lines_of", "node_environment"]

LINE_BYTES_MAX = 64 * 1024  # the ready line, or the error that took its place
LOOK_EVERY_S = 0.05
LAST_S = 2.0  # from the end of its output to the end of the process
LAST_WORDS = 400  # characters of what a process that died without a word had written

Say = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Started:
    """A node that is ready."""

    pid: int
    port: int


def launch(home: Home, passphrase: bytes, engine: str, tell: Callable[[str], None]) -> Started:
    """Start the node of this folder; returns when it is ready.

    tell  is called with a sentence for each step before that
    Raises the node's own error, LocalError for a process that died without a word.
    """
    reader, writer = os.pipe()
    try:
        process = _spawn(home, reader, engine)
    except OSError as fault:
        os.close(writer)
        raise LocalError(f"the node's process could not be started: {fault}") from None
    finally:
        os.close(reader)
    with os.fdopen(writer, "wb") as pipe, contextlib.suppress(BrokenPipeError):
        pipe.write(passphrase)
    try:
        return _wait_ready(home, process, tell)
    except BaseException:  # also Ctrl-C: nothing half-started stays
        process.kill()
        process.wait()
        raise


def _wait_ready(
    home: Home, process: subprocess.Popen[bytes], tell: Callable[[str], None]
) -> Started:
    assert process.stdout is not None
    with process.stdout:
        for said in lines_of(process.stdout.fileno()):
            if "ready" in said:
                return _accept(process, said)
            tell(str(said.get("text", "")))
    raise _died(home, process)


def _spawn(home: Home, passphrase_fd: int, engine: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nodes", "--home", str(home.folder)]
    command += ["--passphrase-fd", str(passphrase_fd), "--engine", engine]
    before = os.umask(0o077)
    try:
        with home.errors_file.open("wb") as errors:
            return subprocess.Popen(  # noqa: S603  this interpreter, our own node
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=home.folder,
                env=node_environment(os.environ),
                pass_fds=(passphrase_fd,),
                start_new_session=True,
                umask=0o077,
            )
    finally:
        os.umask(before)


def node_environment(outside: Mapping[str, str]) -> dict[str, str]:
    """The environment of a node: this one, with our packages importable from its own folder."""
    found = dict(outside)
    roots = [str(Path(__file__).resolve().parent.parent), found.get("PYTHONPATH", "")]
    found["PYTHONPATH"] = os.pathsep.join(root for root in roots if root)
    found["PYTHONUNBUFFERED"] = "1"
    found["OMP_NUM_THREADS"] = found["OPENBLAS_NUM_THREADS"] = "1"  # kernels bring their own
    found.pop("NOTIFY_SOCKET", None)  # the manager's own process speaks to it, not its children
    return found


def lines_of(descriptor: int) -> Iterator[Mapping[str, Any]]:
    """The objects that a child says, one a line, until it ends or a line passes LINE_BYTES_MAX."""
    left = b""
    while len(left) <= LINE_BYTES_MAX and (chunk := os.read(descriptor, 4096)):
        *lines, left = (left + chunk).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict):
                    yield said


def _accept(process: subprocess.Popen[bytes], said: Mapping[str, Any]) -> Started:
    if not said["ready"]:
        raise error_from_json(said["error"])
    return Started(process.pid, int(said.get("port", 0)))


def _died(home: Home, process: subprocess.Popen[bytes]) -> LocalError:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LAST_S)
    code = process.poll()
    if code is None:
        return LocalError("the node's process says nothing that can be understood")
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    with contextlib.suppress(OSError):
        words = home.errors_file.read_text("utf-8", "replace").strip()[-LAST_WORDS:]
        last = words.splitlines()[-1] if words else ""
        how += f": {last}" if last else ""
    return LocalError(
        f"the node's process ended before it was ready ({how})",
        file=str(home.errors_file),
        next=f"{home.errors_file} and {home.log_file} hold what it said last.",
    )


def end(home: Home, pid: int, wait_s: float) -> None:
    """Wait until the node's process is gone. Raises LocalError when it is not within wait_s."""
    deadline = time.monotonic() + wait_s
    while home.holder() == pid or (pid and _exists(pid) and home.pid_file.exists()):
        if time.monotonic() > deadline:
            raise LocalError(
                f"the node's process {pid} has not ended within {wait_s:g} s",
                file=str(home.folder),
                next=f"See {home.log_file}; `kill {pid}` ends it. Nothing on record is lost by it.",
            )
        time.sleep(LOOK_EVERY_S)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
