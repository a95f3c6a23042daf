"""The places at one node: how many studies it runs at once, who is next, and who gives way.

A study holds a place from `ready` to its end. Free places go to the lowest study id that waits and
whose attempt is worth beginning.
Two members may each hold their place for the study that the other waits with: so a study that is
only `ready` gives its place up to one with a lower id that another member is ready for.

Why nothing waits for ever: a member that is ready waits for one that holds its places for other
studies, all of them with lower ids or computing; those wait for still lower ones, and so on. The
chain has no circle, and its last study runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nodes.core.attempts import make_ready
from nodes.core.ending import end_attempt
from nodes.core.studies import RUNNING, Case
from p2pmpc.record import GAVE_WAY

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = ["Places", "settle"]


@dataclass(slots=True)
class Places:
    """Ids of studies by what they need here. `file` is told of every change of state."""

    open: set[str] = field(default_factory=set)  # all that have not ended
    waiting: set[str] = field(default_factory=set)  # agreed, this member's, and not resting
    held: set[str] = field(default_factory=set)  # this member's, from ready to opening

    def file(self, case: Case, me: str) -> None:
        """Put the study where its state says."""
        own = me in case.study.parties
        waits = own and case.state == "agreed" and not case.resting
        for among, belongs in (
            (self.open, not case.final),
            (self.waiting, waits),
            (self.held, own and case.state in RUNNING),
        ):
            (among.add if belongs else among.discard)(case.id)


def settle(core: Core) -> None:
    """Give places until nobody who could have one waits. The last act of every event."""
    if core.learning or core.feeds.roster is None or core.name in core.feeds.forks:
        return
    while (case := _next(core)) is not None:
        make_ready(core, case)


def _worth(core: Core, case: Case) -> bool:
    """Whether an attempt may begin. After one that failed, not while a party's link is down.

    A member whose machine starts again may take minutes: attempts are few, waiting costs nothing.
    """
    absent = set(case.study.parties) - core.up - {core.name}
    return not (case.over and absent) or bool(case.readies)


def _next(core: Core) -> Case | None:
    """The study that gets a place now; makes room for it where another has to give way."""
    places = core.places
    if not places.waiting:
        return None
    if len(places.held) < core.settings.sessions:
        lowest = min(
            filter(lambda study: _worth(core, core.cases[study]), places.waiting), default=""
        )
        return core.cases.get(lowest)
    called = [study for study in places.waiting if core.cases[study].readies]
    held = [study for study in places.held if core.cases[study].state == "ready"]
    if not called or not held or max(held) < min(called):
        return None
    lower, higher = min(called), core.cases[max(held)]
    why = f"{core.name} gave its place to study {lower[:16]}"
    end_attempt(core, higher, GAVE_WAY, why, "", "")
    return core.cases[lower]
