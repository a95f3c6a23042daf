"""Whether this member takes part in a study: its own verdict, and everybody's consents on record.

A verdict is given once, as soon as every description that the study needs is known here. The study
is agreed when all its parties have consented to the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodes.core import attempts
from nodes.core.decision import APPROVE, REFUSE, decide
from nodes.core.ending import error_json
from nodes.core.feeds import Known
from nodes.core.studies import Case, EndedNote, Word, move, read_or_refuse
from p2pmpc.catalogue import resolve
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import P2pmpcError, Refused
from p2pmpc.messages import sentence
from p2pmpc.policy import Policy
from p2pmpc.record import Consent, Refusal
from p2pmpc.study import Study

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = ["apply_consent", "apply_refusal", "consider"]


def consider(core: Core, case: Case) -> None:
    """Decide as soon as every description that the study needs is known."""
    me = core.name
    if case.state != "proposed" or me not in case.study.parties or me in case.consents:
        return
    if core.learning or me in case.refusals or not _described(core, case.study):
        return
    try:
        attempts.check_usable(core, case.study)
        catalogue, policies = _catalogue(core, case.study), {me: core.policy}
        read_or_refuse(lambda: resolve(case.study, catalogue, policies))
    except P2pmpcError as fault:
        _refuse(core, case, fault.code, fault.message, fault.next)
        return
    verdict = decide(case.study, core.policy.rules_for_all(case.study.datasets_of(me)))
    if verdict.verdict == APPROVE:
        _agree(core, case, verdict.reason)
    elif verdict.verdict == REFUSE:
        _refuse(core, case, Refused.code, verdict.reason, verdict.would_pass)
    elif not case.asked:
        case.asked = True
        core.emit(case, "asked", me, verdict.reason)


def apply_consent(core: Core, author: str, known: Known, note: Consent) -> None:
    """A member consents, under rules that it names; with the last one this member is ready."""
    case = core.cases[note.study]
    if case.final or author not in case.study.parties or author in case.consents:
        return
    try:
        read_or_refuse(lambda: Policy.from_bytes(note.rules))
    except P2pmpcError:
        attempts.stop(core, case, 404, f"{author} consented under rules that are none", author, "")
        return
    case.consents[author], case.rules[author] = known.hash, note.rules
    case.words[author] = Word(note.reason, known.entry.unix_ms)
    if author == core.name:
        case.described = _catalogue(core, case.study)  # what was consented to, whatever comes
    core.emit(case, "consented", author, note.reason)
    if case.state == "proposed" and set(case.consents) == set(case.study.parties):
        move(case, "consents held")
        attempts.make_ready(core, case)


def apply_refusal(core: Core, author: str, known: Known, note: Refusal) -> None:
    """One member's no ends the study for all, with what would pass."""
    case = core.cases[note.study]
    if author not in case.study.parties:
        return
    case.refusals[author] = note.reason
    case.words[author] = Word(note.reason, known.entry.unix_ms)
    if case.state in {"proposed", "agreed"}:
        move(case, "refused")
        case.ended = EndedNote(note.code, note.reason, "", note.would_pass)
        error = error_json(note.code, note.reason, author, note.would_pass)
        core.emit(case, "refused", author, note.reason, error)


def _described(core: Core, study: Study) -> bool:
    return all(
        alias.dataset in core.dictionaries.get(member, {})
        for alias in study.data
        for member in alias.members
    )


def _catalogue(core: Core, study: Study) -> dict[str, dict[str, Dictionary]]:
    return {
        member: {
            alias.dataset: core.dictionaries[member][alias.dataset]
            for alias in study.data
            if member in alias.members
        }
        for member in study.parties
    }


def _agree(core: Core, case: Case, reason: str) -> None:
    rules = core.policy.restricted_to(case.study.datasets_of(core.name))
    core.write("consent", Consent(study=case.id, reason=reason, rules=rules.to_bytes()))


def _refuse(core: Core, case: Case, code: int, reason: str, would_pass: str) -> None:
    core.write("refusal", Refusal(case.id, code, sentence(reason), sentence(would_pass)))
