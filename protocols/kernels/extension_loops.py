"""Random OT by the block of 1,024 transfers that stays in the cache: leaves to strings or bits.

Only `protocols.kernels.extension` imports this module, and late: it needs the compiler; `lanes` is
as in `protocols.kernels.aes_loops`. A block is 128 columns of 16 words, as two vectors of eight
words each; a vector of a column holds bit i of its word L for transfer 64 L + i. The steps:

    folded    keystreams of 16 leaves, two vectors each, folded into four columns and their xor
    swapped   levels 32, 16, 8 of the transposition (Warren, Hacker's Delight, 7-3), in place
    turned    levels 4, 2, 1; the rows of eight places i in each of eight words, as AES blocks
    hashed    AES(x) xor x of four such places, the low word of each; first x is xored with `shift`
    packed    one bit of each word of eight places into the word of bits that it belongs to
    spread    the words of eight places, in the order of transfers

No branch and no index depends on a leaf, a choice or the secret.
"""

from __future__ import annotations

from typing import Any

import numba.extending
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from protocols.kernels.aes_loops import (
    BLOCK,
    VECTOR,
    WORD,
    address,
    hash_loop,
    load,
    repeated,
    rounds,
    shuffled,
    store,
)
from protocols.kernels.compiling import compile_loop

__all__ = ["receive_loop", "send_loop"]

Octets = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Lanes = tuple[int, ...]
intrinsic: Any = numba.extending.intrinsic  # its annotations are of plain functions
SCHEDULE_BYTES = 11 * 16
COLUMN_BYTES = 128  # two vectors
PLACE_BYTES = 128  # the rows of one place in eight words: two vectors of four blocks
HALF_BYTES = 64 * COLUMN_BYTES
LEVELS = {
    32: 0x00000000FFFFFFFF,
    16: 0x0000FFFF0000FFFF,
    8: 0x00FF00FF00FF00FF,
    4: 0x0F0F0F0F0F0F0F0F,
    2: 0x3333333333333333,
    1: 0x5555555555555555,
}

# ---- pieces of code ------------------------------------------------------------------------------


def constant(value: int) -> Any:
    """The same word in all eight places."""
    return ir.Constant(VECTOR, [value] * 8)


def swap(builder: Any, rows: list[Any], places: int, distance: int) -> None:
    """One level of the transposition, between rows `places` apart in the list, in place."""
    shift, mask = constant(distance), constant(LEVELS[distance])
    for i in range(8):
        if i & places == 0:
            upper, lower = rows[i], rows[i + places]
            change = builder.and_(builder.xor(builder.lshr(upper, shift), lower), mask)
            rows[i + places] = builder.xor(lower, change)
            rows[i] = builder.xor(upper, builder.shl(change, shift))


def low_words(builder: Any, even: Any, odd: Any) -> Any:
    """The first words of the eight blocks in two vectors, even places and odd ones."""
    return shuffled(builder, even, odd, (0, 8, 2, 10, 4, 12, 6, 14))


def transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Eight vectors of eight words, columns for rows."""
    for places in (4, 2, 1):
        first = tuple(i if not i & places else 8 + i - places for i in range(8))
        second = tuple(i + places if not i & places else 8 + i for i in range(8))
        for i in range(8):
            if i & places == 0:
                left, right = rows[i], rows[i + places]
                rows[i] = shuffled(builder, left, right, first)
                rows[i + places] = shuffled(builder, left, right, second)
    return rows


# ---- steps ---------------------------------------------------------------------------------------


def _folded(
    _typing: Any, lanes: Any, counters: Any, schedules: Any, columns: Any, shared: Any
) -> Any:
    """Xors the columns of bits 0 to 3 in; stores what all sixteen leaves make together."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, counted, first, out, together = arguments
        plain = [load(builder, counted, VECTOR, 64 * i) for i in range(2)]
        made: list[list[Any]] = [[], [], [], [], []]
        for four in range(4):
            keys = [
                builder.add(first, ir.Constant(WORD, SCHEDULE_BYTES * (4 * four + i)))
                for i in range(4)
                for _ in range(2)
            ]
            done = rounds(builder, len(signature.args[0]), plain * 4, keys)
            for part in range(2):
                leaves = done[part::2]
                low, high = builder.xor(leaves[0], leaves[1]), builder.xor(leaves[2], leaves[3])
                every = builder.xor(low, high)
                bits = [builder.xor(leaves[1], leaves[3]), high, every, every, every]
                taken = (1, 1, four & 1, four & 2, 1)
                for column, bit, take in zip(made, bits, taken, strict=True):
                    if take and len(column) == 2:
                        column[part] = builder.xor(column[part], bit)
                    elif take:
                        column.append(bit)
        for j, column in enumerate(made[:4]):
            for part in range(2):
                offset = COLUMN_BYTES * j + 64 * part
                value = builder.xor(column[part], load(builder, out, VECTOR, offset))
                store(builder, value, out, offset)
        for part in range(2):
            store(builder, made[4][part], together, 64 * part)
        return context.get_dummy_value()

    return types.none(lanes, counters, schedules, columns, shared), emit


def _swapped(_typing: Any, place: Any) -> Any:
    """Rows 8 apart of one half and one vector, eight of them."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        (first,) = arguments
        rows = [load(builder, first, VECTOR, 8 * COLUMN_BYTES * i) for i in range(8)]
        for places, distance in ((4, 32), (2, 16), (1, 8)):
            swap(builder, rows, places, distance)
        for i, row in enumerate(rows):
            store(builder, row, first, 8 * COLUMN_BYTES * i)
        return context.get_dummy_value()

    return types.none(place), emit


def _turned(_typing: Any, place: Any, out: Any) -> Any:
    """Eight neighbouring rows of both halves to the blocks of eight places."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        first, target = arguments
        halves = []
        for half in range(2):
            offset = HALF_BYTES * half
            rows = [load(builder, first, VECTOR, offset + COLUMN_BYTES * i) for i in range(8)]
            for places in (4, 2, 1):
                swap(builder, rows, places, places)
            halves.append(rows)
        for i, (low, high) in enumerate(zip(*halves, strict=True)):
            even = shuffled(builder, low, high, (0, 8, 2, 10, 4, 12, 6, 14))
            odd = shuffled(builder, low, high, (1, 9, 3, 11, 5, 13, 7, 15))
            store(builder, even, target, PLACE_BYTES * i)
            store(builder, odd, target, PLACE_BYTES * i + 64)
        return context.get_dummy_value()

    return types.none(place, out), emit


def _hashed(_typing: Any, lanes: Any, place: Any, shift: Any, schedule: Any, out: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, first, moved, key, target = arguments
        change = repeated(builder, load(builder, moved, BLOCK))
        plain = [builder.xor(load(builder, first, VECTOR, 64 * i), change) for i in range(8)]
        done = rounds(builder, len(signature.args[0]), list(plain), [key] * 8)
        done = [builder.xor(d, p) for d, p in zip(done, plain, strict=True)]
        for i in range(4):
            store(builder, low_words(builder, done[2 * i], done[2 * i + 1]), target, 64 * i)
        return context.get_dummy_value()

    return types.none(lanes, place, shift, schedule, out), emit


def _packed(_typing: Any, words: Any, bit: Any, place: Any, out: Any) -> Any:
    """`bit` of the words of places `place` to `place` + 7, xored into eight words of bits."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        source, number, start, target = arguments
        octets = None
        for i in range(8):
            word = builder.lshr(load(builder, source, VECTOR, 64 * i), _every(builder, number))
            word = builder.shl(builder.and_(word, constant(1)), constant(i))
            octets = word if octets is None else builder.or_(octets, word)
        moved = builder.shl(octets, _every(builder, start))
        store(builder, builder.xor(load(builder, target, VECTOR), moved), target)
        return context.get_dummy_value()

    return types.none(words, bit, place, out), emit


def _every(builder: Any, word: Any) -> Any:
    """A word that is known late, in all eight places."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    one = builder.insert_element(undefined, word, ir.Constant(ir.IntType(32), 0))
    return shuffled(builder, one, undefined, (0,) * 8)


def _spread(_typing: Any, words: Any, out: Any) -> Any:
    """The words of eight places of eight words, each eight in their order."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        source, target = arguments
        rows = [load(builder, source, VECTOR, 64 * i) for i in range(8)]
        for i, row in enumerate(transposed(builder, rows)):
            store(builder, row, target, 8 * 64 * i)
        return context.get_dummy_value()

    return types.none(words, out), emit


def _in_order(_typing: Any, blocks: Any, out: Any) -> Any:
    """The blocks of eight places as rows in the order of transfers."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        source, target = arguments
        for i in range(8):
            for odd in range(2):
                vector = load(builder, source, VECTOR, PLACE_BYTES * i + 64 * odd)
                for lane in range(4):
                    block = shuffled(builder, vector, vector, (2 * lane, 2 * lane + 1))
                    store(builder, block, target, 16 * (64 * (2 * lane + odd) + i))
        return context.get_dummy_value()

    return types.none(blocks, out), emit


folded = intrinsic(_folded)
swapped = intrinsic(_swapped)
turned = intrinsic(_turned)
hashed = intrinsic(_hashed)
packed = intrinsic(_packed)
spread = intrinsic(_spread)
in_order = intrinsic(_in_order)

# ---- loops ---------------------------------------------------------------------------------------


def _fold_tree(
    lanes: Lanes,
    counters: int,
    schedules: int,
    columns: Words,
    first: int,
    bits: int,
    shared: Words,
) -> None:
    """One tree's columns, `first` and on, of one block; `shared` (2, 16): the xor, and scratch."""
    for j in range(bits):
        for i in range(16):
            columns[first + j, i] = 0
    for i in range(16):
        shared[0, i] = 0
    for part in range(1 << (bits - 4)):
        place = schedules + 16 * SCHEDULE_BYTES * part
        target = address(columns) + COLUMN_BYTES * first
        folded(lanes, counters, place, target, address(shared) + COLUMN_BYTES)
        for i in range(16):
            shared[0, i] ^= shared[1, i]
        for j in range(4, bits):
            if (part >> (j - 4)) & 1:
                for i in range(16):
                    columns[first + j, i] ^= shared[1, i]


def _swap_columns(columns: Words) -> None:
    """The first three levels, in place."""
    for half in range(2):
        for vector in range(2):
            for row in range(8):
                swapped(address(columns) + HALF_BYTES * half + COLUMN_BYTES * row + 64 * vector)


fold_tree = compile_loop(_fold_tree)
swap_columns = compile_loop(_swap_columns)


def _finish(
    lanes: Lanes,
    columns: Words,
    shifts: Words,
    schedules: Octets,
    bits: bool,
    block: int,
    out: Words,
) -> None:
    """Strings or bits of a block for each of `shifts` (sides, 2), into `out` as of the loops."""
    blocks = np.empty((8, PLACE_BYTES // 8), dtype=np.uint64)
    low = np.empty((8, 8), dtype=np.uint64)
    for vector in range(2):
        for row in range(0, 64, 8):
            turned(address(columns) + COLUMN_BYTES * row + 64 * vector, address(blocks))
            for side in range(shifts.shape[0]):
                for half in range(2):
                    hashed(
                        lanes,
                        address(blocks) + 4 * PLACE_BYTES * half,
                        address(shifts) + 16 * side,
                        address(schedules),
                        address(low) + 256 * half,
                    )
                if bits:
                    width, words = out.shape[1], out.shape[2]
                    for bit in range(width):
                        place = words * (width * side + bit) + 16 * block + 8 * vector
                        packed(address(low), bit, row, address(out) + 8 * place)
                else:
                    place = out.shape[1] * side + 1024 * block + 512 * vector + row
                    spread(address(low), address(out) + 8 * place)


def _finish_rows(
    lanes: Lanes, columns: Words, shifts: Words, schedules: Octets, block: int, out: Words
) -> None:
    """Strings of two words or more: one hash key for each two."""
    blocks = np.empty((8, PLACE_BYTES // 8), dtype=np.uint64)
    rows = np.empty((1024, 2), dtype=np.uint64)
    made = np.empty((1024, 2), dtype=np.uint64)
    for vector in range(2):
        for row in range(0, 64, 8):
            turned(address(columns) + COLUMN_BYTES * row + 64 * vector, address(blocks))
            in_order(address(blocks), address(rows) + 16 * (512 * vector + row))
    for side in range(shifts.shape[0]):
        for i in range(1024):
            rows[i, 0] ^= shifts[side, 0]
            rows[i, 1] ^= shifts[side, 1]
        for key in range(schedules.shape[0]):
            hash_loop(lanes, rows, schedules[key], made)
            for word in range(min(2, out.shape[2] - 2 * key)):
                for i in range(1024):
                    out[side, 1024 * block + i, 2 * key + word] = made[i, word]
        for i in range(1024):
            rows[i, 0] ^= shifts[side, 0]
            rows[i, 1] ^= shifts[side, 1]


finish_block = compile_loop(_finish)
finish_rows = compile_loop(_finish_rows)


def _receive_loop(
    lanes: Lanes,
    counters: Words,
    leaves: Octets,
    choices: Words,
    schedules: Octets,
    shifts: Words,
    bits: bool,
    message: Words,
    out: Words,
) -> None:
    """The receiver, in blocks of eight counters.

    counters   (c, 2) counter blocks, c a multiple of eight
    leaves     (trees, 2^depth, 11, 16): round keys
    choices    (2 counters,); schedules (keys, 11, 16) of the hash; shifts (1, 2): zeros
    message    (counters, trees, 2): written
    out        (1, 128 c, words), or with `bits` (1, width, 2 c) and zero on entry: written
    """
    trees, depth = leaves.shape[0], 128 // leaves.shape[0]
    columns, shared = np.empty((128, 16), np.uint64), np.empty((2, 16), np.uint64)
    for block in range(counters.shape[0] // 8):
        now = min(8, message.shape[0] - 8 * block)
        for tree in range(trees):
            place = address(leaves) + SCHEDULE_BYTES * leaves.shape[1] * tree
            fold_tree(
                lanes, address(counters) + 128 * block, place, columns, depth * tree, depth, shared
            )
            for i in range(now):
                for half in range(2):
                    word = choices[16 * block + 2 * i + half]
                    message[8 * block + i, tree, half] = shared[0, 2 * i + half] ^ word
        swap_columns(columns)
        if bits or out.shape[2] == 1:
            finish_block(lanes, columns, shifts, schedules, bits, block, out)
        else:
            finish_rows(lanes, columns, shifts, schedules, block, out)


def _send_loop(
    lanes: Lanes,
    counters: Words,
    leaves: Octets,
    masks: Words,
    schedules: Octets,
    shifts: Words,
    bits: bool,
    message: Words,
    out: Words,
) -> None:
    """The sender: as the receiver, but `message` is read.

    masks   (128,): all ones where the secret's bit is 1
    shifts  (2, 2): zeros, and the secret
    out     (2, 128 c, words), or with `bits` (2, width, 2 c) and zero on entry: written
    """
    trees, depth = leaves.shape[0], 128 // leaves.shape[0]
    columns, shared = np.empty((128, 16), np.uint64), np.empty((2, 16), np.uint64)
    said = np.zeros(16, np.uint64)
    for block in range(counters.shape[0] // 8):
        now = min(8, message.shape[0] - 8 * block)
        for tree in range(trees):
            place = address(leaves) + SCHEDULE_BYTES * leaves.shape[1] * tree
            fold_tree(
                lanes, address(counters) + 128 * block, place, columns, depth * tree, depth, shared
            )
            for i in range(now):
                for half in range(2):
                    said[2 * i + half] = message[8 * block + i, tree, half]
            for j in range(depth):
                for i in range(16):
                    columns[depth * tree + j, i] ^= said[i] & masks[depth * tree + j]
        swap_columns(columns)
        if bits or out.shape[2] == 1:
            finish_block(lanes, columns, shifts, schedules, bits, block, out)
        else:
            finish_rows(lanes, columns, shifts, schedules, block, out)


receive_loop = compile_loop(_receive_loop)
send_loop = compile_loop(_send_loop)
