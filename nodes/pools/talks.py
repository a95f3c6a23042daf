"""How a peer set agrees on a fill: n equal offers, one at a time, and never without a bound.

    quiet --- lead or join ---> talking --- the last of n equal offers ---> agreed
      ^                            |
      +--- time is up, something odd, a study begins

The first of the parties leads: its offer names a fill and what is to be made. Who hears it and is
willing says the same to all, with a key of its own. Nothing here acts: the keeper sends and runs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from msgspec.structs import replace

from p2pmpc.codec import digest, encode
from p2pmpc.messages import Offer
from protocols.party import Parties, Party

__all__ = [
    "OFFERS_MAX",
    "OFFERS_WINDOW_S",
    "OFFER_S",
    "Agreed",
    "Talks",
    "fault_of_form",
    "session_of",
]

OFFER_S = 10.0  # until n offers are there; a round trip takes far less, a busy party says nothing
OFFERS_WINDOW_S = 60.0
OFFERS_MAX = 24  # of one peer within the window; an honest leader makes a fill every few seconds


@dataclass(frozen=True, slots=True, repr=False)
class Agreed:
    """All parties have offered the same. `secret` is this fill's X25519 key and dies with it."""

    session: bytes
    parties: Parties
    epoch: int
    kinds: tuple[tuple[str, int], ...]
    peer_keys: dict[Party, bytes]
    secret: bytes


@dataclass(slots=True, repr=False)
class Talk:
    """The one that is under way."""

    offers: dict[Party, Offer]
    secret: bytes
    until_s: float


@dataclass(slots=True, repr=False)
class Talks:
    """One node's; times are readings of its monotonic clock."""

    me: str
    talk: Talk | None = None
    early: dict[Party, tuple[float, Offer]] = field(default_factory=dict)  # before the leader's
    heard: dict[Party, deque[float]] = field(default_factory=dict)

    def begin(self, now_s: float, offer: Offer, secret: bytes) -> Agreed | None:
        """Lead or join with this own offer; agreed at once where all others had said the same."""
        self.talk = Talk({self.me: offer}, secret, now_s + OFFER_S)
        for peer, (until_s, said) in sorted(self.early.items()):
            if until_s > now_s and said.fill == offer.fill and self.talk is not None:
                self._count(peer, said)
        self.early = {}
        return self._agreed()

    def hear(self, now_s: float, peer: str, offer: Offer) -> Offer | Agreed | str | None:
        """The offer when this node may join it; what is agreed now; else why it is passed over."""
        fault = self._flood(now_s, peer) or fault_of_form(self.me, peer, offer)
        if fault:
            return fault
        mine = self.talk.offers[self.me] if self.talk is not None else None
        if mine is not None and mine.fill == offer.fill:
            if peer not in mine.parties:
                return f"{peer} offers what it is no party of"
            return self._count(peer, offer) or self._agreed()
        if mine is not None and peer == offer.parties[0]:
            return "another fill is talked about"
        self.early[peer] = now_s + OFFER_S, offer  # counted when this node joins
        return offer if peer == offer.parties[0] else None

    def overdue(self, now_s: float) -> tuple[Party, ...]:
        """Whose offer is missing when the time is up, the talk being over; () before."""
        talk = self.talk
        if talk is None or now_s < talk.until_s:
            return ()
        self.talk = None
        mine = talk.offers[self.me]
        return tuple(party for party in mine.parties if party not in talk.offers)

    def drop(self) -> None:
        """Nothing is talked about any more."""
        self.talk = None
        self.early = {}

    def _flood(self, now_s: float, peer: str) -> str:
        times = self.heard.setdefault(peer, deque())
        while times and times[0] <= now_s - OFFERS_WINDOW_S:
            times.popleft()
        if len(times) >= OFFERS_MAX:
            return f"{peer} offers more often than {OFFERS_MAX} times in {OFFERS_WINDOW_S:.0f} s"
        times.append(now_s)
        return ""

    def _count(self, peer: str, offer: Offer) -> str:
        assert self.talk is not None, "only what is talked about is counted"
        mine, before = self.talk.offers[self.me], self.talk.offers.get(peer, offer)
        if before != offer or replace(offer, key=mine.key) != mine or offer.key == mine.key:
            self.talk = None
            return f"{peer} offers something else under the same fill"
        self.talk.offers[peer] = offer
        return ""

    def _agreed(self) -> Agreed | None:
        talk = self.talk
        if talk is None or set(talk.offers) != set(talk.offers[self.me].parties):
            return None
        self.talk = None
        mine = talk.offers[self.me]
        return Agreed(
            session=session_of(talk.offers),
            parties=mine.parties,
            epoch=mine.epoch,
            kinds=mine.kinds,
            peer_keys={p: o.key for p, o in sorted(talk.offers.items()) if p != self.me},
            secret=talk.secret,
        )


def session_of(offers: dict[Party, Offer]) -> bytes:
    """The hash of all offers, by the names of those who made them."""
    parts = [part for p, offer in sorted(offers.items()) for part in (p.encode(), encode(offer))]
    return digest("p2pmpc/fill/1", *parts)


def fault_of_form(me: str, peer: str, offer: Offer) -> str:
    """What no honest node offers; empty when the form is right."""
    if tuple(sorted(set(offer.parties))) != offer.parties:
        return f"{peer} offers a fill among parties out of order"
    if me not in offer.parties or peer not in offer.parties:
        return f"{peer} offers a fill that it or this member is no party of"
    names = [kind for kind, _ in offer.kinds]
    return "" if names == sorted(set(names)) else f"{peer} offers kinds twice or out of order"
