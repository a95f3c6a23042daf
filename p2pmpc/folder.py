"""A folder that only this user can open and that does not outlive this process; files as a whole.

It lies in memory where there is room. `private_folder` removes it at the end of its block; when the
process is killed before that, a keeper removes it: a small shell process that waits for the end of
a pipe which only this process holds open.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from p2pmpc.errors import LocalError, LogError, NotFound

__all__ = ["RECORD_BYTES_MAX", "as_typed", "private_folder", "read_bytes", "write_atomically"]

ROOM_MIN = 64 * 2**20  # bytes free in memory before anything is put there
RECORD_BYTES_MAX = 256 * 2**20  # a receipt or a log bundle; read whole
SHELL = Path("/bin/sh")
KEEP = 'cat >/dev/null; rm -rf -- "$1"; sleep 2; rm -rf -- "$1"'  # twice: nodes may still write


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A new 0700 folder, removed with all it holds at the end of the block or of the process."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="p2pmpc-", dir=_roomy()))
    except OSError as fault:
        raise LocalError(f"no private folder could be made: {fault.strerror}") from None
    keeper = _hire(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if keeper is not None:
            _dismiss(keeper)


def write_atomically(path: Path, data: bytes) -> None:
    """The whole file or nothing, on disk before this returns. Raises LocalError naming the file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as fault:
        temporary.unlink(missing_ok=True)
        raise LocalError(
            f"{path} could not be written: {fault.strerror}",
            file=str(path),
            next="Choose another folder, or make room.",
        ) from None


def read_bytes(path: Path, what: str) -> bytes:
    """A whole file. Raises NotFound naming it, LogError when it is too long to be `what`."""
    try:
        with path.open("rb") as file:
            data = file.read(RECORD_BYTES_MAX + 1)
    except OSError as fault:
        raise NotFound(
            f"{path} cannot be read: {fault.strerror}",
            file=str(path),
            next="Check the path and its permissions.",
        ) from None
    if len(data) > RECORD_BYTES_MAX:
        raise LogError(f"{path} is too long to be {what}", file=str(path))
    return data


def as_typed(path: Path) -> str:
    """The path as a shell takes it, for commands that people copy: quoted where it must be."""
    return shlex.quote(str(path))


def _roomy() -> str | None:
    for candidate in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):  # noqa: S108  made 0700
        if candidate and os.access(candidate, os.W_OK | os.X_OK) and _room(candidate):
            return candidate
    return None


def _room(place: str) -> bool:
    return shutil.disk_usage(place).free >= ROOM_MIN


def _hire(folder: Path) -> subprocess.Popen[bytes] | None:
    if not SHELL.exists():
        return None
    return subprocess.Popen(  # noqa: S603  a fixed script; the folder is its argument
        [str(SHELL), "-c", KEEP, "p2pmpc-keeper", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _dismiss(keeper: subprocess.Popen[bytes]) -> None:
    keeper.kill()
    keeper.wait()
    if keeper.stdin is not None:
        keeper.stdin.close()
