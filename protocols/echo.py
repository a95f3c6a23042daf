"""Was everybody told the same? A running hash of all broadcasts, compared before anything opens.

What       `echoed` hashes what a protocol broadcasts and hears broadcast, by group and message name
           (mail is in order within a name, and rounds of different groups may interleave);
           `compare_broadcasts` compares the hashes of every two parties over the groups that hold
           both, and returns one transcript hash that all parties share.
Against    a party that tells different things to different parties. It is found out before the
           opening; who it was takes an investigation. A party that lies about its own hash here
           makes transcripts differ, and no certificate over them is signed by all.
Rounds     1. Bytes: 64 to each peer.
Source     echo broadcast with abort: Goldwasser and Lindell, J. Cryptology 2005, section 3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from protocols.abort import Inconsistent
from protocols.commitment import DIGEST_BYTES, digest, octets
from protocols.party import Expect, Parties, Party, Protocol, Round, Says, Seat, Value

__all__ = ["ROUNDS", "Transcript", "compare_broadcasts", "echoed"]

ROUNDS = (Says("echo", to="one", size="64"),)

T = TypeVar("T")
PAIR_DOMAIN, PARTY_DOMAIN, ALL_DOMAIN = (
    "p2pmpc/echo/pair/1",
    "p2pmpc/echo/party/1",
    "p2pmpc/echo/all/1",
)


@dataclass(slots=True)
class Transcript:
    """Running hashes by (group, message name). Written by `echoed` alone."""

    hashes: dict[tuple[Parties, str], hashlib._Hash] = field(default_factory=dict)

    def absorb(self, group: Parties, name: str, said: Mapping[Party, Value]) -> None:
        """One broadcast round: who of the group said what."""
        state = self.hashes.setdefault((group, name), hashlib.sha256())
        for party in group:
            if party in said:
                value = said[party]
                head = f"{party}\n{value.dtype.name}{list(value.shape)}"
                state.update(digest("p2pmpc/echo/message/1", head.encode(), octets(value)))

    def digest(self, domain: str, members: Parties) -> bytes:
        """The hash over all groups that hold these members."""
        parts = []
        for (group, name), state in sorted(self.hashes.items(), key=lambda item: item[0]):
            if set(members) <= set(group):
                parts += ["\n".join(group).encode(), name.encode(), state.digest()]
        return digest(domain, *parts)


def echoed(me: Party, protocol: Protocol[T], transcript: Transcript) -> Protocol[T]:
    """The same protocol; its broadcasts go into the transcript."""
    try:
        step = next(protocol)
        while True:
            answer = yield step
            if isinstance(step, Round):
                _absorb(me, step, answer, transcript)
            step = protocol.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        protocol.close()


def _absorb(
    me: Party, step: Round, heard: Mapping[tuple[Party, str], Any], kept: Transcript
) -> None:
    for name, group in sorted(step.broadcasts.items()):
        said = {party: heard[party, name] for party in group if (party, name) in heard}
        own = [step.says[peer, name] for peer in group if (peer, name) in step.says]
        if not all(np.array_equal(own[0], copy) for copy in own[1:]):
            raise RuntimeError(f"{name} goes out as a broadcast and is not the same to all")
        if own:
            said[me] = own[0]
        kept.absorb(group, name, said)


def compare_broadcasts(seat: Seat, transcript: Transcript) -> Protocol[bytes]:
    """The transcript hash that all parties share: 32 bytes.

    Raises Inconsistent when this party and a peer were told different things.
    """
    whole = transcript.digest(PARTY_DOMAIN, (seat.me,))
    pairs = {peer: transcript.digest(PAIR_DOMAIN, (seat.me, peer)) for peer in seat.peers}
    heard = yield Round(
        {
            (peer, "echo"): np.frombuffer(pairs[peer] + whole, np.uint8).reshape(2, DIGEST_BYTES)
            for peer in seat.peers
        },
        {(peer, "echo"): Expect("uint8", (2, DIGEST_BYTES)) for peer in seat.peers},
    )
    for peer in seat.peers:
        if heard[peer, "echo"][0].tobytes() != pairs[peer]:
            raise Inconsistent(
                "", f"{seat.me} and {peer} were told different things; nothing was opened"
            )
    wholes = {peer: heard[peer, "echo"][1].tobytes() for peer in seat.peers} | {seat.me: whole}
    parts = [part for party in seat.parties for part in (party.encode(), wholes[party])]
    return digest(ALL_DOMAIN, *parts)
