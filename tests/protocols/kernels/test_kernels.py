"""Compiled kernels give the bytes of their portable twins; the twins are right."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import protocols.comparison
import protocols.permutation
from protocols.kernels.bits import pack, slice_words, transpose, transpose_portable, unpack
from protocols.kernels.curve import choose, offer, unlock, valid_points
from protocols.kernels.registry import KERNELS
from protocols.kernels.words import LIMB_ROWS_MAX, multiply_high, sum_with_carry


def words(rng, *shape):
    return rng.integers(0, 2**64, shape, dtype=np.uint64)


@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 33])
def test_a_transposed_matrix_has_rows_for_columns(width):
    matrix = words(np.random.default_rng(width), 128, width)
    turned = transpose(matrix)
    assert np.array_equal(unpack(turned, 128), unpack(matrix, 64 * width).T)
    assert turned.tobytes() == transpose_portable(matrix).tobytes()


@given(st.lists(st.integers(0, 1), max_size=200))
def test_packing_and_unpacking_returns_the_bits(bits):
    row = np.array(bits, dtype=np.uint8)
    assert np.array_equal(unpack(pack(row), len(row)), row)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=150), st.integers(1, 64))
def test_slices_hold_one_bit_of_every_number(values, bits):
    numbers = np.array(values, dtype=np.uint64)
    slices = unpack(slice_words(numbers, bits), len(values))
    assert slices.T.tolist() == [[v >> b & 1 for b in range(bits)] for v in values]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_the_high_word_of_a_product_is_exact(x, y):
    high = multiply_high(np.array([x], np.uint64), np.array([y], np.uint64))
    assert int(high[0]) == x * y >> 64


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50))
def test_the_carry_of_a_sum_is_exact(values):
    low, high = sum_with_carry(np.array(values, np.uint64)[:, None], 0)
    assert int(low[0]) + (int(high[0]) << 64) == sum(values)


def test_a_sum_that_could_lose_a_carry_is_refused():
    endless = np.broadcast_to(np.zeros((1, 1), np.uint64), (LIMB_ROWS_MAX + 1, 1))
    with pytest.raises(ValueError, match="lose a carry"):
        sum_with_carry(endless, 0)


def test_base_transfers_give_the_key_that_was_chosen():
    rng = np.random.default_rng(5)
    choices = rng.integers(0, 2, 8).astype(np.uint8)
    point = offer(rng.bytes(64))
    points, keys = choose(rng.bytes(64 * 8), choices, point, b"label")
    assert valid_points(points)
    rng = np.random.default_rng(5)
    rng.integers(0, 2, 8)
    both = unlock(rng.bytes(64), points, b"label")
    assert np.array_equal(keys, both[choices, np.arange(8)])
    assert not np.any(np.all(keys == both[1 - choices, np.arange(8)], axis=1))


@pytest.mark.parametrize("label", [b"label of another pair", b""])
def test_keys_of_another_label_are_other_keys(label):
    rng = np.random.default_rng(6)
    coins = rng.bytes(64)
    points, keys = choose(rng.bytes(64), np.zeros(1, np.uint8), offer(coins), b"label")
    assert not np.array_equal(unlock(coins, points, label)[0], keys)


def cross(settings_of_layers, rows):
    size = len(rows)
    for layer, settings_of in enumerate(settings_of_layers):
        span = protocols.permutation._span(size, layer)
        pairs = rows.reshape(-1, 2, span)
        swap = settings_of.reshape(-1, span) == 1
        upper = np.where(swap, pairs[:, 1], pairs[:, 0])
        lower = np.where(swap, pairs[:, 0], pairs[:, 1])
        rows = np.stack((upper, lower), axis=1).reshape(-1)
    return rows


@given(st.integers(1, 7).flatmap(lambda k: st.permutations(range(2**k))))
@settings(max_examples=60, deadline=None)
def test_the_switches_of_a_network_make_the_permutation(order):
    permutation = np.array(order, dtype=np.int64)
    found = protocols.permutation.switches(permutation)
    assert cross(found, np.arange(len(order))).tolist() == list(order)
    twin = KERNELS["permutation.switches"].portable(permutation)
    assert found.tobytes() == twin.tobytes()


def test_importing_the_protocols_does_not_import_the_compiler():
    program = (
        "import sys, protocols.arithmetic, protocols.comparison, protocols.permutation;"
        "import protocols.release; sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_kernel_has_a_twin_and_a_unit():
    for name, kernel in KERNELS.items():
        assert kernel.name == name
        assert callable(kernel.portable)
        assert kernel.unit
