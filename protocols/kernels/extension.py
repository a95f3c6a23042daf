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


def columns(keys: Octets, start: int, width: int) -> Words:
    """(m, width) words of keystream, one AES key of (m, 16) a row, from counter block `start`."""
    zeros = bytes(8 * width)
    counter = modes.CTR(start.to_bytes(AES_BYTES, "big"))
    out = np.empty((len(keys), width), dtype=np.uint64)
    for row, key in enumerate(keys):
        stream = Cipher(algorithms.AES(key.tobytes()), counter).encryptor().update(zeros)
        out[row] = np.frombuffer(stream, dtype="<u8")
    return out


def strings(rows: Words, hash_keys: Octets, words: int) -> Words:
    """(n, words) words of H of each correlated row (n, 2), two words a hash key."""
    data = np.ascontiguousarray(rows).astype("<u8", copy=False).tobytes()
    out = np.empty((len(rows), words), dtype=np.uint64)
    for block, key in enumerate(hash_keys):
        cipher = Cipher(algorithms.AES(key.tobytes()), modes.ECB())  # noqa: S305  a permutation
        hashed = np.frombuffer(cipher.encryptor().update(data), dtype="<u8").reshape(-1, 2) ^ rows
        first = 2 * block
        out[:, first : first + 2] = hashed[:, : words - first]
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
    zero, message = _receiver_columns(keys, choices, start)
    return message, strings(transpose_portable(zero), hash_keys, words)


def _receiver_columns(keys: Octets, choices: Words, start: int) -> tuple[Words, Words]:
    zero, one = (columns(half, start, len(choices)) for half in keys)
    return zero, zero ^ one ^ choices


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
    rows = transpose_portable(_sender_columns(keys, message, start))
    return strings(rows, hash_keys, words), strings(rows ^ keys[1], hash_keys, words)


def _sender_columns(keys: tuple[Octets, Words], message: Words, start: int) -> Words:
    base, secret = keys
    bits = (secret[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    masks = np.uint64(0) - bits.reshape(ROW_BITS, 1)
    return columns(base, start, message.shape[1]) ^ (message & masks)


register("extension.receive", receive, receive_portable, "one OT")
register("extension.send", send, send_portable, "one OT")
