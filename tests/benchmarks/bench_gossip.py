"""How soon everybody knows: a proposal at one member, until every other member's people see it.

    python tests/benchmarks/bench_gossip.py

Real node processes on loopback, as in a rehearsal: TLS, SQLite with fsync before every send. The
baseline of the same run is one request to the control interface of the node that proposes.
"""

from __future__ import annotations

import base64
import statistics
import threading
import time

from p2pmpc.study import parse_study
from simulations.laptop import Limits, Plan, Stage, staged
from simulations.process import node_command
from simulations.workers import Stop

MEMBERS = (4, 12)
PROPOSALS = 10
WAIT_S = 20.0
STUDY = """
[study]
title = "Gossip {number}"
[data.rows]
dataset = "rows"
members = [{names}]
[[statistic]]
name = "n"
kind = "count"
"""


def seen_by_all(stage: Stage, names: str, number: int) -> tuple[float, float]:
    """Seconds until the proposer's answer, and until the last member's people could read it."""
    study = parse_study(STUDY.format(number=number, names=names), "study.toml")
    at: dict[str, float] = {}

    def wait(one) -> None:
        found = one.client.study(study.id, f"events?after=0&wait={WAIT_S}", 2 * WAIT_S)
        assert found["events"], f"{one.name} did not hear of it"
        at[one.name] = time.perf_counter()

    readers = [threading.Thread(target=wait, args=(one,)) for one in stage.nodes]
    for reader in readers:
        reader.start()
    time.sleep(0.1)  # all readers wait by now
    body = {"study": base64.b64encode(study.to_bytes()).decode()}
    began = time.perf_counter()
    stage.nodes[0].client.post("/study", body, WAIT_S)
    answered = time.perf_counter() - began
    for reader in readers:
        reader.join(2 * WAIT_S)
    return answered, max(at.values()) - began


def main() -> None:
    for count in MEMBERS:
        members = tuple(f"m{number:02d}" for number in range(count))
        names = ", ".join(f'"{name}"' for name in members[:3])  # all hear of it
        with staged(
            members, node_command("process"), Limits(), Stop(), lambda _line: None
        ) as stage:
            stage.describe(dict)
            stage.meet(Plan("gossip", members, {}, {name: {} for name in members}, {}, {}))
            time.sleep(3.0)  # the links of all pairs
            found = [seen_by_all(stage, names, number) for number in range(PROPOSALS)]
        own, everybody = (statistics.median(column) for column in zip(*found, strict=True))
        print(
            f"{count} members: proposed in {1000 * own:.0f} ms, known to all in "
            f"{1000 * everybody:.0f} ms, {everybody / own:.1f} times that (medians of {PROPOSALS})"
        )


if __name__ == "__main__":
    main()
