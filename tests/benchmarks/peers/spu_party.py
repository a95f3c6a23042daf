"""One party of SPU's CHEETAH, as a process of its own: a job a line on stdin, a figure a line out.

    build/peers/venv/bin/python tests/benchmarks/peers/spu_party.py RANK PORT FOLDER

CHEETAH is SPU's one protocol without a dealer, for two parties. Ring of 64 bits, 18 fraction bits:
its defaults. The first party makes the shares of both; they move as files of raw bytes in FOLDER,
outside of what is timed, as do the shares of a result, which the first party holds against JAX.
A job is {"operation": "multiply", "items": 1000}; the figure has wall and process CPU seconds.
"""

import json
import os
import resource
import struct
import sys
import time
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import spu
import spu.utils.frontend as frontend
from spu import libspu

PARTIES = 2
FRACTION_BITS = 18
WAIT_MS = 1_800_000
LENGTH = struct.Struct("<Q")
SECRET = libspu.Visibility.VIS_SECRET


def small(coins, count):
    return coins.integers(-1000, 1000, count)


def large(coins, count):
    return coins.integers(-(10**6), 10**6, count)


def normal(coins, count):
    return coins.normal(size=count)


def positive(coins, count):
    return coins.uniform(1, 10, count)


def gradient_steps(rows, outcomes):
    """Three steps of a logistic regression on ten columns."""
    weights = jnp.zeros((rows.shape[1],))
    for _ in range(3):
        expected = jax.nn.sigmoid(rows @ weights)
        weights = weights - 0.5 * (rows.T @ (expected - outcomes)) / rows.shape[0]
    return weights


OPERATIONS = {  # name: (function, how each of its arguments is drawn)
    "multiply": (lambda x, y: x * y, (small, small)),
    "less_than": (lambda x, y: x < y, (large, large)),
    "divide": (lambda x, y: x / y, (positive, positive)),
    "sort": (jnp.sort, (large,)),
    "median": (jnp.median, (normal,)),
    "logistic": (
        gradient_steps,
        (
            lambda coins, count: coins.normal(size=(count, 10)),
            lambda coins, count: coins.integers(0, 2, count).astype(float),
        ),
    ),
}


def settings():
    made = libspu.RuntimeConfig()
    made.protocol = libspu.ProtocolKind.CHEETAH
    made.field = spu.parse_field_type("FM64")
    made.fxp_fraction_bits = FRACTION_BITS
    made.max_concurrency = 1
    return made


def linked(rank, port):
    described = libspu.link.Desc()
    described.recv_timeout_ms = described.http_timeout_ms = WAIT_MS
    for each in range(PARTIES):
        described.add_party(f"party{each}", f"127.0.0.1:{port + each}")
    return libspu.link.create_brpc(described, rank)


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def loopback_bytes():
    """Sent over this network namespace's loopback by all of its processes."""
    lines = Path("/proc/self/net/dev").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.strip().startswith("lo:")).split()[9])


def write_share(path, share):
    pieces = [share.meta, *share.share_chunks]
    path.write_bytes(b"".join(LENGTH.pack(len(piece)) + piece for piece in pieces))


def read_share(path):
    data, pieces, start = path.read_bytes(), [], 0
    path.unlink()
    while start < len(data):
        (length,) = LENGTH.unpack_from(data, start)
        start += LENGTH.size + length
        pieces.append(data[start - length : start])
    share = libspu.Share()
    share.meta, share.share_chunks = pieces[0], pieces[1:]
    return share


class Party:
    """One end of the link, its runtime, and where shares are left for the other."""

    def __init__(self, rank, port, folder):
        self.rank, self.folder = rank, folder
        self.link = linked(rank, port)
        self.sharing = spu.Io(PARTIES, settings())
        self.runtime = spu.Runtime(self.link, settings())

    def path(self, name, rank):
        return self.folder / f"{name}.{rank}"

    def share_out(self, names, arguments):
        """Every party's shares of the arguments; the first party makes them."""
        if self.rank == 0:
            for name, argument in zip(names, arguments, strict=True):
                shares = self.sharing.make_shares(np.asarray(jnp.array(argument)), SECRET)
                for rank, share in enumerate(shares):
                    write_share(self.path(name, rank), share)
        self.link.barrier()
        for name in names:
            self.runtime.set_var(name, read_share(self.path(name, self.rank)))
        self.link.barrier()

    def error(self, names, expected):
        """The largest difference to JAX, at the first party; None at the other."""
        for name in names:
            write_share(self.path(name, self.rank), self.runtime.get_var(name))
        self.link.barrier()
        if self.rank:
            return None
        found = [
            self.sharing.reconstruct([read_share(self.path(name, r)) for r in range(PARTIES)])
            for name in names
        ]
        pairs = zip(found, jax.tree_util.tree_leaves(expected), strict=True)
        return max(float(np.max(np.abs(np.asarray(f, float) - np.asarray(e)))) for f, e in pairs)

    def run(self, operation, items):
        function, draws = OPERATIONS[operation]
        coins = np.random.default_rng(7)
        arguments = [draw(coins, items) for draw in draws]
        names = [f"{operation}{place}" for place in range(len(arguments))]
        program, _ = frontend.compile(
            frontend.Kind.JAX, function, arguments, {}, names, [SECRET] * len(names),
            lambda outputs: [f"{operation}-result{place}" for place in range(len(outputs))],
        )  # fmt: skip
        self.share_out(program.input_names, arguments)
        began, busy, sent = time.perf_counter(), cpu_s(), loopback_bytes()
        self.runtime.run(program)
        self.link.barrier()
        took, busy, sent = time.perf_counter() - began, cpu_s() - busy, loopback_bytes() - sent
        expected = function(*(jnp.array(argument) for argument in arguments))
        error = self.error(program.output_names, expected)
        return {"wall_s": took, "cpu_s": busy, "sent_bytes": sent / PARTIES, "error": error}


def main():
    rank, port, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    party = Party(rank, port, folder)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(party.run(job["operation"], job["items"])), flush=True)


if __name__ == "__main__":
    main()
