"""`study propose | list | withdraw | revoke` and `study show ID`: a study among its members."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from p2pmpc.cli.home import node_option
from p2pmpc.cli.member import SHORT, moment, own_node, reason, telling, why_option
from p2pmpc.cli.output import Reply, Table
from p2pmpc.cli.word import spoken
from p2pmpc.errors import P2pmpcError, Withheld, error_from_json
from p2pmpc.node import Node, StudyHandle, waits_for
from p2pmpc.study import read_study

__all__ = ["ended_badly", "register", "shown"]

DAY_S = 86400.0
MEANS: Mapping[str, str] = {
    "proposed": "members decide",
    "agreed": "all members agreed; their nodes get ready",
    "ready": "all members agreed; their nodes get ready",
    "computing": "it is being computed",
    "checked": "it is being computed",
    "releasing": "all members sign before anything opens",
    "opening": "the answer opens to its recipients",
    "answered": "answered",
    "withheld": "nothing passed the members' rules",
    "refused": "a member refused; it will not run",
    "expired": "not all members decided in time; it will not run",
    "withdrawn": "its proposer took it back; it will not run",
    "revoked": "a member took its consent back; it will not run",
    "failed": "it ended early",
}


def register(group: click.Group) -> None:
    """Add the words of `study` about a proposal."""
    _register_propose(group)
    _register_list(group)
    _register_withdraw(group)
    _register_revoke(group)


def _register_propose(group: click.Group) -> None:
    @spoken(group, "propose", "sign a study and ask all its members")
    @click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
    @click.option("--expires", type=float, metavar="DAYS", help="how long members may decide")
    @click.option("--wait", is_flag=True, help="follow it until it has ended")
    @node_option
    def propose(file: Path, expires: float | None, wait: bool, node: Path | None) -> Reply:
        own, study = own_node(node), read_study(file)
        _check_passes(own, study)
        handle = own.propose(study, None if expires is None else expires * DAY_S)
        if wait:
            handle.wait(math.inf, telling())
        facts = handle.facts()
        return Reply("study propose", facts, list(_proposed(facts)), ended_badly(facts))


def _check_passes(own: Node, study: Any) -> None:
    """Raises Withheld when the public rules alone keep every statistic closed."""
    found = own.check(study).statistics
    closed = [one for one in found if one.withheld is not None]
    if len(closed) == len(found):
        raise Withheld(
            "nothing of it would be released: "
            + "; ".join(f"{one.name}: {one.withheld.reason}" for one in closed if one.withheld),
            next="What would pass: "
            + "; ".join(dict.fromkeys(one.withheld.would_pass for one in closed if one.withheld)),
        )


def _proposed(facts: Mapping[str, Any]) -> Iterator[str]:
    short = facts["study"][:SHORT]
    yield f"proposed: {facts['title']!r} as study {short}"
    waits = f"; it waits for {waits_for(facts)}{_until(facts)}" if facts["waits_for"] else ""
    yield _meaning(facts) + waits
    yield from _quoted(facts)
    if facts["state"] == "answered":
        yield f"p2pmpc study result {short} shows the answer."
    elif not facts["ended"]:
        if facts["asks_me"]:
            yield f"Your own organisation decides too: p2pmpc study show {short}"
        yield f"p2pmpc study show {short} --wait follows it."


def _quoted(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts.get("quote"):
        yield f"Ahead of time: {facts['quote']['said']}."


def _until(facts: Mapping[str, Any]) -> str:
    return f", until {moment(facts['expires_ms'])}" if facts.get("expires_ms") else ""


def _meaning(facts: Mapping[str, Any]) -> str:
    return MEANS.get(facts["state"], facts["state"])


def _register_list(group: click.Group) -> None:
    @spoken(group, "list", "the studies that this node knows, and which wait for you")
    @node_option
    def list_(node: Path | None) -> Reply:
        own = own_node(node)
        found = own.get("/studies")["studies"]
        rows = [
            [
                one["study"][:SHORT],
                one["title"],
                one["proposer"],
                one["state"],
                _waited(one, own.name),
                moment(one["expires_ms"]) if one["waits_for"] else "",
            ]
            for one in found
        ]
        columns = ("study", "title", "proposed by", "state", "waits for", "until")
        lines = [Table("", columns, rows) if rows else "No study is known here yet."]
        return Reply("study list", {"studies": found}, [*lines, *_list_hints(found)])


def _waited(one: Mapping[str, Any], me: str) -> str:
    """Whom a study waits for, the reader first where it is one of them."""
    others = [name for name in one["waits_for"] if name != me or not one["asks_me"]]
    return ", ".join(["you", *others] if one["asks_me"] else others)


def _list_hints(found: list[Mapping[str, Any]]) -> Iterator[str]:
    if not found:
        yield "p2pmpc study new FILE writes one to begin with, p2pmpc study propose FILE asks."
    for one in found:
        if one["asks_me"]:
            short = one["study"][:SHORT]
            yield f"p2pmpc study show {short} says what is asked; then approve or refuse it."


def shown(own: Node, start: str, wait: bool) -> Reply:
    """`study show ID`: what is asked, in plain words, and what every member has decided."""
    handle = own.study(start)
    if wait:
        handle.wait(math.inf, telling())
    facts = handle.facts()
    return Reply("study show", facts, list(_shown(facts)), ended_badly(facts) if wait else None)


def _shown(facts: Mapping[str, Any]) -> Iterator[str | Table]:
    yield facts["title"]
    yield f"study {facts['study'][:SHORT]}: {_meaning(facts)}"
    yield ""
    yield Table("What is asked", ("", ""), facts["review"])
    yield ""
    rows = [
        [one["member"], one["decision"], one["reason"], moment(one["at_ms"])]
        for one in facts["decisions"]
    ]
    yield Table("Decisions", ("member", "decision", "reason", "when"), rows)
    yield ""
    if facts["ended"]:
        yield f"It ended. {_blame(facts['ended'])}{facts['ended']['message']}"
        if facts["ended"]["next"]:
            yield str(facts["ended"]["next"])
    yield from _quoted(facts)
    yield from _hints(facts)


def _blame(ended: Mapping[str, Any]) -> str:
    """The member that ended it, where the sentence does not begin by naming it."""
    member = str(ended["where"].get("member", ""))
    return f"{member}: " if member and member not in ended["message"] else ""


def _hints(facts: Mapping[str, Any]) -> Iterator[str]:
    short = facts["study"][:SHORT]
    if facts["asks_me"]:
        yield f"Your organisation decides{_until(facts)}:"
        yield f'  p2pmpc study approve {short} --why "..." --hash {facts["hash"]}'
        yield f'  p2pmpc study refuse {short} --why "..."'
    elif facts["waits_for"]:
        yield f"It waits for {waits_for(facts)}{_until(facts)}."
    elif facts["state"] == "answered":
        yield (
            f"p2pmpc study result {short} shows the answer."
            if facts["recipient"]
            else f"The answer is with {', '.join(facts['recipients'])}; you hold the record."
        )


def ended_badly(facts: Mapping[str, Any]) -> P2pmpcError | None:
    """The error of a study that ended without an answer; None while it runs and after one."""
    return error_from_json(facts["ended"]) if facts["ended"] else None


def _register_withdraw(group: click.Group) -> None:
    @spoken(group, "withdraw", "take back a study that you proposed")
    @click.argument("study", metavar="ID")
    @why_option
    @node_option
    def withdraw(study: str, why: str, node: Path | None) -> Reply:
        handle = own_node(node).study(study)
        handle.withdraw(reason(why))
        said = "is withdrawn: no member is asked any more, and nothing of it will run"
        return _done("study withdraw", handle, said)


def _register_revoke(group: click.Group) -> None:
    @spoken(group, "revoke", "take back your consent before the answer opens")
    @click.argument("study", metavar="ID")
    @why_option
    @node_option
    def revoke(study: str, why: str, node: Path | None) -> Reply:
        handle = own_node(node).study(study)
        handle.revoke(reason(why))
        return _done("study revoke", handle, "is ended for all members: your consent is taken back")


def _done(command: str, handle: StudyHandle, said: str) -> Reply:
    facts = handle.facts()
    lines = (f"study {handle.id[:SHORT]} {said}", "All members read your reason in the record.")
    return Reply(command, facts, lines)
