"""Frames: any cut of the stream gives the same messages, and no peer makes the buffer grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.transport.frames import FRAME_MAX, READ_BYTES, FrameReader, frame
from nodes.transport.reason import Reason
from p2pmpc.errors import RemoteError


def feed(reader, data):
    found = []
    while data:
        free = reader.free()
        part = data[: len(free)]
        free[: len(part)] = part
        found += [bytes(message) for message in reader.received(len(part))]
        data = data[len(part) :]
    return found


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.integers(1, 20))
def test_any_cut_of_the_stream_gives_the_same_messages(messages, step):
    reader = FrameReader()
    stream = b"".join(map(frame, messages))
    found = []
    for start in range(0, len(stream), step):
        found += feed(reader, stream[start : start + step])
    assert found == messages
    assert not reader.inside


def test_a_frame_of_the_limit_is_read_and_the_buffer_stays_as_large():
    reader = FrameReader()
    message = bytes(FRAME_MAX)
    assert feed(reader, frame(message) + frame(b"x") + frame(message)) == [message, b"x", message]
    assert len(reader.free()) == READ_BYTES


@pytest.mark.parametrize("length", [0, FRAME_MAX + 1, 2**32 - 1])
def test_a_length_outside_the_limits_is_refused(length):
    with pytest.raises(RemoteError, match=Reason.FRAME_LENGTH):
        feed(FrameReader(), length.to_bytes(4, "big"))


def test_a_frame_that_began_is_known():
    reader = FrameReader()
    feed(reader, frame(b"abc")[:-1])
    assert reader.inside
    assert feed(reader, b"c") == [b"abc"]
    assert not reader.inside


@pytest.mark.parametrize("message", [b"", bytes(FRAME_MAX + 1)])
def test_no_illegal_frame_is_made(message):
    with pytest.raises(AssertionError):
        frame(message)


def test_of_a_large_frame_exactly_the_rest_is_asked_for():
    reader = FrameReader()
    whole = frame(bytes(3 * READ_BYTES))
    free = reader.free()
    free[:] = whole[: len(free)]
    assert reader.received(len(free)) == []
    assert len(reader.free()) == len(whole) - READ_BYTES


@given(st.lists(st.integers(1, 3 * READ_BYTES), max_size=5))
def test_what_was_read_is_handed_over_before_it_is_overwritten(sizes):
    messages = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    assert feed(FrameReader(), b"".join(map(frame, messages))) == messages
