"""Random OT, triples, products and selection on shares.

    python tests/benchmarks/bench_products.py

All parties run in this process, so a figure is the work of all together; what is made ahead is
given as process time of one party. The baseline is the AES throughput of this machine, measured in
the same run: 16 bytes an item.
"""

import time

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from measuring import RUNS, connected, fastest, report

from protocols.arithmetic import multiply, select
from protocols.oblivious_transfer import random_bits, random_ot
from protocols.party import Trace, play
from protocols.permutation import permute
from protocols.ring import Ring
from protocols.stock import Needs
from protocols.supply import supply
from protocols.triples import and_triples, ring_triples_needs

RING = Ring(1)
TRANSFERS = 1 << 20
BLOCK = 1 << 14
AHEAD = {  # kind: units, and how many correlations are one unit
    "and": (1 << 15, 64),
    "pair": (1 << 14, 64),
    "cross": (1 << 15, 64),
    "product64": (1 << 16, 1),
    "product128": (1 << 14, 1),
    "edabit64/64": (1 << 10, 64),
    "edabit64/32": (1 << 10, 64),
    "dabit64": (1 << 11, 64),
    "truncate64/20": (1 << 15, 1),
}


def aes_s(items):
    """Seconds for AES-128-ECB over 16 bytes an item, in blocks that stay in the cache."""
    cipher = Cipher(algorithms.AES(bytes(16)), modes.ECB()).encryptor()
    data, out = bytes(16 * BLOCK), bytearray(16 * BLOCK + 16)
    return fastest(lambda: [cipher.update_into(data, out) for _ in range(64)]) * items / 64 / BLOCK


def measured(name, items, parties, make, depth=4):
    table = connected(parties, depth)
    uses = iter(range(1000))
    trace = Trace()

    def secure():
        label = f"{name} {next(uses)}"
        play({p: make(s.fork(label)) for p, s in table.items()}, trace)

    report(f"{name}, {parties} parties", secure, items, trace, "AES over 16 bytes", aes_s(items))


def worked(name, items, parties, make):
    """Process time of one party and one item, the least of some runs, after one that compiles."""
    table, taken = connected(parties), []
    for run in range(RUNS + 1):
        protocols = {p: make(s.fork(f"{name} {run}")) for p, s in table.items()}
        start = time.process_time()
        play(protocols)
        taken.append(time.process_time() - start)
    return min(taken[1:]) / items / parties


def ahead(kind, parties):
    units, inside = AHEAD[kind]
    needs, items = Needs({kind: units}), units * inside
    seconds = worked(kind, items, parties, lambda seat: supply(seat, needs, "benchmark"))
    print(
        f"{kind} made ahead, {parties} parties: {seconds * 1e6:.4f} us a party and item, "
        f"{needs.bytes(parties) / items:.2f} bytes an item from the busiest party; "
        f"{seconds / aes_s(items) * items:.1f} times AES over 16 bytes"
    )


def online(parties, count=1 << 18):
    """The product of shares whose triples are in stock: process time and bytes of one party."""
    table, needs = connected(parties), ring_triples_needs(RING, (count,))
    stock = play({p: supply(s.fork("supply"), needs.times(2), "x") for p, s in table.items()})
    numbers, taken = RING.zeros((count,)), []
    for _ in range(2):
        seats, trace = {p: s.using(stock[p]) for p, s in table.items()}, Trace()
        start = time.process_time()
        play({p: multiply(s, RING, numbers, numbers) for p, s in seats.items()}, trace)
        taken.append((time.process_time() - start) / count / parties)
    sent = sum(value.nbytes for _, _, _, value in trace.said) / count / parties
    print(
        f"multiply from stock, {parties} parties: {min(taken) * 1e6:.4f} us a party and item, "
        f"{sent:.1f} bytes; {min(taken) / aes_s(count) * count:.1f} times AES over 16 bytes"
    )


def transfers(seat):
    bits = np.ones(TRANSFERS, np.uint8)
    return random_ot(
        seat, TRANSFERS, 1, {"b": bits} if seat.me == "a" else {}, ("a",) if seat.me == "b" else ()
    )


def bits_of(width):
    def transfers_of_bits(seat):
        bits = np.zeros(TRANSFERS // 64, np.uint64)
        return random_bits(
            seat,
            TRANSFERS,
            width,
            {"b": bits} if seat.me == "a" else {},
            ("a",) if seat.me == "b" else (),
        )

    return transfers_of_bits


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
    for depth in (4, 8):
        measured(f"random_ot, depth {depth}", TRANSFERS, 2, transfers, depth)
        for width in (1, 2):
            name = f"random_bits of {width}, depth {depth}"
            measured(name, TRANSFERS, 2, bits_of(width), depth)
    for count in (2, 3):
        for kind in AHEAD:
            ahead(kind, count)
        online(count)
        measured("and_triples", 1 << 20, count, lambda seat: and_triples(seat, 1 << 20))
        measured("multiply, 64 bits", 10_000, count, products)
        measured("select, 4 columns", 100_000, count, selection)
    measured("permute, 65,536 rows of 4", 1 << 16, 2, permutation)
