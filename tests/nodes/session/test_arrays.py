"""An array's bytes: one encoding, and nothing else is an array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nodes.session.arrays import AXES_MAX, decode_array, encode_array
from p2pmpc.errors import RemoteError


@given(arrays(st.sampled_from([np.uint8, np.uint32, np.uint64]), array_shapes(max_dims=4)))
def test_an_array_comes_back_as_it_was(value):
    again = decode_array(encode_array(value), "south", "open")
    assert again.dtype == value.dtype
    assert np.array_equal(again, value)


def test_an_array_that_was_cut_short_is_refused_by_name():
    data = encode_array(np.arange(5, dtype=np.uint64))
    with pytest.raises(RemoteError, match="'open' says \\[5\\] and holds 39 bytes") as fault:
        decode_array(data[:-1], "south", "open")
    assert fault.value.where == {"member": "south"}


@given(st.binary(max_size=80))
def test_any_bytes_are_an_array_or_refused(data):
    try:
        value = decode_array(data, "south", "open")
    except RemoteError:
        return
    assert encode_array(value) == data


@pytest.mark.parametrize("place", range(2, 8))
def test_a_head_that_says_more_than_it_should_is_refused(place):
    data = bytearray(encode_array(np.arange(5, dtype=np.uint64)))
    data[place] = 1
    with pytest.raises(RemoteError, match="six bytes that are not zero"):
        decode_array(data, "south", "open")


@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3), (2, 0, 4), (1, 2, 3, 4)])
def test_an_array_is_aligned_and_writable_and_lies_where_its_mail_lies(shape):
    data = bytearray(encode_array(np.ones(shape, dtype=np.uint64)))
    value = decode_array(data, "south", "open")
    assert value.flags.aligned
    assert value.flags.writeable
    data[-8:] = bytes(8)
    assert not value.size or value.reshape(-1)[-1] == 0


def test_an_array_of_bytes_that_cannot_be_written_is_a_copy():
    data = encode_array(np.ones(3, dtype=np.uint64))
    value = decode_array(data, "south", "open")
    value[:] = 7
    assert decode_array(data, "south", "open").tolist() == [1, 1, 1]


def test_an_array_whose_elements_do_not_follow_one_another_comes_back_as_it_was():
    value = np.arange(24, dtype=np.uint64).reshape(4, 6)[::2, 1::2]
    assert np.array_equal(decode_array(encode_array(value), "south", "open"), value)


def test_one_axis_too_many_is_refused():
    data = encode_array(np.zeros((1,) * AXES_MAX, dtype=np.uint8))
    more = bytes([data[0], AXES_MAX + 1]) + data[2:8] + (1).to_bytes(8, "little") + data[8:]
    with pytest.raises(RemoteError, match=f"{AXES_MAX + 1} axes"):
        decode_array(more, "south", "open")


def test_a_length_that_would_fill_the_memory_is_refused_before_anything_is_made():
    data = bytes([2, 2, *bytes(6)]) + (2**40).to_bytes(8, "little") * 2
    with pytest.raises(RemoteError):
        decode_array(data, "south", "open")


def test_no_elements_on_an_axis_beyond_any_memory_are_refused():
    for lengths in ((0, 2**63), (2**64 - 1, 0), (0, 2**62, 2**62)):
        axes = b"".join(length.to_bytes(8, "little") for length in lengths)
        with pytest.raises(RemoteError) as fault:
            decode_array(bytes([2, len(lengths), *bytes(6)]) + axes, "south", "open")
        assert fault.value.where == {"member": "south"}
