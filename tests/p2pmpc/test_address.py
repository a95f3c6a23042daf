"""Address records: whose word they are, and for how long."""

import msgspec
import pytest

from p2pmpc.address import (
    ADDRESS_CHARS_MAX,
    LIFE_MS_MAX,
    SKEW_MS_MAX,
    AddressRecord,
    make_address,
)
from p2pmpc.codec import decode, encode
from p2pmpc.errors import LogError

NOW = 1_800_000_000_000


def record(society, address="node.example:7443", issued_ms=NOW, name="north"):
    signer = society.signers[name]
    return make_address(signer, society.roster.network, name, address, issued_ms)


def test_a_record_is_its_members_word_for_a_week(society):
    made = record(society)
    made.check(society.roster, NOW)
    assert made.expires_ms == NOW + LIFE_MS_MAX
    assert decode(encode(made), AddressRecord, "a record") == made


@pytest.mark.parametrize("after_ms", [-SKEW_MS_MAX, LIFE_MS_MAX + SKEW_MS_MAX - 1])
def test_a_clock_may_be_an_hour_off_either_way(society, after_ms):
    record(society).check(society.roster, NOW + after_ms)


def test_a_record_has_expired_an_hour_after_its_end(society):
    with pytest.raises(LogError, match="north has expired") as fault:
        record(society).check(society.roster, NOW + LIFE_MS_MAX + SKEW_MS_MAX)
    assert fault.value.where["member"] == "north"


def test_a_record_from_more_than_an_hour_ahead_is_refused_and_says_that_a_clock_is_wrong(society):
    with pytest.raises(LogError, match="more than an hour from now: a clock is wrong"):
        record(society).check(society.roster, NOW - SKEW_MS_MAX - 1)


def changed(society, **changes):
    """A record with other fields, signed by north all the same."""
    draft = msgspec.structs.replace(record(society), **changes)
    from p2pmpc.address import _claim

    claim = _claim(draft.name, draft.address, draft.issued_ms, draft.expires_ms)
    signature = society.signers["north"].sign(society.roster.network, "address", claim)
    return msgspec.structs.replace(draft, signature=signature)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"expires_ms": NOW + LIFE_MS_MAX + 1}, "longer than a week"),
        ({"expires_ms": NOW}, "for no time"),
        ({"network": bytes(32)}, "another network"),
        ({"name": "nobody"}, "no member"),
        ({"name": "south"}, "not signed by this member"),
    ],
)
def test_what_a_member_may_not_sign_is_refused(society, changes, text):
    with pytest.raises(LogError, match=text):
        changed(society, **changes).check(society.roster, NOW)


@pytest.mark.parametrize("field", ["address", "issued_ms"])
def test_a_record_that_was_changed_on_the_way_is_refused(society, field):
    other = {"address": "elsewhere.example:1", "issued_ms": NOW + 1}[field]
    spoiled = msgspec.structs.replace(record(society), **{field: other})
    with pytest.raises(LogError, match="not signed"):
        spoiled.check(society.roster, NOW)


@pytest.mark.parametrize("address", ["", "a" * (ADDRESS_CHARS_MAX + 1), "with space:1", "line\n:1"])
def test_an_address_that_nobody_could_dial_cannot_be_read(society, address):
    spoiled = encode(msgspec.structs.replace(record(society), address=address))
    with pytest.raises(LogError):
        decode(spoiled, AddressRecord, "an address record", error=LogError)
