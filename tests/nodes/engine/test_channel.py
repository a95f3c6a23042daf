"""Frames between a node's own processes: whole, in order, bounded, and never taken for a pickle."""

import asyncio
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nodes.engine.cluster.channel import FRAME_BYTES_MAX, dial, listen
from nodes.engine.cluster.letters import SESSION_FRAMES, Mail, Posted
from p2pmpc.errors import LocalError

STRANGER = """
import os, socket, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
call = socket.socket(socket.AF_UNIX)
call.settimeout(10)
call.connect(sys.argv[1])
call.sendall(bytes.fromhex(sys.argv[2]))
print(call.recv(100))
"""


def meeting(folder, said, heard):
    """Connect two ends; `said` writes at one, what the other receives goes to `heard`."""

    async def scene():
        path = folder / "s"
        done = asyncio.get_running_loop().create_future()

        async def serve(channel):
            try:
                done.set_result(await heard(channel))
            except LocalError as fault:
                done.set_exception(fault)
            channel.close()

        server = await listen(path, SESSION_FRAMES, serve)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        channel = await dial(path, SESSION_FRAMES, 5)
        await said(channel)
        async with asyncio.timeout(20):
            found = await done
        channel.close()
        server.close()
        return found

    return asyncio.run(scene())


def test_frames_arrive_whole_and_in_order(tmp_path):
    sent = [Mail("north", f"m{k}", bytes(k * 100_000)) for k in range(8)]

    async def said(channel):
        for frame in sent:
            channel.send(frame)
        await channel.writer.drain()
        channel.close()

    async def heard(channel):
        found = []
        while (frame := await channel.receive()) is not None:
            found.append(frame)
        return found

    assert meeting(tmp_path, said, heard) == sent


def test_a_frame_one_byte_too_long_is_neither_sent_nor_taken(tmp_path):
    async def said(channel):
        with pytest.raises(LocalError):
            channel.send(Mail("north", "m", bytes(FRAME_BYTES_MAX)))
        channel.writer.write((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))
        await channel.writer.drain()

    with pytest.raises(LocalError, match="longer"):
        meeting(tmp_path, said, lambda channel: channel.receive())


@pytest.mark.parametrize("data", [b"\x80\x04K\x01.", b"\x93\xa4Mail\x01\x02", b"\xc1", b""])
def test_what_is_no_frame_is_refused(tmp_path, data):
    async def said(channel):
        channel.writer.write(len(data).to_bytes(4, "big") + data)
        await channel.writer.drain()

    with pytest.raises(LocalError, match="no frame"):
        meeting(tmp_path, said, lambda channel: channel.receive())


def test_an_end_that_goes_away_is_none_and_sending_to_it_does_nothing(tmp_path):
    async def said(channel):
        channel.close()
        channel.send(Posted(1))

    async def heard(channel):
        return await channel.receive()

    assert meeting(tmp_path, said, heard) is None


@pytest.mark.parametrize("politely", [True, False])
def test_a_last_word_is_heard_when_it_is_followed_by_reading_and_else_may_be_lost(
    tmp_path, politely
):
    left = asyncio.Event()

    async def said(channel):
        await asyncio.sleep(0.1)  # frames lie here unread
        channel.send(Posted(7))
        if politely:
            channel.finish()
            left.set()
            while await channel.receive() is not None:
                pass
        else:
            channel.close()
            await channel.writer.wait_closed()
            left.set()

    async def heard(channel):
        channel.writer.transport.pause_reading()  # a process that is busy
        for _ in range(64):  # more than a stream reads ahead
            channel.send(Mail("north", "m", bytes(2**20)))
        await left.wait()
        channel.writer.transport.resume_reading()
        return await channel.receive()

    assert meeting(tmp_path, said, heard) == (Posted(7) if politely else None)


def test_no_frame_shows_what_it_carries():
    assert "secret" not in repr(Mail("north", "secret", b"secret"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("opened", [False, True])
def test_another_user_of_the_machine_is_hung_up_on_before_a_byte_is_read(opened):
    """`opened`: somebody has changed the modes by hand. Behind such a socket lie the keys."""
    served = []

    async def serve(channel):
        served.append(channel)
        channel.close()

    async def scene(path):
        server = await listen(path, SESSION_FRAMES, serve)
        if opened:
            path.parent.chmod(0o755)
            path.chmod(0o666)
        words = [sys.executable, "-c", STRANGER, str(path), bytes(4).hex()]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, timeout=30)
        server.close()
        return done

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        done = asyncio.run(scene(Path(folder) / "s"))
    assert not served
    if opened:
        assert b"b''" in done.stdout or b"Connection" in done.stderr or b"Broken" in done.stderr
    else:
        assert b"PermissionError" in done.stderr
