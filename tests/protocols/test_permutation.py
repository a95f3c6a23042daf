"""Rows in an order that one party knows, against NumPy's indexing."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.party import Trace, play
from protocols.permutation import permute
from protocols.ring import Ring

WORDS_MAX_NAME = "protocols.permutation.WORDS_MAX"
FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def run(seats, shares, ring, owner, order, values, bits):
    count, rows_in, rows_out = len(seats), len(values), len(order)
    numbers = shares.split(ring, ring.from_ints(values), count)
    flags = shares.split_bits(bits, count)
    made = play(
        {
            p: permute(
                s,
                ring,
                owner,
                order if p == owner else None,
                rows_in,
                rows_out,
                numbers[p],
                flags[p],
            )
            for p, s in seats.items()
        }
    )
    return (
        shares.join(ring, {p: made[p][0] for p in made}),
        shares.join_bits({p: made[p][1] for p in made}),
    )


def plain(order, rows):
    moved = rows[order].copy()
    moved[order < 0] = 0
    return moved


@pytest.mark.parametrize("words", [1, 2])
@pytest.mark.parametrize("count", range(2, 11))
def test_numbers_and_bits_move_together(connected, shares, count, words):
    ring = Ring(words)
    rng = np.random.default_rng(words)
    values, bits = rng.integers(-99, 99, (11, 2)), rng.integers(0, 2, (11, 3)).astype(np.uint8)
    order = rng.permutation(11)
    moved, flags = run(connected(count), shares, ring, "b", order, values, bits)
    assert ring.to_ints(moved) == values[order].reshape(-1).tolist()
    assert np.array_equal(flags, bits[order])


@FEW
@given(st.data())
def test_any_choice_of_rows_and_zeros_comes_out(connected, shares, data):
    rows_in, rows_out = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    order = np.full(rows_out, -1)
    most = min(rows_in, rows_out)
    kept = data.draw(st.lists(st.integers(0, rows_in - 1), unique=True, max_size=most))
    places = data.draw(st.permutations(range(rows_out)))
    order[list(places)[: len(kept)]] = kept
    values = np.arange(1, rows_in + 1)[:, None]
    bits = np.ones((rows_in, 1), np.uint8)
    moved, flags = run(connected(2), shares, Ring(1), "a", order, values, bits)
    assert Ring(1).to_ints(moved) == plain(order, values).reshape(-1).tolist()
    assert np.array_equal(flags, plain(order, bits))


@pytest.mark.parametrize(("columns", "bits"), [(0, 2), (3, 0), (1, 130)])
def test_numbers_alone_or_bits_alone_may_move(connected, shares, columns, bits):
    ring = Ring(1)
    rng = np.random.default_rng(3)
    values = rng.integers(0, 9, (6, columns))
    flags = rng.integers(0, 2, (6, bits)).astype(np.uint8)
    order = rng.permutation(6)
    moved, moved_flags = run(connected(3), shares, ring, "c", order, values, flags)
    assert ring.to_ints(moved) == values[order].reshape(-1).tolist()
    assert np.array_equal(moved_flags, flags[order])


@pytest.mark.parametrize("most", [1, 40, 60, 500])
def test_layers_in_groups_or_in_blocks_give_the_same_rows(connected, shares, monkeypatch, most):
    monkeypatch.setattr(WORDS_MAX_NAME, most)
    order = np.random.default_rng(8).permutation(16)
    values, bits = np.arange(16)[:, None], np.zeros((16, 1), np.uint8)
    moved, _ = run(connected(3), shares, Ring(1), "b", order, values, bits)
    assert Ring(1).to_ints(moved) == order.tolist()


def test_no_sender_says_more_than_the_limit_before_it_is_heard_again(connected, monkeypatch):
    monkeypatch.setattr(WORDS_MAX_NAME, 40)
    ring = Ring(1)
    trace = Trace()
    numbers, bits = ring.zeros((64, 3)), np.zeros((64, 1), np.uint8)
    order = np.arange(64)
    play(
        {
            p: permute(s, ring, "a", order if p == "a" else None, 64, 64, numbers, bits)
            for p, s in connected(2).items()
        },
        trace,
    )
    waiting = 0
    for _, _, name, value in trace.said:
        waiting = 0 if name == "extend" else waiting + value.size
        assert waiting <= 40


@pytest.mark.parametrize("order", [[0, 0], [0, 3], [-2, 1], [0]])
def test_an_order_with_a_row_twice_or_outside_is_refused(connected, order):
    ring = Ring(1)
    protocol = permute(
        connected(2)["a"],
        ring,
        "a",
        np.array(order),
        3,
        2,
        ring.zeros((3, 1)),
        np.zeros((3, 1), np.uint8),
    )
    with pytest.raises(ValueError, match="distinct rows"):
        next(protocol)
