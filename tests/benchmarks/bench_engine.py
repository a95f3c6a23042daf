"""A node on Ray beside a node in one process: how soon it is ready, how soon it answers.

    python tests/benchmarks/bench_engine.py

Ready is from the start of all node processes to the last ready line. A study's seconds are from the
last consent to the answer at the proposer, by its own story; each study is a new one, after one
that is not counted. The baseline is the same with `--engine process`, in the same run.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from p2pmpc.study import parse_study
from simulations.describe import Describer
from simulations.process import MemberProcess, end_all, node_command, start
from simulations.sites import Site

STUDIES = 5
PAUSE_S = 6.0  # four clusters share this machine's cores: all have made their spare session again
COUNT = """
[study]
title = "How many, {number}"
[data.people]
dataset = "people"
members = [{members}]
[[statistic]]
name = "n"
kind = "count"
"""


@contextlib.contextmanager
def nodes(engine: str, count: int) -> Iterator[tuple[list[MemberProcess], float, Path]]:
    """So many nodes that are ready, the seconds it took, and a folder beside them."""
    folder = Path(tempfile.mkdtemp(prefix="b-", dir="/tmp"))
    began = time.perf_counter()
    members = [start(f"m{k}", folder / f"n{k}", node_command(engine)) for k in range(count)]
    try:
        for one in members:
            one.wait_ready(time.monotonic() + 300)
        yield members, time.perf_counter() - began, folder
    finally:
        began = time.perf_counter()
        end_all(members)
        print(f"    {engine}, {count}: ended in {time.perf_counter() - began:.2f} s")
        shutil.rmtree(folder, ignore_errors=True)


def study_of(members: list[MemberProcess], number: int) -> str:
    names = ", ".join(f'"{one.name}"' for one in members)
    return COUNT.format(number=number, members=names)


def hold(members: list[MemberProcess], folder: Path) -> None:
    """Found the network and give each member a hundred rows."""
    cards = [one.client.get("/card", 30)["card"] for one in members]
    for one in members:
        one.client.post("/network", {"cards": cards, "name": "bench"}, 30)
    sites = {}
    for one in members:
        file = folder / one.name / "people.csv"
        file.parent.mkdir()
        file.write_text("age\n" + "".join(f"{20 + k % 60}\n" for k in range(100)))
        sites[one.name] = Site(one.name, {"people": file})
    study = parse_study(study_of(members, 0), "study.toml")
    described = Describer.read([], sites).describe(study, sites)
    for one in members:
        dictionary = base64.b64encode(described[one.name]["people"].to_bytes()).decode()
        files = [str(sites[one.name].files["people"])]
        one.client.post("/data", {"paths": files, "dictionary": dictionary}, 60)


def answered(members: list[MemberProcess], number: int) -> float:
    """Seconds from the last consent to the answer."""
    study = parse_study(study_of(members, number), "study.toml")
    client = members[0].client
    body = {"study": base64.b64encode(study.to_bytes()).decode()}
    name = client.post("/study", body, 30)["study"]
    consented: dict[str, float] = {}
    after = 0
    while True:
        found = client.get(f"/study/{name}/events?after={after}&wait=5", 30)
        for line in found["events"]:
            after = line["n"]
            if line["event"] == "consented":
                consented["last"] = line["t"]
            if line["event"] == "answered":
                return float(line["t"] - consented["last"])
        assert found["state"] in {"running", "answered"}, found


def main() -> None:
    """Print one line a measurement."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", file=sys.stdout)
    for engine in ("process", "ray"):
        for count in (1, 4):
            with nodes(engine, count) as (members, ready_s, folder):
                print(f"{engine}: {count} ready in {ready_s:.2f} s")
                if count > 1:
                    hold(members, folder)
                    answered(members, 0)
                    times = []
                    for number in range(1, STUDIES + 1):
                        time.sleep(PAUSE_S)
                        times.append(answered(members, number))
                    print(
                        f"{engine}: {count} members, consented -> answered: "
                        f"median {statistics.median(times):.3f} s, most {max(times):.3f} s"
                    )


if __name__ == "__main__":
    main()
