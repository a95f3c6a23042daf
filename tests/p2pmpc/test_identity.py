"""Keys never show themselves; a signature is good for one purpose, network and signer only."""

import copy
import pickle

import pytest

from p2pmpc.codec import digest, encode
from p2pmpc.errors import LogError
from p2pmpc.identity import (
    CARD_BYTES_MAX,
    CERTIFICATE_BYTES_MAX,
    PURPOSES,
    Card,
    SecretKeys,
    Signer,
    check_card,
    make_card,
    make_keys,
    signed_bytes,
    verify_signature,
)

NETWORK, OTHER = b"n" * 32, b"o" * 32
SEED = bytes(range(32))


def keys():
    return SecretKeys(b"r" * 32, b"l" * 32, b"t" * 32)


def test_secret_keys_show_nothing_and_cannot_be_pickled_or_copied():
    made = keys()
    assert repr(made) == str(made) == f"{made}" == "SecretKeys(<redacted>)"
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled"):
            way(made)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(Signer(SEED))
    assert SEED.hex() not in repr(Signer(SEED))


def test_keys_are_made_of_the_randomness_that_is_handed_in():
    drawn = []
    made = make_keys(lambda n: drawn.append(n) or bytes([len(drawn)]) * n)
    assert drawn == [32, 32, 32]
    assert len({made.root_seed, made.log_seed, made.transport_seed}) == 3
    with pytest.raises(ValueError, match="32 bytes"):
        SecretKeys(b"short", b"l" * 32, b"t" * 32)


def test_what_is_signed_begins_with_purpose_algorithm_network_and_key():
    framed = signed_bytes(b"k" * 32, NETWORK, "entry", b"message")
    assert framed == b"p2pmpc/entry/1\0Ed25519\0" + NETWORK + b"k" * 32 + b"message"


def test_a_signature_verifies_under_its_own_key_network_purpose_and_message():
    signer = Signer(SEED)
    signature = signer.sign(NETWORK, "entry", b"message")
    verify_signature(signer.public, NETWORK, "entry", b"message", signature)
    wrong = [
        (Signer(b"x" * 32).public, NETWORK, "entry", b"message", signature),
        (signer.public, OTHER, "entry", b"message", signature),
        (signer.public, NETWORK, "mail", b"message", signature),
        (signer.public, NETWORK, "entry", b"massage", signature),
        (signer.public, NETWORK, "entry", b"message", signature[:63]),
        (signer.public, NETWORK, "entry", b"message", bytes([signature[0] ^ 1]) + signature[1:]),
        (signer.public[:31], NETWORK, "entry", b"message", signature),
        (signer.public, NETWORK[:31], "entry", b"message", signature),
        (bytes(32), NETWORK, "entry", b"message", bytes(64)),  # a point of small order
    ]
    for arguments in wrong:
        with pytest.raises(LogError):
            verify_signature(*arguments)


def test_no_signature_of_one_purpose_passes_for_another():
    signer = Signer(SEED)
    for said in sorted(PURPOSES):
        signature = signer.sign(NETWORK, said, b"m" * 32)
        for read in sorted(PURPOSES - {said}):
            with pytest.raises(LogError):
                verify_signature(signer.public, NETWORK, read, b"m" * 32, signature)


def test_an_unknown_purpose_is_a_fault_of_the_caller():
    with pytest.raises(ValueError, match="no purpose"):
        Signer(SEED).sign(NETWORK, "anything", b"")


def test_a_card_round_trips_and_has_a_fingerprint_to_read_aloud():
    card = check_card(make_card("north", keys(), b"certificate", "north.example:9000"))
    assert (card.name, card.certificate, card.address) == (
        "north",
        b"certificate",
        "north.example:9000",
    )
    assert [len(group) for group in card.fingerprint.split()] == [4] * 8


@pytest.mark.parametrize("name", ["", ".hidden", "-flag", "a" * 65, "a b", "north\n", "n\u00f6rd"])
def test_a_card_with_an_unusable_name_is_refused(name):
    with pytest.raises(LogError, match="cannot be read"):
        make_card(name, keys(), b"certificate", "")


@pytest.mark.parametrize("address", ["a b", "x" * 262, "host\n:1"])
def test_a_card_with_an_unusable_address_is_refused(address):
    with pytest.raises(LogError, match="cannot be read"):
        make_card("north", keys(), b"certificate", address)


def test_every_changed_byte_of_a_card_is_noticed():
    data = make_card("north", keys(), b"certificate", "north.example:9000")
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        with pytest.raises(LogError):
            check_card(bytes(changed))


def test_a_card_that_claims_another_members_log_key_is_refused():
    victim, thief = check_card(make_card("north", keys(), b"c", "")), Signer(b"x" * 32)
    claims = Card("thief", thief.public, victim.log_key, b"c", "", bytes(64), bytes(64))
    claim = digest("p2pmpc/card/1", *claims.claims())
    root = thief.sign(bytes(32), "card", claim)
    forged = Card("thief", thief.public, victim.log_key, b"c", "", root, victim.log_signature)
    with pytest.raises(LogError, match="not signed by its own keys"):
        check_card(encode(forged))


def test_a_certificate_past_its_length_is_refused():
    make_card("north", keys(), bytes(CERTIFICATE_BYTES_MAX), "")
    for wrong in (b"", bytes(CERTIFICATE_BYTES_MAX + 1)):
        with pytest.raises(LogError, match="cannot be read"):
            make_card("north", keys(), wrong, "")


def test_a_card_past_its_length_is_refused():
    with pytest.raises(LogError, match="at most"):
        check_card(bytes(CARD_BYTES_MAX + 1))
