"""The Ed25519 steps of base OTs: batches of scalar multiplications in the prime-order subgroup.

Scalars are reduced from 64 bytes of keystream and multiply unclamped, so that the group law holds
exactly: clamped scalars would not unblind. libsodium does not release a scalar's bits by timing;
the choice between two points is made with masks.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_is_valid_point,
    crypto_core_ed25519_scalar_reduce,
    crypto_core_ed25519_sub,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)

from protocols.kernels.registry import register

__all__ = ["POINT_BYTES", "SCALAR_COINS", "choose", "offer", "unlock", "valid_points"]

Octets = npt.NDArray[np.uint8]
POINT_BYTES = 32
SCALAR_COINS = 64  # bytes of keystream a scalar: reduction leaves a bias below 2^-250


def scalar(coins: bytes) -> bytes:
    """64 bytes of keystream as a scalar of the prime-order subgroup, 32 bytes, not clamped."""
    return crypto_core_ed25519_scalar_reduce(coins)


def offer(coins: bytes) -> Octets:
    """The base sender's point A = aB."""
    return np.frombuffer(crypto_scalarmult_ed25519_base_noclamp(scalar(coins)), np.uint8).copy()


def valid_points(points: Octets) -> bool:
    """Whether all of (m, 32) are canonical points of the prime-order subgroup, not the identity."""
    return all(crypto_core_ed25519_is_valid_point(row.tobytes()) for row in points)


def choose(coins: bytes, choices: Octets, point: Octets, label: bytes) -> tuple[Octets, Octets]:
    """The base receiver: points b_i B + c_i A, and its keys H(..., b_i A): (m, 32) each."""
    offered, count = point.tobytes(), len(choices)
    points, keys = np.empty((count, POINT_BYTES), np.uint8), np.empty((count, 32), np.uint8)
    for i in range(count):
        secret = scalar(coins[SCALAR_COINS * i : SCALAR_COINS * (i + 1)])
        plain = crypto_scalarmult_ed25519_base_noclamp(secret)
        pair = np.frombuffer(plain + crypto_core_ed25519_add(plain, offered), np.uint8)
        mask = np.uint8(0) - choices[i : i + 1]  # 0 or 255
        points[i] = pair[:POINT_BYTES] ^ ((pair[:POINT_BYTES] ^ pair[POINT_BYTES:]) & mask)
        shared = crypto_scalarmult_ed25519_noclamp(secret, offered)
        keys[i] = _key(label, i, offered, points[i].tobytes(), shared)
    return points, keys


def unlock(coins: bytes, points: Octets, label: bytes) -> Octets:
    """The base sender's two keys for each point R_i: H(..., a R_i) and H(..., a R_i - a A)."""
    secret = scalar(coins)
    offered = crypto_scalarmult_ed25519_base_noclamp(secret)
    shift = crypto_scalarmult_ed25519_noclamp(secret, offered)
    keys = np.empty((2, len(points), 32), np.uint8)
    for i, row in enumerate(points):
        point = row.tobytes()
        shared = crypto_scalarmult_ed25519_noclamp(secret, point)
        keys[0, i] = _key(label, i, offered, point, shared)
        keys[1, i] = _key(label, i, offered, point, crypto_core_ed25519_sub(shared, shift))
    return keys


def _key(label: bytes, index: int, offered: bytes, chosen: bytes, shared: bytes) -> Octets:
    state = hashlib.sha256(len(label).to_bytes(8, "big") + label + index.to_bytes(8, "big"))
    state.update(offered + chosen + shared)
    return np.frombuffer(state.digest(), np.uint8)


register("curve.choose", choose, choose, "one base OT")
register("curve.unlock", unlock, unlock, "one base OT")
