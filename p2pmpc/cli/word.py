"""One word of the command line: its --json and --debug, and where it says how far it is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from p2pmpc.cli.output import Progress, Reply, perform

__all__ = ["debugging", "progress", "spoken"]


def spoken(
    group: click.Group,
    name: str,
    help: str,  # noqa: A002  click's own word
) -> Callable[[Callable[..., Reply]], Callable[..., Reply]]:
    """Register a function that returns a Reply; adds --json and --debug to its options."""

    def register(function: Callable[..., Reply]) -> Callable[..., Reply]:
        full = name if group.name == "p2pmpc" else f"{group.name} {name}"

        @functools.wraps(function)
        def command(as_json: bool, debug: bool, **options: Any) -> int:
            click.get_current_context().meta.update(as_json=as_json, debug=debug)
            return perform(full, as_json, debug, lambda: function(**options))

        shown = click.option(
            "--json", "as_json", is_flag=True, help="one JSON object, nothing else"
        )
        traced = click.option(
            "--debug", is_flag=True, help="write an error's traceback to a file and name the file"
        )
        group.command(name, help=help, short_help=help)(shown(traced(command)))
        return function

    return register


def progress() -> Progress:
    """Where the running command says how far it is: nowhere with --json."""
    return Progress(silent=click.get_current_context().meta["as_json"])


def debugging() -> bool:
    """Whether the running command was given --debug."""
    return bool(click.get_current_context().meta["debug"])
