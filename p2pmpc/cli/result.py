"""`study result | export`: a recipient's answer, and a study as files to keep."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from p2pmpc.cli.answer import answer_lines, withheld
from p2pmpc.cli.home import node_option
from p2pmpc.cli.member import SHORT, own_node, telling
from p2pmpc.cli.output import Reply
from p2pmpc.cli.proposal import ended_badly
from p2pmpc.cli.word import spoken
from p2pmpc.errors import LocalError, NotFound, WrongUsage
from p2pmpc.folder import as_typed, write_atomically
from p2pmpc.node import StudyHandle, waits_for

__all__ = ["register"]

ENDED_WITH_ANSWER = frozenset({"answered", "withheld"})


def register(group: click.Group) -> None:
    """Add the words by which a member takes an answer home."""
    _register_result(group)
    _register_export(group)


def _register_result(group: click.Group) -> None:
    @spoken(group, "result", "the answer, at a member that is to have it")
    @click.argument("study", metavar="ID")
    @click.option("--wait", is_flag=True, help="wait until the study has ended")
    @click.option(
        "--out", type=click.Path(path_type=Path), metavar="FILE", help="also write it as JSON"
    )
    @node_option
    def result(study: str, wait: bool, out: Path | None, node: Path | None) -> Reply:
        handle = own_node(node).study(study)
        if wait:
            handle.wait(math.inf, telling())
        facts = handle.facts()
        answer = _answer(handle, facts)
        if out is not None:
            write_atomically(out, _json(answer))
        short = handle.id[:SHORT]
        lines = [
            facts["title"],
            *answer_lines(answer),
            "",
            *([f"{out} is written"] if out else []),
            f"p2pmpc study receipt {short} --out FILE keeps its proof, which anybody can check.",
        ]
        data = {"study": handle.id, "answer": answer, "file": None if out is None else str(out)}
        return Reply("study result", data, lines, withheld(answer))


def _answer(handle: StudyHandle, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Raises the error that ended the study; NotFound while it runs and for members without it."""
    fault = ended_badly(facts)
    if fault is not None and facts["state"] not in ENDED_WITH_ANSWER:
        raise fault
    short = handle.id[:SHORT]
    if facts["state"] not in ENDED_WITH_ANSWER:
        raise NotFound(
            f"study {short} has no answer yet: it is {facts['state']} and waits for "
            f"{waits_for(facts)}",
            next=f"p2pmpc study result {short} --wait waits for it.",
        )
    return handle.node.get(f"/study/{handle.id}/result")


def _register_export(group: click.Group) -> None:
    @spoken(group, "export", "a study as files: study, answer, receipt, signed record")
    @click.argument("study", metavar="ID")
    @click.option(
        "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="a folder"
    )
    @node_option
    def export(study: str, out: Path, node: Path | None) -> Reply:
        handle = own_node(node).study(study)
        facts = handle.facts()
        files = {"study.toml": facts["toml"].encode(), "log.bundle": handle.node.export_log()}
        if facts["recipient"] and facts["state"] in ENDED_WITH_ANSWER:
            files["answer.json"] = _json(_answer(handle, facts))
            files["receipt"] = handle.receipt
        written = _write(out, files)
        missing = "" if "receipt" in files else " No answer: it is not here, or not yet."
        lines = (
            *written,
            f"{facts['title']!r} is exported.{missing}",
            f"p2pmpc log verify {as_typed(out / 'log.bundle')} checks the record on any machine.",
        )
        data = {"study": handle.id, "state": facts["state"], "files": written}
        return Reply("study export", data, lines)


def _write(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """All files, none over an existing one; their paths. Raises WrongUsage, LocalError."""
    taken = [name for name in files if (folder / name).exists()]
    if taken:
        raise WrongUsage(
            f"{folder / taken[0]} exists already",
            file=str(folder / taken[0]),
            next="Choose another folder; an export never overwrites one.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise LocalError(f"{folder} cannot be made: {fault.strerror}", file=str(folder)) from None
    for name, data in sorted(files.items()):
        write_atomically(folder / name, data)
    return [str(folder / name) for name in sorted(files)]


def _json(answer: Mapping[str, Any]) -> bytes:
    return (json.dumps(answer, ensure_ascii=False, indent=2) + "\n").encode()
