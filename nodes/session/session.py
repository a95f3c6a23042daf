"""One attempt at one study at one party: prepares it, runs it, reads the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any
from typing import Protocol as Shape

from nacl.bindings import crypto_scalarmult
from nacl.exceptions import RuntimeError as SodiumError

from nodes.core.attempts import PROGRAM_VERSION, resolved
from nodes.core.effects import ResumeSession, SessionOrder
from nodes.core.node import Core
from nodes.session.answers import answer_bytes, make_answer
from nodes.session.driver import Driver, Post, Toll
from nodes.session.inputs import Drawn, draw_plan
from nodes.session.mailbox import Mailbox
from p2pmpc.catalogue import Resolved
from p2pmpc.certificate import Opening, Receipt, answer_hash, read_certificate
from p2pmpc.codec import digest, encode
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import P2pmpcError
from p2pmpc.roster import Roster
from protocols.abort import Suspected
from protocols.batches import Batch
from protocols.joint import NAMES, JointInputs, joint
from protocols.party import Pause, Seat
from protocols.randomness import RAND_BYTES, Randomness
from protocols.release import Opened

__all__ = ["Brief", "Outcome", "Session", "Source"]

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Brief:
    """All that a session needs of an attempt; public, but for the secret in its order and `held`.

    thin_links  whether this member would have less said and more computed
    held  correlations that the pool gave up for this attempt, used by it or burnt
    """

    me: str
    order: SessionOrder
    resolved: Resolved
    catalogue: Mapping[str, Mapping[str, Dictionary]]
    rules: Mapping[str, bytes]
    commitments: Mapping[str, bytes]  # own data sets, as this member was ready with them
    roster: Roster
    heads: Mapping[str, str]
    held: tuple[Batch, ...] = field(default=(), repr=False)
    thin_links: bool = False

    @staticmethod
    def of(order: SessionOrder, core: Core) -> Brief:
        """What the core knows of the study that this order starts."""
        case = core.cases[order.study]
        assert core.feeds.roster is not None
        return Brief(
            me=core.name,
            order=order,
            resolved=resolved(core, case),
            catalogue=case.described,
            rules=dict(case.rules),
            commitments=dict(case.commitments),
            roster=core.feeds.roster,
            heads={author: head.hash.hex() for author, head in sorted(core.feeds.heads.items())},
        )


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """What an attempt left at this party; a party that is no recipient has no answer.

    duplicates  linked alias -> rows here that repeat a person; for this owner alone
    """

    released: bool
    answer: Mapping[str, Any] | None
    answer_hash: bytes
    receipt: bytes
    duplicates: Mapping[str, int]


class Source(Shape):
    """Whoever holds this member's rows."""

    async def gather(self, brief: Brief, drawn: Drawn) -> tuple[JointInputs, dict[str, int]]:
        """This party's inputs to the drawn plan; linked alias -> rows that repeat a person.

        Raises NotFound, Refused where the rows are not those that this member was ready with.
        """


@dataclass(slots=True, repr=False)
class Session:
    """Made by `prepare`, run once; the `Attempt` of an engine in one process."""

    brief: Brief
    source: Source
    post: Post
    randomness: Callable[[int], bytes]
    threads: Executor
    kernels: Executor
    mailbox: Mailbox
    toll: Toll = field(default_factory=Toll)
    certified: ResumeSession | None = None

    @staticmethod
    def prepare(
        brief: Brief,
        source: Source,
        post: Post,
        randomness: Callable[[int], bytes],
        threads: Executor,
        kernels: Executor,
    ) -> Session:
        """A session with an empty mailbox; nothing runs before `run`."""
        mailbox = Mailbox(brief.me, brief.order.parties, NAMES)
        return Session(brief, source, post, randomness, threads, kernels, mailbox)

    @property
    def rounds(self) -> int:
        """Rounds of messages so far."""
        return self.toll.rounds

    @property
    def posting(self) -> str:
        """The peer that a mail is being posted to; it waits while the peer takes none."""
        return self.toll.posting

    @property
    def missing(self) -> tuple[str, ...]:
        """The peers whose mail the protocol waits for now, sorted."""
        return self.mailbox.missing

    def hear(self, peer: str, name: str, data: bytes) -> None:
        """Take one mail of a peer; what it may not be ends the session."""
        self.mailbox.put(peer, name, data)

    def stop(self, fault: Exception) -> None:
        """End the run at its next wait."""
        self.mailbox.fail(fault)

    async def run(self, pause: Callable[[Pause], Awaitable[ResumeSession]]) -> Outcome:
        """Raises what ended the run early; nothing was opened then."""
        loop = asyncio.get_running_loop()
        drawn = await loop.run_in_executor(self.threads, self._draw)
        inputs, duplicates = await self.source.gather(self.brief, drawn)
        seat = self._seat()

        async def paused(step: Pause) -> None:
            resumed = await pause(step)
            if resumed.certificate:
                self.certified = resumed

        driver = Driver(
            joint(seat, drawn.joint, inputs, self.brief.held),
            self.mailbox,
            self.post,
            paused,
            self.threads,
            self.kernels,
            self.toll,
        )
        opened = await driver.run()
        return await loop.run_in_executor(self.threads, self._read, drawn, opened, duplicates)

    def _draw(self) -> Drawn:
        brief = self.brief
        return draw_plan(brief.order.session, brief.resolved, brief.catalogue)

    def _seat(self) -> Seat:
        order = self.brief.order
        return Seat(
            me=self.brief.me,
            parties=order.parties,
            rand=Randomness(self.randomness(RAND_BYTES)),
            pair={
                peer: Randomness(pair_key(order, self.brief.me, peer))
                for peer in sorted(order.peer_keys)
            },
            extension="silent" if self.brief.thin_links else "softspoken",
        )

    def _read(self, drawn: Drawn, opened: Opened | None, duplicates: Mapping[str, int]) -> Outcome:
        if self.certified is None:
            raise P2pmpcError("an answer came without its certificate: a fault of the program")
        certificate = read_certificate(self.certified.certificate)
        released = any(certificate.verdicts)
        if opened is None:
            return Outcome(released, None, b"", b"", duplicates)
        brief = self.brief
        answer = make_answer(brief.resolved, drawn, opened.integers, certificate, brief.heads)
        data, salt = answer_bytes(answer), self.randomness(SALT_BYTES)
        receipt = Receipt(
            certificate=certificate,
            signatures=self.certified.signatures,
            openings=tuple(
                Opening(party, opened.openings[party].salt, opened.openings[party].share)
                for party in certificate.parties
            ),
            opened=tuple(
                (unit, tuple(str(number) for number in numbers))
                for unit, numbers in sorted(opened.integers.items())
                if numbers is not None
            ),
            roster=brief.roster,
            answer=data,
            answer_salt=salt,
            version=PROGRAM_VERSION,
            study=brief.resolved.study.to_bytes(),
            dictionaries=tuple(
                (member, dictionary.to_bytes())
                for member, sets in sorted(brief.catalogue.items())
                for _, dictionary in sorted(sets.items())
            ),
            rules=tuple(sorted(brief.rules.items())),
        )
        hashed = answer_hash(brief.order.session, salt, data)
        return Outcome(released, answer, hashed, encode(receipt), duplicates)


def pair_key(order: SessionOrder, me: str, peer: str) -> bytes:
    """32 bytes that this attempt's two parties share and nobody else. Raises Suspected."""
    try:
        shared = crypto_scalarmult(order.secret, order.peer_keys[peer])
    except SodiumError:
        raise Suspected(peer, "offered a key of small order") from None
    first, second = sorted((me, peer))
    return digest("p2pmpc/pair/1", order.session, first.encode(), second.encode(), shared)
