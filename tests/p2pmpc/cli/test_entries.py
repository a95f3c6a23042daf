"""What a record says to people: one plain line for every kind of entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from p2pmpc.certificate import Certificate, session_hash
from p2pmpc.cli.entries import SAYS, Reader, read_entry
from p2pmpc.codec import encode
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.identity import Signer, make_card, make_keys
from p2pmpc.record import (
    KINDS,
    Answered,
    Checked,
    Consent,
    DatasetNote,
    Ended,
    ForkNote,
    ForkProof,
    Genesis,
    Head,
    Ready,
    Recovered,
    Refusal,
    Release,
    Released,
    Revocation,
    StudyNote,
    Withdrawal,
    Withheld,
    author_entry,
    entry_hash,
)
from p2pmpc.roster import found_roster
from p2pmpc.study import parse_study

STUDY = parse_study(
    """
[study]
title = "Ages at two clinics"
recipients = ["north"]
[data.visits]
dataset = "visits"
members = ["north", "south"]
[[statistic]]
name = "visitors"
kind = "count"
""",
    "ages.toml",
)
HASH = b"h" * 32
SECRET = b"not for people to read, 32 bytes"
SESSION = session_hash([HASH, SECRET])


@dataclass
class Author:
    """Writes one feed of the small network's record."""

    name: str
    signer: Signer
    roster: object
    filed: list = field(default_factory=list)

    def write(self, kind: str, content) -> tuple:
        head = None
        if self.filed:
            last = self.filed[-1][0]
            head = Head(last.read().seq, entry_hash(last), last.read().lamport)
        one = author_entry(
            signer=self.signer,
            roster=self.roster,
            name=self.name,
            head=head,
            kind=kind,
            content=content,
            heads={},
            unix_ms=1_800_000_000_000,
            salt=bytes(16),
        )
        self.filed.append(one)
        return one


@pytest.fixture
def north() -> Author:
    numbers = iter(range(1, 100))
    keys = {n: make_keys(lambda k: bytes([next(numbers)]) * k) for n in ("north", "south")}
    cards = [make_card(n, k, b"certificate of " + n.encode(), "") for n, k in keys.items()]
    author = Author("north", Signer(keys["north"].log_seed), found_roster("two", cards))
    author.write("genesis", Genesis(author.roster.hash))
    return author


def certificate(author: Author) -> bytes:
    return encode(
        Certificate(
            network=author.roster.network,
            session=SESSION,
            study=STUDY.hash,
            epoch=0,
            parties=("north", "south"),
            recipients=("north",),
            readies=(HASH, SECRET),
            transcript=HASH,
            layout=(("visitors", 1),),
            verdicts=(True,),
            commitments=(HASH, SECRET),
            program=HASH,
        )
    )


def contents(author: Author) -> dict[str, object]:
    age = Column(name="age", type="integer", minimum=Decimal(0), maximum=Decimal(120))
    described = Dictionary(name="visits", unit="person", columns=(age,)).to_bytes()
    fork = ForkProof(author.filed[0][0], author.filed[0][0])
    study = STUDY.id
    return {
        "dataset": DatasetNote(described, SECRET),
        "study": StudyNote(STUDY.to_bytes(), SECRET, SECRET * 2, 1_800_000_000_000),
        "consent": Consent(study, "our own question", b"rules"),
        "refusal": Refusal(study, 301, "not this purpose", "a purpose among: cancer"),
        "withdrawal": Withdrawal(study, "a mistake"),
        "revocation": Revocation(study, "our board met"),
        "ready": Ready(study, 2, 0, SECRET, SECRET, SECRET, SECRET),
        "checked": Checked(SESSION, SECRET),
        "release": Release(SESSION, SECRET, SECRET * 2),
        "released": Released(SESSION, certificate(author), (SECRET * 2, SECRET * 2)),
        "answered": Answered(SESSION, SECRET),
        "withheld": Withheld(SESSION, "nothing passed"),
        "ended": Ended(study, 1, 402, "south was not heard for 60 s", "south"),
        "recovered": Recovered(7, SECRET),
        "fork": ForkNote(fork),
    }


def test_every_kind_of_entry_has_a_sentence_of_its_own() -> None:
    assert set(SAYS) == set(KINDS)


def test_every_entry_is_one_line_in_words_that_names_its_study(north) -> None:
    for kind, content in contents(north).items():
        north.write(kind, content)
    reader = Reader.of(north.filed)
    said = {signed.read().kind: reader.says(signed, body) for signed, body in north.filed}
    assert set(said) == set(KINDS)
    for kind, line in said.items():
        assert "\n" not in line
        assert "(unreadable" not in line, (kind, line)
        assert SECRET.hex() not in line
        assert SECRET.decode() not in line
        if kind not in {"genesis", "dataset", "recovered", "fork"}:
            assert "'Ages at two clinics'" in line, kind
    assert "our own question" in said["consent"]
    assert "a purpose among: cancer" in said["refusal"]
    assert said["ready"].count("attempt 2") == 1
    assert "south was waited for" in said["ended"]
    assert "attempt 1" in said["ended"]
    assert "until 2027-01-15" in said["study"]


def test_a_study_that_is_not_on_the_record_is_named_by_its_id(north) -> None:
    reader = Reader()
    signed, body = north.write("consent", Consent("ab" * 32, "fine", b"rules"))
    assert reader.says(signed, body) == f"approves study {'ab' * 8}: fine"
    signed, body = north.write("answered", Answered(SESSION, SECRET))
    assert reader.says(signed, body) == "has read the answer of a study"


def test_an_erased_or_foreign_body_is_said_to_be_one(north) -> None:
    first, body = north.write("withdrawal", Withdrawal(STUDY.id, "a mistake"))
    other, _ = north.write("revocation", Revocation(STUDY.id, "our board met"))
    reader = Reader()
    assert "erased" in reader.says(first, None)
    assert "(unreadable" in reader.says(other, body)


def test_what_a_member_wrote_cannot_steer_a_terminal(north) -> None:
    signed, body = north.write("withdrawal", Withdrawal(STUDY.id, "\x1b[2Jgone\x07"))
    found = read_entry(Reader(), signed, body)
    assert "\x1b" not in found["says"]
    assert "\x07" not in found["says"]
    assert (found["author"], found["seq"], found["kind"]) == ("north", 1, "withdrawal")
    assert found["time"] == "2027-01-15T08:00:00.000Z"
