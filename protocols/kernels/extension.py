"""The local halves of SoftSpoken OT extension, and the hash that makes strings of rows.

The 128 bits of the sender's secret fall into trees of `depth` bits (4 or 8). The receiver knows all
2^depth leaves of each tree; the sender all but the one at its bits of the secret, and numbers them
by distance from it (`protocols.kernels.tree`). A leaf's AES-128-CTR keystream is r. Folding leaves
gives, for bit j of a leaf's number x or y,

    receiver    u = xor of all r_x,     v_j = xor of the r_x with bit j of x
    sender                              w_j = xor of the r_y with bit j of y = v_j xor D_j u

since y = x xor D and every leaf but x = D is known (Roy, "SoftSpokenOT", CRYPTO 2022, figure 7).
With u xor choices said for each tree, the sender turns w_j into v_j xor D_j choices: the rows of
the transposed columns are t at the receiver and q = t xor choice D at the sender, as in every OT
extension since Ishai, Kilian, Nissim, Petrank (CRYPTO 2003). Leaf y = 0, unknown, is in no w_j.

The hash is H_k(x) = AES_k(x) xor x with a public key k for each session, pair of parties, use and
block of output: see `protocols.kernels.aes`. Correlation robustness is what honest-but-curious
parties need of it.

Messages are uint64 (counters, trees, 2): 128 transfers a counter of AES, 128 / depth trees, so that
a call can be cut between any two counters. Where AES instructions and the compiler are, calls take
`protocols.kernels.extension_loops`, where nothing but messages and results leaves the cache; few
transfers too, for preparing 512 ciphers of OpenSSL costs the twin more than loading the compiler
does after some 200 calls. The bytes are the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.kernels import aes
from protocols.kernels.bits import slice_words, transpose_portable
from protocols.kernels.registry import register

__all__ = [
    "COUNTER_BITS",
    "DEPTHS",
    "ROW_BITS",
    "receive",
    "receive_bits",
    "receive_bits_portable",
    "receive_portable",
    "send",
    "send_bits",
    "send_bits_portable",
    "send_portable",
]

Octets = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Sender = tuple[Octets, Words]
ROW_BITS = 128  # base OTs of one direction, and bits of a correlated row
COUNTER_BITS = 128  # transfers that one AES block of each leaf covers
DEPTHS = (4, 8)  # bits of the secret a tree: more mean fewer bytes and more work
STREAM_BLOCKS = 1 << 15  # keystream that the twins hold at a time, in blocks of AES


# ---- strings -------------------------------------------------------------------------------------


def receive_portable(
    leaves: Octets, choices: Words, start: int, hash_keys: Octets, words: int
) -> tuple[Words, Words]:
    """The receiver: its message (counters, trees, 2), its chosen strings (128 counters, words).

    leaves     (trees, 2^depth, 16): all of each tree, for this use
    choices    (2 counters,) words of packed bits
    start      the first AES counter
    hash_keys  (ceil(words / 2), 16)
    """
    rows, message = _received(leaves, choices, start)
    return message, _strings(rows, hash_keys, words)


def send_portable(
    keys: Sender, message: Words, start: int, hash_keys: Octets, words: int
) -> tuple[Words, Words]:
    """The sender: both strings of each OT, (128 counters, words) each.

    keys     the leaves (trees, 2^depth, 16) by distance, and the secret, (2,) words
    message  (counters, trees, 2): the receiver's
    """
    rows = _sent(keys, message, start)
    return _strings(rows, hash_keys, words), _strings(rows ^ keys[1], hash_keys, words)


def receive_bits_portable(
    leaves: Octets, choices: Words, start: int, hash_keys: Octets, width: int
) -> tuple[Words, Words]:
    """As `receive`, and of each string the low `width` bits: (width, 2 counters) packed words."""
    rows, message = _received(leaves, choices, start)
    return message, _low_bits(rows, hash_keys, width)


def send_bits_portable(
    keys: Sender, message: Words, start: int, hash_keys: Octets, width: int
) -> tuple[Words, Words]:
    """As `send`, and of each string the low `width` bits: (width, 2 counters) packed words."""
    rows = _sent(keys, message, start)
    return _low_bits(rows, hash_keys, width), _low_bits(rows ^ keys[1], hash_keys, width)


def _strings(rows: Words, hash_keys: Octets, words: int) -> Words:
    out = np.empty((len(rows), words), dtype=np.uint64)
    for block, key in enumerate(hash_keys):
        take = min(2, words - 2 * block)
        out[:, 2 * block : 2 * block + take] = aes.hash_rows_portable(rows, key)[:, :take]
    return out


def _low_bits(rows: Words, hash_keys: Octets, width: int) -> Words:
    return slice_words(aes.hash_rows_portable(rows, hash_keys[0])[:, 0], width)


# ---- columns -------------------------------------------------------------------------------------


def _received(leaves: Octets, choices: Words, start: int) -> tuple[Words, Words]:
    """Rows t (128 counters, 2) and the message."""
    counters = len(choices) // 2
    columns, shared = _folded(leaves, start, counters)
    message = np.ascontiguousarray((shared ^ choices).reshape(-1, counters, 2).swapaxes(0, 1))
    return transpose_portable(columns), message


def _sent(keys: Sender, message: Words, start: int) -> Words:
    """Rows q (128 counters, 2)."""
    leaves, secret = keys
    counters, trees = message.shape[:2]
    columns, _ = _folded(leaves, start, counters)
    said = message.swapaxes(0, 1).reshape(trees, 1, 2 * counters)
    masks = bit_masks(secret).reshape(trees, -1, 1)
    return transpose_portable(columns ^ (masks & said).reshape(columns.shape))


def bit_masks(secret: Words) -> Words:
    """(128,) words, all ones where the secret's bit is 1."""
    bits = (secret[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    return (np.uint64(0) - bits).reshape(ROW_BITS)


def _folded(leaves: Octets, start: int, counters: int) -> tuple[Words, Words]:
    """Columns (128, 2 counters) and what each tree's leaves make together (trees, 2 counters)."""
    trees, width = leaves.shape[:2]
    columns = np.empty((trees, ROW_BITS // trees, 2 * counters), dtype=np.uint64)
    shared = np.empty((trees, 2 * counters), dtype=np.uint64)
    step = max(1, STREAM_BLOCKS // (trees * width))
    for first in range(0, counters, step):
        blocks = min(step, counters - first)
        part = slice(2 * first, 2 * (first + blocks))
        stream = aes.expand_portable(leaves.reshape(-1, 16), start + first, blocks)
        streams = stream.reshape(-1).view("<u8").reshape(trees, width, -1)
        _fold(streams.astype(np.uint64, copy=False), columns[:, :, part], shared[:, part])
    return columns.reshape(ROW_BITS, -1), shared


def _fold(streams: Words, columns: Words, shared: Words) -> None:
    """Column j is the xor of the streams of all leaves whose number has bit j."""
    trees = len(streams)
    for j in range(columns.shape[1]):
        left, right = (streams.reshape(trees, -1, 2, streams.shape[-1])[:, :, b] for b in (0, 1))
        np.bitwise_xor.reduce(right, axis=1, out=columns[:, j])
        streams = left ^ right
    shared[:] = streams[:, 0]


# ---- which version -------------------------------------------------------------------------------


def receive(
    leaves: Octets, choices: Words, start: int, hash_keys: Octets, words: int
) -> tuple[Words, Words]:
    """`receive_portable`, by the fastest version for this machine."""
    wide = _lanes()
    if not wide or not words:
        return receive_portable(leaves, choices, start, hash_keys, words)
    message, out = _receive(wide, leaves, choices, start, hash_keys, words, bits=False)
    return message, out[: 64 * len(choices)]


def receive_bits(
    leaves: Octets, choices: Words, start: int, hash_keys: Octets, width: int
) -> tuple[Words, Words]:
    """`receive_bits_portable`, by the fastest version for this machine."""
    wide = _lanes()
    if not wide:
        return receive_bits_portable(leaves, choices, start, hash_keys, width)
    message, out = _receive(wide, leaves, choices, start, hash_keys, width, bits=True)
    return message, out[:, : len(choices)]


def send(
    keys: Sender, message: Words, start: int, hash_keys: Octets, words: int
) -> tuple[Words, Words]:
    """`send_portable`, by the fastest version for this machine."""
    wide = _lanes()
    if not wide or not words:
        return send_portable(keys, message, start, hash_keys, words)
    zeros, ones = _send(wide, keys, message, start, hash_keys, words, bits=False)
    return zeros[: COUNTER_BITS * len(message)], ones[: COUNTER_BITS * len(message)]


def send_bits(
    keys: Sender, message: Words, start: int, hash_keys: Octets, width: int
) -> tuple[Words, Words]:
    """`send_bits_portable`, by the fastest version for this machine."""
    wide = _lanes()
    if not wide:
        return send_bits_portable(keys, message, start, hash_keys, width)
    zeros, ones = _send(wide, keys, message, start, hash_keys, width, bits=True)
    return zeros[:, : 2 * len(message)], ones[:, : 2 * len(message)]


def _lanes() -> aes.Lanes:
    """What picks the instructions; nothing where the twin is to run."""
    name = aes.host_versions()[0]
    return () if name == "portable" else aes.lanes(name)


def _receive(
    wide: aes.Lanes,
    leaves: Octets,
    choices: Words,
    start: int,
    hash_keys: Octets,
    size: int,
    *,
    bits: bool,
) -> tuple[Words, Words]:
    from protocols.kernels.extension_loops import receive_loop

    counters = len(choices) // 2
    message = np.empty((counters, len(leaves), 2), dtype=np.uint64)
    counted, out = _room(start, counters, 1, size, bits)
    schedules, hashing = _schedules(leaves), aes.schedules(hash_keys)
    shifts = np.zeros((1, 2), dtype=np.uint64)
    receive_loop(wide, counted, schedules, choices, hashing, shifts, bits, message, out)
    return message, out[0]


def _send(
    wide: aes.Lanes,
    keys: Sender,
    message: Words,
    start: int,
    hash_keys: Octets,
    size: int,
    *,
    bits: bool,
) -> tuple[Words, Words]:
    from protocols.kernels.extension_loops import send_loop

    leaves, secret = keys
    counted, out = _room(start, len(message), 2, size, bits)
    schedules, hashing = _schedules(leaves), aes.schedules(hash_keys)
    shifts = np.stack([np.zeros(2, dtype=np.uint64), secret])
    said = np.ascontiguousarray(message)
    send_loop(wide, counted, schedules, bit_masks(secret), hashing, shifts, bits, said, out)
    return out[0], out[1]


def _schedules(leaves: Octets) -> Octets:
    return aes.schedules(leaves.reshape(-1, 16)).reshape(*leaves.shape[:2], -1, 16)


def _room(start: int, counters: int, sides: int, size: int, bits: bool) -> tuple[Words, Words]:
    """Counter blocks for whole blocks of work, and room for their results."""
    padded = 8 * -(-counters // 8)
    if bits:
        return aes.counters(start, padded), np.zeros((sides, size, 2 * padded), dtype=np.uint64)
    out = np.empty((sides, COUNTER_BITS * padded, size), dtype=np.uint64)
    return aes.counters(start, padded), out


register("extension.receive", receive, receive_portable, "one OT")
register("extension.send", send, send_portable, "one OT")
register("extension.receive_bits", receive_bits, receive_bits_portable, "one OT")
register("extension.send_bits", send_bits, send_bits_portable, "one OT")
