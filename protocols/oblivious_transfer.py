"""Oblivious transfer between every two parties: base OTs, their extension, random strings and bits.

What       `connect` makes 128 base OTs in each direction of every pair, and of them trees of which
           the sender lacks one leaf each; `random_ot` stretches these: the sender gets two random
           strings a transfer, the receiver the one it chooses. `random_bits` keeps the low bits.
Against    honest-but-curious parties, n - 1 of whom may collude: a pair's wire is known to the two.
           There is no consistency check: a receiver that departs from the protocol can learn bits
           of the sender's secret. Points are validated, because an invalid one would leak a base
           choice.
Rounds     connect 3; random_ot and random_bits 1 for each 2^20 transfers.
Bytes      connect 32 + 4096 + 4096 to each peer; a transfer 16 / depth, from receiver to sender:
           4 with trees of depth 4, 2 with depth 8 (`Seat.depth`).
Source     base: Chou and Orlandi, "The simplest protocol for oblivious transfer", LATINCRYPT 2015,
           figure 1, in the prime-order subgroup of Ed25519. Extension: Roy, "SoftSpokenOT", CRYPTO
           2022, section 3.1, figure 7: small-field VOLE, with the repetition code and without the
           checks against malicious parties (`protocols.kernels.extension`); trees from base OTs:
           Boyle et al., CCS 2019 (`protocols.kernels.tree`).

Base OTs, extension and use are apart: another extension needs other kernels behind `random_ot` and
nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import protocols.kernels.curve
import protocols.kernels.extension
from protocols.abort import Suspected
from protocols.kernels.aes import hash_rows
from protocols.kernels.bits import pack
from protocols.kernels.curve import POINT_BYTES, SCALAR_COINS, valid_points
from protocols.kernels.extension import COUNTER_BITS, DEPTHS, ROW_BITS
from protocols.kernels.tree import grow, regrow
from protocols.party import Compute, Expect, Parties, Party, Protocol, Round, Says, Seat
from protocols.randomness import next_label

__all__ = [
    "ROUNDS",
    "TRANSFERS_MAX",
    "WIDTH_MAX",
    "BitStrings",
    "Strings",
    "Trees",
    "Wire",
    "blocks",
    "connect",
    "random_bits",
    "random_ot",
]

ROUNDS = (
    Says("point", to="one", size="32"),
    Says("points", to="one", size="4096"),
    Says("sums", to="one", size="4096"),
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Octets = npt.NDArray[np.uint8]
TRANSFERS_MAX = 1 << 20  # in one message: 4 MiB, and what a window of work holds
WIDTH_MAX = 8  # bits of a string that `random_bits` keeps: more are cheaper as a whole word
SILENT_TRANSFERS_MIN = 1 << 15  # a first expansion says as much as SoftSpoken for so many
COUNTERS_A_STEP = 1 << 12  # of 128 transfers: what one Compute does, so that cores share a call


@dataclass(frozen=True, slots=True, repr=False)
class Trees:
    """The base correlations with a peer, 128 / depth trees of 2^depth leaves each way.

    secret  uint8 (128,): where this party sends; bit j of tree i stands at depth i + j
    whole   uint64 (trees, 2^depth, 2): where this party receives
    lacking uint64 (trees, 2^depth, 2): where it sends, by distance from the secret; row 0 is zero
    """

    secret: Bits
    whole: Words
    lacking: Words

    def __repr__(self) -> str:
        return "Trees(<redacted>)"


@dataclass(slots=True, repr=False)
class Wire:
    """One end of the base correlations with a peer, for one labelled use.

    A fork has leaves of its own, derived from the base leaves and the path of labels; both ends
    fork the same labels. `sent` and `received` count what this use has spent, in AES counters; only
    this module writes them.
    """

    me: Party
    peer: Party
    trees: Trees
    path: bytes
    sent: int = 0
    received: int = 0
    labels: set[str] = field(default_factory=set)
    derived: dict[str, Octets] = field(default_factory=dict)
    silent: Any = None  # what `protocols.silent` keeps for this use; only it writes there

    def __repr__(self) -> str:
        return f"Wire({self.me} to {self.peer}, <redacted>)"

    def fork(self, label: str) -> Wire:
        """Independent correlations. Raises ValueError when the label was used before."""
        if label in self.labels:
            raise ValueError(f"the wire to {self.peer} labelled {label!r} was used before")
        self.labels.add(label)
        path = hashlib.blake2b(label.encode(), key=self.path, person=b"p2pmpc/wire")
        return Wire(self.me, self.peer, self.trees, path.digest())

    def next_fork(self, label: str) -> Wire:
        """As `fork`, for a use that comes again: "label 1" the first time, and so on."""
        return self.fork(next_label(label, self.labels))

    def whole_leaves(self) -> Octets:
        """(trees, 2^depth, 16): the leaves of this use where this party receives."""
        return self._once("whole", self.trees.whole)

    def lacking_leaves(self) -> Octets:
        """(trees, 2^depth, 16): the leaves of this use where it sends, by distance; 0 unknown."""
        return self._once("lacking", self.trees.lacking)

    def hash_keys(self, sender: Party, words: int) -> Octets:
        """(ceil(words / 2), 16): public keys of the hash for one direction of this use."""
        salt = self.path + sender.encode()
        made = [
            _derive(salt, b"p2pmpc/hash", block.to_bytes(8, "big"))
            for block in range(-(-words // 2))
        ]
        return np.frombuffer(b"".join(made), np.uint8).reshape(-1, 16)

    def _once(self, name: str, leaves: Words) -> Octets:
        if name not in self.derived:
            key = np.frombuffer(_derive(self.path, b"p2pmpc/leaf", b""), np.uint8)
            made = hash_rows(leaves.reshape(-1, 2), key).astype("<u8", copy=False)
            self.derived[name] = made.view(np.uint8).reshape(*leaves.shape[:2], 16)
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


@dataclass(frozen=True, slots=True, repr=False)
class BitStrings:
    """The low bits of random strings of one call, by peer: uint64 (width, count / 64) each.

    Bit b of the string of transfer i is bit i % 64 of word i // 64 in row b. `chosen`, `zeros` and
    `ones` as in `Strings`.
    """

    chosen: Mapping[Party, Words]
    zeros: Mapping[Party, Words]
    ones: Mapping[Party, Words]

    def __repr__(self) -> str:
        return "BitStrings(<redacted>)"


def blocks(count: int, size: int) -> Iterator[slice]:
    """Public slices of at most `size` that cover `count`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


# ---- base OTs ------------------------------------------------------------------------------------


def connect(seat: Seat) -> Protocol[dict[Party, Wire]]:
    """128 base OTs in both directions with every peer, and their trees: the wires of a seat.

    Raises ValueError for a depth that is not 4 or 8; Suspected naming a peer whose point is not in
    the prime-order subgroup, or who uses another depth.
    """
    if seat.depth not in DEPTHS:
        raise ValueError(f"trees of OT extension have depth 4 or 8, not {seat.depth}")
    labels = {
        peer: seat.pair[peer].fork("base oblivious transfers").bytes(32) for peer in seat.peers
    }
    choices = {peer: seat.rand.bits((ROW_BITS,)) for peer in seat.peers}
    keys, pairs = yield from _base(seat, choices, labels)
    known, whole = yield from _give_trees(seat, labels, pairs)
    wires = {}
    for peer in seat.peers:
        grown = _tree_keys(labels[peer], peer)
        lacking, secret = _lacking(known[peer], choices[peer], keys[peer], grown)
        wires[peer] = Wire(seat.me, peer, Trees(secret, whole[peer], lacking), labels[peer])
    return wires


def _base(
    seat: Seat, choices: Mapping[Party, Bits], labels: Mapping[Party, bytes]
) -> Protocol[tuple[dict[Party, Octets], dict[Party, Octets]]]:
    """Figure 1, both ways: keys (128, 32) that the choices chose, pairs (2, 128, 32)."""
    coins = {peer: seat.rand.bytes(SCALAR_COINS) for peer in seat.peers}
    points = yield from _offer(seat, coins)
    made = yield [
        Compute(
            "curve.choose",
            (
                seat.rand.bytes(SCALAR_COINS * ROW_BITS),
                choices[peer],
                points[peer],
                _ordered(labels[peer], peer, seat.me),
            ),
            ROW_BITS,
        )
        for peer in seat.peers
    ]
    chosen = dict(zip(seat.peers, made, strict=True))
    answers = yield from _answer(seat, {peer: chosen[peer][0] for peer in seat.peers})
    pairs = yield [
        Compute(
            "curve.unlock",
            (coins[peer], answers[peer], _ordered(labels[peer], seat.me, peer)),
            ROW_BITS,
        )
        for peer in seat.peers
    ]
    return {p: chosen[p][1] for p in seat.peers}, dict(zip(seat.peers, pairs, strict=True))


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


# ---- trees ---------------------------------------------------------------------------------------


def _give_trees(
    seat: Seat, labels: Mapping[Party, bytes], pairs: Mapping[Party, Octets]
) -> Protocol[tuple[dict[Party, Words], dict[Party, Words]]]:
    """Whole trees of this party's, their sums masked by the pairs; the peers' sums."""
    trees, depth = ROW_BITS // seat.depth, seat.depth
    whole, says = {}, {}
    for peer in seat.peers:
        roots = seat.rand.words((trees, 2))
        leaves, sums = grow(roots, depth, _tree_keys(labels[peer], seat.me))
        whole[peer], says[peer, "sums"] = leaves, sums ^ _masks(pairs[peer], depth)
    expect = Expect("uint64", (trees, depth, 2, 2))
    heard = yield Round(says, {(peer, "sums"): expect for peer in seat.peers})
    return {peer: heard[peer, "sums"] for peer in seat.peers}, whole


def _lacking(masked: Words, choices: Bits, keys: Octets, grown: Octets) -> tuple[Words, Bits]:
    """All leaves but one of each tree, by distance, and the secret that says which.

    A choice takes the sum of the side where the path does not go, so a path is 1 xor choices.
    """
    trees, depth = masked.shape[:2]
    side = (np.uint64(0) - choices.astype(np.uint64)).reshape(trees, depth, 1)
    chosen = masked[:, :, 0] ^ ((masked[:, :, 0] ^ masked[:, :, 1]) & side)
    known = chosen ^ _masks(keys[None], depth)[:, :, 0]
    path = 1 - choices.reshape(trees, depth)
    secret = np.ascontiguousarray(path[:, ::-1]).reshape(ROW_BITS)  # bit 0 of a number is the last
    return regrow(known, path, grown), secret


def _masks(keys: Octets, depth: int) -> Words:
    """(sides, 128, 32) base keys as (trees, depth, sides, 2) words: half of each is enough."""
    words = np.ascontiguousarray(keys[:, :, :16]).view("<u8").astype(np.uint64)
    return np.ascontiguousarray(words.swapaxes(0, 1)).reshape(-1, depth, len(keys), 2)


def _tree_keys(label: bytes, holder: Party) -> Octets:
    """(2, 16): public keys of the doubling step for the trees that one party holds whole."""
    salt = label + holder.encode()
    made = [_derive(salt, b"p2pmpc/tree", bytes([side])) for side in range(2)]
    return np.frombuffer(b"".join(made), np.uint8).reshape(2, 16)


# ---- extension -----------------------------------------------------------------------------------


def random_ot(
    seat: Seat, count: int, words: int, choosing: Mapping[Party, Bits], offering: Parties
) -> Protocol[Strings]:
    """`count` random OTs of strings of `words` words with each peer named.

    choosing  peer: uint8 (count,), this party's choices where it receives
    offering  the peers toward whom this party sends
    Every party of the seat calls with the same count, also one that does neither.
    """
    if _silent(seat, count):
        from protocols import silent

        return (yield from silent.random_ot(seat, silent.LARGE, count, words, choosing, offering))
    packed = {peer: pack(bits) for peer, bits in sorted(choosing.items())}
    made = yield from _extend(seat, _Kept("", words, 0), count, packed, offering)
    return Strings(*({peer: one[:count] for peer, one in table.items()} for table in made))


def random_bits(
    seat: Seat, count: int, width: int, choosing: Mapping[Party, Words], offering: Parties
) -> Protocol[BitStrings]:
    """`count` random OTs, a multiple of 64, of strings of `width` bits, 1 to 8, packed.

    choosing  peer: uint64 (count / 64,), this party's choices where it receives
    offering  the peers toward whom this party sends
    The bits are the low ones of what `random_ot` would give with one word.
    Raises ValueError for another count or width.
    """
    if count % 64 or not 1 <= width <= WIDTH_MAX:
        raise ValueError(f"{count} transfers of {width} bits: whole words of 1 to 8 bits wanted")
    if _silent(seat, count):
        from protocols import silent

        return (yield from silent.random_bits(seat, silent.LARGE, count, width, choosing, offering))
    made = yield from _extend(seat, _Kept("_bits", width, 1), count, choosing, offering)
    return BitStrings(
        *({peer: one[:, : count // 64] for peer, one in table.items()} for table in made)
    )


def _silent(seat: Seat, count: int) -> bool:
    """Whether expansions serve a call: below so many transfers SoftSpoken says and does less."""
    return seat.extension == "silent" and count >= SILENT_TRANSFERS_MIN


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of strings: suffix of the kernels, words or bits, axis of transfers."""

    suffix: str
    size: int
    axis: int

    @property
    def words(self) -> int:
        return self.size if self.axis == 0 else 1

    def joined(self, parts: list[Words]) -> Words:
        shape = (0, self.size) if self.axis == 0 else (self.size, 0)
        empty = np.zeros(shape, dtype=np.uint64)
        return parts[0] if len(parts) == 1 else np.concatenate([empty, *parts], axis=self.axis)


_Tables = tuple[dict[Party, Words], dict[Party, Words], dict[Party, Words]]


def _extend(
    seat: Seat, kept: _Kept, count: int, choosing: Mapping[Party, Words], offering: Parties
) -> Protocol[_Tables]:
    """Window by window: chosen, zeros, ones of each peer, with up to 127 transfers too many."""
    receivers = sorted(choosing)
    parts: tuple[dict[Party, list[Words]], ...] = (
        {peer: [] for peer in receivers},
        {peer: [] for peer in offering},
        {peer: [] for peer in offering},
    )
    for block in blocks(count, TRANSFERS_MAX):
        window = slice(block.start // 64, -(-block.stop // 64))
        bits = {peer: choosing[peer][window] for peer in receivers}
        made = yield from _window(seat, kept, block.stop - block.start, bits, offering)
        for table, new in zip(parts, made, strict=True):
            for peer in table:
                table[peer] += new[peer]
    chosen, zeros, ones = ({p: kept.joined(all_of) for p, all_of in t.items()} for t in parts)
    return chosen, zeros, ones


def _window(
    seat: Seat, kept: _Kept, count: int, choosing: Mapping[Party, Words], offering: Parties
) -> Protocol[tuple[dict[Party, list[Words]], ...]]:
    counters = -(-count // COUNTER_BITS)
    steps = list(blocks(counters, COUNTERS_A_STEP))
    made = iter(
        (
            yield [
                compute
                for peer, bits in choosing.items()
                for compute in _receiving(seat.wires[peer], kept, bits, counters)
            ]
        )
    )
    mine = {peer: [next(made) for _ in steps] for peer in choosing}
    heard = yield Round(
        {(p, "extend"): np.concatenate([said for said, _ in mine[p]]) for p in choosing},
        {
            (p, "extend"): Expect("uint64", (counters, len(seat.wires[p].trees.lacking), 2))
            for p in offering
        },
    )
    made = iter(
        (
            yield [
                compute
                for peer in offering
                for compute in _sending(seat.wires[peer], kept, heard[peer, "extend"])
            ]
        )
    )
    both = {peer: [next(made) for _ in steps] for peer in offering}
    return (
        {peer: [chosen for _, chosen in mine[peer]] for peer in choosing},
        {peer: [zeros for zeros, _ in both[peer]] for peer in offering},
        {peer: [ones for _, ones in both[peer]] for peer in offering},
    )


def _receiving(wire: Wire, kept: _Kept, choices: Words, counters: int) -> list[Compute]:
    padded = np.zeros(2 * counters, dtype=np.uint64)
    padded[: len(choices)] = choices
    keys, leaves = wire.hash_keys(wire.peer, kept.words), wire.whole_leaves()
    start, wire.received = wire.received, wire.received + counters
    return [
        Compute(
            "extension.receive" + kept.suffix,
            (leaves, padded[2 * s.start : 2 * s.stop], start + s.start, keys, kept.size),
            COUNTER_BITS * (s.stop - s.start),
        )
        for s in blocks(counters, COUNTERS_A_STEP)
    ]


def _sending(wire: Wire, kept: _Kept, message: Words) -> list[Compute]:
    keys, mine = wire.hash_keys(wire.me, kept.words), wire.lacking_leaves()
    start, wire.sent = wire.sent, wire.sent + len(message)
    secret = pack(wire.trees.secret)
    return [
        Compute(
            "extension.send" + kept.suffix,
            ((mine, secret), message[s], start + s.start, keys, kept.size),
            COUNTER_BITS * (s.stop - s.start),
        )
        for s in blocks(len(message), COUNTERS_A_STEP)
    ]
