"""Verify an exported record offline: `python -m p2pmpc.verify BUNDLE [--json]`.

Needs the standard library, msgspec and PyNaCl, and nothing of the network: an auditor copies the
`p2pmpc` folder and the bundle to any machine. Exit codes: 0 everything holds, 7 something does not,
6 there is no such file, 2 wrong usage.

What success means, and what it does not, is printed with it. The checks are in `audit`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from p2pmpc.audit import Audit, audit_bundle
from p2pmpc.bundle import BUNDLE_BYTES_MAX, Bundle, make_bundle, open_bundle
from p2pmpc.certificate import study_hash
from p2pmpc.errors import Expired, LogError, NotFound, P2pmpcError, SplitView, WrongUsage
from p2pmpc.record import (
    Answered,
    Consent,
    Ended,
    Ready,
    Refusal,
    Released,
    Revocation,
    StudyNote,
    Withdrawal,
    Withheld,
)

__all__ = ["Bundle", "Report", "StudyReport", "main", "make_bundle", "verify_bundle"]

USAGE = "usage: p2pmpc log verify BUNDLE [--json], or python -m p2pmpc.verify BUNDLE [--json]"
UNCHECKED_SHOWN_MAX = 20  # lines for a person; the JSON has all


@dataclass(frozen=True, slots=True)
class StudyReport:
    """What the record says of one study. Members are sorted."""

    study: str
    state: str
    proposed_by: str
    consented: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]  # member, reason
    signers: tuple[str, ...]  # of the complete certificate
    answered: tuple[str, ...]
    units_opened: int | None  # None where the bundle has no receipt
    ended: tuple[tuple[str, int, str], ...]  # member, attempt (0: the whole study), why
    withdrawn: tuple[tuple[str, str], ...]  # member, reason
    revoked: tuple[tuple[str, str], ...]  # member, reason


@dataclass(frozen=True, slots=True)
class Report:
    """A verified bundle. `forks` and `faults` are what members signed and should not have."""

    title: str
    network: str
    exporter: str
    exported: str
    entries: dict[str, int]  # by member; 0 where a member has not signed the genesis yet
    studies: tuple[StudyReport, ...]
    checkpoints: int
    receipts: int
    forks: tuple[str, ...]
    faults: tuple[tuple[str, str], ...]  # member, what it did
    unchecked: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the record holds and nobody signed what it should not have."""
        return not self.forks and not self.faults

    def to_json(self) -> dict[str, Any]:
        """Plain data, for `--json`."""
        return {
            "title": self.title,
            "network": self.network,
            "exporter": self.exporter,
            "exported": self.exported,
            "entries": dict(self.entries),
            "studies": [_study_json(study) for study in self.studies],
            "checkpoints": self.checkpoints,
            "receipts": self.receipts,
            "forks": list(self.forks),
            "faults": [{"member": member, "what": what} for member, what in self.faults],
            "unchecked": list(self.unchecked),
        }

    def lines(self) -> list[str]:
        """For people. Control characters in other people's texts are shown as `?`."""
        total = sum(self.entries.values())
        found = [
            f"network   {plain(self.title)}",
            f"          {self.network}",
            f"exported  by {self.exporter}, {self.exported} by its clock",
            f"entries   {total}: " + ", ".join(f"{m} {n}" for m, n in self.entries.items()),
            f"receipts  {self.receipts}, checkpoints {self.checkpoints}",
        ]
        found += [
            f"waiting   {m} has not signed the genesis" for m, n in self.entries.items() if not n
        ]
        for study in self.studies:
            found += _study_lines(study)
        found += [
            f"FORK      {member} signed two histories (proof inside)" for member in self.forks
        ]
        found += [f"FAULT     {member}: {plain(what)}" for member, what in self.faults]
        shown = self.unchecked[:UNCHECKED_SHOWN_MAX]
        found += [f"unchecked {plain(line)}" for line in shown]
        if len(self.unchecked) > len(shown):
            found.append(f"unchecked {len(self.unchecked) - len(shown)} more")
        return [*found, "", *(PASSED if self.ok else FAILED)]


PASSED = (
    "The record holds: every signature, every link between the members' feeds, every release by",
    "all its parties before its answer, every opening. It does not show that the members' rows",
    "were true, nor the end of a feed that no other member has cited yet.",
)
FAILED = (
    "The record shows its own break: the members named under FORK signed two histories, those",
    "under FAULT what they should not have. What others signed still holds.",
)


def verify_bundle(data: bytes) -> Report:
    """Check a bundle's bytes. Raises LogError (or SplitView) when it does not hold together.

    What single members did wrong is in the report; ask its `ok`.
    """
    bundle = open_bundle(data)
    audit = audit_bundle(bundle)
    exported = datetime.fromtimestamp(min(bundle.unix_ms, UNIX_MS_SHOWN_MAX) / 1000, UTC)
    return Report(
        title=bundle.roster.title,
        network=bundle.roster.network.hex(),
        exporter=bundle.exporter,
        exported=exported.strftime("%Y-%m-%d %H:%M:%S UTC"),
        entries={name: len(audit.feeds.get(name, ())) for name in bundle.roster.names},
        studies=_studies(audit),
        checkpoints=audit.checkpoints,
        receipts=len(bundle.receipts),
        forks=tuple(sorted(audit.forks)),
        faults=tuple(audit.faults),
        unchecked=tuple(audit.unchecked),
    )


UNIX_MS_SHOWN_MAX = 253_402_300_799_000  # the year 9999, where datetime ends


# ---- studies -------------------------------------------------------------------------------------


def _studies(audit: Audit) -> tuple[StudyReport, ...]:
    proposed: dict[str, str] = {}
    for filing in audit.filings():
        if isinstance(filing.content, StudyNote):
            proposed.setdefault(study_hash(filing.content.study).hex(), filing.entry.author)
    return tuple(_study(audit, study, by) for study, by in sorted(proposed.items()))


def _study(audit: Audit, study: str, proposed_by: str) -> StudyReport:
    about = [
        (filing.entry.author, filing.content)
        for filing in audit.filings()
        if isinstance(filing.content, ABOUT) and filing.content.study == study
    ]
    sessions = {s for s, c in audit.certificates.items() if c.study.hex() == study}
    closed = [
        (filing.entry.author, filing.content)
        for filing in audit.filings()
        if isinstance(filing.content, Released | Answered | Withheld)
        and filing.content.session in sessions
    ]
    answered = tuple(sorted({member for member, note in closed if isinstance(note, Answered)}))
    refused = tuple((m, note.reason) for m, note in about if isinstance(note, Refusal))
    ended = tuple((m, note.attempt, note.why) for m, note in about if isinstance(note, Ended))
    whole = {note.code for _, note in about if isinstance(note, Ended) and not note.attempt}
    withdrawn = tuple((m, note.reason) for m, note in about if isinstance(note, Withdrawal))
    revoked = tuple((m, note.reason) for m, note in about if isinstance(note, Revocation))
    opened = [audit.opened[session] for session in sorted(sessions) if session in audit.opened]
    withheld = any(isinstance(note, Withheld) for _, note in closed)
    ready = any(isinstance(note, Ready) for _, note in about)
    return StudyReport(
        study=study,
        state=_state(
            (bool(answered), "answered"),
            (withheld, "withheld"),
            (bool(revoked), "revoked"),
            (bool(sessions), "released"),
            (bool(withdrawn), "withdrawn"),
            (bool(refused), "refused"),
            (Expired.code in whole, "expired"),
            (bool(whole), "ended early"),
            (ready, "ready"),
        ),
        proposed_by=proposed_by,
        consented=tuple(sorted({m for m, note in about if isinstance(note, Consent)})),
        refused=refused,
        signers=tuple(sorted({p for s in sessions for p in audit.certificates[s].parties})),
        answered=answered,
        units_opened=sum(map(len, opened)) if opened else None,
        ended=ended,
        withdrawn=withdrawn,
        revoked=revoked,
    )


def _state(*holds: tuple[bool, str]) -> str:
    """The first of these that holds."""
    return next((word for true, word in holds if true), "proposed")


ABOUT = (Consent, Refusal, Ready, Ended, Withdrawal, Revocation)  # kinds that name a study


def _study_json(study: StudyReport) -> dict[str, Any]:
    return {
        "study": study.study,
        "state": study.state,
        "proposed_by": study.proposed_by,
        "consented": list(study.consented),
        "refused": [{"member": member, "reason": reason} for member, reason in study.refused],
        "signers": list(study.signers),
        "answered": list(study.answered),
        "units_opened": study.units_opened,
        "ended": [{"member": m, "attempt": number, "why": why} for m, number, why in study.ended],
        "withdrawn": [{"member": member, "reason": reason} for member, reason in study.withdrawn],
        "revoked": [{"member": member, "reason": reason} for member, reason in study.revoked],
    }


def _study_lines(study: StudyReport) -> list[str]:
    found = [f"study     {study.study[:16]} {study.state}, proposed by {study.proposed_by}"]
    if study.consented:
        found.append(f"          consents: {', '.join(study.consented)}")
    found += [f"          refused by {m}: {plain(reason)}" for m, reason in study.refused]
    if study.signers:
        found.append(f"          certificate signed by {', '.join(study.signers)}")
    if study.answered:
        found.append(f"          answer read by {', '.join(study.answered)}")
    if study.units_opened is not None:
        found.append(f"          receipt: {study.units_opened} units equal the committed shares")
    found += [f"          withdrawn by {m}: {plain(reason)}" for m, reason in study.withdrawn]
    found += [f"          consent revoked by {m}: {plain(why)}" for m, why in study.revoked]
    for member, attempt, why in study.ended:
        what = f"attempt {attempt} ended" if attempt else "ended"
        found.append(f"          {what} at {member}: {plain(why)}")
    return found


def plain(text: str) -> str:
    """One line that cannot steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


# ---- the command ---------------------------------------------------------------------------------


def main(argv: Sequence[str]) -> int:
    """Print what a bundle shows; the exit code. `argv` is without the program's name."""
    as_json = "--json" in argv
    report: Report | None = None
    fault: P2pmpcError | None = None
    try:
        report = verify_bundle(_read(_path(argv)))
        fault = _fork_fault(report)
    except P2pmpcError as raised:
        fault = raised
    if as_json:
        print(json.dumps(_reply(report, fault)))  # ASCII, whatever the terminal speaks
    else:
        _print(report, fault)
    return fault.exit if fault else 0


def _path(argv: Sequence[str]) -> Path:
    words = [word for word in argv if word != "--json"]
    if len(words) != 1 or words[0].startswith("-"):
        raise WrongUsage("one bundle is verified at a time", next=USAGE)
    return Path(words[0])


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise WrongUsage(
                f"{path} is a folder",
                file=str(path),
                next=f"Give the bundle itself, such as {path / 'log.bundle'}.",
            )
        with path.open("rb") as file:
            return file.read(BUNDLE_BYTES_MAX + 1)
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or "it is no file name"
        raise NotFound(f"{path} cannot be read: {reason}", file=str(path)) from None


def _fork_fault(report: Report) -> LogError | None:
    if report.ok:
        return None
    if not report.forks:
        member, what = report.faults[0]
        return LogError(f"{member} is at fault: {what}", member=member)
    names = " and ".join(report.forks)
    return SplitView(f"{names} signed two histories", member=report.forks[0])


def _reply(report: Report | None, fault: P2pmpcError | None) -> dict[str, Any]:
    return {
        "schema": "p2pmpc/1",
        "command": "log verify",
        "status": "error" if fault else "ok",
        "data": report.to_json() if report else {},
        "error": fault.to_json() if fault else None,
    }


def _print(report: Report | None, fault: P2pmpcError | None) -> None:
    if report is not None:
        for line in report.lines():
            print(_spoken(line, sys.stdout))
    if fault is not None:
        print(_spoken(f"error {fault.code}: {plain(fault.message)}", sys.stderr), file=sys.stderr)
        if fault.next:
            print(_spoken(plain(fault.next), sys.stderr), file=sys.stderr)


def _spoken(line: str, stream: TextIO) -> str:
    """The line with what this terminal cannot write as `?`."""
    encoding = stream.encoding or "utf-8"
    return line.encode(encoding, "replace").decode(encoding)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
