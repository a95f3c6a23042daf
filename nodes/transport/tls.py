"""Who is at the other end: TLS 1.3 with the exact certificates of the roster, on both sides.

Against: anybody on the path, and anybody who is no member. A member's certificate is self-signed
and made from its transport key alone, so the same key always gives the same bytes. It is no
authority (CA:FALSE): a member cannot vouch for another certificate, and after the handshake the
peer's bytes are compared with the roster's besides. A context is built for each connection, so that
the newest roster applies at once. Server tickets are off: a resumed session would skip the roster.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from p2pmpc.errors import LocalError

__all__ = [
    "OwnCertificate",
    "client_context",
    "curious_context",
    "fingerprint",
    "make_certificate",
    "server_context",
    "unwatch",
]

SEED_BYTES = 32  # an Ed25519 seed
# Fixed, so that a certificate depends on the key and the name only; RFC 5280 4.1.2.5: no expiry.
VALID_FROM = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
VALID_UNTIL = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
CERTIFICATE_MESSAGE = 11  # RFC 8446 4: the handshake message that carries a certificate


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """This node's certificate (DER, public) and its key (PEM, secret)."""

    der: bytes
    pem: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as people compare it."""
        return fingerprint(self.der)


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate's DER, 64 hex digits."""
    return hashlib.sha256(der).hexdigest()


def make_certificate(seed: bytes, name: str) -> OwnCertificate:
    """The certificate of this 32-byte transport seed: the same seed and name, the same bytes."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key()
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    serial = int.from_bytes(hashlib.sha256(public.public_bytes_raw()).digest()[:16], "big") >> 1
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=subject,
        public_key=public,
        serial_number=serial,
        not_valid_before=VALID_FROM,
        not_valid_after=VALID_UNTIL,
    )
    no_authority = x509.BasicConstraints(ca=False, path_length=None)
    certificate = builder.add_extension(no_authority, critical=True).sign(key, None)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return OwnCertificate(
        certificate.public_bytes(serialization.Encoding.DER), certificate.public_bytes(pem) + secret
    )


def server_context(
    own: OwnCertificate, members: Iterable[bytes], show: Callable[[bytes], None]
) -> ssl.SSLContext:
    """Accepts clients that hold one of these certificates (DER).

    `show` receives the certificate that a client presents, before it is judged: OpenSSL does not
    hand out the certificate of a handshake that failed, and a refusal should name whom it refused.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, own)
    context.num_tickets = 0
    trusted = b"".join(members)
    if trusted:
        context.load_verify_locations(cadata=trusted)
    watch(context, show)
    return context


def client_context(own: OwnCertificate, expected: bytes) -> ssl.SSLContext:
    """Accepts the one server that holds the certificate `expected` (DER)."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, own)
    context.load_verify_locations(cadata=expected)
    return context


def curious_context() -> ssl.SSLContext:
    """Accepts any server and shows no certificate: only to say which one was found instead."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def watch(context: ssl.SSLContext, show: Callable[[bytes], None]) -> None:
    """Call `show` with the client's certificate; where the hook is missing it is never called."""

    def on_message(_c: object, direction: str, _v: int, _t: int, kind: int, data: bytes) -> None:
        if direction == "read" and kind == CERTIFICATE_MESSAGE:
            der = first_certificate(data)
            if der:
                show(der)

    if hasattr(context, "_msg_callback"):
        context._msg_callback = on_message  # noqa: SLF001  # no public way in any Python so far


def unwatch(context: ssl.SSLContext) -> None:
    """After the handshake: the hook would be called for every record."""
    if hasattr(context, "_msg_callback"):
        context._msg_callback = None  # noqa: SLF001


def first_certificate(message: bytes) -> bytes:
    """The DER in a TLS 1.3 Certificate message (RFC 8446 4.4.2), or nothing."""
    start = 4 + 1 + message[4] + 3 if len(message) > 4 else len(message)
    length = int.from_bytes(message[start : start + 3], "big")
    der = message[start + 3 : start + 3 + length]
    return der if len(der) == length else b""


def _context(protocol: int, own: OwnCertificate) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the exact certificate is pinned; names in it prove nothing
    context.verify_mode = ssl.CERT_REQUIRED
    _load_key(context, own.pem)
    return context


def _load_key(context: ssl.SSLContext, pem: bytes) -> None:
    """`load_cert_chain` wants a file: an anonymous one in memory, gone when it is closed."""
    try:
        descriptor = os.memfd_create("transport-key", os.MFD_CLOEXEC)
    except OSError as fault:
        raise LocalError(f"no room in memory for the transport key: {fault.strerror}") from None
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
