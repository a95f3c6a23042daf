"""Coins for protocols: labelled AES-CTR keystreams, one fork a use.

A `Randomness` is a 32-byte key. `fork(label)` derives an independent one; a label is good for one
fork, so that no two uses can share a stream by mistake. Reading (`bytes`, `words`, `bits`)
advances the stream. Two parties that hold the same key and fork the same labels read the same
stream: pairwise masks are made that way.

Derivation is keyed BLAKE2b; the stream is AES-256-CTR with a zero nonce, which is safe because a
key is never used for two streams.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from itertools import count as counting

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

__all__ = ["RAND_BYTES", "Randomness", "next_label"]

RAND_BYTES = 32


def next_label(label: str, used: Container[str]) -> str:
    """The first of "label 1", "label 2" and so on that was not used."""
    return next(name for k in counting(1) if (name := f"{label} {k}") not in used)


class Randomness:
    """A keyed stream of coins. Its repr shows no key."""

    __slots__ = ("_key", "_labels", "_stream")

    def __init__(self, key: bytes) -> None:
        if len(key) != RAND_BYTES:
            raise ValueError(f"a randomness key has {RAND_BYTES} bytes")
        self._key = key
        self._labels: set[str] = set()
        stream_key = hashlib.blake2b(key=key, person=b"p2pmpc/stream", digest_size=32).digest()
        self._stream = Cipher(algorithms.AES(stream_key), modes.CTR(bytes(16))).encryptor()

    def __repr__(self) -> str:
        return "Randomness(<redacted>)"

    def fork(self, label: str) -> Randomness:
        """An independent stream for one use. Raises ValueError when the label was used before."""
        if label in self._labels:
            raise ValueError(f"the coins labelled {label!r} were used before")
        self._labels.add(label)
        derived = hashlib.blake2b(
            label.encode(), key=self._key, person=b"p2pmpc/fork", digest_size=32
        )
        return Randomness(derived.digest())

    def next_fork(self, label: str) -> Randomness:
        """As `fork`, for a use that comes again: "label 1" the first time, and so on."""
        return self.fork(next_label(label, self._labels))

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes of the stream."""
        return self._stream.update(bytes(count))

    def words(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint64]:
        """The next words, uniform in [0, 2^64), little-endian, in an array of this shape."""
        count = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(self.bytes(8 * count), dtype="<u8").reshape(shape).astype(np.uint64)

    def bits(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """The next coins, each 0 or 1, in a uint8 array of this shape."""
        count = int(np.prod(shape, dtype=np.int64))
        packed = np.frombuffer(self.bytes(-(-count // 8)), dtype=np.uint8)
        return np.unpackbits(packed, count=count, bitorder="little").reshape(shape)
