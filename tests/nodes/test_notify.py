"""What a service manager hears: real datagrams on a real socket."""

import socket

import pytest

from nodes.notify import notify


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as plug:
        plug.bind(str(tmp_path / "notify"))
        plug.settimeout(5)
        yield plug


def test_the_states_come_as_lines_of_one_datagram(manager):
    environment = {"NOTIFY_SOCKET": manager.getsockname()}
    assert notify(environment, READY="1", STATUS="listening\nREADY=0")
    assert manager.recv(4096) == b"READY=1\nSTATUS=listening READY=0\n"


def test_an_abstract_socket_is_found(tmp_path):
    name = f"p2pmpc-test-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as plug:
        plug.bind("\0" + name)
        plug.settimeout(5)
        assert notify({"NOTIFY_SOCKET": "@" + name}, STOPPING="1")
        assert plug.recv(4096) == b"STOPPING=1\n"


@pytest.mark.parametrize("path", ["", "vsock:2:1", "/nowhere/at/all"])
def test_a_manager_that_is_not_there_ends_nothing(path):
    assert not notify({"NOTIFY_SOCKET": path}, READY="1")
