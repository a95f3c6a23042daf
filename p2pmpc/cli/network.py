"""`network found | join | members`: who the members are, by one file that all of them hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from p2pmpc.cli.home import node_option
from p2pmpc.cli.member import confirm, own_node
from p2pmpc.cli.output import Reply, Table
from p2pmpc.cli.word import spoken
from p2pmpc.errors import NotFound, P2pmpcError, Refused, WrongUsage
from p2pmpc.folder import as_typed
from p2pmpc.invitation import Invitation, file_name, read_card, read_invitation
from p2pmpc.node import Node
from p2pmpc.roster import Roster

__all__ = ["register"]

DIAL_S = 10.0  # a link that is down for less may still be coming up
COMPARE = "Compare these fingerprints with each member by voice, not by the way the file came."


def register(group: click.Group) -> None:
    """Add the words of `network` that this version knows."""
    _register_found(group)
    _register_join(group)
    _register_members(group)


def _register_found(group: click.Group) -> None:
    @spoken(group, "found", "found a network: write the file that the other members join")
    @click.argument("title", metavar="TITLE")
    @click.argument(
        "cards", metavar="CARD...", nargs=-1, required=True, type=click.Path(path_type=Path)
    )
    @click.option(
        "--out", type=click.Path(path_type=Path), metavar="FILE", help="TITLE.network by default"
    )
    @node_option
    def found(title: str, cards: Sequence[Path], out: Path | None, node: Path | None) -> Reply:
        own = own_node(node)
        invitation = Invitation.of(title, (own.card(), *_others(own, cards)))
        file = out or Path(file_name(title))
        invitation.write(file)
        try:
            network = own.found(title, invitation.cards)
        except P2pmpcError:
            file.unlink()  # nobody shall join what its founder is not in
            raise
        others = [name for name in invitation.roster().names if name != own.name]
        lines = (
            f"{own.name} has founded the network {title!r} of "
            f"{len(invitation.cards)} members; {file} is written",
            _roster_table(invitation.roster()),
            COMPARE,
            f"Then send {file} to {', '.join(others)}; each runs: "
            f"p2pmpc network join {as_typed(file)}",
        )
        return Reply("network found", _facts(invitation.roster(), network, file), lines)


def _others(own: Node, files: Sequence[Path]) -> list[bytes]:
    """The other members' cards; this node's own may be among the files.

    Raises Refused for another card of this name, WrongUsage for one that is given twice: where a
    person meant two members, the network would be founded without one of them.
    """
    mine, found = own.card(), []
    for path in files:
        data, card = read_card(path)
        if card.name == own.name and data != mine:
            raise Refused(
                f"{path} is another card of {own.name} than this node's",
                file=str(path),
                next=f"Leave it out: this node adds its own. No two members are both {own.name}.",
            )
        if data in found:
            raise WrongUsage(
                f"{path} is the card of {card.name}, which was given already",
                file=str(path),
                next="Give each member's card once: who is a member is settled with this.",
            )
        found.append(data)
    return found


def _register_join(group: click.Group) -> None:
    @spoken(group, "join", "join the network of a file that its founder sent")
    @click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
    @click.option("--yes", is_flag=True, help="the fingerprints have been compared: do not ask")
    @node_option
    def join(file: Path, yes: bool, node: Path | None) -> Reply:
        own, invitation = own_node(node), read_invitation(file)
        roster = invitation.roster()
        _check_own_card(own, invitation, file)
        if not yes:
            rows = [f"  {one.name}  {one.card.fingerprint}" for one in roster.members]
            head = f"The network {roster.title!r} of {len(roster.members)} members:"
            confirm([head, *rows, COMPARE], f"Does {own.name} join it?")
        network = own.found(invitation.title, invitation.cards)
        lines = (
            f"{own.name} has joined the network {roster.title!r}",
            _roster_table(roster),
            "p2pmpc network members shows who is linked; p2pmpc data add offers data.",
        )
        return Reply("network join", _facts(roster, network, file), lines)


def _check_own_card(own: Node, invitation: Invitation, file: Path) -> None:
    """Raises Refused unless the file holds this node's card, byte for byte."""
    if own.card() in invitation.cards:
        return
    names = invitation.roster().names
    said = (
        f"{file} holds another card of {own.name} than this node's: an older one, or a changed one"
        if own.name in names
        else f"{file} is of a network without {own.name}: its members are {', '.join(names)}"
    )
    raise Refused(
        said,
        file=str(file),
        next=f"Send {own.name}.card to the founder. Its members were settled when it was founded: "
        "for others, found a new one with new nodes (p2pmpc node new).",
    )


def _register_members(group: click.Group) -> None:
    @spoken(group, "members", "the members: fingerprint, address, link")
    @node_option
    def members(node: Path | None) -> Reply:
        found = own_node(node).get("/members")
        if not found["members"]:
            raise NotFound(
                "this node belongs to no network yet",
                next="Found one (p2pmpc network found) or join one (p2pmpc network join FILE).",
            )
        rows = [
            [one["name"], one["fingerprint"], one["address"], one["link"], _since(one["since_s"])]
            for one in found["members"]
        ]
        columns = ("member", "fingerprint", "address", "link", "since")
        head = f"network {found['title']!r}, {len(rows)} members"
        lines: list[str | Table] = [head, Table("", columns, rows), *_away(found["members"])]
        return Reply("network members", found, lines)


def _away(members: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What to do about members that are not linked; a link may take a moment to come up."""
    away = [one for one in members if one["link"] not in {"up", "this node"}]
    fresh = [one["name"] for one in away if one["since_s"] < DIAL_S]
    late = [one["name"] for one in away if one["since_s"] >= DIAL_S]
    if fresh:
        yield f"{', '.join(fresh)}: being dialled; look again in a moment."
    if late:
        yield (
            f"Not linked: {', '.join(late)}. Do their nodes run, and have they joined by the same "
            "file? p2pmpc node doctor looks for what is in the way."
        )


def _since(seconds: object) -> str:
    """How long, in the largest fitting unit."""
    if not isinstance(seconds, int | float):
        return ""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _roster_table(roster: Roster) -> Table:
    rows = [[one.name, one.card.fingerprint, one.address] for one in roster.members]
    return Table("", ("member", "fingerprint", "address"), rows)


def _facts(roster: Roster, network: str, file: Path) -> dict[str, object]:
    return {
        "network": network,
        "title": roster.title,
        "file": str(file),
        "members": [
            {"name": one.name, "fingerprint": one.card.fingerprint, "address": one.address}
            for one in roster.members
        ],
    }
