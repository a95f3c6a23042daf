"""What the tests of ordered shares have in common: views of all but one, seats with a stock."""

from dataclasses import replace

import numpy as np
import pytest

from protocols.party import Trace, play
from protocols.stock import Stock
from protocols.triples import and_triples, pair_triples

RUNS = 40


def octets_heard(trace, colluders):
    heard = [
        np.ascontiguousarray(v).view(np.uint8).reshape(-1) for _, _, v in trace.heard_by(colluders)
    ]
    return np.unpackbits(np.concatenate(heard), bitorder="little")


@pytest.fixture
def largest_gap(seats, dealt):
    """largest_gap(make, honest, inputs, count): how far apart two inputs look.

    `make(table, honest, value)` gives each party's protocol. The colluders' coins are the same in
    all runs, the honest party's own are fresh. Bits are compared place by place, in standard
    deviations, so both inputs must lead to messages of the same sizes.
    """

    def gap(make, honest, inputs, count):
        totals = []
        for number, value in enumerate(inputs):
            total = 0
            for run in range(RUNS):
                table = seats(count, "order views")
                mine = seats(count, f"order views {number} {run}")[honest]
                table |= {honest: replace(table[honest], rand=mine.rand)}
                trace = Trace()
                play(make(dealt(table), honest, value), trace)
                colluders = tuple(p for p in table if p != honest)
                total = total + octets_heard(trace, colluders).astype(np.int64)
            totals.append(total)
        return float(np.max(np.abs(totals[0] - totals[1])) / np.sqrt(RUNS / 2))

    return gap


@pytest.fixture
def stocked():
    """stocked(seats, needs): the same seats, each with a stock of exactly these gates and pairs."""

    def filled(seat, needs):
        gates = yield from and_triples(seat, 64 * needs.counts.get("and", 0))
        pairs = yield from pair_triples(seat, 64 * needs.counts.get("pair", 0))
        stock = Stock(seat.me, seat.parties, "a test")
        stock.put("and", (np.stack((gates.a, gates.b, gates.c)),))
        stock.put("pair", (np.concatenate((pairs.a[None], pairs.b, pairs.c)),))
        return seat.using(stock)

    return lambda seats, needs: play({p: filled(s, needs) for p, s in seats.items()})
