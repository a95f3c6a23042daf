"""Every log line: JSON, with event names and fields from closed vocabularies.

A line never holds bytes, arrays, containers, long texts or numbers whose field is not listed: a
size that a policy hides, a row's value or a key cannot get into a log by an incautious call. What
is refused is replaced by a word that says so; logging itself never raises. Of an exception a line
holds the class and the places, never the message.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

__all__ = ["EVENTS", "FIELDS", "NUMBERS", "PLACES_MAX", "TEXT_MAX", "Log", "make_log", "refuse"]

Log = Any  # a structlog logger: debug, info, warning, error, exception

# Every event name in the program, with what it says. A test compares this with the calls.
EVENTS: Mapping[str, str] = {
    "node started": "the node listens and serves people",
    "node stopped": "the node has closed its links and its store",
    "link up": "a peer is linked and authenticated",
    "link down": "a link ended; `reason` is of the transport's vocabulary",
    "peer refused": "somebody was not let in, or another certificate answers",
    "mail refused": "a peer's mail broke the format or its signature does not hold",
    "event refused": "the core did not accept an event; `code` says why",
    "story": "a step of a study, as people are told it",
    "core fault": "an internal fault ended the node",
    "loop fault": "an internal fault in a task or callback that nobody waits for",
    "session fault": "an internal fault ended a run",
    "data set unusable": "a data set's files are not those that were announced; `what` names it",
    "store failed": "the record could not be written: the node stops",
    "request failed": "a person's request met an internal fault",
}

# Fields that hold a short text.
FIELDS = frozenset(
    {
        "event",
        "level",
        "time",
        "node",
        "peer",
        "member",
        "study",
        "step",
        "kind",
        "what",
        "reason",
        "fingerprint",
        "fault",
        "places",
    }
)

# Fields that may hold a number: none counts rows, persons or bytes of data.
NUMBERS = frozenset({"code", "port", "pid", "attempt", "seconds"})

TEXT_MAX = 400  # two fingerprints and an address fit; a table does not
PLACES_MAX = 12  # innermost places of a traceback


def make_log(path: Path | None, name: str) -> Log:
    """A logger of node `name` that appends to `path` (mode 0600), or to stderr when None."""
    stream = sys.stderr if path is None else _open_private(path)
    return structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            describe_exception,
            refuse,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        cache_logger_on_first_use=True,
    ).bind(node=name)


def _open_private(path: Path) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    return os.fdopen(descriptor, "w", buffering=1, encoding="utf-8")


def describe_exception(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The class and the places of an exception; its message may hold values and stays out."""
    fault = line.pop("exc_info", None)
    if fault is True:
        fault = sys.exc_info()[1]
    if isinstance(fault, BaseException):
        frames = traceback.extract_tb(fault.__traceback__)[-PLACES_MAX:]
        places = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames]
        line["fault"] = type(fault).__name__
        line["places"] = " < ".join(reversed(places))[:TEXT_MAX]
    return line


def refuse(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace whatever has no place in a log by a word that says so."""
    found = {key: _allowed(key, value) for key, value in line.items() if _known(key)}
    if line.get("event") not in EVENTS:
        found["event"] = "unlisted event"
    if len(found) < len(line):
        found["withheld"] = len(line) - len(found)
    return found


def _known(key: str) -> bool:
    return key in FIELDS or key in NUMBERS


def _allowed(key: str, value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if key in NUMBERS:
        return value if isinstance(value, int | float) else "withheld: not a number"
    if not isinstance(value, str):
        return f"withheld: {type(value).__name__}"
    return str(value) if len(value) <= TEXT_MAX else "withheld: a long text"
