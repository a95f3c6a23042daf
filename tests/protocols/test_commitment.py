"""Commitments bind and hide; an opening that differs names its party."""

import hashlib

import numpy as np
import pytest

from p2pmpc import certificate
from protocols.abort import Suspected
from protocols.commitment import commit_then_open, digest, share_commitment
from protocols.party import play


def test_a_digest_is_sha256_over_length_prefixed_parts():
    parts = [b"p2pmpc/share/1", b"session", b"north", bytes(16), b"share"]
    plain = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    assert digest("p2pmpc/share/1", *parts[1:]) == hashlib.sha256(plain).digest()
    assert share_commitment(*parts[1:2], "north", *parts[3:]) == hashlib.sha256(plain).digest()


def test_the_rule_is_that_of_certificates():
    parts = (bytes(range(32)), "north", bytes(16), b"share of some words")
    assert share_commitment(*parts) == certificate.commitment(*parts)


def test_moving_a_byte_between_parts_changes_the_digest():
    assert digest("d", b"ab", b"c") != digest("d", b"a", b"bc")


@pytest.mark.parametrize("dtype", ["uint8", "uint64"])
def test_everybody_sees_everybodys_array(seats, dtype):
    own = {p: np.arange(k, k + 6, dtype=dtype).reshape(2, 3) for k, p in enumerate("abc")}
    found = play({p: commit_then_open(s, "x", own[p]) for p, s in seats(3, "open").items()})
    for party in found:
        assert all(np.array_equal(found[party][p], own[p]) for p in own)
        assert all(value.dtype == np.dtype(dtype) for value in found[party].values())


def run(seats, tamper):
    value = np.arange(4, dtype=np.uint64)
    protocols = {p: commit_then_open(s, "x", value) for p, s in seats(3, "cheat").items()}
    return play(protocols, tamper=tamper)


@pytest.mark.parametrize("name", ["commit", "open"])
@pytest.mark.parametrize("place", [0, -1])
def test_an_opening_that_does_not_fit_its_commitment_names_the_party(seats, name, place):
    def tamper(sender, receiver, said, value):
        if (sender, receiver, said) == ("c", "a", name):
            value[place] ^= 1
        return value

    with pytest.raises(Suspected, match="had committed") as caught:
        run(seats, tamper)
    assert caught.value.party == "c"


def test_a_commitment_copied_from_another_party_cannot_be_opened(seats):
    copied = {}

    def tamper(sender, receiver, said, value):
        if receiver == "c" and sender == "a":
            copied[said] = value
        if sender == "b" and receiver == "c":
            return copied[said]
        return value

    with pytest.raises(Suspected) as caught:
        run(seats, tamper)
    assert caught.value.party == "b"
