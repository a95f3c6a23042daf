"""`node new | files | unit | start | stop | status`: this organisation's node and its folder."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pmpc.cli.engine import engine_option
from p2pmpc.cli.home import node_client, node_home, node_option
from p2pmpc.cli.output import Reply, Table
from p2pmpc.cli.passphrase import passphrase_options, read_passphrase
from p2pmpc.cli.word import debugging, progress, spoken
from p2pmpc.errors import LocalError, WrongUsage, error_from_json
from p2pmpc.folder import as_typed
from p2pmpc.settings import Settings

if TYPE_CHECKING:
    from nodes.home import Home

__all__ = ["register"]

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared, not listened on
ASK_S = 10.0  # the control socket of a node that is well answers in milliseconds
STOP_S = 30.0  # runs are ended by name, mail is drained, the store is closed


def register(group: click.Group) -> None:
    """Add the words of `node` that this module knows."""
    _register_new(group)
    _register_files(group)
    _register_unit(group)
    _register_start(group)
    _register_stop(group)
    _register_status(group)


# ---- the folder ----------------------------------------------------------------------------------


def _register_new(group: click.Group) -> None:
    @spoken(group, "new", "make a node's folder: keys, card, settings, policy")
    @click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
    @click.option("--name", required=True, help="the member's name in the network")
    @click.option("--listen", metavar="HOST:PORT", help="where to listen; 127.0.0.1:7443")
    @click.option("--advertise", metavar="HOST:PORT", help="what the others dial, if it differs")
    @click.option(
        "--effort",
        type=click.Choice(["sensitive", "interactive"]),
        default="sensitive",
        show_default=True,
        help="what one guess of the passphrase costs: 1 GiB of memory, or 64 MiB",
    )
    @passphrase_options
    def new(
        folder: Path,
        name: str,
        listen: str | None,
        advertise: str | None,
        effort: str,
        passphrase_file: Path | None,
        passphrase_fd: int | None,
    ) -> Reply:
        from nodes.home import make_home
        from nodes.store.keys import INTERACTIVE, SENSITIVE

        settings = _settings(name, listen, advertise)
        passphrase = read_passphrase(passphrase_file, passphrase_fd, twice=True)
        os.umask(0o077)
        cost = SENSITIVE if effort == "sensitive" else INTERACTIVE
        home = make_home(folder.absolute(), settings, passphrase, os.urandom, cost)
        return _made(home)


def _settings(name: str, listen: str | None, advertise: str | None) -> Settings:
    host, port = ("127.0.0.1", 7443) if listen is None else _address(listen)
    if advertise is None and (host in EVERYWHERE or port == 0):
        raise WrongUsage(
            f"the others cannot dial {host}:{port}: it names no machine and port",
            field="advertise",
            next="Give --advertise HOST:PORT as well: the address goes on the card.",
        )
    return Settings(name=name, listen_host=host, listen_port=port, advertise=advertise or "")


def _address(text: str) -> tuple[str, int]:
    """HOST:PORT, the host of IPv6 in brackets or not."""
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit()):
        raise WrongUsage(
            f"--listen {text} is not HOST:PORT",
            field="listen",
            next="For example --listen 0.0.0.0:7443, or --listen [::]:7443.",
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def _made(home: Home) -> Reply:
    from p2pmpc.identity import check_card

    card = check_card(home.card())
    lines = (
        f"{card.name} is made in {home.folder}",
        f"Its fingerprint: {card.fingerprint}",
        f"Its card, for the other members: {home.card_file}",
        "The passphrase opens the keys; nobody can recover them without it.",
        f"Next: p2pmpc node start --node {as_typed(home.folder)}",
    )
    data = {
        "name": card.name,
        "folder": str(home.folder),
        "card": str(home.card_file),
        "fingerprint": card.fingerprint,
        "address": card.address,
    }
    return Reply("node new", data, lines)


def _register_files(group: click.Group) -> None:
    @spoken(group, "files", "where settings, keys, record and log are")
    @node_option
    def files(node: Path | None) -> Reply:
        home = node_home(node)
        found = home.files()
        rows = [(name, str(path), path.exists()) for name, path in found.items()]
        data = {"folder": str(home.folder), "files": {name: path for name, path, _ in rows}}
        return Reply("node files", data, (Table("", ("what", "file", "is there"), rows),))


def _register_unit(group: click.Group) -> None:
    @spoken(group, "unit", "print a systemd unit that runs nodes of this machine")
    def unit() -> Reply:
        from nodes.unit import unit_text

        text = unit_text()
        return Reply("node unit", {"unit": text}, (text.rstrip(),))


# ---- the process ---------------------------------------------------------------------------------


def _register_start(group: click.Group) -> None:
    @spoken(group, "start", "run the node")
    @node_option
    @click.option("--foreground", is_flag=True, help="stay, as a service manager wants it")
    @engine_option("process", "what the node computes on: its own process, or its own Ray actors")
    @passphrase_options
    def start(
        node: Path | None,
        foreground: bool,
        engine: str,
        passphrase_file: Path | None,
        passphrase_fd: int | None,
    ) -> Reply:
        home = node_home(node)
        name = home.settings().name
        _refuse_second(home, name)
        home.card()  # a changed card is said before the passphrase is asked
        passphrase = read_passphrase(passphrase_file, passphrase_fd, twice=False)
        if debugging():
            _ask_for_details()
        if foreground:
            return _stay(home, passphrase, engine)
        return _launch(home, passphrase, engine)


def _ask_for_details() -> None:
    """The node inherits this environment, and so do its actors."""
    from nodes.logging import DETAILS

    os.environ[DETAILS] = "1"


def _refuse_second(home: Home, name: str) -> None:
    pid = home.holder()
    if pid is not None:
        raise LocalError(
            f"{name} runs already, as process {pid}",
            file=str(home.folder),
            next=f"p2pmpc node status --node {as_typed(home.folder)} says what it does.",
        )


def _launch(home: Home, passphrase: bytes, engine: str) -> Reply:
    from nodes.launch import launch
    from nodes.logging import details_file

    name, tell = home.settings().name, progress()
    started = launch(home, passphrase, engine, lambda text: tell("start", name, text, 0.0))
    lines = [
        f"{name} runs as process {started.pid} and listens on port {started.port}",
        f"p2pmpc node status --node {as_typed(home.folder)} says what it does.",
    ]
    data = {"name": name, "pid": started.pid, "port": started.port, "folder": str(home.folder)}
    details = details_file(home.log_file, os.environ)
    if details is not None:
        lines.append(f"It writes every small step to {details}.")
        data["debug_file"] = str(details)
    return Reply("node start", data, lines)


def _stay(home: Home, passphrase: bytes, engine: str) -> Reply:
    from nodes.service import run_home

    name, tell = home.settings().name, progress()

    def say(said: Mapping[str, Any]) -> None:
        text = f"listens on port {said['port']}" if said.get("ready") else str(said["text"])
        tell("start", name, text, 0.0)

    run_home(home, passphrase, engine, say)
    return Reply("node start", {"name": name, "folder": str(home.folder)}, (f"{name} has ended",))


def _register_stop(group: click.Group) -> None:
    @spoken(group, "stop", "end the node; a study that runs is ended by name first")
    @node_option
    def stop(node: Path | None) -> Reply:
        from nodes.launch import end

        home = node_home(node)
        name, pid = home.settings().name, home.holder()
        client = node_client(node)
        try:
            client.post("/stop", {}, ASK_S)
        except LocalError:
            if not pid:
                raise
            os.kill(pid, signal.SIGTERM)  # the lease says that it is this node's process
        end(home, pid or 0, STOP_S)
        data = {"name": name, "pid": pid, "folder": str(home.folder)}
        return Reply("node stop", data, (f"{name} has ended; its record is complete",))


# ---- status --------------------------------------------------------------------------------------


def _register_status(group: click.Group) -> None:
    @spoken(group, "status", "who is linked, which studies run, what waits for a decision")
    @node_option
    def status(node: Path | None) -> Reply:
        home = node_home(node)
        found = node_client(node).get("/status", ASK_S)
        data = {**found, "pid": home.holder(), "folder": str(home.folder)}
        failure = found.get("failure")
        error = error_from_json(failure) if failure else None
        return Reply("node status", data, _status_lines(data), error)


def _status_lines(data: Mapping[str, Any]) -> list[str | Table]:
    lines: list[str | Table] = [
        f"{data['name']}, fingerprint {data['fingerprint']}, process {data['pid']}",
        _network_line(data),
    ]
    if data.get("recovering"):
        lines.append("It compares its record with another member's before it writes anything.")
    tables = (_links(data), _datasets(data), _studies(data))
    lines.extend(table for table in tables if table.rows)
    lines.extend(
        f"Study {study[:16]} waits for a decision: p2pmpc study show {study[:16]}"
        for study in data.get("waiting", ())
    )
    return lines


def _network_line(data: Mapping[str, Any]) -> str:
    members = data["members"]
    if not members:
        return "It belongs to no network yet: p2pmpc network found, or p2pmpc network join."
    return f"Network {data.get('network', '')[:16]} of {len(members)}: {', '.join(members)}"


def _links(data: Mapping[str, Any]) -> Table:
    rows = [
        (one["member"], one["address"], "linked" if one["up"] else one["reason"], _moment(one))
        for one in data.get("peers", ())
    ]
    return Table("Links", ("member", "address", "state", "since"), rows)


def _moment(one: Mapping[str, Any]) -> str:
    since = datetime.fromtimestamp(one["since_ms"] / 1000, UTC)
    return since.strftime("%Y-%m-%d %H:%M:%SZ")


def _datasets(data: Mapping[str, Any]) -> Table:
    faults = data.get("data_faults", {})
    rows = [(name, faults.get(name, "ready")) for name in data["datasets"]]
    return Table("Data sets", ("name", "state"), rows)


def _studies(data: Mapping[str, Any]) -> Table:
    counts: dict[str, int] = {}
    for state in data["studies"].values():
        counts[state] = counts.get(state, 0) + 1
    return Table("Studies", ("state", "number"), sorted(counts.items()))
