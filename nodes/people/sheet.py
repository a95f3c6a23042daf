"""One study as a member's people read it: what is asked, who has decided, who is waited for.

Reasons and moments come from the record, so that a node that starts again says the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodes.core.ending import error_json
from nodes.core.studies import Case
from p2pmpc.catalogue import resolve
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import P2pmpcError, Withheld
from p2pmpc.policy import Policy
from p2pmpc.words import review

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = ["asks_me", "catalogue", "line", "sheet"]

EARLIER_SHOWN = 3  # titles that a reader still compares; the list of studies has all
RUNNING = ("computing", "checked", "releasing", "opening")


def line(core: Core, case: Case, waited: Sequence[str]) -> dict[str, Any]:
    """One row of the list of studies. `waited` names whom a running session waits for."""
    return {
        "study": case.id,
        "title": case.study.title,
        "state": case.state,
        "proposer": case.proposer,
        "waits_for": list(_waits_for(core, case, waited)),
        "asks_me": asks_me(core, case),
        "expires_ms": case.expires_ms or None,
    }


def sheet(
    core: Core, case: Case, waited: Sequence[str], rules: Mapping[str, bytes]
) -> dict[str, Any]:
    """Everything about one study that a steward, a proposer or a recipient needs.

    rules  member -> the policy under which it consented, of those that have
    """
    study = case.study
    return {
        **line(core, case, waited),
        "hash": study.hash.hex(),
        "question": study.question,
        "purpose": study.purpose,
        "parties": list(study.parties),
        "recipients": list(study.recipients),
        "recipient": core.name in study.recipients,
        "decisions": list(_decisions(case)),
        "review": [list(pair) for pair in (*_review(core, case, rules), *_earlier(core, case))],
        "ended": _error(case),
        "toml": study.to_toml(),
    }


def _waits_for(core: Core, case: Case, waited: Sequence[str]) -> tuple[str, ...]:
    """Whose word is missing before the study goes on; empty once it has ended."""
    if case.final:
        return ()
    if case.state == "proposed":
        done = set(case.consents) | set(case.refusals)
        return tuple(name for name in case.study.parties if name not in done)
    if case.state in RUNNING:
        return tuple(name for name in waited if name != core.name)
    late = tuple(name for name in case.study.parties if name not in case.readies)
    away = tuple(name for name in late if name != core.name and name not in core.up)
    return away or late  # the others are ready as soon as those are back


def asks_me(core: Core, case: Case) -> bool:
    """Whether a person of this member has to decide."""
    return case.state == "proposed" and core.name in _waits_for(core, case, ()) and case.asked


def _decisions(case: Case) -> Iterator[dict[str, Any]]:
    for member in case.study.parties:
        word = case.words.get(member)
        decision = "none" if case.final else "not yet"
        if member in case.refusals:
            decision = "refused"
        elif member in case.consents:
            decision = "approved"
        yield {
            "member": member,
            "decision": decision,
            "reason": word.reason if word else case.refusals.get(member, ""),
            "at_ms": word.unix_ms if word else None,
        }


def _review(core: Core, case: Case, rules: Mapping[str, bytes]) -> Sequence[tuple[str, str]]:
    """The review in plain words; before all descriptions are known, what is missing."""
    try:
        policies = {name: Policy.from_bytes(data) for name, data in rules.items()}
        resolved = resolve(
            case.study, case.described or catalogue(core), {core.name: core.policy, **policies}
        )
        return review(case.study, resolved, case.proposer)
    except P2pmpcError as fault:
        return (
            ("asks", f'{case.proposer} proposes "{case.study.title}".'),
            ("cannot run", f"{fault.message} {fault.next}".strip()),
        )


def _earlier(core: Core, case: Case) -> Sequence[tuple[str, str]]:
    """What else was answered on the same data: answers can be subtracted from one another."""
    asked = {(member, one.dataset) for one in case.study.data for member in one.members}
    found = [
        other
        for other in core.cases.values()
        if other.state == "answered"
        and other.id != case.id
        and asked & {(m, one.dataset) for one in other.study.data for m in one.members}
    ]
    if not found:
        return ()
    named = ", ".join(f'"{one.study.title}"' for one in found[-EARLIER_SHOWN:])
    more = f" and {len(found) - EARLIER_SHOWN} more" if len(found) > EARLIER_SHOWN else ""
    said = (
        f"answered before on the same data: {named}{more}. Where two studies ask about groups that "
        "differ by a few people, their answers together can tell about those few"
    )
    return (("beware", said),)


def catalogue(core: Core) -> dict[str, dict[str, Dictionary]]:
    """Every member's descriptions; a member that has given none has an empty shelf."""
    names = core.feeds.roster.names if core.feeds.roster else ()
    return {name: core.dictionaries.get(name, {}) for name in names}


def _error(case: Case) -> dict[str, Any] | None:
    """Why it ended without an answer, as the interface spells errors."""
    if case.state == "withheld":
        return Withheld("nothing of it passed the rules of all members").to_json()
    if not case.final or case.state == "answered" or case.ended is None:
        return None
    ended, who = case.ended, case.ended.waited_for or next(iter(case.refusals), "")
    return error_json(ended.code, ended.why, who, ended.would_pass)
