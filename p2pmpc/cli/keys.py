"""`keys show`: the fingerprints of a node's public keys, from its card; no passphrase is needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from p2pmpc.cli.home import node_home, node_option
from p2pmpc.cli.output import Reply, Table
from p2pmpc.cli.word import spoken
from p2pmpc.identity import Card, check_card

__all__ = ["register"]


def register(group: click.Group) -> None:
    """Add the words of `keys`."""

    @spoken(group, "show", "the fingerprints of a node's keys: public, no passphrase needed")
    @node_option
    def show(node: Path | None) -> Reply:
        home = node_home(node)
        card = check_card(home.card())
        keys = _fingerprints(card)
        lines = (
            f"{card.name}: fingerprint {card.fingerprint}",
            Table("", ("key", "SHA-256 of its public part", "for"), keys),
            "Compare the fingerprint with the other members by voice before you found a network.",
        )
        data = {
            "name": card.name,
            "fingerprint": card.fingerprint,
            "keys": {key: found for key, found, _ in keys},
            "card": str(home.card_file),
        }
        return Reply("keys show", data, lines)


def _fingerprints(card: Card) -> list[tuple[str, str, str]]:
    parts = (
        ("root", card.root_key, "signs the card"),
        ("log", card.log_key, "signs the record, mail and certificates"),
        ("transport", _public_key(card.certificate), "TLS"),
        ("certificate", card.certificate, "what the others pin"),
    )
    return [(name, hashlib.sha256(data).hexdigest(), use) for name, data, use in parts]


def _public_key(certificate: bytes) -> bytes:
    """The 32 bytes of the Ed25519 key that the certificate shows."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
