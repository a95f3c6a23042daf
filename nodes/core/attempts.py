"""One attempt at an agreed study: who is ready, how its session starts, how it is over.

    make_ready      own `ready`            -> all n of them: the session starts
    on_stopped      the session ended early, here or as another party says
    retry           the rest before the next attempt is over

Attempts are numbered alike at all parties: the one that is due is one more than the last that a
party ended on record after it had been ready for it. A `ready` for a later one waits until that is
due; for an earlier one it means nothing any more. Each has its own X25519 keys and masks, and its
session is the hash of its own `ready` entries, so that nothing of one attempt is taken in another.
All are on the same rows: a member whose commitment differs from that of its first `ready` ends the
study.

`apply_...` draw a conclusion from an entry, whoever wrote it; `on_...` and `take_...` from what
happens at this node alone. `studies.STUDY` is the table that they all follow; what a session that
runs puts on record is in `opening`, how an attempt ends early in `ending`, and when it begins in
`slots`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodes.core.consent import check_usable
from nodes.core.effects import Gone, SessionOrder, SessionStopped, SetTimer, StartSession
from nodes.core.ending import end_attempt, end_attempt_as_told, end_study, end_study_as_told
from nodes.core.feeds import Known
from nodes.core.studies import ENDS, RUNNING, Case, EndedNote, read_or_refuse
from p2pmpc.catalogue import Resolved, resolve
from p2pmpc.certificate import program_hash, session_hash
from p2pmpc.codec import digest
from p2pmpc.errors import Aborted, LogError, MemberMissing, MemberSuspected, Mismatch, P2pmpcError
from p2pmpc.messages import End
from p2pmpc.policy import Policy
from p2pmpc.record import ATTEMPTS_MAX, GAVE_WAY, Ended, Ready
from p2pmpc.study import Study

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = [
    "EARLY_MAX",
    "PROGRAM_VERSION",
    "apply_ended",
    "apply_ready",
    "make_ready",
    "on_gone",
    "on_stopped",
    "program",
    "recipients_of",
    "resolved",
    "retry",
    "start_overdue",
    "take_end",
]

PROGRAM_VERSION = b"p2pmpc 0.1.0 joint/2"
EARLY_MAX = 64  # entries of one party about attempts not begun here; honest ones have none


def make_ready(core: Core, case: Case) -> None:
    """A place is free: say with which inputs, rules and fresh key this member is ready."""
    assert core.feeds.roster is not None
    me = core.name
    names = sorted(case.study.datasets_of(me))
    commitments = {name: core.commitments[name] for name in names}
    snapshot = digest("p2pmpc/snapshots/1", *commitments.values())
    try:
        _check_begin(core, case)
        check_usable(core, case.study)
        read_or_refuse(lambda: resolved(core, case))
        if case.snapshots.get(me, snapshot) != snapshot:
            raise Mismatch(f"the data of {me} changed since it was first ready for this study")
    except P2pmpcError as fault:
        end_study(core, case, fault.code, fault.message, str(fault.where.get("member", "")), "")
        return
    case.begin_attempt()
    case.secret, public = core.make_key_pair(core.randomness(32))
    case.attempt, case.ready_ms, case.commitments = case.due, core.now_ms, commitments
    core.move(case, "own ready")
    core.effects.append(SetTimer(f"start:{case.id}", core.settings.ready_wait_s))
    core.write(
        "ready",
        Ready(
            study=case.id,
            attempt=case.attempt,
            epoch=core.feeds.roster.epoch,
            consents=digest("p2pmpc/consents/1", *(h for _, h in sorted(case.consents.items()))),
            snapshot=snapshot,
            key=public,
            program=program(core, case),
        ),
    )


def _check_begin(core: Core, case: Case) -> None:
    """Raises Aborted where no attempt may begin: the answer would open twice, or others used them.

    The first two cannot be reached while the record is read as it was written; they hold whatever
    a liar or a restored store made of it.
    """
    if core.name in case.released:
        raise Aborted(f"a share of {core.name} may have left in an earlier attempt")
    if core.name in case.readies:
        raise Aborted(f"{core.name} had been ready for attempt {case.due} before")
    counted = [note for _, note in sorted(case.over.items()) if note.code != GAVE_WAY]
    if len(counted) >= core.settings.attempts or case.due > ATTEMPTS_MAX:
        last = counted[-1] if counted else None
        why = f"{case.due - 1} attempts have ended"
        why += f", the last one so: {last.why}" if last is not None else ""
        raise Aborted(why, member=last.waited_for if last is not None else None)


def apply_ready(core: Core, author: str, known: Known, note: Ready) -> None:
    """A member is ready; with the last one the session begins."""
    case = core.cases[note.study]
    if author not in case.study.parties:
        return
    if note.attempt > case.due:
        _keep_early(core, case, known)
        return
    _gather(core, case, author, known.hash, note)
    if case.final:
        return
    if case.snapshots.setdefault(author, note.snapshot) != note.snapshot:
        why = f"the data of {author} changed since it was first ready for this study"
        end_study(core, case, Mismatch.code, why, author, "")
        return
    if note.attempt < case.due or author in case.readies:
        return
    case.readies[author] = (known.hash, note)
    if author != core.name and case.resting:
        case.resting = False  # somebody has rested enough: so have all
        core.places.file(case, core.name)
    _start_if_all_ready(core, case)


def _keep_early(core: Core, case: Case, known: Known) -> None:
    """What is about an attempt that has not begun here waits until it has.

    An honest author has read how the attempt before ended. A liar may leave that out; neither two
    members nor one before and after a restart may conclude differently by the order of arrival.
    """
    author = known.entry.author
    if case.final:
        return
    if sum(one.entry.author == author for one in case.early) < EARLY_MAX:
        case.early.append(known)
        return
    why = f"{author} wrote {EARLY_MAX} entries about attempts that had not begun"
    end_study(core, case, MemberSuspected.code, why, author, "")


def _gather(core: Core, case: Case, author: str, entry: bytes, note: Ready) -> None:
    """Know every session by its `ready` entries, those too that nobody runs any more."""
    mine = case.gathered.setdefault(note.attempt, {})
    mine.setdefault(author, entry)
    if len(mine) == len(case.study.parties):
        session = session_hash(list(mine.values()))
        core.sessions[session] = case.id
        del case.gathered[note.attempt]


def _start_if_all_ready(core: Core, case: Case) -> None:
    waits = set(case.readies) != set(case.study.parties)
    if waits or case.state != "ready" or case.attempt != case.due:
        return
    mine = case.readies[core.name][1]
    for member, (_, other) in sorted(case.readies.items()):
        if _agreed(other) != _agreed(mine):
            why = f"{member} is ready for another program or roster"
            end_study(core, case, Mismatch.code, why, _suspect(case, member, other, mine), "")
            return
    case.session = session_hash([entry for entry, _ in case.readies.values()])
    core.move(case, "all ready")
    core.emit(case, "started", "", f"all {len(case.readies)} parties are ready")
    order = SessionOrder(
        session=case.session,
        study=case.id,
        parties=case.study.parties,
        recipients=recipients_of(case.study),
        peer_keys={m: note.key for m, (_, note) in case.readies.items() if m != core.name},
        secret=case.secret,
    )
    case.secret = b""
    core.effects.append(StartSession(order))
    core.take_up(case.session)


def _suspect(case: Case, member: str, other: Ready, mine: Ready) -> str:
    """Whose fault a difference is: empty where a third may have shown two descriptions of its data.

    Consents are first entries of feeds that both have read, and the roster is one.
    """
    certain = (other.epoch, other.consents) != (mine.epoch, mine.consents)
    return member if certain or len(case.study.parties) == 2 else ""


def start_overdue(core: Core, study: str) -> None:
    """The wait for the others' `ready` is over. Ends the attempt by their names.

    Whoever is ready for another study, or computes it, is busy and not missing: it is waited for
    on, as long as an attempt may last.
    """
    case = core.cases[study]
    if case.state != "ready":
        return
    late = sorted(set(case.study.parties) - set(case.readies))
    missing = [member for member in late if not _busy(core, case, member)]
    waited_s = (core.now_ms - case.ready_ms) / 1000
    if not missing and waited_s < core.settings.attempt_deadline_s:
        core.emit(case, "waiting", late[0], f"waiting for {', '.join(late)}, who run other studies")
        core.effects.append(SetTimer(f"start:{case.id}", core.settings.ready_wait_s))
        return
    missing = missing or late
    why = f"{', '.join(missing)} was not ready within {max(1.0, waited_s):.0f} s"
    end_attempt(core, case, MemberMissing.code, why, missing[0], "")


def _busy(core: Core, case: Case, member: str) -> bool:
    others = (core.cases[study] for study in sorted(core.places.open) if study != case.id)
    return any(member in other.readies for other in others)


def retry(core: Core, study: str) -> None:
    """The rest between two attempts is over."""
    case = core.cases[study]
    case.resting = False
    core.places.file(case, core.name)


# ---- ends before an answer -----------------------------------------------------------------------


def on_stopped(core: Core, event: SessionStopped) -> None:
    """This member's session ended early, or somebody was waited for too long."""
    case = core.case_of(event.session)
    if case is not None and not case.final:
        end_attempt(core, case, event.code, event.why, event.waited_for, event.told_by)


def on_gone(core: Core, event: Gone) -> None:
    """A member that a study waits for before its session is out of reach.

    While the study only waits for a place or rests, nobody is needed yet.
    """
    case = core.cases.get(event.study)
    if case is not None and case.state == "ready":
        end_attempt(core, case, MemberMissing.code, event.why, event.member, "")


def take_end(core: Core, peer: str, message: End) -> None:
    """A party says over the link that its run is over, before its record arrives.

    What is an entry of its own (a withdrawal, a revocation, an expiry) counts when that comes.
    """
    case = core.case_of(message.session)
    if case is not None and peer in case.study.parties and message.code not in ENDS:
        end_attempt_as_told(core, case, peer, message.code, message.text, message.waited_for)


def apply_ended(core: Core, author: str, known: Known, note: Ended) -> None:
    """An attempt, or the study, is over at a party."""
    case = core.cases[note.study]
    if author not in case.study.parties or case.final:
        return
    if note.attempt:
        _pass_attempt(core, case, author, known, note)
    elif author != core.name:
        end_study_as_told(core, case, author, note.code, note.why, note.waited_for)


def _pass_attempt(core: Core, case: Case, author: str, known: Known, note: Ended) -> None:
    """With the first end of the attempt that is due, the next one is due for everybody."""
    ours = case.attempt == note.attempt and case.state in RUNNING
    if note.attempt > case.due:
        _keep_early(core, case, known)
        return
    begun = note.attempt < case.due or author in case.readies
    if not begun:
        raise LogError(f"{author} ends attempt {note.attempt}, which had not begun", member=author)
    if note.attempt == case.due:
        who = note.waited_for if note.waited_for in case.study.parties else author
        case.over.setdefault(note.attempt, EndedNote(note.code, note.why, who))
        case.due, case.readies = note.attempt + 1, {}
    if ours and author != core.name:
        end_attempt_as_told(core, case, author, note.code, note.why, note.waited_for)
    early, case.early = case.early, []
    for one in early:
        core.apply(one)


def resolved(core: Core, case: Case) -> Resolved:
    """The study against all descriptions and the strictest of all consented rules."""
    policies = {member: Policy.from_bytes(rules) for member, rules in case.rules.items()}
    return resolve(case.study, case.described, policies)


def program(core: Core, case: Case) -> bytes:
    """One hash over all that decides the computation: study, descriptions, rules, version."""
    described = [
        dictionary.to_bytes()
        for _, sets in sorted(case.described.items())
        for _, dictionary in sorted(sets.items())
    ]
    rules = [rules for _, rules in sorted(case.rules.items())]
    return program_hash(PROGRAM_VERSION, case.study.hash, described, rules)


def recipients_of(study: Study) -> tuple[str, ...]:
    """Who may open the answer, sorted; all parties unless the study says fewer."""
    return tuple(sorted(study.recipients or study.parties))


def _agreed(note: Ready) -> tuple[int, int, bytes, bytes]:
    """What must be the same in all ready entries of one attempt."""
    return note.attempt, note.epoch, note.consents, note.program
