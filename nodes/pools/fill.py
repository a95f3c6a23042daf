"""One fill on this machine: the protocol that makes batches, driven like a study's attempt.

It writes nothing into the record and opens nothing. Whatever goes wrong ends it, and nothing of it
is kept: the batches exist only once every party has said that it holds all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from nodes.core.effects import ResumeSession, SessionOrder
from nodes.pools.talks import Agreed
from nodes.session.driver import Driver, Toll
from nodes.session.mailbox import Mailbox
from nodes.session.session import pair_key
from nodes.transport.transport import Transport
from p2pmpc.errors import LocalError
from protocols.batches import MAKE_NAMES, Batch, make
from protocols.party import Pause, Seat
from protocols.randomness import RAND_BYTES, Randomness

__all__ = ["FILL_S_MAX", "Fill"]

FILL_S_MAX = 600.0  # of one fill; a peer that stalls ends it, and makes nobody wait


@dataclass(slots=True, repr=False)
class Fill:
    """Made once all parties agree, run once."""

    me: str
    agreed: Agreed
    transport: Transport
    threads: Executor
    randomness: Callable[[int], bytes]
    mailbox: Mailbox = field(init=False)
    toll: Toll = field(default_factory=Toll)

    def __post_init__(self) -> None:
        self.mailbox = Mailbox(self.me, self.agreed.parties, MAKE_NAMES)

    @property
    def peers(self) -> tuple[str, ...]:
        """The other parties."""
        return tuple(party for party in self.agreed.parties if party != self.me)

    async def run(self) -> tuple[Batch, ...]:
        """The batches, which all parties hold. Raises what ended it, TimeoutError after a while."""
        session = self.agreed.session
        self.transport.open_session(session, self.peers)
        try:
            async with asyncio.timeout(FILL_S_MAX):
                batches: tuple[Batch, ...] = await self._driver().run()
                return batches
        finally:
            await self.transport.close_session(session)

    def stop(self, why: str) -> None:
        """End it at its next wait."""
        self.mailbox.fail(LocalError(why))

    def _driver(self) -> Driver:
        agreed = self.agreed
        return Driver(
            make(self._seat(), agreed.session, agreed.kinds),
            self.mailbox,
            self._post,
            self._no_pause,
            self.threads,
            self.threads,
            self.toll,
        )

    async def _post(self, peer: str, name: str, data: bytes) -> None:
        await self.transport.post(self.agreed.session, peer, name, data)

    async def _no_pause(self, step: Pause) -> ResumeSession:
        raise LocalError(f"a fill has nothing to put on record, and pauses for {step.kind}")

    def _seat(self) -> Seat:
        agreed = self.agreed
        order = SessionOrder(
            agreed.session, "", agreed.parties, (), agreed.peer_keys, agreed.secret
        )
        return Seat(
            me=self.me,
            parties=agreed.parties,
            rand=Randomness(self.randomness(RAND_BYTES)),
            pair={p: Randomness(pair_key(order, self.me, p)) for p in sorted(agreed.peer_keys)},
        )
