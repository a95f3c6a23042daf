"""A NumPy array as the bytes of one mail: dtype, shape, little-endian words; nothing else.

The elements begin at a multiple of eight bytes, so that an array is read where its mail lies.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from p2pmpc.errors import RemoteError

__all__ = ["decode_array", "encode_array"]

DTYPES = ("<u1", "<u4", "<u8")
AXES_MAX = 4  # rows, columns, words and one to spare
HEAD = struct.Struct("<BB6s")
PADDING = bytes(6)


def encode_array(value: npt.NDArray[Any]) -> bytes:
    """dtype number, number of axes, six zeros, each length in 8 bytes, then the elements."""
    kind = DTYPES.index(f"<u{value.dtype.itemsize}")
    axes = struct.pack(f"<{value.ndim}Q", *value.shape)
    head = HEAD.pack(kind, value.ndim, PADDING)
    return b"".join((head, axes, np.ascontiguousarray(value).data))  # copied once


def decode_array(data: bytes, sender: str, name: str) -> npt.NDArray[Any]:
    """The array again, writable; a bytearray is not copied and belongs to the array then.

    Raises RemoteError naming sender and message.
    """
    try:
        kind, count, padding = HEAD.unpack_from(data)
        dtype = np.dtype(DTYPES[kind])
        if count > AXES_MAX:
            raise ValueError(f"{count} axes")
        if padding != PADDING:
            raise ValueError("six bytes that are not zero")
        shape = struct.unpack_from(f"<{count}Q", data, HEAD.size)
    except (struct.error, IndexError, ValueError) as fault:
        raise RemoteError(f"message {name!r} has no array head: {fault}", member=sender) from None
    start = HEAD.size + 8 * count
    elements = 1
    for length in shape:
        elements *= length
    if elements * dtype.itemsize != len(data) - start:
        raise RemoteError(
            f"message {name!r} says {list(shape)} and holds {len(data) - start} bytes",
            member=sender,
        )
    try:
        array = np.frombuffer(data, dtype=dtype, offset=start).reshape(shape)
    except (ValueError, OverflowError):  # no elements at all, and an axis beyond any memory
        raise RemoteError(f"message {name!r} has an impossible shape", member=sender) from None
    return array.astype(dtype.newbyteorder("="), copy=not array.flags.writeable)
