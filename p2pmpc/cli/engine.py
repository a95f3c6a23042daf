"""`--engine process | ray`: what a node computes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from p2pmpc.cli.output import Progress

__all__ = ["announce", "engine_option"]

ENGINES = ("process", "ray")


def engine_option(default: str, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: A002  click's own word
    """Add `--engine`; the function receives `engine: str`."""
    return click.option(
        "--engine", type=click.Choice(ENGINES), default=default, show_default=True, help=help
    )


def announce(engine: str, say: Progress) -> None:
    """Say what the nodes run on where that takes its time to start."""
    if engine == "ray":
        say("engine", "", "each node starts a Ray runtime of its own: most of the wait", 0.0)
