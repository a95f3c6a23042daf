"""What is missing has a price in seconds and megabytes, in words that a person reads."""

import numpy as np
import pytest

from nodes.pools.quote import RATES, quote
from protocols.batches import Batch, batch_id
from protocols.needs import Needs


def shelf(*kinds):
    return [
        Batch(batch_id(bytes(32), kind, 0), ("a", "b"), kind, units, {"0": np.ones(1, np.uint64)})
        for kind, units in kinds
    ]


def test_an_empty_pool_lacks_everything_and_says_what_it_costs():
    found = quote({"and": 10**6, "wire": 1}, [], 2, linked=False)
    assert found["missing"] == {"and": 10**6, "wire": 1}
    assert found["missing_seconds"] == pytest.approx(10**6 * RATES["and"] + 0.04, abs=1e-3)
    assert found["missing_mb"] == pytest.approx(
        (Needs({"and": 10**6}).bytes(2) + 8224) / 1e6, abs=1e-3
    )
    assert found["said"].startswith("nothing was made ahead; the rest is made while it runs: about")
    assert "MB sent here" in found["said"]


def test_what_is_held_is_not_missing():
    found = quote({"and": 5, "wire": 1}, shelf(("and", 5), ("wire", 1)), 2, linked=False)
    assert (found["missing"], found["missing_seconds"], found["missing_mb"]) == ({}, 0, 0)
    assert "nothing is missing" in found["said"]


def test_a_part_that_is_held_is_said():
    found = quote({"and": 5, "wire": 1}, shelf(("and", 3)), 3, linked=True)
    assert found["missing"] == {"and": 2, "wire": 1}
    assert "part of what its checks need was made ahead" in found["said"]
    assert "linked tables" in found["said"]


@pytest.mark.parametrize("kind", sorted(RATES))
def test_every_rate_is_one_of_a_kind_that_needs_know(kind):
    name = f"{kind}/9" if kind.startswith(("edabit", "truncate")) else kind
    assert Needs({name: 10}).seconds(RATES, 2) > 0
