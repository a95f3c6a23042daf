"""Kernels of silent OT: trees that lack one leaf, the code, twins of the same bytes."""

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from protocols.kernels import silent
from protocols.kernels.bits import pack, unpack
from protocols.kernels.registry import KERNELS
from protocols.kernels.silent import (
    ALL_BUT_LOW,
    REGION_BITS_MAX,
    Code,
    compress,
    compress_portable,
    graft,
    graft_portable,
    plant,
    plant_portable,
)
from protocols.randomness import Randomness
from protocols.silent import LARGE

VECTORS = Path(__file__).parents[2] / "vectors" / "protocols"

CODES = (Code(4, 8, 16, 6, 9), Code(8, 9, 32, 7, 11), Code(12, 7, 24, 6, 10), Code(4, 9, 2, 10, 10))
ONE = np.uint64(1)


def ends(code, seed):
    """Base correlations of both ends, in the shape that the kernels take, and the rest."""
    rng = np.random.default_rng(seed)
    delta = rng.integers(0, 2**64, 2, dtype=np.uint64) | np.array([1, 0], np.uint64)
    mine = rng.integers(0, 2**64, (code.depth, code.trees, 2), dtype=np.uint64)
    mine[:, :, 0] &= ALL_BUT_LOW
    bits = rng.integers(0, 2, (code.depth, code.trees), dtype=np.uint64)
    theirs = mine ^ ((np.uint64(0) - bits)[:, :, None] & delta)
    roots = rng.integers(0, 2**64, (code.trees, 2), dtype=np.uint64)
    key = rng.integers(0, 256, 16, dtype=np.uint8)
    return delta, roots, mine, theirs, bits, key


def running(rows):
    return np.concatenate([rows[:1], rows[1:] ^ rows[:-1]])


@pytest.mark.parametrize("code", CODES)
def test_leaves_differ_by_the_secret_at_one_place_a_tree_and_nowhere_else(code):
    delta, roots, mine, theirs, bits, key = ends(code, 1)
    message, left = plant(delta, roots, mine, key)
    right = graft(theirs, message, key)
    shape = (1 << code.depth, code.trees, 2)
    gap = (running(left) ^ running(right)).reshape(shape)
    noise = running(right).reshape(shape)[:, :, 0] & ONE
    assert np.array_equal(gap, (np.uint64(0) - noise)[:, :, None] & delta)
    assert np.array_equal(noise.sum(axis=0), np.ones(code.trees))
    place = sum(
        (1 - bits[level]) << np.uint64(code.depth - 1 - level) for level in range(code.depth)
    )
    assert np.array_equal(np.argmax(noise, axis=0), place)


@pytest.mark.parametrize("code", CODES)
def test_the_leaves_of_a_tree_are_the_secret_together(code):
    delta, roots, mine, _, _, key = ends(code, 2)
    leaves = running(plant(delta, roots, mine, key)[1]).reshape(-1, code.trees, 2)
    whole = np.bitwise_xor.reduce(leaves, axis=0)
    assert np.array_equal(
        whole, np.tile(delta & np.array([ALL_BUT_LOW, 2**64 - 1]), (len(roots), 1))
    )


@pytest.mark.parametrize("code", CODES)
def test_twins_of_trees_and_code_give_the_same_bytes(code):
    delta, roots, mine, theirs, _, key = ends(code, 3)
    message, left = plant(delta, roots, mine, key)
    again, twin = plant_portable(delta, roots, mine, key)
    assert message.tobytes() == again.tobytes()
    assert left.tobytes() == twin.tobytes()
    assert graft(theirs, message, key).tobytes() == graft_portable(theirs, message, key).tobytes()
    out = compress(left, code, 0, code.rows)
    assert out.tobytes() == compress_portable(left, code, 0, code.rows).tobytes()


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("run", [compress, compress_portable])
def test_a_range_of_rows_is_that_range_of_all_rows(code, run):
    positions = np.random.default_rng(4).integers(0, 2**64, (code.positions, 2), dtype=np.uint64)
    whole = run(positions, code, 0, code.rows)
    for start, stop in ((0, 2), (64, 256), (code.rows - 2, code.rows)):
        assert np.array_equal(run(positions, code, start, stop), whole[start:stop])


def test_the_code_is_linear_and_takes_one_position_of_each_region():
    code = CODES[1]
    rows = np.zeros((code.weight, code.rows), np.uint64)
    for region in range(code.weight):
        positions = np.zeros((code.positions, 2), np.uint64)
        size = 1 << code.region_bits
        positions[region * size : (region + 1) * size, 0] = np.arange(1, size + 1)
        rows[region] = compress(positions, code, 0, code.rows)[:, 0]
    assert rows.min() >= 1
    assert rows.max() == size
    draws = rows.reshape(-1).astype(np.int64) - 1
    counts = np.bincount(draws, minlength=size)
    expected = len(draws) / size
    assert abs(np.sum((counts - expected) ** 2) / expected - size) < 6 * np.sqrt(2 * size)
    assert abs(np.corrcoef(rows[0], rows[1])[0, 1]) * np.sqrt(code.rows) < 5


@pytest.mark.parametrize("count", [64, 128, 20480])
@pytest.mark.parametrize("suffix", ["", "_bits"])
@pytest.mark.parametrize("size", [1, 3])
def test_twins_of_strings_give_the_same_bytes_and_choices_choose(count, suffix, size):
    rng = np.random.default_rng(count)
    delta = rng.integers(0, 2**64, 2, dtype=np.uint64) | np.array([1, 0], np.uint64)
    sent = rng.integers(0, 2**64, (count, 2), dtype=np.uint64)
    sent[:, 0] &= ALL_BUT_LOW
    bits = rng.integers(0, 2, count, dtype=np.uint64)
    received = sent ^ ((np.uint64(0) - bits)[:, None] & delta)
    choices = rng.integers(0, 2**64, count // 64, dtype=np.uint64)
    keys = rng.integers(0, 256, (2 if suffix == "" else 1, 16), dtype=np.uint8)
    receive, send = (KERNELS[f"silent.{side}{suffix}"] for side in ("receive", "send"))
    flips, chosen = receive.run(received, choices, keys, size)
    zeros, ones = send.run((sent, delta), flips, keys, size)
    for made, twin in (
        ((flips, chosen), receive.portable(received, choices, keys, size)),
        ((zeros, ones), send.portable((sent, delta), flips, keys, size)),
    ):
        assert [a.tobytes() for a in made] == [a.tobytes() for a in twin]
    assert np.array_equal(flips ^ choices, pack(bits.astype(np.uint8)))
    if suffix:
        assert np.array_equal(chosen, (zeros & ~choices) | (ones & choices))
    else:
        picked = unpack(choices, count)[:, None] == 1
        assert np.array_equal(chosen, np.where(picked, ones, zeros))


# ---- vectors -------------------------------------------------------------------------------------


def vector(case, which):
    """What both ends make of one expansion, as hashes of little-endian words."""
    code, coins = Code(*case["code"]), Randomness(bytes.fromhex(case["coins"]))
    delta = coins.words((2,)) | np.array([1, 0], np.uint64)
    mine, bits = coins.words((code.depth, code.trees, 2)), coins.bits((code.depth, code.trees))
    mine[:, :, 0] &= ALL_BUT_LOW
    theirs = mine ^ ((np.uint64(0) - bits.astype(np.uint64))[:, :, None] & delta)
    roots, key = coins.words((code.trees, 2)), np.frombuffer(coins.bytes(16), np.uint8)
    steps = {name: getattr(KERNELS[f"silent.{name}"], which) for name in KERNEL_NAMES}
    message, left = steps["plant"](delta, roots, mine, key)
    right = steps["graft"](theirs, message, key)
    sent, received = (steps["compress"](end, code, 0, code.rows) for end in (left, right))
    noise = received[:, 0] & ONE
    assert np.array_equal(received, sent ^ ((np.uint64(0) - noise)[:, None] & delta))
    made = {"message": message, "leaves": left, "sent": sent, "received": received}
    return {n: hashlib.sha256(v.astype("<u8").tobytes()).hexdigest() for n, v in made.items()}


KERNEL_NAMES = ("plant", "graft", "compress")
CASES = json.loads((VECTORS / "silent.json").read_text())


@pytest.mark.parametrize("which", ["run", "portable"])
@pytest.mark.parametrize("case", CASES[:4], ids=range(4))
def test_each_version_gives_the_bytes_of_the_vectors(case, which):
    assert case == {name: case[name] for name in ("expect", "coins", "code")} | vector(case, which)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["run", "portable"])
def test_the_code_that_is_used_gives_the_bytes_of_its_vector(which):
    assert CASES[4]["code"] == [32, 16, 512, 12, 20]
    assert vector(CASES[4], which).items() <= CASES[4].items()


@pytest.mark.parametrize(
    "sizes",
    [
        (6, 8, 16, 6, 9),
        (0, 8, 16, 6, 9),
        (4, REGION_BITS_MAX + 1, 64, 12, 17),
        (4, 0, 1, 2, 1),
        (4, 8, 16, 7, 9),
        (4, 8, 512, 1, 9),
        (4, 8, 16, 6, 10),
        (4, 8, 16, 6, 6),
        (4, 8, 16, 6, 0),
    ],
)
def test_sizes_of_a_code_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match=r"must|has|takes"):
        Code(*sizes)


def test_the_code_that_is_used_stands_against_linear_tests():
    """What `silent.md` states: the noise is enough for words of the weight that it names."""
    lightest = 0.0796
    assert -LARGE.trees * np.log2(1 - 2 * lightest) >= 128
    assert (LARGE.positions, LARGE.rows, LARGE.weight) == (1 << 21, 1 << 20, 32)


def test_importing_the_kernels_compiles_nothing():
    code = "import sys, protocols.silent; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_machine_without_aes_instructions_gets_the_portable_steps(monkeypatch):
    silent.compiled_steps.cache_clear()
    monkeypatch.setattr(silent.aes, "host_versions", lambda: ("portable",))
    try:
        assert silent.compiled_steps() is silent.PORTABLE
    finally:
        silent.compiled_steps.cache_clear()


# ---- the estimate of `silent.md` -----------------------------------------------------------------


def log2_of_words(code, rows, share):
    """At most log2 of the expected number of sums of so many rows that are lighter than `share`.

    Chernoff's bound on the weight, over the draws of the code. A region holds `rows` uniform
    points; between them the running xor is on and off in turn. Few rows: points on a line, so that
    what is on is Beta distributed. Many: each position is a point with chance q by itself.
    """
    weights = 2.0 ** np.arange(-1, 22, 0.25)
    size = 1 << code.region_bits
    if rows <= 2000:
        after = (rows // 2, rows // 2 + 1) if rows % 2 == 0 else ((rows + 1) / 2,) * 2
        per_region = np.array([log2_laplace(*after, weight) for weight in weights])
    else:
        chance = (1 - (1 - 2 / size) ** rows) / 2
        fade = np.exp(-weights / size)
        trace, product = (1 - chance) * (1 + fade), (1 - 2 * chance) * fade
        root = (trace + np.sqrt(np.maximum(trace**2 - 4 * product, 0))) / 2
        per_region = size * np.log2(root)
    found = code.weight * (per_region + weights * share / math.log(2))
    return log2_choose(code.rows, rows) + float(np.min(found))


def log2_laplace(left, right, weight):
    x = (np.arange(4000) + 0.5) / 4000
    logs = (left - 1) * np.log(x) + (right - 1) * np.log1p(-x) - weight * x
    logs += math.lgamma(left + right) - math.lgamma(left) - math.lgamma(right)
    return float(np.max(logs) + np.log(np.mean(np.exp(logs - np.max(logs))))) / math.log(2)


def log2_choose(n, k):
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)


@pytest.mark.slow
def test_words_of_the_code_are_as_heavy_as_its_note_says():
    few = [log2_of_words(LARGE, rows, 0.0796) for rows in range(1, 40)]
    assert few[1] == max(few)
    assert -4 < few[1] < -3.5
    assert sorted(few)[-2] < -20
    many = [40, 60, 100, 200, 500, 1000, 2000, 2001, 4000, 10**4, 10**5, LARGE.rows // 2]
    assert max(log2_of_words(LARGE, rows, 0.0796) for rows in many) < -50
    assert log2_of_words(LARGE, LARGE.rows // 2, 0.12) > 0  # beyond what any code of rate 1/2 has
