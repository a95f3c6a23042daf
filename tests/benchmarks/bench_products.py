"""Random OT, triples, products and selection on shares.

    python tests/benchmarks/bench_products.py

All parties run in this process, so a figure is the work of all together. The baseline is the AES
throughput of this machine, measured in the same run: 16 bytes an item.
"""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from measuring import connected, fastest, report

from protocols.arithmetic import multiply, select
from protocols.oblivious_transfer import random_ot
from protocols.party import Trace, play
from protocols.permutation import permute
from protocols.ring import Ring
from protocols.triples import and_triples

RING = Ring(1)


def aes_s(items):
    """Seconds for AES-128-ECB over 16 bytes an item."""
    cipher = Cipher(algorithms.AES(bytes(16)), modes.ECB()).encryptor()
    data = bytes(16 * items)
    return fastest(lambda: cipher.update(data))


def measured(name, items, parties, make):
    table = connected(parties)
    uses = iter(range(1000))
    trace = Trace()

    def secure():
        label = f"{name} {next(uses)}"
        play({p: make(s.fork(label)) for p, s in table.items()}, trace)

    report(f"{name}, {parties} parties", secure, items, trace, "AES over 16 bytes", aes_s(items))


def transfers(seat):
    bits = np.ones(1 << 20, np.uint8)
    return random_ot(
        seat, 1 << 20, 1, {"b": bits} if seat.me == "a" else {}, ("a",) if seat.me == "b" else ()
    )


def products(seat):
    numbers = RING.zeros((10_000,))
    return multiply(seat, RING, numbers, numbers)


def selection(seat):
    return select(seat, RING, np.zeros(100_000, np.uint8), RING.zeros((100_000, 4)))


def permutation(seat):
    rows = 1 << 16
    order = np.arange(rows)[::-1].copy() if seat.me == "a" else None
    bits = np.zeros((rows, 1), np.uint8)
    return permute(seat, RING, "a", order, rows, rows, RING.zeros((rows, 4)), bits)


if __name__ == "__main__":
    measured("random_ot", 1 << 20, 2, transfers)
    for count in (2, 3):
        measured("and_triples", 1 << 20, count, lambda seat: and_triples(seat, 1 << 20))
        measured("multiply, 64 bits", 10_000, count, products)
        measured("select, 4 columns", 100_000, count, selection)
    measured("permute, 65,536 rows of 4", 1 << 16, 2, permutation)
