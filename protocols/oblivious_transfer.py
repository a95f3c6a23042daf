"""Oblivious transfer between every two parties: base OTs, their extension, random strings.

What       `connect` makes 128 base OTs in each direction of every pair; `random_ot` stretches them:
           the sender gets two random strings a transfer, the receiver the one it chooses.
Against    honest-but-curious parties, n - 1 of whom may collude: a pair's wire is known to the two.
           Points are validated, because an invalid one would leak a base choice.
Rounds     connect 2; random_ot 1 for each 2^20 transfers.
Bytes      connect 32 + 4096 to each peer; random_ot 16 a transfer, from receiver to sender.
Source     base: Chou and Orlandi, "The simplest protocol for oblivious transfer", LATINCRYPT 2015,
           figure 1, in the prime-order subgroup of Ed25519. Extension: Ishai, Kilian, Nissim,
           Petrank, CRYPTO 2003, section 3, in the random form of Asharov et al., CCS 2013,
           section 5; hash as in `protocols.kernels.extension`.

Base OTs, extension and use are apart: another extension needs other kernels behind `random_ot` and
nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

import protocols.kernels.curve
import protocols.kernels.extension
from protocols.abort import Suspected
from protocols.kernels.bits import pack
from protocols.kernels.curve import POINT_BYTES, SCALAR_COINS, valid_points
from protocols.kernels.extension import ROW_BITS
from protocols.party import Compute, Expect, Parties, Party, Protocol, Round, Says, Seat

__all__ = ["ROUNDS", "TRANSFERS_MAX", "Strings", "Wire", "blocks", "connect", "random_ot"]

ROUNDS = (
    Says("point", to="one", size="32"),
    Says("points", to="one", size="4096"),
    Says("extend", to="one", size="16 a transfer, at most 2^20 of them"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Octets = npt.NDArray[np.uint8]
TRANSFERS_MAX = 1 << 20  # in one message: 16 MiB, half of what a message may have
COUNTER_BITS = 128  # transfers that one AES counter block covers


@dataclass(frozen=True, slots=True, repr=False)
class BaseKeys:
    """128 base OTs each way: keys that this party's secret chose, and pairs the peer chose from."""

    secret: Bits  # (128,)
    chosen: Octets  # (128, 32)
    pairs: Octets  # (2, 128, 32)

    def __repr__(self) -> str:
        return "BaseKeys(<redacted>)"


@dataclass(slots=True, repr=False)
class Wire:
    """One end of the base correlations with a peer, for one labelled use.

    A fork has keys of its own, derived from the base keys and the path of labels; both ends fork
    the same labels. `sent` and `received` count what this use has spent; only `random_ot` writes.
    """

    me: Party
    peer: Party
    base: BaseKeys
    path: bytes
    sent: int = 0
    received: int = 0
    labels: set[str] = field(default_factory=set)
    derived: dict[str, Octets] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Wire({self.me} to {self.peer}, <redacted>)"

    def fork(self, label: str) -> Wire:
        """Independent correlations. Raises ValueError when the label was used before."""
        if label in self.labels:
            raise ValueError(f"the wire to {self.peer} labelled {label!r} was used before")
        self.labels.add(label)
        path = hashlib.blake2b(label.encode(), key=self.path, person=b"p2pmpc/wire")
        return Wire(self.me, self.peer, self.base, path.digest())

    def chosen_keys(self) -> Octets:
        """(128, 16): the column keys of this use where this party sends."""
        return self._once("chosen", self.base.chosen)

    def pair_keys(self) -> Octets:
        """(2, 128, 16): the column keys of this use where this party receives."""
        return self._once("pairs", self.base.pairs.reshape(-1, 32)).reshape(2, ROW_BITS, 16)

    def hash_keys(self, sender: Party, words: int) -> Octets:
        """(ceil(words / 2), 16): public keys of the hash for one direction of this use."""
        salt = self.path + sender.encode()
        made = [
            _derive(salt, b"p2pmpc/hash", block.to_bytes(8, "big"))
            for block in range(-(-words // 2))
        ]
        return np.frombuffer(b"".join(made), np.uint8).reshape(-1, 16)

    def _once(self, name: str, keys: Octets) -> Octets:
        if name not in self.derived:
            made = [_derive(self.path, b"p2pmpc/column", key.tobytes()) for key in keys]
            self.derived[name] = np.frombuffer(b"".join(made), np.uint8).reshape(-1, 16)
        return self.derived[name]


def _derive(path: bytes, person: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(path, key=key, person=person, digest_size=16).digest()


@dataclass(frozen=True, slots=True, repr=False)
class Strings:
    """Random strings of one call, uint64 (count, words) each, by peer.

    chosen  where this party chose; zeros, ones  where it offered
    """

    chosen: Mapping[Party, Words]
    zeros: Mapping[Party, Words]
    ones: Mapping[Party, Words]

    def __repr__(self) -> str:
        return "Strings(<redacted>)"


def blocks(count: int, size: int) -> Iterator[slice]:
    """Public slices of at most `size` that cover `count`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


# ---- base OTs ------------------------------------------------------------------------------------


def connect(seat: Seat) -> Protocol[dict[Party, Wire]]:
    """128 base OTs in both directions with every peer: the wires of a seat.

    Raises Suspected naming a peer whose point is not in the prime-order subgroup.
    """
    coins = {peer: seat.rand.bytes(SCALAR_COINS) for peer in seat.peers}
    secrets = {peer: seat.rand.bits((ROW_BITS,)) for peer in seat.peers}
    labels = {
        peer: seat.pair[peer].fork("base oblivious transfers").bytes(32) for peer in seat.peers
    }
    points = yield from _offer(seat, coins)
    choosing = [
        Compute(
            "curve.choose",
            (
                seat.rand.bytes(SCALAR_COINS * ROW_BITS),
                secrets[peer],
                points[peer],
                _ordered(labels[peer], peer, seat.me),
            ),
            ROW_BITS,
        )
        for peer in seat.peers
    ]
    chosen = yield choosing
    answers = yield from _answer(
        seat, {peer: pair[0] for peer, pair in zip(seat.peers, chosen, strict=True)}
    )
    pairs = yield [
        Compute(
            "curve.unlock",
            (coins[peer], answers[peer], _ordered(labels[peer], seat.me, peer)),
            ROW_BITS,
        )
        for peer in seat.peers
    ]
    return {
        peer: Wire(seat.me, peer, BaseKeys(secrets[peer], mine[1], theirs), labels[peer])
        for peer, mine, theirs in zip(seat.peers, chosen, pairs, strict=True)
    }


def _ordered(label: bytes, sender: Party, receiver: Party) -> bytes:
    parts = (label, sender.encode(), receiver.encode())
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _offer(seat: Seat, coins: Mapping[Party, bytes]) -> Protocol[dict[Party, Octets]]:
    """Figure 1, step 1: A = aB to each peer."""
    says = {(peer, "point"): protocols.kernels.curve.offer(coins[peer]) for peer in seat.peers}
    heard = yield Round(
        says, {(peer, "point"): Expect("uint8", (POINT_BYTES,)) for peer in seat.peers}
    )
    return {peer: _valid(peer, heard[peer, "point"].reshape(1, -1))[0] for peer in seat.peers}


def _answer(seat: Seat, points: Mapping[Party, Octets]) -> Protocol[dict[Party, Octets]]:
    """Figure 1, step 2: the receiver's points, one a base OT."""
    expect = Expect("uint8", (ROW_BITS, POINT_BYTES))
    heard = yield Round(
        {(peer, "points"): points[peer] for peer in seat.peers},
        {(peer, "points"): expect for peer in seat.peers},
    )
    return {peer: _valid(peer, heard[peer, "points"]) for peer in seat.peers}


def _valid(peer: Party, points: Octets) -> Octets:
    if not valid_points(points):
        raise Suspected(peer, "a point of its base oblivious transfers is not in the group")
    return points


# ---- extension -----------------------------------------------------------------------------------


def random_ot(
    seat: Seat, count: int, words: int, choosing: Mapping[Party, Bits], offering: Parties
) -> Protocol[Strings]:
    """`count` random OTs of strings of `words` words with each peer named.

    choosing  peer: uint8 (count,), this party's choices where it receives
    offering  the peers toward whom this party sends
    Every party of the seat calls with the same count, also one that does neither.
    """
    parts = []
    for block in blocks(count, TRANSFERS_MAX):
        chosen = {peer: bits[block] for peer, bits in choosing.items()}
        parts.append((yield from _extend(seat, block.stop - block.start, words, chosen, offering)))
    empty = np.zeros((0, words), dtype=np.uint64)
    return Strings(
        {
            peer: np.concatenate([empty, *(p.chosen[peer] for p in parts)])
            for peer in sorted(choosing)
        },
        {peer: np.concatenate([empty, *(p.zeros[peer] for p in parts)]) for peer in offering},
        {peer: np.concatenate([empty, *(p.ones[peer] for p in parts)]) for peer in offering},
    )


def _extend(
    seat: Seat, count: int, words: int, choosing: Mapping[Party, Bits], offering: Parties
) -> Protocol[Strings]:
    counters = -(-count // COUNTER_BITS)
    padded = COUNTER_BITS * counters
    receivers = sorted(choosing)
    made = yield [
        _receiving(seat.wires[peer], choosing[peer], counters, words) for peer in receivers
    ]
    mine = dict(zip(receivers, made, strict=True))
    expect = Expect("uint64", (ROW_BITS, padded // 64))
    heard = yield Round(
        {(peer, "extend"): mine[peer][0] for peer in receivers},
        {(peer, "extend"): expect for peer in offering},
    )
    both = yield [
        _sending(seat.wires[peer], heard[peer, "extend"], counters, words) for peer in offering
    ]
    return Strings(
        {peer: mine[peer][1][:count] for peer in receivers},
        {peer: pair[0][:count] for peer, pair in zip(offering, both, strict=True)},
        {peer: pair[1][:count] for peer, pair in zip(offering, both, strict=True)},
    )


def _receiving(wire: Wire, choices: Bits, counters: int, words: int) -> Compute:
    packed = np.zeros(counters * COUNTER_BITS // 64, dtype=np.uint64)
    bits = pack(choices)
    packed[: len(bits)] = bits
    keys = wire.hash_keys(wire.peer, words)
    start, wire.received = wire.received, wire.received + counters
    return Compute(
        "extension.receive", (wire.pair_keys(), packed, start, keys, words), len(choices)
    )


def _sending(wire: Wire, message: Words, counters: int, words: int) -> Compute:
    keys = wire.hash_keys(wire.me, words)
    start, wire.sent = wire.sent, wire.sent + counters
    secret = pack(wire.base.secret)
    return Compute(
        "extension.send",
        ((wire.chosen_keys(), secret), message, start, keys, words),
        counters * COUNTER_BITS,
    )
