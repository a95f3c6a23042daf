"""Addresses and the reasons of dials that failed."""

import socket
import ssl

import pytest

from nodes.transport.dial import failure, split_address
from nodes.transport.reason import Reason

REFUSED = "[Errno 111] Connect call failed ('127.0.0.1', 9)"
NO_ROUTE = "[Errno 113] Connect call failed ('10.0.0.1', 9)"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("node.example:7443", ("node.example", 7443)),
        ("[::1]:1", ("::1", 1)),
        ("10.0.0.1:65535", ("10.0.0.1", 65535)),
        ("node.example", None),
        ("node.example:-1", None),
        ("node.example:٣", None),
        (":1", None),
        ("[]:1", None),
    ],
)
def test_an_address_is_read_or_refused(address, place):
    assert split_address(address) == place


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ConnectionRefusedError(111, "refused"), Reason.REFUSED),
        (OSError(f"Multiple exceptions: {REFUSED}, {REFUSED}"), Reason.REFUSED),
        (OSError(f"Multiple exceptions: {REFUSED}, {NO_ROUTE}"), Reason.UNREACHABLE),
        (OSError(113, "no route to host"), Reason.UNREACHABLE),
        (TimeoutError(), Reason.UNREACHABLE),
        (socket.gaierror(-2, "name not known"), Reason.NOT_FOUND),
        (ssl.SSLCertVerificationError(), Reason.WRONG_SERVER),
        (ssl.SSLError(1, "wrong version"), Reason.HANDSHAKE),
        (ConnectionResetError(104, "reset"), Reason.HANDSHAKE),
    ],
)
def test_what_an_attempt_raises_has_one_reason(fault, reason):
    assert failure(fault) is reason
