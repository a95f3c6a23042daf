"""Ray on this machine for one node: found, started with nothing shared, ended with nothing left.

Nothing secret may reach a disk through Ray: its object store spills to a folder in memory, every
file is made under umask 077, its token is this node's own, and no address of another cluster is
ever looked at. Ray's processes are this process's descendants, whatever becomes of their parents
(Linux: child subreaper), so what Ray leaves alive is found and ended by its process id. When this
process is killed itself, a keeper does the same: a small shell process that waits for the end of a
pipe which only this process holds open, and knows Ray's processes by the files that they write: who
only reads Ray's logs is left alone.

Ray is imported by functions only: it reads its environment when it is imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from nodes.processes import descendants
from p2pmpc.errors import LocalError
from p2pmpc.settings import Settings

__all__ = ["FOLDER_BYTES_MAX", "Runtime", "end", "find", "places_of", "start"]

VERSION_MIN = (2, 50)  # the first with tokens for a cluster of one's own
FOLDER_BYTES_MAX = 41  # Ray's longest socket lies 66 bytes deeper, and the kernel stops at 107
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108  everything in it is made 0700
MEMORY_BYTES_MIN = 256 * 2**20
INNER = "r"  # of the folder: Ray opens its own to everybody, so it lies in one that is closed
NODE_IP = "127.0.0.2"  # loopback; Ray would turn 127.0.0.1 into an address that a VPN may change
ACTORS = 3  # Gateway, a spare Session, a Dataset: workers that Ray starts while it starts itself
LAST_S = 1.5  # killed processes are gone in milliseconds
PR_SET_CHILD_SUBREAPER = 36
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_DEDUP_LOGS": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "error",  # else each call without a token adds a line to a log
}
UNUSED = ("start_monitor", "start_log_monitor", "start_api_server")  # autoscaler, echo, dashboard
SHELL = "/bin/sh"
KEEP = """
cat >/dev/null
for round in 1 2 3; do
  for process in /proc/[0-9]*; do
    ls -l "$process/fd" 2>/dev/null | grep '^l.w' | grep -qF -- " $1/" &&
      kill -9 "${process#/proc/}"
  done
  rm -rf -- "$1" "$2"
  sleep 0.3
done
"""
ADVICE = "Start the node with `--engine process`: one process, no isolation, the same answers."


@dataclass(frozen=True, slots=True)
class Runtime:
    """Folders of one node's Ray. `folder` holds its sockets and logs, `spill` lies in memory."""

    folder: Path
    spill: Path


def find(home: Path) -> Runtime:
    """Where this node's Ray will lie: folders that no earlier one had, whose keeper may still run.

    What an earlier one left is ended and removed; the caller holds the lease on `home`. Raises
    LocalError when Ray cannot run on this machine.
    """
    _check_version()
    _check_memory(0)
    places, spill = places_of(home), f"p2pmpc-{os.getuid()}-{_mark(home)}-"
    for place, start in [*places, (MEMORY_FOLDER, spill)]:
        _clear(place, start)
    one = secrets.token_hex(2)
    for place, start in places:
        if len(os.fsencode(place / f"{start}{one}")) <= FOLDER_BYTES_MAX:
            return Runtime(place / f"{start}{one}", MEMORY_FOLDER / f"{spill}{one}")
    raise LocalError(
        "no folder has a name short enough for Ray's sockets",
        next="Set XDG_RUNTIME_DIR to a short path of your own.",
    )


def places_of(home: Path) -> list[tuple[Path, str]]:
    """Where this node's Ray may lie, the first that is short enough: folder, and how names begin.

    Four hexadecimal digits follow. Nothing is looked at, made or ended. The kernel says where open
    files lie without symbolic links, and so do these.
    """
    home = home.resolve()
    found = [(Path(place).resolve(), f"p2pmpc-{_mark(home)}-") for place in _shorter()]
    return [(home, "ray"), *found]


def _mark(home: Path) -> str:
    return sha256(os.fsencode(home.resolve())).hexdigest()[:10]


def _shorter() -> list[str]:
    found = [os.environ.get("XDG_RUNTIME_DIR"), "/tmp"]  # noqa: S108  what is made there is 0700
    return [place for place in found if place and os.access(place, os.W_OK | os.X_OK)]


def _clear(place: Path, start: str) -> None:
    """End and remove what an earlier Ray of this node has left here."""
    for folder in place.glob(f"{start}[0-9a-f][0-9a-f][0-9a-f][0-9a-f]"):
        if folder.lstat().st_uid == os.getuid() and not folder.is_symlink():
            for process in _writers(folder):  # each is killed as it is found, not after all
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)


def _writers(folder: Path) -> Iterator[int]:
    """Processes of this user that hold a file in this folder open for writing."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            own = entry.name.isdecimal() and entry.stat().st_uid == os.getuid()
            if own and any(_written(one, folder) for one in (entry / "fd").iterdir()):
                yield int(entry.name)


def _written(handle: Path, folder: Path) -> bool:
    """Whether it is a file in this folder; how it was opened is the mode of the kernel's link."""
    with contextlib.suppress(OSError):  # closed by now
        if handle.lstat().st_mode & stat.S_IWUSR:
            return handle.readlink().is_relative_to(folder)
    return False


def _check_version() -> None:
    try:
        version = importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        raise LocalError(
            "Ray is not installed", next=f"Install it (`make env`). {ADVICE}"
        ) from None
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < VERSION_MIN:
        least = ".".join(map(str, VERSION_MIN))
        raise LocalError(
            f"Ray is version {version}; this program is made for {least} and later",
            next=f"Install the version that requirements.txt locks (`make env`). {ADVICE}",
        )


def _check_memory(store_bytes: int) -> None:
    try:
        found = os.statvfs(MEMORY_FOLDER)
        size, room = found.f_frsize * found.f_blocks, found.f_frsize * found.f_bavail
    except OSError:
        size = room = 0
    if size < MEMORY_BYTES_MIN or room < store_bytes + 2**20:
        need = max(MEMORY_BYTES_MIN, store_bytes) >> 20
        raise LocalError(
            f"{MEMORY_FOLDER} is missing or smaller than {need} MB: rows in Ray's object store "
            "would go to a disk",
            file=str(MEMORY_FOLDER),
            next=f"Give it more room (in a container: --shm-size=1g). {ADVICE}",
        )


def start(runtime: Runtime, settings: Settings) -> None:
    """Start Ray; this process drives it. Call it from the main thread, once.

    Raises LocalError saying why it does not start.
    """
    os.umask(0o077)
    store_bytes = settings.object_store_mb * 2**20
    _check_memory(store_bytes)
    for folder in (runtime.folder, runtime.spill):
        _make(folder)
    _hire_keeper(runtime)
    _set_environment(runtime.folder)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    import ray

    _leave_out()
    cpus = os.cpu_count() or 1
    try:
        ray.init(
            address="local",
            num_cpus=max(ACTORS, cpus) if settings.kernels == "tasks" else ACTORS,
            object_store_memory=store_bytes,
            object_spilling_directory=str(runtime.spill),
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            namespace="p2pmpc",
            _temp_dir=str(runtime.folder / INNER),
            _plasma_directory=str(MEMORY_FOLDER),
            _node_ip_address=NODE_IP,
        )
    except Exception as fault:  # noqa: BLE001  whatever Ray raises is for people to read
        end(runtime)
        raise LocalError(
            f"Ray does not start: {str(fault).strip().splitlines()[0] if str(fault) else fault!r}",
            file=str(runtime.folder),
            next=ADVICE,
        ) from None


def _leave_out() -> None:
    """A third of Ray's start and 150 MB go to processes that a node has no use for.

    Ray has no switch for them. A version that starts them by another name just starts them.
    """
    from ray._private.node import Node

    for name in UNUSED:
        if hasattr(Node, name):
            setattr(Node, name, _nothing)


def _nothing(*_arguments: object, **_options: object) -> None:
    """In place of a process that is left out."""


def _hire_keeper(runtime: Runtime) -> None:
    """It holds nothing open in the folder itself."""
    subprocess.Popen(  # noqa: S603  the system's own shell
        [SHELL, "-c", KEEP, "keeper", str(runtime.folder), str(runtime.spill)],
        stdin=_leash(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def _leash() -> int:
    """The read end of a pipe whose write end this process holds until it ends."""
    reader, _ = os.pipe()
    return reader


def _set_environment(folder: Path) -> None:
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        del os.environ[name]  # an address, a token, a spill folder of somebody else's cluster
    os.environ.update(QUIET)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    os.environ["RAY_TMPDIR"] = str(folder / INNER)
    root = str(Path(__file__).resolve().parents[3])  # actors import these very packages
    roots = [root, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, roots)))


def _make(folder: Path) -> None:
    """This user's own folder, 0700, with nothing in it. Raises LocalError."""
    try:
        folder.mkdir(mode=0o700)
    except OSError as fault:
        raise LocalError(
            f"the folder {folder} cannot be made: {fault.strerror}", file=str(folder), next=ADVICE
        ) from None


def end(runtime: Runtime) -> None:
    """End Ray and all its processes now, and remove its folders. Never raises.

    Only for a process that has no other children and ends next: Ray's library may end it, too.
    """
    deadline = time.monotonic() + LAST_S
    while (left := descendants(os.getpid())) and time.monotonic() < deadline:
        for one in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(one, signal.SIGKILL)
        _reap()
        time.sleep(0.005)
    shutil.rmtree(runtime.folder, ignore_errors=True)
    shutil.rmtree(runtime.spill, ignore_errors=True)


def _reap() -> None:
    """Take up children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
