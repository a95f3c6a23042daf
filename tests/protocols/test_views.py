"""What any n - 1 parties see does not depend on the last party's input.

Each protocol runs many times with the coins of the colluders fixed and those of the honest party
fresh, once for each of two honest inputs. Every bit that the colluders hear, at every place, must
come up equally often: with their coins fixed, a bit masked by something that they know would not.
A control shows that the comparison finds a protocol that leaks.
"""

from dataclasses import replace

import numpy as np
import pytest

from protocols.arithmetic import and_bits, and_pairs, bits_to_ring, cross_sums, multiply, select
from protocols.comparison import at_least, either, equal_words, is_zero, less_than
from protocols.cross import cross_bits
from protocols.digits import bit_slices, highest_bit, select_slices, slices_to_ring
from protocols.echo import Transcript
from protocols.field import from_ints, zero_test
from protocols.masked_sum import pooled_sum
from protocols.masks import eda_bits
from protocols.party import Round, Trace, play
from protocols.permutation import permute
from protocols.release import release
from protocols.ring import Ring
from protocols.stock import Stock
from protocols.triples import and_triples, pair_triples, ring_triples

RUNS = 40
RING, WIDE = Ring(1), Ring(2)
LIMIT = 6.0  # standard deviations: once in 10^9 places by chance


def bits_heard(trace, colluders):
    heard = [
        np.ascontiguousarray(v).view(np.uint8).reshape(-1) for _, _, v in trace.heard_by(colluders)
    ]
    return np.unpackbits(np.concatenate(heard), bitorder="little")


def largest_gap(make, dealt, seats, honest, inputs, count):
    """The largest difference of any bit's frequency, in standard deviations."""
    totals = []
    for number, value in enumerate(inputs):
        total = 0
        for run in range(RUNS):
            table = fresh_coins(seats, honest, count, f"{number} {run}")
            trace = Trace()
            play(make(dealt(table), honest, value), trace)
            colluders = tuple(p for p in table if p != honest)
            total = total + bits_heard(trace, colluders).astype(np.int64)
        totals.append(total)
    return float(np.max(np.abs(totals[0] - totals[1])) / np.sqrt(RUNS / 2))


def fresh_coins(seats, honest, count, label):
    """All coins as ever, but those that the honest party holds alone."""
    table = seats(count, "views")
    mine = seats(count, f"views {label}")[honest]
    return table | {honest: replace(table[honest], rand=mine.rand)}


def own_or_zero(seat, honest, value, zero):
    return value if seat.me == honest else zero


def run_and(table, honest, value):
    bits = np.full(8, value, np.uint8)
    return {p: and_bits(s, bits * (p == honest), bits * 0 + 1) for p, s in table.items()}


def run_pairs(table, honest, value):
    def both(seat):
        own = np.full((3, 1), value * (seat.me == honest), np.uint64)
        triples = yield from pair_triples(seat, 64)
        return (yield from and_pairs(seat, own[0], own[1:], triples))

    return {p: both(s) for p, s in table.items()}


def run_multiply(table, honest, value):
    x = RING.from_ints([value])
    return {
        p: multiply(s, RING, own_or_zero(s, honest, x, x * 0), x * 0 + 3) for p, s in table.items()
    }


def run_select(table, honest, value):
    bits, numbers = np.full(3, value & 1, np.uint8), RING.from_ints([value] * 3)[:, None]
    return {
        p: select(s, RING, bits * (p == honest), numbers * np.uint64(p == honest))
        for p, s in table.items()
    }


def run_bits_to_ring(table, honest, value):
    bits = np.full(5, value & 1, np.uint8)
    return {p: bits_to_ring(s, RING, bits * (p == honest)) for p, s in table.items()}


def run_cross_sums(table, honest, value):
    own = np.full((3, 1), value)
    return {
        p: cross_sums(
            s, RING, honest, own if p == honest else None, (7,), RING.zeros((3, 1)), ((0, 0),)
        )
        for p, s in table.items()
    }


def run_cross_sums_of_another(table, honest, value):
    owner = next(p for p in table if p != honest)
    shared = RING.from_ints([value] * 3)[:, None]
    return {
        p: cross_sums(
            s,
            RING,
            owner,
            np.full((3, 1), 5) if p == owner else None,
            (3,),
            shared * np.uint64(p == honest),
            ((0, 0),),
        )
        for p, s in table.items()
    }


def run_permute(table, honest, value):
    order = np.roll(np.arange(4), value % 4)
    numbers, bits = RING.zeros((4, 1)), np.zeros((4, 1), np.uint8)
    return {
        p: permute(s, RING, honest, order if p == honest else None, 4, 4, numbers, bits)
        for p, s in table.items()
    }


def run_permute_of_another(table, honest, value):
    owner = next(p for p in table if p != honest)
    numbers, bits = RING.from_ints([value] * 4)[:, None], np.full((4, 1), value & 1, np.uint8)
    return {
        p: permute(
            s,
            RING,
            owner,
            np.arange(4)[::-1].copy() if p == owner else None,
            4,
            4,
            numbers * np.uint64(p == honest),
            bits * (p == honest),
        )
        for p, s in table.items()
    }


def run_at_least(table, honest, value):
    numbers = RING.from_ints([value, value])
    return {p: at_least(s, numbers * np.uint64(p == honest), [50, 3], 8) for p, s in table.items()}


def run_is_zero(table, honest, value):
    numbers = RING.from_ints([value])
    return {p: is_zero(s, numbers * np.uint64(p == honest), 8) for p, s in table.items()}


def run_equal_words(table, honest, value):
    words = np.array([value] * 3, np.uint64)
    return {
        p: equal_words(s, own_or_zero(s, honest, words, words * 0 + 7), 8) for p, s in table.items()
    }


def run_either(table, honest, value):
    bits = np.full(8, value & 1, np.uint8)
    return {p: either(s, bits * (p == honest), bits * 0 + 1) for p, s in table.items()}


def run_cross_bits(table, honest, value):
    words = np.array([value, 3 * value], np.uint64)
    mine = {p: own_or_zero(s, honest, words, words * 0) for p, s in table.items()}
    return {p: cross_bits(s, mine[p], mine[p]) for p, s in table.items()}


def run_less_than(table, honest, value):
    numbers = RING.from_ints([value, -value])
    mine = {p: own_or_zero(s, honest, numbers, numbers * 0) for p, s in table.items()}
    return {p: less_than(s, RING, mine[p], numbers * 0, 9) for p, s in table.items()}


def run_masked(table, honest, value):
    """From a stock of masks that the same parties have made: a number opens under one."""

    def role(seat, numbers):
        made = yield from eda_bits(seat.fork("masks"), RING, 9, 64)
        stock = Stock(seat.me, seat.parties, "views")
        stock.put("edabit64/9", (made.value.reshape(1, 1, 64), made.bits))
        yield from bit_slices(seat.using(stock), RING, numbers, 9)

    numbers = RING.from_ints([value, -value])
    return {p: role(s, numbers * np.uint64(p == honest)) for p, s in table.items()}


def run_bit_slices(table, honest, value):
    numbers = RING.from_ints([value, -value])
    return {p: bit_slices(s, RING, numbers * np.uint64(p == honest), 9) for p, s in table.items()}


def run_digits(table, honest, value):
    """Bits into the ring, the highest of them, a choice by one."""
    slices = np.full((3, 1), value, np.uint64)

    def role(seat, mine):
        yield from slices_to_ring(seat, RING, mine, 3)
        yield from highest_bit(seat, mine)
        yield from select_slices(seat, mine[0], mine, mine * np.uint64(0))

    return {p: role(s, slices * np.uint64(p == honest)) for p, s in table.items()}


def run_zero_test(table, honest, value):
    z = from_ints([value, 2 * value])
    return {p: zero_test(s, z * np.uint64(p == honest)) for p, s in table.items()}


PAIRS = [
    run_and,
    run_pairs,
    run_multiply,
    run_select,
    run_bits_to_ring,
    run_cross_sums,
    run_cross_sums_of_another,
    run_permute,
    run_permute_of_another,
    run_at_least,
    run_is_zero,
    run_equal_words,
    run_either,
    run_cross_bits,
    run_less_than,
    run_bit_slices,
    run_digits,
    run_zero_test,
]
THREES = [
    run_and,
    run_pairs,
    run_select,
    run_at_least,
    run_cross_bits,
    run_less_than,
    run_masked,
    run_digits,
    run_zero_test,
]
INPUTS = (7, 98)


@pytest.mark.parametrize("honest", ["a", "b"])
@pytest.mark.parametrize("make", PAIRS, ids=lambda make: make.__name__.removeprefix("run_"))
def test_one_party_sees_nothing_of_the_others_input(dealt, seats, make, honest):
    assert largest_gap(make, dealt, seats, honest, INPUTS, 2) < LIMIT


@pytest.mark.parametrize("make", THREES, ids=lambda make: make.__name__.removeprefix("run_"))
def test_two_colluding_parties_see_nothing_of_the_thirds_input(dealt, seats, make):
    assert largest_gap(make, dealt, seats, "b", INPUTS, 3) < LIMIT


def test_the_comparison_finds_a_protocol_that_masks_with_coins_that_its_peer_knows(dealt, seats):
    def leaky(table, honest, value):
        def role(seat):
            peer = seat.peers[0]
            masked = np.array([value], np.uint64) ^ seat.pair[peer].words((1,))
            yield Round({(peer, "x"): masked} if seat.me == honest else {})

        return {p: role(s) for p, s in table.items()}

    assert largest_gap(leaky, dealt, seats, "a", INPUTS, 2) > LIMIT


def pooled(table, values):
    return {p: pooled_sum(s, RING, RING.from_ints([values[p]])) for p, s in table.items()}


def released(table, values):
    return {
        p: release(
            s,
            bytes(32),
            {"u": WIDE.from_ints([values[p]])},
            {"u": np.uint8(p == "a")},
            table["a"].parties,
            Transcript(),
        )
        for p, s in table.items()
    }


@pytest.mark.parametrize("make", [pooled, released])
def test_an_opened_sum_shows_no_share_behind_it(seats, make):
    """One curious party of three: two honest inputs of one sum look alike, mask by mask."""
    totals = []
    for number, values in enumerate(({"a": 5, "b": 90, "c": 1}, {"a": 80, "b": 15, "c": 1})):
        total = 0
        for run in range(RUNS):
            table = seats(3, f"opened {number} {run}")
            fixed = seats(3, "opened")["c"]
            trace = Trace()
            play(make(table | {"c": replace(table["c"], rand=fixed.rand)}, values), trace)
            total = total + bits_heard(trace, ("c",)).astype(np.int64)
        totals.append(total)
    fixed_places = (totals[0] == totals[1]) & ((totals[0] == 0) | (totals[0] == RUNS))
    gap = np.abs(totals[0] - totals[1])[~fixed_places] / np.sqrt(RUNS / 2)
    assert gap.max() < LIMIT


def chi_square_of_octets(values):
    counts = np.bincount(np.concatenate(values), minlength=256)
    wanted = counts.sum() / 256
    return float(((counts - wanted) ** 2 / wanted).sum())


def filled(said):
    """Without the last word of packed corrections, the upper half of which is empty."""
    return said[:, :32] if said.shape[1:] == (33,) else said


@pytest.mark.parametrize("name", ["masked", "correct", "extend", "switch"])
def test_what_is_said_is_uniform_over_octets(dealt, seats, name):
    """255 degrees of freedom: mean 255, deviation 22.6."""
    table = dealt(seats(3, "uniform"))
    trace = Trace()
    numbers = RING.zeros((64, 4))
    order = np.arange(64)
    play({p: multiply(s.fork("m"), RING, numbers, numbers) for p, s in table.items()}, trace)
    play(
        {
            p: permute(
                s.fork("p"),
                RING,
                "a",
                order if p == "a" else None,
                64,
                64,
                numbers,
                np.zeros((64, 64), np.uint8),
            )
            for p, s in table.items()
        },
        trace,
    )
    once = {filled(v).tobytes() for _, _, n, v in trace.said if n == name}  # a broadcast is one
    said = [np.frombuffer(octets, np.uint8) for octets in sorted(once)]
    assert sum(len(value) for value in said) > 256 * 20
    assert chi_square_of_octets(said) < 255 + 6 * 22.6


@pytest.mark.parametrize("words", [1, 2])
def test_shares_of_triples_are_uniform_to_each_party(dealt, seats, words):
    ring = Ring(words)
    table = dealt(seats(3, "triples"))
    made = play({p: ring_triples(s.fork("r"), ring, (700,)) for p, s in table.items()})
    bits = play({p: and_triples(s.fork("b"), 64 * 700) for p, s in table.items()})
    for triples in (*made.values(), *bits.values()):
        for part in (triples.a, triples.b, triples.c):
            octets = np.ascontiguousarray(part).view(np.uint8).reshape(-1)
            assert chi_square_of_octets([octets]) < 255 + 6 * 22.6
