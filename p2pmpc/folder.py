"""A folder that only this user can open and that does not outlive this process.

It lies in memory where there is room. `private_folder` removes it at the end of its block; when the
process is killed before that, a keeper removes it: a small shell process that waits for the end of a
pipe which only this process holds open.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from p2pmpc.errors import LocalError

__all__ = ["private_folder", "write_atomically"]

ROOM_MIN = 64 * 2**20  # bytes free in memory before anything is put there
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
            next="Choose another folder with --out, or make room.",
        ) from None


def _roomy() -> str | None:
    for candidate in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):  # noqa: S108  made 0700
        if candidate and os.access(candidate, os.W_OK | os.X_OK):
            if shutil.disk_usage(candidate).free >= ROOM_MIN:
                return candidate
    return None


def _hire(folder: Path) -> subprocess.Popen[bytes] | None:
    if not SHELL.exists():
        return None
    return subprocess.Popen(  # a fixed script; the folder is its argument
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
