"""What `p2pmpc demo --try` shows: a refusal, a node killed during a study, a forged record.

Each is the real thing, among real processes with the demo's data; nothing here pretends. It ends as
it would for anybody: with the error and the exit code that a member or an auditor would get.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from p2pmpc.certificate import check_receipt, read_receipt
from p2pmpc.codec import encode
from p2pmpc.errors import Aborted, LogError, P2pmpcError, Refused
from p2pmpc.folder import private_folder
from p2pmpc.study import read_study
from p2pmpc.verify import verify_bundle
from simulations.demo import demo_plan
from simulations.laptop import Limits, Progress, Rehearsal, Stage, staged
from simulations.lung import HOSPITALS, read_lung, split, write_files
from simulations.process import Command
from simulations.workers import Stop

__all__ = ["TRIALS", "Trial", "run_trial"]

REFUSING = """\
[default]
decide = "approve"
minimum_cell = 10
minimum_cohort = 10
minimum_members = 2
kinds = ["count"]
"""
KILLED = "west"
RENAMED = "wild"  # in every signature; as long as the true name, and in the same place of the order


@dataclass(frozen=True, slots=True)
class Trial:
    """What was done, line by line, and the error with which it ended."""

    lines: tuple[str, ...]
    error: P2pmpcError


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a trial is played: the demo's files, how nodes start and are ended, who is told."""

    files: Mapping[str, Path]
    command: Command
    stop: Stop
    tell: Callable[[Progress], None]


def run_trial(
    name: str, command: Command, stop: Stop, on_progress: Callable[[Progress], None]
) -> Trial:
    """One of TRIALS. Raises P2pmpcError when something else went wrong than it meant to show."""
    with private_folder() as folder:
        files = write_files(split(read_lung()), folder)
        return TRIALS[name](Ground(files, command, stop, on_progress))


def _refusal(ground: Ground) -> Trial:
    ground.files[f"{KILLED}-policy"].write_text(REFUSING, encoding="utf-8")
    error = _failing(Refused, ground, {})
    return Trial((f"{KILLED}'s policy lets others count, and nothing else.",), error)


def _kill(ground: Ground) -> Trial:
    pids: dict[str, int] = {}

    def tell(line: Progress) -> None:
        ground.tell(line)
        if line.step == "started" and KILLED in pids:
            os.kill(pids.pop(KILLED), signal.SIGKILL)

    error = _failing(Aborted, replace(ground, tell=tell), pids)
    return Trial((f"{KILLED}'s node got SIGKILL as soon as all were ready.",), error)


def _forgery(ground: Ground) -> Trial:
    done = _run(ground, {})
    verify_bundle(done.bundle)
    lines = ["The record and the receipt of a finished study verify as they are."]
    receipt = read_receipt(done.receipt)
    unit, (first, *others) = receipt.opened[0]
    more = str(int(first) + 1)
    opened = ((unit, (more, *others)), *receipt.opened[1:])
    try:
        check_receipt(msgspec.structs.replace(receipt, opened=opened))
    except LogError as fault:
        lines.append(f"A receipt with {more} for {first} in {unit}: {fault.message}.")
    else:
        raise P2pmpcError("a forged receipt was taken: please report it")
    forged = encode(receipt).replace(KILLED.encode(), RENAMED.encode())
    lines.append(f"A receipt in which {KILLED} is called {RENAMED}: {_refused(forged)}.")
    changed = bytearray(done.bundle)
    changed[len(changed) // 2] ^= 1
    lines.append("One bit of the record turned, in the middle of the file:")
    try:
        verify_bundle(bytes(changed))
    except LogError as fault:
        return Trial(tuple(lines), fault)
    raise P2pmpcError("a forged record was taken: please report it")


def _refused(receipt: bytes) -> str:
    try:
        check_receipt(read_receipt(receipt))
    except LogError as fault:
        return fault.message
    raise P2pmpcError("a forged receipt was taken: please report it")


def _failing(meant: type[P2pmpcError], ground: Ground, pids: dict[str, int]) -> P2pmpcError:
    """The error with which the study was meant to end; any other is raised."""
    try:
        _run(ground, pids)
    except meant as fault:
        return fault
    raise P2pmpcError("the study ended with an answer, which this was not meant to show")


def _run(ground: Ground, pids: dict[str, int]) -> Rehearsal:
    """The demo's first study among its three hospitals; `pids` becomes their process ids."""
    members = tuple(HOSPITALS)
    plan = replace(demo_plan(ground.files), members=members)
    with staged(members, ground.command, Limits(), ground.stop, ground.tell) as stage:
        stage.describe(lambda: plan.dictionaries)
        facts = stage.meet(plan)
        pids |= _pids(stage)
        return stage.run(plan, read_study(ground.files["pooled"]), facts)


def _pids(stage: Stage) -> dict[str, int]:
    return {one.name: one.pid for one in stage.nodes}


TRIALS: Mapping[str, Callable[[Ground], Trial]] = {
    "refusal": _refusal,
    "kill": _kill,
    "forgery": _forgery,
}
