"""`p2pmpc demo`: four organisations on one machine, real data, two studies, each answer compared.

One network: three hospitals and a laboratory, each with its own runtime, keys, store and port, and
mutual TLS on loopback between them. First the hospitals ask about their patients together; then
they and the laboratory link their patients privately. Each member decides in its own way: by its
policy's lists, by its rules alone, or by its steward, whom the demo plays.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from p2pmpc.dictionary import read_dictionary
from p2pmpc.errors import LocalError
from p2pmpc.folder import private_folder
from p2pmpc.study import Study, read_study
from p2pmpc.verify import verify_bundle
from simulations.laptop import Limits, Plan, Progress, Rehearsal, save, staged
from simulations.lung import HOSPITALS, LAB, STEWARDS, Split, read_lung, split, write_files
from simulations.pooled import Comparison, compare, linked_values, pooled_values
from simulations.process import Command
from simulations.sites import site_of
from simulations.workers import Stop

__all__ = ["DIFFERENCE_MAX", "Act", "Demo", "demo_plan", "run_demo"]

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
        acts = list(_acts(parts, files, folder, command, stop, on_progress))
        if out is not None:
            shutil.copytree(folder, out, dirs_exist_ok=True)
    return Demo(acts, tuple(_notes(parts)), out)


def _acts(
    parts: Split,
    files: Mapping[str, Path],
    folder: Path,
    command: Command,
    stop: Stop,
    on_progress: Callable[[Progress], None],
) -> Iterator[Act]:
    """Both studies among the same four nodes."""
    plan = demo_plan(files)
    with staged(plan.members, command, Limits(), stop, on_progress) as stage:
        stage.describe(lambda: plan.dictionaries)
        facts = stage.meet(plan)
        for name, values in (("pooled", pooled_values), ("linked", linked_values)):
            study = read_study(files[name])
            began = time.monotonic()
            done = stage.run(plan, study, facts)
            cost = {"seconds": round(time.monotonic() - began, 3), **done.cost}
            saved = save(replace(done, cost=cost), folder / f"{name}-result")
            yield _act(study, saved, values(parts))


def demo_plan(files: Mapping[str, Path]) -> Plan:
    """The four members with their files, descriptions and rules, as `write_files` laid them out."""
    members = (*HOSPITALS, LAB)
    described = {one: read_dictionary(files[one]) for one in ("lung", "markers")}
    held = {name: "markers" if name == LAB else "lung" for name in members}
    return Plan(
        title="lung",
        members=members,
        sites={name: site_of(name, [files[name]]) for name in members},
        dictionaries={name: {held[name]: described[held[name]]} for name in members},
        policies={name: files[f"{name}-policy"].read_text("utf-8") for name in members},
        stewards=STEWARDS,
    )


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


def _act(study: Study, done: Rehearsal, pooled: Mapping[tuple[str, str], float]) -> Act:
    verify_bundle(done.bundle)
    found = compare(done.answer, dict(pooled))
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
