"""What linking 5,000 by 5,000 persons costs.

    python tests/benchmarks/bench_linkage.py [ROWS] [PASSES]

Work: two members, half of the persons shared, one linked count and the means of two columns (three
linked sums), over Z_2^128; base transfers included. Run twice: both parties in one process by
`play` (total work), and as two processes with a socket between them (wall clock). Baselines in the
same run: `pandas.merge` on the plain rows, which protects nobody, and the Diffie-Hellman floor, the
products on the curve alone that any OPRF of this kind must make for N padded rows.
"""

from __future__ import annotations

import json
import multiprocessing
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import numpy as np
import pandas as pd
from nacl import bindings

from protocols.kernels.registry import run_kernel
from protocols.linkage.cohort import Holding, LinkPlan, cohort
from protocols.linkage.hashing import size_class
from protocols.linkage.sums import linked_sums
from protocols.linkage.tokens import join_parts, unique_keys
from protocols.oblivious_transfer import connect
from protocols.party import Protocol, Round, Seat, Trace, play
from protocols.randomness import Randomness
from protocols.ring import Ring

PARTIES = ("lab", "north")
WORDS = 2
CELLS = [(0, {"labs": 0}), (1, {"labs": 0}), (0, {"labs": 1})]  # n, sum of age, sum of marker


def frames(rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(1)
    visits = pd.DataFrame({"id": np.arange(rows), "age": rng.integers(0, 120, rows)})
    labs = pd.DataFrame({"id": np.arange(rows) + rows // 2, "marker": rng.integers(0, 999, rows)})
    return visits, labs


def holding(frame: pd.DataFrame, passes: int) -> Holding:
    keys = [
        [join_parts(number, [f"person {value}"]) for value in frame["id"]]
        for number in range(1, passes + 1)
    ]
    unique, keep, _ = unique_keys(keys, None)
    values = frame.to_numpy(np.int64)[:, 1]
    return Holding(tuple(unique), keep, np.stack([np.ones_like(values), values], axis=1))


def seat(me: str) -> Seat:
    peer = PARTIES[1 - PARTIES.index(me)]
    shared = Randomness(bytes(32)).fork("pair")
    return Seat(me, PARTIES, Randomness(bytes(32)).fork(me), {peer: shared})


def study(me: str, plan: LinkPlan, held: Holding) -> Protocol[np.ndarray]:
    wires = yield from connect(seat(me))
    mine = Seat(me, PARTIES, seat(me).rand.fork("study"), seat(me).pair, wires)
    alias = "visits" if me == "north" else "labs"
    found = yield from cohort(mine, plan, "north", {alias: held})
    own = found.place(held.features) if me == "north" else None
    sums = linked_sums(mine.fork("sums"), Ring(WORDS), "north", own, (1, 7), found.shared, CELLS)
    return (yield from sums)


@contextmanager
def timed(what: str) -> Iterator[None]:
    wall, work = time.perf_counter(), time.process_time()
    yield
    wall, work = time.perf_counter() - wall, time.process_time() - work
    print(f"{what:44s} {wall:8.3f} s wall {work:8.3f} s CPU")


# ---- one party in a process of its own -----------------------------------------------------------


def drive(protocol: Protocol[np.ndarray], wire: Connection) -> tuple[np.ndarray, int]:
    """Run one party against the peer at the other end. Returns its result and the bytes it said."""
    outbox: queue.Queue[tuple[str, np.ndarray] | None] = queue.Queue()
    writer = threading.Thread(target=write_all, args=(outbox, wire))
    writer.start()
    mail: dict[str, list[np.ndarray]] = {}
    answer, said = None, 0
    try:
        while True:
            step = protocol.send(answer)
            if isinstance(step, list):
                answer = [run_kernel(one.kernel, *one.arguments) for one in step]
                continue
            assert isinstance(step, Round)
            for (_, name), value in step.says.items():
                outbox.put((name, value))
                said += value.nbytes
            answer = {(peer, name): read(name, wire, mail) for peer, name in step.hears}
    except StopIteration as stop:
        outbox.put(None)
        writer.join()
        return stop.value, said


def write_all(outbox: queue.Queue[tuple[str, np.ndarray] | None], wire: Connection) -> None:
    while (item := outbox.get()) is not None:
        name, value = item
        wire.send_bytes(json.dumps([name, value.dtype.name, value.shape]).encode())
        wire.send_bytes(np.ascontiguousarray(value).tobytes())


def read(name: str, wire: Connection, mail: dict[str, list[np.ndarray]]) -> np.ndarray:
    while not mail.get(name):
        said, dtype, shape = json.loads(wire.recv_bytes())
        value = np.frombuffer(wire.recv_bytes(), dtype).reshape(shape)
        mail.setdefault(said, []).append(value)
    return mail[name].pop(0)


def party(me: str, plan: LinkPlan, held: Holding, wire: Connection, out: Connection) -> None:
    started, work = time.perf_counter(), time.process_time()
    shares, said = drive(study(me, plan, held), wire)
    took = [time.perf_counter() - started, time.process_time() - work]
    out.send_bytes(
        json.dumps([me, [[str(word) for word in row] for row in shares], said, *took]).encode()
    )


def two_processes(plan: LinkPlan, holdings: dict[str, Holding]) -> list[int]:
    context = multiprocessing.get_context("fork")  # compiled kernels come along, as in a warm node
    ends = dict(zip(PARTIES, context.Pipe(), strict=True))
    results, shares = context.Pipe(duplex=False), []
    started = time.perf_counter()
    children = [
        context.Process(target=party, args=(me, plan, holdings[me], ends[me], results[1]))
        for me in PARTIES
    ]
    for child in children:
        child.start()
    for _ in children:
        me, rows, said, wall, work = json.loads(results[0].recv_bytes())
        shares.append(np.array([[int(word) for word in row] for row in rows], dtype=np.uint64))
        print(f"  {me:6s} {wall:8.3f} s wall {work:8.3f} s CPU {said / 1e6:8.1f} MB said")
    for child in children:
        child.join()
    print(f"{'two processes, start to end':44s} {time.perf_counter() - started:8.3f} s wall")
    return Ring(WORDS).to_ints(Ring(WORDS).add(*shares))


def floor(rows: int) -> None:
    """One fixed-base and three free products a padded row: blind; mask, answer, own."""
    scalar = bindings.crypto_core_ed25519_scalar_reduce(bytes(range(64)))
    point = bindings.crypto_scalarmult_ed25519_base_noclamp(scalar)
    for _ in range(rows):
        bindings.crypto_scalarmult_ed25519_base_noclamp(scalar)
        for _ in range(3):
            bindings.crypto_scalarmult_ed25519_noclamp(scalar, point)


def main(rows: int, passes: int) -> None:
    visits, labs = frames(rows)
    with timed("pandas.merge and sums, plain rows"):
        merged = visits.merge(labs, on="id")
        plain = [len(merged), int(merged["age"].sum()), int(merged["marker"].sum())]
    size = size_class(rows)
    with timed(f"Diffie-Hellman floor, N = {size}, {passes} pass(es)"):
        floor(size * passes)
    with timed("keys and uniqueness, both parties"):
        holdings = {"north": holding(visits, passes), "lab": holding(labs, passes)}
    plan = LinkPlan(
        tables=(("visits", ("north",)), ("labs", ("lab",))),
        passes=passes,
        sizes={("visits", "north"): size, ("labs", "lab"): size},
        widths={"labs": 2},
        words=WORDS,
        count_once=True,
    )
    small = {
        me: Holding(tuple([*keys[:9]] for keys in held.keys), held.keep[:9], held.features[:9])
        for me, held in holdings.items()
    }
    play({me: study(me, plan, small[me]) for me in PARTIES})  # compile the kernels
    trace = Trace()
    with timed("both parties in one process"):
        ends = play({me: study(me, plan, holdings[me]) for me in PARTIES}, trace)
    opened = Ring(WORDS).to_ints(Ring(WORDS).add(ends["lab"], ends["north"]))
    print(
        f"  said {sum(v.nbytes for *_, v in trace.said) / 1e6:.1f} MB in {len(trace.said)} messages"
    )
    opened_apart = two_processes(plan, holdings)
    assert plain == opened == opened_apart, (plain, opened, opened_apart)
    print(f"n = {plain[0]}, means {plain[1] / plain[0]:.3f} and {plain[2] / plain[0]:.3f}: equal")


if __name__ == "__main__":
    main(*(int(word) for word in [*sys.argv[1:], *["5000", "1"][len(sys.argv) - 1 :]]))
