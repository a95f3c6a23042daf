"""The studies of a run: who asks whom, what each member's steward will say, who changes their mind.

Some members' policies refuse every study, some ask a steward. A steward approves or refuses after
some time, or never looks; a study that somebody never decides expires. Some researchers withdraw,
some members revoke. Every third study comes at nearly the same time as the one before, at the same
members, who have one slot for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from p2pmpc.policy import REHEARSAL, Policy
from p2pmpc.study import Study, parse_study
from simulations.chance import Chance

__all__ = ["Errand", "Steward", "draw_errand", "draw_policy"]

ASKED = (0.03, 0.45)  # of the run: when studies are proposed
CLOSE_US = (0, 2_000_000)  # between two studies that contend for a slot
PARTIES = (2, 5)
COMPUTES_S = (0.5, 30)
PASSES = 0.8
REFUSES, ASKS = 0.03, 0.3  # of all members: whose policy refuses every study, or asks
SILENT, REJECTS = 0.07, 0.07  # of all stewards: never look, or refuse
DECIDES_S = (5, 120)
WITHDRAWN, REVOKED = 0.08, 0.08  # of all studies
CHANGES_S = (10, 90)  # from the proposal
EXPIRES_S = (120, 200)

STUDY = """
[study]
title = "Simulated study {number}"
purpose = "DUO:0000007"
question = "How many persons are there?"
recipients = [{recipients}]
[data.patients]
dataset = "lung"
members = [{members}]
[[statistic]]
name = "n"
kind = "count"
"""


@dataclass(frozen=True, slots=True)
class Steward:
    """What a person will say if asked: "approve", "refuse", or "" who never looks."""

    says: str
    after_us: int


@dataclass(frozen=True, slots=True)
class Errand:
    """A study, where and when it is handed in, and all that people will do about it.

    passes         what its thresholds will say
    stewards       party -> its steward; whether one is asked is up to the party's policy
    withdrawn_us   after the proposal, by its researcher; 0 for never
    revoked        a party and when, after the proposal, it takes its consent back; "" for never
    """

    number: int
    study: Study
    node: int
    network: int
    at_us: int
    compute_us: int
    passes: bool
    expires_s: int
    stewards: Mapping[str, Steward]
    withdrawn_us: int
    revoked: tuple[str, int]


def draw_errand(
    number: int,
    network: int,
    asker: int,
    near: Sequence[int],
    names: Mapping[int, str],
    end_us: int,
    chance: Chance,
    pair: Chance,
) -> Errand:
    """A study among some of the nodes `near`, handed in at the node `asker`.

    `pair` draws what two contending studies share: their parties and about when they come.
    """
    parties = sorted(names[node] for node in pair.some(near, _count(pair)))
    at_us = int(pair.between(*ASKED) * end_us) + int(chance.between(*CLOSE_US))
    recipients = parties if chance.happens(0.5) else [chance.pick(parties)]
    text = STUDY.format(number=number, recipients=_quoted(recipients), members=_quoted(parties))
    return Errand(
        number=number,
        study=parse_study(text, "a simulated study"),
        node=asker,
        network=network,
        at_us=at_us,
        compute_us=int(chance.between(*COMPUTES_S) * 1e6),
        passes=chance.happens(PASSES),
        expires_s=int(chance.between(*EXPIRES_S)),
        stewards={party: _steward(chance) for party in parties},
        withdrawn_us=_change(WITHDRAWN, chance),
        revoked=(chance.pick(parties), _change(REVOKED, chance)),
    )


def _count(chance: Chance) -> int:
    return PARTIES[0] + chance.below(PARTIES[1] - PARTIES[0] + 1)


def _steward(chance: Chance) -> Steward:
    drawn, after_us = chance.number(), int(chance.between(*DECIDES_S) * 1e6)
    if drawn < SILENT:
        return Steward("", 0)
    return Steward("refuse" if drawn < SILENT + REJECTS else "approve", after_us)


def _change(share: float, chance: Chance) -> int:
    after_us = int(chance.between(*CHANGES_S) * 1e6)
    return after_us if chance.happens(share) else 0


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def draw_policy(chance: Chance) -> Policy:
    """A rehearsal's policy; or one that refuses every study, or asks a steward about each."""
    import msgspec

    drawn = chance.number()
    if drawn >= REFUSES + ASKS:
        return REHEARSAL
    decide = "refuse" if drawn < REFUSES else "ask"
    return Policy(msgspec.structs.replace(REHEARSAL.default, decide=decide), ())
