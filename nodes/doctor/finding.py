"""One finding of the doctor: what was looked at, how bad it is, a plain sentence, what to do.

ok      as it should be
note    works, and its reader should know
fault   the node will not work, or will not protect what it should
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["OK", "Finding", "fault", "faults", "note", "ok"]

OK, NOTE, FAULT = "ok", "note", "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` is empty only where nothing is to be done."""

    check: str
    level: str
    text: str
    fix: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` lists."""
        return {"check": self.check, "level": self.level, "text": self.text, "fix": self.fix}


def ok(check: str, text: str) -> Finding:
    """As it should be."""
    return Finding(check, OK, text)


def note(check: str, text: str, fix: str) -> Finding:
    """Works; its reader should know."""
    return Finding(check, NOTE, text, fix)


def fault(check: str, text: str, fix: str) -> Finding:
    """Will not work, or will not protect."""
    return Finding(check, FAULT, text, fix)


def faults(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Those that must be mended."""
    return tuple(one for one in findings if one.level == FAULT)
