"""`study approve | refuse`: a person decides for this member, with a reason that goes on record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from p2pmpc.cli.home import node_option
from p2pmpc.cli.member import SHORT, own_node, reason, why_option
from p2pmpc.cli.output import Reply
from p2pmpc.cli.word import spoken
from p2pmpc.errors import WrongUsage
from p2pmpc.node import StudyHandle, waits_for

__all__ = ["register"]


def register(group: click.Group) -> None:
    """Add the words by which a member decides."""
    _register_approve(group)
    _register_refuse(group)


def _register_approve(group: click.Group) -> None:
    @spoken(group, "approve", "consent to a study, with your reason")
    @click.argument("study", metavar="ID")
    @why_option
    @click.option(
        "--hash", "digest", metavar="HEX", help="of the study as `study show` printed it: no other"
    )
    @node_option
    def approve(study: str, why: str, digest: str | None, node: Path | None) -> Reply:
        handle = own_node(node).study(study)
        before = handle.facts()
        handle.decide(True, reason(why), _same(handle, before, digest))
        facts = handle.facts()
        short = handle.id[:SHORT]
        lines = (
            f"approved: {facts['title']!r} (study {short}), for all members to read: {why.strip()}",
            f"It waits for {waits_for(facts)}."
            if facts["waits_for"]
            else "All members have agreed; it runs now, or it has run.",
            f"p2pmpc study show {short} --wait follows it.",
            f"Until it opens, p2pmpc study revoke {short} takes your consent back.",
        )
        return Reply("study approve", facts, lines)


def _same(handle: StudyHandle, facts: dict[str, Any], digest: str | None) -> str:
    """The hash to approve. Raises WrongUsage when the person read another study."""
    if digest is not None and digest.lower() != facts["hash"]:
        raise WrongUsage(
            f"study {handle.id[:SHORT]} has another hash than the one that you read",
            field="--hash",
            next=f"p2pmpc study show {handle.id[:SHORT]} shows this one; decide on what you read.",
        )
    return str(facts["hash"])


def _register_refuse(group: click.Group) -> None:
    @spoken(group, "refuse", "refuse a study, with your reason: it will not run")
    @click.argument("study", metavar="ID")
    @why_option
    @node_option
    def refuse(study: str, why: str, node: Path | None) -> Reply:
        handle = own_node(node).study(study)
        handle.refuse(reason(why))
        facts = handle.facts()
        lines = (
            f"refused: {facts['title']!r} (study {handle.id[:SHORT]}) will not run",
            f"{facts['proposer']} and all members read your reason: {why.strip()}",
        )
        return Reply("study refuse", facts, lines)
