"""How an attempt ends, or a study: here, for the other parties, and on the record.

An end that may be chance (a member was not heard, was started again, its machine or its network
failed: 401, 402, 102) ends the attempt. The next one follows with fresh masks, a fresh key and the
same inputs, `attempts` in all; what gave way to another study does not count, up to GIVE_WAYS_MAX.
Everything else would come again or is somebody's word, and ends the study: a refusal, a mismatch, a
proof of misbehaviour, unusable rows, a fault of the program. So does every end once a node's own
share may have left it, and one after the proposal has expired.

What others are told is a code, a sentence and nothing private. What went wrong on this machine
alone (a file, a row, a full disk) is told to its own people in full and to everybody else as a
number. Another party's word is recorded as its word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodes.core.effects import Send, SetTimer, StopSession
from nodes.core.studies import ENDS, RUNNING, Case, EndedNote
from p2pmpc.errors import (
    Aborted,
    Expired,
    LocalError,
    MemberMisbehaved,
    MemberMissing,
    P2pmpcError,
    Refused,
    RemoteError,
    Withdrawn,
    error_tree,
)
from p2pmpc.messages import End, sentence
from p2pmpc.record import ATTEMPTS_MAX, GAVE_WAY, Ended

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = [
    "GIVE_WAYS_MAX",
    "SKEW_MS",
    "end_attempt",
    "end_attempt_as_told",
    "end_forked",
    "end_study",
    "end_study_as_told",
    "error_json",
    "rest",
]

RETRIED = frozenset({Aborted.code, MemberMissing.code, LocalError.code})
GIVE_WAYS_MAX = 100  # of one study: more than its rivals can cause, and an end for a liar's loop
SKEW_MS = 3_600_000  # members' clocks are at most an hour apart, or their owner is told


def end_attempt(core: Core, case: Case, code: int, why: str, waited_for: str, told_by: str) -> None:
    """End the attempt that runs here; the next one follows after a rest, or the study is over."""
    if core.learning:
        return
    if not _goes_on(core, case, code):
        end_study(core, case, code, _with_history(case, why), waited_for, told_by)
        return
    attempt = case.attempt
    _halt(core, case, code, why, waited_for, told_by)
    core.move(case, "attempt ended")
    case.begin_attempt()
    case.over[attempt] = EndedNote(code, why, waited_for)
    core.emit(case, "attempt ended", waited_for, f"{why} (attempt {attempt}; another follows)")
    told, text = _shared_code(code), _shared_text(core.name, code, why)
    core.write("ended", Ended(case.id, attempt, told, text, waited_for))
    if code != GAVE_WAY:
        rest(core, case)


def _goes_on(core: Core, case: Case, code: int) -> bool:
    """Whether another attempt may follow this one."""
    if case.state == "opening" or core.now_ms >= case.due_ms or case.attempt >= ATTEMPTS_MAX:
        return False
    if code == GAVE_WAY:
        return sum(note.code == GAVE_WAY for note in case.over.values()) < GIVE_WAYS_MAX
    return code in RETRIED and len(_counted(case)) + 1 < core.settings.attempts


def _counted(case: Case) -> list[tuple[int, EndedNote]]:
    """The attempts before this one that count."""
    return [
        (attempt, note)
        for attempt, note in sorted(case.over.items())
        if note.code != GAVE_WAY and attempt != case.attempt
    ]


def _with_history(case: Case, why: str) -> str:
    """The last attempt's end, and who was waited for in those before it."""
    before = [
        f"attempt {attempt} {'waited for ' + note.waited_for if note.waited_for else note.why}"
        for attempt, note in _counted(case)
    ]
    return f"{why} (the last attempt; {', '.join(before)})" if before else why


def rest(core: Core, case: Case) -> None:
    """Every member waits for another time, the longer the more attempts have failed."""
    tried = sum(note.code != GAVE_WAY for note in case.over.values())
    if not tried:
        return
    case.resting = True
    core.places.file(case, core.name)
    share = int.from_bytes(core.randomness(2), "big") / 2**16
    doubled = 2 ** (tried - 1)  # the settings allow few attempts
    core.effects.append(SetTimer(f"retry:{case.id}", core.settings.retry_s * doubled * (1 + share)))


def end_study(core: Core, case: Case, code: int, why: str, waited_for: str, told_by: str) -> None:
    """End the study as a whole, say so to the others, and put it on record.

    code  decides the state that follows: expired, withdrawn, revoked, else failed
    """
    party = core.name in case.study.parties
    if core.learning and party:
        return  # its own entries say how far it had come
    session = case.session
    core.move(case, ENDS.get(code, "ended"))
    case.ended, case.resting = EndedNote(code, why, waited_for), False
    if party and session:
        _halt(core, case, code, why, waited_for, told_by)
    core.emit(case, "ended", waited_for, why, error_json(code, why, waited_for, ""))
    if party:
        told, text = _shared_code(code), _shared_text(core.name, code, why)
        core.write("ended", Ended(case.id, 0, told, text, waited_for))


def end_forked(core: Core, author: str) -> None:
    """A member signed two histories: no study with it goes on."""
    why = f"{author} signed two histories"
    for case in core.open_cases(author):
        end_study(core, case, MemberMisbehaved.code, why, author, "")


def _halt(core: Core, case: Case, code: int, why: str, waited_for: str, told_by: str) -> None:
    """Stop the session here, and tell the other parties over the link."""
    if not case.session:
        return
    told, text = _shared_code(code), _shared_text(core.name, code, why)
    core.effects.append(StopSession(case.session, code, why, waited_for, told_by))
    for peer in case.study.parties:
        if peer in core.up and peer not in {core.name, told_by}:
            core.effects.append(Send(peer, End(case.session, told, text, waited_for)))


# ---- as another party says -----------------------------------------------------------------------


def end_attempt_as_told(
    core: Core, case: Case, peer: str, code: int, why: str, waited_for: str
) -> None:
    """A party says that the attempt is over at it, by its record or over the link."""
    if case.state in RUNNING:
        text, named = _said(case, peer, why, waited_for)
        code = _shared_code(code)
        if code == GAVE_WAY and case.state not in {"ready", "computing"}:
            code = Aborted.code  # it had computed with us: that counts
        end_attempt(core, case, code, text, named if code != GAVE_WAY else "", peer)


def end_study_as_told(
    core: Core, case: Case, peer: str, code: int, why: str, waited_for: str
) -> None:
    """A party says that the study is over at it. Its word ends it here; not every code counts.

    A withdrawal or a revocation is an entry of its own and was judged when it came. An expiry is
    believed from a clock that is at most SKEW_MS ahead of this one.
    """
    text, named = _said(case, peer, why, waited_for)
    late = core.now_ms >= case.due_ms - SKEW_MS and case.state in {"proposed", "agreed"}
    withdrawn = bool(case.withdrew) and case.state != "opening"
    believed = (code == Expired.code and late) or (code == Withdrawn.code and withdrawn)
    if code in ENDS and not believed:
        code = Aborted.code
    end_study(core, case, _shared_code(code) or Aborted.code, text, named, peer)


def _said(case: Case, peer: str, why: str, waited_for: str) -> tuple[str, str]:
    named = waited_for if waited_for in case.study.parties else peer
    return sentence(f"{peer} ended the run: {why}" if why else f"{peer} ended the run"), named


# ---- what leaves this machine --------------------------------------------------------------------


def _shared_code(code: int) -> int:
    """The code of an end that concerns other members; this machine's own troubles are 401."""
    cls = error_tree().get(code, P2pmpcError)
    shared = code == GAVE_WAY or issubclass(cls, Aborted | Refused | RemoteError)
    return code if shared else Aborted.code


def _shared_text(name: str, code: int, why: str) -> str:
    """What other members and the record are told of an end: no file, row or value of this one."""
    if _shared_code(code) == code:
        return sentence(why)
    return f"{name} could not go on: error {code} on its own machine"


def error_json(code: int, message: str, member: str, would_pass: str) -> dict[str, Any]:
    """The error as the interface spells it."""
    cls = error_tree().get(code, P2pmpcError)
    return cls(message, next=would_pass, member=member or None).to_json()
