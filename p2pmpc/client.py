"""What a researcher's program calls: a rehearsal among throw-away nodes, and one's own node.

`rehearse` runs the command line as a child process and reads its one JSON object, so a notebook
gets the same checks, the same errors and the same clean-up as a person at a terminal. `NodeClient`
speaks HTTP/1.1 to a node's control interface over its Unix socket; nothing else is contacted.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from p2pmpc.errors import LocalError, P2pmpcError, WrongUsage, error_from_json
from p2pmpc.folder import private_folder

if TYPE_CHECKING:
    from p2pmpc.answer import Answer
    from p2pmpc.dictionary import Dictionary
    from p2pmpc.policy import Policy
    from p2pmpc.study import Study

__all__ = ["RESPONSE_BYTES_MAX", "NodeClient", "rehearse"]

RESPONSE_BYTES_MAX = 256 * 2**20  # a bundle of a long record; an answer is far smaller
STOP_WAIT_S = 10.0  # the child ends its nodes and removes its files in about two


class NodeClient:
    """One node's control interface. Every request has a deadline; one connection a request."""

    def __init__(self, socket_path: str | Path, member: str) -> None:
        self._path = str(socket_path)
        self._member = member

    def __repr__(self) -> str:
        return f"NodeClient({self._path})"

    @property
    def path(self) -> str:
        """The socket."""
        return self._path

    @property
    def member(self) -> str:
        """Whose node it is, to be named in errors; empty for one's own."""
        return self._member

    def get(self, path: str, timeout_s: float) -> dict[str, Any]:
        """The JSON object at `path`. Raises what the node answers, LocalError if it is silent."""
        return self._ask("GET", path, None, timeout_s)

    def post(self, path: str, body: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send one JSON object. Raises what the node answers, LocalError if it is silent."""
        return self._ask("POST", path, json.dumps(body).encode(), timeout_s)

    def study(self, study: str, what: str, timeout_s: float) -> dict[str, Any]:
        """A study's events, result, receipt or cost."""
        return self.get(f"/study/{quote(study, safe='')}/{what}", timeout_s)

    def _ask(self, method: str, path: str, body: bytes | None, timeout_s: float) -> dict[str, Any]:
        connection = _UnixConnection(self._path, timeout_s)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read(RESPONSE_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as fault:
            raise self._silent(method, path, fault) from None
        finally:
            connection.close()
        return self._parse(response.status, data)

    def _silent(self, method: str, path: str, fault: Exception) -> LocalError:
        said = (
            f"within its time ({method} {path})" if isinstance(fault, TimeoutError) else str(fault)
        )
        return LocalError(
            f"{self._whose}the node's control socket did not answer: {said}",
            member=self._member or None,
            next="Does the node run? p2pmpc node status says so; its own log says why not.",
        )

    @property
    def _whose(self) -> str:
        return f"{self._member}: " if self._member else ""

    def _parse(self, status: int, data: bytes) -> dict[str, Any]:
        if len(data) > RESPONSE_BYTES_MAX:
            raise LocalError(f"{self._whose}the node's answer is longer than the limit")
        try:
            value = json.loads(data) if data else {}
        except ValueError:
            raise LocalError(f"{self._whose}the node's answer is not JSON") from None
        if not isinstance(value, dict):
            raise LocalError(f"{self._whose}the node's answer is not a JSON object")
        if status >= 400 or "error" in value:
            raise _reported(value, status, self._member)
        return value


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._socket_path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._socket_path)


def _reported(value: Mapping[str, Any], status: int, member: str) -> P2pmpcError:
    error = value.get("error")
    if isinstance(error, dict) and "code" in error and "message" in error:
        found = error_from_json(error)
        if member:
            found.where.setdefault("member", member)
        return found
    whose = f"{member}: " if member else ""
    return LocalError(f"{whose}the node answered with status {status}", member=member or None)


def rehearse(
    study: Study | str | Path,
    sites: Mapping[str, Any],
    policy: Policy | str | Path | None = None,
    dictionaries: Sequence[Dictionary | str | Path] | None = None,
    timeout_s: float = 3600.0,
) -> Answer:
    """The same study among throw-away local nodes: real processes, real sockets.

    study         a Study, or the path of a study file
    sites         member -> a DataFrame (its only data set of this study), {data set: DataFrame},
                  or the path (or paths) of CSV or Parquet files
    policy        a Policy or a path; by default a rehearsal's: approve, minimum_cell = 10
    dictionaries  Dictionary objects or paths; derived from the data where none is given

    Returns the answer, also when part of it was withheld (`answer["x"].released` is then false).
    Raises WrongUsage, BadData, Refused, Aborted as the command line would report them. Frames are
    written to a private folder, in memory where there is room, and removed.
    """
    from p2pmpc.answer import Answer

    with private_folder() as folder:
        command = _command(study, sites, policy, dictionaries or (), folder)
        reply = _run(command, timeout_s)
    answer = (reply.get("data") or {}).get("answer")
    if answer is None:
        raise error_from_json(reply["error"])
    return Answer.from_json(answer)


def _command(
    study: Study | str | Path,
    sites: Mapping[str, Any],
    policy: Policy | str | Path | None,
    dictionaries: Sequence[Dictionary | str | Path],
    folder: Path,
) -> list[str]:
    """The command line that rehearses this; objects become files in `folder`."""
    from p2pmpc.study import read_study

    file = _file(study, folder / "study.toml")
    datasets = _datasets(study if not isinstance(study, str | Path) else read_study(file))
    command = [sys.executable, "-m", "p2pmpc.cli", "rehearse", str(file), "--json"]
    for name, held in sites.items():
        files = _site_files(name, held, datasets.get(name, ()), folder)
        command += ["--site", f"{name}={','.join(map(str, files))}"]
    for number, dictionary in enumerate(dictionaries):
        command += ["--dictionary", str(_file(dictionary, folder / f"dictionary{number}.toml"))]
    if policy is not None:
        command += ["--policy", str(_file(policy, folder / "policy.toml"))]
    return command


def _file(thing: Any, path: Path) -> Path:
    if isinstance(thing, str | Path):
        return Path(thing)
    path.write_text(thing.to_toml(), encoding="utf-8")
    return path


def _datasets(study: Study) -> dict[str, tuple[str, ...]]:
    """Member -> the data sets that the study asks of it."""
    found: dict[str, set[str]] = {}
    for alias in study.data:
        for member in alias.members:
            found.setdefault(member, set()).add(alias.dataset)
    return {member: tuple(sorted(names)) for member, names in found.items()}


def _site_files(name: str, held: Any, datasets: tuple[str, ...], folder: Path) -> list[Path]:
    if isinstance(held, str | Path):
        return [Path(held)]
    if isinstance(held, Mapping):
        return [_frame_file(held[key], name, key, folder) for key in sorted(held)]
    if isinstance(held, list | tuple):
        return [Path(one) for one in held]
    if len(datasets) != 1:
        raise WrongUsage(
            f"{name}: a bare frame stands for the member's only data set; the study asks "
            f"{name} for {len(datasets)} data sets",
            member=name,
            next=f"Give a mapping from data sets to frames; data sets: {', '.join(datasets)}.",
        )
    return [_frame_file(held, name, datasets[0], folder)]


def _frame_file(frame: Any, name: str, dataset: str, folder: Path) -> Path:
    """The frame as Parquet, or as CSV where Parquet cannot hold its columns; names as they are."""
    if not hasattr(frame, "to_csv"):
        return Path(frame)
    place = folder / name
    place.mkdir(mode=0o700, exist_ok=True)
    try:
        import pyarrow as pa  # noqa: F401  to_parquet needs it

        frame.to_parquet(place / f"{dataset}.parquet", index=False)
        return place / f"{dataset}.parquet"
    except (ImportError, ValueError, TypeError):  # pyarrow's errors are subclasses of these two
        (place / f"{dataset}.parquet").unlink(missing_ok=True)
        frame.to_csv(place / f"{dataset}.csv", index=False)
        return place / f"{dataset}.csv"


def _run(command: list[str], timeout_s: float) -> dict[str, Any]:
    child = subprocess.Popen(  # noqa: S603  this interpreter, our own command line
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    try:
        out, _ = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise LocalError(f"the rehearsal took longer than timeout_s = {timeout_s:g}") from None
    finally:
        _end(child)
    try:
        reply = json.loads(out)
        return {"data": reply["data"], "error": reply["error"]}
    except (ValueError, KeyError, TypeError):
        raise P2pmpcError(
            f"the rehearsal's process ended with code {child.returncode} and no answer"
        ) from None


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask the child to clean up and end; it is killed only when it does not."""
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
