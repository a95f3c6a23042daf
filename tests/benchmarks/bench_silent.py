"""Silent OT beside AES: correlations a second of each end, bytes, memory.

    python tests/benchmarks/bench_silent.py

Every figure is the processor's time of this process, least of some runs; the ratio is to AES-128 of
as many blocks in the same run, by the version that the kernels use.
"""

import hashlib
import resource
import time

import numpy as np
from measuring import RUNS, coins

from protocols.kernels import aes, silent
from protocols.silent import LARGE

GOAL_RATE, GOAL_BYTES = 10e6, 0.125 + 0.1


def least(run):
    """Processor seconds of the best of some runs, after one that warms."""
    run()
    taken = []
    for _ in range(RUNS):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


def ends():
    made = coins("silent")
    delta = made.words((2,)) | np.array([1, 0], np.uint64)
    mine = made.words((LARGE.depth, LARGE.trees, 2))
    mine[:, :, 0] &= silent.ALL_BUT_LOW
    bits = made.bits((LARGE.depth, LARGE.trees)).astype(np.uint64)
    theirs = mine ^ ((np.uint64(0) - bits)[:, :, None] & delta)
    key = np.frombuffer(hashlib.sha256(b"bench").digest()[:16], np.uint8)
    return delta, made.words((LARGE.trees, 2)), mine, theirs, key


def main():
    delta, roots, mine, theirs, key = ends()
    keys = key.reshape(1, -1)
    message, leaves = silent.plant(delta, roots, mine, key)
    rows = silent.compress(leaves, LARGE, 0, LARGE.rows)
    choices = coins("choices").words((LARGE.rows // 64,))
    steps = {
        "plant": lambda: silent.plant(delta, roots, mine, key),
        "graft": lambda: silent.graft(theirs, message, key),
        "compress": lambda: silent.compress(leaves, LARGE, 0, LARGE.rows),
        "receive": lambda: silent.receive_bits(rows, choices, keys, 1),
        "send": lambda: silent.send_bits((rows, delta), choices, keys, 1),
    }
    cipher = least(
        lambda: [aes.hash_rows(rows[i : i + 8192], key) for i in range(0, len(rows), 8192)]
    )
    taken = {name: least(run) for name, run in steps.items()}
    for name, seconds in taken.items():
        print(
            f"{name}: {seconds / LARGE.rows * 1e9:.1f} ns a correlation,"
            f" {seconds / cipher:.1f} times AES of one block each"
        )
    for end, names in (("sender", ("plant", "send")), ("receiver", ("graft", "receive"))):
        rate = LARGE.fresh / (taken["compress"] + sum(taken[name] for name in names))
        missed = "" if rate >= GOAL_RATE else f", missed: {GOAL_RATE / 1e6:.0f}"
        print(f"{end}: {rate / 1e6:.1f} M random OTs a second and core{missed}")
    share = message.nbytes / LARGE.fresh
    missed = "" if share + 1 / 8 <= GOAL_BYTES else ", missed"
    print(f"{share + 1 / 8:.3f} bytes a chosen OT, {share:.3f} of them the sender's{missed}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"peak memory of this process {peak} MiB")


if __name__ == "__main__":
    main()
