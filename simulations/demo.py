"""`p2pmpc demo`: four organisations on one machine, real data, two studies, each answer compared.

First three hospitals ask about their patients together; then the same hospitals and a laboratory
link their patients privately. Every member is a real process with mutual TLS on loopback.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2pmpc.dictionary import Dictionary, read_dictionary
from p2pmpc.errors import LocalError
from p2pmpc.folder import private_folder
from p2pmpc.study import Study, read_study
from p2pmpc.verify import verify_bundle
from simulations.laptop import Limits, Progress, Rehearsal, rehearse
from simulations.lung import HOSPITALS, LAB, Split, read_lung, split, write_files
from simulations.pooled import Comparison, compare, linked_values, pooled_values
from simulations.process import Command
from simulations.rules import rehearsal_rules
from simulations.sites import Site, site_of
from simulations.workers import Stop

__all__ = ["DIFFERENCE_MAX", "Act", "Demo", "run_demo"]

QUIET = ("left_out", "missing")  # a few missing values are withheld in most tables: not news
DIFFERENCE_MAX = 1e-9  # relative: float64 finishing, far above what exact integer sums lose


@dataclass(frozen=True, slots=True)
class Act:
    """One study of the demo: what came out and how far it is from the pooled values."""

    study: Study
    rehearsal: Rehearsal
    comparisons: Sequence[Comparison]
    withheld: Sequence[str]


@dataclass(frozen=True, slots=True)
class Demo:
    """Both studies, and what was said about the data."""

    acts: Sequence[Act]
    notes: Sequence[str]
    kept: Path | None


def run_demo(
    out: Path | None, command: Command, stop: Stop, on_progress: Callable[[Progress], None]
) -> Demo:
    """Run both studies; with `out` every file of it is kept there. Raises LocalError when an answer
    differs from its pooled value.
    """
    if out is not None and out.exists() and any(out.iterdir()):
        raise LocalError(
            f"the folder {out} is not empty", file=str(out), next="Choose a new one with --out."
        )
    parts = split(read_lung())
    with private_folder() as folder:
        files = write_files(parts, folder)
        acts = [
            _act(name, files, parts, values, folder / f"{name}-result", command, stop, on_progress)
            for name, values in (("pooled", pooled_values), ("linked", linked_values))
        ]
        if out is not None:
            shutil.copytree(folder, out, dirs_exist_ok=True)
    return Demo(acts, tuple(_notes(parts)), out)


def _notes(parts: Split) -> Iterator[str]:
    rows = {name: len(frame) for name, frame in parts.hospitals.items()}
    yield (
        f"The data: {sum(rows.values())} patients with advanced lung cancer, by their centre in "
        + ", ".join(f"{name} ({count})" for name, count in rows.items())
        + f"; {len(parts.lab)} in the laboratory."
    )
    yield (
        f"{parts.left_out} patient has no centre in the data: no hospital holds this row, the "
        "laboratory does, so linking finds nobody for it."
    )
    yield "Real: every measurement and the centre. Made up: the members' names and the identifiers."


def _act(
    name: str,
    files: Mapping[str, Path],
    parts: Split,
    values: Callable[[Split], Mapping[tuple[str, str], float]],
    out: Path,
    command: Command,
    stop: Stop,
    on_progress: Callable[[Progress], None],
) -> Act:
    study = read_study(files[name])
    described = {one: read_dictionary(files[one]) for one in ("lung", "markers")}
    members = [*HOSPITALS, LAB] if LAB in study.parties else list(HOSPITALS)
    sites = {member: site_of(member, [files[member]]) for member in members}

    def describe(study: Study, sites: Mapping[str, Site]) -> Mapping[str, Mapping[str, Dictionary]]:
        return {member: {d: described[d] for d in study.datasets_of(member)} for member in sites}

    rules = rehearsal_rules([str(files["policy"])], study)
    done = rehearse(study, sites, describe, rules, out, command, Limits(), stop, on_progress)
    verify_bundle(done.bundle)
    found = compare(done.answer, dict(values(parts)))
    far = [one for one in found if not one.difference <= DIFFERENCE_MAX]
    if far:
        raise LocalError(
            f"the joint answer {far[0].statistic}, {far[0].measure}, is {far[0].joint}; "
            f"pooled it is {far[0].pooled}",
            next="This must not happen: please report it.",
        )
    return Act(study, done, found, tuple(_withheld(done.answer)))


def _withheld(answer: Mapping[str, Any]) -> Iterator[str]:
    """What was not released, why, and what would pass."""
    for name, one in answer["statistics"].items():
        if not one.get("released", True):
            passing = f"; what would pass: {one['would_pass']}" if one.get("would_pass") else ""
            yield f"{name}: {one.get('reason', 'withheld')}{passing}"
            continue
        for cell in one["suppressed"]:
            if cell["column"] in QUIET:
                continue
            place = ", ".join(str(cell[key]) for key in ("row", "column") if cell[key])
            passing = f"; what would pass: {cell['would_pass']}" if cell["would_pass"] else ""
            yield f"{name}: {place} is suppressed ({cell['rule']}){passing}"
