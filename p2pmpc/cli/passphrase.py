"""Where a passphrase comes from: a terminal, a file, or an open file descriptor.

Never an argument or the environment: every user of the machine can read the first, and every child
inherits the second.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from p2pmpc.errors import LocalError, NotFound, WrongUsage
from p2pmpc.folder import as_typed

__all__ = ["PASSPHRASE_BYTES_MAX", "passphrase_options", "read_passphrase"]

PASSPHRASE_BYTES_MAX = 1024  # what the sealed keys take as well
ADVICE = "Type it at a terminal, or give --passphrase-file FILE or --passphrase-fd N."


def passphrase_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the two options; the function receives `passphrase_file` and `passphrase_fd`."""
    from_file = click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="read the passphrase from this file's first line instead of asking",
    )
    from_fd = click.option(
        "--passphrase-fd",
        type=int,
        metavar="N",
        help="read it from this open file descriptor instead",
    )
    return from_file(from_fd(function))


def read_passphrase(file: Path | None, fd: int | None, *, twice: bool) -> bytes:
    """The passphrase, without its line break. Raises WrongUsage when there is none to be had.

    twice  ask a second time at a terminal: a slip of the finger would lock the keys for ever
    """
    if file is not None and fd is not None:
        raise WrongUsage("--passphrase-file and --passphrase-fd were both given", next=ADVICE)
    if file is not None:
        return _first_line(_from_file(file))
    if fd is not None:
        return _first_line(_from_descriptor(fd))
    return _ask(twice=twice)


def _from_file(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & 0o007:
                raise LocalError(
                    f"every user of this machine can read the passphrase file {file}",
                    file=str(file),
                    next=f"Run `chmod 600 {as_typed(file)}`.",
                )
            return opened.read(PASSPHRASE_BYTES_MAX + 2)
    except OSError as fault:
        raise NotFound(
            f"the passphrase file {file} cannot be read: {fault.strerror}", file=str(file)
        ) from None


def _from_descriptor(fd: int) -> bytes:
    try:
        with os.fdopen(fd, "rb") as opened:
            return opened.read(PASSPHRASE_BYTES_MAX + 2)
    except OSError as fault:
        raise WrongUsage(
            f"no passphrase can be read from descriptor {fd}: {fault.strerror}", next=ADVICE
        ) from None


def _first_line(data: bytes) -> bytes:
    return _checked(data.partition(b"\n")[0].removesuffix(b"\r"))


def _ask(*, twice: bool) -> bytes:
    if not sys.stdin.isatty():
        raise WrongUsage("a passphrase is needed, and there is no terminal to ask", next=ADVICE)
    try:
        typed = getpass.getpass("Passphrase: ")
        again = getpass.getpass("The same again: ") if twice else typed
    except EOFError:
        raise WrongUsage("no passphrase was typed", next=ADVICE) from None
    if again != typed:
        raise WrongUsage("the two passphrases differ", next="Run the command again.")
    return _checked(typed.encode())


def _checked(passphrase: bytes) -> bytes:
    if not 0 < len(passphrase) <= PASSPHRASE_BYTES_MAX:
        raise WrongUsage(f"a passphrase has 1 to {PASSPHRASE_BYTES_MAX} bytes", next=ADVICE)
    return passphrase
