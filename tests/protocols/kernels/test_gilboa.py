"""Products by OT: compiled loops, their twins and the vectors give the same bytes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from protocols.kernels import gilboa
from protocols.kernels.bits import unpack
from protocols.needs import packed_words
from protocols.randomness import Randomness
from protocols.ring import Ring

FILE = Path(__file__).parents[2] / "vectors" / "protocols" / "gilboa.json"
CASES = json.loads(FILE.read_text())
VERSIONS = {
    "compiled": (gilboa.send, gilboa.receive),
    "portable": (gilboa.send_portable, gilboa.receive_portable),
}


def strings(case):
    """Strings and factors from the case's coins: zeros, ones, chosen, a, b."""
    ring, count = Ring(case["words"]), case["products"]
    coins = Randomness(bytes.fromhex(case["coins"]))
    zeros, ones = (ring.random(coins, (ring.bits * count,)) for _ in range(2))
    a, b = (ring.random(coins, (count,)) for _ in range(2))
    choices = unpack(a, ring.bits).reshape(-1, 1)
    return zeros, ones, np.where(choices == 1, ones, zeros), a, b


def made(case, version):
    send, receive = VERSIONS[version]
    zeros, ones, chosen, a, b = strings(case)
    packed, sent = send(zeros, ones, b)
    received = receive(chosen, a, packed)
    ring = Ring(case["words"])
    assert np.array_equal(ring.add(sent, received), ring.mul(a, b))
    return {"packed": packed, "sent": sent, "received": received}


def hashes(found):
    return {n: hashlib.sha256(v.astype("<u8").tobytes()).hexdigest() for n, v in found.items()}


@pytest.mark.parametrize("version", sorted(VERSIONS))
@pytest.mark.parametrize("case", CASES)
def test_the_bytes_of_every_version_are_those_of_the_vector(case, version):
    assert hashes(made(case, version)) == {
        name: case[name] for name in ("packed", "sent", "received")
    }


@pytest.mark.parametrize("words", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65])
def test_shares_of_any_number_of_products_add_up(words, count):
    case = {"words": words, "products": count, "coins": "07" * 32}
    found = made(case, "compiled")
    assert found["packed"].shape == (count, packed_words(64 * words))
    assert hashes(found) == hashes(made(case, "portable"))


@pytest.mark.parametrize("words", [1, 2])
def test_extreme_factors_multiply(words):
    ring, rng = Ring(words), np.random.default_rng(words)
    values = [0, 1, -1, 2**62, -(2**63), 2**63 - 1, 2**64 + 5] * 10
    a, b = ring.from_ints(values), ring.from_ints(values[::-1])
    zeros, ones = rng.integers(0, 2**64, (2, ring.bits * len(a), words), dtype=np.uint64)
    chosen = np.where(unpack(a, ring.bits).reshape(-1, 1) == 1, ones, zeros)
    packed, sent = gilboa.send(zeros, ones, b)
    received = gilboa.receive(chosen, a, packed)
    assert np.array_equal(ring.add(sent, received), ring.mul(a, b))


@pytest.mark.parametrize("words", [1, 2])
def test_corrections_of_random_strings_are_uniform_whatever_the_factor(words):
    """A bit that is not masked would be the same in all products."""
    ring, rng = Ring(words), np.random.default_rng(words)
    zeros, ones = rng.integers(0, 2**64, (2, ring.bits * 900, words), dtype=np.uint64)
    packed, _ = gilboa.send(zeros, ones, ring.from_ints([5] * 900))
    used = unpack(packed, ring.bits * (ring.bits + 1) // 2).mean(axis=0)
    assert np.abs(used - 0.5).max() < 6 * 0.5 / 30
