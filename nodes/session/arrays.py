"""A NumPy array as the bytes of one mail: dtype, shape, little-endian words; nothing else."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from p2pmpc.errors import RemoteError

__all__ = ["decode_array", "encode_array"]

DTYPES = ("<u1", "<u4", "<u8")
AXES_MAX = 4  # rows, columns, words and one to spare
HEAD = struct.Struct("<BB")


def encode_array(value: npt.NDArray[Any]) -> bytes:
    """dtype number, number of axes, each length in 8 bytes, then the elements."""
    kind = DTYPES.index(f"<u{value.dtype.itemsize}")
    axes = struct.pack(f"<{value.ndim}Q", *value.shape)
    return b"".join((HEAD.pack(kind, value.ndim), axes, np.ascontiguousarray(value).tobytes()))


def decode_array(data: bytes, sender: str, name: str) -> npt.NDArray[Any]:
    """The array again, writable and owned. Raises RemoteError naming sender and message."""
    try:
        kind, count = HEAD.unpack_from(data)
        dtype = np.dtype(DTYPES[kind])
        if count > AXES_MAX:
            raise ValueError(f"{count} axes")
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
    return array.astype(dtype.newbyteorder("="))
