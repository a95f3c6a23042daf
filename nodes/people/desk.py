"""What people and their programs may ask of a running node, as plain methods.

The control interface (`api`) turns requests into these; tests call them directly. Everything here
is for this member's own people: nothing of it is sent to anybody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodes.core.effects import (
    DatasetAdded,
    Decided,
    Founded,
    PolicySet,
    Proposed,
    RevokeAsked,
    WithdrawAsked,
)
from nodes.engine.engine import SALT_BYTES
from nodes.people.bundle import export_bundle
from nodes.people.sheet import asks_me, catalogue, line, sheet
from nodes.pools.needs import Asked, asked_of
from nodes.store.datasets import Held, recall_dataset, remember_dataset
from p2pmpc.catalogue import resolve
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import NotFound
from p2pmpc.identity import check_card
from p2pmpc.policy import parse_policy
from p2pmpc.record import Consent, read_content
from p2pmpc.study import Study

if TYPE_CHECKING:
    from nodes.core.studies import Case
    from nodes.shell import Node
    from p2pmpc.roster import Member, Roster

__all__ = ["Desk"]


@dataclass(frozen=True, slots=True, repr=False)
class Desk:
    """One node's desk."""

    node: Node

    # ---- the node ----

    def status(self) -> dict[str, Any]:
        """This member, its network, links, data sets and studies, and what waits for a person."""
        core = self.node.core
        roster = core.feeds.roster
        return {
            "name": self.node.name,
            "fingerprint": check_card(self.node.card).fingerprint,
            "title": roster.title if roster else "",
            "network": roster.network.hex() if roster else "",
            "members": list(roster.names) if roster else [],
            "links": sorted(core.up),
            "peers": [self._peer(name) for name in self._others()],
            "datasets": sorted(core.commitments),
            "data_faults": dict(sorted(core.unusable.items())),
            "studies": {study: case.state for study, case in sorted(core.cases.items())},
            "waiting": [study for study, case in sorted(core.cases.items()) if asks_me(core, case)],
            "recovering": core.recovering,
            "failure": self.node.failure.to_json() if self.node.failure else None,
        }

    def _others(self) -> tuple[str, ...]:
        roster = self.node.core.feeds.roster
        return tuple(n for n in roster.names if n != self.node.name) if roster else ()

    def _peer(self, name: str) -> dict[str, Any]:
        """How the link to one member stands, since when by the wall clock."""
        transport, state = self.node.transport, self.node.transport.link_state(name)
        since_s = max(0.0, self.node.waits.clock() - state.since)
        return {
            "member": name,
            "address": transport.address_of(name),
            "up": state.up,
            "reason": state.reason,
            "since_s": round(since_s, 1),
            "since_ms": self.node.wall_ms() - round(since_s * 1000),
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
        return self._roster().network

    def _roster(self) -> Roster:
        """Raises NotFound before there is a network."""
        roster = self.node.core.feeds.roster
        if roster is None:
            raise NotFound(
                "this node belongs to no network yet",
                next="Found one (p2pmpc network found) or join one (p2pmpc network join FILE).",
            )
        return roster

    def members(self) -> dict[str, Any]:
        """The roster with fingerprints, and how this node's link to each member stands."""
        roster = self.node.core.feeds.roster
        return {
            "title": roster.title if roster else "",
            "network": roster.network.hex() if roster else "",
            "members": [self._member(one) for one in roster.members] if roster else [],
        }

    def _member(self, one: Member) -> dict[str, Any]:
        found = {"name": one.name, "fingerprint": one.card.fingerprint}
        if one.name == self.node.name:
            return {**found, "address": one.address, "link": "this node", "since_s": None}
        peer = self._peer(one.name)
        link = "up" if peer["up"] else f"down: {peer['reason'] or 'not reached yet'}"
        return {**found, "address": peer["address"], "link": link, "since_s": peer["since_s"]}

    # ---- data and rules ----

    async def add_data(
        self, paths: tuple[str, ...], dictionary: bytes, encoding: str | None
    ) -> dict[str, Any]:
        """Read and check files on a thread; others are told their description and commitment alone.

        Raises NotFound before there is a network, BadData naming file and column, and whatever the
        core refuses.
        """
        self.node.check_alive()
        self._roster()  # a description is an entry of its record
        described = Dictionary.from_bytes(dictionary)
        salt = self.node.core.randomness(SALT_BYTES)
        facts = await self.node.engine.load_dataset(described, paths, encoding, salt)
        replaced = described.name in self.node.core.commitments
        now = self.node.wall_ms()
        held = Held(paths, dictionary, encoding, salt, facts.commitment, facts.rows, now)
        remember_dataset(self.node.store, described.name, held)
        self.node.take(DatasetAdded(described, facts.commitment))
        return {"rows": facts.rows, "notes": list(facts.notes), "replaced": replaced}

    def datasets(self) -> list[dict[str, Any]]:
        """This member's own data sets, with what only their owner may know: rows and files."""
        found = []
        for name in sorted(self.node.core.commitments):
            held = recall_dataset(self.node.store, name)
            if held is not None:
                found.append(_dataset(name, held, self.node.core.unusable.get(name, "")))
        return found

    def catalogue(self) -> dict[str, dict[str, bytes]]:
        """Member -> data set -> its public description, for every member of the network."""
        return {
            member: {name: one.to_bytes() for name, one in held.items()}
            for member, held in catalogue(self.node.core).items()
        }

    def rules(self) -> bytes:
        """This member's own policy."""
        return self.node.core.policy.to_bytes()

    def set_policy(self, text: str) -> None:
        """From now on decide by these rules; what was consented to keeps its own."""
        self.node.take(PolicySet(parse_policy(text, "policy", self.node.core.policy.default)))

    # ---- studies ----

    def propose(self, study: bytes, expires_s: float | None) -> str:
        """Sign a study as its researcher and put it on record; returns its id.

        expires_s  how long members may decide; None leaves it to the settings

        Proposing again what waits already, after an answer that was lost, changes nothing.
        """
        proposed = Study.from_bytes(study)
        case = self.node.core.cases.get(proposed.id)
        if case is None or case.final or self.node.name not in case.proposers:
            signature = self.node.signer.sign(self.network, "study", proposed.hash)
            until = 0 if expires_s is None else self.node.wall_ms() + round(expires_s * 1000)
            self.node.take(Proposed(study, self.node.signer.public, signature, until))
        return proposed.id

    def studies(self) -> list[dict[str, Any]]:
        """One row a study: those that wait for this member first, then by title and id."""
        core = self.node.core
        found = [line(core, case, self._waited(case)) for case in core.cases.values()]
        return sorted(found, key=lambda one: (not one["asks_me"], one["title"], one["study"]))

    def study(self, study: str) -> dict[str, Any]:
        """Everything that a person needs who decides on it, or waits for it. Raises NotFound."""
        case = self._case(study)
        found = sheet(self.node.core, case, self._waited(case), self._rules_of(case))
        return {**found, "quote": self._quote(case)}

    def _quote(self, case: Case) -> dict[str, Any] | None:
        """What a study that waits will draw; None once it runs, and while something is unknown."""
        waits = case.state in {"proposed", "agreed"} and self.node.name in case.study.parties
        asked = asked_of(self.node.core, case) if waits else None
        return None if asked is None else self.node.keeper.quote(asked)

    def quote(self, study: bytes) -> dict[str, Any]:
        """What a study that nobody has proposed yet would draw. Raises what checking it raises."""
        core = self.node.core
        described = catalogue(core)
        resolved = resolve(Study.from_bytes(study), described, {core.name: core.policy})
        return self.node.keeper.quote(Asked(resolved, described))

    def _rules_of(self, case: Case) -> dict[str, bytes]:
        """The policies under which members consented, from the record: a case that has ended
        keeps its entries' names alone. Consents that were erased are left out."""
        found = {member: self._consent(name) for member, name in case.consents.items()}
        return {member: one.rules for member, one in found.items() if one is not None}

    def _consent(self, name: bytes) -> Consent | None:
        signed = self.node.store.entry(name)
        body = None if signed is None else self.node.store.body(signed.read().body_hash)
        content = None if body is None else read_content("consent", body)
        return content if isinstance(content, Consent) else None

    def _waited(self, case: Case) -> tuple[str, ...]:
        running = self.node.runs.running.get(case.session)
        return self.node.waits.waited_for(running) if running is not None else ()

    def decide(self, study: str, approve: bool, why: str, digest: bytes) -> None:
        """This member's word on exactly the study with this hash; on record for all members.

        Raises NotFound, WrongUsage for another hash, Refused when nothing is to be decided here
        any more or this member's own rules forbid it.
        """
        self.node.take(Decided(study, digest, approve, why))

    def withdraw(self, study: str, why: str) -> None:
        """Take back what was proposed through this member. Raises Refused for another's."""
        self.node.take(WithdrawAsked(study, why))

    def revoke(self, study: str, why: str) -> None:
        """Take back this member's consent. Raises Refused without one, or when it is too late."""
        self.node.take(RevokeAsked(study, why))

    def _case(self, study: str) -> Case:
        if study not in self.node.core.cases:
            raise NotFound(f"study {study[:16]} is not known here")
        return self.node.core.cases[study]

    def _recipient_case(self, study: str) -> Case:
        """Raises NotFound, at a member to whom the answer does not go naming those who have it."""
        case = self._case(study)
        recipients = case.study.recipients
        if self.node.name not in recipients:
            raise NotFound(
                f"the answer of study {study[:16]} goes to {', '.join(recipients)}; this member is "
                "no recipient",
                next=f"Ask {recipients[0]} for the answer and its receipt.",
            )
        return case

    def state_of(self, study: str) -> str:
        """running, answered, withheld, refused or aborted."""
        if self.node.failure is not None:
            return "aborted"
        if study not in self.node.core.cases:
            return "running"
        state = self.node.core.cases[study].state
        if state in {"answered", "withheld", "refused"}:
            return state
        return "aborted" if self.node.core.cases[study].final else "running"

    def result(self, study: str) -> dict[str, Any]:
        """The answer as the interface spells it. Raises NotFound where there is none here."""
        self.node.check_alive()
        case = self._recipient_case(study)
        outcome = self.node.runs.outcomes.get(study)
        if outcome is not None and outcome.answer is not None and case.final:
            return dict(outcome.answer)
        raise NotFound(f"study {study} has no answer here (it is {case.state})")

    def receipt(self, study: str) -> bytes:
        """The receipt's bytes. Raises NotFound at a member that is no recipient."""
        self.node.check_alive()
        case = self._recipient_case(study)
        outcome = self.node.runs.outcomes.get(study)
        if outcome is None or not outcome.receipt:
            raise NotFound(f"study {study} has no receipt here (it is {case.state})")
        return outcome.receipt

    def cost(self, study: str) -> dict[str, Any]:
        """What the study cost here; for this owner alone, its rows that repeat a person.

        Of one that waits, what it will draw.
        """
        outcomes, case = self.node.runs.outcomes, self.node.core.cases.get(study)
        if case is not None and (quoted := self._quote(case)) is not None:
            return {"quote": quoted}
        found, outcome = outcomes.cost(study), outcomes.get(study)
        return found if outcome is None else {**found, "duplicates": dict(outcome.duplicates)}

    # ---- the record ----

    def export(self) -> bytes:
        """A log bundle of all that this node knows, with the receipts that it holds."""
        node = self.node
        receipts = tuple(o.receipt for _, o in sorted(node.runs.outcomes.items()) if o.receipt)
        return export_bundle(node.core.feeds, node.store, node.signer, receipts, node.wall_ms())


def _dataset(name: str, held: Held, fault: str) -> dict[str, Any]:
    dictionary = Dictionary.from_bytes(held.dictionary)
    return {
        "name": name,
        "rows": held.rows,
        "columns": len(dictionary.columns),
        "unit": dictionary.unit,
        "files": list(held.paths),
        "at_ms": held.unix_ms,
        "fault": fault,
    }
