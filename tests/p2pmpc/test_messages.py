"""Nothing but the listed messages crosses a link, and every field has a bound."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pmpc.address import AddressRecord
from p2pmpc.codec import encode
from p2pmpc.errors import P2pmpcError, RemoteError
from p2pmpc.limits import ENTRIES_BATCH_MAX
from p2pmpc.messages import (
    END_TEXT_CHARS_MAX,
    FRAME_BYTES_MAX,
    KIND_CHARS_MAX,
    KINDS_MAX,
    MAIL_BYTES_MAX,
    MAIL_NAME_CHARS_MAX,
    NUMBER_MAX,
    STEP_CHARS_MAX,
    UNITS_MAX,
    Ack,
    Address,
    Bye,
    End,
    Entries,
    ForkNotice,
    Frontier,
    Hello,
    Mail,
    Message,
    Offer,
    Ping,
    Pong,
    Progress,
    Refuse,
    Want,
    decode_message,
    encode_message,
    mail_claim,
    sentence,
)
from p2pmpc.record import (
    BODY_CONTENT_BYTES_MAX,
    ENTRY_BYTES_MAX,
    SEQ_MAX,
    Body,
    ForkProof,
    SignedEntry,
)
from p2pmpc.roster import EPOCH_MAX, MEMBERS_MAX

S, H = b"s" * 32, b"h" * 32
SIGNED = SignedEntry(b"entry", bytes(64))
ONE_OF_EACH = [
    Hello(1, 1, S, 0, "north", FRAME_BYTES_MAX, MAIL_BYTES_MAX),
    Refuse(3, "another network"),
    Ping(),
    Pong(),
    Bye(),
    Mail(S, "sums/open", 0, False, 5, b"", b"abc"),
    Mail(S, "sums/open", 0, True, 5, bytes(64), b"de"),
    Ack(S, 7),
    Progress(S, "comparing", ("south", "west")),
    End(S, 402, "south was not heard", "south"),
    Frontier((("north", 3, H),)),
    Want("north", 0, 3),
    Entries(((SIGNED, Body(bytes(16), b"content")), (SIGNED, None))),
    ForkNotice(ForkProof(SIGNED, SIGNED)),
    Address((AddressRecord(S, "north", "node.example:7443", 1, 2, bytes(64)),)),
    Offer(S, ("north", "south"), 0, (("and", 7), ("wire", 1)), H),
]


@pytest.mark.parametrize("message", ONE_OF_EACH, ids=lambda m: type(m).__name__)
def test_each_message_round_trips(message):
    assert decode_message(encode_message(message), "south") == message


def test_each_listed_message_is_in_the_union_with_a_number_of_its_own():
    kinds = msgspec.inspect.type_info(Message).types
    assert {kind.cls for kind in kinds} == {type(message) for message in ONE_OF_EACH}
    assert len({kind.tag for kind in kinds}) == len(kinds)


def test_mail_shows_no_data():
    assert "secret" not in repr(Mail(S, "a", 0, False, 6, b"", b"secret"))


ONE_PAST = [
    Refuse(1000, ""),
    Refuse(1, "x" * (END_TEXT_CHARS_MAX + 1)),
    Hello(0, 1, S, 0, "north", 1, 1),
    Hello(2, 1, S, 0, "north", 1, 1),
    Hello(1, 1, S[:31], 0, "north", 1, 1),
    Hello(1, 1, S, 0, "n" * 65, 1, 1),
    Hello(1, 1, S, EPOCH_MAX + 1, "north", 1, 1),
    Mail(S, "", 0, False, 5, b"", b"abc"),
    Mail(S, "n" * (MAIL_NAME_CHARS_MAX + 1), 0, False, 5, b"", b"abc"),
    Mail(S, "line\nbreak", 0, False, 5, b"", b"abc"),
    Mail(S, "a", NUMBER_MAX + 1, False, 5, b"", b"abc"),
    Mail(S, "a", -1, False, 5, b"", b"abc"),
    Mail(S, "a", 0, False, MAIL_BYTES_MAX + 1, b"", b"abc"),
    Mail(S, "a", 0, False, 2, b"", b"abc"),
    Mail(S, "a", 0, True, 3, b"", b"abc"),
    Mail(S, "a", 0, True, 3, bytes(63), b"abc"),
    Mail(S, "a", 0, False, 3, bytes(64), b"abc"),
    Mail(S, "a", 0, True, 3, bytes(65), b"abc"),
    Ack(S + b"x", 0),
    Progress(S, "x" * (STEP_CHARS_MAX + 1), ()),
    Progress(S, "", ("a",) * (MEMBERS_MAX + 1)),
    End(S, 402, "x" * (END_TEXT_CHARS_MAX + 1), ""),
    End(S, 402, "", "x" * 65),
    Frontier((("north", 0, H),) * (MEMBERS_MAX + 1)),
    Frontier((("north", SEQ_MAX + 1, H),)),
    Want("", 0, 0),
    Entries(((SIGNED, None),) * (ENTRIES_BATCH_MAX + 1)),
    Entries(((SignedEntry(b"", bytes(64)), None),)),
    Entries(((SignedEntry(bytes(ENTRY_BYTES_MAX + 1), bytes(64)), None),)),
    Entries(((SIGNED, Body(bytes(15), b"")),)),
    Entries(((SIGNED, Body(bytes(16), bytes(BODY_CONTENT_BYTES_MAX + 1))),)),
    Offer(S, ("north",), 0, (("and", 7),), H),
    Offer(S, tuple("abcdefghijk"), 0, (("and", 7),), H),
    Offer(S, ("north", "south"), EPOCH_MAX + 1, (("and", 7),), H),
    Offer(S, ("north", "south"), 0, (), H),
    Offer(S, ("north", "south"), 0, (("and", 7),) * (KINDS_MAX + 1), H),
    Offer(S, ("north", "south"), 0, (("a" * (KIND_CHARS_MAX + 1), 7),), H),
    Offer(S, ("north", "south"), 0, (("a b", 7),), H),
    Offer(S, ("north", "south"), 0, (("and", 0),), H),
    Offer(S, ("north", "south"), 0, (("and", UNITS_MAX + 1),), H),
    Offer(S, ("north", "south"), 0, (("and", 7),), H[:31]),
]


@pytest.mark.parametrize("message", ONE_PAST, ids=lambda m: type(m).__name__)
def test_one_past_a_bound_is_refused_and_the_member_is_named(message):
    with pytest.raises(RemoteError) as caught:
        decode_message(encode(message), "south")
    assert caught.value.where == {"member": "south"}


def test_a_node_does_not_send_what_its_peer_would_refuse():
    with pytest.raises(P2pmpcError, match="an own End message"):
        encode_message(End(S, 402, "x" * (END_TEXT_CHARS_MAX + 1), ""))
    whole = Mail(S, "a", 0, False, MAIL_BYTES_MAX, b"", bytes(FRAME_BYTES_MAX))
    with pytest.raises(P2pmpcError, match="longer than a frame"):
        encode_message(whole)


def test_a_long_sentence_is_cut_to_what_a_message_carries():
    assert sentence("x" * END_TEXT_CHARS_MAX) == "x" * END_TEXT_CHARS_MAX
    cut = sentence("x" * (END_TEXT_CHARS_MAX + 1))
    assert len(cut) == END_TEXT_CHARS_MAX
    assert cut.endswith("…")
    encode_message(End(S, 402, cut, ""))


def test_the_largest_entry_with_its_body_fits_a_frame():
    signed = SignedEntry(bytes(ENTRY_BYTES_MAX), bytes(64))
    body = Body(bytes(16), bytes(BODY_CONTENT_BYTES_MAX))
    encode_message(Entries(((signed, body),)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        b"\x90",
        b"\x91\x00",
        b"\x91\x63",
        b"\x92\x03\x01",
        b"\x91\xcc\x03",
        b"\x91\x03\x00",
        b"\x81\x03\x01",
        b"\xdd\xff\xff\xff\xff\x16",
        b"\x92\x16\xdd\xff\xff\xff\xff",
        b"\x91" * 5000,
        bytes(FRAME_BYTES_MAX + 1),
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(RemoteError):
        decode_message(data, "south")


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_in_its_one_encoding_or_refused(data):
    try:
        message = decode_message(data, "south")
    except RemoteError:
        return
    assert encode_message(message) == data


@settings(max_examples=500, deadline=None)
@given(message=st.sampled_from(ONE_OF_EACH), data=st.data())
def test_a_changed_byte_is_another_message_or_refused(message, data):
    encoded = bytearray(encode_message(message))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    try:
        found = decode_message(bytes(encoded), "south")
    except RemoteError:
        return
    assert found != message
    assert encode_message(found) == bytes(encoded)


def test_a_mails_claim_binds_session_receiver_name_number_and_content():
    claims = {
        mail_claim(S, "south", "a", 0, H),
        mail_claim(H, "south", "a", 0, H),
        mail_claim(S, "west", "a", 0, H),
        mail_claim(S, "south", "b", 0, H),
        mail_claim(S, "south", "a", 1, H),
        mail_claim(S, "south", "a", 0, S),
        mail_claim(S, "southa", "", 0, H),
    }
    assert len(claims) == 7


def test_a_mail_holds_as_much_as_a_protocols_message_and_no_more():
    from p2pmpc.limits import MESSAGE_BYTES_MAX

    assert MAIL_BYTES_MAX == MESSAGE_BYTES_MAX
    with pytest.raises(P2pmpcError):
        encode_message(Mail(bytes(32), "open", 0, True, MESSAGE_BYTES_MAX + 1, bytes(64), b""))
