"""Two members' nodes as real processes, on Ray or in one process, with rows of their own."""

import base64
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace

from p2pmpc.client import NodeClient
from p2pmpc.errors import P2pmpcError
from p2pmpc.settings import rehearsal_settings
from p2pmpc.study import parse_study
from simulations.describe import Describer
from simulations.process import end_all, start
from simulations.sites import Site

NAMES = ("north", "south")
MARK = 71_717  # a value of a cell that is searched for wherever it must not be
WARM_S = 5.0
PERSON = "Xanthippe-4711"
POOLED = """
[study]
title = "Ages"
[data.people]
dataset = "people"
members = ["north", "south"]
[[statistic]]
name = "ages"
kind = "describe"
columns = ["age", "code"]
"""
LINKED = """
[study]
title = "Who is in both"
[data.here]
dataset = "few"
members = ["north"]
where = "age >= 40"
[data.there]
dataset = "few"
members = ["south"]
[link]
tables = ["here", "there"]
by = [["id"]]
[[statistic]]
name = "both"
kind = "count"
"""


def frame(first, rows, seed):
    coins = np.random.default_rng(seed)
    ages = coins.integers(20, 90, rows)
    ids = [f"P{k:07d}" for k in range(first, first + rows)]
    ids[0] = PERSON
    codes = coins.integers(0, 1000, rows)
    codes[0] = MARK
    return pd.DataFrame({"id": ids, "age": ages, "code": codes})


class Pair:
    """Both members' nodes in one folder of the test's own."""

    def __init__(self, engine, **settings):
        self.folder = Path(tempfile.mkdtemp(prefix="c-", dir="/tmp"))
        self.engine = engine
        self.sites = {}
        self.members = {}
        for name in NAMES:
            own = replace(
                rehearsal_settings(name),
                refused_grace_s=10.0,
                attempts=3,
                retry_s=0.5,
                **settings.get(name, {}),
            )
            (self.folder / f"{name}.toml").write_text(own.to_toml())
        self.began = time.monotonic()
        for name in NAMES:
            self.members[name] = start(name, self.folder / name, self.command)
        for one in self.members.values():
            one.wait_ready(time.monotonic() + 120)
        self.ready_s = time.monotonic() - self.began

    def command(self, name, home):
        words = [sys.executable, "-m", "nodes", "--ephemeral", "--name", name, "--home", str(home)]
        return [*words, "--settings", str(self.folder / f"{name}.toml"), "--engine", self.engine]

    def client(self, name) -> NodeClient:
        return self.members[name].client

    def meet(self):
        cards = [self.client(name).get("/card", 30)["card"] for name in NAMES]
        for name in NAMES:
            self.client(name).post("/network", {"cards": cards, "name": "pair"}, 30)

    def hold(self, frames, texts):
        """Give each member its rows; what these studies need is described from them."""
        for name, sets in frames.items():
            files = {}
            for dataset, rows in sets.items():
                files[dataset] = self.folder / f"{name}-data" / f"{dataset}.csv"
                files[dataset].parent.mkdir(exist_ok=True)
                rows.to_csv(files[dataset], index=False)
            self.sites[name] = Site(name, files)
        for text in texts:
            study = parse_study(text, "study.toml")
            described = Describer.read([], self.sites).describe(study, self.sites)
            for name, dataset in sorted((n, d) for n in described for d in described[n]):
                most = max(len(sets[dataset]) for sets in frames.values() if dataset in sets)
                dictionary = described[name][dataset]
                dictionary = replace(dictionary, rows_max=max(dictionary.rows_max, 2 * most))
                body = {
                    "name": dataset,
                    "paths": [str(self.sites[name].files[dataset])],
                    "dictionary": base64.b64encode(dictionary.to_bytes()).decode(),
                }
                self.client(name).post("/data", body, 120)

    def propose(self, text, by="north"):
        study = parse_study(text, "study.toml")
        body = {"study": base64.b64encode(study.to_bytes()).decode()}
        return self.client(by).post("/study", body, 30)["study"]

    def story(self, name, study):
        return self.client(name).get(f"/study/{study}/events?after=0&wait=0", 30)

    def wait(self, name, study, wanted, limit_s=60.0):
        """The first line of a member's story for which wanted(line) is true."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            with contextlib.suppress(P2pmpcError):  # its Gateway may be starting again
                for line in self.story(name, study)["events"]:
                    if wanted(line):
                        return line
            time.sleep(0.02)
        raise AssertionError(f"{name}: not seen within {limit_s} s: {self.story(name, study)}")

    def answer(self, study, by="north"):
        self.wait(by, study, lambda line: line["event"] in {"answered", "ended", "withheld"})
        return self.client(by).get(f"/study/{study}/result", 30)

    def actors(self, name):
        """Process ids of this member's actors by kind."""
        found = {}
        for pid, title in below(self.members[name].pid):
            if title.startswith("ray::"):
                kind = title.removeprefix("ray::").split(".")[0].split("(")[0].split()[0]
                found.setdefault(kind, []).append(pid)
        return found

    def kill(self, name, kind):
        """SIGKILL all actors of a kind, as soon as there is one; their process ids."""
        deadline = time.monotonic() + 20
        while not (killed := self.actors(name).get(kind)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        return set(killed)

    def wait_warm(self):
        """Until both members have a Session's process that is old enough to be warm."""
        deadline = time.monotonic() + 60
        while min(max([age(pid) for pid in self.actors(name).get("Host", [])], default=0)
                  for name in NAMES) < WARM_S:  # fmt: skip
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def end(self):
        end_all(list(self.members.values()))
        shutil.rmtree(self.folder, ignore_errors=True)


def age(pid):
    """Seconds since a process was started."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def below(ancestor):
    """(process id, title) of all that runs below a process."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    parents.setdefault(int(fields[1]), []).append(int(entry.name))
                    title = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    titles[int(entry.name)] = title.decode("utf-8", "replace").strip()
    found = [ancestor]
    for one in found:
        found += parents.get(one, [])
    return [(pid, titles[pid]) for pid in found[1:]]


@pytest.fixture(scope="session")
def frames():
    """South's rows lie in one process, north's people, at 65,536 rows a process, in two."""
    north, south = frame(0, 70_000, 1), frame(69_000, 3_000, 2)
    return {
        "north": {"people": north, "few": north.iloc[-1200:]},
        "south": {"people": south, "few": south.iloc[:900]},
    }


@pytest.fixture(scope="session")
def texts():
    """A study of pooled rows and one of linked rows."""
    return POOLED, LINKED


@pytest.fixture(scope="session")
def make_pair():
    return Pair


@pytest.fixture(scope="session")
def marks():
    """Texts that stand in rows, as they would be found in a file."""
    return (PERSON.encode(), str(MARK).encode(), MARK.to_bytes(8, "little"))


@pytest.fixture(scope="session")
def processes_below():
    return below
