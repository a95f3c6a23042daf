"""A programmable OPRF: the leader's bins and the sender's tags agree exactly on common keys.

The sender draws for each bin b a tag t_b and a payload mask w_b. It programs, for each of its keys
x and each candidate bin b of x under function f, an OKVS row

    row = F(x, f)[:4],   value = (t_b || features(x) - w_b) XOR F(x, f)[4:].

The leader holds at most one key in each bin, and F for that key at that bin's f alone: it reads y_b
and its payload share; the sender keeps t_b and w_b. y_b = t_b and the shares add up to the features
when the bin's key is the sender's; otherwise what the leader reads is random (equal by chance with
probability 2^-64 a bin). Nobody learns which: that is the business of `comparison.equal_words`.

Both sets are padded to their public classes with random rows that are worked on like all others, so
that messages, and the work, depend on the classes alone. The hint is uniform (see `okvs`).

Against whom: honest but curious, any n - 1 of the parties.
Rounds 6, and one more for every 16 MiB of a message; only two wait for the other side's work: the
sender's public key and the leader's seed and blinded keys go out first, its answers and hint last.
Bytes for leader's class N, sender's class M, k = 1 + payload words a row:
leader 32 N + 16; sender 32 + 32 N + 16 + 8 k (1.27 * 3 M + 43).
Source: PSTY19 (Pinkas, Schneider, Tkachenko, Yanai), RS21 (Rindal, Schoppmann), RR22 (the OKVS).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from protocols.exchange import exchange
from protocols.linkage.hashing import (
    DIGEST_BYTES,
    FUNCTIONS,
    SEED_BYTES,
    bins_of,
    candidate_bins,
    digest_keys,
    place_keys,
)
from protocols.linkage.okvs import ROW_WORDS, shape_of
from protocols.linkage.oprf import (
    POINT_BYTES,
    SALT_BYTES,
    Blinding,
    blind,
    evaluate_blinded,
    evaluate_own,
    hash_outputs,
    make_sender_key,
    mask_products,
    subtract_masks,
)
from protocols.party import ONE, Compute, Expect, Party, Protocol, Round, Says, Seat
from protocols.randomness import Randomness
from protocols.ring import Ring

__all__ = [
    "ROUNDS",
    "LeaderTable",
    "Programmed",
    "SenderRows",
    "lead_table",
    "opprf_leader",
    "opprf_sender",
]

TRIES_MAX = (
    8  # of a cuckoo seed or an OKVS salt, each of which fails with probability 2^-40 or less
)

ROUNDS = (
    Says("public", to=ONE, size="32"),
    Says("seed", to=ONE, size="16"),
    Says("blinded", to=ONE, size="32 N, at most 16 MiB"),
    Says("salt", to=ONE, size="16"),
    Says("answers", to=ONE, size="32 N, at most 16 MiB"),
    Says("hint", to=ONE, size="8 k columns(3 M), at most 16 MiB"),
)

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Indexes = npt.NDArray[np.int64]
SenderRows: TypeAlias = tuple[list[bytes], Words]


@dataclass(frozen=True, slots=True, repr=False)
class LeaderTable:
    """The leader's keys of one pass in their bins, padded and blinded: secret, its own.

    bins        int64 (n,): the bin of each key, in the order the keys were given
    digests     uint8 (N, 32) and functions int64 (N,): keys, then dummies
    """

    seed: bytes
    bins: Indexes
    digests: Bytes
    functions: Indexes
    blinding: Blinding


@dataclass(frozen=True, slots=True, repr=False)
class Programmed:
    """One party's end: tags uint64 (B,) and payload share uint64 (B, c, w), to be added."""

    tags: Words
    payload: Words


def lead_table(keys: Sequence[bytes], size: int, rand: Randomness) -> Protocol[LeaderTable]:
    """Leader: one pass's distinct keys, placed and blinded once for all senders. Local.

    Raises ValueError when there are more keys than the class allows or a key appears twice.
    """
    digests = _padded(keys, size, rand.fork("dummies"))
    seed, candidates, choice = _seeded(digests[: len(keys)], bins_of(size), rand.fork("seed"))
    functions = np.arange(size, dtype=np.int64) % FUNCTIONS
    functions[: len(keys)] = choice
    bins = candidates[np.arange(len(keys)), choice]
    blinding = yield from blind(digests, functions, rand.fork("blind"))
    return LeaderTable(seed, bins, digests, functions, blinding)


def opprf_leader(
    seat: Seat, sender: Party, table: LeaderTable, sizes: tuple[int, int], cell: tuple[int, int]
) -> Protocol[Programmed]:
    """Leader's end. sizes = (its class, the sender's); cell = (features c, words w) of a row.

    Raises Suspected when a message has not the size or a point not the group that it must have.
    """
    (size, theirs), width = sizes, 1 + cell[0] * cell[1]
    shape = shape_of(FUNCTIONS * theirs)
    heard = yield Round(hears={(sender, "public"): Expect("uint8", (POINT_BYTES,))})
    public = heard[sender, "public"].tobytes()
    yield Round({(sender, "seed"): np.frombuffer(table.seed, np.uint8)})
    points = Expect("uint8", (size, POINT_BYTES))
    yield from exchange("blinded", {sender: table.blinding.points}, (), points)
    masks = yield from mask_products(table.blinding, public, sender)
    heard = yield Round(hears={(sender, "salt"): Expect("uint8", (SALT_BYTES,))})
    salt = heard[sender, "salt"].tobytes()
    answers = yield from exchange("answers", {}, (sender,), points)
    hints = yield from exchange("hint", {}, (sender,), Expect("uint64", (shape.columns, width)))
    found = yield from subtract_masks(answers[sender], masks, sender)
    outputs = yield from hash_outputs(
        table.digests, table.functions, found, salt, ROW_WORDS + width
    )
    hint = hints[sender]
    rows = (shape, outputs[:, :ROW_WORDS], hint)
    [decoded] = yield [Compute("linkage/decode", rows, size)]
    values = decoded ^ outputs[:, ROW_WORDS:]
    bins = bins_of(size)
    filled = seat.rand.words((bins, width))  # an empty bin holds coins
    filled[table.bins] = values[: len(table.bins)]
    return Programmed(filled[:, 0].copy(), filled[:, 1:].reshape(bins, *cell))


def opprf_sender(
    seat: Seat, leader: Party, rows: SenderRows, ring: Ring, sizes: tuple[int, int]
) -> Protocol[Programmed]:
    """Sender's end. rows: distinct keys, and their features uint64 (n, c, w), ring elements.

    sizes = (the leader's class, its own). Raises ValueError for more keys than its class allows,
    Suspected when a message has not the size or a point not the group that it must have.
    """
    keys, features = rows
    size, own = sizes
    bins, key = bins_of(size), make_sender_key(seat.rand.fork("key"))
    digests = _padded(keys, own, seat.rand.fork("dummies"))
    yield Round({(leader, "public"): np.frombuffer(key.public, np.uint8)})
    products = yield from evaluate_own(digests, key)
    heard = yield Round(hears={(leader, "seed"): Expect("uint8", (SEED_BYTES,))})
    candidates = candidate_bins(digests, heard[leader, "seed"].tobytes(), bins)
    points = Expect("uint8", (size, POINT_BYTES))
    blinded = yield from exchange("blinded", {}, (leader,), points)
    answers = yield from evaluate_blinded(blinded[leader], key, leader)
    tags = seat.rand.fork("tags").words((bins,))
    masks = seat.rand.fork("masks").words((bins, *features.shape[1:]))
    values = _programme(candidates, tags, masks, features, ring)
    salt, hint = yield from _hint(digests, products, values, seat.rand.fork("hint"))
    yield Round({(leader, "salt"): np.frombuffer(salt, np.uint8)})
    yield from exchange("answers", {leader: answers}, (), points)
    yield from exchange("hint", {leader: hint}, (), Expect("uint64", hint.shape))
    return Programmed(tags, masks)


def _padded(keys: Sequence[bytes], size: int, rand: Randomness) -> Bytes:
    """uint8 (size, 32): the keys' digests, then dummies that no key of anyone equals."""
    if len(keys) > size or len(set(keys)) != len(keys):
        raise ValueError(f"a pass takes at most {size} keys, each once; here are {len(keys)}")
    dummies = np.frombuffer(rand.bytes(DIGEST_BYTES * (size - len(keys))), dtype=np.uint8)
    return np.concatenate([digest_keys(keys), dummies.reshape(-1, DIGEST_BYTES)])


def _seeded(digests: Bytes, bins: int, rand: Randomness) -> tuple[bytes, Indexes, Indexes]:
    for _ in range(TRIES_MAX):
        seed = rand.bytes(SEED_BYTES)
        candidates = candidate_bins(digests, seed, bins)
        choice = place_keys(candidates, bins)
        if choice is not None:
            return seed, candidates, choice
    raise AssertionError("no cuckoo seed placed distinct keys: chance below 2^-320")


def _programme(
    candidates: Indexes, tags: Words, masks: Words, features: Words, ring: Ring
) -> Words:
    """(t_b || features - w_b) for each row and function: uint64 (n, 3, 1 + c w); dummies too."""
    rows = len(candidates)
    padded = np.zeros((rows, *features.shape[1:]), dtype=np.uint64)
    padded[: len(features)] = features
    spread = np.repeat(padded[:, None], FUNCTIONS, axis=1)
    payload = ring.sub(spread, masks[candidates]).reshape(rows, FUNCTIONS, masks[0].size)
    return np.concatenate([tags[candidates][:, :, None], payload], axis=2)


def _hint(
    digests: Bytes, points: Bytes, values: Words, rand: Randomness
) -> Protocol[tuple[bytes, Words]]:
    """The salt and the OKVS of all rows and functions: uint64 (columns, 1 + c w)."""
    rows, width = len(digests), values.shape[-1]
    shape = shape_of(FUNCTIONS * rows)
    free = rand.words((shape.columns, width))
    functions = np.tile(np.arange(FUNCTIONS, dtype=np.int64), rows)
    spread = np.repeat(digests, FUNCTIONS, axis=0)
    flat = points.reshape(-1, POINT_BYTES)
    for _ in range(TRIES_MAX):
        salt = rand.bytes(SALT_BYTES)
        outputs = yield from hash_outputs(spread, functions, flat, salt, ROW_WORDS + width)
        masked = values.reshape(-1, width) ^ outputs[:, ROW_WORDS:]
        work = (shape, outputs[:, :ROW_WORDS], masked, free)
        [table] = yield [Compute("linkage/encode", work, len(outputs))]
        if table is not None:
            return salt, table
    raise AssertionError("no salt gave independent rows: chance 2^-320")
