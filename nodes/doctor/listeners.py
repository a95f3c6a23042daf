"""The node's port and every other socket that its processes listen on, as the kernel lists them.

Ray's processes listen on all addresses of the machine, behind a token: an operator must see this.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nodes.doctor.finding import Finding, fault, note, ok
from nodes.processes import program_of

__all__ = [
    "SHOWN_MAX",
    "Listener",
    "Port",
    "check_listeners",
    "check_port",
    "read_listeners",
    "read_port",
]

LISTENING = "0A"  # the state TCP_LISTEN in /proc/net/tcp
SHOWN_MAX = 12  # listeners named in one sentence; --json readers have `ss -ltnp` for more


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening TCP socket; `pid` is 0 where the kernel does not show its process."""

    address: str
    port: int
    pid: int
    program: str

    @property
    def loopback(self) -> bool:
        return ipaddress.ip_address(self.address).is_loopback

    def __str__(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{shown}:{self.port} ({self.program or 'unknown'}, process {self.pid})"


def read_listeners(proc: Path) -> tuple[Listener, ...]:
    """Every listening socket of this network namespace, by port."""
    owners = _owners(proc)
    found = []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        try:
            lines = (proc / "self/net" / table).read_text().splitlines()[1:]
        except OSError:  # a machine without IPv6
            continue
        for words in (line.split() for line in lines):
            if words[3] == LISTENING:
                place, port = words[1].split(":")
                pid = owners.get(words[9], 0)
                program = program_of(pid)
                found.append(Listener(_address(place, family), int(port, 16), pid, program))
    return tuple(sorted(found, key=lambda one: (one.port, one.address)))


def _address(place: str, family: int) -> str:
    """The kernel prints each word of four bytes in the machine's order."""
    words = [int(place[k : k + 8], 16) for k in range(0, len(place), 8)]
    text = socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))
    mapped = getattr(ipaddress.ip_address(text), "ipv4_mapped", None)
    return str(mapped) if mapped is not None else text


def _owners(proc: Path) -> dict[str, int]:
    """Socket inode -> process, for the processes that this user may look into."""
    found: dict[str, int] = {}
    for pid in _processes(proc):
        try:
            handles = list((proc / str(pid) / "fd").iterdir())
        except OSError:
            continue
        for handle in handles:
            try:
                target = str(handle.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                found.setdefault(target[8:-1], pid)
    return found


def _processes(proc: Path) -> Iterator[int]:
    yield from sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())


@dataclass(frozen=True, slots=True)
class Port:
    """Where the node listens or will: `trouble` is why this process could not, if it tried."""

    host: str
    port: int
    holder: Listener | None
    ours: bool
    trouble: str


def read_port(host: str, port: int, listeners: tuple[Listener, ...], node: frozenset[int]) -> Port:
    """Look who holds the port; where nobody does, try to bind it for a moment."""
    holder = next((one for one in listeners if one.port == port), None)
    mine = holder is not None and holder.pid in node
    return Port(host, port, holder, mine, "" if holder else _try(host, port))


def _try(host: str, port: int) -> str:
    try:
        place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(place[0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place[4])
    except (OSError, UnicodeError) as wrong:
        return getattr(wrong, "strerror", None) or "it is no address"
    return ""


def check_port(facts: Port) -> list[Finding]:
    """One finding on the port."""
    place = f"{facts.host}:{facts.port}"
    if facts.ours:
        return [ok("port", f"the node listens on {place}")]
    if facts.holder is not None:
        who = facts.holder
        whose = f"process {who.pid} ({who.program})" if who.pid else "another user's process"
        text = f"port {facts.port} is held by {whose}: the node cannot listen on it"
        fix = "End that process, or set another `listen_port` (and `advertise`) in settings.toml."
        return [fault("port", text, fix)]
    if facts.trouble:
        text = f"the node cannot listen on {place}: {facts.trouble}"
        fix = "Set `listen_host` to an address of this machine and `listen_port` above 1023."
        return [fault("port", text, fix)]
    if facts.port == 0:
        text = "the system chooses a port at each start: others find it by its new address only"
        return [note("port", text, "Set `listen_port` if a firewall must let it through.")]
    return [ok("port", f"{place} is free")]


def check_listeners(
    listeners: tuple[Listener, ...], node: frozenset[int], port: int
) -> list[Finding]:
    """On the sockets of the node's processes that can be reached from other machines."""
    if not node:
        return [ok("listeners", "no node runs here, so none of its processes listens")]
    own = [one for one in listeners if one.pid in node]
    open_ = [one for one in own if not one.loopback and one.port != port]
    if not open_:
        return [ok("listeners", f"of {len(own)} listening sockets only the node's port may be met")]
    shown = ", ".join(str(one) for one in open_[:SHOWN_MAX])
    more = f" and {len(open_) - SHOWN_MAX} more" if len(open_) > SHOWN_MAX else ""
    text = f"{len(open_)} sockets of this node's processes are open to other machines: "
    fix = f"Let the firewall pass port {port} alone: Ray listens on all addresses, behind a token."
    return [note("listeners", f"{text}{shown}{more}", fix)]
