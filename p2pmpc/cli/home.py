"""The node that a command speaks to: `--node DIR`, or P2PMPC_NODE where it is not given.

Words that speak to a node take `node_option` and ask `node_client`; words about its folder alone
ask `node_home`, which needs no running node and no passphrase.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pmpc.client import NodeClient
from p2pmpc.errors import NotFound, WrongUsage
from p2pmpc.folder import as_typed

if TYPE_CHECKING:
    from nodes.home import Home

__all__ = ["node_client", "node_home", "node_option"]


def node_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--node DIR`; the function receives `node: Path | None`."""
    return click.option(
        "--node",
        "node",
        type=click.Path(path_type=Path),
        envvar="P2PMPC_NODE",
        metavar="DIR",
        help="the node's folder; P2PMPC_NODE where it is not given",
    )(function)


def node_home(node: Path | None) -> Home:
    """The node's folder. Raises WrongUsage when none is named, NotFound when it holds no node."""
    from nodes.home import Home

    if node is None:
        raise WrongUsage(
            "no node is named",
            field="node",
            next="Give --node DIR, or set P2PMPC_NODE; p2pmpc node new DIR --name NAME makes one.",
        )
    home = Home(node.absolute())
    home.check()
    return home


def node_client(node: Path | None) -> NodeClient:
    """Speaks to the running node. Raises NotFound, with the command that starts it."""
    home = node_home(node)
    name = home.settings().name
    if home.holder() is None or not home.socket.exists():
        raise NotFound(
            f"{name} does not run",
            file=str(home.folder),
            next=f"Start it: p2pmpc node start --node {as_typed(home.folder)}",
        )
    return NodeClient(home.socket, name)
