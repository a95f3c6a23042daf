"""Any actor killed at any moment of a study: the node heals, the study ends well or by name."""

import base64
import itertools
import time

import pytest

from p2pmpc.bundle import open_bundle
from p2pmpc.errors import P2pmpcError
from p2pmpc.record import Ready, read_content
from p2pmpc.verify import verify_bundle

POINTS = 20
STEP_S = 0.15  # a linked study takes some three seconds
HEALED_S = 15.0  # five on a machine of its own
ROWS = 10_000_000


@pytest.fixture(scope="module")
def pair(make_pair, frames, texts):
    pair = make_pair("ray")
    try:
        pair.meet()
        small = {name: {set_: rows.iloc[:1200] for set_, rows in sets.items()}
                 for name, sets in frames.items()}  # fmt: skip
        pair.hold(small, texts)
        yield pair
    finally:
        pair.end()


def healed(pair, name):
    """Seconds until a member answers people and can run a session again."""
    began = time.monotonic()
    while time.monotonic() - began < 60:
        try:
            if pair.client(name).get("/status", 5) and pair.actors(name).get("Host"):
                return time.monotonic() - began
        except P2pmpcError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{name} did not heal")


def end_of(pair, study):
    """How a study ended; a Gateway that was started again knows its state, and no story."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            state = pair.story("north", study)["state"]
        except P2pmpcError:
            state = "running"
        if state != "running":
            assert state in {"answered", "aborted"}
            return state
        time.sleep(0.05)
    raise AssertionError(pair.story("north", study))


@pytest.mark.slow
def test_a_death_at_any_point_ends_a_study_well_or_by_name_and_no_mask_is_used_twice(pair, texts):
    kinds = itertools.cycle(["Host", "Gateway", "Dataset"])
    ended = []
    for point in range(POINTS):
        name = ("south", "north")[point % 2]
        study = pair.propose(texts[1].replace("Who is", f"{point}: who is"))
        time.sleep(point * STEP_S)
        pair.kill(name, next(kinds))
        assert healed(pair, name) < HEALED_S
        ended.append(end_of(pair, study))
    assert ended.count("answered") > POINTS // 2, ended
    bundle = base64.b64decode(pair.client("north").get("/log/export", 60)["bundle"])
    assert verify_bundle(bundle).ok
    offered = [
        note.key
        for feed in open_bundle(bundle).feeds
        for signed, body in feed.entries
        if body is not None and isinstance(note := read_content(signed.read().kind, body), Ready)
    ]
    assert len(offered) >= 2 * POINTS
    assert len(set(offered)) == len(offered)


@pytest.mark.slow
def test_ten_million_rows_in_five_processes_answer_as_they_do_in_one(make_pair):
    import numpy as np
    import pandas as pd

    text = """
[study]
title = "Many"
[data.many]
dataset = "many"
members = ["north", "south"]
[[statistic]]
name = "values"
kind = "describe"
columns = ["value"]
"""
    values = np.random.default_rng(3).integers(0, 1000, ROWS)
    few = pd.DataFrame({"value": values[:1000]})
    pair = make_pair("ray")
    try:
        pair.meet()
        whole = {"north": {"many": pd.DataFrame({"value": values})}, "south": {"many": few}}
        pair.hold(whole, [text])
        assert len(pair.actors("north")["Dataset"]) == 6  # 1,966,080 rows in each
        table = pair.answer(pair.propose(text))["statistics"]["values"]["table"][0]
    finally:
        pair.end()
    every = np.concatenate([values, values[:1000]])
    assert table["n"] == ROWS + 1000
    assert table["mean"] == pytest.approx(every.mean(), rel=1e-14)
    assert table["var"] == pytest.approx(every.var(ddof=1), rel=1e-12)
