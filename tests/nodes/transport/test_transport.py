"""Real TLS on loopback: who is let in, what arrives, who is told what."""

import asyncio
import re
import socket

import pytest

from nodes.transport.events import (
    LinkDown,
    LinkUp,
    MailRefused,
    PeerRefused,
    Received,
    SessionUnknown,
)
from nodes.transport.frames import HEAD_BYTES
from nodes.transport.link import WRITE_BUFFER_MAX
from nodes.transport.listener import HANDSHAKES_MAX
from nodes.transport.mail import MAIL_MAX, WINDOW_BYTES
from nodes.transport.peer import BATCH_BYTES, CONTROL_BYTES_MAX, CONTROLS_MAX
from nodes.transport.reason import Reason
from nodes.transport.timing import Timing
from nodes.transport.tls import curious_context, make_certificate
from nodes.transport.transport import CLOSED_TRAFFIC_MAX, STRANGERS_MAX
from p2pmpc.errors import LocalError, NotFound, P2pmpcError
from p2pmpc.messages import Entries, Progress, encode_message
from p2pmpc.record import Body, SignedEntry

SESSION = b"s" * 32
OTHER = b"t" * 32


def open_both(scene, *names, session=SESSION):
    for name in names:
        others = [other for other in names if other != name]
        scene.transports[name].open_session(session, others)


def test_the_right_pair_is_linked_and_mail_arrives_both_ways(play):
    async def story(scene):
        alpha, beta = await scene.pair()
        open_both(scene, "alpha", "beta")
        await alpha.post(SESSION, "beta", "commit", b"1234")
        await beta.post(SESSION, "alpha", "open", b"")
        await scene.until(lambda: scene.mails("alpha") and scene.mails("beta"))
        assert scene.mails("beta") == [("alpha", "commit", b"1234")]
        assert scene.mails("alpha") == [("beta", "open", b"")]
        assert scene.events["alpha"][0] == LinkUp("beta")

    play(story)


def test_four_members_are_linked_with_one_link_a_pair(play):
    async def story(scene):
        names = ("alpha", "beta", "gamma", "delta")
        for name in names:
            await scene.add(name)
        scene.link_all()
        await scene.linked(*names)
        await asyncio.sleep(0.3)  # longer than the other end waits before it dials too
        for name in names:
            assert len(scene.of(name, LinkUp)) == 3
            assert scene.of(name, LinkDown) == []

    play(story)


def test_the_higher_name_dials_when_the_lower_cannot(play):
    async def story(scene):
        await scene.add("alpha")
        await scene.add("beta")
        scene.transports["beta"].connect(["alpha"])
        await scene.linked("alpha", "beta")

    play(story)


def test_members_that_dial_at_the_same_moment_end_with_one_link(play):
    async def story(scene):
        for name in ("alpha", "beta"):
            await scene.add(name, timing=Timing(dial_back_s=0.0, hello_s=1, silent_s=5))
        for _ in range(5):
            scene.link_all()
            await scene.linked("alpha", "beta")
            await asyncio.sleep(0.2)
            assert scene.is_up("alpha", "beta")
            assert scene.is_up("beta", "alpha")
            ups = len(scene.of("alpha", LinkUp)), len(scene.of("beta", LinkUp))
            downs = len(scene.of("alpha", LinkDown)), len(scene.of("beta", LinkDown))
            assert ups[0] - downs[0] == ups[1] - downs[1] == 1
            scene.transports["alpha"].connect([])
            await scene.until(lambda n=downs[1]: len(scene.of("beta", LinkDown)) > n)

    play(story)


def test_a_control_message_arrives_and_none_is_kept_without_a_link(play):
    async def story(scene):
        alpha, beta = await scene.pair()
        said = Progress(SESSION, "comparing", ("gamma",))
        assert alpha.send("beta", said)
        await scene.until(lambda: scene.of("beta", Received))
        assert scene.of("beta", Received) == [Received("alpha", said)]
        assert not alpha.send("gamma", said)
        await beta.close()
        await scene.until(lambda: not scene.is_up("alpha", "beta"))
        assert not alpha.send("beta", said)

    play(story)


def test_one_control_message_too_many_for_a_peer_is_not_kept(play):
    async def story(scene):
        alpha, _ = await scene.pair()
        said = Progress(SESSION, "comparing", ())
        kept = [alpha.send("beta", said) for _ in range(CONTROLS_MAX + 1)]  # none has left yet
        assert all(kept[:-1])
        assert not kept[-1]
        await scene.until(lambda: len(scene.of("beta", Received)) == CONTROLS_MAX)

    play(story)


def test_one_control_byte_too_many_for_a_peer_is_not_kept(play):
    async def story(scene):
        alpha, _ = await scene.pair()
        body = Body(b"s" * 16, bytes(9000))
        large = Entries(tuple((SignedEntry(b"e", b"s" * 64), body) for _ in range(100)))
        size = len(encode_message(large)) + HEAD_BYTES
        fitting = CONTROL_BYTES_MAX // size
        kept = [alpha.send("beta", large) for _ in range(fitting + 1)]  # none has left yet
        assert kept == [True] * fitting + [False]

    play(story)


def test_a_message_larger_than_a_frame_is_refused_at_its_sender(play):
    async def story(scene):
        alpha, _ = await scene.pair()
        signed = SignedEntry(b"e" * 1000, b"s" * 64)
        large = Entries(tuple((signed, Body(b"s" * 16, b"b" * 9000)) for _ in range(200)))
        with pytest.raises(P2pmpcError, match="longer than a frame"):
            alpha.send("beta", large)

    play(story)


# ---- who is let in ----


def test_a_foreign_certificate_is_refused_counted_and_named(play):
    async def story(scene):
        await scene.add("alpha")
        foreign = make_certificate(b"f" * 32, "beta")
        scene.certificates["beta"] = foreign
        await scene.add("beta", seed=b"f" * 32)
        scene.certificates["beta"] = make_certificate(b"g" * 32, "beta")  # what the roster says
        scene.transports["beta"].connect(["alpha"])
        await scene.until(lambda: scene.of("alpha", PeerRefused))
        told = scene.of("alpha", PeerRefused)[0]
        assert told.fingerprint == foreign.fingerprint
        assert Reason.UNKNOWN_CERTIFICATE in told.what
        await scene.until(
            lambda: scene.transports["beta"].link_state("alpha").reason == Reason.NOT_KNOWN
        )
        await scene.until(
            lambda: scene.transports["alpha"].counts()[Reason.UNKNOWN_CERTIFICATE] > 1
        )
        assert scene.of("alpha", PeerRefused) == [told]  # told once, counted each time
        assert scene.of("alpha", LinkUp) == []

    play(story)


def test_a_client_without_a_certificate_is_refused(play):
    async def story(scene):
        alpha = await scene.add("alpha")
        host, port = scene.addresses["alpha"].split(":")
        reader, writer = await asyncio.open_connection(
            host, int(port), ssl=curious_context(), server_hostname=""
        )
        assert await reader.read() == b""
        writer.close()
        await scene.until(lambda: alpha.counts().get(Reason.NO_CERTIFICATE))

    play(story)


def test_bytes_that_are_no_tls_are_refused(play):
    async def story(scene):
        alpha = await scene.add("alpha")
        host, port = scene.addresses["alpha"].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.read()
        writer.close()
        await scene.until(lambda: alpha.counts().get(Reason.HANDSHAKE))

    play(story)


def test_a_wrong_server_is_named_by_expected_and_found_fingerprint(play):
    async def story(scene):
        alpha = await scene.add("alpha")
        await scene.add("beta", seed=b"i" * 32)
        impostor = scene.certificates["beta"]
        genuine = make_certificate(b"g" * 32, "beta")
        scene.certificates["beta"] = genuine
        alpha.connect(["beta"])
        await scene.until(lambda: scene.of("alpha", PeerRefused))
        told = scene.of("alpha", PeerRefused)[0]
        assert genuine.fingerprint in told.what
        assert impostor.fingerprint in told.what
        assert told.fingerprint == impostor.fingerprint
        assert alpha.link_state("beta").reason == Reason.WRONG_SERVER
        assert not alpha.link_state("beta").refused

    play(story)


def test_a_member_cannot_answer_at_another_members_address(play):
    async def story(scene):
        alpha = await scene.add("alpha")
        await scene.add("beta")
        await scene.add("gamma")
        scene.addresses["gamma"] = scene.addresses["beta"]
        alpha.connect(["gamma"])
        await scene.until(lambda: alpha.link_state("gamma").reason == Reason.WRONG_SERVER)
        assert not scene.is_up("alpha", "beta")

    play(story)


def test_the_same_certificates_in_another_network_are_refused(play):
    async def story(scene):
        await scene.add("alpha")
        await scene.add("beta", network=b"m" * 32)
        scene.link_all()
        for name, other in (("alpha", "beta"), ("beta", "alpha")):
            await scene.until(lambda n=name: scene.of(n, PeerRefused))
            assert Reason.WRONG_NETWORK in scene.of(name, PeerRefused)[0].what
            await scene.until(
                lambda n=name, o=other: (
                    scene.transports[n].link_state(o).reason == Reason.WRONG_NETWORK
                )
            )
        assert scene.of("alpha", LinkUp) == scene.of("beta", LinkUp) == []

    play(story)


def test_the_newest_roster_applies_to_the_next_connection(play):
    async def story(scene):
        rosters = {"alpha": {}}
        alpha = await scene.add("alpha", members=lambda: rosters["alpha"])
        beta = await scene.add("beta")
        beta.connect(["alpha"])
        await scene.until(lambda: alpha.counts().get(Reason.UNKNOWN_CERTIFICATE))
        rosters["alpha"] = scene.roster()
        await scene.until(lambda: scene.is_up("alpha", "beta"))
        rosters["alpha"] = {}
        alpha.connect([])
        await scene.until(lambda: not scene.is_up("beta", "alpha"))
        seen = alpha.counts()[Reason.UNKNOWN_CERTIFICATE]
        await scene.until(lambda: alpha.counts()[Reason.UNKNOWN_CERTIFICATE] > seen)
        assert not scene.is_up("beta", "alpha")

    play(story)


def test_one_handshake_too_many_is_turned_away(play):
    async def story(scene):
        alpha = await scene.add("alpha")
        host, port = scene.addresses["alpha"].split(":")
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(HANDSHAKES_MAX)]
        await asyncio.sleep(0.05)
        assert Reason.BUSY not in alpha.counts()
        reader, writer = await asyncio.open_connection(host, int(port))
        assert await reader.read() == b""
        assert alpha.counts()[Reason.BUSY] == 1
        for _, one in [*idle, (reader, writer)]:
            one.transport.abort()

    play(story)


def test_refusals_are_remembered_up_to_the_limit(play):
    async def story(scene):
        alpha = await scene.add("alpha")
        for number in [*range(STRANGERS_MAX), 0]:
            alpha._refuse(Reason.UNKNOWN_CERTIFICATE, f"{number:064x}", "192.0.2.1:5")
        alpha._refuse(Reason.UNKNOWN_CERTIFICATE, "one more", "192.0.2.1:5")
        alpha._refuse(Reason.UNKNOWN_CERTIFICATE, f"{0:064x}", "192.0.2.1:5")
        await asyncio.sleep(0)
        told = [event.fingerprint for event in scene.of("alpha", PeerRefused)]
        assert len(told) == STRANGERS_MAX + 2
        assert told[-2:] == ["one more", f"{0:064x}"]  # the oldest was forgotten

    play(story)


# ---- how a link stands ----


def test_a_dead_process_is_told_from_a_path_that_does_not_answer(play):
    async def story(scene):
        alpha, beta = await scene.pair()
        before = alpha.link_state("beta").since
        await beta.close()
        await scene.until(lambda: len(scene.of("alpha", LinkDown)) == 2)
        state = alpha.link_state("beta")
        assert not state.up
        assert state.since > before
        assert state.reason == Reason.REFUSED
        downs = scene.of("alpha", LinkDown)
        assert [down.refused for down in downs] == [False, True]
        assert downs[0].reason == Reason.GOODBYE
        await asyncio.sleep(0.3)
        assert alpha.link_state("beta").since == state.since  # an unbroken row of refusals
        assert scene.of("alpha", LinkDown) == downs

    play(story)


def test_a_port_that_accepts_and_says_nothing_is_unreachable(play):
    async def story(scene):
        alpha = await scene.add("alpha", timing=Timing(connect_s=0.2))
        scene.certificates["beta"] = make_certificate(b"b" * 32, "beta")
        with socket.create_server(("127.0.0.1", 0)) as mute:
            scene.addresses["beta"] = f"127.0.0.1:{mute.getsockname()[1]}"
            alpha.connect(["beta"])
            await scene.until(lambda: alpha.link_state("beta").reason == Reason.UNREACHABLE)
            assert not alpha.link_state("beta").refused

    play(story)


@pytest.mark.parametrize("address", ["", "beta", "127.0.0.1:", "127.0.0.1:0", ":7", "h:65536"])
def test_an_unusable_address_is_a_reason_not_a_crash(play, address):
    async def story(scene):
        alpha = await scene.add("alpha")
        scene.certificates["beta"] = make_certificate(b"b" * 32, "beta")
        scene.addresses["beta"] = address
        alpha.connect(["beta"])
        await scene.until(lambda: alpha.link_state("beta").reason == Reason.NO_ADDRESS)

    play(story)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_refusal_is_known_whatever_the_host_resolves_to(play, host):
    async def story(scene):
        alpha = await scene.add("alpha")
        scene.certificates["beta"] = make_certificate(b"b" * 32, "beta")
        scene.addresses["beta"] = f"{host}:9"
        alpha.connect(["beta"])
        await scene.until(lambda: alpha.link_state("beta").reason != Reason.NEVER)
        assert alpha.link_state("beta").refused or host == "[::1]"  # IPv6 may be off here

    play(story)


def test_mail_to_a_member_that_was_let_go_is_refused_in_a_sentence(play):
    async def story(scene):
        alpha, _ = await scene.pair()
        open_both(scene, "alpha", "beta")
        alpha.connect([])
        with pytest.raises(NotFound, match="beta is no party"):
            await alpha.post(SESSION, "beta", "a", b"1")
        with pytest.raises(NotFound, match="not open"):
            await alpha.post(OTHER, "beta", "a", b"1")

    play(story)


def test_whoever_waits_for_room_is_told_when_the_session_closes(play):
    async def story(scene):
        alpha = await scene.add("alpha")
        scene.certificates["beta"] = make_certificate(b"b" * 32, "beta")
        scene.addresses["beta"] = "127.0.0.1:9"
        alpha.open_session(SESSION, ["beta"])
        for _ in range(2):
            await alpha.post(SESSION, "beta", "a", bytes(MAIL_MAX))
        waiting = asyncio.create_task(alpha.post(SESSION, "beta", "a", b"1"))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await alpha.close_session(SESSION)
        with pytest.raises(NotFound, match="closed"):
            await waiting

    play(story)


def test_a_port_that_is_taken_is_said_in_a_sentence(play):
    async def story(scene):
        await scene.add("alpha")
        port = int(scene.addresses["alpha"].split(":")[1])
        with pytest.raises(LocalError, match=f"port {port} on 127.0.0.1 is in use") as told:
            await scene.add("beta", port=port)
        assert told.value.next

    play(story)


def test_a_restarted_member_is_linked_again_and_its_lost_session_is_told(play):
    async def story(scene):
        alpha, beta = await scene.pair()
        open_both(scene, "alpha", "beta")
        await alpha.post(SESSION, "beta", "a", b"1")
        await scene.until(lambda: scene.mails("beta"))
        await beta.close()
        await alpha.post(SESSION, "beta", "a", b"2")
        port = int(scene.addresses["beta"].split(":")[1])
        await scene.add("beta", port=port)
        scene.link_all()
        await scene.until(lambda: scene.of("alpha", SessionUnknown))
        assert scene.of("alpha", SessionUnknown) == [SessionUnknown(SESSION, "beta")]
        assert scene.mails("beta") == [("alpha", "a", b"1")]
        await alpha.post(SESSION, "beta", "a", b"3")  # dropped: the event has said why

    play(story)


# ---- sessions ----


def test_early_mail_waits_for_its_session(play):
    async def story(scene):
        alpha, beta = await scene.pair()
        alpha.open_session(SESSION, ["beta"])
        for number in range(3):
            await alpha.post(SESSION, "beta", "a", bytes([number]))
        await asyncio.sleep(0.1)
        assert scene.mails("beta") == []
        beta.open_session(SESSION, ["alpha"])
        await scene.until(lambda: len(scene.mails("beta")) == 3)
        assert [data for _, _, data in scene.mails("beta")] == [b"\0", b"\1", b"\2"]

    play(story)


def test_a_session_that_never_opens_is_told_to_the_sender(play):
    async def story(scene):
        alpha, beta = await scene.pair()
        alpha.open_session(SESSION, ["beta"])
        await alpha.post(SESSION, "beta", "a", b"1")
        await scene.until(lambda: scene.of("alpha", SessionUnknown))
        assert beta.counts()[Reason.UNKNOWN_SESSION] == 1

    play(story)


def test_mail_of_a_member_that_is_no_party_is_answered_by_an_end(play):
    async def story(scene):
        for name in ("alpha", "beta", "gamma"):
            await scene.add(name)
        scene.link_all()
        await scene.linked("alpha", "beta", "gamma")
        scene.transports["beta"].open_session(SESSION, ["gamma"])
        scene.transports["alpha"].open_session(SESSION, ["beta"])
        await scene.transports["alpha"].post(SESSION, "beta", "a", b"1")
        await scene.until(lambda: scene.of("alpha", Received))
        end = scene.of("alpha", Received)[0].message
        assert (end.session, end.code, end.text) == (SESSION, 404, Reason.NO_PARTY)
        assert scene.mails("beta") == []

    play(story)


def test_what_was_posted_before_a_session_closes_still_arrives(play, add_proxy):
    async def story(scene):
        alpha = await scene.add("alpha")
        await scene.add("beta")
        proxy = await add_proxy(scene, "beta")
        scene.link_all()
        await scene.linked("alpha", "beta")
        open_both(scene, "alpha", "beta")
        await proxy.cut()
        await alpha.post(SESSION, "beta", "share", b"last")
        await alpha.close_session(SESSION)
        with pytest.raises(NotFound):
            await alpha.post(SESSION, "beta", "share", b"too late")
        await proxy.mend()
        await scene.until(lambda: scene.mails("beta"))
        assert scene.mails("beta") == [("alpha", "share", b"last")]

    play(story)


def test_mail_for_a_closed_session_is_dropped_counted_and_acknowledged(play):
    async def story(scene):
        alpha, beta = await scene.pair()
        open_both(scene, "alpha", "beta")
        await beta.close_session(SESSION)
        await alpha.post(SESSION, "beta", "a", b"1")
        await scene.until(lambda: beta.counts().get(Reason.CLOSED_SESSION))
        outbox = alpha._peers["beta"].outgoing[SESSION].outbox
        await scene.until(lambda: not outbox.waiting)
        assert scene.mails("beta") == []

    play(story)


def test_a_closed_sessions_mail_is_given_up_when_its_time_is_over(play):
    async def story(scene):
        alpha = await scene.add("alpha", timing=Timing(linger_s=0.2))
        scene.certificates["beta"] = make_certificate(b"b" * 32, "beta")
        scene.addresses["beta"] = "127.0.0.1:9"
        alpha.open_session(SESSION, ["beta"])
        await alpha.post(SESSION, "beta", "a", b"1")
        await alpha.close_session(SESSION)
        assert SESSION in alpha._peers["beta"].outgoing
        await scene.until(lambda: SESSION not in alpha._peers["beta"].outgoing)

    play(story)


def test_byte_counts_of_closed_sessions_are_kept_up_to_the_limit(play):
    async def story(scene):
        alpha, _ = await scene.pair()
        sessions = [number.to_bytes(32, "big") for number in range(CLOSED_TRAFFIC_MAX + 1)]
        for session in sessions:
            open_both(scene, "alpha", "beta", session=session)
        for session in sessions[:2]:
            await alpha.post(session, "beta", "a", b"1")
        await scene.until(lambda: len(scene.mails("beta")) == 2)
        for session in sessions:
            await alpha.close_session(session)
        await scene.until(lambda: alpha.session_traffic(sessions[0]).sent == 0)
        assert alpha.session_traffic(sessions[1]).sent > 0

    play(story)


# ---- much mail ----


def test_the_largest_mail_arrives_and_one_byte_more_is_refused_at_its_sender(play):
    async def story(scene):
        alpha, _ = await scene.pair()
        open_both(scene, "alpha", "beta")
        data = bytes(range(256)) * (MAIL_MAX // 256)
        with pytest.raises(LocalError, match="larger than one mail"):
            await alpha.post(SESSION, "beta", "a", data + b"x")
        await alpha.post(SESSION, "beta", "a", data)
        await scene.until(lambda: scene.mails("beta"), within_s=30)
        assert scene.mails("beta") == [("alpha", "a", data)]
        assert alpha.session_traffic(SESSION).sent > MAIL_MAX
        assert scene.transports["beta"].session_traffic(SESSION).received > MAIL_MAX
        assert alpha.traffic("beta").sent >= alpha.session_traffic(SESSION).sent

    play(story, Timing())


def test_many_small_mails_of_two_sessions_keep_their_order(play):
    async def story(scene):
        alpha, _ = await scene.pair()
        for session in (SESSION, OTHER):
            open_both(scene, "alpha", "beta", session=session)
        count = 3000
        for number in range(count):
            await alpha.post(SESSION, "beta", "a", number.to_bytes(4, "big"))
            await alpha.post(OTHER, "beta", "b", number.to_bytes(4, "big"))
        await scene.until(lambda: len(scene.mails("beta")) == 2 * count, within_s=30)
        for name in "ab":
            found = [int.from_bytes(d, "big") for _, n, d in scene.mails("beta") if n == name]
            assert found == list(range(count))

    play(story, Timing())


def test_memory_stays_within_the_window_when_the_peer_stalls(play, add_proxy):
    async def story(scene):
        alpha = await scene.add("alpha", timing=Timing(silent_s=60))
        await scene.add("beta", timing=Timing(silent_s=60))
        proxy = await add_proxy(scene, "beta")
        scene.link_all()
        await scene.linked("alpha", "beta")
        open_both(scene, "alpha", "beta")
        proxy.stall()
        data = bytes(2**20)
        posted = []

        async def post_all():
            for number in range(100):
                await alpha.post(SESSION, "beta", "a", data)
                posted.append(number)

        task = asyncio.create_task(post_all())
        await asyncio.sleep(0.5)
        outbox = alpha._peers["beta"].outgoing[SESSION].outbox
        assert len(posted) == WINDOW_BYTES // len(data)
        assert outbox.in_flight == WINDOW_BYTES
        link = alpha._peers["beta"].link
        assert link._wire.get_write_buffer_size() <= WRITE_BUFFER_MAX + 2 * BATCH_BYTES
        proxy.passing.set()
        await task
        await scene.until(lambda: len(scene.mails("beta")) == 100, within_s=30)

    play(story)


def test_the_loop_never_waits_long_for_a_large_mail(play):
    async def story(scene):
        alpha, _ = await scene.pair()
        open_both(scene, "alpha", "beta")
        await alpha.post(SESSION, "beta", "a", bytes(MAIL_MAX))
        alpha.send("beta", Progress(SESSION, "comparing", ()))
        await scene.until(lambda: scene.of("beta", Received))
        assert scene.mails("beta") == []  # the control message overtook it
        await scene.until(lambda: scene.mails("beta"), within_s=30)

    play(story, Timing())


def test_nothing_secret_stands_in_a_repr(play):
    async def story(scene):
        alpha, _ = await scene.pair()
        open_both(scene, "alpha", "beta")
        await alpha.post(SESSION, "beta", "a", b"secret share")
        await scene.until(lambda: scene.mails("beta"))
        shown = repr((scene.events, scene.certificates, alpha._peers))
        assert "secret share" not in shown
        assert not re.search("PRIVATE KEY", shown)
        assert scene.of("beta", MailRefused) == []

    play(story)
