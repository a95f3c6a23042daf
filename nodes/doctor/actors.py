"""Ray, one organisation's own: is it there, is its token private, do its paths fit.

Only looked at: a node that runs on it goes on, and what an earlier one left stays as it is.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodes.doctor.finding import Finding, fault, note, ok
from nodes.engine.cluster.runtime import FOLDER_BYTES_MAX, VERSION_MIN, places_of

__all__ = ["Actors", "check_actors", "read_actors"]

TOKEN = "token"  # noqa: S105  a file's name, in the engine's folder
DIGITS = 4 * "[0-9a-f]"  # at the end of the folder's name, fresh at each start
VERSION_END = (3, 0)  # tested from the engine's first version up to, not including, this one


@dataclass(frozen=True, slots=True)
class Actors:
    """`version` is empty where Ray is not installed; `token_bits` None where there is no token."""

    needed: bool
    version: str
    address_set: bool
    folder: Path
    token_bits: int | None


def read_actors(needed: bool, home: Path, environment: Mapping[str, str]) -> Actors:
    """Without importing Ray, which takes a second and starts threads."""
    try:
        version = importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        version = ""
    folder = _folder(home)
    token = folder / TOKEN
    try:
        bits = stat.S_IMODE(token.stat().st_mode)
    except OSError:
        bits = None
    return Actors(needed, version, bool(environment.get("RAY_ADDRESS")), folder, bits)


def _folder(home: Path) -> Path:
    """Where Ray lies, else where it will: the first place that is short enough, or the first."""
    places = places_of(home)
    found = [one for place, start in places for one in sorted(place.glob(f"{start}{DIGITS}"))]
    coming = [place / f"{start}0000" for place, start in places]
    short = [one for one in coming if len(os.fsencode(one)) <= FOLDER_BYTES_MAX]
    return (*found, *short, *coming)[0]


def check_actors(facts: Actors) -> list[Finding]:
    """On the version, the token, the temporary folder and the address."""
    return [_version(facts), *_token(facts), *_temp(facts), *_address(facts)]


def _version(facts: Actors) -> Finding:
    bad = fault if facts.needed else note
    fix = "Install the versions that requirements.txt locks: `make env`."
    if not facts.version:
        text = "Ray is not installed"
        text += "" if facts.needed else "; the engine in one process works without, not isolated"
        return bad("ray", text, fix)
    numbers = tuple(int(part) for part in re.findall(r"\d+", facts.version)[:2])
    if not VERSION_MIN <= numbers < VERSION_END:
        first, end = (".".join(map(str, one)) for one in (VERSION_MIN, VERSION_END))
        text = f"Ray is version {facts.version}; this program is made for {first} up to {end}"
        return bad("ray", text, fix)
    return ok("ray", f"Ray {facts.version} is installed")


def _token(facts: Actors) -> list[Finding]:
    if facts.token_bits is None or not facts.token_bits & 0o077:
        return []
    token = facts.folder / TOKEN
    text = f"others on this machine can read Ray's token {token} "
    text += f"(mode {facts.token_bits:04o}) and so command this node's actors"
    fix = f"Stop the node, remove {token} and start it again: it makes a new one."
    return [fault("ray token", text, fix)]


def _temp(facts: Actors) -> list[Finding]:
    length = len(os.fsencode(facts.folder))
    if length <= FOLDER_BYTES_MAX:
        return []
    text = f"Ray's folder {facts.folder} has {length} bytes in its name, more than the "
    text += f"{FOLDER_BYTES_MAX} that leave room for its sockets"
    fix = "Set XDG_RUNTIME_DIR (or the node's folder) to a shorter path."
    return [(fault if facts.needed else note)("ray folder", text, fix)]


def _address(facts: Actors) -> list[Finding]:
    if not facts.address_set:
        return []
    text = "RAY_ADDRESS is set; the node takes no notice of it and starts actors of its own"
    return [note("ray address", text, "Nothing; unset it if other programs should not use it.")]
