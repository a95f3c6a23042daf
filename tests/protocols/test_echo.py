"""Broadcasts are compared before an opening: who was told different things finds out."""

import numpy as np
import pytest

from protocols.abort import Inconsistent, Suspected
from protocols.arithmetic import open_ring
from protocols.echo import Transcript, compare_broadcasts, echoed
from protocols.party import Round, named, play
from protocols.ring import Ring

RING = Ring(1)


def opened_and_compared(seat, groups):
    transcript = Transcript()
    for number, group in enumerate(groups):
        if seat.me in group:
            inner = open_ring(seat.among(group), RING, RING.from_ints([seat.index]))
            yield from echoed(seat.me, named(f"group{number}", inner), transcript)
        else:
            yield Round()
    return (yield from compare_broadcasts(seat, transcript))


def run(seats, groups, tamper=None):
    return play(
        {p: opened_and_compared(s, groups) for p, s in seats(3, "echo").items()}, tamper=tamper
    )


GROUPS = [("a", "b", "c"), ("a", "b"), ("b", "c"), ("a", "b", "c")]


def test_honest_parties_share_one_transcript(seats):
    found = run(seats, GROUPS)
    assert len(set(found.values())) == 1
    assert len(found["a"]) == 32
    assert found != run(seats, GROUPS[:3])


@pytest.mark.parametrize("name", ["group0/elements", "group3/elements"])
def test_a_party_that_tells_two_things_is_noticed_before_an_opening(seats, name):
    def tamper(sender, receiver, said, value):
        if (sender, receiver, said) == ("a", "c", name):
            value[0, 0] += np.uint64(1)
        return value

    with pytest.raises(Inconsistent, match="told different things") as caught:
        run(seats, GROUPS, tamper)
    assert caught.value.party == ""


def test_a_lie_about_the_own_hash_leaves_no_common_transcript(seats):
    def tamper(sender, receiver, said, value):
        if (sender, receiver, said) == ("a", "c", "echo"):
            value[1, 0] ^= 1
        return value

    found = run(seats, GROUPS, tamper)
    assert found["a"] == found["b"] != found["c"]


def test_a_hash_of_the_wrong_size_names_its_sender(seats):
    def tamper(sender, receiver, said, value):
        return value[:1] if (sender, said) == ("b", "echo") else value

    with pytest.raises(Suspected) as caught:
        run(seats, GROUPS, tamper)
    assert caught.value.party == "b"


def test_the_transcript_does_not_depend_on_how_groups_interleave():
    value = np.array([1], np.uint64)
    first, second = Transcript(), Transcript()
    first.absorb(("a", "b"), "x", {"a": value})
    first.absorb(("a", "c"), "x", {"c": value})
    second.absorb(("a", "c"), "x", {"c": value})
    second.absorb(("a", "b"), "x", {"a": value})
    assert first.digest("d", ("a",)) == second.digest("d", ("a",))
    assert first.digest("d", ("a", "b")) != second.digest("d", ("a", "c"))


def test_order_within_a_name_and_the_sender_count():
    one, two = np.array([1], np.uint64), np.array([2], np.uint64)
    digests = set()
    for rounds in ([one, two], [two, one]):
        for sender in "ab":
            transcript = Transcript()
            for value in rounds:
                transcript.absorb(("a", "b"), "x", {sender: value})
            digests.add(transcript.digest("d", ("a", "b")))
    assert len(digests) == 4


def test_the_wrapped_protocol_is_closed_with_its_wrapper():
    closed = []

    def inner():
        try:
            yield Round()
        finally:
            closed.append(True)

    wrapped = echoed("a", inner(), Transcript())
    next(wrapped)
    wrapped.close()
    assert closed == [True]


def test_a_broadcast_that_says_two_things_never_counts_as_one():
    says = {("b", "m"): np.zeros(1, np.uint8), ("c", "m"): np.ones(1, np.uint8)}

    def inner():
        yield Round(says, {}, {"m": ("a", "b", "c")})

    wrapped = echoed("a", inner(), Transcript())
    next(wrapped)
    with pytest.raises(RuntimeError, match="not the same to all"):
        wrapped.send({})
