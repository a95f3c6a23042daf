"""Members that answer, refuse, stay silent, or are somebody else: real sockets, real TLS."""

import asyncio
import contextlib
import os
import socket
import time

import pytest

from nodes.doctor.peers import (
    AT_ONCE_MAX,
    Contact,
    Own,
    check_own_address,
    check_peers,
    read_own_address,
    read_peers,
)
from nodes.transport.reason import Reason
from nodes.transport.tls import make_certificate, server_context

NOBODY = frozenset()


@pytest.fixture
def south():
    return make_certificate(os.urandom(32), "south")


@pytest.fixture
def north():
    return make_certificate(os.urandom(32), "north")


@contextlib.asynccontextmanager
async def listening(own, members):
    context = server_context(own, [one.der for one in members], lambda der: None)
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def ask(members, linked=NOBODY, within_s=2.0):
    return asyncio.run(read_peers(members, linked, within_s))


def test_a_member_that_shows_the_rosters_certificate_is_reached(north, south):
    async def scene():
        async with listening(south, [north]) as address:
            return await read_peers({"south": (south.der, address)}, NOBODY, 2.0)

    [found] = check_peers(asyncio.run(scene()))
    assert found.level == "ok"
    assert "with the roster's certificate" in found.text


def test_a_foreign_certificate_is_a_fault_that_shows_both(north, south):
    async def scene():
        async with listening(north, [south]) as address:
            return await read_peers({"south": (south.der, address)}, NOBODY, 2.0)

    [found] = check_peers(asyncio.run(scene()))
    assert found.level == "fault"
    assert south.fingerprint in found.text
    assert north.fingerprint in found.text


def test_a_port_that_refuses_is_told_from_one_that_is_silent(south):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    [refused] = ask({"south": (south.der, f"127.0.0.1:{port}")})
    assert refused.failure == Reason.REFUSED
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        [late] = ask({"south": (south.der, address)}, within_s=0.3)
    assert late.failure == "no answer within 0.3 s"
    assert [one.level for one in check_peers((refused,))] == ["note"]


def test_an_address_that_is_none_or_has_no_machine_is_named(south):
    members = {"a": (south.der, ""), "b": (south.der, "no.such.host.invalid:7443")}
    found = {one.peer: one.failure for one in ask(members)}
    assert found["a"] == Reason.NO_ADDRESS
    assert found["b"] in {Reason.NOT_FOUND, "no answer within 2 s"}


def test_something_else_than_tls_is_named(south):
    async def scene():
        def greet(reader, writer):
            writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return await read_peers({"south": (south.der, address)}, NOBODY, 2.0)

    [contact] = asyncio.run(scene())
    assert contact.failure == Reason.HANDSHAKE


def test_a_linked_member_is_not_dialled(south):
    [found] = ask({"south": (south.der, "")}, linked=frozenset({"south"}))
    assert found.linked
    assert check_peers((found,))[0].level == "ok"


def test_members_are_dialled_side_by_side_up_to_a_limit(south):
    """One more than the limit that all say nothing: two rounds of waiting, not one for each."""
    with socket.create_server(("127.0.0.1", 0), backlog=2 * AT_ONCE_MAX) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        members = {f"m{n:03d}": (south.der, address) for n in range(AT_ONCE_MAX + 1)}
        began = time.monotonic()
        found = ask(members, within_s=0.4)
        took = time.monotonic() - began
    assert len(found) == AT_ONCE_MAX + 1
    assert all(one.failure for one in found)
    assert 0.8 <= took < 0.4 * AT_ONCE_MAX


def test_where_nobody_is_reached_this_machine_is_at_fault():
    away = tuple(Contact(name, "h:1", False, "refused", "x", "") for name in ("a", "b"))
    assert [one.level for one in check_peers(away)] == ["note", "note", "fault"]
    there = Contact("c", "h:1", True, "", "x", "x")
    assert "fault" not in {one.level for one in check_peers((*away, there))}


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        (Own("node.example.org:7443", ("198.51.100.7",), None), "ok"),
        (Own("node.example.org:7443", ("198.51.100.7",), True), "ok"),
        (Own("node.example.org:7443", ("198.51.100.7",), False), "note"),
        (Own("127.0.0.1:7443", ("127.0.0.1",), True), "note"),
        (Own("127.0.0.1:0", (), None), "note"),
        (Own("0.0.0.0:7443", ("0.0.0.0",), None), "fault"),
        (Own("[::]:7443", ("::",), None), "fault"),
        (Own("gone.invalid:7443", (), None), "fault"),
    ],
)
def test_the_address_that_others_dial_is_judged(facts, level):
    assert [one.level for one in check_own_address(facts)] == [level]


def test_the_running_node_answers_at_its_own_address(north, south):
    async def scene(own):
        async with listening(north, [south]) as address:
            return await read_own_address(address, own.der, 2.0)

    assert asyncio.run(scene(north)).answers is True
    assert asyncio.run(scene(south)).answers is False
    assert asyncio.run(read_own_address("127.0.0.1:1", None, 2.0)).answers is None
