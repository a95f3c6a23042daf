"""Trees: leaves, sums, and all leaves but one."""

import numpy as np
import pytest

from protocols.kernels.aes import hash_rows
from protocols.kernels.tree import grow, placed, regrow

KEYS = np.arange(32, dtype=np.uint8).reshape(2, 16)


def words(rng, *shape):
    return rng.integers(0, 2**64, shape, dtype=np.uint64)


def path_of(places, depth):
    return (places[:, None] >> np.arange(depth)[::-1] & 1).astype(np.uint8)


def test_a_leaf_is_reached_by_the_bits_of_its_number():
    roots = words(np.random.default_rng(1), 3, 2)
    leaves, _ = grow(roots, 5, KEYS)
    for x in range(32):
        node = roots
        for level in range(5):
            node = hash_rows(node, KEYS[x >> (4 - level) & 1])
        assert np.array_equal(leaves[:, x], node)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_every_leaf_but_the_one_on_the_path_grows_again(depth):
    rng = np.random.default_rng(depth)
    places = np.arange(1 << depth)
    path = path_of(places, depth)
    leaves, sums = grow(words(rng, len(places), 2), depth, KEYS)
    known = np.take_along_axis(sums, 1 - path[:, :, None, None].astype(int), axis=2)[:, :, 0]
    found = regrow(known, path, KEYS)
    for tree, place in enumerate(places):
        assert not found[tree, 0].any()
        assert np.array_equal(found[tree, 1:], leaves[tree, place ^ np.arange(1, 1 << depth)])
    natural = placed(found, path)
    missing = np.arange(1 << depth) == places[:, None]
    assert np.array_equal(natural, np.where(missing[:, :, None], np.uint64(0), leaves))


def test_a_wrong_sum_changes_leaves():
    rng = np.random.default_rng(3)
    path = path_of(np.array([5]), 4)
    _, sums = grow(words(rng, 1, 2), 4, KEYS)
    known = np.take_along_axis(sums, 1 - path[:, :, None, None].astype(int), axis=2)[:, :, 0]
    right = regrow(known, path, KEYS)
    known[0, 2, 1] ^= np.uint64(1)
    assert not np.array_equal(regrow(known, path, KEYS), right)


def test_no_trees_have_no_leaves():
    leaves, sums = grow(np.zeros((0, 2), np.uint64), 3, KEYS)
    assert leaves.shape == (0, 8, 2)
    assert sums.shape == (0, 3, 2, 2)
