"""`node doctor`: what would go wrong on this machine, each finding with its fix."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pmpc.cli.engine import engine_option
from p2pmpc.cli.home import node_option
from p2pmpc.cli.output import Reply, Table
from p2pmpc.cli.passphrase import passphrase_options, read_passphrase
from p2pmpc.cli.word import spoken
from p2pmpc.errors import LocalError, WrongUsage

if TYPE_CHECKING:
    from nodes.doctor.finding import Finding
    from nodes.home import Home

__all__ = ["register"]


def register(group: click.Group) -> None:
    """Add `node doctor`."""

    @spoken(group, "doctor", "look for what would go wrong, and say what mends it")
    @node_option
    @engine_option(
        "process", "what the node computes on: what Ray lacks is a fault only where it is used"
    )
    @passphrase_options
    def doctor(
        node: Path | None, engine: str, passphrase_file: Path | None, passphrase_fd: int | None
    ) -> Reply:
        from nodes.doctor.examine import examine

        home = _home(node)
        given = passphrase_file is not None or passphrase_fd is not None
        keys = None
        if given:
            keys = home.keys(read_passphrase(passphrase_file, passphrase_fd, twice=False))
        return _reply(examine(home, keys, engine == "ray", os.environ))


def _home(node: Path | None) -> Home:
    """The folder as it is: what is wrong with it is a finding, not a reason to look no further."""
    from nodes.home import Home

    if node is None:
        raise WrongUsage("no node is named", field="node", next="Give --node DIR, or P2PMPC_NODE.")
    return Home(node.absolute())


def _reply(findings: tuple[Finding, ...]) -> Reply:
    from nodes.doctor.finding import OK, faults

    bad = faults(findings)
    rows = [(one.level, one.check, one.text) for one in findings]
    lines: list[str | Table] = [Table("", ("", "check", "found"), rows)]
    lines += [f"{one.level}, {one.check}: {one.fix}" for one in findings if one.level != OK]
    if not bad:
        lines.append("No faults.")
    data = {"findings": [one.to_json() for one in findings], "faults": len(bad)}
    return Reply("node doctor", data, lines, _error(bad))


def _error(bad: tuple[Finding, ...]) -> LocalError | None:
    if not bad:
        return None
    checks = ", ".join(sorted({one.check for one in bad}))
    count = "1 fault" if len(bad) == 1 else f"{len(bad)} faults"
    return LocalError(f"{count}: {checks}", next=bad[0].fix)
