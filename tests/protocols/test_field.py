"""The field of 2^61 - 1 elements against Python's integers; its zero test and what that hides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import field
from protocols.abort import Suspected
from protocols.field import PRIME, add, from_ints, mul, negate, reduce, sub, uniform, zero_test
from protocols.kernels import prime
from protocols.party import Trace, play

EDGES = [0, 1, 2, PRIME - 1, PRIME - 2, 2**60, 2**32, 2**32 - 1]
ELEMENT = st.integers(0, PRIME - 1) | st.sampled_from(EDGES)


def split(rng, numbers, count):
    parts = [from_ints(rng.integers(0, PRIME, len(numbers))) for _ in range(count - 1)]
    last = from_ints(numbers)
    for part in parts:
        last = sub(last, part)
    return dict(zip("abcdefghij"[:count], [*parts, last], strict=True))


@given(ELEMENT, ELEMENT)
def test_sums_and_products_are_those_of_integers_mod_p(x, y):
    a, b = from_ints([x]), from_ints([y])
    found = [int(each[0]) for each in (add(a, b), sub(a, b), mul(a, b), negate(a))]
    assert found == [(x + y) % PRIME, (x - y) % PRIME, x * y % PRIME, -x % PRIME]


@given(st.integers(0, 2**128 - 1) | st.sampled_from([2**128 - 1, 2**64, PRIME, 2 * PRIME]))
def test_wide_words_are_reduced_exactly(value):
    words = np.array([[value & (2**64 - 1), value >> 64]], np.uint64)
    assert int(reduce(words)[0]) == value % PRIME


def test_long_products_have_the_bytes_of_the_twin(monkeypatch):
    rng = np.random.default_rng(8)
    x, y = (rng.integers(0, PRIME, 1000, dtype=np.uint64) for _ in range(2))
    x[: len(EDGES)], y[: len(EDGES)] = EDGES, EDGES[::-1]
    plain = prime.multiply_portable(x, y)
    monkeypatch.setattr(prime, "SMALL_WORDS", 0)
    assert prime.multiply(x, y).tobytes() == plain.tobytes()
    assert plain.tolist() == [int(a) * int(b) % PRIME for a, b in zip(x, y, strict=True)]


@pytest.mark.parametrize("count", range(1, 11))
def test_zero_is_told_from_every_other_element(connected, count):
    numbers = [0, 1, -1, 2, 2**60, 0, PRIME]
    parts = split(np.random.default_rng(count), numbers, count)
    found = play({p: zero_test(s, parts[p]) for p, s in connected(count).items()})
    for bits in found.values():
        assert bits.tolist() == [1, 0, 0, 0, 0, 1, 1]


def test_more_values_than_a_block_are_tested_in_their_order(connected, monkeypatch):
    monkeypatch.setattr(field, "VALUES_A_BLOCK", 3)
    numbers = [0, 5, 0, 0, 7, 0, 9]
    parts = split(np.random.default_rng(3), numbers, 2)
    trace = Trace()
    found = play({p: zero_test(s, parts[p]) for p, s in connected(2).items()}, trace)
    assert found["b"].tolist() == [int(n == 0) for n in numbers]
    assert trace.rounds == 2 * 3 * 3


def test_no_values_give_no_bits(connected):
    found = play({p: zero_test(s, from_ints([])) for p, s in connected(2).items()})
    assert found["a"].shape == (0,)


def test_what_opens_is_uniform_and_does_not_show_how_often_two_divides(connected):
    """Chi-square of the low three bits, 7 degrees of freedom: mean 7, deviation 3.7."""
    for number in (1, 8):
        parts = split(np.random.default_rng(number), [number] * 1000, 2)
        trace = Trace()
        play({p: zero_test(s, parts[p]) for p, s in connected(2).items()}, trace)
        product = add(*(v for _, _, name, v in trace.said if name == "product"))
        counts = np.bincount((product & np.uint64(7)).astype(int), minlength=8)
        assert ((counts - 125) ** 2 / 125).sum() < 7 + 6 * 3.7


@pytest.mark.parametrize("name", ["adjust", "product"])
def test_a_number_outside_the_field_names_who_said_it(connected, name):
    def tamper(sender, _receiver, said, value):
        if (sender, said) == ("b", name):
            value[0] = PRIME
        return value

    table = connected(3)
    with pytest.raises(Suspected, match="no element") as caught:
        play({p: zero_test(s, from_ints([4])) for p, s in table.items()}, tamper=tamper)
    assert caught.value.party == "b"


def test_uniform_elements_lie_below_p_on_both_halves(seats):
    drawn = uniform(seats(2, "uniform")["a"].rand, (1000,))
    assert int(drawn.max()) < PRIME
    assert 400 < int((drawn > np.uint64(PRIME // 2)).sum()) < 600
