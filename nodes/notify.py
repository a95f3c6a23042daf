"""Tell the service manager how far this process is: the NOTIFY_SOCKET protocol of sd_notify(3).

One datagram of `NAME=value` lines to a Unix socket that the manager names in the environment; a
name that begins with `@` is in the abstract namespace. Without the variable nothing is sent.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

__all__ = ["notify"]


def notify(environment: Mapping[str, str], **states: str) -> bool:
    """Send READY=1, STOPPING=1, STATUS=...; False where nobody asked for it or nobody hears it."""
    path = environment.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    address = "\0" + path[1:] if path[0] == "@" else path
    said = "".join(f"{name}={_one_line(value)}\n" for name, value in states.items())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagram:
            datagram.connect(address)
            datagram.sendall(said.encode())
    except OSError:
        return False  # a manager that is gone must not end the node
    return True


def _one_line(value: str) -> str:
    return value.replace("\n", " ")
