"""Each module says the messages that it declares, and no others; a wrong one names its sender."""

from dataclasses import replace

import numpy as np
import pytest

from protocols import (
    arithmetic,
    commitment,
    comparison,
    cross,
    digits,
    echo,
    field,
    masked_sum,
    oblivious_transfer,
    permutation,
    triples,
)
from protocols.abort import Suspected
from protocols.needs import Needs
from protocols.party import Compute, Pause, Round, Trace, play, together
from protocols.ring import Ring

RING = Ring(1)
BITS, NUMBERS = np.ones(3, np.uint8), RING.zeros((3, 1))


def all_of_arithmetic(seat):
    own = np.ones((3, 1), np.int64) if seat.me == "a" else None
    return together(
        {
            "and": arithmetic.and_bits(seat.fork("and"), BITS, BITS),
            "multiply": arithmetic.multiply(seat.fork("multiply"), RING, NUMBERS, NUMBERS),
            "select": arithmetic.select(seat.fork("select"), RING, BITS, NUMBERS),
            "ring": arithmetic.bits_to_ring(seat.fork("ring"), RING, BITS),
            "cross": arithmetic.cross_sums(
                seat.fork("cross"), RING, "a", own, (2,), NUMBERS, ((0, 0),)
            ),
            "bits": arithmetic.open_bits(seat, BITS),
            "elements": arithmetic.open_ring(seat, RING, NUMBERS),
        }
    )


def all_of_triples(seat):
    return together(
        {
            "bits": triples.and_triples(seat.fork("bits"), 64),
            "ring": triples.ring_triples(seat.fork("ring"), RING, (2,)),
        }
    )


def all_of_comparison(seat):
    values = RING.zeros((3,))
    return together(
        {
            "at least": comparison.at_least(seat.fork("at least"), values, [1, 2, 3], 8),
            "zero": comparison.is_zero(seat.fork("zero"), values, 8),
            "all": comparison.all_of(seat.fork("all"), BITS, ((0, 1), (2,))),
            "either": comparison.either(seat.fork("either"), BITS, BITS),
            "masked": comparison.at_least(seat, values, [1, 2, 3], 40),
        }
    )


def all_of_digits(seat):
    values, slices = RING.zeros((3,)), np.ones((2, 1), np.uint64)
    return together(
        {
            "slices": digits.bit_slices(seat.fork("slices"), RING, values, 8),
            "ring": digits.slices_to_ring(seat.fork("ring"), RING, slices, 3),
            "highest": digits.highest_bit(seat.fork("highest"), slices),
            "masked": digits.bit_slices(seat, RING, values, 40),
        }
    )


def permuted(seat):
    order = np.array([2, -1, 0]) if seat.me == "b" else None
    return permutation.permute(seat, RING, "b", order, 3, 3, NUMBERS, BITS[:, None])


MODULES = {
    "arithmetic": (arithmetic, all_of_arithmetic),
    "commitment": (commitment, lambda seat: commitment.commit_then_open(seat, "x", BITS)),
    "comparison": (comparison, all_of_comparison),
    "cross": (cross, lambda seat: cross.cross_bits(seat, *np.ones((2, 3), np.uint64))),
    "digits": (digits, all_of_digits),
    "echo": (echo, lambda seat: echo.compare_broadcasts(seat, echo.Transcript())),
    "field": (field, lambda seat: field.zero_test(seat, field.from_ints([1, 2, 3]))),
    "masked_sum": (masked_sum, lambda seat: masked_sum.pooled_sum(seat, RING, NUMBERS)),
    "permutation": (permutation, permuted),
    "triples": (triples, all_of_triples),
}
MESSAGES = [(module, says.name) for module in MODULES for says in MODULES[module][0].ROUNDS]


@pytest.fixture
def ready(connected, stocked):
    """ready(): seats of three parties with what the quick ways of comparison need in stock."""
    return lambda: stocked(connected(3), Needs({"edabit64/40": 1}))


def last(name):
    return name.rsplit("/", 1)[-1]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_what_a_module_says_is_what_it_declares(ready, module):
    found, protocol = MODULES[module]
    trace = Trace()
    play({p: protocol(s) for p, s in ready().items()}, trace)
    assert {last(name) for _, _, name, _ in trace.said} == {says.name for says in found.ROUNDS}


def test_connecting_and_extending_say_what_is_declared(seats):
    trace = Trace()
    table = seats(2, "declared")
    made = play({p: oblivious_transfer.connect(s) for p, s in table.items()}, trace)
    bits = np.zeros(64, np.uint8)
    wires = {p: replace(s, wires=made[p]) for p, s in table.items()}
    play(
        {
            p: oblivious_transfer.random_ot(s, 64, 1, dict.fromkeys(s.peers, bits), s.peers)
            for p, s in wires.items()
        },
        trace,
    )
    said = {name for _, _, name, _ in trace.said}
    assert said == {says.name for says in oblivious_transfer.ROUNDS}


def cut(value):
    return value[:-1]


def other_type(value):
    return value.astype(np.uint32)


@pytest.mark.parametrize("damage", [cut, other_type])
@pytest.mark.parametrize(("module", "name"), MESSAGES)
def test_a_message_of_another_shape_or_type_names_its_sender(ready, module, name, damage):
    cheater = next(p for p in "cab" if speaks(ready, module, name, p))

    def tamper(sender, _receiver, said, value):
        return damage(value) if sender == cheater and last(said) == name else value

    protocol = MODULES[module][1]
    with pytest.raises(Suspected) as caught:
        play({p: protocol(s) for p, s in ready().items()}, tamper=tamper)
    assert caught.value.party == cheater


def speaks(ready, module, name, party):
    trace = Trace()
    play({p: MODULES[module][1](s) for p, s in ready().items()}, trace)
    return any(sender == party and last(said) == name for sender, _, said, _ in trace.said)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_lost_message_leaves_all_waiting_and_opens_nothing(ready, module):
    lost = []

    def tamper(sender, _receiver, _said, value):
        if sender == "a" and not lost:
            lost.append(sender)
            return None
        return value

    protocol = MODULES[module][1]
    with pytest.raises(RuntimeError, match="all wait"):
        play({p: protocol(s) for p, s in ready().items()}, tamper=tamper)


def test_the_same_coins_give_the_same_trace(seats, dealt):
    def said():
        trace = Trace()
        table = dealt(seats(3, "same"))
        play({p: all_of_arithmetic(s) for p, s in table.items()}, trace)
        return [(s, r, n, v.tobytes()) for s, r, n, v in trace.said]

    assert said() == said()


def test_a_pause_cannot_hide_inside_protocols_that_run_together():
    def pauses():
        yield Pause("release", {})

    with pytest.raises(TypeError, match="a pause inside together"):
        next(together({"one": pauses()}))


def test_what_a_party_says_or_computes_stands_in_no_repr():
    secret = np.full(4, 987654321, np.uint64)
    shown = repr(Round({("b", "share"): secret})) + repr(Compute("curve.choose", (secret,), 4))
    assert "curve.choose" in shown
    assert "987654321" not in shown
