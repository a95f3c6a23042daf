"""What a member's own rules say of a study, before any person is asked. Deny by default.

decide = "refuse"    nothing runs
decide = "approve"   what every rule allows runs; anything else is refused with the rule
decide = "ask"       what the rules forbid is refused; everything else waits for a steward
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
    forbidden = _forbidden(study, rules)
    if rules.decide == REFUSE:
        return Decision(
            REFUSE, "this member's policy refuses every study", "a policy that allows it"
        )
    if forbidden is not None and rules.decide == APPROVE:
        return forbidden
    if rules.decide == APPROVE:
        return Decision(APPROVE, "every rule of this member's policy allows it")
    return Decision(ASK, "this member's policy asks a steward")


def _forbidden(study: Study, rules: Rules) -> Decision | None:
    if rules.purposes is not None and study.purpose not in rules.purposes:
        return _refusal(f"the purpose {study.purpose!r} is not allowed", rules.purposes)
    for kind in sorted({one.kind for one in study.statistics}):
        if rules.kinds is not None and kind not in rules.kinds:
            return _refusal(f"the kind {kind} is not allowed", rules.kinds)
    return None


def _refusal(reason: str, allowed: tuple[str, ...]) -> Decision:
    return Decision(REFUSE, reason, f"one of {', '.join(allowed)}" if allowed else "nothing")
