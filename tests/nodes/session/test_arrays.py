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


def test_one_axis_too_many_is_refused():
    data = encode_array(np.zeros((1,) * AXES_MAX, dtype=np.uint8))
    more = bytes([data[0], AXES_MAX + 1]) + (1).to_bytes(8, "little") + data[2:]
    with pytest.raises(RemoteError, match=f"{AXES_MAX + 1} axes"):
        decode_array(more, "south", "open")


def test_a_length_that_would_fill_the_memory_is_refused_before_anything_is_made():
    data = bytes([2, 2]) + (2**40).to_bytes(8, "little") * 2
    with pytest.raises(RemoteError):
        decode_array(data, "south", "open")


def test_no_elements_on_an_axis_beyond_any_memory_are_refused():
    for lengths in ((0, 2**63), (2**64 - 1, 0), (0, 2**62, 2**62)):
        axes = b"".join(length.to_bytes(8, "little") for length in lengths)
        with pytest.raises(RemoteError) as fault:
            decode_array(bytes([2, len(lengths)]) + axes, "south", "open")
        assert fault.value.where == {"member": "south"}
