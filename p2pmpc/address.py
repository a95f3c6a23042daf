"""Where a member can be dialled now: a small record that it signs and that soon expires.

A card says where a member listened when the network was founded. An address record says where it
listens now. Whoever holds the roster checks it, so it may come from anybody and by any way.
Against: members and strangers who send a member's peers elsewhere (the signature), who replay an
address that the member has left (the newest counts, and none for long), or whose clock is wrong (an
hour either way is forgiven). The format stands in address.md.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from p2pmpc.codec import digest
from p2pmpc.errors import LogError
from p2pmpc.identity import Bytes32, Bytes64, Name, Signer, verify_signature
from p2pmpc.record import UNIX_MS_MAX
from p2pmpc.roster import Roster

__all__ = ["ADDRESS_CHARS_MAX", "LIFE_MS_MAX", "SKEW_MS_MAX", "AddressRecord", "make_address"]

ADDRESS_CHARS_MAX = 261  # a DNS name of 255 characters, a colon and a port
LIFE_MS_MAX = 7 * 86_400_000  # a week: an absent node is found again after a holiday
SKEW_MS_MAX = 3_600_000  # an hour: a clock in the wrong time zone still finds its peers

Address: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=ADDRESS_CHARS_MAX, pattern=r"\A[!-~]+\Z")
]
UnixMs: TypeAlias = Annotated[int, Meta(ge=0, le=UNIX_MS_MAX)]


class AddressRecord(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One member's word on where it listens, `host:port`; times by its own clock."""

    network: Bytes32
    name: Name
    address: Address
    issued_ms: UnixMs
    expires_ms: UnixMs
    signature: Bytes64

    def check(self, roster: Roster, now_ms: int) -> None:
        """Raises LogError, naming the member, unless it is sound and holds at `now_ms`."""
        self.check_signed(roster)
        self.check_time(now_ms)

    def check_signed(self, roster: Roster) -> None:
        """Raises LogError unless a member of this network signed it."""
        if self.network != roster.network:
            raise self._wrong("belongs to another network")
        if self.name not in roster.names:
            raise self._wrong("is of someone who is no member")
        if not 0 < self.expires_ms - self.issued_ms <= LIFE_MS_MAX:
            raise self._wrong("holds for no time, or for longer than a week")
        claim = _claim(self.name, self.address, self.issued_ms, self.expires_ms)
        key = roster.member(self.name).log_key
        try:
            verify_signature(key, roster.network, "address", claim, self.signature)
        except LogError:
            raise self._wrong("is not signed by this member") from None

    def check_time(self, now_ms: int) -> None:
        """Raises LogError when it has expired, or comes from a clock that is wrong."""
        if self.expires_ms + SKEW_MS_MAX <= now_ms:
            raise self._wrong("has expired")
        if self.issued_ms > now_ms + SKEW_MS_MAX:
            raise self._wrong("was issued more than an hour from now: a clock is wrong")

    def _wrong(self, what: str) -> LogError:
        return LogError(
            f"the address record of {self.name} {what}",
            member=self.name,
            next=f"Compare the clocks of this machine and of {self.name}, and the networks.",
        )


def make_address(
    signer: Signer, network: bytes, name: str, address: str, issued_ms: int
) -> AddressRecord:
    """The record that says: from now, for a week, I am at `address`."""
    expires_ms = issued_ms + LIFE_MS_MAX
    signature = signer.sign(network, "address", _claim(name, address, issued_ms, expires_ms))
    return AddressRecord(network, name, address, issued_ms, expires_ms, signature)


def _claim(name: str, address: str, issued_ms: int, expires_ms: int) -> bytes:
    times = issued_ms.to_bytes(8, "big"), expires_ms.to_bytes(8, "big")
    return digest("p2pmpc/address/1", name.encode(), address.encode(), *times)
