"""`--engine process | ray`: what a node computes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["engine_option"]

ENGINES = ("process", "ray")


def engine_option(default: str, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: A002  click's own word
    """Add `--engine`; the function receives `engine: str`."""
    return click.option(
        "--engine", type=click.Choice(ENGINES), default=default, show_default=True, help=help
    )
