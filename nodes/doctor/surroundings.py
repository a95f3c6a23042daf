"""What the machine hands to a node's process: environment, umask, core dumps, swap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodes.doctor.finding import Finding, fault, note, ok

__all__ = ["Surroundings", "check_surroundings", "read_surroundings"]

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`umask` and `core_bytes` are the running node's; the shell's that asks where none runs.

    `core_bytes` is -1 for no limit. Variables are kept by name: a value may hold a password.
    """

    running: bool
    variables: tuple[str, ...]
    umask: int
    core_bytes: int
    core_piped: bool
    swaps: tuple[str, ...]


def read_surroundings(pid: int | None, environment: Mapping[str, str], proc: Path) -> Surroundings:
    """Of the node's process `pid`, or of this process where none runs."""
    process = proc / (str(pid) if pid is not None else "self")
    return Surroundings(
        running=pid is not None,
        variables=tuple(name for name in (*PROXIES, "RAY_ADDRESS") if environment.get(name)),
        umask=_umask(_text(process / "status")),
        core_bytes=_core_limit(_text(process / "limits")),
        core_piped=_text(proc / "sys/kernel/core_pattern").startswith("|"),
        swaps=tuple(line.split()[0] for line in _text(proc / "swaps").splitlines()[1:]),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:  # a process that ended, or a kernel that hides it
        return ""


def _umask(status: str) -> int:
    found = [line.split()[1] for line in status.splitlines() if line.startswith("Umask:")]
    return int(found[0], 8) if found else 0o077


def _core_limit(limits: str) -> int:
    for line in limits.splitlines():
        if line.startswith("Max core file size"):
            soft = line.split()[4]
            return UNLIMITED if soft == "unlimited" else int(soft)
    return 0


def check_surroundings(facts: Surroundings) -> list[Finding]:
    """One finding each on proxies, umask, core dumps and swap."""
    return [_proxies(facts), _mask(facts), _cores(facts), _swap(facts)]


def _proxies(facts: Surroundings) -> Finding:
    found = [name for name in facts.variables if name in PROXIES]
    if not found:
        return ok("proxy", "no proxy is set; nodes connect directly")
    text = f"{' and '.join(found)} is set; nodes connect directly and do not use a proxy"
    fix = "Nothing, if this machine may open TCP connections to the members' ports; else ask for it"
    return note("proxy", text, f"{fix} at your firewall.")


def _mask(facts: Surroundings) -> Finding:
    shown = f"{facts.umask:04o}"
    if facts.umask & 0o077 == 0o077:
        return ok("umask", f"the umask is {shown}: new files are this user's alone")
    if facts.running:
        text = f"the running node's umask is {shown}: others may read what it writes"
        return fault("umask", text, "Start the node again by `p2pmpc node start`, which sets 0077.")
    text = f"this shell's umask is {shown}; a node sets its own to 0077 when it starts"
    return note("umask", text, "Nothing for the node; `umask 077` keeps what you write private.")


def _cores(facts: Surroundings) -> Finding:
    if facts.core_bytes == 0:
        return ok("core dumps", "no memory is written to disk when the node crashes")
    where = "handed to a program" if facts.core_piped else "written to a file"
    text = f"when a process crashes, its memory with keys and shares is {where}"
    fix = "Start the node under `ulimit -c 0`, or LimitCORE=0 in its systemd unit."
    return note("core dumps", text, fix)


def _swap(facts: Surroundings) -> Finding:
    if not facts.swaps:
        return ok("swap", "memory is not written to a swap space")
    text = f"swap space is on ({', '.join(facts.swaps)}): keys could be written to it"
    fix = "Encrypt the swap space, turn it off, or set MemorySwapMax=0 in the systemd unit."
    return note("swap", text, fix)
