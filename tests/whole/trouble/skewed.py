"""A node process whose wall clock is wrong: `skewed.py SECONDS NODE-ARGS` (positive is ahead).

Its monotonic clock, by which everything is waited for, stays right, as on a real machine.
"""

import sys
import time

from nodes.__main__ import main

SKEW_NS = int(float(sys.argv[1]) * 1e9)
right = time.time_ns

if __name__ == "__main__":
    time.time_ns = lambda: right() + SKEW_NS
    sys.exit(main(sys.argv[2:]))
