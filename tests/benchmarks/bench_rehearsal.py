"""A whole rehearsal: processes, links, consent, protocol, certificate, answer, end.

    python tests/benchmarks/bench_rehearsal.py

Seconds are a person's: from the command's start to its last line. The baseline is pandas and SciPy
in a process of its own on the pooled file, imports included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from simulations.lung import HOSPITALS, LAB, read_lung, split, write_files

RUNS = 3
PLAIN = """
import sys
import pandas as pd
from scipy import stats
frame = pd.concat(map(pd.read_csv, sys.argv[1:]))
groups = [frame.age[frame.sex == sex] for sex in ("male", "female")]
print(len(frame), frame.age.mean(), stats.ttest_ind(*groups, equal_var=False).statistic)
"""


def timed(command: list[str]) -> tuple[float, str]:
    """Seconds and standard output of the fastest of some runs."""
    found = []
    for _ in range(RUNS):
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode in {0, 3}, done.stderr
        found.append((time.perf_counter() - began, done.stdout))
    return min(found)


def rehearsed(study: Path, folder: Path, members: list[str]) -> None:
    command = [sys.executable, "-m", "p2pmpc.cli", "rehearse", str(study), "--json"]
    for member in members:
        file = folder / member / ("markers.csv" if member == LAB else "lung.csv")
        command += ["--site", f"{member}={file}"]
    for name in ("lung", "markers"):
        command += ["--dictionary", str(folder / f"{name}.toml")]
    seconds, out = timed(command)
    cost = json.loads(out)["data"]["cost"]
    sent = sum(cost["bytes_sent"].values())
    memory = max(cost["peak_memory"].values())
    print(
        f"{study.stem}, {len(members)} members: {seconds:.2f} s, of these "
        f"{cost['study_seconds']:.2f} s the protocol; {cost['rounds']} rounds, "
        f"{sent / 1e6:.2f} MB sent by all, {memory / 1e6:.0f} MB peak in one node"
    )


def main() -> None:
    """Print one line a study."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_files(split(read_lung()), folder)
        count = folder / "count.toml"
        text = files["pooled"].read_text()
        kind = '[[statistic]]\nname = "n"\nkind = "count"\n'
        count.write_text(text[: text.index("[[statistic]]")] + kind)
        csv = [str(files[name]) for name in HOSPITALS]
        seconds, _ = timed([sys.executable, "-c", PLAIN, *csv])
        print(f"pandas and SciPy, pooled: {seconds:.2f} s")
        rehearsed(count, folder, list(HOSPITALS))
        rehearsed(files["pooled"], folder, list(HOSPITALS))
        rehearsed(files["linked"], folder, [*HOSPITALS, LAB])


if __name__ == "__main__":
    main()
