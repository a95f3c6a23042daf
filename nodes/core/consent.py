"""Whether this member takes part in a study: its own verdict, and everybody's consents on record.

A verdict is given once, as soon as every description that the study needs is known here: by the
member's own rules, or where they ask, by a steward, who decides on exactly the study with one hash.
No steward may approve what the rules forbid. The study is agreed when all its parties have
consented to the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodes.core.decision import APPROVE, REFUSE, Decision, decide
from nodes.core.effects import Decided
from nodes.core.ending import end_study, error_json
from nodes.core.feeds import Known
from nodes.core.studies import Case, EndedNote, Word, read_or_refuse
from p2pmpc.catalogue import resolve
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import (
    BadData,
    MemberSuspected,
    NotFound,
    P2pmpcError,
    Refused,
    WrongUsage,
)
from p2pmpc.messages import sentence
from p2pmpc.policy import Policy
from p2pmpc.record import TEXT_CHARS_MAX, Consent, Refusal
from p2pmpc.study import Study

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = [
    "apply_consent",
    "apply_refusal",
    "case_named",
    "check_reason",
    "check_usable",
    "consider",
    "on_decided",
]


def consider(core: Core, case: Case) -> None:
    """Decide as soon as every description that the study needs is known, and before it expires."""
    if core.learning or not _undecided(core, case) or core.now_ms >= case.due_ms:
        return
    if not _described(core, case.study):
        return
    try:
        verdict = _verdict(core, case)
    except P2pmpcError as fault:
        _refuse(core, case, fault.code, fault.message, fault.next)
        return
    if verdict.verdict == APPROVE:
        _agree(core, case, verdict.reason)
    elif verdict.verdict == REFUSE:
        _refuse(core, case, Refused.code, verdict.reason, verdict.would_pass)
    elif not case.asked:
        case.asked = True
        core.emit(case, "asked", core.name, verdict.reason)


def _undecided(core: Core, case: Case) -> bool:
    me = core.name
    mine = me in case.study.parties and me not in case.consents and me not in case.refusals
    return mine and case.state == "proposed"


def _verdict(core: Core, case: Case) -> Decision:
    """By this member's own rules. Raises P2pmpcError for what cannot run under them at all."""
    check_usable(core, case.study)
    catalogue, policies = _catalogue(core, case.study), {core.name: core.policy}
    read_or_refuse(lambda: resolve(case.study, catalogue, policies))
    return decide(case.study, core.policy.rules_for_all(case.study.datasets_of(core.name)))


def check_usable(core: Core, study: Study) -> None:
    """Raises BadData for a data set whose rows are no longer those that were announced."""
    for name in sorted(study.datasets_of(core.name)):
        if name in core.unusable:
            raise BadData(
                f"{core.name} cannot use its data set {name!r} now: {core.unusable[name]}",
                member=core.name,
                next=f"{core.name} announces it anew with `p2pmpc data add`; then propose again.",
            )


# ---- a steward's word ----------------------------------------------------------------------------


def on_decided(core: Core, event: Decided) -> None:
    """A steward's decision goes on record with its reason. Raises P2pmpcError for one that cannot.

    NotFound for an unknown study; WrongUsage for a decision on another hash or without a reason;
    Refused when there is nothing to decide here any more, or the member's own rules forbid it.
    """
    case = case_named(core, event.study)
    if event.study_hash != case.study.hash:
        raise WrongUsage(
            f"a steward's decision on another hash: study {case.id[:16]} is not the one decided on",
            field="hash",
            next="Read the study as it is known here, and decide on that.",
        )
    check_reason(event.why)
    _check_decidable(core, case)
    if not event.approve:
        _refuse(core, case, Refused.code, event.why.strip(), "")
        return
    if not _described(core, case.study):
        raise Refused(
            f"study {case.id[:16]} names data that not all its members have described yet",
            next="Decide when `p2pmpc study show` no longer says so.",
        )
    verdict = _verdict(core, case)
    if verdict.verdict == REFUSE:
        raise Refused(verdict.reason, member=core.name, next=verdict.would_pass)
    _agree(core, case, event.why.strip())


def _check_decidable(core: Core, case: Case) -> None:
    me, study = core.name, case.id[:16]
    if me not in case.study.parties:
        raise Refused(
            f"{me} takes no part in study {study}",
            next=f"Its members decide: {', '.join(case.study.parties)}.",
        )
    late = core.now_ms >= case.due_ms
    if _undecided(core, case) and not late:
        return
    given = me in case.consents and not case.final
    why = f"{me} has approved it" if given else f"it is {'past its time' if late else case.state}"
    raise Refused(
        f"study {study} is not to be decided any more: {why}",
        next=f"`p2pmpc study revoke {study}` takes a consent back until it opens." if given else "",
    )


def case_named(core: Core, study: str) -> Case:
    """The study that a person means. Raises NotFound."""
    if study not in core.cases:
        raise NotFound(f"study {study[:16]} is not known here")
    return core.cases[study]


def check_reason(why: str) -> None:
    """Raises WrongUsage: what goes on record for good has a reason, which people read."""
    if not why.strip():
        raise WrongUsage("the decision has no reason", field="why", next="Say why in a sentence.")
    if len(why) > TEXT_CHARS_MAX:
        raise WrongUsage(f"the reason is longer than {TEXT_CHARS_MAX} characters", field="why")


# ---- what the record says ------------------------------------------------------------------------


def apply_consent(core: Core, author: str, known: Known, note: Consent) -> None:
    """A member consents, under rules that it names; with the last one the study is agreed."""
    case = core.cases[note.study]
    if case.final or author not in case.study.parties or author in case.consents:
        return
    try:
        read_or_refuse(lambda: Policy.from_bytes(note.rules))
    except P2pmpcError:
        why = f"{author} consented under rules that are none"
        end_study(core, case, MemberSuspected.code, why, author, "")
        return
    case.consents[author], case.rules[author] = known.hash, note.rules
    case.words[author] = Word(note.reason, known.entry.unix_ms)
    if author == core.name:
        case.described = _catalogue(core, case.study)  # what was consented to, whatever comes
    core.emit(case, "consented", author, note.reason)
    if case.state == "proposed" and set(case.consents) == set(case.study.parties):
        core.move(case, "consents held")
        if len(core.places.held) >= core.settings.sessions and core.name in case.study.parties:
            core.emit(case, "queued", core.name, "all have consented; other studies run before it")


def apply_refusal(core: Core, author: str, known: Known, note: Refusal) -> None:
    """One member's no ends the study for all, with what would pass; after a consent it is none."""
    case = core.cases[note.study]
    if author not in case.study.parties or author in case.consents:
        return
    case.refusals[author] = note.reason
    case.words[author] = Word(note.reason, known.entry.unix_ms)
    if case.state == "proposed":
        core.move(case, "refused")
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
