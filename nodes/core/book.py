"""Where members listen now: the newest address record of each, and this node's own.

Against members who lie: a record counts by its signature alone, whoever brings it; one that is not
newer than what is held is ignored; one that has expired, or is from more than an hour ahead, is
refused by name. There is one record for each member of the roster, so nobody can fill the book.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from nodes.core.reading import PlainReading, Reading
from p2pmpc.address import LIFE_MS_MAX, AddressRecord, make_address
from p2pmpc.identity import Signer
from p2pmpc.roster import Roster

__all__ = ["Book"]


@dataclass(slots=True)
class Book:
    """Owned by the core alone. `rival` is a newer record in this node's name by somebody else."""

    name: str
    signer: Signer
    reading: Reading = field(default_factory=PlainReading)
    listening: str = ""  # where others dial this node; empty while it does not know or listen
    began_ms: int = 0  # when this process signed its first record
    records: dict[str, AddressRecord] = field(default_factory=dict)
    rival: AddressRecord | None = None

    def issue(self, network: bytes, now_ms: int) -> AddressRecord:
        """This node's own word, newer than whatever is known in its name."""
        known = [r for r in (self.records.get(self.name), self.rival) if r is not None]
        newest = max((record.issued_ms for record in known), default=-1)
        self.began_ms = self.began_ms or now_ms
        own = make_address(self.signer, network, self.name, self.listening, max(now_ms, newest + 1))
        self.records[self.name] = own
        self.rival = None
        return own

    def due(self, now_ms: int) -> bool:
        """Whether an own record is needed: none yet, another address, half its life over, a rival.

        A rival's is answered here and not where it is heard: two nodes in one name would otherwise
        answer each other without a pause.
        """
        if not self.listening:
            return False
        own = self.records.get(self.name)
        if own is None or own.address != self.listening or self.rival is not None:
            return True
        return now_ms >= own.issued_ms + LIFE_MS_MAX // 2

    def take(self, record: AddressRecord, roster: Roster, now_ms: int) -> bool:
        """Whether the record is news, and kept. Raises LogError for one that nobody should use."""
        held = self.records.get(record.name)
        if held is not None and record.issued_ms <= held.issued_ms:
            return False
        self.reading.address(record, roster)
        record.check_time(now_ms)
        if record.name == self.name:
            self.rival = record
            return False
        self.records[record.name] = record
        return True

    def twin(self) -> bool:
        """Whether the rival was signed while this process lived: two nodes have one identity.

        A record from before is this node's own, of a life that it has forgotten.
        """
        return bool(self.rival and self.began_ms and self.rival.issued_ms > self.began_ms)

    def holding(self, now_ms: int) -> tuple[AddressRecord, ...]:
        """What may be passed on, sorted by member."""
        found = [record for _, record in sorted(self.records.items())]
        return tuple(record for record in found if now_ms < record.expires_ms)

    def address(self, member: str, now_ms: int) -> str:
        """Where the member said last that it listens; empty when it has not, or not lately."""
        record = self.records.get(member)
        return record.address if record is not None and now_ms < record.expires_ms else ""

    def recall(self, records: Iterable[AddressRecord], roster: Roster, now_ms: int) -> None:
        """What was known before this process began, as far as it still holds."""
        for record in records:
            if record.name in roster.names and now_ms < record.expires_ms:
                self.records.setdefault(record.name, record)
