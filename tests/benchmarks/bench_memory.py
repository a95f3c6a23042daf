"""Peak memory of a party, whatever the number of rows.

    python tests/benchmarks/bench_memory.py [--rows 100000 1000000 10000000] [--only describe]

Two parties as processes over the product's TLS. Rows go in windows of 2^18. The bound is a constant
of the process (interpreter, libraries, loops, links, freed memory that is kept) and a number of
bytes for each row of one window; the word "missed" stands where the peak is above it.
"""

import argparse
import tempfile
from contextlib import closing
from pathlib import Path

from engine_windows import OPERATIONS, WINDOW_ROWS
from parties import busier, go_alone, ours

MEBIBYTE = 2**20
PLAIN = dict.fromkeys(("stock", "silent", "fresh", "profile"), False)
CONSTANT_BYTES = 300 * MEBIBYTE
ROW_BYTES = {  # of one window
    "multiply in windows": 400,
    "less_than in windows": 400,
    "describe in windows": 200,
}


def line(operation, rows, figure):
    """One line of text, with the word missed where the peak is above the bound."""
    bound = CONSTANT_BYTES + ROW_BYTES[operation] * WINDOW_ROWS
    peak = figure["peak_bytes"]
    text = (
        f"{operation}, {rows:,} rows: {peak / MEBIBYTE:.0f} MiB at most, bound "
        f"{CONSTANT_BYTES / MEBIBYTE:.0f} MiB and {ROW_BYTES[operation]} B a row of a window, "
        f"{bound / MEBIBYTE:.0f} MiB; {figure['cpu_s']:.2f} s CPU; error {figure['error']:.2g}"
    )
    return text + ("; missed" if peak > bound or figure["error"] > 1e-9 else "")


def arguments():
    parser = argparse.ArgumentParser(description="Peak memory of a party.")
    parser.add_argument("--rows", type=int, nargs="+", default=[10**5, 10**6])
    parser.add_argument("--only", default="", help="operations whose name has these words")
    return parser.parse_args()


def main():
    options = arguments()
    go_alone()
    for operation in OPERATIONS:
        if options.only not in operation:
            continue
        for rows in options.rows:  # new processes each time: memory is what this work alone took
            with tempfile.TemporaryDirectory() as folder, closing(ours(2, Path(folder))) as side:
                figures = side.run(operation, rows, **PLAIN)
                worst = max(figure["peak_bytes"] for figure in figures)
                print(line(operation, rows, {**busier(figures), "peak_bytes": worst}), flush=True)


if __name__ == "__main__":
    main()
