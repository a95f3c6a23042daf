"""Gates on bit slices: the compiled loops give the bytes of NumPy, and NumPy the right bits."""

import numpy as np
import pytest

from protocols.kernels import gates
from protocols.kernels.bits import slice_words


def words(rng, *shape):
    return rng.integers(0, 2**64, shape, dtype=np.uint64)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 511, 513, 1000])
@pytest.mark.parametrize("bits", [1, 31, 64])
def test_long_columns_are_cut_as_short_ones(monkeypatch, count, bits):
    numbers = words(np.random.default_rng(count), count)
    monkeypatch.setattr(gates, "SMALL_WORDS", -1)
    assert gates.cut(numbers, bits).tobytes() == slice_words(numbers, bits).tobytes()


@pytest.mark.parametrize(("rows", "pairs"), [(1, 0), (1, 1), (5, 3), (4, 4)])
@pytest.mark.parametrize("parties", [1, 2, 3, 5])
def test_gates_of_all_parties_make_the_products(monkeypatch, rows, pairs, parties):
    rng = np.random.default_rng(rows * pairs)
    x, y, a = (words(rng, parties, rows, 7) for _ in range(3))
    z, b = words(rng, parties, pairs, 7), words(rng, parties, 2, rows, 7)
    c = words(rng, parties, 2, rows, 7)
    c[0] ^= np.bitwise_xor.reduce(c) ^ (np.bitwise_xor.reduce(a) & np.bitwise_xor.reduce(b))
    said = [gates.mask(x[p], y[p], z[p], a[p], b[p]) for p in range(parties)]
    for small in (-1, 1 << 20):
        monkeypatch.setattr(gates, "SMALL_WORDS", small)
        found = [
            gates.settle((said[p], *said[:p], *said[p + 1 :]), (a[p], b[p], c[p]), first=p == 0)
            for p in range(parties)
        ]
        first, second = (np.bitwise_xor.reduce([pair[k] for pair in found]) for k in range(2))
        whole = np.bitwise_xor.reduce(x)
        assert np.array_equal(first, whole & np.bitwise_xor.reduce(y))
        assert np.array_equal(second, whole[rows - pairs :] & np.bitwise_xor.reduce(z))
