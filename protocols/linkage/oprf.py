"""An oblivious pseudo-random function: blinded Diffie-Hellman (2HashDH) on Ed25519.

    F(k; x, f) = SHAKE-256(salt, f, digest(x), k * P(x, f)),   P(x, f) = map(digest(x)) + C_f

for a key x and a hash function f in {0, 1, 2}. The leader learns F at one f for each of its keys,
the sender (who holds k) learns nothing: it sees exactly N group elements, each uniform.

*Blinding is additive*: the leader says a = P + r B (one fixed-base product), hears k a, and
subtracts r K, K = k B, which it computes while the sender works. r is uniform, so a is uniform in
the prime-order subgroup and a dummy row looks like any other. One list of blinded elements serves
every sender of a pass; each sender has a key of its own.

*One value of f and not three*: C_0, C_1, C_2 are points hashed from fixed labels. From k P(x, f) at
one f a key, the leader cannot find it at another f: that would be one more Diffie-Hellman value
than it was answered (one-more Diffie-Hellman, the digests of the keys being random oracle inputs).
A sender pays one product and three sums for a key instead of three products. Without f the leader
could read the hint of one bin at two keys and learn, from equal tags, that both are the sender's.

*One map is enough*: libsodium's map does not reach the group evenly, and two summed would. But P
itself is never seen by a peer, only behind r; and in the proof a map that can be sampled and
inverted is programmed by rejection as well as an even one.

Against whom: honest but curious parties, any n - 1 of them. A wrong K or answer only spoils the
sender's own links. Points are checked where they arrive: `noclamp` refuses every point outside the
prime-order subgroup, and so does `is_valid_point`.
Rounds 2. Bytes: leader 32 N a pass, sender 32 N + 32. Products: leader 1 and one fixed-base one a
padded row, sender 2 a padded row (~90 us each).
Source: Jarecki, Kiayias, Krawczyk 2014 (2HashDH); Jarecki, Krawczyk, Xu 2021 (additive blinding).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from nacl import bindings
from nacl.exceptions import RuntimeError as SodiumRefusal

from protocols.abort import Suspected
from protocols.kernels.registry import register
from protocols.linkage.hashing import FUNCTIONS
from protocols.party import Compute, Party, Protocol
from protocols.randomness import Randomness

__all__ = [
    "POINT_BYTES",
    "SALT_BYTES",
    "Blinding",
    "SenderKey",
    "blind",
    "evaluate_blinded",
    "evaluate_own",
    "hash_outputs",
    "make_sender_key",
    "mask_products",
    "subtract_masks",
]

POINT_BYTES = 32
SALT_BYTES = 16
SHARD = 1024  # rows of one Compute: a tenth of a second, so that several threads can share a batch

Points = npt.NDArray[np.uint8]
Functions = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, repr=False)
class Blinding:
    """The leader's secret half: scalars uint8 (N, 32), and what it says: points uint8 (N, 32)."""

    scalars: Points
    points: Points


@dataclass(frozen=True, slots=True, repr=False)
class SenderKey:
    """The sender's secret scalar k, and K = k B, which it says."""

    scalar: bytes
    public: bytes


def make_sender_key(rand: Randomness) -> SenderKey:
    """A key for one pair and one pass."""
    scalar = bindings.crypto_core_ed25519_scalar_reduce(rand.bytes(64))
    return SenderKey(scalar, bindings.crypto_scalarmult_ed25519_base_noclamp(scalar))


def blind(digests: Points, functions: Functions, rand: Randomness) -> Protocol[Blinding]:
    """Leader, step 1: a = P(x, f) + r B for digests uint8 (N, 32) and functions int64 (N,)."""
    wide = np.frombuffer(rand.bytes(64 * len(digests)), dtype=np.uint8).reshape(-1, 64)
    scalars = yield from _in_shards("linkage/scalars", (wide,))
    points = yield from _in_shards("linkage/blind", (digests, functions, scalars))
    return Blinding(scalars, points)


def mask_products(blinding: Blinding, public: bytes, sender: Party) -> Protocol[Points]:
    """Leader, while the sender works: r K. Raises Suspected when K is not a valid point."""
    masks = yield from _in_shards("linkage/masks", (blinding.scalars,), public)
    return _valid(masks, sender, "the public key of its OPRF")


def subtract_masks(answers: Points, masks: Points, sender: Party) -> Protocol[Points]:
    """Leader, step 3: k P = k a - r K. Raises Suspected when an answer is not a valid point."""
    points = yield from _in_shards("linkage/unblind", (answers, masks))
    return _valid(points, sender, "an answer of its OPRF")


def evaluate_own(digests: Points, key: SenderKey) -> Protocol[Points]:
    """Sender: k P(x, f) at each of its keys and every f, uint8 (n, 3, 32)."""
    points = yield from _in_shards("linkage/own", (digests,), key.scalar)
    return points.reshape(len(digests), FUNCTIONS, POINT_BYTES)


def evaluate_blinded(points: Points, key: SenderKey, leader: Party) -> Protocol[Points]:
    """Sender, step 2: k a. Raises Suspected when a blinded element is not a valid point."""
    answers = yield from _in_shards("linkage/answers", (points,), key.scalar)
    return _valid(answers, leader, "a blinded key")


def hash_outputs(
    digests: Points, functions: Functions, points: Points, salt: bytes, words: int
) -> Protocol[Words]:
    """F at each row: uint64 (n, words). The salt comes with the hint; another gives another F."""
    hashed = yield from _in_shards("linkage/output", (digests, functions, points), salt, words)
    return hashed.view("<u8").astype(np.uint64)


def _valid(points: Points, peer: Party, what: str) -> Points:
    if not np.all(points.any(axis=1)):
        raise Suspected(peer, f"{what} is not a point of the prime-order group")
    return points


# ---- kernels -------------------------------------------------------------------------------------
# Batches of libsodium calls, which release the GIL. A refused point becomes 32 zero bytes, an
# encoding of a point of order 4 that no honest result has. They are their own portable twins.


def _in_shards(kernel: str, columns: tuple[Any, ...], *constants: Any) -> Protocol[Points]:
    """One batch as Computes of SHARD rows; the results put together again, uint8 (n, bytes)."""
    starts = range(0, len(columns[0]), SHARD)
    results = yield [
        Compute(
            kernel,
            (*(column[start : start + SHARD] for column in columns), *constants),
            min(SHARD, len(columns[0]) - start),
        )
        for start in starts
    ]
    return np.concatenate(results)


def _stack(rows: list[bytes]) -> Points:
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), len(rows[0]))


def _offsets() -> list[bytes]:
    """C_f: points nobody knows a relation between."""
    labels = [b"p2pmpc/linkage/offset/%d" % function for function in range(FUNCTIONS)]
    return [
        bindings.crypto_core_ed25519_from_uniform(hashlib.blake2b(label, digest_size=32).digest())
        for label in labels
    ]


def _map_key(digest: bytes) -> bytes:
    uniform = hashlib.blake2b(digest, digest_size=32, person=b"p2pmpc/map").digest()
    return bindings.crypto_core_ed25519_from_uniform(uniform)


def _scalars(wide: Points) -> Points:
    return _stack([bindings.crypto_core_ed25519_scalar_reduce(row.tobytes()) for row in wide])


def _blind(digests: Points, functions: Functions, scalars: Points) -> Points:
    offsets, add = _offsets(), bindings.crypto_core_ed25519_add
    rows = []
    for digest, function, scalar in zip(digests, functions, scalars, strict=True):
        point = add(_map_key(digest.tobytes()), offsets[function])
        mask = bindings.crypto_scalarmult_ed25519_base_noclamp(scalar.tobytes())
        rows.append(add(point, mask))
    return _stack(rows)


def _own(digests: Points, scalar: bytes) -> Points:
    multiply, add = bindings.crypto_scalarmult_ed25519_noclamp, bindings.crypto_core_ed25519_add
    offsets = [multiply(scalar, offset) for offset in _offsets()]
    rows = []
    for digest in digests:
        point = multiply(scalar, _map_key(digest.tobytes()))
        rows.append(b"".join(add(point, offset) for offset in offsets))
    return _stack(rows)


def _product(scalar: bytes, point: bytes) -> bytes:
    try:
        return bindings.crypto_scalarmult_ed25519_noclamp(scalar, point)
    except SodiumRefusal:
        return bytes(POINT_BYTES)


def _masks(scalars: Points, public: bytes) -> Points:
    return _stack([_product(scalar.tobytes(), public) for scalar in scalars])


def _answers(points: Points, scalar: bytes) -> Points:
    return _stack([_product(scalar, point.tobytes()) for point in points])


def _unblind(answers: Points, masks: Points) -> Points:
    rows = []
    for answer, mask in zip(answers, masks, strict=True):
        point = answer.tobytes()
        valid = bindings.crypto_core_ed25519_is_valid_point(point)
        rows.append(
            bindings.crypto_core_ed25519_sub(point, mask.tobytes()) if valid else bytes(POINT_BYTES)
        )
    return _stack(rows)


def _output(
    digests: Points, functions: Functions, points: Points, salt: bytes, words: int
) -> Points:
    prefix = b"p2pmpc/linkage/output/1" + salt
    rows = zip(digests, functions, points, strict=True)
    return _stack(
        [
            hashlib.shake_256(
                prefix + bytes([function]) + digest.tobytes() + point.tobytes()
            ).digest(8 * words)
            for digest, function, point in rows
        ]
    )


for _name, _kernel in (
    ("scalars", _scalars),
    ("blind", _blind),
    ("own", _own),
    ("masks", _masks),
    ("answers", _answers),
    ("unblind", _unblind),
    ("output", _output),
):
    register(f"linkage/{_name}", _kernel, _kernel, "row")
