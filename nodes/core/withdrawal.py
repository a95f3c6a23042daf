"""Second thoughts: a proposal that is taken back, a consent that is taken back.

Whoever proposed a study may withdraw it until a share of its answer may have left a node; where
several members asked the same, it ends when none of them asks any more, and whoever withdraws while
others ask takes no part itself, if it was a party. A member
that consented may revoke that until its own share may have left: it has no `released` entry then,
writes none later, and without its share nobody opens anything. So a revocation ends the study also
at members that are already opening; a withdrawal comes too late there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodes.core.consent import case_named, check_reason
from nodes.core.effects import RevokeAsked, WithdrawAsked
from nodes.core.ending import end_study
from nodes.core.feeds import Known
from nodes.core.studies import Case
from p2pmpc.errors import LogError, Refused, Revoked, Withdrawn
from p2pmpc.messages import sentence
from p2pmpc.record import Refusal, Revocation, Withdrawal

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = ["apply_revocation", "apply_withdrawal", "on_revoke", "on_withdraw"]


def on_withdraw(core: Core, event: WithdrawAsked) -> None:
    """Take back what was proposed through this member. Raises NotFound, Refused, WrongUsage."""
    case = case_named(core, event.study)
    check_reason(event.why)
    if core.name not in case.proposers - case.withdrew:
        raise Refused(
            f"study {case.id[:16]} was proposed through {case.proposer}, not through {core.name}",
            next="Its proposing member can withdraw it; this one can refuse or revoke.",
        )
    _check_early(case, "withdrawn", bool(case.released))
    why = event.why.strip()
    core.write("withdrawal", Withdrawal(case.id, why))
    if case.final:
        return
    if core.name in case.consents:  # another member asks it too: this one takes no part
        core.write("revocation", Revocation(case.id, why))
    elif core.name in case.study.parties:
        core.write("refusal", Refusal(case.id, Refused.code, sentence(why), ""))


def on_revoke(core: Core, event: RevokeAsked) -> None:
    """Take this member's consent back. Raises NotFound, Refused, WrongUsage."""
    case = case_named(core, event.study)
    check_reason(event.why)
    if core.name not in case.consents:
        raise Refused(f"{core.name} has not consented to study {case.id[:16]}")
    _check_early(case, "revoked", core.name in case.released)
    core.write("revocation", Revocation(case.id, event.why.strip()))


def _check_early(case: Case, what: str, left: bool) -> None:
    if case.final or case.state == "opening" or left:
        late = "a share of its answer may have left" if not case.final else "it has ended"
        raise Refused(f"study {case.id[:16]} cannot be {what} any more: {late} ({case.state})")


def apply_withdrawal(core: Core, author: str, known: Known, note: Withdrawal) -> None:
    """A proposing member takes the study back; what is opening already opens.

    Anybody may propose what it has read in another's proposal. So each takes back its own asking,
    and the study ends when nobody asks it any more.
    """
    case = core.cases[note.study]
    if author not in case.proposers:
        raise LogError(f"{author} takes back a study that it had not proposed", member=author)
    case.withdrew.add(author)
    if case.final or case.state == "opening":
        return
    if asking := sorted(case.proposers - case.withdrew):
        core.emit(case, "withdrawal", author, f"{', '.join(asking)} ask it still: {note.reason}")
        return
    why = sentence(f"{author} took the study back: {note.reason}")
    end_study(core, case, Withdrawn.code, why, author, author)


def apply_revocation(core: Core, author: str, known: Known, note: Revocation) -> None:
    """A member takes its consent back before its share could leave."""
    case = core.cases[note.study]
    if case.final:
        return
    if author not in case.consents or author in case.released:
        raise LogError(f"{author} takes back a consent that it had not given", member=author)
    why = sentence(f"{author} took its consent back: {note.reason}")
    end_study(core, case, Revoked.code, why, author, author)
