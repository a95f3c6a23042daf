"""One attempt at an agreed study: ready, checked, released, ended; plain functions of the core.

    make_ready      own `ready`            -> all n of them: the session starts
    on_paused       own `checked`, then own `release` over everybody's commitments
    apply_release   all n releases alike   -> `released`: on disk before a share may leave
    on_ended, stop  `answered` or `withheld`; or `ended`, with a code, a sentence and a name

`apply_...` draw a conclusion from an entry, whoever wrote it; `on_...` and `take_...` from what
happens at this node alone. `studies.STUDY` is the table that they all follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodes.core.effects import (
    Gone,
    ResumeSession,
    Send,
    SessionEnded,
    SessionOrder,
    SessionPaused,
    SessionStopped,
    SetTimer,
    StartSession,
    StopSession,
)
from nodes.core.ending import error_json, shared_code, shared_text
from nodes.core.feeds import Known
from nodes.core.studies import Case, EndedNote, move, read_or_refuse
from p2pmpc.catalogue import Resolved, resolve
from p2pmpc.certificate import (
    Certificate,
    certificate_hash,
    program_hash,
    session_hash,
    sign_certificate,
)
from p2pmpc.codec import digest, encode
from p2pmpc.errors import BadData, LogError, P2pmpcError
from p2pmpc.identity import verify_signature
from p2pmpc.messages import End
from p2pmpc.policy import Policy
from p2pmpc.record import Answered, Checked, Ended, Ready, Release, Released, Withheld
from p2pmpc.study import Study

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = [
    "PROGRAM_VERSION",
    "apply_checked",
    "apply_ended",
    "apply_ready",
    "apply_release",
    "check_usable",
    "make_ready",
    "on_ended",
    "on_gone",
    "on_paused",
    "on_stopped",
    "program",
    "recipients_of",
    "resolved",
    "start_overdue",
    "stop",
    "take_end",
]

PROGRAM_VERSION = b"p2pmpc 0.1.0 joint/1"
FIRST_ATTEMPT = 1


def make_ready(core: Core, case: Case) -> None:
    """All have consented: say with which inputs, rules and fresh key this member is ready."""
    if core.learning or core.name not in case.study.parties or core.feeds.roster is None:
        return
    try:
        check_usable(core, case.study)
        read_or_refuse(lambda: resolved(core, case))
    except P2pmpcError as fault:
        stop(core, case, fault.code, fault.message, "", "")
        return
    case.secret, public = core.make_key_pair(core.randomness(32))
    consents = digest("p2pmpc/consents/1", *(h for _, h in sorted(case.consents.items())))
    names = sorted(case.study.datasets_of(core.name))
    case.commitments = {name: core.commitments[name] for name in names}
    move(case, "own ready")
    core.effects.append(SetTimer(f"start:{case.id}", core.settings.ready_wait_s))
    core.write(
        "ready",
        Ready(
            study=case.id,
            attempt=FIRST_ATTEMPT,
            epoch=core.feeds.roster.epoch,
            consents=consents,
            snapshot=digest("p2pmpc/snapshots/1", *case.commitments.values()),
            key=public,
            program=program(core, case),
        ),
    )


def apply_ready(core: Core, author: str, known: Known, note: Ready) -> None:
    """A member is ready; with the last one the session begins."""
    case = core.cases[note.study]
    if author not in case.study.parties or author in case.readies:
        return
    case.readies[author] = (known.hash, note)
    _start_if_all_ready(core, case)


def _start_if_all_ready(core: Core, case: Case) -> None:
    if case.state != "ready" or set(case.readies) != set(case.study.parties):
        return
    mine = case.readies[core.name][1]
    for member, (_, other) in sorted(case.readies.items()):
        if _agreed(other) != _agreed(mine):
            stop(core, case, 303, f"{member} is ready for another program or roster", member, "")
            return
    case.session = session_hash([entry for entry, _ in case.readies.values()])
    move(case, "all ready")
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


def start_overdue(core: Core, study: str) -> None:
    """The wait for the others' `ready` is over. Ends the attempt by their names."""
    case = core.cases[study]
    if case.state == "ready":
        late = sorted(set(case.study.parties) - set(case.readies))
        waited = f"{core.settings.ready_wait_s:g} s"
        stop(core, case, 402, f"{', '.join(late)} was not ready within {waited}", late[0], "")


def on_paused(core: Core, event: SessionPaused) -> None:
    """The session waits for a fact to be on record: what was checked, or the release."""
    case = core.case_of(event.session)
    if case is None or case.final:
        return
    if event.kind == "checked":
        move(case, "transcript recorded")
        transcript = event.facts["transcript"]
        core.write("checked", Checked(session=case.session, transcript=transcript))
        core.emit(case, "checked", "", "thresholds were compared on shares")
        core.effects.append(ResumeSession(case.session))
    else:
        _release(core, case, event.facts)


def apply_checked(core: Core, author: str, known: Known, note: Checked) -> None:
    """A member has compared its broadcasts with everybody's; its first word counts."""
    case = core.case_of(note.session)
    if case is not None and author in case.study.parties:
        case.checked.setdefault(author, note.transcript)


def _release(core: Core, case: Case, facts: Mapping[str, Any]) -> None:
    """Sign the certificate over everyone's commitments; not yet a share leaves."""
    assert core.feeds.roster is not None
    certificate = Certificate(
        network=core.feeds.roster.network,
        session=case.session,
        study=case.study.hash,
        epoch=core.feeds.roster.epoch,
        parties=case.study.parties,
        recipients=recipients_of(case.study),
        readies=tuple(case.readies[party][0] for party in case.study.parties),
        transcript=facts["transcript"],
        layout=tuple((unit, cells) for unit, cells in facts["layout"]),
        verdicts=tuple(bool(v) for v in facts["verdicts"]),
        commitments=tuple(facts["commitments"][party] for party in case.study.parties),
        program=case.readies[core.name][1].program,
    )
    case.certificate = certificate
    move(case, "own release")
    core.write(
        "release",
        Release(
            session=case.session,
            certificate_hash=certificate_hash(certificate),
            signature=sign_certificate(core.signer, certificate),
        ),
    )


def apply_release(core: Core, author: str, known: Known, note: Release) -> None:
    """A member has signed a certificate; with the last one shares may leave."""
    case = core.case_of(note.session)
    if case is None or author not in case.study.parties or author in case.releases:
        return
    case.releases[author] = (note.certificate_hash, note.signature)
    if author not in case.checked and not case.final:
        stop(core, case, 404, f"{author} released before it had checked", author, "")
        return
    _certify_if_complete(core, case)


def _certify_if_complete(core: Core, case: Case) -> None:
    waits = set(case.releases) != set(case.study.parties)
    if core.learning or waits or case.state != "releasing" or case.certificate is None:
        return
    fault = _release_fault(core, case, case.certificate)
    if fault is not None:
        stop(core, case, *fault, "")
        return
    signatures = tuple(case.releases[party][1] for party in case.study.parties)
    certificate = encode(case.certificate)
    move(case, "certificate complete")
    core.write(
        "released",
        Released(session=case.session, certificate=certificate, signatures=signatures),
    )
    core.emit(case, "released", "", f"certificate signed by all {len(signatures)} parties")
    core.effects.append(ResumeSession(case.session, certificate, signatures))


def _release_fault(core: Core, case: Case, certificate: Certificate) -> tuple[int, str, str] | None:
    """What is wrong with the parties' releases: an error code, a sentence, who."""
    wanted = certificate_hash(certificate)
    for member, (found, signature) in sorted(case.releases.items()):
        if found == wanted and not _signed_by(core, member, certificate, signature):
            return 404, f"{member} did not sign the certificate that it released", member
        if case.checked[member] != certificate.transcript:
            return 404, f"{member} had checked another transcript", member
    others = [member for member, (found, _) in sorted(case.releases.items()) if found != wanted]
    if not others:
        return None
    # one of them lied, or whoever told them other things than this node; only two are certain
    who = others[0] if len(case.study.parties) == 2 else ""
    return 401, f"{', '.join(others)} signed another certificate than this node", who


def _signed_by(core: Core, member: str, certificate: Certificate, signature: bytes) -> bool:
    assert core.feeds.roster is not None
    key = core.feeds.roster.member(member).log_key
    try:
        verify_signature(
            key, certificate.network, "certificate", certificate_hash(certificate), signature
        )
    except LogError:
        return False
    return True


def on_ended(core: Core, event: SessionEnded) -> None:
    """This member's session is through: it read the answer, or nothing passed."""
    case = core.case_of(event.session)
    if case is None or case.final:
        return
    move(case, "answer read" if event.released else "nothing passed")
    if event.released and event.answer_hash:  # a party that is no recipient read nothing
        core.write("answered", Answered(session=case.session, answer_hash=event.answer_hash))
    elif not event.released:
        core.write("withheld", Withheld(session=case.session, reason="no unit passed"))
    core.emit(case, case.state, "", "the answer is opened" if event.released else "nothing passed")


def on_stopped(core: Core, event: SessionStopped) -> None:
    """This member's session ended early, or somebody was waited for too long."""
    case = core.case_of(event.session)
    if case is not None and not case.final:
        stop(core, case, event.code, event.why, event.waited_for, event.told_by)


def on_gone(core: Core, event: Gone) -> None:
    """A member that a study waits for before its session is out of reach."""
    case = core.cases.get(event.study)
    if case is not None and not case.final and not case.session:
        stop(core, case, 402, event.why, event.member, "")


def take_end(core: Core, peer: str, message: End) -> None:
    """A party says over the link that its run is over, before its record arrives."""
    case = core.case_of(message.session)
    if case is not None and peer in case.study.parties and not case.final:
        _stop_as_told(core, case, peer, message.code, message.text, message.waited_for)


def apply_ended(core: Core, author: str, known: Known, note: Ended) -> None:
    """The same, from the party's own record."""
    case = core.cases[note.study]
    if author != core.name and author in case.study.parties and not case.final:
        _stop_as_told(core, case, author, note.code, note.why, note.waited_for)


def _stop_as_told(core: Core, case: Case, peer: str, code: int, why: str, waited_for: str) -> None:
    """A party says that its attempt is over. Its word is recorded as its word."""
    named = waited_for if waited_for in case.study.parties else peer
    text = f"{peer} ended the run: {why}" if why else f"{peer} ended the run"
    stop(core, case, shared_code(code), text, named, peer)


def stop(core: Core, case: Case, code: int, why: str, waited_for: str, told_by: str) -> None:
    """End the attempt, say so to the others, and put it on record.

    The details of this machine's own troubles stay on it.
    """
    if core.learning:
        return
    move(case, "ended")
    case.ended, case.secret = EndedNote(code, why, waited_for), b""
    told, text = shared_code(code), shared_text(core.name, code, why)
    if case.session:
        core.effects.append(StopSession(case.session, code, why, waited_for, told_by))
        for peer in case.study.parties:
            if peer in core.up and peer not in {core.name, told_by}:
                core.effects.append(Send(peer, End(case.session, told, text, waited_for)))
    core.emit(case, "ended", waited_for, why, error_json(code, why, waited_for, ""))
    if core.name in case.study.parties:
        core.write("ended", Ended(case.id, told, text, waited_for))


def check_usable(core: Core, study: Study) -> None:
    """Raises BadData for a data set whose rows are no longer those that were announced."""
    for name in sorted(study.datasets_of(core.name)):
        if name in core.unusable:
            raise BadData(
                f"{core.name} cannot use its data set {name!r} now: {core.unusable[name]}",
                member=core.name,
                next=f"{core.name} announces it anew with `p2pmpc data add`; then propose again.",
            )


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
