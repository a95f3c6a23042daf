"""A member's whole record as one file: what an auditor gets, and what `verify` reads.

The outer layer is the exporter's signature over everything inside, so that a byte changed on the
way is seen wherever it is. It claims no more than "I exported this": whether the record holds is
judged from the members' own signatures, which the exporter cannot make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from p2pmpc.certificate import RECEIPT_BYTES_MAX
from p2pmpc.checkpoint import CHECKPOINT_BYTES_MAX
from p2pmpc.codec import decode, digest, encode
from p2pmpc.errors import LogError
from p2pmpc.identity import Bytes64, Name, Signer, verify_signature
from p2pmpc.record import UNIX_MS_MAX, Body, ForkProof, SignedEntry
from p2pmpc.roster import MEMBERS_MAX, Roster, check_roster

__all__ = ["BUNDLE_BYTES_MAX", "Bundle", "Feed", "make_bundle", "open_bundle"]

BUNDLE_BYTES_MAX = 2**30  # a million entries with their bodies; parsing holds it twice in memory
FORM = "p2pmpc/bundle/1"

Filed: TypeAlias = tuple[SignedEntry, Body | None]
UnixMs: TypeAlias = Annotated[int, Meta(ge=0, le=UNIX_MS_MAX)]
Note: TypeAlias = Annotated[str, Meta(max_length=CHECKPOINT_BYTES_MAX)]
ReceiptBytes: TypeAlias = Annotated[bytes, Meta(max_length=RECEIPT_BYTES_MAX)]


class Feed(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """All entries of one author as the exporter knows them; None for an erased body."""

    author: Name
    entries: tuple[Filed, ...]


class Bundle(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One member's record at one moment."""

    exporter: Name
    unix_ms: UnixMs
    roster: Roster
    feeds: Annotated[tuple[Feed, ...], Meta(max_length=MEMBERS_MAX)]  # sorted by author
    forks: Annotated[tuple[ForkProof, ...], Meta(max_length=MEMBERS_MAX)]
    checkpoints: tuple[Note, ...]
    receipts: tuple[ReceiptBytes, ...]


class SignedBundle(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The file."""

    form: str
    content: bytes
    signature: Bytes64


def make_bundle(
    *,
    signer: Signer,
    exporter: str,
    roster: Roster,
    feeds: Mapping[str, Sequence[Filed]],
    forks: Sequence[ForkProof],
    checkpoints: Sequence[str],
    receipts: Sequence[bytes],
    unix_ms: int,
) -> bytes:
    """The file's bytes, signed by the exporter's log key. `receipts` are encoded Receipts."""
    bundle = Bundle(
        exporter=exporter,
        unix_ms=unix_ms,
        roster=roster,
        feeds=tuple(Feed(author, tuple(filed)) for author, filed in sorted(feeds.items())),
        forks=tuple(forks),
        checkpoints=tuple(checkpoints),
        receipts=tuple(receipts),
    )
    content = encode(bundle)
    signature = signer.sign(roster.network, "bundle", digest(FORM, content))
    return encode(SignedBundle(FORM, content, signature))


def open_bundle(data: bytes) -> Bundle:
    """The bundle in a file's bytes, exactly as its exporter signed it. Raises LogError.

    Only the roster's cards and the exporter's signature are checked here.
    """
    if len(data) > BUNDLE_BYTES_MAX:
        raise LogError(f"a bundle has at most {BUNDLE_BYTES_MAX} bytes")
    try:
        signed = decode(data, SignedBundle, "the bundle", error=LogError)
    except LogError:
        raise LogError(
            "this is no log bundle, or it was damaged: it cannot be read",
            next="p2pmpc log export writes one; with --out DIR study export and rehearse do.",
        ) from None
    if signed.form != FORM:
        raise LogError(f"this is no file of the form {FORM}")
    bundle = decode(signed.content, Bundle, "the bundle's content", error=LogError)
    check_roster(bundle.roster)
    if bundle.exporter not in bundle.roster.names:
        raise LogError("the bundle was exported by someone who is no member")
    key = bundle.roster.member(bundle.exporter).log_key
    claim = digest(FORM, signed.content)
    try:
        verify_signature(key, bundle.roster.network, "bundle", claim, signed.signature)
    except LogError:
        raise LogError(
            f"the bundle is not as {bundle.exporter} exported it: its signature does not verify",
            member=bundle.exporter,
            next="Ask for the file again; it was changed or damaged on the way.",
        ) from None
    return bundle
