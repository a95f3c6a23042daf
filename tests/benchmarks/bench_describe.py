"""A pooled `describe` of ten columns over three nodes, beside pandas on all rows in one frame.

    python tests/benchmarks/bench_describe.py [--rows 10000000] [--runs 3]

Three parties as processes over the product's TLS, each with a third of the rows in memory; pandas
has all of them in memory too and reads no file. Ours gives means, deviations, skewness and kurtosis
exactly; pandas' `describe` gives quartiles in place of the last two. In turn, and the median of the
ratios of wall time; the word "missed" where ours is slower.
"""

import argparse
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
from engine_describe import COLUMNS, OPERATIONS, rows_of
from parties import busier, go_alone, ours

MEBIBYTE = 2**20
PARTIES = 3
PLAIN = dict.fromkeys(("stock", "silent", "fresh", "profile"), False)
DECIMALS = {"describe": None, "describe of one decimal": 1}


def pooled_frame(rows, decimals):
    parts = [rows_of(place, rows // PARTIES, decimals) for place in range(PARTIES)]
    return pd.concat([pd.DataFrame(part, columns=list(COLUMNS)) for part in parts])


def pandas_s(frame):
    began = time.perf_counter()
    frame.describe()
    return time.perf_counter() - began


def measure(side, operation, rows, runs):
    frame = pooled_frame(rows, DECIMALS[operation])
    side.run(operation, 3000, **PLAIN)  # compiled code is loaded
    ratios, figures, plain = [], [], []
    for _ in range(runs):
        plain.append(pandas_s(frame))
        figures.append(busier(side.run(operation, rows, **PLAIN)))
        ratios.append(plain[-1] / figures[-1]["wall_s"])
    ratio = statistics.median(ratios)
    wall = statistics.median(figure["wall_s"] for figure in figures)
    cpu = statistics.median(figure["cpu_s"] for figure in figures)
    peak = max(figure["peak_bytes"] - figure["held_bytes"] for figure in figures)
    print(
        f"{operation}, {rows:,} rows x {len(COLUMNS)} columns, {PARTIES} parties: {wall:.2f} s "
        f"wall, {cpu:.2f} s CPU of the busiest party, {peak / MEBIBYTE:.0f} MiB beside its rows, "
        f"error {figures[-1]['error']:.1g}; pandas {statistics.median(plain):.2f} s; "
        f"{ratio:.2f} times as fast as pandas{'; missed' if ratio < 1 else ''}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description="A pooled describe beside pandas.")
    parser.add_argument("--rows", type=int, default=10**6)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    go_alone()
    with tempfile.TemporaryDirectory() as folder, closing(ours(PARTIES, Path(folder))) as side:
        for operation in OPERATIONS:
            measure(side, operation, options.rows, options.runs)


if __name__ == "__main__":
    main()
