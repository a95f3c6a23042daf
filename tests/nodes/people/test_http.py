"""The control socket: real requests by the standard library's client on a real Unix socket."""

import asyncio
import http.client
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nodes.people.http import REQUEST_BYTES_MAX, SOCKET_PATH_MAX, serve
from p2pmpc.errors import NotFound, WrongUsage

STRANGER = """
import os, socket, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
call = socket.socket(socket.AF_UNIX)
call.settimeout(10)
call.connect(sys.argv[1])
call.sendall(bytes.fromhex(sys.argv[2]))
print(call.recv(100))
"""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=5)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self.path)


async def echo(request):
    if request.path[:1] == ("nothing",):
        raise NotFound("there is no nothing", member="north")
    return {
        "method": request.method,
        "path": list(request.path),
        "query": dict(request.query),
        "body": dict(request.body),
    }


def ask(tmp_path, method, target, body=None, answer=echo):
    path = tmp_path / "control.sock"

    def client():
        connection = UnixConnection(path)
        connection.request(method, target, body=body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    async def scene():
        server = await serve(path, answer)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        try:
            return await asyncio.to_thread(client)
        finally:
            server.close()

    return asyncio.run(scene())


def test_a_request_is_answered_as_json(tmp_path):
    status, body = ask(tmp_path, "POST", "/study/abc/events?after=3", json.dumps({"a": 1}))
    assert status == 200
    assert body == {
        "method": "POST",
        "path": ["study", "abc", "events"],
        "query": {"after": "3"},
        "body": {"a": 1},
    }


def test_an_error_comes_with_its_code_its_place_and_404_for_what_is_not_there(tmp_path):
    status, body = ask(tmp_path, "GET", "/nothing")
    assert status == 404
    assert body["error"]["code"] == 601
    assert body["error"]["where"] == {"member": "north"}


@pytest.mark.parametrize("body", ["{", "[1]", '"text"'])
def test_a_body_that_is_no_json_object_is_wrong_usage(tmp_path, body):
    status, answer = ask(tmp_path, "POST", "/study", body)
    assert (status, answer["error"]["code"]) == (400, 201)


def test_one_byte_over_the_limit_is_refused(tmp_path):
    text = json.dumps({"a": "x" * REQUEST_BYTES_MAX})
    status, answer = ask(tmp_path, "POST", "/study", text)
    assert status == 400
    assert str(REQUEST_BYTES_MAX) in answer["error"]["message"]


def test_a_client_that_does_not_speak_http_is_dropped_and_the_next_is_served(tmp_path):
    path = tmp_path / "control.sock"

    def clients():
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(str(path))
            sock.sendall(b"\x00\x01garbage\r\n\r\n")
            assert sock.recv(100) == b""
        connection = UnixConnection(path)
        connection.request("GET", "/status")
        return connection.getresponse().status

    async def scene():
        server = await serve(path, echo)
        try:
            return await asyncio.to_thread(clients)
        finally:
            server.close()

    assert asyncio.run(scene()) == 200


def test_a_path_that_the_kernel_would_cut_is_refused(tmp_path):
    path = tmp_path / ("x" * SOCKET_PATH_MAX)
    with pytest.raises(WrongUsage, match="107 bytes"):
        asyncio.run(serve(path, echo))


def test_a_body_nested_without_end_is_refused_and_answered(tmp_path):
    status, body = ask(tmp_path, "POST", "/x", "[" * 200_000)
    assert status == 400
    assert "not JSON" in body["error"]["message"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("opened", [False, True])
def test_another_user_of_the_machine_gets_no_answer_even_from_a_socket_that_was_opened(opened):
    """`opened`: somebody has changed the modes by hand; the user id of who calls still counts."""
    asked = []

    async def answer(request):
        asked.append(request)
        return {}

    async def scene(path):
        server = await serve(path, answer)
        if opened:
            path.parent.chmod(0o755)
            path.chmod(0o666)
        words = [sys.executable, "-c", STRANGER, str(path), b"GET /status HTTP/1.1\r\n\r\n".hex()]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, timeout=30)
        server.close()
        return done

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        done = asyncio.run(scene(Path(folder) / "control.sock"))
    assert not asked
    if opened:
        assert done.stdout in {b"b''\n", b""}, "hung up without a word"
    else:
        assert b"PermissionError" in done.stderr
