"""One party of MPyC, as a process of its own: a job a line on stdin, a figure a line out.

    build/peers/venv/bin/python tests/benchmarks/peers/mpyc_party.py -P HOST:PORT ... -I RANK

Shamir shares: an honest majority is trusted, so this is another promise than ours and CHEETAH's,
where all but one may collude. With two parties its threshold is 0 and nothing is hidden: use three.
A job is {"operation": "multiply", "items": 1000}; the figure has wall and process CPU seconds and
the payload that this party sent.
"""

import asyncio
import json
import resource
import sys
import time

import numpy as np
from mpyc.runtime import mpc

INTEGERS, FRACTIONS = mpc.SecInt(32), mpc.SecFxp(64, 24)


def integers(bound):
    return INTEGERS, lambda coins, count: coins.integers(-bound, bound, count)


def positive():
    return FRACTIONS, lambda coins, count: coins.uniform(1, 10, count)


OPERATIONS = {  # name: (function, kind and draw of each argument, what comes out in the clear)
    "multiply": (lambda x, y: x * y, (integers(1000), integers(1000)), np.multiply),
    "less_than": (lambda x, y: x < y, (integers(10**6), integers(10**6)), np.less),
    "divide": (lambda x, y: x / y, (positive(), positive()), np.divide),
    "sort": (mpc.np_sort, (integers(10**6),), np.sort),
}


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def sent_bytes():
    return sum(party.protocol.nbytes_sent for party in mpc.parties if party.pid != mpc.pid)


async def run(operation, items):
    function, arguments, plain = OPERATIONS[operation]
    coins = np.random.default_rng(7)
    clear = [draw(coins, items) for _, draw in arguments]
    shared = [
        mpc.input(kind.array(values), senders=0)
        for (kind, _), values in zip(arguments, clear, strict=True)
    ]
    for values in shared:
        await mpc.gather(values)
    await mpc.barrier()
    began, busy, sent = time.perf_counter(), cpu_s(), sent_bytes()
    result = function(*shared)
    await mpc.gather(result)
    await mpc.barrier()
    took, busy, sent = time.perf_counter() - began, cpu_s() - busy, sent_bytes() - sent
    opened = np.asarray(await mpc.output(result), dtype=float)
    error = float(np.max(np.abs(opened - plain(*clear))))
    return {"wall_s": took, "cpu_s": busy, "sent_bytes": sent, "error": error}


async def main():
    await mpc.start()
    print(json.dumps({"ready": True}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        job = json.loads(line)
        print(json.dumps(await run(job["operation"], job["items"])), flush=True)
    await mpc.shutdown()


if __name__ == "__main__":
    mpc.run(main())
