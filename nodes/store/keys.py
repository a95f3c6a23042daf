"""A member's secret keys at rest: XSalsa20-Poly1305, the key made of a passphrase by Argon2id.

The file is one line of JSON, mode 0600, written beside its place and moved there only when it is
complete and on the disk. An existing file is never overwritten: keys that are lost cannot be made
again. What the file says about Argon2id is bounded before it is believed, so that a changed file
cannot make this process take all memory.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from p2pmpc.errors import LocalError, WrongUsage
from p2pmpc.identity import SEED_BYTES, SecretKeys

__all__ = ["INTERACTIVE", "SENSITIVE", "Effort", "read_keys", "write_keys"]

FORMAT = "p2pmpc/keys/1"
FILE_BYTES_MAX = 4096
OPERATIONS_MAX = 16
MEMORY_BYTES_MAX = 2 * 2**30
PASSPHRASE_BYTES_MAX = 1024


@dataclass(frozen=True, slots=True)
class Effort:
    """What one guess of the passphrase costs: passes over this many bytes of memory."""

    operations: int
    memory_bytes: int


INTERACTIVE = Effort(argon2id.OPSLIMIT_INTERACTIVE, argon2id.MEMLIMIT_INTERACTIVE)  # 64 MiB
SENSITIVE = Effort(argon2id.OPSLIMIT_SENSITIVE, argon2id.MEMLIMIT_SENSITIVE)  # 1 GiB


def write_keys(
    path: Path,
    keys: SecretKeys,
    passphrase: bytes,
    randomness: Callable[[int], bytes],
    effort: Effort,
) -> None:
    """Seal the keys into a new file. Raises LocalError when there is one, or the disk refuses."""
    _check_effort(effort, path)
    salt, nonce = randomness(argon2id.SALTBYTES), randomness(SecretBox.NONCE_SIZE)
    box = SecretBox(_stretch(passphrase, salt, effort))
    seeds = keys.root_seed + keys.log_seed + keys.transport_seed
    record = {
        "format": FORMAT,
        "operations": effort.operations,
        "memory_bytes": effort.memory_bytes,
        "salt": salt.hex(),
        "nonce": nonce.hex(),
        "sealed": box.encrypt(seeds, nonce).ciphertext.hex(),
    }
    _place(path, (json.dumps(record) + "\n").encode())


def _place(path: Path, data: bytes) -> None:
    draft = path.with_name(path.name + ".new")
    try:
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(file, 0o600)
            if os.write(file, data) != len(data):
                raise OSError("the disk took only a part")
            os.fsync(file)
        finally:
            os.close(file)
        os.link(draft, path)  # fails where a file exists; a rename would replace it
        _sync_folder(path.parent)
    except OSError as fault:
        raise LocalError(
            f"the keys cannot be written to {path}: {fault.strerror or fault}",
            file=str(path),
            next="Choose a place without a key file, with room, where this user may write.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def read_keys(path: Path, passphrase: bytes) -> SecretKeys:
    """The keys in a file. Raises WrongUsage for a wrong passphrase, LocalError for the file."""
    record = _load(path)
    try:
        effort = Effort(int(record["operations"]), int(record["memory_bytes"]))
        salt, nonce, sealed = (bytes.fromhex(record[key]) for key in ("salt", "nonce", "sealed"))
    except (KeyError, TypeError, ValueError):
        raise _unreadable(path, "a field is missing or malformed") from None
    _check_effort(effort, path)
    if len(salt) != argon2id.SALTBYTES or len(nonce) != SecretBox.NONCE_SIZE:
        raise _unreadable(path, "a field has the wrong length")
    try:
        seeds = SecretBox(_stretch(passphrase, salt, effort)).decrypt(sealed, nonce)
    except CryptoError:
        raise WrongUsage(
            f"the passphrase does not open {path}",
            file=str(path),
            next="Type it again; without it the keys cannot be recovered.",
        ) from None
    if len(seeds) != 3 * SEED_BYTES:
        raise _unreadable(path, "it holds something else than three keys")
    return SecretKeys(seeds[:32], seeds[32:64], seeds[64:])


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_mode & 0o077:
            raise LocalError(
                f"others on this machine can read the key file {path}",
                file=str(path),
                next=f"Run `chmod 600 {path}`; if others used this machine, make new keys.",
            )
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as fault:
        raise _unreadable(path, fault.strerror or str(fault)) from None
    try:
        record = json.loads(data) if len(data) <= FILE_BYTES_MAX else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise _unreadable(path, f"it is no file of the format {FORMAT}")
    return record


def _stretch(passphrase: bytes, salt: bytes, effort: Effort) -> bytes:
    if not 0 < len(passphrase) <= PASSPHRASE_BYTES_MAX:
        raise WrongUsage(f"a passphrase has 1 to {PASSPHRASE_BYTES_MAX} bytes")
    return argon2id.kdf(
        SecretBox.KEY_SIZE, passphrase, salt, effort.operations, effort.memory_bytes
    )


def _check_effort(effort: Effort, path: Path) -> None:
    operations_ok = argon2id.OPSLIMIT_MIN <= effort.operations <= OPERATIONS_MAX
    if not operations_ok or not argon2id.MEMLIMIT_MIN <= effort.memory_bytes <= MEMORY_BYTES_MAX:
        raise _unreadable(path, "its Argon2id limits are out of range")


def _unreadable(path: Path, why: str) -> LocalError:
    return LocalError(
        f"the key file {path} cannot be used: {why}",
        file=str(path),
        next="Give the node's own key file, or restore it from a copy.",
    )
