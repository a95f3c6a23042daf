"""What goes into one write: small pieces joined, large ones as they lie, bytes in their order."""

from hypothesis import given
from hypothesis import strategies as st

from nodes.transport.frames import frame
from nodes.transport.mail import CHUNK
from nodes.transport.peer import JOIN_BYTES, Batch
from p2pmpc.messages import Mail, decode_message, encode_message, mail_head

SESSION = b"s" * 32
SIZES = st.sampled_from([0, 1, 100, JOIN_BYTES - 1, JOIN_BYTES, JOIN_BYTES + 1, 3 * JOIN_BYTES])


@given(st.lists(SIZES, max_size=12))
def test_pieces_keep_every_byte_in_its_order_and_are_few(sizes):
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    batch = Batch()
    assert [batch.add(piece) for piece in pieces] == sizes
    found = batch.pieces()
    assert b"".join(found) == b"".join(pieces)
    assert len(found) <= 2 * sum(sizes) // JOIN_BYTES + 2


def test_the_data_of_a_large_mail_are_not_copied():
    data = bytes(CHUNK)
    mail = Mail(SESSION, "a", 0, False, 2 * CHUNK, b"", memoryview(data))
    batch = Batch()
    size = batch.add_mail(mail)
    head, body = batch.pieces()
    assert body.obj is data
    assert size == len(head) + len(body)
    assert head + bytes(body) == frame(encode_message(mail))


@given(st.integers(0, 2**17))
def test_a_mail_in_two_pieces_is_its_one_encoding(size):
    mail = Mail(SESSION, "a/open", 3, True, size, bytes(64), bytes(size))
    assert mail_head(mail) + mail.data == encode_message(mail)
    assert decode_message(memoryview(encode_message(mail))) == mail
