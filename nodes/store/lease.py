"""One process at a time writes a store: an advisory lock on a file beside it.

The kernel drops the lock when its holder ends, however it ends, so a lease left by a killed process
never has to be removed. The file holds the holder's pid for the message that names it. The lock is
fcntl's `flock`: it belongs to the open file, so a second lease in the same process is refused too.
Network file systems that do not honour it are no place for a store.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from p2pmpc.errors import LocalError

__all__ = ["Lease", "holder_of"]

PID_BYTES = 20
TRIES, TRY_EVERY_S = 5, 0.02  # whoever only looks who holds it does so for microseconds


class Lease:
    """Held from construction until `close`. Raises LocalError naming the pid of the holder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise LocalError(
                f"the lease {path} cannot be opened: {fault.strerror}",
                file=str(path),
                next="Check that the folder exists and that this user may write in it.",
            ) from None
        self._take()

    def _take(self) -> None:
        if not self._locked():
            holder = os.pread(self._file, PID_BYTES, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise LocalError(
                f"the store is in use by process {holder or 'unknown'}",
                file=str(self._path),
                next="Stop that node first; a store has one writer.",
            )
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass  # a full disk: the lock holds, only the name of its holder is missing

    def _locked(self) -> bool:
        for _ in range(TRIES):
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            time.sleep(TRY_EVERY_S)
        return False

    def close(self) -> None:
        """Give the lease back. The file stays: removed, two processes could lock two files."""
        if self._file >= 0:
            fcntl.flock(self._file, fcntl.LOCK_UN)  # also where a forked child holds the file open
            os.close(self._file)
            self._file = -1


def holder_of(path: Path) -> int | None:
    """The pid of the process that holds the lease; None when nobody does, 0 when it is unknown."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back when the file is closed
    except OSError:
        said = os.pread(file, PID_BYTES, 0).strip()
        return int(said) if said.isdigit() else 0
    else:
        return None
    finally:
        os.close(file)
