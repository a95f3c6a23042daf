"""Real node processes make correlations while idle; who is killed begins again with none."""

import base64
import time

import pytest

from p2pmpc.study import parse_study

ASKED = """
[study]
title = "{title}"
[data.people]
dataset = "people"
members = ["north", "south"]
[[statistic]]
name = "n"
kind = "count"
"""
LIMIT_S = 90.0
POOL = {"pool_mb": 8}


def quote(pair, name):
    study = parse_study(ASKED.format(title="next"), "study.toml")
    body = {"study": base64.b64encode(study.to_bytes()).decode()}
    return pair.client(name).post("/quote", body, 30)


def filled(pair):
    """Wait until neither member lacks anything for a study."""
    deadline = time.monotonic() + LIMIT_S
    while any(quote(pair, name)["missing"] for name in pair.members):
        assert time.monotonic() < deadline, quote(pair, "north")
        time.sleep(0.1)


def cost(pair, title):
    study = pair.propose(ASKED.format(title=title))
    assert pair.answer(study)["statistics"]["n"]["values"]["n"] > 0
    deadline = time.monotonic() + LIMIT_S
    while not (found := pair.client("north").get(f"/study/{study}/cost", 30)).get("rounds"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("engine", ["process", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_study_after_a_fill_takes_fewer_rounds_and_bytes(make_pair, frames, texts, engine):
    pair = make_pair(engine, north=POOL, south=POOL)
    try:
        pair.meet()
        pair.hold(frames, texts)
        assert quote(pair, "north")["missing"]["wire"] == 1
        first = cost(pair, "first")
        filled(pair)
        second = cost(pair, "second")
        assert second["rounds"] < first["rounds"]
        assert second["bytes_sent"] < first["bytes_sent"]
        filled(pair)
        if engine == "ray":
            _loses_its_pool_with_its_process(pair)
    finally:
        pair.end()


def _loses_its_pool_with_its_process(pair):
    """South's Gateway is killed with a full pool: the next has none, and north's is of no use."""
    pair.kill("south", "Gateway")
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            found = quote(pair, "south")
            break
        except Exception:  # noqa: BLE001  it is starting again
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert found["missing"] == found["needs"]
    third = cost(pair, "third")
    assert third["rounds"] > 0
