"""Long messages go in parts that no message limit is exceeded by."""

import numpy as np
import pytest

from protocols.exchange import PART_BYTES_MAX, broadcast, exchange
from protocols.party import Expect, Trace, play


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 9])
def test_an_array_in_parts_arrives_whole(seats, rows, monkeypatch):
    monkeypatch.setattr("protocols.exchange.PART_BYTES_MAX", 64)
    table = seats(2, "parts")
    value = np.arange(2 * rows, dtype=np.uint64).reshape(rows, 2)
    trace = Trace()
    found = play({p: broadcast(s, "x", value) for p, s in table.items()}, trace)
    assert np.array_equal(found["a"]["b"], value)
    assert all(part.nbytes <= 64 for _, _, _, part in trace.said)
    assert trace.rounds == 2 * -(-rows // 4)


def test_a_part_is_half_of_the_largest_message():
    assert PART_BYTES_MAX * 2 == 32 << 20


def test_rows_longer_than_a_part_go_one_by_one(seats, monkeypatch):
    monkeypatch.setattr("protocols.exchange.PART_BYTES_MAX", 8)
    value = np.ones((3, 5), np.uint64)
    expect = Expect("uint64", (3, 5))
    found = play(
        {"a": exchange("x", {"b": value}, (), expect), "b": exchange("x", {}, ("a",), expect)}
    )
    assert np.array_equal(found["b"]["a"], value)


def test_a_message_of_one_part_is_handed_on_as_it_was_heard():
    heard = np.ones(3, np.uint64)
    hearing = exchange("x", {}, ("a",), Expect("uint64", (3,)))
    next(hearing)
    with pytest.raises(StopIteration) as end:
        hearing.send({("a", "x"): heard})
    assert end.value.value["a"] is heard
