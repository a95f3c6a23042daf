"""A member's folder on disk: what lies where, made once by `node new`.

    settings.toml    where it listens, how long it waits; nothing secret
    keys.sealed      the three secret keys under a passphrase (Argon2id)
    NAME.card        what the other members get: public keys, certificate, address
    policy.toml      the member's own rules
    record.sqlite    the signed record
    node.log         log lines
    control.sock     while the node runs: for people on this machine

The folder is 0700 and everything in it 0600: the process sets its umask before it writes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodes.store.keys import Effort, read_keys, write_keys
from nodes.transport.tls import make_certificate
from p2pmpc.errors import NotFound, WrongUsage
from p2pmpc.identity import SecretKeys, check_card, make_card, make_keys
from p2pmpc.policy import DEFAULT, Policy, read_policy
from p2pmpc.settings import Settings, read_settings

__all__ = ["Home", "make_home"]


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
            "socket": self.socket,
        }

    def settings(self) -> Settings:
        self._made()
        return read_settings(self.settings_file)

    def policy(self) -> Policy:
        self._made()
        return read_policy(self.policy_file)

    def card(self) -> bytes:
        """The card as it was handed out. Raises LogError when it was changed."""
        data = self.card_file.read_bytes()
        check_card(data)
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
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
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
