"""What people and their programs may ask of a running node, as plain methods.

The control interface (`api`) turns requests into these; tests call them directly. Everything here
is for this member's own people: nothing of it is sent to anybody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodes.core.effects import DatasetAdded, Founded, PolicySet, Proposed
from nodes.engine.engine import SALT_BYTES
from nodes.people.bundle import export_bundle
from nodes.store.datasets import Held, remember_dataset
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import NotFound
from p2pmpc.identity import check_card
from p2pmpc.policy import parse_policy
from p2pmpc.study import Study

if TYPE_CHECKING:
    from nodes.core.studies import Case
    from nodes.shell import Node

__all__ = ["Desk"]


@dataclass(frozen=True, slots=True, repr=False)
class Desk:
    """One node's desk."""

    node: Node

    # ---- the node ----

    def status(self) -> dict[str, Any]:
        """This member, its links, data sets and studies."""
        core = self.node.core
        roster = core.feeds.roster
        return {
            "name": self.node.name,
            "fingerprint": check_card(self.node.card).fingerprint,
            "members": list(roster.names) if roster else [],
            "links": sorted(core.up),
            "datasets": sorted(core.commitments),
            "studies": {study: case.state for study, case in sorted(core.cases.items())},
            "failure": self.node.failure.to_json() if self.node.failure else None,
        }

    def card(self) -> bytes:
        """This member's card, for the others."""
        return self.node.card

    def stop(self) -> None:
        """The process ends soon."""
        self.node.ask_to_stop()

    # ---- the network ----

    def found(self, title: str, cards: tuple[bytes, ...]) -> str:
        """Join this member's card to the others' as a network; returns its 64 hex digits."""
        self.node.take(Founded(title, cards))
        return self.network.hex()

    @property
    def network(self) -> bytes:
        """The network's 32 bytes. Raises NotFound before there is one."""
        roster = self.node.core.feeds.roster
        if roster is None:
            raise NotFound("this node belongs to no network yet")
        return roster.network

    # ---- data and rules ----

    async def add_data(
        self, paths: tuple[str, ...], dictionary: bytes, encoding: str | None
    ) -> dict[str, Any]:
        """Read and check files on a thread; others are told their description and commitment alone.

        Raises BadData naming file and column, and whatever the core refuses.
        """
        self.node.check_alive()
        described = Dictionary.from_bytes(dictionary)
        salt = self.node.core.randomness(SALT_BYTES)
        facts = await self.node.engine.load_dataset(described, paths, encoding, salt)
        held = Held(paths, dictionary, encoding, salt, facts.commitment)
        remember_dataset(self.node.store, described.name, held)
        self.node.take(DatasetAdded(described, facts.commitment))
        return {"rows": facts.rows, "notes": list(facts.notes)}

    def set_policy(self, text: str) -> None:
        """From now on decide by these rules; what was consented to keeps its own."""
        self.node.take(PolicySet(parse_policy(text, "policy", self.node.core.policy.default)))

    # ---- studies ----

    def propose(self, study: bytes) -> str:
        """Sign a study as its researcher and put it on record; returns its id."""
        proposed = Study.from_bytes(study)
        signature = self.node.signer.sign(self.network, "study", proposed.hash)
        self.node.take(Proposed(study, self.node.signer.public, signature))
        return proposed.id

    def _case(self, study: str) -> Case:
        if study not in self.node.core.cases:
            raise NotFound(f"study {study} is not known here")
        return self.node.core.cases[study]

    def state_of(self, study: str) -> str:
        """running, answered, withheld, refused or aborted."""
        if self.node.failure is not None:
            return "aborted"
        if study not in self.node.core.cases:
            return "running"
        state = self.node.core.cases[study].state
        words = {"answered": "answered", "withheld": "withheld", "refused": "refused"}
        return "aborted" if state == "failed" else words.get(state, "running")

    def result(self, study: str) -> dict[str, Any]:
        """The answer as the interface spells it. Raises NotFound where there is none here."""
        self.node.check_alive()
        case = self._case(study)
        outcome = self.node.runs.outcomes.get(study)
        if outcome is not None and outcome.answer is not None and case.final:
            return dict(outcome.answer)
        raise NotFound(f"study {study} has no answer here (it is {case.state})")

    def receipt(self, study: str) -> bytes:
        """The receipt's bytes. Raises NotFound at a member that is no recipient."""
        self.node.check_alive()
        outcome = self.node.runs.outcomes.get(study)
        if outcome is None or not outcome.receipt:
            raise NotFound(f"study {study} has no receipt here")
        return outcome.receipt

    def cost(self, study: str) -> dict[str, Any]:
        """What the study cost here; for this owner alone, its rows that repeat a person."""
        runs = self.node.runs
        found, outcome = runs.costs.get(study, {}), runs.outcomes.get(study)
        return found if outcome is None else {**found, "duplicates": dict(outcome.duplicates)}

    # ---- the record ----

    def export(self) -> bytes:
        """A log bundle of all that this node knows, with the receipts that it holds."""
        node = self.node
        receipts = tuple(o.receipt for _, o in sorted(node.runs.outcomes.items()) if o.receipt)
        return export_bundle(node.core.feeds, node.store, node.signer, receipts, node.wall_ms())
