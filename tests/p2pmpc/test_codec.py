"""One value, one spelling: what else decodes to it is malformed; digests cannot be shifted."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pmpc.codec import decode, digest, encode
from p2pmpc.errors import LogError, RemoteError


class Thing(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    number: int
    text: str
    parts: tuple[bytes, ...]


things = st.builds(
    Thing,
    number=st.integers(-(2**63), 2**63 - 1),
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    parts=st.lists(st.binary(max_size=40), max_size=4).map(tuple),
)


@settings(max_examples=200, deadline=None)
@given(things)
def test_a_value_comes_back_from_its_bytes(thing):
    assert decode(encode(thing), Thing, "a thing") == thing


@settings(max_examples=400, deadline=None)
@given(things, st.data())
def test_two_byte_strings_never_decode_to_one_value(thing, data):
    spelled = bytearray(encode(thing))
    position = data.draw(st.integers(0, len(spelled) - 1))
    change = data.draw(st.sampled_from(["flip", "insert", "delete"]))
    if change == "flip":
        spelled[position] ^= data.draw(st.integers(1, 255))
    elif change == "insert":
        spelled.insert(position, data.draw(st.integers(0, 255)))
    else:
        del spelled[position]
    if bytes(spelled) == encode(thing):
        return
    try:
        assert decode(bytes(spelled), Thing, "a thing") != thing
    except RemoteError:
        return


GOOD = encode(Thing(1, "a", (b"x",)))
SECOND_SPELLINGS = {
    "a longer array head": b"\xdc\x00\x03" + GOOD[1:],
    "a longer number": b"\x93\xcc\x01" + GOOD[2:],
    "a signed number": b"\x93\xd0\x01" + GOOD[2:],
    "a float": b"\x93\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00" + GOOD[2:],
    "a longer text": b"\x93\x01\xd9\x01a" + GOOD[4:],
    "a longer list": GOOD[:4] + b"\xdc\x00\x01\xc4\x01x",
    "longer bytes": GOOD[:4] + b"\x91\xc5\x00\x01x",
    "a byte after": GOOD + b"\x00",
    "nil": b"\xc0",
    "a map": b"\x83\xa6number\x01\xa4text\xa1a\xa5parts\x91\xc4\x01x",
    "no text": b"\x93\x01\xa1\xff\x91\xc4\x01x",
    "one field less": b"\x92\x01\xa1a",
    "one field more": b"\x94" + GOOD[1:] + b"\x00",
}


@pytest.mark.parametrize("name", sorted(SECOND_SPELLINGS))
def test_another_spelling_is_malformed_and_its_source_named(name):
    with pytest.raises(RemoteError, match="a thing") as caught:
        decode(SECOND_SPELLINGS[name], Thing, "a thing", "south")
    assert caught.value.where == {"member": "south"}
    with pytest.raises(LogError, match="a thing"):
        decode(SECOND_SPELLINGS[name], Thing, "a thing", error=LogError)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_other_parts_have_another_digest_wherever_they_are_cut(one, two):
    assert (digest("a", *one) == digest("a", *two)) == (one == two)
    assert digest("a", *one) != digest("b", *one)
