"""From the first fact of a running session to the opened answer: checked, released, answered.

    on_paused       own `checked`, then own `release` over everybody's commitments
    apply_release   all n releases alike   -> `released`: on disk before a share may leave
    apply_released  a member's share may have left
    on_ended        `answered` or `withheld`

The record comes before the reveal: no share leaves a node before the certificate with all
signatures is on its own disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodes.core.attempts import recipients_of
from nodes.core.effects import ResumeSession, SessionEnded, SessionPaused
from nodes.core.ending import end_attempt, end_study
from nodes.core.feeds import Known
from nodes.core.studies import Case
from p2pmpc.certificate import (
    Certificate,
    certificate_hash,
    check_signatures,
    read_certificate,
    sign_certificate,
)
from p2pmpc.codec import digest, encode
from p2pmpc.errors import Aborted, LogError, MemberSuspected
from p2pmpc.identity import verify_signature
from p2pmpc.record import Answered, Checked, Release, Released, Withheld

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = [
    "apply_answered",
    "apply_checked",
    "apply_release",
    "apply_released",
    "apply_withheld",
    "on_ended",
    "on_paused",
]


def on_paused(core: Core, event: SessionPaused) -> None:
    """The session waits for a fact to be on record: what was checked, or the release."""
    case = core.case_of(event.session)
    if case is None or case.final:
        return
    if event.kind == "checked":
        core.move(case, "transcript recorded")
        transcript = event.facts["transcript"]
        core.write("checked", Checked(session=case.session, transcript=transcript))
        core.emit(case, "checked", "", "thresholds were compared on shares")
        core.effects.append(ResumeSession(case.session))
    else:
        _release(core, case, event.facts)


def apply_checked(core: Core, author: str, known: Known, note: Checked) -> None:
    """A member has compared its broadcasts with everybody's; its first word counts."""
    case = core.case_of(note.session)
    if case is not None and not case.final and author in case.study.parties:
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
    core.move(case, "own release")
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
    if case is None or case.final or author not in case.study.parties:
        return
    if author in case.releases:
        return
    case.releases[author] = (note.certificate_hash, note.signature)
    if author not in case.checked and not case.final:
        end_study(
            core, case, MemberSuspected.code, f"{author} released before it had checked", author, ""
        )
        return
    _certify_if_complete(core, case)


def _certify_if_complete(core: Core, case: Case) -> None:
    waits = set(case.releases) != set(case.study.parties)
    if core.learning or waits or case.state != "releasing" or case.certificate is None:
        return
    fault = _release_fault(core, case, case.certificate)
    if fault is not None:
        end_attempt(core, case, *fault, "")
        return
    signatures = tuple(case.releases[party][1] for party in case.study.parties)
    certificate = encode(case.certificate)
    core.move(case, "certificate complete")
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
            return (
                MemberSuspected.code,
                f"{member} did not sign the certificate that it released",
                member,
            )
        if case.checked[member] != certificate.transcript:
            return MemberSuspected.code, f"{member} had checked another transcript", member
    others = [member for member, (found, _) in sorted(case.releases.items()) if found != wanted]
    if not others:
        return None
    # one of them lied, or whoever told them other things than this node; only two are certain
    who = others[0] if len(case.study.parties) == 2 else ""
    return Aborted.code, f"{', '.join(others)} signed another certificate than this node", who


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


def apply_released(core: Core, author: str, known: Known, note: Released) -> None:
    """A member holds the certificate: its share may have left, and it can take nothing back.

    The certificate says itself of which study it is, and all parties have signed it: whatever a
    liar did to hide the session, an own share that may have left is never forgotten.
    """
    certificate = read_certificate(note.certificate)
    case = core.cases[certificate.study.hex()]
    if case.final:
        return
    if (note.session, case.study.parties) != (certificate.session, certificate.parties):
        raise LogError(f"{author} holds a certificate of another session", member=author)
    proof = digest("p2pmpc/certified/1", note.certificate, *note.signatures)
    if author != core.name and proof != case.certified:  # the own one was checked when written
        assert core.feeds.roster is not None
        check_signatures(certificate, note.signatures, core.feeds.roster)
    if author not in certificate.parties:
        raise LogError(f"{author} releases what it has no part in", member=author)
    case.certified = proof
    case.released.add(author)


def on_ended(core: Core, event: SessionEnded) -> None:
    """This member's session is through: it read the answer, or nothing passed."""
    case = core.case_of(event.session)
    if case is None or case.final:
        return
    core.move(case, "answer read" if event.released else "nothing passed")
    if event.released and event.answer_hash:  # a party that is no recipient read nothing
        core.write("answered", Answered(session=case.session, answer_hash=event.answer_hash))
    elif not event.released:
        core.write("withheld", Withheld(session=case.session, reason="no unit passed"))
    core.emit(case, case.state, "", "the answer is opened" if event.released else "nothing passed")


def apply_answered(core: Core, author: str, known: Known, note: Answered) -> None:
    """A party has read the answer: so a node that is no party knows how the study ended."""
    _observe(core, author, note.session, "seen answered")


def apply_withheld(core: Core, author: str, known: Known, note: Withheld) -> None:
    """The same where nothing passed."""
    _observe(core, author, note.session, "seen withheld")


def _observe(core: Core, author: str, session: bytes, event: str) -> None:
    case = core.session_case(session)
    if case is None or core.name in case.study.parties:
        return
    if case.state == "agreed" and author in case.released:
        core.move(case, event)
        core.emit(case, case.state, author, f"{author} says how it ended")
