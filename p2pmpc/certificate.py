"""The release certificate, signed by all parties before anything opens; and the receipt, by which
anyone checks an answer against it.

The certificate does not hold the result: members who may not read it sign too. It holds one
commitment per party to that party's share of the result. A receipt carries the openings, so that
the published integers are checked against n signed commitments, offline, with the roster alone.

    c_i   = H("p2pmpc/share/1", session, party, salt, share)
    share = the party's words of Z_2^128, 16 bytes each, little-endian, over all cells of the units
            that passed, in layout order
    value = the sum of all parties' words mod 2^128, read as a signed number

What a signature claims stands in certificate.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from p2pmpc.codec import decode, digest, encode
from p2pmpc.errors import LogError
from p2pmpc.identity import Bytes32, Bytes64, Name, Signer, verify_signature
from p2pmpc.roster import EPOCH_MAX, MEMBERS_MAX, Roster, check_roster

__all__ = [
    "CELLS_MAX",
    "RECEIPT_BYTES_MAX",
    "SALT_BYTES_MAX",
    "SALT_BYTES_MIN",
    "UNITS_MAX",
    "WORD_BYTES",
    "Certificate",
    "Opening",
    "Receipt",
    "answer_hash",
    "certificate_hash",
    "check_certificate",
    "check_receipt",
    "check_signatures",
    "commitment",
    "program_hash",
    "read_certificate",
    "read_receipt",
    "session_hash",
    "sign_certificate",
    "study_hash",
    "unit_values",
]

WORD_BYTES = 16  # one word of Z_2^128
MODULUS = 1 << 128
UNITS_MAX = 8192  # with names of 80 characters they fit one entry's body
CELLS_MAX = 2**20  # cells of one unit
RECEIPT_BYTES_MAX = 64 * 2**20
SHARE_BYTES_MAX = 32 * 2**20  # one mail
SALT_BYTES_MIN, SALT_BYTES_MAX = 16, 64

UnitName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=300)]
Cells: TypeAlias = Annotated[int, Meta(ge=0, le=CELLS_MAX)]
Epoch: TypeAlias = Annotated[int, Meta(ge=0, le=EPOCH_MAX)]
Parties: TypeAlias = Annotated[tuple[Name, ...], Meta(min_length=2, max_length=MEMBERS_MAX)]
Recipients: TypeAlias = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]
PartyHashes: TypeAlias = Annotated[tuple[Bytes32, ...], Meta(min_length=2, max_length=MEMBERS_MAX)]
Signatures: TypeAlias = Annotated[tuple[Bytes64, ...], Meta(min_length=2, max_length=MEMBERS_MAX)]
Layout: TypeAlias = Annotated[tuple[tuple[UnitName, Cells], ...], Meta(max_length=UNITS_MAX)]
Verdicts: TypeAlias = Annotated[tuple[bool, ...], Meta(max_length=UNITS_MAX)]
Salt: TypeAlias = Annotated[bytes, Meta(min_length=SALT_BYTES_MIN, max_length=SALT_BYTES_MAX)]
Share: TypeAlias = Annotated[bytes, Meta(max_length=SHARE_BYTES_MAX)]
# the longest is -2^127: a sign and 39 digits
Decimal: TypeAlias = Annotated[str, Meta(pattern=r"\A(0|-?[1-9][0-9]{0,38})\Z")]
Opened: TypeAlias = Annotated[
    tuple[tuple[UnitName, tuple[Decimal, ...]], ...], Meta(max_length=UNITS_MAX)
]
Blob: TypeAlias = Annotated[bytes, Meta(max_length=2**20)]
Named: TypeAlias = Annotated[tuple[tuple[Name, Blob], ...], Meta(max_length=4096)]


class Certificate(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What all parties sign before a share of the answer leaves any of them."""

    network: Bytes32
    session: Bytes32  # hash of all parties' ready entries
    study: Bytes32  # the study's hash
    epoch: Epoch
    parties: Parties  # sorted
    recipients: Recipients  # sorted parties that may open
    readies: PartyHashes  # entry hashes, by party
    transcript: Bytes32  # hash of all broadcasts, compared among the parties
    layout: Layout  # (unit, number of cells)
    verdicts: Verdicts  # for each unit whether it passed
    commitments: PartyHashes  # to the parties' shares of the passing units, by party
    program: Bytes32  # program_hash of what was computed


class Opening(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One party's share of the answer with the salt of its commitment. Shows neither."""

    party: Name
    salt: Salt
    share: Share

    def __repr__(self) -> str:
        return f"Opening({self.party}, <{len(self.share)} bytes>)"


class Receipt(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An answer with all that is needed to check it, and to compute its statistics again.

    `version`, `study`, `dictionaries` and `rules` are opaque here; the certificate's `program` and
    `study` cover them. Dictionaries and rules come with their member, sorted by member (and by
    data set within a member).
    """

    certificate: Certificate
    signatures: Signatures  # by party
    openings: Annotated[tuple[Opening, ...], Meta(min_length=2, max_length=MEMBERS_MAX)]
    opened: Opened  # the passing units' integers as decimals
    roster: Roster
    answer: Annotated[bytes, Meta(max_length=16 * 2**20)]  # JSON as the recipient read it
    answer_salt: Salt
    version: Annotated[bytes, Meta(min_length=1, max_length=200)]
    study: Blob
    dictionaries: Named
    rules: Named

    def __repr__(self) -> str:
        return f"Receipt({self.certificate.session.hex()[:16]}, {len(self.opened)} units)"


# ---- hashes and signatures -----------------------------------------------------------------------


def certificate_hash(certificate: Certificate) -> bytes:
    """The 32 bytes that the parties sign for the purpose `certificate`."""
    return digest("p2pmpc/certificate/1", encode(certificate))


def sign_certificate(signer: Signer, certificate: Certificate) -> bytes:
    """One party's signature, 64 bytes."""
    return signer.sign(certificate.network, "certificate", certificate_hash(certificate))


def session_hash(readies: Sequence[bytes]) -> bytes:
    """The session that these ready entries (hashes) start, in whatever order they are given."""
    return digest("p2pmpc/session/1", *sorted(readies))


def commitment(session: bytes, party: str, salt: bytes, share: bytes) -> bytes:
    """One party's commitment to its share, 32 bytes."""
    return digest("p2pmpc/share/1", session, party.encode(), salt, share)


def answer_hash(session: bytes, salt: bytes, answer: bytes) -> bytes:
    """What a recipient's `answered` entry says of the answer that it read, 32 bytes."""
    return digest("p2pmpc/answer/1", session, salt, answer)


def study_hash(study: bytes) -> bytes:
    """The hash of a study's one encoding, the same as `Study.hash`; the bytes are not parsed."""
    return digest("p2pmpc/study/1", study)


def program_hash(
    version: bytes, study: bytes, dictionaries: Sequence[bytes], rules: Sequence[bytes]
) -> bytes:
    """One hash over all that decides a computation.

    study         the study's hash
    dictionaries  canonical bytes, sorted by member and then by data set
    rules         the rules that each party consented under, sorted by party
    """
    return digest(
        "p2pmpc/program/1",
        version,
        study,
        digest("p2pmpc/catalogue/1", *dictionaries),
        digest("p2pmpc/rules/1", *rules),
    )


# ---- checking a certificate ----------------------------------------------------------------------


def read_certificate(data: bytes) -> Certificate:
    """The certificate in these bytes, sound in itself. Raises LogError."""
    certificate = decode(data, Certificate, "the certificate", error=LogError)
    check_certificate(certificate)
    return certificate


def check_certificate(certificate: Certificate) -> None:
    """Raises LogError unless the certificate is sound in itself."""
    parties, recipients = list(certificate.parties), list(certificate.recipients)
    if parties != sorted(set(parties)):
        raise LogError("the certificate's parties are not sorted and distinct")
    if recipients != sorted(set(recipients)) or not set(recipients) <= set(parties):
        raise LogError("the certificate's recipients are not among its parties, sorted")
    if not len(parties) == len(certificate.readies) == len(certificate.commitments):
        raise LogError("the certificate needs one ready entry and one commitment of each party")
    names = [unit for unit, _ in certificate.layout]
    if len(set(names)) != len(names) or len(names) != len(certificate.verdicts):
        raise LogError("the certificate needs one verdict for each unit, and units once each")
    if certificate.session != session_hash(certificate.readies):
        raise LogError("the certificate's session is not that of its ready entries")


def check_signatures(certificate: Certificate, signatures: Sequence[bytes], roster: Roster) -> None:
    """Raises LogError naming the first party that did not sign the certificate."""
    if certificate.network != roster.network or certificate.epoch != roster.epoch:
        raise LogError("the certificate belongs to another network or roster")
    strangers = sorted(set(certificate.parties) - set(roster.names))
    if strangers:
        raise LogError(f"{strangers[0]!r} is a party of the certificate and no member")
    if len(signatures) != len(certificate.parties):
        count, needed = len(signatures), len(certificate.parties)
        raise LogError(f"the certificate has {count} signatures; its {needed} parties all sign")
    claim = certificate_hash(certificate)
    for party, signature in zip(certificate.parties, signatures, strict=True):
        key = roster.member(party).log_key
        try:
            verify_signature(key, certificate.network, "certificate", claim, signature)
        except LogError:
            raise LogError(f"{party} did not sign the certificate", member=party) from None


# ---- checking a receipt --------------------------------------------------------------------------


def read_receipt(data: bytes) -> Receipt:
    """The receipt in these bytes, not yet checked. Raises LogError."""
    if len(data) > RECEIPT_BYTES_MAX:
        raise LogError(f"a receipt has at most {RECEIPT_BYTES_MAX} bytes")
    try:
        return decode(data, Receipt, "the receipt", error=LogError)
    except LogError:
        raise LogError(
            "this is no receipt, or it was damaged: it cannot be read",
            next="A rehearsal writes one with --out DIR: DIR/receipt.",
        ) from None


def check_receipt(receipt: Receipt) -> dict[str, list[int]]:
    """The opened integers of each unit that passed, recomputed from the shares.

    Checks the roster's cards, all n signatures, what the certificate says was computed, every
    opening against its commitment, and the published integers. Raises LogError naming the party
    whose card, signature or opening fails. It does not compute statistics from the integers.
    """
    certificate = receipt.certificate
    check_roster(receipt.roster)
    check_certificate(certificate)
    check_signatures(certificate, receipt.signatures, receipt.roster)
    _check_program(receipt)
    _check_openings(receipt)
    values = unit_values(certificate, [opening.share for opening in receipt.openings])
    said = {unit: [int(text) for text in texts] for unit, texts in receipt.opened}
    if len(said) != len(receipt.opened) or said != values:
        raise LogError("the receipt's opened numbers are not the sums of the parties' shares")
    return values


def _check_program(receipt: Receipt) -> None:
    if study_hash(receipt.study) != receipt.certificate.study:
        raise LogError("the receipt's study is not the one that was certified")
    parties = receipt.certificate.parties
    described = [member for member, _ in receipt.dictionaries]
    sound = described == sorted(described) and set(described) <= set(parties)
    if not sound or tuple(member for member, _ in receipt.rules) != parties:
        raise LogError("the receipt's dictionaries and rules are not sorted by party")
    found = program_hash(
        receipt.version,
        receipt.certificate.study,
        [data for _, data in receipt.dictionaries],
        [data for _, data in receipt.rules],
    )
    if found != receipt.certificate.program:
        raise LogError("the receipt's dictionaries, rules or version are not those certified")


def _check_openings(receipt: Receipt) -> None:
    certificate = receipt.certificate
    if tuple(opening.party for opening in receipt.openings) != certificate.parties:
        raise LogError("the receipt needs one opening of each party, sorted")
    size = WORD_BYTES * sum(
        cells
        for (_, cells), passed in zip(certificate.layout, certificate.verdicts, strict=True)
        if passed
    )
    for opening, wanted in zip(receipt.openings, certificate.commitments, strict=True):
        if len(opening.share) != size:
            raise LogError(
                f"the share of {opening.party} has {len(opening.share)} bytes, not {size}",
                member=opening.party,
            )
        found = commitment(certificate.session, opening.party, opening.salt, opening.share)
        if found != wanted:
            raise LogError(
                f"the share of {opening.party} is not the one that it committed to",
                member=opening.party,
            )


def unit_values(certificate: Certificate, shares: Sequence[bytes]) -> dict[str, list[int]]:
    """The passing units' integers: words summed mod 2^128 over the parties, signed and centred."""
    totals = [0] * (len(shares[0]) // WORD_BYTES)
    for share in shares:
        for cell in range(len(totals)):
            word = share[WORD_BYTES * cell : WORD_BYTES * (cell + 1)]
            totals[cell] += int.from_bytes(word, "little")
    centred = [_centred(total % MODULUS) for total in totals]
    values: dict[str, list[int]] = {}
    start = 0
    for (unit, cells), passed in zip(certificate.layout, certificate.verdicts, strict=True):
        if passed:
            values[unit] = centred[start : start + cells]
            start += cells
    return values


def _centred(value: int) -> int:
    return value - MODULUS if value >= MODULUS // 2 else value
