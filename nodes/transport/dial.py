"""Reaching a member: its address, one attempt with a named reason, and who answered instead."""

from __future__ import annotations

import asyncio
import socket
import ssl

from nodes.transport.link import Link
from nodes.transport.reason import Reason
from nodes.transport.tls import curious_context, fingerprint

__all__ = ["dial", "failure", "found_fingerprint", "no_delay", "split_address"]


def split_address(address: str) -> tuple[str, int] | None:
    """Host and port of `host:port` or `[v6]:port`; None when it is neither."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        return None
    return host, int(port)


async def dial(
    link: Link, host: str, port: int, context: ssl.SSLContext, within_s: float
) -> Reason | None:
    """One connection for this link; None once the TLS handshake holds on this side."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within_s):
            wire, _ = await loop.create_connection(
                lambda: link, host, port, ssl=context, server_hostname=""
            )
    except (TimeoutError, OSError) as fault:
        return failure(fault)
    no_delay(wire.get_extra_info("socket"))
    return None


def failure(fault: Exception) -> Reason:
    """The reason behind what a connection attempt raised; SSL errors are OSErrors too."""
    match fault:
        case ssl.SSLCertVerificationError():
            return Reason.WRONG_SERVER
        case ssl.SSLError() | ConnectionResetError() | ConnectionAbortedError():
            return Reason.HANDSHAKE
        case ConnectionRefusedError():
            return Reason.REFUSED
        case socket.gaierror():
            return Reason.NOT_FOUND
        case OSError(errno=None) if "Multiple exceptions" in str(fault):
            return _of_several(fault)
        case _:
            return Reason.UNREACHABLE


def _of_several(fault: Exception) -> Reason:
    # asyncio joins the errors of a host's several addresses into one text
    refused = str(fault).count("Connect call failed") <= str(fault).count("[Errno 111]")
    return Reason.REFUSED if refused else Reason.UNREACHABLE


async def found_fingerprint(host: str, port: int, within_s: float) -> str:
    """The fingerprint of whatever answers there; empty when it does not any more.

    OpenSSL keeps the certificate of a failed handshake to itself, so this asks again, showing none.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within_s):
            wire, _ = await loop.create_connection(
                asyncio.Protocol, host, port, ssl=curious_context(), server_hostname=""
            )
    except (TimeoutError, OSError):
        return ""
    der = wire.get_extra_info("ssl_object").getpeercert(binary_form=True)
    wire.abort()
    return fingerprint(der) if der else ""


def no_delay(plug: socket.socket | None) -> None:
    """A round is often one small frame: it may not wait for more to send."""
    if plug is not None and plug.family in {socket.AF_INET, socket.AF_INET6}:
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
