"""The kernels of oblivious transfer: AES in bulk, trees, both ends of the extension.

    python tests/benchmarks/bench_transfers.py

Processor seconds of one core, for each version that this machine runs. The baseline is the library
cipher (OpenSSL, AES-128-ECB) over 16 bytes an item, measured in the same run.
"""

import time

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocols.kernels import aes, extension
from protocols.kernels.tree import grow, regrow

RUNS = 7
COUNTERS = 1 << 12
TRANSFERS = 128 * COUNTERS
ROWS = 1 << 14
CODER = np.random.default_rng(1)


def seconds(run, repeat=1):
    """The fastest of some runs, an item of `repeat`, after one that compiles."""
    run()
    taken = []
    for _ in range(RUNS):
        start = time.process_time()
        for _ in range(repeat):
            run()
        taken.append((time.process_time() - start) / repeat)
    return min(taken)


def baseline():
    """Seconds an item."""
    cipher = Cipher(algorithms.AES(bytes(16)), modes.ECB()).encryptor()
    data, out = bytes(16 * ROWS), bytearray(16 * ROWS + 16)
    return seconds(lambda: cipher.update_into(data, out), 50) / ROWS


def line(name, items, taken, plain):
    rate, ratio = items / taken / 1e6, taken / items / plain
    print(f"{name}: {rate:.1f} M/s, {ratio:.2f} times AES over 16 bytes")


def octets(*shape):
    return CODER.integers(0, 256, shape).astype(np.uint8)


def words(*shape):
    return CODER.integers(0, 2**64, shape, dtype=np.uint64)


def bench_aes(name, plain):
    version, rows, keys = aes.version(name), words(ROWS, 2), octets(2, 16)
    line(f"{name}, hash_rows", ROWS, seconds(lambda: version.hash_rows(rows, keys[0]), 20), plain)
    double = seconds(lambda: version.double(rows, keys), 20)
    line(f"{name}, double, a child", 2 * ROWS, double, plain)
    many = octets(64, 16)
    expand = seconds(lambda: version.expand(many, 0, 256), 20)
    line(f"{name}, expand, a block", 64 * 256, expand, plain)


def bench_trees(plain):
    roots, keys, depth = words(32, 2), octets(2, 16), 13
    path = CODER.integers(0, 2, (32, depth)).astype(np.uint8)
    _, sums = grow(roots, depth, keys)
    leaves, known = 32 << depth, np.ascontiguousarray(sums[:, :, 0])
    line("grow, a leaf", leaves, seconds(lambda: grow(roots, depth, keys)), plain)
    line("regrow, a leaf", leaves, seconds(lambda: regrow(known, path, keys)), plain)


def bench_extension(depth, plain):
    leaves, keys = octets(128 // depth, 1 << depth, 16), octets(1, 16)
    choices, secret = words(2 * COUNTERS), words(2)
    for name, receive, send, size in (
        ("strings of a word", extension.receive, extension.send, 1),
        ("one bit", extension.receive_bits, extension.send_bits, 1),
        ("two bits", extension.receive_bits, extension.send_bits, 2),
    ):
        message, _ = receive(leaves, choices, 0, keys, size)
        taken = seconds(lambda: receive(leaves, choices, 0, keys, size))  # noqa: B023
        line(f"depth {depth}, {name}, receiver", TRANSFERS, taken, plain)
        taken = seconds(lambda: send((leaves, secret), message, 0, keys, size))  # noqa: B023
        line(f"depth {depth}, {name}, sender", TRANSFERS, taken, plain)


if __name__ == "__main__":
    plain_s = baseline()
    for version_name in aes.host_versions():
        bench_aes(version_name, plain_s)
    bench_trees(plain_s)
    for tree_depth in extension.DEPTHS:
        bench_extension(tree_depth, plain_s)
