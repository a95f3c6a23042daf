"""`explain CODE`: the page of an error code, offline."""

from __future__ import annotations

import click

from p2pmpc.cli.output import Reply
from p2pmpc.cli.word import spoken
from p2pmpc.explain import page

__all__ = ["register"]


def register(root: click.Group) -> None:
    """Add `explain` to the command line."""

    @spoken(root, "explain", "the page of an error code, offline")
    @click.argument("code", metavar="CODE")
    def explain(code: str) -> Reply:
        text = page(code)
        return Reply("explain", {"code": int(code), "page": text}, (text.rstrip(),))
