"""AES-128 in bulk: keystreams of many keys, the fixed-key hash, the doubling step of GGM trees.

Three versions give the same bytes: `vaes` (VAES on 512-bit vectors), `aesni` (AES-NI, eight blocks
abreast), `portable` (OpenSSL; compiles nothing). The features of the processor that runs decide,
never those of the one that compiled; few blocks take `portable`, which need not load the compiler.

H_k(x) = AES_k(x) xor x with a public key k is correlation robust when AES with distinct keys
stands for independent permutations (Guo, Katz, Wang, Yu, "Efficient and secure multiparty
computation from fixed-key block ciphers", S&P 2020, section 4).

All arrays are little-endian in memory: word 0 of a row is its octets 0 to 7.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

__all__ = [
    "BLOCK_BYTES",
    "VERSIONS",
    "Version",
    "double",
    "expand",
    "hash_rows",
    "host_versions",
    "lanes",
    "schedules",
    "version",
]

Octets = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Lanes = tuple[int, ...]
BLOCK_BYTES = 16
VERSIONS = ("vaes", "aesni", "portable")  # the fastest first
NEEDS = {"vaes": ("aes", "vaes", "avx512f", "avx512bw"), "aesni": ("aes",), "portable": ()}
BLOCKS_A_STEP = {"vaes": 4, "aesni": 1}  # what one AES instruction takes
SMALL_BLOCKS = 1 << 12  # up to here loading the compiler costs more than it saves
ROWS_IN_CACHE = 1 << 13  # 128 KiB of rows


@dataclass(frozen=True, slots=True)
class Version:
    """One way to the same bytes; the signatures are those of the functions of this module."""

    name: str
    expand: Callable[[Octets, int, int], Octets]
    hash_rows: Callable[[Words, Octets], Words]
    double: Callable[[Words, Octets], Words]


def expand(keys: Octets, start: int, blocks: int) -> Octets:
    """AES-128-CTR keystreams: keys (m, 16) to (m, blocks, 16).

    The counter is big-endian, `start` at first; start + blocks must stay below 2^64.
    """
    return _fitting(len(keys) * blocks).expand(keys, start, blocks)


def hash_rows(rows: Words, key: Octets) -> Words:
    """H_k of each row: uint64 (n, 2) and a key uint8 (16,) to uint64 (n, 2)."""
    return _fitting(len(rows)).hash_rows(rows, key)


def double(seeds: Words, keys: Octets) -> Words:
    """The GGM step: seeds uint64 (n, 2), two public keys uint8 (2, 16), to uint64 (n, 2, 2).

    Child b of a seed s is H of s under key b.
    """
    return _fitting(2 * len(seeds)).double(seeds, keys)


def _fitting(blocks: int) -> Version:
    return version("portable" if blocks <= SMALL_BLOCKS else host_versions()[0])


# ---- which version -------------------------------------------------------------------------------


@functools.cache
def host_versions() -> tuple[str, ...]:
    """What this machine can run, the fastest first; `portable` is always among them."""
    flags = _flags()
    return tuple(name for name in VERSIONS if all(flags.get(flag) for flag in NEEDS[name]))


def _flags() -> dict[str, bool]:
    """The features for which the compiler makes code: none where it is told another processor."""
    try:
        import llvmlite.binding
        import numba.core.config
    except ImportError:
        return {}
    told: Any = numba.core.config
    if told.CPU_NAME or told.CPU_FEATURES is not None:
        return {}
    return dict(llvmlite.binding.get_host_cpu_features())


def version(name: str) -> Version:
    """The named version, whatever the sizes: for tests. Raises KeyError for an unknown one."""
    if name == "portable":
        return Version(name, expand_portable, hash_rows_portable, double_portable)
    wide = lanes(name)
    return Version(
        name,
        functools.partial(_expand, wide),
        functools.partial(_hash_rows, wide),
        functools.partial(_double, wide),
    )


def lanes(name: str) -> Lanes:
    """What picks the instructions of a compiled version: see `protocols.kernels.aes_loops`."""
    return (0,) * BLOCKS_A_STEP[name]


# ---- compiled ------------------------------------------------------------------------------------


def schedules(keys: Octets) -> Octets:
    """Round keys of many keys, (m, 16) to (m, 11, 16), by the processor's AES instructions."""
    from protocols.kernels.aes_loops import ROUND_KEYS, schedules_loop

    padded = _padded(keys.reshape(-1, BLOCK_BYTES), 4)
    out = np.empty((len(padded), ROUND_KEYS, BLOCK_BYTES), np.uint8)
    schedules_loop(padded, out)
    return out[: len(keys)]


def _padded(rows: npt.NDArray[np.generic], step: int) -> npt.NDArray[np.generic]:
    """These rows, contiguous, with rows of zeros up to a multiple of `step`."""
    missing = -len(rows) % step
    if missing == 0:
        return np.ascontiguousarray(rows)
    return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)])


def _expand(wide: Lanes, keys: Octets, start: int, blocks: int) -> Octets:
    from protocols.kernels.aes_loops import expand_loop

    counted = -(-blocks // 4) * 4
    out = np.empty((len(keys), counted, BLOCK_BYTES), np.uint8)
    expand_loop(wide, counters(start, counted), schedules(keys), out)
    return out[:, :blocks]


def counters(start: int, blocks: int) -> Words:
    """Counter blocks, big-endian, as rows of two words."""
    assert start >= 0
    assert start + blocks < 1 << 64
    made = np.zeros((blocks, 2), dtype=">u8")
    made[:, 1] = np.uint64(start) + np.arange(blocks, dtype=np.uint64)
    return made.view("<u8").astype(np.uint64, copy=False)


def _hash_rows(wide: Lanes, rows: Words, key: Octets) -> Words:
    from protocols.kernels.aes_loops import hash_loop

    padded = _padded(rows, 32)
    out = np.empty(padded.shape, dtype=np.uint64)
    hash_loop(wide, padded, schedules(key.reshape(1, BLOCK_BYTES)), out)
    return out[: len(rows)]


def _double(wide: Lanes, seeds: Words, keys: Octets) -> Words:
    from protocols.kernels.aes_loops import double_loop

    padded = _padded(seeds, 16)
    out = np.empty((len(padded), 2, 2), dtype=np.uint64)
    double_loop(wide, padded, schedules(keys), out)
    return out[: len(seeds)]


# ---- portable ------------------------------------------------------------------------------------


def expand_portable(keys: Octets, start: int, blocks: int) -> Octets:
    """The twin of `expand` that compiles nothing."""
    zeros, size = bytes(BLOCK_BYTES * blocks), BLOCK_BYTES * blocks
    counter = modes.CTR(start.to_bytes(BLOCK_BYTES, "big"))
    flat = np.empty(len(keys) * size + BLOCK_BYTES, np.uint8)  # the cipher wants a block to spare
    for row, key in enumerate(keys):
        stream = Cipher(algorithms.AES(key.tobytes()), counter).encryptor()
        stream.update_into(zeros, flat[row * size : (row + 1) * size + BLOCK_BYTES].data)
    return flat[:-BLOCK_BYTES].reshape(len(keys), blocks, BLOCK_BYTES)


def hash_rows_portable(rows: Words, key: Octets) -> Words:
    """The twin of `hash_rows` that compiles nothing."""
    plain = np.ascontiguousarray(rows).astype("<u8", copy=False)
    out = np.empty(plain.shape, dtype="<u8")
    hashed = np.empty(2 * ROWS_IN_CACHE + 2, dtype="<u8")  # the cipher wants a block to spare
    cipher = Cipher(
        algorithms.AES(key.tobytes()),
        modes.ECB(),  # noqa: S305  a permutation
    ).encryptor()
    for start in range(0, len(plain), ROWS_IN_CACHE):
        part = plain[start : start + ROWS_IN_CACHE]
        cipher.update_into(part.data.cast("B"), hashed.data.cast("B"))
        np.bitwise_xor(
            hashed[: 2 * len(part)].reshape(-1, 2), part, out=out[start : start + len(part)]
        )
    return out.astype(np.uint64, copy=False)


def double_portable(seeds: Words, keys: Octets) -> Words:
    """The twin of `double` that compiles nothing."""
    return np.stack([hash_rows_portable(seeds, key) for key in keys], axis=1)
