"""Can the other members be reached: name, TCP, TLS, and exactly the roster's certificate.

The handshake shows no certificate of this node, for the keys stay sealed; a peer answers it
with its own all the same, and notes a stranger in its log. Nothing else is sent.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from nodes.doctor.finding import Finding, fault, note, ok
from nodes.transport.dial import failure, split_address
from nodes.transport.reason import Reason
from nodes.transport.tls import curious_context, fingerprint

__all__ = [
    "AT_ONCE_MAX",
    "Contact",
    "Own",
    "check_own_address",
    "check_peers",
    "read_own_address",
    "read_peers",
]

AT_ONCE_MAX = 32  # connections in the making


@dataclass(frozen=True, slots=True)
class Contact:
    """What dialling a member showed: `found` is a certificate's fingerprint, or empty."""

    peer: str
    address: str
    linked: bool  # the running node has a link to it, which was not disturbed
    failure: str  # a Reason, or empty
    expected: str
    found: str


async def read_peers(
    members: Mapping[str, tuple[bytes, str]], linked: frozenset[str], within_s: float
) -> tuple[Contact, ...]:
    """Dial every member (name -> certificate, address) that is not linked already."""
    gate = asyncio.Semaphore(AT_ONCE_MAX)

    async def ask(name: str) -> Contact:
        certificate, address = members[name]
        print_ = fingerprint(certificate)
        if name in linked:
            return Contact(name, address, True, "", print_, print_)
        async with gate:
            reason, found = await _knock(address, within_s)
        return Contact(name, address, False, reason, print_, found)

    return tuple(await asyncio.gather(*(ask(name) for name in sorted(members))))


async def _knock(address: str, within_s: float) -> tuple[str, str]:
    """(reason, "") of what went wrong, or ("", fingerprint) of who answered."""
    place = split_address(address)
    if place is None:
        return Reason.NO_ADDRESS.value, ""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within_s):
            wire, _ = await loop.create_connection(
                asyncio.Protocol, *place, ssl=curious_context(), server_hostname=""
            )
    except TimeoutError:
        return f"no answer within {within_s:g} s", ""
    except (OSError, UnicodeError) as wrong:
        return failure(wrong).value, ""
    der = wire.get_extra_info("ssl_object").getpeercert(binary_form=True)
    wire.abort()
    return "", fingerprint(der or b"")


def check_peers(contacts: tuple[Contact, ...]) -> list[Finding]:
    """One finding a member; one more where nobody at all is reached: that is this machine's."""
    if not contacts:
        return [ok("peers", "this node belongs to no network yet")]
    found = [_contact(one) for one in contacts]
    if len(contacts) > 1 and all(one.failure for one in contacts):
        text = "no member can be reached: the way out of this machine is closed, or all are down"
        fix = "Ask that outgoing TCP to the members' ports be allowed, and look at the network."
        found.append(fault("peers", text, fix))
    return found


def _contact(one: Contact) -> Finding:
    if one.linked:
        return ok("peers", f"{one.peer} is linked")
    if one.failure:
        at = f" at {one.address}" if one.address else ""
        text = f"{one.peer}{at}: {one.failure}"
        fix = f"Ask {one.peer} whether its node runs, listens there and is let through by its "
        return note(
            "peers", text, f"{fix}firewall; a moved node is found again by its new address."
        )
    if one.found != one.expected:
        text = f"{one.peer} at {one.address}: another certificate than the roster's answers there: "
        text += f"expected {one.expected}, found {one.found}"
        fix = f"Do not go on until {one.peer} says, by another way, who listens at its address."
        return fault("peers", text, fix)
    return ok("peers", f"{one.peer} answers at {one.address} with the roster's certificate")


@dataclass(frozen=True, slots=True)
class Own:
    """Where others are told to dial this node; `hosts` are the addresses that its name has.

    `answers` is None where the node does not run, else whether its own certificate answers there.
    """

    address: str
    hosts: tuple[str, ...]
    answers: bool | None


async def read_own_address(address: str, certificate: bytes | None, within_s: float) -> Own:
    """Resolve it; with the running node's certificate also dial it."""
    place = split_address(address)
    hosts: tuple[str, ...] = ()
    if place is not None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(*place, type=socket.SOCK_STREAM)
            hosts = tuple(sorted({str(one[4][0]) for one in found}))
        except (OSError, UnicodeError):
            hosts = ()
    if certificate is None or not hosts:
        return Own(address, hosts, None)
    _, print_ = await _knock(address, within_s)
    return Own(address, hosts, print_ == fingerprint(certificate))


def check_own_address(facts: Own) -> list[Finding]:
    """On the address that other members dial."""
    fix = 'Set `advertise = "host:port"` in settings.toml to what others can dial.'
    if facts.address.endswith(":0"):
        text = "where others may dial this node is known when it runs in a network"
        return [note("address", text, "Set `listen_port` if a firewall must let it through.")]
    if not facts.hosts:
        text = f"the advertised address {facts.address or '(none)'} cannot be resolved"
        return [fault("address", text, fix)]
    found = [ipaddress.ip_address(host.partition("%")[0]) for host in facts.hosts]
    if any(one.is_unspecified for one in found):
        text = f"{facts.address} stands for every address of a machine: nobody else can dial it"
        return [fault("address", text, fix)]
    if all(one.is_loopback for one in found):
        text = f"{facts.address} can be dialled from this machine alone"
        return [note("address", text, f"{fix} For nodes on one machine nothing is to be done.")]
    if facts.answers is False:
        text = f"this node does not answer at its own advertised address {facts.address}"
        remedy = "Check the forwarding of that port; some routers do not let a machine dial itself."
        return [note("address", text, remedy)]
    seen = "answers at" if facts.answers else "tells others to dial"
    return [ok("address", f"this node {seen} {facts.address}")]
