"""The settings file of one node: where it listens, how long it waits. Nothing secret in it.

    field               default        meaning
    name                               this member's name in the network
    listen_host         "127.0.0.1"    address to listen on; "0.0.0.0" or "::" for every interface
    listen_port         7443           TCP port; 0 lets the system choose one
    advertise           ""             "host:port" that others dial; "" means the listening address
    seeds               []             "host:port" of members that are asked where the others are
    link_grace_s        600            how long an unreachable peer is waited for during a run
    refused_grace_s     20             the same when its machine refuses: the process has died
    ready_wait_s        60             how long all members may take to become ready
    attempt_deadline_s  21600          how long one attempt may run in all
    attempts            3              how often a study is tried before it has failed
    retry_s             2              rest before the second attempt; doubled for each further one
    sessions            2              how many studies run at once; the others wait
    proposal_s          1209600        how long members may decide on what is proposed here
    progress_s          5              how often a study says again whom it waits for
    gossip_s            10             how often the record is compared with each peer
    restore_wait_s      20             how long a restarted node seeks peers before it writes
    metrics_port        0              port on 127.0.0.1 for Prometheus; 0 for none
    thin_links          false          studies of this node say much less and compute more
    pool_mb             64             memory for what is made ahead for studies; 0: nothing is
    kernels             "threads"      on Ray: of a session's process, or "tasks" on all machines
    spare_sessions      1              on Ray: warm processes that wait for a session
    rows_per_partition  2000000        on Ray: rows of a data set in one process
    object_store_mb     192            on Ray: memory for what its processes hand each other

Unknown fields are errors. A rehearsal waits 20 s for a peer and tries a study once: all its nodes
are on one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from p2pmpc.errors import WrongUsage
from p2pmpc.limits import SETTINGS_BYTES_MAX
from p2pmpc.toml import Section, check_name, check_text, load, read_text, write_table

__all__ = ["Settings", "parse_settings", "read_settings", "rehearsal_settings"]

PORT_MAX = 65535  # TCP
SEEDS_MAX = 16  # one that answers is enough
KERNELS = ("threads", "tasks")
ON_RAY = {
    "spare_sessions": (1, 16),  # each holds the memory of a Python process with its libraries
    "rows_per_partition": (1, 2**31),  # rounded down to whole blocks of 65,536, one at least
    "object_store_mb": (80, 2**20),  # less is refused by Ray itself
}
TRIES_MAX = 10  # each may open an intermediate anew
SESSIONS_MAX = 64  # each holds its masks and its rows in memory
PROPOSAL_S_MAX = 366 * 86400.0  # a year; the record takes no more
POOL_MB_MAX = 2**20  # a terabyte: more is a slip of the unit
WAIT_S_MAX = 7 * 86400.0  # a week: a longer wait is a slip of the unit


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One node's settings; the module's table says what each means. Raises WrongUsage."""

    name: str
    listen_host: str = "127.0.0.1"
    listen_port: int = 7443
    advertise: str = ""
    seeds: tuple[str, ...] = ()
    link_grace_s: float = 600.0
    refused_grace_s: float = 20.0
    ready_wait_s: float = 60.0
    attempt_deadline_s: float = 21600.0
    attempts: int = 3
    retry_s: float = 2.0
    sessions: int = 2
    proposal_s: float = 1209600.0
    progress_s: float = 5.0
    gossip_s: float = 10.0
    restore_wait_s: float = 20.0
    metrics_port: int = 0
    thin_links: bool = False
    pool_mb: int = 64
    kernels: str = "threads"
    spare_sessions: int = 1
    rows_per_partition: int = 2_000_000
    object_store_mb: int = 192

    def __post_init__(self) -> None:
        check_name(self.name, "member", WrongUsage)
        for field in ("listen_host", "advertise"):
            check_text(getattr(self, field), field, WrongUsage)
        if not self.listen_host:
            raise _wrong("listen_host", "is empty", 'Write `listen_host = "127.0.0.1"`.')
        for field in ("listen_port", "metrics_port"):
            if not 0 <= getattr(self, field) <= PORT_MAX:
                raise _wrong(field, f"must be from 0 to {PORT_MAX}")
        if self.metrics_port and self.metrics_port == self.listen_port:
            raise _wrong("metrics_port", "must be another port than listen_port")
        if self.advertise and not _is_address(self.advertise):
            raise _wrong("advertise", "must be host:port", 'For example "node.example.org:7443".')
        if len(self.seeds) > SEEDS_MAX:
            raise _wrong("seeds", f"has {len(self.seeds)} addresses; at most {SEEDS_MAX}")
        if not all(_is_address(seed) for seed in self.seeds):
            raise _wrong("seeds", "must be host:port each", 'For example ["a.example.org:7443"].')
        if not 0 <= self.restore_wait_s <= WAIT_S_MAX:
            raise _wrong("restore_wait_s", f"must be from 0 to {WAIT_S_MAX:.0f} seconds")
        _check_engine(self)
        _check_studies(self)
        for field in WAITS:
            if not 0 < getattr(self, field) <= WAIT_S_MAX:
                raise _wrong(field, f"must be above 0 and at most {WAIT_S_MAX:.0f} seconds")

    def to_toml(self) -> str:
        """The file that parses to these settings."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        waits = {
            name: Decimal(repr(fields[name])) for name in (*WAITS, "restore_wait_s", "proposal_s")
        }
        fields["seeds"] = list(self.seeds)
        return write_table(["node"], {**fields, **waits})


WAITS = (
    "link_grace_s",
    "refused_grace_s",
    "ready_wait_s",
    "attempt_deadline_s",
    "retry_s",
    "progress_s",
    "gossip_s",
)


def _check_studies(given: Settings) -> None:
    for field, most in (("attempts", TRIES_MAX), ("sessions", SESSIONS_MAX)):
        if not 1 <= getattr(given, field) <= most:
            raise _wrong(field, f"must be from 1 to {most}")
    if not 0 <= given.pool_mb <= POOL_MB_MAX:
        raise _wrong("pool_mb", f"must be from 0 to {POOL_MB_MAX}", "0 makes nothing ahead.")
    if not 0 < given.proposal_s <= PROPOSAL_S_MAX:
        raise _wrong("proposal_s", f"must be above 0 and at most {PROPOSAL_S_MAX:.0f} seconds")


def _check_engine(settings: Settings) -> None:
    if settings.kernels not in KERNELS:
        raise _wrong("kernels", f"must be one of {', '.join(KERNELS)}")
    for field, (least, most) in ON_RAY.items():
        if not least <= getattr(settings, field) <= most:
            raise _wrong(field, f"must be from {least} to {most}")


def _wrong(field: str, said: str, advice: str = "") -> WrongUsage:
    return WrongUsage(f"{field} {said}", field=field, next=advice)


def _is_address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host and colon) and port.isascii() and port.isdigit() and 0 < int(port) <= PORT_MAX


def rehearsal_settings(name: str) -> Settings:
    """A throw-away node on loopback: a free port, short waits."""
    return Settings(
        name=name,
        listen_port=0,
        link_grace_s=20.0,
        attempt_deadline_s=3600.0,
        attempts=1,
        gossip_s=1.0,
        restore_wait_s=0.0,
        pool_mb=0,  # its studies run at once: nobody is idle before them
    )


def read_settings(path: str | Path) -> Settings:
    """A settings file. Raises NotFound, WrongUsage."""
    return parse_settings(read_text(path, SETTINGS_BYTES_MAX, WrongUsage), Path(path).name)


def parse_settings(text: str, file: str) -> Settings:
    """Settings from the table [node] of a TOML file; `file` is named in errors. WrongUsage."""
    top = load(text, file, SETTINGS_BYTES_MAX, WrongUsage)
    section = top.inner("node")
    top.end()
    given: dict[str, Any] = {}
    for field, read in READERS.items():
        if section.get(field) is not None:
            given[field] = read(section, field)
    section.end()
    if "name" not in given:
        raise section.wrong("name", "is missing", 'Write `name = "..."`, this member\'s name.')
    try:
        return Settings(**given)
    except WrongUsage as fault:
        field = str(fault.where.get("field", ""))
        raise section.wrong(field, fault.message.removeprefix(f"{field} "), fault.next) from None


def _wait(section: Section, field: str) -> float:
    found = section.decimal(field)
    assert found is not None, "only fields that were given are read"
    return float(found)


READERS: Mapping[str, Callable[[Section, str], Any]] = {
    "name": Section.text,
    "listen_host": Section.text,
    "listen_port": Section.whole,
    "metrics_port": Section.whole,
    "thin_links": lambda section, field: section.flag(field, False),
    "pool_mb": Section.whole,
    "kernels": Section.text,
    **dict.fromkeys(ON_RAY, Section.whole),
    "advertise": Section.text,
    "seeds": Section.texts,
    "attempts": Section.whole,
    "sessions": Section.whole,
    "restore_wait_s": _wait,
    "proposal_s": _wait,
    **dict.fromkeys(WAITS, _wait),
}
