"""Strict bytes: one encoding for each value, and digests with a domain.

Wire messages and log entries are msgspec Structs (array-like MessagePack). Strictness comes from
decoding, encoding again and comparing: a second spelling of the same value is malformed.
"""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Any, TypeVar

import msgspec

from p2pmpc.errors import P2pmpcError, RemoteError

__all__ = ["decode", "decode_text", "digest", "encode", "encode_text", "parse"]

T = TypeVar("T")
_encoder = msgspec.msgpack.Encoder()


@functools.cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """Making one costs fifty times as much as using it."""
    return msgspec.msgpack.Decoder(kind, strict=True)


def encode(value: msgspec.Struct) -> bytes:
    """The one encoding of a Struct."""
    return _encoder.encode(value)


def decode(
    data: bytes | memoryview,
    kind: type[T],
    what: str,
    member: str | None = None,
    error: type[P2pmpcError] = RemoteError,
) -> T:
    """Parse strictly. Raises `error` naming `what` when the bytes are not its one encoding."""
    value = parse(data, kind, what, member, error)
    if _encoder.encode(value) != data:
        raise error(f"{what} is not in its one encoding", member=member)
    return value


def parse(
    data: bytes | memoryview,
    kind: type[T],
    what: str,
    member: str | None = None,
    error: type[P2pmpcError] = RemoteError,
) -> T:
    """Any spelling of the value: the caller compares it with the one encoding. Raises `error`."""
    try:
        value: T = _decoder(kind).decode(data)  # type: ignore[arg-type]  # a class is hashable
    except (msgspec.DecodeError, ValueError) as fault:
        raise error(f"{what} cannot be read: {fault}", member=member) from None
    return value


def digest(domain: str, *parts: bytes) -> bytes:
    """SHA-256 over the domain and the length-prefixed parts: 32 bytes."""
    state = hashlib.sha256()
    for part in (domain.encode(), *parts):
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def encode_text(value: object) -> bytes:
    """The one JSON text of a value: keys sorted, no blanks, UTF-8. Numbers are texts already."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def decode_text(data: bytes, bytes_max: int, what: str) -> object:
    """Parse what `encode_text` wrote. Raises RemoteError naming `what` for any other spelling."""
    if len(data) > bytes_max:
        raise RemoteError(f"{what} is longer than {bytes_max} bytes")
    try:
        value: object = json.loads(data)
        same = encode_text(value) == data
    except (ValueError, RecursionError):
        raise RemoteError(f"{what} cannot be read: it is not JSON") from None
    if not same:
        raise RemoteError(f"{what} is not in its one encoding")
    return value
