"""A member's folder on disk: what lies where, made once by `node new`.

    settings.toml    where it listens, how long it waits; nothing secret
    keys.sealed      the three secret keys under a passphrase (Argon2id)
    NAME.card        what the other members get: public keys, certificate, address
    policy.toml      the member's own rules
    record.sqlite    the signed record; beside it the lease of the process that writes it
    node.lock        the lease of the process that runs the node
    node.log         log lines
    node.errors      what a node that cannot start at all says last
    node.pid         while the node runs
    control.sock     while the node runs: for people on this machine

The folder is 0700 and everything in it 0600: the process sets its umask before it writes.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodes.people.http import SOCKET_PATH_MAX
from nodes.store.keys import Effort, read_keys, write_keys
from nodes.store.lease import holder_of
from nodes.transport.tls import OwnCertificate, make_certificate
from p2pmpc.errors import LocalError, LogError, NotFound, WrongUsage
from p2pmpc.identity import SecretKeys, check_card, make_card, make_keys
from p2pmpc.policy import DEFAULT, Policy, read_policy
from p2pmpc.settings import Settings, read_settings

__all__ = ["Home", "check_private", "make_home"]


CARD_ADVICE = "Put the card back from a copy: the others know this node by it, and hold one."


@dataclass(frozen=True, slots=True)
class Home:
    """One node's folder. Raises NotFound where a file that must be there is not."""

    folder: Path

    @property
    def settings_file(self) -> Path:
        return self.folder / "settings.toml"

    @property
    def keys_file(self) -> Path:
        return self.folder / "keys.sealed"

    @property
    def policy_file(self) -> Path:
        return self.folder / "policy.toml"

    @property
    def record_file(self) -> Path:
        return self.folder / "record.sqlite"

    @property
    def log_file(self) -> Path:
        return self.folder / "node.log"

    @property
    def lease_file(self) -> Path:
        return self.folder / "node.lock"

    @property
    def errors_file(self) -> Path:
        return self.folder / "node.errors"

    @property
    def pid_file(self) -> Path:
        return self.folder / "node.pid"

    @property
    def socket(self) -> Path:
        return self.folder / "control.sock"

    @property
    def card_file(self) -> Path:
        return self.folder / f"{self.settings().name}.card"

    def files(self) -> dict[str, Path]:
        """Every place by its name, as `node files` prints them."""
        return {
            "settings": self.settings_file,
            "keys": self.keys_file,
            "card": self.card_file,
            "policy": self.policy_file,
            "record": self.record_file,
            "log": self.log_file,
            "errors": self.errors_file,
            "pid": self.pid_file,
            "socket": self.socket,
        }

    def check(self) -> None:
        """Raises NotFound when there is no node here, LocalError when others could enter it."""
        self._made()
        check_private(self.folder)

    def holder(self) -> int | None:
        """The pid of the process that runs this node; None when none does. 0 when it is unknown."""
        return holder_of(self.lease_file)

    def settings(self) -> Settings:
        self._made()
        return read_settings(self.settings_file)

    def policy(self) -> Policy:
        self._made()
        return read_policy(self.policy_file)

    def card(self) -> bytes:
        """The card as it was handed out. Raises NotFound, LogError when it was changed."""
        path = self.card_file
        try:
            data = path.read_bytes()
        except OSError as fault:
            raise NotFound(
                f"the card {path} cannot be read: {fault.strerror}",
                file=str(path),
                next=f"Is the name in {self.settings_file} the one that the node was made with? "
                "Put the card back from a copy: the others hold one.",
            ) from None
        try:
            check_card(data)
        except LogError as fault:
            raise LogError(
                f"the card {path} was changed: {fault.message}", file=str(path), next=CARD_ADVICE
            ) from None
        return data

    def card_of(self, keys: SecretKeys, certificate: OwnCertificate) -> bytes:
        """The card, which these keys must have made. Raises LogError when it is another's."""
        data = self.card()
        card = check_card(data)
        if make_card(self.settings().name, keys, certificate.der, card.address) != data:
            raise LogError(
                f"the card {self.card_file} is not of the keys in {self.keys_file}",
                file=str(self.card_file),
                next=CARD_ADVICE,
            )
        return data

    def keys(self, passphrase: bytes) -> SecretKeys:
        """Raises WrongUsage for a wrong passphrase."""
        self._made()
        return read_keys(self.keys_file, passphrase)

    def _made(self) -> None:
        if not self.settings_file.is_file():
            raise NotFound(
                f"{self.folder} is no node's folder",
                file=str(self.folder),
                next="`p2pmpc node new DIR --name NAME` makes one; --node DIR names another.",
            )


def check_private(folder: Path) -> None:
    """Raises LocalError unless the folder is this user's and nobody else can enter it."""
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise LocalError(
            f"the folder {folder} belongs to another user of this machine",
            file=str(folder),
            next="Run the command as that user: a node's keys and record are one user's alone.",
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise LocalError(
            f"the folder {folder} is open to other users of this machine",
            file=str(folder),
            next=f"Make it private (chmod 700 {folder}), or let the node make a new one.",
        )


def make_home(
    folder: Path,
    settings: Settings,
    passphrase: bytes,
    randomness: Callable[[int], bytes],
    effort: Effort,
) -> Home:
    """A new folder with fresh keys. Raises WrongUsage when there is a node already."""
    home = Home(folder)
    if home.settings_file.exists() or home.keys_file.exists():
        raise WrongUsage(
            f"{folder} holds a node already",
            file=str(folder),
            next="Choose another folder; keys are never overwritten.",
        )
    _make_private(folder)
    address = settings.advertise or f"{settings.listen_host}:{settings.listen_port}"
    keys = make_keys(randomness)
    certificate = make_certificate(keys.transport_seed, settings.name)
    write_keys(home.keys_file, keys, passphrase, randomness, effort)
    try:
        home.policy_file.write_text(DEFAULT.to_toml())
        home.settings_file.write_text(settings.to_toml())
        home.card_file.write_bytes(make_card(settings.name, keys, certificate.der, address))
        for path in home.files().values():
            if path.is_file():
                path.chmod(0o600)
    except BaseException:
        for name in ("keys.sealed", "policy.toml", "settings.toml"):
            with contextlib.suppress(OSError):
                (folder / name).unlink()
        raise
    return home


def _make_private(folder: Path) -> None:
    """The folder, for this user alone. Raises LocalError, WrongUsage for too long a path."""
    if len(os.fsencode(folder / "control.sock")) > SOCKET_PATH_MAX:
        raise WrongUsage(
            f"the path {folder} is too long: the control socket in it may have at most "
            f"{SOCKET_PATH_MAX} bytes",
            file=str(folder),
            next="Choose a shorter folder for the node.",
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as fault:
        raise LocalError(
            f"the folder {folder} cannot be made: {fault.strerror}",
            file=str(folder),
            next="Choose a folder where this user may write.",
        ) from None
