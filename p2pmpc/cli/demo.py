"""`demo`: four organisations, real data, one linked study, an answer and a receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pmpc.cli.answer import cost_line
from p2pmpc.cli.engine import announce, engine_option
from p2pmpc.cli.output import Reply, Table
from p2pmpc.cli.rehearse import learns
from p2pmpc.cli.word import progress, spoken

if TYPE_CHECKING:
    from simulations.demo import Act, Demo
    from simulations.laptop import Progress
    from simulations.workers import Stop

__all__ = ["register"]

TRIALS = ("refusal", "kill", "forgery")  # the keys of simulations.trials.TRIALS


def register(root: click.Group) -> None:
    """Add `demo` to the command line."""

    @spoken(
        root, "demo", "four organisations, real data, one linked study, an answer and a receipt"
    )
    @click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="keep data, dictionaries, studies, answers, receipts and records here",
    )
    @engine_option("ray", "what each organisation's node runs on")
    @click.option(
        "--try",
        "trial",
        type=click.Choice(TRIALS),
        help="instead: see how a study ends that is refused, hit or tampered with",
    )
    def demo(out: Path | None, engine: str, trial: str | None) -> Reply:
        from simulations.demo import run_demo
        from simulations.process import node_command
        from simulations.workers import listening

        say = progress()

        def tell(line: Progress) -> None:
            say(line.step, line.member, line.text, line.seconds)

        with listening() as stop:
            if trial is not None:
                return _try(trial, stop, tell)
            announce(engine, say)
            done = run_demo(out, node_command(engine), stop, tell)
        return Reply("demo", _data(done), list(_lines(done)))


def _try(trial: str, stop: Stop, tell: Callable[[Progress], None]) -> Reply:
    """Plain processes are enough for this, and quicker to start."""
    from simulations.process import node_command
    from simulations.trials import run_trial

    done = run_trial(trial, node_command("process"), stop, tell)
    return Reply("demo", {"lines": list(done.lines)}, done.lines, done.error)


def _data(done: Demo) -> dict[str, Any]:
    return {
        "notes": list(done.notes),
        "studies": [
            {
                "title": act.study.title,
                "answer": act.rehearsal.answer,
                "cost": act.rehearsal.cost,
                "compared": [
                    {
                        "statistic": one.statistic,
                        "measure": one.measure,
                        "joint": one.joint,
                        "pooled": one.pooled,
                        "difference": one.difference,
                    }
                    for one in act.comparisons
                ],
                "withheld": list(act.withheld),
                "learns": dict(learns(act.study)),
                "verified": bool(act.rehearsal.receipts),
            }
            for act in done.acts
        ],
        "folder": None if done.kept is None else str(done.kept),
    }


def _lines(done: Demo) -> Iterator[str | Table]:
    yield from done.notes
    for act in done.acts:
        yield ""
        yield from _act(act)
    yield ""
    if done.kept is not None:
        yield f"Every file of it: {done.kept}"
    yield "Three more to try:"
    yield "  p2pmpc demo --try refusal   a member's policy says no"
    yield "  p2pmpc demo --try kill      a node is killed during the study"
    yield "  p2pmpc demo --try forgery   a number of the receipt, a bit of the record are changed"
    yield "Your own data next: p2pmpc rehearse STUDY --site NAME=FILE --site NAME=FILE"


def _act(act: Act) -> Iterator[str | Table]:
    yield act.study.title
    rows = [
        [one.statistic, one.measure, one.joint, one.pooled, one.difference]
        for one in act.comparisons
    ]
    yield Table("", ("statistic", "measure", "joint", "pooled", "relative difference"), rows)
    for line in act.withheld:
        yield f"Withheld: {line}"
    yield Table("Who learnt what", ("who", "what"), list(learns(act.study).items()))
    yield cost_line(act.rehearsal.cost, bool(act.rehearsal.receipts))
