"""A core that starts again on a record: what it had done, and what it does about it now.

Entries are read in causal order. Meanwhile nothing is written, sent, started or stopped: of this
node's studies, only its own entries say how far they had come, because what others wrote may have
reached it later than its place in that order. Then the node lives on. What waited for a consent or
a `ready` of its own goes on; an attempt whose session died with the process is ended by name, since
its masks and its key are gone and are never made a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nodes.core.attempts import make_ready, on_ended, recipients_of, stop
from nodes.core.consent import consider
from nodes.core.effects import SessionEnded
from nodes.core.feeds import Known
from nodes.core.studies import Case, EndedNote
from p2pmpc.errors import Aborted
from p2pmpc.record import Answered, Checked, Ended, Ready, Release, Released, Withheld

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
    Ended: "failed",
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
        case Checked() | Release() | Released() | Answered() | Withheld():
            case = core.case_of(content.session)
        case _:
            return
    if case is None:
        return
    case.state = REACHED[type(content)]
    if isinstance(content, Ended):
        case.ended = EndedNote(content.code, content.why, content.waited_for)


def live_on(core: Core, entries: Iterable[Known]) -> None:
    """Take up what waits for this node, end what died with its last process."""
    for author in sorted(core.feeds.forks):
        for case in core.open_cases(author):
            stop(core, case, 403, f"{author} signed two histories", author, "")
    for known in entries:
        if isinstance(known.content, Ended) and known.entry.author != core.name:
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
    if case.state == "proposed":
        consider(core, case)
    elif case.state == "agreed":
        make_ready(core, case)
    elif case.state == "opening" and (released is False or (released and not reads)):
        on_ended(core, SessionEnded(case.session, b"", released))  # its own share had left
    else:
        why = f"{core.name} was started again during the run"
        stop(core, case, Aborted.code, why, core.name, "")
