"""Strict bytes: one encoding for each value, and digests with a domain.

Wire messages and log entries are msgspec Structs (array-like MessagePack). Strictness comes from
decoding, encoding again and comparing: a second spelling of the same value is malformed.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

from p2pmpc.errors import RemoteError

__all__ = ["decode", "digest", "encode"]

T = TypeVar("T")
_encoder = msgspec.msgpack.Encoder()


def encode(value: msgspec.Struct) -> bytes:
    """The one encoding of a Struct."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[T], what: str, member: str | None = None) -> T:
    """Parse strictly. Raises RemoteError naming `what` when the bytes are not its one encoding."""
    try:
        value: T = msgspec.msgpack.decode(data, type=kind, strict=True)
    except (msgspec.DecodeError, ValueError) as fault:
        raise RemoteError(f"{what} cannot be read: {fault}", member=member) from None
    if _encoder.encode(value) != data:
        raise RemoteError(f"{what} is not in its one encoding", member=member)
    return value


def digest(domain: str, *parts: bytes) -> bytes:
    """SHA-256 over the domain and the length-prefixed parts: 32 bytes."""
    state = hashlib.sha256()
    for part in (domain.encode(), *parts):
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()
