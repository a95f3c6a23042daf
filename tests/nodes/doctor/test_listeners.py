"""Listening sockets as the kernel lists them, of real processes."""

import os
import socket
import subprocess
import sys

import pytest

from nodes.doctor.listeners import (
    SHOWN_MAX,
    Listener,
    Port,
    check_listeners,
    check_port,
    read_listeners,
    read_port,
)
from nodes.processes import PROC, descendants

CHILD = """
import socket, subprocess, sys, time
if len(sys.argv) > 1:
    child = subprocess.Popen([sys.executable, "-uc", sys.argv[1]])
listening = socket.create_server(("0.0.0.0", 0))
print(listening.getsockname()[1], flush=True)
time.sleep(60)
"""


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def on(port):
    return next(one for one in read_listeners(PROC) if one.port == port)


def test_a_socket_of_this_process_is_found_with_its_process(server):
    found = on(server)
    assert (found.address, found.pid, found.loopback) == ("127.0.0.1", os.getpid(), True)
    assert str(found).startswith(f"127.0.0.1:{server} (")


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_a_socket_on_every_ipv6_address_is_no_loopback():
    with socket.create_server(("::", 0), family=socket.AF_INET6) as listening:
        found = on(listening.getsockname()[1])
    assert (found.address, found.loopback) == ("::", False)
    assert str(found).startswith("[::]:")


def test_the_sockets_of_a_nodes_children_are_its_own():
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE)
    try:
        port = int(child.stdout.readline())
        assert child.pid in descendants(os.getpid())
        listeners, tree = read_listeners(PROC), frozenset({child.pid, *descendants(child.pid)})
        [found] = check_listeners(listeners, tree, 7443)
        assert found.level == "note"
        assert f"0.0.0.0:{port}" in found.text
        assert check_listeners(listeners, tree, port)[0].level == "ok"
        taken = read_port("127.0.0.1", port, listeners, frozenset({1}))
        assert str(child.pid) in check_port(taken)[0].text
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_a_port_held_by_the_node_itself_is_as_it_should_be(server):
    facts = read_port("127.0.0.1", server, read_listeners(PROC), frozenset({os.getpid()}))
    assert check_port(facts)[0].level == "ok"


def test_a_port_held_by_another_is_a_fault_that_names_it(server):
    facts = read_port("127.0.0.1", server, read_listeners(PROC), frozenset())
    [found] = check_port(facts)
    assert found.level == "fault"
    assert f"process {os.getpid()}" in found.text
    assert "listen_port" in found.fix


def test_a_port_of_another_user_is_named_as_such():
    holder = Listener("0.0.0.0", 7443, 0, "")
    [found] = check_port(Port("127.0.0.1", 7443, holder, False, ""))
    assert "another user's process" in found.text


def test_a_free_port_is_free_and_left_free(server):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    facts = read_port("127.0.0.1", port, (), frozenset())
    assert check_port(facts)[0].level == "ok"
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_an_address_of_another_machine_cannot_be_listened_on():
    facts = read_port("203.0.113.7", 7443, (), frozenset())
    [found] = check_port(facts)
    assert found.level == "fault"
    assert found.fix


def test_no_process_of_a_node_no_listener():
    assert check_listeners(read_listeners(PROC), frozenset(), 7443)[0].level == "ok"


def test_a_long_list_of_listeners_is_shortened():
    many = tuple(Listener("::", port, 5, "raylet") for port in range(10_000, 10_000 + SHOWN_MAX))
    [found] = check_listeners(many, frozenset({5}), 7443)
    assert "more" not in found.text
    [found] = check_listeners((*many, Listener("::", 99, 5, "gcs")), frozenset({5}), 7443)
    assert f"{SHOWN_MAX + 1} sockets" in found.text
    assert found.text.endswith("and 1 more")
