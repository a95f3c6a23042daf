"""`rehearse STUDY --site NAME=FILE ...`: a study among throw-away local nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pmpc.cli.answer import answer_lines, cost_line, withheld
from p2pmpc.cli.engine import announce, engine_option
from p2pmpc.cli.output import Reply, Table
from p2pmpc.cli.word import progress, spoken
from p2pmpc.study import Study, read_study

if TYPE_CHECKING:
    from simulations.laptop import Rehearsal

__all__ = ["learns", "register", "rehearsal_reply"]


def register(root: click.Group) -> None:
    """Add `rehearse` to the command line."""

    @spoken(root, "rehearse", "a study among throw-away local nodes: real processes, real sockets")
    @click.argument("study", metavar="STUDY")
    @click.option(
        "--site",
        "sites",
        multiple=True,
        required=True,
        metavar="NAME=FILE[,FILE]",
        help="a member and its CSV or Parquet files; a file's stem is the data set",
    )
    @click.option(
        "--dictionary",
        "dictionaries",
        multiple=True,
        metavar="[NAME=]FILE",
        help="a data dictionary, of all members or of one; derived where none is given",
    )
    @click.option(
        "--policy",
        "policies",
        multiple=True,
        metavar="[NAME=]FILE",
        help="a policy file, of all members or of one; a rehearsal approves by default",
    )
    @engine_option("process", "what each node runs its kernels on")
    @click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="write the answer, the receipt and the log bundle into this folder",
    )
    def rehearse(
        study: str,
        sites: Sequence[str],
        dictionaries: Sequence[str],
        policies: Sequence[str],
        engine: str,
        out: Path | None,
    ) -> Reply:
        return _rehearse(Path(study), sites, dictionaries, policies, engine, out)


def _rehearse(
    file: Path,
    sites: Sequence[str],
    dictionaries: Sequence[str],
    policies: Sequence[str],
    engine: str,
    out: Path | None,
) -> Reply:
    from simulations.describe import Describer
    from simulations.laptop import Limits, Progress, rehearse
    from simulations.process import node_command
    from simulations.rules import rehearsal_rules
    from simulations.sites import check_sites, sites_of
    from simulations.workers import listening

    study = read_study(file)
    found = sites_of(sites)
    check_sites(study, found)
    describer = Describer.read(dictionaries, found)
    rules = rehearsal_rules(policies, study)
    say = progress()

    def tell(line: Progress) -> None:
        say(line.step, line.member, line.text, line.seconds)

    for who, what in learns(study).items():
        say("learns", who, what, 0.0)
    announce(engine, say)
    with listening() as stop:
        command = node_command(engine)
        done = rehearse(study, found, describer.describe, rules, out, command, Limits(), stop, tell)
    return rehearsal_reply("rehearse", study, done, describer.notes)


def rehearsal_reply(command: str, study: Study, done: Rehearsal, notes: Sequence[str]) -> Reply:
    """The reply of a finished rehearsal; part of it withheld makes it refused."""
    from p2pmpc.verify import verify_bundle

    report = verify_bundle(done.bundle)
    answer = done.answer
    data = {
        "study": done.study,
        "answer": answer,
        "cost": done.cost,
        "sites": {
            name: {
                "rows": facts.rows,
                "notes": list(facts.notes),
                "duplicates": dict(facts.duplicates),
            }
            for name, facts in done.sites.items()
        },
        "learns": learns(study),
        "notes": list(notes),
        "files": [str(path) for path in done.files],
        "verified": report.ok and bool(done.receipts),
    }
    lines: list[str | Table] = [*notes, study.title, *answer_lines(answer), ""]
    lines.append(Table("Who learnt what", ("who", "what"), list(learns(study).items())))
    lines += ["", *(str(path) for path in done.files)]
    lines.append(cost_line(done.cost, bool(done.receipts)))
    return Reply(command, data, lines, withheld(answer))


def learns(study: Study) -> Mapping[str, str]:
    """Who learns what from this study, before it runs and after: the same three sentences."""
    recipients = ", ".join(study.recipients)
    others = [member for member in study.parties if member not in study.recipients]
    found: dict[str, Any] = {
        recipients: "the answer: every statistic that passes the strictest policy of all members",
    }
    if others:
        found[", ".join(others)] = "that the study ran and which statistics passed; no number"
    found["every member"] = (
        "the study, the public dictionaries and bounds, who agreed, the padded sizes of messages"
    )
    found["nobody"] = "any row, any member's own counts or sums, who is in which data set"
    return found
