"""Commit to a value, open it later: SHA-256 over a domain, the party, a salt and the value.

What       `share_commitment` is the rule of release certificates; `commit_then_open` shows every
           party everybody's array, none of which can depend on another's.
Against    parties that follow the protocol except that they would choose their array after seeing
           others'. Hiding rests on the 16-byte salt, binding on SHA-256; the party's name is
           inside, so a commitment copied from another party cannot be opened.
Rounds     2. Bytes: 32 + 16 + the array, to each peer.
Source     Blum, "Coin flipping by telephone", 1981; the hash as random oracle.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.abort import Suspected
from protocols.exchange import broadcast
from protocols.party import Party, Protocol, Says, Seat

__all__ = [
    "DIGEST_BYTES",
    "ROUNDS",
    "SALT_BYTES",
    "commit_then_open",
    "digest",
    "octets",
    "share_commitment",
]

ROUNDS = (
    Says("commit", to="all", size="32"),
    Says("open", to="all", size="16 + the array, at most 16 MiB a part"),
)

Octets = npt.NDArray[np.uint8]
SALT_BYTES = 16
DIGEST_BYTES = 32
SHARE_DOMAIN = "p2pmpc/share/1"
VALUE_DOMAIN = "p2pmpc/opening/1"


def digest(domain: str, *parts: bytes) -> bytes:
    """SHA-256 over the domain and the length-prefixed parts: 32 bytes."""
    state = hashlib.sha256()
    for part in (domain.encode(), *parts):
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def share_commitment(session: bytes, party: Party, salt: bytes, share: bytes) -> bytes:
    """c_i of a release certificate. `share`: the words of all elements in turn, little-endian."""
    return digest(SHARE_DOMAIN, session, party.encode(), salt, share)


def octets(value: npt.NDArray[Any]) -> bytes:
    """The elements of an array, little-endian."""
    return np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False).tobytes()


def commit_then_open(
    seat: Seat, label: str, value: npt.NDArray[Any]
) -> Protocol[dict[Party, npt.NDArray[Any]]]:
    """Everybody's array, this party's own included; all have one dtype and shape.

    `label` says what is opened and is inside the commitment.
    Raises Suspected naming a party whose opening is not what it committed to.
    """
    salt = seat.rand.bytes(SALT_BYTES)
    mine = _value_commitment(label, seat.me, salt + octets(value))
    commitments = yield from broadcast(seat, "commit", np.frombuffer(mine, np.uint8))
    opening = np.frombuffer(salt + octets(value), np.uint8)
    openings = yield from broadcast(seat, "open", opening)
    for party in seat.peers:
        found = _value_commitment(label, party, openings[party].tobytes())
        if found != commitments[party].tobytes():
            raise Suspected(party, f"what it opened as {label} is not what it had committed to")
    little = value.dtype.newbyteorder("<")
    return {
        party: opened[SALT_BYTES:].view(little).reshape(value.shape).astype(value.dtype)
        for party, opened in sorted(openings.items())
    }


def _value_commitment(label: str, party: Party, opening: bytes) -> bytes:
    return digest(
        VALUE_DOMAIN, label.encode(), party.encode(), opening[:SALT_BYTES], opening[SALT_BYTES:]
    )
