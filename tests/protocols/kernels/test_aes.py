"""AES in bulk: every version that this machine runs gives the bytes of the one vector file."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from protocols.kernels import aes
from protocols.randomness import Randomness

VECTORS = Path(__file__).parents[2] / "vectors" / "protocols" / "aes.json"
CASES = json.loads(VECTORS.read_text())
HERE = aes.host_versions()
SIZES = [0, 1, 15, 16, 17, 31, 32, 63, 64, 65, 300]


def octets(text):
    return np.frombuffer(bytes.fromhex(text), np.uint8).copy()


def words(rng, *shape):
    return rng.integers(0, 2**64, shape, dtype=np.uint64)


def computed(case, version):
    """What this version makes of the inputs of a case."""
    if case["what"] == "block":  # of FIPS 197: the hash is the cipher xor what went in
        row = octets(case["plain"]).view("<u8").astype(np.uint64).reshape(1, 2)
        made = version.hash_rows(row, octets(case["key"])) ^ row
        return {"cipher": made.astype("<u8").tobytes().hex()}
    coins = Randomness(bytes.fromhex(case["coins"]))
    keys = np.frombuffer(coins.bytes(16 * case["keys"]), np.uint8).reshape(-1, 16)
    if case["what"] == "expand":
        made = version.expand(keys, case["start"], case["blocks"])
    elif case["what"] == "hash_rows":
        made = version.hash_rows(coins.words((case["rows"], 2)), keys[0]).astype("<u8")
    else:
        made = version.double(coins.words((case["rows"], 2)), keys).astype("<u8")
    return {"sha256": hashlib.sha256(made.tobytes()).hexdigest()}


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_bytes_are_those_of_the_vector(case, name):
    found = computed(case, aes.version(name))
    assert found == {key: case[key] for key in found}


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("count", SIZES)
def test_versions_agree_at_every_size(count, name):
    rng = np.random.default_rng(count)
    version, twin = aes.version(name), aes.version("portable")
    rows, keys = words(rng, count, 2), rng.integers(0, 256, (2, 16)).astype(np.uint8)
    many = rng.integers(0, 256, (count, 16)).astype(np.uint8)
    assert np.array_equal(version.hash_rows(rows, keys[0]), twin.hash_rows(rows, keys[0]))
    assert np.array_equal(version.double(rows, keys), twin.double(rows, keys))
    assert np.array_equal(version.expand(many, 3, 5), twin.expand(many, 3, 5))
    assert np.array_equal(version.expand(keys, 2**40, count), twin.expand(keys, 2**40, count))


def test_the_children_of_a_seed_are_its_hashes_under_the_two_keys():
    rng = np.random.default_rng(1)
    seeds, keys = words(rng, 5000, 2), rng.integers(0, 256, (2, 16)).astype(np.uint8)
    children = aes.double(seeds, keys)
    for side in range(2):
        assert np.array_equal(children[:, side], aes.hash_rows(seeds, keys[side]))


def test_a_keystream_can_be_entered_anywhere():
    keys = np.random.default_rng(2).integers(0, 256, (3, 16)).astype(np.uint8)
    assert np.array_equal(aes.expand(keys, 7, 5), aes.expand(keys, 0, 12)[:, 7:])


@pytest.mark.skipif(len(HERE) < 2, reason="no AES instructions here")
def test_the_last_round_key_is_that_of_fips_197():
    keys = np.repeat(octets("2b7e151628aed2a6abf7158809cf4f3c")[None], 5, axis=0)
    last = aes.schedules(keys)[:, -1]
    assert {row.tobytes().hex() for row in last} == {"d014f9a8c9ee2589e13f0cc8b6630ca6"}


@pytest.mark.parametrize(
    ("flags", "best"),
    [
        ({}, "portable"),
        ({"aes": True}, "aesni"),
        ({"aes": True, "vaes": True}, "aesni"),
        ({"aes": True, "vaes": True, "avx512f": True}, "aesni"),
        ({"aes": True, "vaes": True, "avx512f": True, "avx512bw": True}, "vaes"),
        ({"aes": False, "vaes": True, "avx512f": True, "avx512bw": True}, "portable"),
    ],
)
def test_the_features_of_the_processor_choose_the_version(monkeypatch, flags, best):
    monkeypatch.setattr(aes, "_flags", lambda: flags)
    found = aes.host_versions.__wrapped__()
    assert found[0] == best
    assert found[-1] == "portable"


@pytest.mark.parametrize("setting", ["CPU_NAME", "CPU_FEATURES"])
def test_a_compiler_that_is_told_another_processor_is_not_given_instructions_of_this_one(
    monkeypatch, setting
):
    config = pytest.importorskip("numba.core.config")
    monkeypatch.setattr(config, setting, "generic")
    assert aes.host_versions.__wrapped__() == ("portable",)


@pytest.mark.skipif(len(HERE) < 2, reason="no AES instructions here")
def test_the_compilers_cache_keeps_processors_apart():
    """A cached loop is found by types and by the processor's name and features."""
    loops = pytest.importorskip("protocols.kernels.aes_loops")
    aes.version(HERE[0]).hash_rows(np.zeros((32, 2), np.uint64), np.zeros(16, np.uint8))
    index = loops.hash_loop._cache
    keys = index._index_key(loops.hash_loop.signatures[0], _codegen(loops.hash_loop))
    assert set(_codegen(loops.hash_loop).magic_tuple()) <= set(keys[1])


def _codegen(loop):
    return loop.targetctx.codegen()
