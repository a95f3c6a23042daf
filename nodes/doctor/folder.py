"""The node's folder: who may read what, and whether card, keys and roster are of one node."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from nodes.doctor.finding import Finding, fault, note, ok
from nodes.home import Home
from nodes.transport.tls import make_certificate
from p2pmpc.errors import P2pmpcError
from p2pmpc.identity import Card, SecretKeys, Signer, check_card
from p2pmpc.roster import Roster

__all__ = ["Identity", "Mode", "check_identity", "check_modes", "read_identity", "read_modes"]

GRAVE = {"folder", "keys", "record", "socket"}  # keys, bodies of entries, and who may command


@dataclass(frozen=True, slots=True)
class Mode:
    """One file or folder that is there: its permission bits and whether this user owns it."""

    what: str
    path: Path
    bits: int
    owned: bool


def read_modes(home: Home) -> tuple[Mode, ...]:
    """Of the folder and every file in it that `node files` lists."""
    found = []
    for what, path in {"folder": home.folder, **home.files()}.items():
        try:
            state = path.lstat()
        except OSError:
            continue
        found.append(Mode(what, path, stat.S_IMODE(state.st_mode), state.st_uid == os.getuid()))
    return tuple(found)


def check_modes(modes: tuple[Mode, ...]) -> list[Finding]:
    """One finding for each file that others may reach, or that one says there is none."""
    found = [finding for mode in modes for finding in _mode(mode)]
    if "keys" not in {mode.what for mode in modes}:
        text = "the key file keys.sealed is missing: the node cannot start"
        found.append(fault("modes", text, "Restore it from your copy; keys cannot be made again."))
    return found or [ok("modes", "the folder and all files in it are this user's alone")]


def _mode(mode: Mode) -> list[Finding]:
    found = []
    if not mode.owned:
        text = f"{mode.path} belongs to another user than the one who asks"
        fix = f"Run this as the node's user, or `chown` the folder {mode.path.parent} to it."
        found.append(fault("modes", text, fix))
    if mode.bits & 0o077:
        right = "700" if mode.what == "folder" else "600"
        text = f"others on this machine can reach {mode.path} (mode {mode.bits:04o})"
        fix = f"Run `chmod {right} {mode.path}`."
        if mode.what == "keys":
            fix += " If others used this machine meanwhile, make new keys."
        found.append((fault if mode.what in GRAVE else note)("modes", text, fix))
    return found


@dataclass(frozen=True, slots=True)
class Identity:
    """What card, keys, roster and running node say about who this is. None: it cannot be known."""

    name: str
    fault: str  # why the card cannot be read; empty when it can
    certificate: str  # why its certificate is unusable; empty when it is not
    address: bool  # the card's address is where the settings say the node is reached
    keys: bool | None  # the key file's public keys are the card's
    roster: bool | None  # the card is the one in the network's roster
    running: bool | None  # the running node has this card's keys


def read_identity(
    home: Home, roster: Roster | None, keys: SecretKeys | None, running: Card | None
) -> Identity:
    """Compare the card in the folder with whatever else is at hand."""
    settings = home.settings()
    try:
        card = check_card(home.card())
    except (P2pmpcError, OSError) as wrong:
        reason = wrong.message if isinstance(wrong, P2pmpcError) else str(wrong.strerror)
        return Identity(settings.name, reason, "", True, None, None, None)
    address = settings.advertise or f"{settings.listen_host}:{settings.listen_port}"
    member = None
    if roster is not None and settings.name in roster.names:
        member = roster.member(settings.name).card
    return Identity(
        name=settings.name,
        fault="" if card.name == settings.name else f"it is the card of {card.name}",
        certificate=_certificate(card),
        address=card.address == address,
        keys=None if keys is None else _made_from(card, keys),
        roster=None if roster is None else member is not None and _same(card, member),
        running=None if running is None else _same(card, running),
    )


def _same(one: Card, other: Card) -> bool:
    """The same keys under the same name; the address may have changed since."""
    return one.claims()[:4] == other.claims()[:4]


def _made_from(card: Card, keys: SecretKeys) -> bool:
    public = (Signer(keys.root_seed).public, Signer(keys.log_seed).public)
    certificate = make_certificate(keys.transport_seed, card.name).der
    return (card.root_key, card.log_key, card.certificate) == (*public, certificate)


def _certificate(card: Card) -> str:
    """Why the card's certificate cannot be the node's: it depends on key and name alone."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        found = x509.load_der_x509_certificate(card.certificate)
        found.verify_directly_issued_by(found)
        names = found.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
    except (ValueError, TypeError, InvalidSignature):
        return "it is no certificate that signs itself"
    if [name.value for name in names] != [card.name]:
        return f"it does not name {card.name}"
    return ""


def check_identity(facts: Identity) -> list[Finding]:
    """On the card and on the certificate."""
    return [*_card(facts), _keys(facts)]


def _card(facts: Identity) -> list[Finding]:
    fix = "Restore the card from the copy that the other members have; it holds nothing secret."
    if facts.fault:
        return [fault("card", f"the card {facts.name}.card cannot be used: {facts.fault}", fix)]
    if facts.roster is False:
        text = f"the card {facts.name}.card is not the one that the network's roster holds"
        return [fault("card", text, f"{fix} With other keys this node is no member.")]
    if not facts.address:
        text = "the card's address is not the one in the settings"
        remedy = "Nothing, if the members have this node's newer address from the node itself."
        return [note("card", text, remedy)]
    return [ok("card", f"the card {facts.name}.card is whole and signed by its own keys")]


def _keys(facts: Identity) -> Finding:
    if facts.certificate:
        text = f"the card's certificate is unusable: {facts.certificate}"
        return fault("certificate", text, "Restore the card and the key file from one copy.")
    if facts.keys is False:
        text = "the key file holds other keys than the card shows"
        return fault("certificate", text, "Restore the key file that belongs to this card.")
    if facts.running is False:
        text = "the running node uses other keys than this folder's card shows"
        return fault("certificate", text, "Stop the node and start it from this folder.")
    if facts.fault:
        return note("certificate", "without the card it cannot be compared", "Mend the card first.")
    if facts.keys or facts.running:
        return ok("certificate", "keys, card and certificate are of one node")
    return ok("certificate", "the certificate is this member's; the sealed keys were not opened")
