"""The local halves of silent OT: correlated GGM trees, and the code that compresses their leaves.

A correlated tree of depth d has 2^d leaves whose xor is the sender's secret D. Children of a node x
are H(x) and H(x) xor x with H(x) = AES_k(s(x)) xor s(x), s(a, b) = (a xor b, a); so the xor of a
whole level is D at every level. Who holds, at each level, the sum of the side where its path does
not go, knows all leaves but the one at its place, and that one as the xor of the others: the
sender's leaf xor D (Guo, Yang, Wang, Zhang, Xie, Liu, Zhao, "Half-tree", EUROCRYPT 2023). Bit 0 of
D is one; it carries the noise: 0 at the sender, at the receiver 1 where the place is. Leaves of all
trees lie interleaved: leaf x of tree b stands at x * trees + b.

The code is expand-accumulate (Boyle, Couteau, Gilboa, Ishai, Kohl, Resch, Scholl, CRYPTO 2022): the
running xor over all positions, then for each output row the xor of `weight` of them, one drawn
uniformly from each of as many regions of equal size. The draws are AES_k(x) xor x of the number of
two rows and of four regions, under a fixed public key k. Four regions at a time are read, so that
the reads stay in a core's cache.

Every function gives the same bytes compiled or not: `Loops` holds the steps that differ.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.kernels import aes
from protocols.kernels.bits import slice_words, unpack
from protocols.kernels.registry import register

__all__ = [
    "PORTABLE",
    "Code",
    "Loops",
    "compiled_steps",
    "compress",
    "compress_portable",
    "graft",
    "graft_portable",
    "plant",
    "plant_portable",
    "receive",
    "receive_bits",
    "receive_bits_portable",
    "receive_portable",
    "send",
    "send_bits",
    "send_bits_portable",
    "send_portable",
    "warm",
]

Octets = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Sender = tuple[Words, Words]
REGIONS_ABREAST = 4  # one word holds a row's draws of four regions
REGION_BITS_MAX = 16
ROWS_A_STEP = 1 << 14  # rows whose hashes stay in the cache
NODES_A_STEP = 1 << 13  # 128 KiB of nodes
LOW = np.uint64(1)
ALL_BUT_LOW = np.uint64(0xFFFFFFFFFFFFFFFE)


@dataclass(frozen=True, slots=True)
class Code:
    """Public sizes of an expansion. Raises ValueError for sizes that do not fit each other.

    weight       regions, and positions that a row takes: a multiple of four
    region_bits  a region has 2^region_bits positions, at most 2^16
    trees        each 2^depth leaves, all of them one position: one noisy place a tree
    row_bits     2^row_bits output rows
    """

    weight: int
    region_bits: int
    trees: int
    depth: int
    row_bits: int

    def __post_init__(self) -> None:
        if self.weight < REGIONS_ABREAST or self.weight % REGIONS_ABREAST:
            raise ValueError(f"a row takes a multiple of four positions, not {self.weight}")
        if not 1 <= self.region_bits <= REGION_BITS_MAX:
            raise ValueError(f"a region has 2 to 2^16 positions, not 2^{self.region_bits}")
        if self.trees < 1 or self.depth < 2 or self.trees << self.depth != self.positions:
            raise ValueError("the leaves of all trees must be as many as the positions")
        if self.row_bits < 1 or not self.base < self.rows < self.positions:
            raise ValueError("rows must be fewer than positions and more than an expansion uses")

    @property
    def positions(self) -> int:
        """Leaves of all trees together."""
        return self.weight << self.region_bits

    @property
    def rows(self) -> int:
        """Correlations that come out."""
        return 1 << self.row_bits

    @property
    def base(self) -> int:
        """Correlations that an expansion uses up."""
        return self.trees * self.depth

    @property
    def fresh(self) -> int:
        """What an expansion yields in whole words of 64, but for what the next one uses up."""
        return (self.rows - self.base) // 64 * 64

    def key(self) -> Octets:
        """(16,): the public key of the draws, the same for all who use this code."""
        text = (
            f"p2pmpc silent code 1: {self.weight} {self.region_bits} {self.trees} {self.depth}"
            f" {self.row_bits}"
        )
        return np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], np.uint8)


@dataclass(frozen=True, slots=True)
class Loops:
    """The steps of which there is a compiled version: see `protocols.kernels.silent_loops`."""

    grow: Callable[[Octets, Words, Words, Words], None]
    mend: Callable[[Words, int, Words, Words, Words], None]
    accumulate: Callable[[Words], None]
    compress: Callable[[Octets, Words, int, int, Words], None]
    slice_low: Callable[[Words, Words], None]
    move: Callable[[Words, Words, Words, Words], None]
    hash_rows: Callable[[Words, Octets], Words]


# ---- trees ---------------------------------------------------------------------------------------


def plant(delta: Words, roots: Words, base: Words, key: Octets) -> tuple[Words, Words]:
    """The sender: its message (depth, trees, 2) and its accumulated leaves (positions, 2).

    delta  (2,), bit 0 set;  roots (trees, 2): coins;  key (16,): public, for this expansion
    base   (depth, trees, 2): the sender's ends of as many correlations
    """
    return _plant(compiled_steps(), delta, roots, base, key)


def plant_portable(delta: Words, roots: Words, base: Words, key: Octets) -> tuple[Words, Words]:
    """The twin of `plant` that compiles nothing."""
    return _plant(PORTABLE, delta, roots, base, key)


def _plant(
    loops: Loops, delta: Words, roots: Words, base: Words, key: Octets
) -> tuple[Words, Words]:
    depth, trees = base.shape[:2]
    nodes = np.empty((1 << depth, trees, 2), dtype=np.uint64)
    nodes[0], nodes[1] = roots, roots ^ delta
    message = base.copy()
    message[0] ^= roots
    for level in range(1, depth):
        message[level] ^= _level(loops, nodes, 1 << level, key, None)
    rows = nodes.reshape(-1, 2)
    rows[:, 0] &= ALL_BUT_LOW
    loops.accumulate(rows)
    return message, rows


def graft(base: Words, message: Words, key: Octets) -> Words:
    """The receiver: its accumulated leaves (positions, 2).

    base     (depth, trees, 2): the receiver's ends; bit 0 of a row is 1 xor a bit of the place
    message  (depth, trees, 2): the sender's
    """
    return _graft(compiled_steps(), base, message, key)


def graft_portable(base: Words, message: Words, key: Octets) -> Words:
    """The twin of `graft` that compiles nothing."""
    return _graft(PORTABLE, base, message, key)


def _graft(loops: Loops, base: Words, message: Words, key: Octets) -> Words:
    depth, trees = base.shape[:2]
    sides = base[:, :, 0] & LOW  # the side of which the sum is known
    known = base ^ message
    nodes = np.zeros((1 << depth, trees, 2), dtype=np.uint64)
    places = sides[0] ^ LOW
    onto, beside, total = np.zeros_like(known[0]), known[0], known[0]
    blank = aes.hash_rows_portable(
        np.zeros((1, 2), np.uint64), key
    )  # both children of an unknown node
    for level in range(1, depth):
        left = _level(loops, nodes, 1 << level, key, (places, onto, beside))
        mask = np.uint64(0) - sides[level][:, None]
        sibling = known[level] ^ left ^ blank ^ (total & mask)
        total = total ^ sibling
        places = (places << LOW) | (sides[level] ^ LOW)
        onto, beside = np.repeat(blank, trees, axis=0), blank ^ sibling
    rows = nodes.reshape(-1, 2)
    onto = onto ^ total
    onto[:, 0] |= LOW
    beside[:, 0] &= ALL_BUT_LOW
    rows[:, 0] &= ALL_BUT_LOW
    for first, last in _steps(len(nodes), nodes.shape[1]):
        loops.mend(nodes[first:last], first, places, onto, beside)
    loops.accumulate(rows)
    return rows


def _level(
    loops: Loops,
    nodes: Words,
    count: int,
    key: Octets,
    missing: tuple[Words, Words, Words] | None,
) -> Words:
    """The first `count` nodes of each tree to twice as many, in place; the xor of left children."""
    left = np.zeros(nodes.shape[1:], dtype=np.uint64)
    for first, last in reversed(_steps(count, nodes.shape[1])):
        parents = nodes[first:last].copy()
        if missing is not None:
            loops.mend(parents, first, *missing)
        loops.grow(key, parents, nodes[2 * first : 2 * last], left)
    return left


def _steps(count: int, trees: int) -> list[tuple[int, int]]:
    size = max(1, NODES_A_STEP // trees)
    return [(start, min(start + size, count)) for start in range(0, count, size)]


# ---- code ----------------------------------------------------------------------------------------


def compress(positions: Words, code: Code, start: int, stop: int) -> Words:
    """Output rows start to stop, (stop - start, 2), of accumulated leaves; both are even."""
    return _compress(compiled_steps(), positions, code, start, stop)


def compress_portable(positions: Words, code: Code, start: int, stop: int) -> Words:
    """The twin of `compress` that compiles nothing."""
    return _compress(PORTABLE, positions, code, start, stop)


def _compress(loops: Loops, positions: Words, code: Code, start: int, stop: int) -> Words:
    regions = positions.reshape(code.weight, -1, 2)
    out = np.zeros((stop - start, 2), dtype=np.uint64)
    for group in range(code.weight // REGIONS_ABREAST):
        part = regions[REGIONS_ABREAST * group : REGIONS_ABREAST * (group + 1)]
        loops.compress(code.key(), part, group, start, out)
    return out


# ---- strings -------------------------------------------------------------------------------------


def receive(rows: Words, choices: Words, hash_keys: Octets, words: int) -> tuple[Words, Words]:
    """The receiver: its message (n / 64,) and its chosen strings (n, words).

    rows     (n, 2): its ends of correlations, n a multiple of 64
    choices  (n / 64,) words of packed bits
    """
    return _receive(compiled_steps(), WHOLE, rows, choices, hash_keys, words)


def receive_portable(
    rows: Words, choices: Words, hash_keys: Octets, words: int
) -> tuple[Words, Words]:
    """The twin of `receive` that compiles nothing."""
    return _receive(PORTABLE, WHOLE, rows, choices, hash_keys, words)


def receive_bits(rows: Words, choices: Words, hash_keys: Octets, width: int) -> tuple[Words, Words]:
    """As `receive`, and of each string the low `width` bits: (width, n / 64) packed words."""
    return _receive(compiled_steps(), LOW_BITS, rows, choices, hash_keys, width)


def receive_bits_portable(
    rows: Words, choices: Words, hash_keys: Octets, width: int
) -> tuple[Words, Words]:
    """The twin of `receive_bits` that compiles nothing."""
    return _receive(PORTABLE, LOW_BITS, rows, choices, hash_keys, width)


def send(sender: Sender, flips: Words, hash_keys: Octets, words: int) -> tuple[Words, Words]:
    """The sender: both strings of each transfer, (n, words) each.

    sender  its ends of correlations (n, 2) and its secret (2,)
    flips   (n / 64,): the receiver's message
    """
    return _send(compiled_steps(), WHOLE, sender, flips, hash_keys, words)


def send_portable(
    sender: Sender, flips: Words, hash_keys: Octets, words: int
) -> tuple[Words, Words]:
    """The twin of `send` that compiles nothing."""
    return _send(PORTABLE, WHOLE, sender, flips, hash_keys, words)


def send_bits(sender: Sender, flips: Words, hash_keys: Octets, width: int) -> tuple[Words, Words]:
    """As `send`, and of each string the low `width` bits: (width, n / 64) packed words."""
    return _send(compiled_steps(), LOW_BITS, sender, flips, hash_keys, width)


def send_bits_portable(
    sender: Sender, flips: Words, hash_keys: Octets, width: int
) -> tuple[Words, Words]:
    """The twin of `send_bits` that compiles nothing."""
    return _send(PORTABLE, LOW_BITS, sender, flips, hash_keys, width)


def _receive(
    loops: Loops, kept: Kept, rows: Words, choices: Words, hash_keys: Octets, size: int
) -> tuple[Words, Words]:
    flips = np.empty((1, len(choices)), dtype=np.uint64)
    loops.slice_low(rows, flips)
    flips[0] ^= choices
    out = kept.room(len(rows), size)
    for first in range(0, len(rows), ROWS_A_STEP):
        kept.put(loops, rows[first : first + ROWS_A_STEP], hash_keys, out, first)
    return flips.reshape(-1), out


def _send(
    loops: Loops, kept: Kept, sender: Sender, flips: Words, hash_keys: Octets, size: int
) -> tuple[Words, Words]:
    rows, delta = sender
    zeros, ones = kept.room(len(rows), size), kept.room(len(rows), size)
    room = np.empty((min(ROWS_A_STEP, len(rows)), 2), dtype=np.uint64)
    for first in range(0, len(rows), ROWS_A_STEP):
        part = rows[first : first + ROWS_A_STEP]
        moved, bits = room[: len(part)], flips[first // 64 : (first + len(part)) // 64]
        for out, turned in ((zeros, bits), (ones, ~bits)):
            loops.move(part, delta, turned, moved)
            kept.put(loops, moved, hash_keys, out, first)
    return zeros, ones


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of strings: room for those of so many rows, and how a part is put there."""

    room: Callable[[int, int], Words]
    put: Callable[[Loops, Words, Octets, Words, int], None]


def _whole_room(rows: int, words: int) -> Words:
    return np.empty((rows, words), dtype=np.uint64)


def _put_whole(loops: Loops, rows: Words, hash_keys: Octets, out: Words, first: int) -> None:
    for block, key in enumerate(hash_keys):
        made = out[first : first + len(rows), 2 * block : 2 * block + 2]
        made[:] = loops.hash_rows(rows, key)[:, : made.shape[1]]


def _low_room(rows: int, width: int) -> Words:
    return np.empty((width, rows // 64), dtype=np.uint64)


def _put_low(loops: Loops, rows: Words, hash_keys: Octets, out: Words, first: int) -> None:
    hashed = loops.hash_rows(rows, hash_keys[0])
    loops.slice_low(hashed, out[:, first // 64 : (first + len(rows)) // 64])


WHOLE, LOW_BITS = Kept(_whole_room, _put_whole), Kept(_low_room, _put_low)


# ---- steps ---------------------------------------------------------------------------------------


def _grow(key: Octets, parents: Words, out: Words, left: Words) -> None:
    turned = np.stack([parents[:, :, 0] ^ parents[:, :, 1], parents[:, :, 0]], axis=2)
    hashed = aes.hash_rows_portable(turned.reshape(-1, 2), key).reshape(parents.shape)
    out[0::2] = hashed
    np.bitwise_xor(hashed, parents, out=out[1::2])
    left ^= np.bitwise_xor.reduce(hashed, axis=0)


def _mend(nodes: Words, first: int, places: Words, onto: Words, beside: Words) -> None:
    away = np.arange(first, first + len(nodes), dtype=np.uint64)[:, None] ^ places
    for distance, change in ((0, onto), (1, beside)):
        mask = np.uint64(0) - (away == np.uint64(distance)).astype(np.uint64)
        nodes ^= mask[:, :, None] & change


def _accumulate(rows: Words) -> None:
    np.bitwise_xor.accumulate(rows, axis=0, out=rows)


def _draw_and_xor(key: Octets, regions: Words, group: int, first: int, out: Words) -> None:
    numbers = np.full((len(out) // 2, 2), group, dtype=np.uint64)
    numbers[:, 0] = np.arange(first // 2, (first + len(out)) // 2, dtype=np.uint64)
    picks = aes.hash_rows_portable(numbers, key).reshape(-1)
    mask = np.uint64(regions.shape[1] - 1)
    for number, region in enumerate(regions):
        out ^= region[(picks >> np.uint64(16 * number)) & mask]


def _slice_low(rows: Words, out: Words) -> None:
    out[:] = slice_words(rows[:, 0], len(out))


def _move(rows: Words, delta: Words, flips: Words, out: Words) -> None:
    masks = np.uint64(0) - unpack(flips, len(rows)).astype(np.uint64)
    np.bitwise_xor(rows, masks[:, None] & delta, out=out)


PORTABLE = Loops(
    _grow, _mend, _accumulate, _draw_and_xor, _slice_low, _move, aes.hash_rows_portable
)


@functools.cache
def compiled_steps() -> Loops:
    """The loops for this machine: those of `PORTABLE` where it has no AES or no compiler."""
    name = aes.host_versions()[0]
    if name == "portable":
        return PORTABLE
    from protocols.kernels import silent_loops as loops

    wide = aes.lanes(name)

    def grow(key: Octets, parents: Words, out: Words, left: Words) -> None:
        loops.grow(wide, _schedule(key), parents, out, left)

    def compress(key: Octets, regions: Words, group: int, first: int, out: Words) -> None:
        loops.compress(wide, _schedule(key), regions, group, first, out)

    return Loops(
        grow, loops.mend, loops.accumulate, compress, loops.slice_low, loops.move, aes.hash_rows
    )


def warm() -> None:
    """Run every step once, on a small code."""
    code, key = Code(4, 8, 16, 6, 9), np.zeros(16, np.uint8)
    base = np.zeros((code.depth, code.trees, 2), np.uint64)
    _, leaves = plant(base[0, 0], base[0], base, key)
    rows = compress(graft(base, base, key), code, 0, code.rows)
    assert leaves.shape == (code.positions, 2)
    flips = np.zeros(code.rows // 64, np.uint64)
    receive_bits(rows, flips, key.reshape(1, -1), 1)
    send_bits((rows, base[0, 0]), flips, key.reshape(1, -1), 1)


def _schedule(key: Octets) -> Octets:
    return aes.schedules(key.reshape(1, -1))


register("silent.plant", plant, plant_portable, "one leaf")
register("silent.graft", graft, graft_portable, "one leaf")
register("silent.compress", compress, compress_portable, "one correlation")
register("silent.receive", receive, receive_portable, "one OT")
register("silent.receive_bits", receive_bits, receive_bits_portable, "one OT")
register("silent.send", send, send_portable, "one OT")
register("silent.send_bits", send_bits, send_bits_portable, "one OT")
