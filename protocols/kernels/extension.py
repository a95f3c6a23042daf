"""The local halves of IKNP OT extension, and the hash that turns correlated rows into strings.

Columns are AES-128-CTR keystreams of the base keys; rows are their transposition. The hash is
H_k(x) = AES_k(x) xor x with a public key k for each session, pair of parties, use and block of
output: correlation robust when AES with distinct keys stands for independent permutations (Guo,
Katz, Wang, Yu, "Efficient and secure multiparty computation from fixed-key block ciphers", S&P
2020, section 4), which is what IKNP needs against honest-but-curious parties.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocols.kernels.bits import transpose, transpose_portable
from protocols.kernels.registry import register

__all__ = ["ROW_BITS", "receive", "receive_portable", "send", "send_portable"]

Octets = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
ROW_BITS = 128  # base OTs of one direction, and bits of a correlated row
AES_BYTES = 16
ROWS_IN_CACHE = 1 << 13  # 128 KiB of rows, hashed before they leave the cache


def columns(keys: Octets, start: int, width: int) -> Words:
    """(m, width) words of keystream, one AES key of (m, 16) a row, from counter block `start`."""
    zeros = bytes(8 * width)
    counter = modes.CTR(start.to_bytes(AES_BYTES, "big"))
    flat = np.empty(len(keys) * width + 2, dtype="<u8")  # the cipher wants a block to spare
    for row, key in enumerate(keys):
        target = flat[row * width : (row + 1) * width + 2]
        stream = Cipher(algorithms.AES(key.tobytes()), counter).encryptor()
        stream.update_into(zeros, target.data.cast("B"))
    return flat[:-2].reshape(len(keys), width).astype(np.uint64, copy=False)


def strings(rows: Words, hash_keys: Octets, words: int) -> Words:
    """(n, words) words of H of each correlated row (n, 2), two words a hash key."""
    out = np.empty((len(rows), words), dtype=np.uint64)
    plain = np.ascontiguousarray(rows).astype("<u8", copy=False)
    hashed = np.empty(2 * ROWS_IN_CACHE + 2, dtype="<u8")  # the cipher wants a block to spare
    ciphers = [
        Cipher(algorithms.AES(key.tobytes()), modes.ECB()).encryptor()  # noqa: S305  a permutation
        for key in hash_keys
    ]
    for start in range(0, len(rows), ROWS_IN_CACHE):
        part = plain[start : start + ROWS_IN_CACHE]
        for block, cipher in enumerate(ciphers):
            cipher.update_into(part.data.cast("B"), hashed.data.cast("B"))
            whole = hashed[: 2 * len(part)].reshape(-1, 2)
            take = min(2, words - 2 * block)
            target = out[start : start + len(part), 2 * block : 2 * block + take]
            np.bitwise_xor(whole[:, :take], part[:, :take], out=target)
    return out


def receive(
    keys: Octets, choices: Words, start: int, hash_keys: Octets, words: int
) -> tuple[Words, Words]:
    """The receiver: its message u (128, width) and its chosen strings (64 width, words).

    keys (2, 128, 16): both base keys of each column; choices (width,) words of packed bits
    """
    zero, message = _receiver_columns(keys, choices, start)
    return message, strings(transpose(zero), hash_keys, words)


def receive_portable(
    keys: Octets, choices: Words, start: int, hash_keys: Octets, words: int
) -> tuple[Words, Words]:
    """The twin of `receive` that compiles nothing."""
    zero, message = _receiver_columns(keys, choices, start)
    return message, strings(transpose_portable(zero), hash_keys, words)


def _receiver_columns(keys: Octets, choices: Words, start: int) -> tuple[Words, Words]:
    zero, message = (columns(half, start, len(choices)) for half in keys)
    message ^= zero
    message ^= choices
    return zero, message


def send(
    keys: tuple[Octets, Words], message: Words, start: int, hash_keys: Octets, words: int
) -> tuple[Words, Words]:
    """The sender: both strings of each OT, (64 width, words) each.

    keys     the base keys (128, 16) that the secret, (2,) words of 128 bits, chose; and the secret
    message  (128, width): the receiver's u
    """
    rows = transpose(_sender_columns(keys, message, start))
    return strings(rows, hash_keys, words), strings(rows ^ keys[1], hash_keys, words)


def send_portable(
    keys: tuple[Octets, Words], message: Words, start: int, hash_keys: Octets, words: int
) -> tuple[Words, Words]:
    """The twin of `send` that compiles nothing."""
    rows = transpose_portable(_sender_columns(keys, message, start))
    return strings(rows, hash_keys, words), strings(rows ^ keys[1], hash_keys, words)


def _sender_columns(keys: tuple[Octets, Words], message: Words, start: int) -> Words:
    base, secret = keys
    bits = (secret[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    masks = np.uint64(0) - bits.reshape(ROW_BITS, 1)
    made = columns(base, start, message.shape[1])
    made ^= message & masks
    return made


register("extension.receive", receive, receive_portable, "one OT")
register("extension.send", send, send_portable, "one OT")
