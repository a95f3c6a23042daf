"""Keys, signatures and cards: who says something, in which network, for which purpose.

A member has three keys: root (kept offline after founding, it signs the card), log (signs the
record, mail and certificates) and transport (TLS only). Every signature is Ed25519 over

    "p2pmpc/<purpose>/1" NUL | "Ed25519" NUL | network (32) | signer's key (32) | message

so that no signature can be read as one of another purpose, network, signer or algorithm. A card is
signed before there is a network: its network is 32 zero bytes. It is signed twice, by the root
("these are my keys") and by the log key ("I hold this key"), so that nobody can present another
member's log key as their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NoReturn, TypeAlias

from msgspec import Meta, Struct
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from p2pmpc.codec import decode, digest, encode
from p2pmpc.errors import LogError

__all__ = [
    "CARD_BYTES_MAX",
    "NO_NETWORK",
    "PURPOSES",
    "SEED_BYTES",
    "Bytes16",
    "Bytes32",
    "Bytes64",
    "Card",
    "Name",
    "SecretKeys",
    "Signer",
    "check_card",
    "make_card",
    "make_keys",
    "signed_bytes",
    "verify_signature",
]

SEED_BYTES = 32
CARD_BYTES_MAX = 8192  # a certificate is about 300 bytes; the rest is names and signatures
CERTIFICATE_BYTES_MAX = 4096  # an Ed25519 certificate without extensions of note
NO_NETWORK = bytes(32)  # what a card is signed for
ALGORITHM = b"Ed25519\0"
PURPOSES = frozenset(
    {
        "address",
        "bundle",
        "card",
        "certificate",
        "checkpoint",
        "cosignature",
        "entry",
        "mail",
        "study",
    }
)

# `\Z`, not `$`: `$` also matches before a line break at the end
Name: TypeAlias = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z")]
Address: TypeAlias = Annotated[str, Meta(pattern=r"\A[!-~]{0,261}\Z")]
Bytes16: TypeAlias = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes32: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
Bytes64: TypeAlias = Annotated[bytes, Meta(min_length=64, max_length=64)]
CertificateDer: TypeAlias = Annotated[bytes, Meta(min_length=1, max_length=CERTIFICATE_BYTES_MAX)]


@dataclass(frozen=True, slots=True, repr=False)
class SecretKeys:
    """The seeds of a member's three keys, 32 bytes each. Shows none of them, cannot be pickled."""

    root_seed: bytes
    log_seed: bytes
    transport_seed: bytes

    def __post_init__(self) -> None:
        if {len(self.root_seed), len(self.log_seed), len(self.transport_seed)} != {SEED_BYTES}:
            raise ValueError(f"a seed has {SEED_BYTES} bytes")

    def __repr__(self) -> str:
        return "SecretKeys(<redacted>)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("secret keys are never pickled or copied")


def make_keys(random: Callable[[int], bytes]) -> SecretKeys:
    """Fresh keys; `random(n)` returns n bytes fit for keys (os.urandom)."""
    return SecretKeys(random(SEED_BYTES), random(SEED_BYTES), random(SEED_BYTES))


class Signer:
    """Signs with one Ed25519 key. Shows only the public key, cannot be pickled."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(seed)
        self.public = bytes(self._key.verify_key)

    def __repr__(self) -> str:
        return f"Signer({self.public.hex()[:16]})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a signer is never pickled or copied")

    def sign(self, network: bytes, purpose: str, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        framed = signed_bytes(self.public, network, purpose, message)
        return self._key.sign(framed).signature


def signed_bytes(key: bytes, network: bytes, purpose: str, message: bytes) -> bytes:
    """What a signature is over. All parts before the message have a fixed length or end in NUL."""
    if purpose not in PURPOSES:
        raise ValueError(f"{purpose!r} is no purpose of a signature")
    if len(network) != 32 or len(key) != 32:
        raise ValueError("a network and a key have 32 bytes each")
    return b"".join((b"p2pmpc/", purpose.encode(), b"/1\0", ALGORITHM, network, key, message))


def verify_signature(
    key: bytes, network: bytes, purpose: str, message: bytes, signature: bytes
) -> None:
    """Raises LogError unless `key` signed this message for this network and purpose."""
    if len(key) != 32 or len(network) != 32 or len(signature) != 64:
        raise LogError(f"a {purpose} signature, its key or its network has the wrong length")
    framed = signed_bytes(key, network, purpose, message)
    try:
        VerifyKey(key).verify(framed, signature)
    except BadSignatureError:
        raise LogError(f"a {purpose} signature by key {key.hex()[:16]} does not verify") from None


# ---- cards ---------------------------------------------------------------------------------------


class Card(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a member hands to the others before founding: its name, its keys, where it listens."""

    name: Name
    root_key: Bytes32
    log_key: Bytes32
    certificate: CertificateDer  # opaque here: peers compare it byte for byte
    address: Address  # host:port, or empty for a member that only dials out
    root_signature: Bytes64
    log_signature: Bytes64

    @property
    def fingerprint(self) -> str:
        """What two people compare by voice: 32 hex digits in groups of four."""
        found = digest("p2pmpc/fingerprint/1", *self.claims())[:16].hex()
        return " ".join(found[start : start + 4] for start in range(0, 32, 4))

    def claims(self) -> tuple[bytes, ...]:
        """The parts that both signatures cover."""
        return (
            self.name.encode(),
            self.root_key,
            self.log_key,
            self.certificate,
            self.address.encode(),
        )

    def check(self) -> None:
        """Raises LogError unless both keys signed this card."""
        claim = digest("p2pmpc/card/1", *self.claims())
        try:
            verify_signature(self.root_key, NO_NETWORK, "card", claim, self.root_signature)
            verify_signature(self.log_key, NO_NETWORK, "card", claim, self.log_signature)
        except LogError:
            raise LogError(
                f"the card of {self.name} is not signed by its own keys",
                member=self.name,
                next=f"Ask {self.name} for its card again, over another path.",
            ) from None


def make_card(name: str, keys: SecretKeys, certificate: bytes, address: str) -> bytes:
    """A member's card as the bytes that it hands out. Raises LogError for an unusable field."""
    root, log = Signer(keys.root_seed), Signer(keys.log_seed)
    draft = Card(name, root.public, log.public, certificate, address, bytes(64), bytes(64))
    claim = digest("p2pmpc/card/1", *draft.claims())
    card = encode(
        Card(
            name,
            root.public,
            log.public,
            certificate,
            address,
            root.sign(NO_NETWORK, "card", claim),
            log.sign(NO_NETWORK, "card", claim),
        )
    )
    check_card(card)
    return card


def check_card(data: bytes) -> Card:
    """The card in these bytes. Raises LogError when malformed or not signed by its own keys."""
    if len(data) > CARD_BYTES_MAX:
        raise LogError(f"a card has at most {CARD_BYTES_MAX} bytes, not {len(data)}")
    card = decode(data, Card, "the card", error=LogError)
    card.check()
    return card
