"""Reliable mail as pure state: any cuts, any order of acknowledgements, one past each limit."""

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.transport import mail as mail_module
from nodes.transport import office as office_module
from nodes.transport.mail import CHUNK, MAIL_MAX, WINDOW_BYTES, WINDOW_MAILS, Inbox, Outbox
from nodes.transport.office import (
    CLOSED_MAX,
    EARLY_SESSIONS_MAX,
    FORGOTTEN,
    PRESSING_BYTES,
    PRESSING_MAILS,
    Office,
)
from nodes.transport.reason import Reason
from p2pmpc.codec import encode
from p2pmpc.errors import RemoteError
from p2pmpc.messages import Ack

SESSION = b"s" * 32


def sign(claim):
    return hmac.digest(b"key", claim, "sha512")


def check(_peer, claim, signature):
    return hmac.compare_digest(sign(claim), signature)


def outbox(session=SESSION):
    return Outbox(session, "beta", sign)


def inbox():
    return Inbox(SESSION, "alpha", "beta", check)


def office():
    return Office("beta", check, early_s=20.0)


def frames_of(box):
    return list(iter(box.next_frame, None))


@given(
    sizes=st.lists(st.integers(0, 20), min_size=1, max_size=10),
    chunk=st.integers(1, 7),
    cuts=st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=6),
)
def test_any_cuts_deliver_every_mail_once_in_order(sizes, chunk, cuts):
    """A cut loses the frames on the way, the unfinished mail, and perhaps the acknowledgement."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mail_module, "CHUNK", chunk)
        sender, receiver = outbox(), inbox()
        posted = [hashlib.sha256(bytes([i])).digest()[:size] for i, size in enumerate(sizes)]
        for data in posted:
            sender.put("a", data)
        found = []
        for passing, acknowledged in [*cuts, (10_000, True)]:
            sender.rewind()
            receiver.break_off()
            for _ in range(passing):
                frame = sender.next_frame()
                if frame is None:
                    break
                delivered = receiver.take(frame)
                found += [delivered.data] if delivered else []
            if acknowledged and receiver.expected:
                sender.acknowledge(receiver.expected - 1)
        assert found == posted
        assert not sender.waiting
        assert sender.in_flight == 0


def test_mail_is_sent_again_byte_for_byte():
    sender = outbox()
    sender.put("a", bytes(CHUNK) + b"rest")
    sender.put("b", b"")
    first = [encode(frame) for frame in frames_of(sender)]
    sender.rewind()
    assert [encode(frame) for frame in frames_of(sender)] == first
    assert len(first) == 3


def test_mail_acknowledged_while_it_is_sent_again_is_left_out():
    sender, receiver = outbox(), inbox()
    sender.put("a", bytes(2 * CHUNK))
    sender.put("b", b"next")
    for frame in frames_of(sender)[:2]:
        receiver.take(frame)
    sender.rewind()
    receiver.take(sender.next_frame())  # a duplicate
    sender.acknowledge(0)
    assert [frame.name for frame in frames_of(sender)] == ["b"]


def test_an_acknowledgement_of_what_has_not_left_is_refused():
    sender = outbox()
    sender.put("a", bytes(2 * CHUNK))
    sender.next_frame()
    with pytest.raises(RemoteError, match=Reason.MAIL_ACK):
        sender.acknowledge(0)
    sender.next_frame()
    sender.acknowledge(0)
    sender.acknowledge(0)  # again, after a new link
    with pytest.raises(RemoteError, match=Reason.MAIL_ACK):
        sender.acknowledge(1)


def test_the_window_of_bytes_is_full_at_its_limit():
    sender = outbox()
    sender.put("a", bytes(MAIL_MAX))
    assert sender.has_room(WINDOW_BYTES - MAIL_MAX)
    assert not sender.has_room(WINDOW_BYTES - MAIL_MAX + 1)
    frames_of(sender)
    sender.acknowledge(0)
    assert sender.has_room(WINDOW_BYTES)


def test_the_window_of_mails_is_full_at_its_limit():
    sender = outbox()
    for _ in range(WINDOW_MAILS):
        assert sender.has_room(0)
        sender.put("a", b"")
    assert not sender.has_room(0)
    with pytest.raises(AssertionError):
        sender.put("a", b"")


def test_one_byte_past_the_largest_mail_is_refused_by_its_receiver():
    sender = outbox()
    sender.put("a", bytes(MAIL_MAX))
    first = sender.next_frame()
    assert inbox().take(first) is None
    import msgspec

    with pytest.raises(RemoteError, match=Reason.MAIL_SIZE):
        inbox().take(msgspec.structs.replace(first, total=MAIL_MAX + 1))


# ---- the office ----


def mail_of(session=SESSION, data=b"x", count=1):
    sender = outbox(session)
    for _ in range(count):
        sender.put("a", data)
    return frames_of(sender)


def test_delivered_mail_is_acknowledged_once_for_many():
    desk = office()
    desk.open(SESSION, ("alpha",))
    taken = [desk.take("alpha", frame, 0.0) for frame in mail_of(count=3)]
    assert all(one.delivered for one in taken)
    assert desk.acknowledgements("alpha") == [Ack(SESSION, 2)]
    assert desk.acknowledgements("alpha") == []
    desk.greet("alpha")
    assert desk.acknowledgements("alpha") == [Ack(SESSION, 2)]


def test_early_mail_is_not_acknowledged_before_its_session_opens():
    desk = office()
    for frame in mail_of(count=2):
        assert desk.take("alpha", frame, 0.0).delivered is None
    desk.greet("alpha")
    assert desk.acknowledgements("alpha") == []
    assert [mail.data for mail in desk.open(SESSION, ("alpha",))] == [b"x", b"x"]
    assert desk.acknowledgements("alpha") == [Ack(SESSION, 1)]


def test_early_mail_of_a_member_that_is_no_party_is_forgotten():
    desk = office()
    for frame in mail_of():
        desk.take("alpha", frame, 0.0)
    assert desk.open(SESSION, ("gamma",)) == []
    assert desk.counts[Reason.NO_PARTY] == 1
    assert not desk.inboxes


def test_early_mail_is_given_up_after_its_time():
    desk = office()
    for frame in mail_of(count=2):
        desk.take("alpha", frame, 100.0)
    assert desk.overdue(119.9) == []
    [(peer, end)] = desk.overdue(120.0)
    assert (peer, end.session, end.code) == ("alpha", SESSION, FORGOTTEN)
    assert desk.overdue(200.0) == []
    assert not desk.inboxes
    assert not desk.early


def test_one_early_mail_too_many_is_refused(monkeypatch):
    desk = office()
    for frame in mail_of(count=WINDOW_MAILS):
        assert desk.take("alpha", frame, 0.0).answer is None
    import msgspec

    sender = outbox()
    sender.numbered = WINDOW_MAILS
    sender.put("a", b"x")
    [frame] = frames_of(sender)
    assert isinstance(frame, msgspec.Struct)
    assert desk.take("alpha", frame, 0.0).dropped is Reason.EARLY_LIMIT
    assert not desk.early


def test_one_early_byte_too_many_is_refused():
    desk = office()
    for frame in mail_of(data=bytes(MAIL_MAX), count=2):
        assert desk.take("alpha", frame, 0.0).answer is None
    sender = outbox()
    sender.numbered = 2
    sender.put("a", b"x")
    [frame] = frames_of(sender)
    taken = desk.take("alpha", frame, 0.0)
    assert taken.dropped is Reason.EARLY_LIMIT
    assert taken.answer.code == 404
    assert not desk.inboxes


def test_one_early_session_too_many_is_refused():
    desk = office()
    for number in range(EARLY_SESSIONS_MAX):
        [frame] = mail_of(bytes([number]) * 32)
        assert desk.take("alpha", frame, 0.0).answer is None
    [frame] = mail_of()
    assert desk.take("alpha", frame, 0.0).dropped is Reason.EARLY_LIMIT
    assert desk.take("gamma", frame, 0.0).dropped is None  # each peer has its own


def test_a_session_that_this_process_forgot_is_ended_at_once_and_once_a_mail():
    desk = office()
    sender = outbox()
    sender.put("a", b"x")
    sender.put("a", bytes(2 * CHUNK))
    _, *later = frames_of(sender)
    answers = [desk.take("alpha", frame, 0.0).answer for frame in later]
    assert answers[0] is None
    assert answers[1].code == FORGOTTEN


def test_closed_sessions_are_remembered_up_to_the_limit():
    desk = office()
    sessions = [number.to_bytes(32, "big") for number in range(CLOSED_MAX + 1)]
    for session in sessions:
        desk.open(session, ("alpha",))
        desk.close(session)
    [oldest] = mail_of(sessions[0])
    [second] = mail_of(sessions[1])
    assert desk.take("alpha", second, 0.0).dropped is Reason.CLOSED_SESSION
    assert desk.take("alpha", oldest, 0.0).dropped is None  # early mail of a session unheard of
    assert desk.acknowledgements("alpha") == [Ack(sessions[1], 0)]


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["alpha", "gamma"]), max_size=20))
def test_mail_of_two_senders_does_not_mix(order):
    desk = office()
    desk.open(SESSION, ("alpha", "gamma"))
    boxes = {"alpha": outbox(), "gamma": outbox()}
    for number, peer in enumerate(order):
        boxes[peer].put("a", bytes([number]))
    found = []
    for number, peer in enumerate(order):
        delivered = desk.take(peer, boxes[peer].next_frame(), 0.0).delivered
        assert (delivered.peer, delivered.data) == (peer, bytes([number]))
        found.append(delivered)
    assert len(found) == len(order)


# ---- acknowledgements that wait ----


def test_acknowledgements_wait_until_much_is_owed(monkeypatch):
    monkeypatch.setattr(office_module, "PRESSING_BYTES", 10)
    monkeypatch.setattr(office_module, "PRESSING_MAILS", 4)
    for sizes, pressing in [((9,), False), ((9, 1), True), ((0,) * 3, False), ((0,) * 4, True)]:
        desk = office()
        desk.open(SESSION, ("alpha",))
        sender = outbox()
        for size in sizes:
            sender.put("a", bytes(size))
        for frame in frames_of(sender):
            desk.take("alpha", frame, 0.0)
        assert desk.is_pressing("alpha") is pressing
        assert not desk.is_pressing("gamma")
        desk.acknowledgements("alpha")
        assert not desk.is_pressing("alpha")


def test_a_senders_window_never_waits_for_the_timer():
    assert PRESSING_BYTES + MAIL_MAX <= WINDOW_BYTES
    assert PRESSING_MAILS < WINDOW_MAILS


def test_the_hash_of_a_mail_begins_again_with_its_first_byte():
    sender, receiver = outbox(), inbox()
    data = bytes(range(256)) * (CHUNK // 128)
    sender.put("a", data)
    receiver.take(sender.next_frame())
    sender.rewind()
    receiver.break_off()
    *_, last = [receiver.take(frame) for frame in frames_of(sender)]
    assert last.data == data
