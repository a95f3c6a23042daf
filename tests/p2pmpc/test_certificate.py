"""A receipt proves each published number from n signed commitments, or names whose part fails."""

import msgspec
import pytest

from p2pmpc.certificate import (
    CELLS_MAX,
    RECEIPT_BYTES_MAX,
    SHARE_BYTES_MAX,
    UNITS_MAX,
    Certificate,
    Opening,
    Receipt,
    certificate_hash,
    check_certificate,
    check_receipt,
    check_signatures,
    commitment,
    read_certificate,
    read_receipt,
    sign_certificate,
    study_hash,
)
from p2pmpc.codec import encode
from p2pmpc.errors import LogError
from p2pmpc.study import parse_study
from protocols.commitment import share_commitment

VALUES = {"age": [-7, 2**100, 0], "sex": [-(2**127)]}


def replaced(thing, **changes):
    return msgspec.structs.replace(thing, **changes)


@pytest.fixture
def made(society):
    certificate, shares = society.agree(b"a study")
    return society, certificate, shares


@pytest.fixture
def receipt(society):
    return society.run()


def resigned(society, receipt, certificate):
    """The receipt with another certificate that all parties signed."""
    return replaced(receipt, certificate=certificate, signatures=society.signatures(certificate))


def test_the_values_come_out_of_the_shares_signed_and_centred(receipt):
    assert check_receipt(receipt) == VALUES


def test_a_receipt_reads_back_from_its_bytes_and_shows_no_share(receipt):
    assert read_receipt(encode(receipt)) == receipt
    assert receipt.openings[0].share.hex()[:8] not in repr(receipt) + repr(receipt.openings[0])


def test_a_unit_that_did_not_pass_is_in_no_share(receipt):
    assert "rare" not in check_receipt(receipt)
    assert {len(opening.share) for opening in receipt.openings} == {4 * 16}


def test_each_missing_or_foreign_signature_is_named(made):
    society, certificate, _ = made
    signatures = list(society.signatures(certificate))
    check_signatures(certificate, signatures, society.roster)
    for place, party in enumerate(certificate.parties):
        wrong = list(signatures)
        wrong[place] = signatures[(place + 1) % 3]
        with pytest.raises(LogError, match=f"{party} did not sign") as caught:
            check_signatures(certificate, wrong, society.roster)
        assert caught.value.where == {"member": party}
        with pytest.raises(LogError, match="2 signatures; its 3 parties"):
            check_signatures(
                certificate, signatures[:place] + signatures[place + 1 :], society.roster
            )


def test_a_signature_over_another_certificate_does_not_count(made):
    society, certificate, _ = made
    other = replaced(certificate, verdicts=(True, True, True))
    assert certificate_hash(other) != certificate_hash(certificate)
    signatures = list(society.signatures(certificate))
    signatures[1] = sign_certificate(society.signers["south"], other)
    with pytest.raises(LogError, match="south did not sign"):
        check_signatures(certificate, signatures, society.roster)


SPOILED = {
    "parties": ("west", "south", "north"),
    "recipients": ("nobody",),
    "readies": (bytes(32),) * 3,
    "commitments": (bytes(32),) * 2,
    "verdicts": (True, False),
    "layout": (("age", 3), ("age", 2), ("sex", 1)),
    "session": bytes(32),
}


@pytest.mark.parametrize("field", sorted(SPOILED))
def test_a_certificate_that_contradicts_itself_is_refused(made, field):
    _, certificate, _ = made
    check_certificate(certificate)
    with pytest.raises(LogError, match="certificate"):
        check_certificate(replaced(certificate, **{field: SPOILED[field]}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("layout", (("age", CELLS_MAX + 1), ("rare", 2), ("sex", 1))),
        ("layout", tuple((str(unit), 1) for unit in range(UNITS_MAX + 1))),
        ("verdicts", (True,) * (UNITS_MAX + 1)),
    ],
)
def test_a_certificate_past_a_bound_is_malformed(made, field, value):
    _, certificate, _ = made
    with pytest.raises(LogError, match="cannot be read"):
        read_certificate(encode(replaced(certificate, **{field: value})))


def test_a_share_past_its_bound_is_malformed(receipt):
    first, *rest = receipt.openings
    long = Opening(first.party, first.salt, bytes(SHARE_BYTES_MAX + 1))
    with pytest.raises(LogError, match="cannot be read"):
        read_receipt(encode(replaced(receipt, openings=(long, *rest))))


def test_every_changed_byte_of_a_certificate_is_malformed_or_unsigned(made):
    society, certificate, _ = made
    data, signatures = encode(certificate), society.signatures(certificate)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        with pytest.raises(LogError):
            check_signatures(read_certificate(bytes(changed)), signatures, society.roster)


def test_the_party_whose_share_was_changed_is_named(receipt):
    for place, opening in enumerate(receipt.openings):
        openings = list(receipt.openings)
        share = bytes([opening.share[0] ^ 1]) + opening.share[1:]
        openings[place] = Opening(opening.party, opening.salt, share)
        with pytest.raises(LogError, match=f"share of {opening.party}") as caught:
            check_receipt(replaced(receipt, openings=tuple(openings)))
        assert caught.value.where == {"member": opening.party}


def test_a_share_of_another_length_or_party_is_refused(receipt):
    first, *rest = receipt.openings
    short = Opening(first.party, first.salt, first.share[:-16])
    with pytest.raises(LogError, match="48 bytes, not 64"):
        check_receipt(replaced(receipt, openings=(short, *rest)))
    with pytest.raises(LogError, match="one opening of each party"):
        check_receipt(replaced(receipt, openings=(first, first, *rest[1:])))


@pytest.mark.parametrize(
    "opened",
    [
        (("age", ("-7", str(2**100), "1")), ("sex", (str(-(2**127)),))),
        (("age", ("-7", str(2**100), "0")),),
        (("age", ("-7", str(2**100), "0")), ("sex", (str(-(2**127)),)), ("rare", ("0", "0"))),
        (
            ("age", ("-7", str(2**100), "0")),
            ("age", ("-7", str(2**100), "0")),
            ("sex", (str(-(2**127)),)),
        ),
    ],
)
def test_published_numbers_that_are_not_the_sums_are_refused(receipt, opened):
    with pytest.raises(LogError, match="not the sums"):
        check_receipt(replaced(receipt, opened=opened))


@pytest.mark.parametrize("text", ["-0", "+1", "01", "1.0", "", " 1", "1\n", "\u0661", "1" * 40])
def test_a_number_in_another_spelling_is_malformed(receipt, text):
    spoiled = replaced(receipt, opened=(("age", (text, "0", "0")),))
    with pytest.raises(LogError, match="cannot be read"):
        read_receipt(encode(spoiled))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("study", b"another study"),
        ("version", b"another program"),
        ("dictionaries", (("north", b"another dictionary"),)),
        ("rules", (("north", b"other rules"), ("south", b"x"), ("west", b"x"))),
        ("rules", (("north", b"rules of north"),)),
    ],
)
def test_what_was_computed_is_covered_by_the_certificate(receipt, field, value):
    with pytest.raises(LogError, match="the receipt's"):
        check_receipt(replaced(receipt, **{field: value}))


def test_a_receipt_of_another_network_or_a_stranger_is_refused(society, receipt, make_society):
    elsewhere = make_society(["north", "south", "west", "zenith"])
    with pytest.raises(LogError, match="another network"):
        check_receipt(replaced(receipt, roster=elsewhere.roster))
    smaller = make_society(["north", "south"])
    certificate = replaced(receipt.certificate, network=smaller.roster.network)
    with pytest.raises(LogError, match="'west' is a party"):
        check_receipt(replaced(resigned(society, receipt, certificate), roster=smaller.roster))


def test_when_no_unit_passes_nothing_is_opened(society, receipt):
    none = Opening("north", receipt.openings[0].salt, b"")
    openings = tuple(replaced(none, party=party) for party in society.names)
    certificate = replaced(
        receipt.certificate,
        verdicts=(False,) * 3,
        commitments=tuple(
            commitment(receipt.certificate.session, o.party, o.salt, o.share) for o in openings
        ),
    )
    spoiled = replaced(resigned(society, receipt, certificate), openings=openings, opened=())
    assert check_receipt(spoiled) == {}


def test_a_receipt_past_its_length_is_refused():
    with pytest.raises(LogError, match="at most"):
        read_receipt(bytes(RECEIPT_BYTES_MAX + 1))


def test_the_commitment_is_the_one_that_the_protocols_make():
    said = (b"s" * 32, "north", b"x" * 16, b"share")
    assert commitment(*said) == share_commitment(*said)


def test_the_study_hash_is_that_of_the_study():
    study = parse_study(
        """
        [study]
        title = "t"
        purpose = "p"
        question = "q"
        [data.a]
        dataset = "d"
        members = ["north", "south"]
        [[statistic]]
        name = "n"
        kind = "count"
        """,
        "study.toml",
    )
    assert study_hash(study.to_bytes()) == study.hash


def test_the_fields_that_are_signed_are_these():
    assert Certificate.__struct_fields__ == (
        "network", "session", "study", "epoch", "parties", "recipients", "readies", "transcript",
        "layout", "verdicts", "commitments", "program",
    )  # fmt: skip
    assert "certificate" in Receipt.__struct_fields__
