"""AES-128 in the processor's own instructions: vectors of four blocks, and the loops over them.

Only `protocols.kernels.aes` and kernels built on it import this module, and late: it needs the
compiler. A loop's first argument `lanes` is a tuple of as many zeros as one AES instruction takes
blocks, 4 (VAES on 512 bits) or 1 (AES-NI); its **type** picks the instructions when the loop is
compiled. The compiler's cache holds a loop by types and by the name and features of the processor,
so that code for one machine is not loaded on another.

A vector is <8 x i64>, four blocks; a round key is loaded once and repeated in all four. No branch
and no index depends on a key or a block.
"""

from __future__ import annotations

from typing import Any

import numba.extending
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from protocols.kernels.compiling import compile_loop

__all__ = ["address", "double_loop", "expand_loop", "hash_loop", "rounds", "schedules_loop"]

Octets = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Lanes = tuple[int, ...]
intrinsic: Any = numba.extending.intrinsic  # its annotations are of plain functions
ROUND_KEYS = 11
ABREAST = 8  # vectors in flight, so that no AES instruction waits for the one before it
WORD, OCTET = ir.IntType(64), ir.IntType(8)
BLOCK, VECTOR = ir.VectorType(WORD, 2), ir.VectorType(WORD, 8)
ROUND_CONSTANTS = (1, 2, 4, 8, 16, 32, 64, 128, 27, 54)

# ---- pieces of code ------------------------------------------------------------------------------


def load(builder: Any, place: Any, kind: Any, offset: int = 0) -> Any:
    """The vector of this kind at an address and `offset` bytes, whatever its alignment."""
    pointer = builder.inttoptr(builder.add(place, ir.Constant(WORD, offset)), kind.as_pointer())
    return builder.load(pointer, align=1)


def store(builder: Any, value: Any, place: Any, offset: int = 0) -> None:
    """Put a vector at an address and `offset` bytes."""
    kind = value.type.as_pointer()
    pointer = builder.inttoptr(builder.add(place, ir.Constant(WORD, offset)), kind)
    builder.store(value, pointer, align=1)


def shuffled(builder: Any, left: Any, right: Any, places: tuple[int, ...]) -> Any:
    """Elements of two vectors, those of the second counted on from the first."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
    return builder.shuffle_vector(left, right, mask)


def repeated(builder: Any, block: Any) -> Any:
    """A block in all four places of a vector."""
    return shuffled(builder, block, block, (0, 1) * 4)


def called(builder: Any, name: str, kind: Any, *arguments: Any) -> Any:
    """A call of one of the processor's instructions by the compiler's name for it."""
    signature = ir.FunctionType(kind, [a.type for a in arguments])
    return builder.call(builder.module.declare_intrinsic(name, (), signature), arguments)


def rounds(builder: Any, lanes: int, vectors: list[Any], keys: list[Any]) -> list[Any]:
    """AES-128 of some vectors, side by side; `keys[i]` is the address of the schedule of i."""
    if lanes == 1:
        return _rounds_of_blocks(builder, vectors, keys)
    return _rounds(builder, vectors, keys, VECTOR, ".512")


def _rounds(builder: Any, state: list[Any], keys: list[Any], kind: Any, suffix: str) -> list[Any]:
    for number in range(ROUND_KEYS):
        last = ".aesenclast" if number == ROUND_KEYS - 1 else ".aesenc"
        loaded: dict[Any, Any] = {}
        for i, key in enumerate(keys):
            if key not in loaded:
                block = load(builder, key, BLOCK, 16 * number)
                loaded[key] = repeated(builder, block) if kind is VECTOR else block
            if number == 0:
                state[i] = builder.xor(state[i], loaded[key])
            else:
                name = f"llvm.x86.aesni{last}{suffix}"
                state[i] = called(builder, name, kind, state[i], loaded[key])
    return state


def _rounds_of_blocks(builder: Any, vectors: list[Any], keys: list[Any]) -> list[Any]:
    """Two vectors at a time, for that is what fits the registers: eight blocks."""
    done = []
    for start in range(0, len(vectors), 2):
        part = vectors[start : start + 2]
        blocks = [
            shuffled(builder, v, v, (2 * place, 2 * place + 1)) for v in part for place in range(4)
        ]
        each = [key for key in keys[start : start + 2] for _ in range(4)]
        blocks = _rounds(builder, blocks, each, BLOCK, "")
        for i in range(0, len(blocks), 4):
            halves = [
                shuffled(builder, blocks[i + j], blocks[i + j + 1], (0, 1, 2, 3)) for j in (0, 2)
            ]
            done.append(shuffled(builder, halves[0], halves[1], tuple(range(8))))
    return done


# ---- steps of the loops --------------------------------------------------------------------------


def _address(_typing: Any, array: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.ptrtoint(made.data, WORD)

    return types.int64(array), emit


def _schedules(_typing: Any, keys: Any, out: Any) -> Any:
    """Round keys of four keys (FIPS 197, 5.2)."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        source, target = arguments
        state = [load(builder, source, BLOCK, 16 * i) for i in range(4)]
        for number in range(ROUND_KEYS):
            for i in range(4):
                if number:
                    state[i] = _next_round_key(builder, state[i], ROUND_CONSTANTS[number - 1])
                store(builder, state[i], target, 16 * (ROUND_KEYS * i + number))
        return context.get_dummy_value()

    return types.none(keys, out), emit


def _next_round_key(builder: Any, key: Any, constant: int) -> Any:
    turned = called(
        builder,
        "llvm.x86.aesni.aeskeygenassist",
        BLOCK,
        key,
        ir.Constant(OCTET, constant),
    )
    kind = ir.VectorType(ir.IntType(32), 4)
    words, zero = builder.bitcast(key, kind), ir.Constant(kind, [0] * 4)
    last = builder.bitcast(turned, kind)
    mixed = words
    for shift in (1, 2, 3):
        places = tuple(range(4, 4 + shift)) + tuple(range(4 - shift))
        mixed = builder.xor(mixed, shuffled(builder, words, zero, places))
    return builder.bitcast(builder.xor(mixed, shuffled(builder, last, last, (3,) * 4)), BLOCK)


def _cipher(count: int, feed: bool) -> Any:
    """AES of `count` vectors under one key; with `feed` xor what went in."""

    def typed(_typing: Any, lanes: Any, source: Any, target: Any, keys: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, place, out, key = arguments
            plain = [load(builder, place, VECTOR, 64 * i) for i in range(count)]
            done = rounds(builder, len(signature.args[0]), list(plain), [key] * count)
            for i in range(count):
                value = builder.xor(done[i], plain[i]) if feed else done[i]
                store(builder, value, out, 64 * i)
            return context.get_dummy_value()

        return types.none(lanes, source, target, keys), emit

    return typed


def _doubled(_typing: Any, lanes: Any, source: Any, target: Any, keys: Any) -> Any:
    """Both children of 16 seeds, beside each other; two schedules follow one another."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, place, out, left = arguments
        right = builder.add(left, ir.Constant(WORD, 16 * ROUND_KEYS))
        half = ABREAST // 2
        plain = [load(builder, place, VECTOR, 64 * i) for i in range(half)]
        order = [key for _ in range(half) for key in (left, right)]
        twice = [v for v in plain for _ in range(2)]
        done = rounds(builder, len(signature.args[0]), list(twice), order)
        for i in range(half):
            pair = [builder.xor(done[2 * i + side], plain[i]) for side in range(2)]
            for part in range(2):
                places = tuple(4 * part + p for p in (0, 1, 8, 9, 2, 3, 10, 11))
                mixed = shuffled(builder, pair[0], pair[1], places)
                store(builder, mixed, out, 128 * i + 64 * part)
        return context.get_dummy_value()

    return types.none(lanes, source, target, keys), emit


address = intrinsic(_address)
schedules = intrinsic(_schedules)
cipher_many = intrinsic(_cipher(ABREAST, feed=False))
cipher_one = intrinsic(_cipher(1, feed=False))
hashed_many = intrinsic(_cipher(ABREAST, feed=True))
doubled = intrinsic(_doubled)

# ---- loops ---------------------------------------------------------------------------------------


def _schedules_loop(keys: Octets, out: Octets) -> None:
    """(m, 16) keys, m a multiple of four, to (m, 11, 16) round keys."""
    for i in range(0, keys.shape[0], 4):
        schedules(address(keys) + 16 * i, address(out) + 16 * 11 * i)


def _hash_loop(lanes: Lanes, rows: Words, schedule: Octets, out: Words) -> None:
    """AES(x) xor x of (n, 2) rows, n a multiple of 32."""
    for i in range(0, rows.shape[0], 32):
        hashed_many(lanes, address(rows) + 16 * i, address(out) + 16 * i, address(schedule))


def _double_loop(lanes: Lanes, seeds: Words, schedule: Octets, out: Words) -> None:
    """(n, 2) seeds to (n, 2, 2), n a multiple of 16; `schedule` is that of both keys."""
    for i in range(0, seeds.shape[0], 16):
        doubled(lanes, address(seeds) + 16 * i, address(out) + 32 * i, address(schedule))


def _expand_loop(lanes: Lanes, counters: Words, schedule: Octets, out: Octets) -> None:
    """AES of (b, 2) counter blocks, b a multiple of four, under each key: (m, b, 16)."""
    vectors = counters.shape[0] // 4
    for key in range(out.shape[0]):
        place = address(schedule) + 16 * 11 * key
        target = address(out) + 64 * vectors * key
        done = 0
        while done + 8 <= vectors:
            cipher_many(lanes, address(counters) + 64 * done, target + 64 * done, place)
            done += 8
        while done < vectors:
            cipher_one(lanes, address(counters) + 64 * done, target + 64 * done, place)
            done += 1


schedules_loop = compile_loop(_schedules_loop)
hash_loop = compile_loop(_hash_loop)
double_loop = compile_loop(_double_loop)
expand_loop = compile_loop(_expand_loop)
