"""Very many proposals at real nodes: what is over leaves little, in memory and in waiting."""

import base64
import time

import pytest

from p2pmpc.policy import REHEARSAL
from p2pmpc.study import parse_study

NAMES = ("lab", "north", "south")
EACH_BYTES_MAX = 24 * 1024  # of a node's memory for a study that was refused: text, entry, story


def resident(member):
    with open(f"/proc/{member.process.pid}/status") as file:
        line = next(one for one in file if one.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def propose_many(town, text, first, last):
    for number in range(first, last):
        study = parse_study(text.replace("How many", f"Number {number}", 1), "study.toml")
        body = {"study": base64.b64encode(study.to_bytes()).decode()}
        town.members["north"].post("/study", body)


def wait_refused(town, count):
    """Until every node knows one answered study and so many refused ones."""
    deadline = time.monotonic() + 180
    for name in NAMES:
        while True:
            states = sorted(town.members[name].get("/status")["studies"].values())
            if states == ["answered", *["refused"] * count]:
                break
            assert time.monotonic() < deadline, (name, len(states), set(states))
            time.sleep(0.3)


@pytest.mark.slow
def test_a_thousand_proposals_that_a_member_refuses_leave_little_memory(
    town, count_frames, count_study
):
    for name in NAMES:
        town.start(name)
    town.found()
    first = town.propose(count_study, count_frames)
    town.wait("north", first, lambda event: event["event"] == "answered", 60)
    rules = REHEARSAL.to_toml().replace('"approve"', '"refuse"')
    town.members["south"].post("/policy", {"policy": rules})
    propose_many(town, count_study, 0, 100)
    wait_refused(town, 100)
    before = {name: resident(town.members[name]) for name in NAMES}
    propose_many(town, count_study, 100, 1000)
    wait_refused(town, 1000)
    for name in NAMES:
        grown = resident(town.members[name]) - before[name]
        assert grown < 900 * EACH_BYTES_MAX, (name, grown)
