"""The table of a link's states, pair by pair; the greeting; what ends a link by which name."""

import asyncio
import itertools

import pytest
from blake3 import blake3
from msgspec.structs import replace

from nodes.transport import link as link_module
from nodes.transport import office as office_module
from nodes.transport.events import LinkDown, MailRefused
from nodes.transport.frames import FRAME_MAX
from nodes.transport.link import LINK, LinkEvent, State, move
from nodes.transport.reason import Reason
from nodes.transport.timing import Timing
from p2pmpc.codec import encode
from p2pmpc.errors import RemoteError
from p2pmpc.messages import Ack, Bye, Hello, Mail, Ping, Pong, Progress, Refuse, mail_claim

SESSION = b"s" * 32
OTHER = b"t" * 32


@pytest.mark.parametrize(("state", "event"), [*itertools.product(State, LinkEvent)])
def test_every_pair_of_state_and_event_moves_or_is_refused_by_name(state, event):
    if (state, event) in LINK:
        assert move(state, event) is LINK[state, event]
    else:
        with pytest.raises(RemoteError, match=Reason.UNEXPECTED):
            move(state, event)


def test_every_state_can_end_and_none_comes_back():
    for state in State:
        assert move(state, LinkEvent.LOST) is State.CLOSED
        assert move(state, LinkEvent.STOPPED) is State.CLOSED
    assert {after for (state, _), after in LINK.items() if state is State.CLOSED} == {State.CLOSED}
    before_up = {state for (state, _), after in LINK.items() if after is State.UP}
    assert before_up == {State.GREETING, State.UP}


def test_a_ping_is_answered(play, add_rude):
    async def story(scene):
        await scene.add("alpha")
        rude = await add_rude(scene)
        rude.say(Ping())
        assert await rude.hear(Pong) == Pong()

    play(story)


def test_a_goodbye_ends_the_link_by_name(play, add_rude):
    async def story(scene):
        await scene.add("alpha")
        rude = await add_rude(scene)
        rude.say(Bye())
        await scene.until(lambda: scene.of("alpha", LinkDown))
        assert scene.of("alpha", LinkDown)[0].reason == Reason.GOODBYE

    play(story)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": b"m" * 32}, Reason.WRONG_NETWORK),
        ({"name": "beta"}, Reason.WRONG_NAME),
        ({"first_version": 2, "last_version": 9}, Reason.NO_VERSION),
        ({"mail_bytes_max": 2**25 - 1}, Reason.LIMITS),
        ({"frame_bytes_max": 2**18}, Reason.LIMITS),
    ],
)
def test_a_greeting_that_does_not_fit_is_refused_with_its_reason(play, add_rude, changes, reason):
    async def story(scene):
        alpha = await scene.add("alpha")
        rude = await add_rude(scene, greet=False)
        rude.say(rude.hello(**changes))
        refuse = await rude.hear(Refuse)
        assert refuse.text == reason
        await scene.until(lambda: alpha.counts().get(reason) == 1)
        assert not scene.is_up("alpha", "mallory")
        assert await rude.reader.read() == b""

    play(story)


def test_a_client_that_does_not_greet_is_not_waited_for(play, add_rude):
    async def story(scene):
        alpha = await scene.add("alpha")
        rude = await add_rude(scene, greet=False)
        assert await rude.hear(Hello)
        assert await rude.hear(Hello) is None
        assert alpha.counts()[Reason.NO_GREETING] == 1

    play(story)


@pytest.mark.parametrize("first", [Progress(SESSION, "x", ()), Ack(SESSION, 0), Ping()])
def test_any_other_message_before_the_greeting_ends_the_link(play, add_rude, first):
    async def story(scene):
        alpha = await scene.add("alpha")
        rude = await add_rude(scene, greet=False)
        rude.say(first)
        await scene.until(lambda: alpha.counts().get(Reason.UNEXPECTED) == 1)

    play(story)


def test_a_second_greeting_ends_the_link(play, add_rude):
    async def story(scene):
        await scene.add("alpha")
        rude = await add_rude(scene)
        rude.say(rude.hello())
        await scene.until(lambda: scene.of("alpha", LinkDown))
        assert scene.of("alpha", LinkDown)[0].reason == Reason.UNEXPECTED

    play(story)


GARBAGE = {
    "an empty frame": (bytes(4), Reason.FRAME_LENGTH),
    "an oversized frame": ((FRAME_MAX + 1).to_bytes(4, "big"), Reason.FRAME_LENGTH),
    "noise": (b"\xff" * 64, Reason.FRAME_LENGTH),
    "no message": (b"\0\0\0\4\xde\xad\xbe\xef", Reason.MALFORMED),
    "an unknown message": (b"\0\0\0\2\x91\x63", Reason.MALFORMED),
    "a second encoding": (b"\0\0\0\4\xdc\0\1\3", Reason.MALFORMED),
    "bytes after a message": (b"\0\0\0\3\x91\x03\0", Reason.MALFORMED),
}


@pytest.mark.parametrize("case", sorted(GARBAGE))
def test_garbage_ends_the_link_by_name_and_is_counted(play, add_rude, case):
    data, reason = GARBAGE[case]

    async def story(scene):
        alpha = await scene.add("alpha")
        rude = await add_rude(scene)
        rude.write(data)
        await scene.until(lambda: scene.of("alpha", LinkDown))
        assert scene.of("alpha", LinkDown)[0].reason == reason
        assert alpha.counts()[reason] == 1

    play(story)


def test_a_truncated_frame_is_named(play, add_rude):
    async def story(scene):
        await scene.add("alpha")
        rude = await add_rude(scene)
        rude.write((100).to_bytes(4, "big") + b"half")
        await rude.writer.drain()
        await asyncio.sleep(0.05)
        rude.writer.close()
        await scene.until(lambda: scene.of("alpha", LinkDown))
        assert scene.of("alpha", LinkDown)[0].reason == Reason.TRUNCATED

    play(story)


def test_a_peer_that_falls_silent_is_let_go(play, add_rude):
    async def story(scene):
        await scene.add("alpha")
        await add_rude(scene)  # it answers no ping
        await scene.until(lambda: scene.of("alpha", LinkDown))
        assert scene.of("alpha", LinkDown)[0].reason == Reason.SILENT

    play(story)


def test_a_peer_that_pings_and_never_reads_costs_no_memory(play, add_rude):
    async def story(scene):
        alpha = await scene.add("alpha")
        rude = await add_rude(scene)
        rude.writer.transport.pause_reading()
        alpha.open_session(SESSION, ["mallory"])
        for _ in range(16):
            await alpha.post(SESSION, "mallory", "a", bytes(2**20))
        link = alpha._peers["mallory"].link
        await scene.until(lambda: not link._writable)
        await asyncio.sleep(0.2)
        full = link._wire.get_write_buffer_size()
        before = alpha.traffic("mallory").received
        rude.say(*[Ping()] * 900, Progress(SESSION, "x", ()))
        await scene.until(lambda: alpha.traffic("mallory").received > before)
        assert link._wire.get_write_buffer_size() == full

    play(story, Timing())


# ---- mail that no conforming sender sends ----


def signed_mail(rude, number=0, data=b"data", name="a", **changes):
    claim = mail_claim(SESSION, "alpha", name, number, blake3(data).digest())
    mail = Mail(SESSION, name, number, True, len(data), rude.scene.sign(rude.name)(claim), data)
    return replace(mail, **changes)


def first_half(rude):
    return signed_mail(rude, last=False, total=8, data=b"half1", signature=b"")


BAD_MAIL = {
    "a number ahead": (lambda r: [signed_mail(r, 1)], Reason.MAIL_ORDER),
    "reordered": (lambda r: [signed_mail(r, 1), signed_mail(r, 0)], Reason.MAIL_ORDER),
    "another signer": (
        lambda r: [signed_mail(r, signature=bytes(64))],
        Reason.MAIL_SIGNATURE,
    ),
    "another name": (lambda r: [replace(signed_mail(r), name="b")], Reason.MAIL_SIGNATURE),
    "other data": (lambda r: [replace(signed_mail(r), data=b"DATA")], Reason.MAIL_SIGNATURE),
    "another session's": (
        lambda r: [replace(signed_mail(r), session=OTHER)],
        Reason.MAIL_SIGNATURE,
    ),
    "a replayed first frame": (
        lambda r: [first_half(r), first_half(r)],
        Reason.MAIL_SHAPE,
    ),
    "a changed total": (
        lambda r: [first_half(r), replace(first_half(r), total=7, data=b"e")],
        Reason.MAIL_SHAPE,
    ),
    "an early end": (lambda r: [signed_mail(r, total=5)], Reason.MAIL_SHAPE),
    "an empty frame": (
        lambda r: [signed_mail(r, last=False, total=4, data=b"", signature=b"")],
        Reason.MAIL_SHAPE,
    ),
    "a large frame": (
        lambda r: [signed_mail(r, last=False, total=2**19, data=bytes(2**18 + 1), signature=b"")],
        Reason.MAIL_SIZE,
    ),
    "an unsigned end": (lambda r: [signed_mail(r, signature=b"")], Reason.MALFORMED),
    "a signed start": (lambda r: [signed_mail(r, last=False, total=9)], Reason.MALFORMED),
    "more than the total": (lambda r: [signed_mail(r, total=3)], Reason.MALFORMED),
    "a large total": (lambda r: [signed_mail(r, last=False, total=2**25 + 1)], Reason.MALFORMED),
    "an unsent acknowledgement": (lambda r: [Ack(SESSION, 0)], Reason.MAIL_ACK),
}


@pytest.mark.parametrize("case", sorted(BAD_MAIL))
def test_mail_that_no_conforming_sender_sends_ends_the_link_by_name(play, add_rude, case):
    make, reason = BAD_MAIL[case]

    async def story(scene):
        alpha = await scene.add("alpha")
        rude = await add_rude(scene)
        for session in (SESSION, OTHER):
            alpha.open_session(session, ["mallory"])
        for message in make(rude):
            rude.write(framed(message))
        await scene.until(lambda: scene.of("alpha", LinkDown))
        assert scene.of("alpha", LinkDown)[0].reason == reason
        assert scene.mails("alpha") == []
        refused = [event.reason for event in scene.of("alpha", MailRefused)]
        assert refused == ([reason] if reason in REFUSED_MAIL else [])

    play(story)


REFUSED_MAIL = {Reason.MAIL_ORDER, Reason.MAIL_SHAPE, Reason.MAIL_SIZE, Reason.MAIL_SIGNATURE}


def framed(message):
    """As `encode_message` does, without its checks."""
    data = encode(message)
    return len(data).to_bytes(4, "big") + data


def test_a_replayed_mail_is_delivered_once_and_acknowledged_again(play, add_rude):
    async def story(scene):
        alpha = await scene.add("alpha")
        rude = await add_rude(scene)
        alpha.open_session(SESSION, ["mallory"])
        rude.say(signed_mail(rude))
        assert await rude.hear(Ack) == Ack(SESSION, 0)
        rude.say(signed_mail(rude))
        assert await rude.hear(Ack) == Ack(SESSION, 0)
        rude.say(signed_mail(rude, 1, b"next"))
        await scene.until(lambda: len(scene.mails("alpha")) == 2)
        assert [data for _, _, data in scene.mails("alpha")] == [b"data", b"next"]

    play(story)


def test_the_newest_authenticated_link_wins(play, add_rude):
    async def story(scene):
        await scene.add("alpha")
        old = await add_rude(scene, name="mallory")
        await old.hear(Hello)
        new = await type(old)(scene, "mallory", "alpha").dial(greet=False)
        scene.closers.append(new.close)
        new.say(new.hello())
        assert await old.hear(Ping) is None
        new.say(Ping())
        assert await new.hear(Pong)
        assert [down.reason for down in scene.of("alpha", LinkDown)] == [Reason.REPLACED]
        assert scene.is_up("alpha", "mallory")

    play(story, Timing())


def test_one_acknowledgement_is_for_all_mail_of_its_time(play, add_rude, monkeypatch):
    monkeypatch.setattr(link_module, "ACK_WAIT_S", 0.5)

    async def story(scene):
        alpha = await scene.add("alpha")
        rude = await add_rude(scene)
        alpha.open_session(SESSION, ["mallory"])
        for number in range(3):
            rude.say(signed_mail(rude, number))
            await scene.until(lambda n=number: len(scene.mails("alpha")) == n + 1)
            await alpha.post(SESSION, "mallory", "a", b"answer")
            assert (await rude.hear(Mail)).number == number
        assert await rude.hear(Ack) == Ack(SESSION, 2)

    play(story, Timing())


def test_much_mail_is_acknowledged_without_waiting(play, add_rude, monkeypatch):
    monkeypatch.setattr(link_module, "ACK_WAIT_S", 3600.0)
    monkeypatch.setattr(office_module, "PRESSING_MAILS", 2)

    async def story(scene):
        alpha = await scene.add("alpha")
        rude = await add_rude(scene)
        alpha.open_session(SESSION, ["mallory"])
        for number in range(4):
            rude.say(signed_mail(rude, number))
            await scene.until(lambda n=number: len(scene.mails("alpha")) == n + 1)
        assert await rude.hear(Ack) == Ack(SESSION, 1)
        assert await rude.hear(Ack) == Ack(SESSION, 3)

    play(story, Timing())
