"""A proposal: read and admitted, and ended when its time is up.

When a study expires is said once, by the clock of the member that proposes it, and carried with the
study. Clocks differ, up to an hour (SKEW_MS), and a proposal may have been on its way. So each node
keeps its own moment: the proposal's lifetime after it arrived, and never more than an hour after
the moment that the proposer named. A node whose clock is ahead by up to an hour therefore gives the
members all the time that was meant, though the proposal may look expired when it comes; one that is
ahead by more, or was started again since, is early by what its clock is ahead and no more, and ends
it for others only if it is a party, which may say no at any time. Nodes that are no parties write
nothing, wait an hour longer for what the parties write, and follow that.

Against floods: a member's node proposes no more once OPEN_PROPOSALS_MAX of its studies are open,
and others hear no more than twice that from one member, since they may learn of ends later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodes.core.consent import consider
from nodes.core.effects import Proposed, SetTimer
from nodes.core.ending import SKEW_MS, end_study
from nodes.core.feeds import Known
from nodes.core.studies import Case, read_or_refuse
from p2pmpc.errors import Expired, LogError, Refused, WrongUsage
from p2pmpc.identity import verify_signature
from p2pmpc.record import LIFETIME_MS_MAX, StudyNote, check_lifetime
from p2pmpc.study import Study

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = ["OPEN_PROPOSALS_MAX", "apply_study", "await_decisions", "on_due", "on_proposed"]

OPEN_PROPOSALS_MAX = 1024  # of one member: some 20 MB at every other one


def on_proposed(core: Core, event: Proposed) -> None:
    """Put the study on record. Raises P2pmpcError for one that nobody could agree to."""
    study = _read_study(core, event)
    expires_ms = event.expires_ms or core.now_ms + int(core.settings.proposal_s * 1000)
    lifetime_ms = expires_ms - core.now_ms
    if not 0 < lifetime_ms <= LIFETIME_MS_MAX:
        said = "has passed" if lifetime_ms <= 0 else "is more than a year away"
        raise WrongUsage(
            f"the moment at which the proposal is to expire {said}",
            field="expires_ms",
            next="Give the members hours or days to decide; a year at most.",
        )
    case = core.cases.get(study.id)
    if case is not None and case.final:
        raise Refused(
            f"this very study was proposed before: it is {case.state}",
            next="Change its title to ask it again.",
        )
    if _open_of(core, core.name) >= OPEN_PROPOSALS_MAX:
        raise Refused(
            f"{core.name} has {OPEN_PROPOSALS_MAX} proposals open, as many as a member may have",
            next="Wait until one has ended, or withdraw one.",
        )
    core.write("study", StudyNote(event.study, event.researcher, event.signature, expires_ms))


def apply_study(core: Core, author: str, known: Known, note: StudyNote) -> None:
    """A study becomes a case of this node; a second proposal of it changes nothing."""
    study = _read_study(core, note)
    check_lifetime(known.entry, note)
    known_case = core.cases.get(study.id)
    if known_case is not None:
        _propose_again(core, known_case, author, known, note)
        return
    if _open_of(core, author) >= 2 * OPEN_PROPOSALS_MAX:
        raise LogError(f"{author} has too many open proposals: one more is not looked at")
    case = Case(study, author, note.expires_ms, proposers={author})
    case.due_ms = _due_ms(core, known, note)
    core.cases[study.id] = case
    core.places.file(case, core.name)
    core.emit(case, "proposed", author, f"{study.title} (proposed through {author})")
    await_decisions(core, case)
    consider(core, case)
    core.take_up(study.id)


def _propose_again(core: Core, case: Case, author: str, known: Known, note: StudyNote) -> None:
    """Another member asks the same: it may do that longer, and shortens nobody's time."""
    case.proposers.add(author)
    if case.final:
        return
    case.due_ms = max(case.due_ms, _due_ms(core, known, note))
    case.expires_ms = max(case.expires_ms, note.expires_ms)


def _due_ms(core: Core, known: Known, note: StudyNote) -> int:
    lifetime_ms = note.expires_ms - known.entry.unix_ms
    return min(core.now_ms + lifetime_ms, note.expires_ms + SKEW_MS)


def await_decisions(core: Core, case: Case) -> None:
    """Set the timer at which the study expires here."""
    after_ms = max(0, _moment(core, case) - core.now_ms)
    core.effects.append(SetTimer(f"expire:{case.id}", after_ms / 1000))


def _moment(core: Core, case: Case) -> int:
    return case.due_ms + (0 if core.name in case.study.parties else SKEW_MS)


def on_due(core: Core, study: str) -> None:
    """The time to decide and to begin is over: the study ends by the names of the undecided."""
    case = core.cases[study]
    if case.state not in {"proposed", "agreed"} or core.learning:
        return
    if core.name not in case.study.parties and case.state == "agreed":
        return  # the parties say what came of it
    if core.now_ms < _moment(core, case):
        await_decisions(core, case)  # the clock was set back
        return
    late = [party for party in case.study.parties if party not in case.consents]
    why = f"{', '.join(late)} did not decide before the proposal expired"
    if not late:
        why = "all had consented, but the proposal expired before the study could begin"
    end_study(core, case, Expired.code, why, late[0] if late else "", "")


def _open_of(core: Core, member: str) -> int:
    """Its proposals that members may still act on; at a start, others are not ended yet."""
    found = (core.cases[study] for study in core.places.open)
    return sum(member in case.proposers and not _is_past(core, case) for case in found)


def _is_past(core: Core, case: Case) -> bool:
    return case.state == "proposed" and core.now_ms >= _moment(core, case)


def _read_study(core: Core, note: StudyNote | Proposed) -> Study:
    """The study, signed by its researcher and among members. Raises P2pmpcError."""
    if core.feeds.roster is None:
        raise WrongUsage("this node belongs to no network yet")
    study = read_or_refuse(lambda: core.feeds.reading.study(note.study))
    network = core.feeds.roster.network
    verify_signature(note.researcher, network, "study", study.hash, note.signature)
    strangers = sorted(set(study.parties) - set(core.feeds.roster.names))
    if strangers:
        raise WrongUsage(
            f"the study names {strangers[0]!r}, who is no member of this network",
            next=f"The members are {', '.join(core.feeds.roster.names)}.",
        )
    return study
