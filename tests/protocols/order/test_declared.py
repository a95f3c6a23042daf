"""Each module of the room says the messages that it declares, and no others."""

import numpy as np
import pytest

from protocols.order import prefix, quantile, shuffle, sort, tally
from protocols.party import Trace, play
from protocols.ring import Ring

RING = Ring(1)
NUMBERS, FLAGS = RING.zeros((5,)), np.zeros(5, np.uint8)
ROWS, NONE = NUMBERS[:, None], np.zeros((5, 0), np.uint8)


def signs(seat):
    drawn = yield from tally.draw(seat, tally.signs_gates(3, 1, 8))
    yield from tally.signs(seat, np.ones(1, np.uint64), 8, drawn)


def median(seat):
    made = yield from quantile.ladder(quantile.Grid(0, 1, 9), np.arange(5), None)
    asked = [quantile.Quantile(0, 1, 2, quantile.INVERSE)]
    yield from quantile.quantiles(seat, [made], asked, 20, 4, False)


def running(seat):
    yield from prefix.segmented_sums(seat.fork("sums"), RING, FLAGS, NUMBERS)
    yield from prefix.segmented_maxima(seat.fork("maxima"), RING, FLAGS, NUMBERS, 8)


def sorted_and_ranked(seat):
    yield from sort.sort(seat.fork("sort"), RING, NUMBERS, 8, ROWS, NONE)
    yield from sort.doubled_ranks(seat.fork("ranks"), RING, NUMBERS, 8)


ELSEWHERE = {"shifted", "crossed"}  # said where a stock holds masks, and by some circuits
MODULES = {
    "prefix": (prefix, running),
    "quantile": (quantile, median),
    "shuffle": (shuffle, lambda seat: shuffle.shuffle(seat, RING, ROWS, NONE)),
    "sort": (sort, sorted_and_ranked),
    "tally": (tally, signs),
}


@pytest.mark.parametrize("name", sorted(MODULES))
@pytest.mark.parametrize("count", [3])
def test_what_a_module_says_is_what_it_declares(connected, name, count):
    module, protocol = MODULES[name]
    trace = Trace()
    play({p: protocol(s) for p, s in connected(count).items()}, trace)
    said = {name.rsplit("/", 1)[-1] for _, _, name, _ in trace.said}
    declared = {says.name for says in module.ROUNDS}
    assert said <= declared
    assert declared - said <= ELSEWHERE
