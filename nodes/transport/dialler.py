"""Keeps links: to each peer by its address, and to whoever answers at a seed.

The member whose name sorts first dials; the other dials too when it has had no link for
`dial_back_s`. Seeds are dialled while some member is not linked. Attempts that fail rest longer and
longer; what answers with a wrong certificate is told, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nodes.transport.dial import dial, found_fingerprint, split_address
from nodes.transport.events import Event, LinkDown, MemberAddress, PeerRefused
from nodes.transport.link import Link, LinkEvent, State
from nodes.transport.peer import Peer
from nodes.transport.reason import Reason
from nodes.transport.seeds import Seed, places
from nodes.transport.timing import Timing
from nodes.transport.tls import OwnCertificate, client_context, fingerprint

__all__ = ["Dialler"]

OWN_SEED_S = 30.0  # a seed that is this node itself may be another's address later


@dataclass(frozen=True, slots=True, repr=False)
class Dialler:
    """Made by the transport, which owns `peers` and starts one `keep_linked` for each.

    certificates  of all other members
    make_link     a link that this node dials, by the address
    """

    name: str
    own: OwnCertificate
    members: Callable[[], Mapping[str, MemberAddress]]
    certificates: Callable[[], list[bytes]]
    peers: Mapping[str, Peer]
    make_link: Callable[[str], Link]
    tell: Callable[[Event], None]
    clock: Callable[[], float]
    timing: Timing
    seeds: dict[str, tuple[Seed, asyncio.Task[None]]] = field(default_factory=dict)

    def seek(self, addresses: Sequence[str]) -> None:
        """Dial these too, whoever of the roster answers, while somebody is not linked."""
        loop = asyncio.get_running_loop()
        for address in sorted(set(addresses) - set(self.seeds)):
            seed = Seed(address)
            self.seeds[address] = seed, loop.create_task(self._keep_seeking(seed))

    # ---- members ----

    async def keep_linked(self, peer: Peer) -> None:
        """Dial this peer whenever it is not linked, until the task is cancelled."""
        wait = self.timing.backoff_first_s
        while True:
            began = self.clock()
            await peer.needed.wait()
            if self.name > peer.name and await self._linked_soon(peer):
                continue
            await self._dial(peer)
            if self.clock() - began >= self.timing.settled_s:
                wait = self.timing.backoff_first_s
            await asyncio.sleep(wait)
            wait = min(2 * wait, self.timing.backoff_last_s)

    async def _linked_soon(self, peer: Peer) -> bool:
        """The lower name dials; the other waits for it, but not for ever."""
        await asyncio.sleep(self.timing.dial_back_s)
        return not peer.needed.is_set()

    async def _dial(self, peer: Peer) -> None:
        """One attempt; returns when it failed, or when the link that it made has ended."""
        member = self.members().get(peer.name)
        place = split_address(member.address) if member else None
        if member is None or place is None:
            peer.note_failure(Reason.NO_ADDRESS, self.clock())
            return
        link = self.make_link(member.address)
        link.peer = peer.name
        context = client_context(self.own, member.certificate)
        reason = await dial(link, *place, context, self.timing.connect_s)
        if reason is not None:
            link.end(LinkEvent.LOST, reason)
            await self._dial_failed(peer, member, place, reason)
            return
        await link.settled.wait()
        if link.state is State.UP:
            await link.ended.wait()
        else:
            peer.note_failure(link.reason, self.clock())

    async def _dial_failed(
        self, peer: Peer, member: MemberAddress, place: tuple[str, int], reason: Reason
    ) -> None:
        was = peer.state.refused
        peer.note_failure(reason, self.clock())
        if reason is Reason.REFUSED and not was and not peer.state.up:
            self.tell(LinkDown(peer.name, reason.value, refused=True))
        if reason is not Reason.WRONG_SERVER:
            return
        found = await found_fingerprint(*place, self.timing.connect_s)
        if peer.told != (reason, found):
            peer.told = (reason, found)
            expected = fingerprint(member.certificate)
            what = f"at {member.address}: expected {peer.name} with certificate {expected}"
            self.tell(PeerRefused(f"{what}, found {found or 'none any more'}", found))

    # ---- seeds ----

    async def _keep_seeking(self, seed: Seed) -> None:
        await asyncio.sleep(self.timing.dial_back_s)  # the known addresses come first
        wait = self.timing.backoff_first_s
        while True:
            if self._seeks(seed):
                seed.reason = await self._dial_seed(seed)
                seed.attempts += 1
            own = seed.member == self.name
            await asyncio.sleep(OWN_SEED_S if own else wait)
            wait = min(2 * wait, self.timing.backoff_last_s)

    def _seeks(self, seed: Seed) -> bool:
        """While a member is not linked, unless the one that answers here is."""
        answering = self.peers.get(seed.member)
        if answering is not None and answering.link is not None:
            return False
        return any(peer.task is not None and peer.link is None for peer in self.peers.values())

    async def _dial_seed(self, seed: Seed) -> Reason:
        """One attempt; why there is no link, or why the one that it made has ended."""
        found, members = await places(seed.address), self.certificates()
        if not found or not members:
            return Reason.NOT_FOUND
        host, port = found[seed.attempts % len(found)]
        link = self.make_link(seed.address)
        context = client_context(self.own, b"".join(members))
        reason = await dial(link, host, port, context, self.timing.connect_s)
        if reason is not None:
            link.end(LinkEvent.LOST, reason)
            if reason is Reason.WRONG_SERVER:
                await self._refuse_seed(seed, host, port)
            return reason
        await link.settled.wait()
        seed.member = link.peer
        if link.state is State.UP:
            await link.ended.wait()
        return link.reason

    async def _refuse_seed(self, seed: Seed, host: str, port: int) -> None:
        found = await found_fingerprint(host, port, self.timing.connect_s)
        if found == self.own.fingerprint:
            seed.member = self.name
        elif found and found != seed.told:
            seed.told = found
            what = f"at the seed {seed.address}: no member's certificate answers there"
            self.tell(PeerRefused(f"{what}, found {found}", found))
