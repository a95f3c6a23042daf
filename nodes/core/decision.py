"""What a member's own rules say of a study, before any person is asked. Deny by default.

decide = "refuse"    nothing runs
decide = "approve"   what every rule allows runs; anything else is refused with the rule
decide = "ask"       what both lists name, purpose and kinds, runs without asking; everything else
                     waits for a steward
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pmpc.policy import Rules
from p2pmpc.study import Study

__all__ = ["APPROVE", "ASK", "REFUSE", "Decision", "decide"]

APPROVE, REFUSE, ASK = "approve", "refuse", "ask"


@dataclass(frozen=True, slots=True)
class Decision:
    """approve, refuse or ask, with the reason that goes into the record."""

    verdict: str
    reason: str
    would_pass: str = ""


def decide(study: Study, rules: Rules) -> Decision:
    """One member's verdict by its own rules for the study's data sets."""
    if rules.decide == REFUSE:
        reason = "this member's policy refuses every study"
        return Decision(REFUSE, reason, "a policy that allows it")
    unlisted = _unlisted(study, rules)
    if rules.decide == APPROVE:
        return unlisted or Decision(APPROVE, "every rule of this member's policy allows it")
    if unlisted is None and rules.purposes is not None and rules.kinds is not None:
        return Decision(APPROVE, "this member's policy lists its purpose and kinds")
    return Decision(ASK, "this member's policy asks a steward")


def _unlisted(study: Study, rules: Rules) -> Decision | None:
    """The refusal of what a list that there is does not name."""
    if rules.purposes is not None and study.purpose not in rules.purposes:
        stated = f"the purpose {study.purpose!r} is not allowed" if study.purpose else NO_PURPOSE
        return _refusal(stated, "a purpose", rules.purposes)
    for kind in sorted({one.kind for one in study.statistics}):
        if rules.kinds is not None and kind not in rules.kinds:
            return _refusal(f"the kind {kind} is not allowed", "a kind", rules.kinds)
    return None


NO_PURPOSE = "the study states no purpose, and this member's policy allows listed ones only"


def _refusal(reason: str, what: str, allowed: tuple[str, ...]) -> Decision:
    would_pass = f"{what} among: {', '.join(allowed)}" if allowed else "nothing: the list is empty"
    return Decision(REFUSE, reason, would_pass)
