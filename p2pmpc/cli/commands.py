"""The words of the command line as one tree.

A word that this version does not know yet is listed as coming and refused by name: never ignored,
never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from p2pmpc.cli.output import failed, show_reply
from p2pmpc.cli.word import spoken
from p2pmpc.errors import Aborted, NotBuilt, WrongUsage

__all__ = ["COMING", "command_tree", "run"]

SETTINGS: Mapping[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
ABOUT = (
    "Joint statistics over data that stays where it is: no server, no dealer, one signed record."
)

COMING: Mapping[str, Mapping[str, str]] = {
    "network": {
        "admit": "sign an admission",
        "expel": "sign an expulsion",
        "leave": "leave in good order",
    },
    "data": {
        "withdraw": "withdraw rows or a data set from future studies",
        "remove": "forget a data set",
    },
    "budget": {"show": "what is spent and left"},
    "keys": {
        "rotate": "replace a key",
        "revoke": "declare a key compromised",
    },
    "sim": {"predict": "what a study would cost"},
}

GROUPS: Mapping[str, str] = {
    "study": "write, propose, decide on and read studies",
    "data": "describe, check and offer data files",
    "log": "read, export and verify signed records",
    "node": "make, start, look at and stop this organisation's node",
    "network": "found or join a network, and see its members",
    "budget": "privacy budgets (coming)",
    "keys": "this organisation's keys",
    "sim": "simulated networks",
}


def run(words: Sequence[str]) -> int:
    """Parse and carry out one command line; returns its exit code."""
    tree = command_tree()
    as_json = "--json" in words
    if not words:
        click.echo(tree.get_help(click.Context(tree, info_name="p2pmpc", **SETTINGS)))
        return WrongUsage.exit
    try:
        found = tree.main(list(words), prog_name="p2pmpc", standalone_mode=False)
    except click.UsageError as fault:
        return show_reply(failed(_spoken_words(words), _wrong(fault)), as_json)
    except click.ClickException as fault:
        return show_reply(failed(_spoken_words(words), WrongUsage(fault.message)), as_json)
    except (click.Abort, KeyboardInterrupt):
        return show_reply(failed(_spoken_words(words), Aborted("stopped by you")), as_json)
    return found if isinstance(found, int) else 0


def _wrong(fault: click.UsageError) -> WrongUsage:
    path = fault.ctx.command_path if fault.ctx is not None else "p2pmpc"
    return WrongUsage(fault.format_message(), next=f"{path} --help shows how it is used.")


def _spoken_words(words: Sequence[str]) -> str:
    """The command as far as it is one: for the `command` field of a reply."""
    known = [word for word in words[:2] if not word.startswith("-")]
    tree = command_tree()
    if not known or known[0] not in tree.commands:
        return "p2pmpc"
    group = tree.commands[known[0]]
    if isinstance(group, click.Group) and len(known) == 2 and known[1] in group.commands:
        return " ".join(known)
    return known[0]


def command_tree() -> click.Group:
    """Every word of the interface, those that are coming included."""
    from p2pmpc.cli import (
        data,
        decision,
        demo,
        doctor,
        explain,
        keys,
        log,
        network,
        node,
        proposal,
        receipt,
        rehearse,
        result,
        sim,
        study,
    )

    root = click.Group("p2pmpc", help=ABOUT, no_args_is_help=False, context_settings=SETTINGS)
    for module in (demo, rehearse, explain):
        module.register(root)
    groups = {
        name: click.Group(name, help=text, no_args_is_help=False) for name, text in GROUPS.items()
    }
    for group in groups.values():
        root.add_command(group)
    for name, noun in (
        ("study", study),
        ("study", proposal),
        ("study", decision),
        ("study", result),
        ("study", receipt),
        ("network", network),
        ("data", data),
        ("log", log),
        ("node", node),
        ("node", doctor),
        ("keys", keys),
        ("sim", sim),
    ):
        noun.register(groups[name])
    for name, verbs in COMING.items():
        for verb, text in verbs.items():
            _coming(groups[name], verb, text)
    return root


def _coming(group: click.Group, verb: str, text: str) -> None:
    name = f"{group.name} {verb}"

    def refuse(words: Sequence[str]) -> NoReturn:  # noqa: ARG001  whatever follows the word
        raise NotBuilt(
            f"`p2pmpc {name}` is not part of this version yet",
            next="`p2pmpc rehearse` runs a whole study among local nodes today.",
        )

    spoken(group, verb, f"{text} (coming)")(
        click.argument("words", nargs=-1, type=click.UNPROCESSED)(refuse)
    )
    group.commands[verb].context_settings["ignore_unknown_options"] = True
