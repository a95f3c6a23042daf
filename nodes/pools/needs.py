"""What a study will draw of correlations, before it runs: the counting pass over its plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nodes.core.node import Core
from nodes.core.studies import Case
from nodes.session.inputs import draw_plan
from p2pmpc.catalogue import Resolved, resolve
from p2pmpc.codec import digest
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import P2pmpcError
from p2pmpc.policy import Policy
from protocols.batches import TICKET_BYTES, WIRE
from protocols.joint import joint_needs
from protocols.needs import Kind

__all__ = ["Asked", "asked_of", "size_of", "study_needs"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A study against all descriptions and the rules that are known: public, without its rows."""

    resolved: Resolved
    catalogue: Mapping[str, Mapping[str, Dictionary]]

    @property
    def key(self) -> bytes:
        """The same where the needs are."""
        described = [
            one.to_bytes()
            for _, sets in sorted(self.catalogue.items())
            for _, one in sorted(sets.items())
        ]
        rules = repr(self.resolved.rules).encode()
        return digest("p2pmpc/asked/1", self.resolved.study.to_bytes(), rules, *described)


def asked_of(core: Core, case: Case) -> Asked | None:
    """What is known of a study that waits; None while a description is missing."""
    names = core.feeds.roster.names if core.feeds.roster else ()
    described = case.described or {name: core.dictionaries.get(name, {}) for name in names}
    try:
        rules = {name: Policy.from_bytes(data) for name, data in case.rules.items()}
        resolved = resolve(case.study, described, {core.name: core.policy, **rules})
        return Asked(resolved, described)
    except P2pmpcError:
        return None


def size_of(kinds: Iterable[tuple[str, int]], parties: int) -> int:
    """Bytes that one party holds of these. Raises ValueError for what is no kind."""
    return sum(
        TICKET_BYTES * units * (parties - 1)
        if kind == WIRE
        else 8 * units * Kind.parse(kind).unit_words
        for kind, units in kinds
    )


def study_needs(asked: Asked) -> dict[str, int]:
    """Kind -> units: one wire to each peer, and what the checks of the study draw."""
    drawn = draw_plan(bytes(32), asked.resolved, asked.catalogue)
    needs = joint_needs(drawn.joint, len(asked.resolved.study.parties))
    return {**needs.counts, WIRE: 1}
