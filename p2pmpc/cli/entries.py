"""What the entries of a record say, one plain line each, for people who read a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from p2pmpc.certificate import read_certificate
from p2pmpc.cli.member import SHORT, moment
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import LogError, P2pmpcError
from p2pmpc.record import (
    Body,
    Content,
    Released,
    SignedEntry,
    StudyNote,
    check_body,
    entry_hash,
    read_content,
)
from p2pmpc.study import Study
from p2pmpc.verify import plain

__all__ = ["Reader", "read_entry"]

Filed = tuple[SignedEntry, Body | None]


@dataclass(slots=True)
class Reader:
    """Remembers what earlier entries named, so that later ones can be said in words."""

    titles: dict[str, str] = field(default_factory=dict)  # study -> title
    sessions: dict[bytes, str] = field(default_factory=dict)  # session -> study

    @classmethod
    def of(cls, filed: Iterable[Filed]) -> Reader:
        """A reader that knows every study and session of these entries."""
        reader = cls()
        for signed, body in filed:
            content = _content(signed, body)
            if isinstance(content, StudyNote):
                reader._learn_study(content)
            elif isinstance(content, Released):
                reader._learn_session(content)
        return reader

    def _learn_study(self, note: StudyNote) -> None:
        try:
            study = Study.from_bytes(note.study)
        except P2pmpcError:
            return  # it stands on record all the same, and is said to be unreadable
        self.titles[study.id] = study.title

    def _learn_session(self, note: Released) -> None:
        try:
            self.sessions[note.session] = read_certificate(note.certificate).study.hex()
        except P2pmpcError:
            return

    def study_id(self, content: Any) -> str:
        """The id of the study that an entry is about; empty where none is known."""
        if isinstance(content, StudyNote):
            return _id_of(content)
        study = getattr(content, "study", "")
        if isinstance(study, str) and study:
            return study
        return self.sessions.get(getattr(content, "session", b""), "")

    def study(self, content: Any) -> str:
        """The study that an entry is about: its title, with the id where two are called alike."""
        study = self.study_id(content)
        title = self.titles.get(study)
        if title is None:
            return f"study {study[:SHORT]}" if study else "a study"
        alike = sum(one == title for one in self.titles.values()) > 1
        return f"{title!r} ({study[:SHORT]})" if alike else repr(title)

    def says(self, signed: SignedEntry, body: Body | None) -> str:
        """One line: what the author said by this entry."""
        entry = signed.read()
        if body is None:
            return f"(the content of this {entry.kind} entry was erased)"
        try:
            check_body(entry, body)
            content = read_content(entry.kind, body)
            said = SAYS[entry.kind](self, content)
        except P2pmpcError as fault:
            return f"(unreadable: {fault.message})"
        return plain(said)


def read_entry(reader: Reader, signed: SignedEntry, body: Body | None) -> dict[str, Any]:
    """An entry for people and programs: author, number, time, kind, study, words."""
    entry = signed.read()
    time = datetime.fromtimestamp(entry.unix_ms / 1000, UTC)
    return {
        "author": entry.author,
        "seq": entry.seq,
        "lamport": entry.lamport,
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "kind": entry.kind,
        "hash": entry_hash(signed).hex(),
        "study": reader.study_id(_content(signed, body)),
        "says": reader.says(signed, body),
    }


def _id_of(note: StudyNote) -> str:
    try:
        return Study.from_bytes(note.study).id
    except P2pmpcError:
        return ""


def _content(signed: SignedEntry, body: Body | None) -> Content | None:
    try:
        return None if body is None else read_content(signed.read().kind, body)
    except LogError:
        return None


# ---- one sentence a kind: (reader, content) -> words ----


def _genesis(reader: Reader, content: Any) -> str:  # noqa: ARG001  as all of them
    return "is a founding member of this network"


def _dataset(reader: Reader, content: Any) -> str:  # noqa: ARG001  as all of them
    found = Dictionary.from_bytes(content.dictionary)
    return (
        f"offers the data set {found.name!r}: {len(found.columns)} columns, each row a {found.unit}"
    )


def _study(reader: Reader, content: Any) -> str:  # noqa: ARG001  as all of them
    study = Study.from_bytes(content.study)
    until = f"; to be decided until {moment(content.expires_ms)}" if content.expires_ms else ""
    return (
        f"proposes {study.title!r} ({study.id[:SHORT]}) to {', '.join(study.parties)}; "
        f"the answer goes to {', '.join(study.recipients)}{until}"
    )


def _refusal(reader: Reader, content: Any) -> str:
    passing = f" (what would pass: {content.would_pass})" if content.would_pass else ""
    return f"refuses {reader.study(content)}: {content.reason}{passing}"


def _ready(reader: Reader, content: Any) -> str:
    attempt = f", attempt {content.attempt}" if content.attempt > 1 else ""
    return f"is ready to compute {reader.study(content)}{attempt}; its rows for it are fixed"


def _ended(reader: Reader, content: Any) -> str:
    study = reader.study(content)
    what = f"attempt {content.attempt} of {study}" if content.attempt else study
    waited = f"; {content.waited_for} was waited for" if content.waited_for else ""
    return f"{what} ended early: {content.why}{waited}"


def _recovered(reader: Reader, content: Any) -> str:  # noqa: ARG001  as all of them
    return f"began again after its own entry {content.seq}, fetched from the other members"


def _fork(reader: Reader, content: Any) -> str:  # noqa: ARG001  as all of them
    author = content.proof.first.read().author
    return f"holds proof that {author} signed two different histories"


def _about_study(sentence: str) -> Callable[[Reader, Any], str]:
    """Says this sentence with the study's title and the fields of the entry in their places."""
    return lambda reader, content: sentence.format(study=reader.study(content), entry=content)


SAYS: Mapping[str, Callable[[Reader, Any], str]] = {
    "genesis": _genesis,
    "dataset": _dataset,
    "study": _study,
    "consent": _about_study("approves {study}: {entry.reason}"),
    "refusal": _refusal,
    "withdrawal": _about_study("takes back its proposal {study}: {entry.reason}"),
    "revocation": _about_study("takes back its consent to {study}: {entry.reason}"),
    "ready": _ready,
    "checked": _about_study("has compared with the others what was said while computing {study}"),
    "release": _about_study("signs that what passed of {study} may open"),
    "released": _about_study("holds all signatures: {study} opens to its recipients"),
    "answered": _about_study("has read the answer of {study}"),
    "withheld": _about_study("nothing of {study} was released: {entry.reason}"),
    "ended": _ended,
    "recovered": _recovered,
    "fork": _fork,
}
