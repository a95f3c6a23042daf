"""The certificate: made from the key alone, no authority, its key never on a disk."""

import datetime as dt
import os

import pytest
from cryptography import x509

from nodes.transport.tls import (
    OwnCertificate,
    client_context,
    fingerprint,
    first_certificate,
    make_certificate,
    server_context,
)

SEED = b"a" * 32
# Made once and written down: a member's certificate stands in signed rosters for years.
KNOWN = "b7227db7b9ba7943c561f13b1d4cec4d"


def test_the_same_seed_and_name_give_the_same_bytes():
    assert make_certificate(SEED, "alpha") == make_certificate(SEED, "alpha")
    assert make_certificate(SEED, "alpha").der != make_certificate(SEED, "beta").der
    assert make_certificate(SEED, "alpha").der != make_certificate(b"b" * 32, "alpha").der


def test_the_certificate_of_a_known_seed_is_known():
    assert make_certificate(SEED, "alpha").fingerprint[:32] == KNOWN


def test_the_certificate_names_its_member_is_no_authority_and_does_not_expire():
    found = x509.load_der_x509_certificate(make_certificate(SEED, "alpha").der)
    assert found.subject.rfc4514_string() == "CN=alpha"
    assert found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert found.not_valid_after_utc.year == 9999
    assert found.not_valid_before_utc < dt.datetime.now(dt.UTC)
    found.verify_directly_issued_by(found)


def test_the_key_is_shown_nowhere():
    own = make_certificate(SEED, "alpha")
    assert "PRIVATE" in own.pem.decode()
    assert "PRIVATE" not in repr(own)


def test_contexts_load_the_key_without_a_file_and_close_what_they_open(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    own = make_certificate(SEED, "alpha")
    before = len(os.listdir("/proc/self/fd"))
    client_context(own, own.der)
    server_context(own, [own.der], lambda der: None)
    server_context(own, [], lambda der: None)  # a roster without members: nobody gets in
    assert len(os.listdir("/proc/self/fd")) == before
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_is_found_in_its_handshake_message():
    der = b"d" * 300
    entry = len(der).to_bytes(3, "big") + der + b"\0\0"
    message = b"\x0b\0\0\0" + b"\0" + len(entry).to_bytes(3, "big") + entry
    assert first_certificate(message) == der


@pytest.mark.parametrize("length", range(12))
def test_a_handshake_message_that_is_cut_short_shows_nothing(length):
    assert first_certificate(b"\x0b\0\0\xff\0\0\0\xff\0\0\xff\x30"[:length]) == b""


def test_a_fingerprint_is_sha256_of_the_der():
    own = OwnCertificate(b"abc", b"")
    assert own.fingerprint == fingerprint(b"abc")
    assert own.fingerprint.startswith("ba7816bf")
