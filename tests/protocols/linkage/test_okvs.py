import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.kernels.okvs import PORTABLE
from protocols.linkage import okvs
from protocols.linkage.okvs import Shape, decode, encode, shape_of


def coins(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 2**64, shape, dtype=np.uint64) for shape in shapes]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 600), st.integers(1, 5))
def test_every_key_gives_back_its_value(seed, keys, words):
    shape = shape_of(1024)
    rows, values, free = coins(seed, (keys, 4), (keys, words), (shape.columns, words))
    table = encode(shape, rows, values, free)
    assert table is not None
    assert (decode(shape, rows, table) == values).all()


@pytest.mark.parametrize("seed", range(30))
def test_a_2_core_is_solved_by_elimination(seed):
    shape = Shape(sparse=95, dense=42)  # below the threshold of peeling: a core is certain
    rows, values, free = coins(seed, (100, 4), (100, 2), (shape.columns, 2))
    table = encode(shape, rows, values, free)
    assert table is not None
    assert (decode(shape, rows, table) == values).all()


def test_more_rows_than_columns_are_reported_and_not_encoded():
    shape = Shape(sparse=40, dense=42)
    rows, values, free = coins(3, (100, 4), (100, 1), (shape.columns, 1))
    assert encode(shape, rows, values, free) is None


def test_a_key_given_twice_is_refused():
    shape = shape_of(1024)
    rows, values, free = coins(4, (10, 4), (10, 1), (shape.columns, 1))
    rows[7] = rows[2]
    with pytest.raises(ValueError, match="once"):
        encode(shape, rows, values, free)


@pytest.mark.parametrize(
    ("log_n", "expansion", "dense"),
    [(10, 1.4310, 3), (12, 1.3194, 3), (16, 1.2437, 2), (20, 1.2274, 1)],
)
def test_the_published_sizes_come_out(log_n, expansion, dense):
    """RR22's parameters for lambda = 40 and three sparse columns; ours add 40 binary columns."""
    shape = shape_of(1 << log_n)
    assert shape.sparse / (1 << log_n) == pytest.approx(expansion, abs=2e-3)
    assert shape.dense == dense + 40
    assert shape.dense <= 64
    assert math.floor(40 / math.log2(shape.sparse)) == dense


def test_the_table_of_random_values_is_uniform_however_many_keys_there_are():
    """Over many tables each bit of each column is one half of the time set: 0 keys or 900."""
    shape = shape_of(1024)
    for keys in (0, 900):
        total = np.zeros((shape.columns, 64))
        for seed in range(200):
            rows, values, free = coins([keys, seed], (keys, 4), (keys, 1), (shape.columns, 1))
            table = encode(shape, rows, values, free)
            total += (table >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
        z = (total - 100) / math.sqrt(50)
        assert abs(z.mean()) < 5 / math.sqrt(z.size)
        assert z.var() == pytest.approx(1, abs=5 * math.sqrt(2 / z.size))
        assert np.abs(z).max() < 6.5


def test_an_unknown_key_decodes_to_something_else():
    shape = shape_of(1024)
    rows, values, free, others = coins(5, (500, 4), (500, 1), (shape.columns, 1), (500, 4))
    table = encode(shape, rows, values, free)
    assert not set(decode(shape, others, table)[:, 0].tolist()) & set(values[:, 0].tolist())


def test_the_portable_loops_give_the_same_bytes():
    shape = Shape(sparse=230, dense=42)
    rows, values, free = coins(6, (200, 4), (200, 2), (shape.columns, 2))
    table = encode(shape, rows, values, free)
    assert (encode(shape, rows, values, free, PORTABLE) == table).all()
    assert (decode(shape, rows, table, PORTABLE) == values).all()


def test_a_2_core_one_row_past_the_limit_is_given_up(monkeypatch):
    shape = Shape(sparse=95, dense=42)
    rows, values, free = coins(8, (100, 4), (100, 1), (shape.columns, 1))
    positions, _ = okvs._layout(shape, rows)
    core = 100 - len(PORTABLE.peel(positions, shape.sparse))
    assert 0 < core < okvs.CORE_MAX
    monkeypatch.setattr(okvs, "CORE_MAX", core)
    assert encode(shape, rows, values, free) is not None
    monkeypatch.setattr(okvs, "CORE_MAX", core - 1)
    assert encode(shape, rows, values, free) is None
