"""`study receipt FILE|ID`: an answer's proof, checked offline and, on request, computed again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from p2pmpc.answer import Answer
from p2pmpc.catalogue import resolve
from p2pmpc.certificate import Receipt, check_receipt, read_receipt
from p2pmpc.cli.answer import answer_lines
from p2pmpc.cli.home import node_option
from p2pmpc.cli.member import is_id, own_node
from p2pmpc.cli.output import Reply
from p2pmpc.cli.word import spoken
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import LogError, P2pmpcError
from p2pmpc.folder import as_typed, read_bytes, write_atomically
from p2pmpc.policy import Policy
from p2pmpc.study import Study

__all__ = ["recompute", "register"]

LIBRARIES_DIFFER = 1e-9  # p values in far tails; everything else is exact to the last digit


def register(group: click.Group) -> None:
    """Add `receipt` to the words of `study`."""

    @spoken(group, "receipt", "check a receipt: signatures, commitments, opened integers")
    @click.argument("receipt", metavar="FILE|ID")
    @click.option("--recompute", "again", is_flag=True, help="run the statistics again")
    @click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="with a study's id: write its receipt, so that anybody can check it",
    )
    @node_option
    def receipt_(receipt: str, again: bool, out: Path | None, node: Path | None) -> Reply:
        data = _bytes(receipt, node)
        found = read_receipt(data)
        opened = check_receipt(found)
        answer = _answer(found)
        if again:
            recompute(found, opened)
        if out is not None:
            write_atomically(out, data)
        return _reply(found, opened, answer, again, out)


def _bytes(receipt: str, node: Path | None) -> bytes:
    """Of a file, or of a study at one's own node where there is no such file."""
    if not Path(receipt).exists() and is_id(receipt):
        return own_node(node).study(receipt).receipt
    return read_bytes(Path(receipt), "a receipt")


def _answer(receipt: Receipt) -> dict[str, Any]:
    """The answer as the recipient read it: bound to the record, and checked by computing again.

    Its statistics stand in the study's order; the receipt's bytes have sorted keys.
    """
    try:
        answer = Answer.from_json(receipt.answer).to_json()
        asked = [one.name for one in Study.from_bytes(receipt.study).statistics]
    except P2pmpcError:
        raise LogError("the receipt's answer cannot be read: it was changed on the way") from None
    found = answer["statistics"]
    answer["statistics"] = {name: found[name] for name in (*asked, *found) if name in found}
    return answer


def _reply(
    receipt: Receipt,
    opened: Mapping[str, list[int]],
    answer: Mapping[str, Any],
    again: bool,
    out: Path | None,
) -> Reply:
    parties = receipt.certificate.parties
    data = {
        "study": receipt.certificate.study.hex(),
        "signers": list(parties),
        "units": {unit: [str(value) for value in values] for unit, values in opened.items()},
        "answer": answer,
        "recomputed": again,
        "file": None if out is None else str(out),
    }
    lines = [
        f"signed by all {len(parties)} members: {', '.join(parties)}",
        f"{len(opened)} units: the shares that each member committed to sum to the opened integers",
        "the statistics were computed from these integers again: the same"
        if again
        else "the statistics below are unchecked words of this file; --recompute checks them",
        "",
        *answer_lines(answer),
    ]
    if out is not None:
        lines += [
            "",
            f"{out} is written; p2pmpc study receipt {as_typed(out)} checks it anywhere, offline.",
        ]
    return Reply("study receipt", data, lines)


def _alike(mine: Any, theirs: Any) -> bool:
    """Equal, but for the last digits in which two machines' mathematical libraries may differ."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return mine.keys() == theirs.keys() and all(_alike(mine[k], theirs[k]) for k in mine)
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(_alike, mine, theirs))
    if isinstance(mine, float) and isinstance(theirs, float):
        return math.isclose(mine, theirs, rel_tol=LIBRARIES_DIFFER, abs_tol=1e-300)
    return type(mine) is type(theirs) and bool(mine == theirs)


def recompute(receipt: Receipt, opened: Mapping[str, list[int]]) -> None:
    """Run every statistic of a checked receipt from its opened integers; raises LogError when the
    answer is not the one that the receipt holds.

    The plan comes from the study, dictionaries and rules that the certificate covers.
    """
    from nodes.session.answers import answer_bytes, make_answer
    from nodes.session.inputs import draw_plan

    study = Study.from_bytes(receipt.study)
    catalogue: dict[str, dict[str, Dictionary]] = {}
    for member, data in receipt.dictionaries:
        dictionary = Dictionary.from_bytes(data)
        catalogue.setdefault(member, {})[dictionary.name] = dictionary
    policies = {member: Policy.from_bytes(data) for member, data in receipt.rules}
    resolved = resolve(study, catalogue, policies)
    certificate = receipt.certificate
    drawn = draw_plan(certificate.session, resolved, catalogue)
    integers = {
        unit: tuple(opened[unit]) if unit in opened else None for unit, _ in certificate.layout
    }
    heads = _answer(receipt)["receipt"]["log_heads"]
    again = make_answer(resolved, drawn, integers, certificate, heads)
    if not _alike(json.loads(answer_bytes(again)), json.loads(receipt.answer)):
        raise LogError(
            "the statistics computed from the opened integers are not the receipt's answer",
            next="The integers hold; ask the recipient how its answer came about.",
        )
