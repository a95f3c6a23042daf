"""A core that starts again on a record: what it had done, and what it does about it now.

Entries are read in causal order. Meanwhile nothing is written, sent, started or stopped: of this
node's studies, only its own entries say how far they had come, because what others wrote may have
reached it later than its place in that order. Then the node lives on. What waited for a consent or
a `ready` of its own goes on; an attempt whose session died with the process is ended by name, since
its masks and its key are gone and are never made a second time, and the next one follows. Where its
own share of the answer may have left, the study ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nodes.core.attempts import recipients_of
from nodes.core.consent import consider
from nodes.core.effects import SessionEnded
from nodes.core.ending import end_attempt, end_forked, end_study, rest
from nodes.core.feeds import Known
from nodes.core.opening import on_ended
from nodes.core.proposals import await_decisions
from nodes.core.studies import ENDS, Case, EndedNote
from p2pmpc.certificate import read_certificate
from p2pmpc.errors import Aborted
from p2pmpc.record import (
    Answered,
    Checked,
    Ended,
    Ready,
    Release,
    Released,
    Revocation,
    Withdrawal,
    Withheld,
)

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = ["live_on", "recall"]

REACHED: Mapping[type, str] = {  # a node's own entry -> where its study stands since then
    Ready: "ready",
    Checked: "checked",
    Release: "releasing",
    Released: "opening",
    Answered: "answered",
    Withheld: "withheld",
}


def recall(core: Core, entries: Iterable[Known]) -> None:
    """Learn what is stored, in causal order. `core.learning` is set."""
    for known in entries:
        if known.entry.author == core.name:
            _reach(core, known)
        core.apply(known)


def _reach(core: Core, known: Known) -> None:
    content = known.content
    match content:
        case Ready() | Ended():
            case = core.cases.get(content.study)
        case Released():
            case = core.cases.get(read_certificate(content.certificate).study.hex())
        case Checked() | Release() | Answered() | Withheld():
            case = core.session_case(content.session)
        case _:
            return
    if case is None:
        return
    match content:
        case Ended():
            _reach_end(case, content)
        case Ready():
            case.begin_attempt()
            case.state, case.attempt = "ready", content.attempt
        case _:
            case.state, case.session = REACHED[type(content)], content.session
            core.sessions[content.session] = case.id  # whatever a liar did to hide it
    core.places.file(case, core.name)
    if case.final:
        case.forget()


def _reach_end(case: Case, note: Ended) -> None:
    """Of an attempt, after which the next is due; or of the study, in the way that it says."""
    if note.attempt:
        case.begin_attempt()
        case.state = "agreed"
        return
    found = ENDS.get(note.code, "failed")
    case.state = found
    case.ended = EndedNote(note.code, note.why, note.waited_for)


def live_on(core: Core, entries: Iterable[Known]) -> None:
    """Take up what waits for this node, end what died with its last process."""
    for author in sorted(core.feeds.forks):
        end_forked(core, author)
    for study in sorted(core.places.open):
        await_decisions(core, core.cases[study])
    for known in entries:
        others = isinstance(known.content, Ended) and known.entry.author != core.name
        if others or isinstance(known.content, Withdrawal | Revocation):
            core.apply(known)
    over = {
        known.content.session: isinstance(known.content, Answered)
        for known in entries
        if isinstance(known.content, Answered | Withheld)
    }
    for case in core.open_cases(core.name):
        _take_up(core, case, over.get(case.session))


def _take_up(core: Core, case: Case, released: bool | None) -> None:
    """`released` is how another party ended this session; None when none has."""
    reads = core.name in recipients_of(case.study)
    why = f"{core.name} was started again during the run"
    if case.state == "proposed":
        consider(core, case)
    elif case.state == "agreed":
        if not case.readies:  # nobody calls: after a failed attempt it rests anew
            rest(core, case)
    elif case.state != "opening":
        end_attempt(core, case, Aborted.code, why, core.name, "")
    elif released is False or (released and not reads):
        on_ended(core, SessionEnded(case.session, b"", released))  # its own share had left
    else:
        end_study(core, case, Aborted.code, why, core.name, "")
