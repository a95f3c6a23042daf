"""One's own node from Python, and from the command line: what a member asks of it.

    north = p2pmpc.connect("/srv/p2pmpc/north")
    study = north.propose(p2pmpc.study.read_study("ages.toml"))
    study.wait(timeout_s=3600)
    print(study.answer()["ages"].frame())

Everything goes over the node's control socket, which only its owner's user can open. A node is
asked; it decides nothing by being asked, except where the name of the call says so.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from p2pmpc.catalogue import Resolved, resolve
from p2pmpc.client import NodeClient
from p2pmpc.dictionary import Dictionary, read_dictionary
from p2pmpc.errors import LocalError, MemberMissing, NotFound, WrongUsage, error_from_json
from p2pmpc.folder import as_typed
from p2pmpc.policy import Policy
from p2pmpc.study import Study, read_study

if TYPE_CHECKING:
    import pandas as pd

    from p2pmpc.answer import Answer

__all__ = ["PREFIX_MIN", "QUIET_S_MAX", "Line", "Node", "StudyHandle", "connect", "waits_for"]

ASK_S = 30.0  # the node answers at once; a busy machine may need a moment
LOAD_S = 3600.0  # reading and checking a large file
POLL_S = 20.0  # one wait for news; the node allows up to 30
QUIET_S = 5.0  # without news a reader is told who is waited for, then after twice as long
QUIET_S_MAX = 600.0
PREFIX_MIN = 6  # hexadecimal digits of a study's id: fewer meet others by chance
SOCKET = "control.sock"  # in the node's folder

Line = Callable[[Mapping[str, Any]], None]  # is given each line of a study's story as it comes


def connect(home: str | Path) -> Node:
    """The running node of this folder, or behind this control socket.

    Raises LocalError when no node runs there.
    """
    path = Path(home).expanduser()
    socket = path / SOCKET if path.is_dir() else path
    if not socket.exists():
        raise LocalError(
            f"no node is running in {path}",
            file=str(path),
            next=f"Start it: p2pmpc node start --node {as_typed(path)}",
        )
    client = NodeClient(socket, "")
    status = client.get("/status", ASK_S)
    return Node(str(status["name"]), client)


@dataclass(frozen=True, slots=True)
class Node:
    """A member's own running node. All calls raise LocalError when it no longer answers."""

    name: str
    client: NodeClient = field(repr=False)

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at a path of the control interface. Raises what the node answers."""
        return self.client.get(path, ASK_S)

    def post(self, path: str, body: Mapping[str, Any], timeout_s: float = ASK_S) -> dict[str, Any]:
        """Send a JSON object to a path of the control interface. Raises what the node answers."""
        return self.client.post(path, body, timeout_s)

    # ---- the network ----

    def status(self) -> dict[str, Any]:
        """Name, fingerprint, members, links, data sets, the state of every study."""
        return self.get("/status")

    def card(self) -> bytes:
        """This member's card, as the others need it."""
        return _bytes(self.get("/card")["card"])

    def members(self) -> pd.DataFrame:
        """One row a member: name, fingerprint, address, link, since (seconds)."""
        return _frame(self.get("/members")["members"], MEMBER_COLUMNS)

    def found(self, title: str, cards: Sequence[bytes]) -> str:
        """Make this node a member of the network of these cards; the network's 64 hex digits.

        Raises WrongUsage if it belongs to one, LogError naming a card that is unsound.
        """
        body = {"name": title, "cards": [_text(card) for card in cards]}
        return str(self.post("/network", body)["network"])

    # ---- data ----

    def add_data(
        self,
        path: str | Path | Sequence[str | Path],
        dictionary: Dictionary | str | Path,
        encoding: str | None = None,
    ) -> dict[str, Any]:
        """Offer a data set: read and checked here, and only then described to the others.

        path        one CSV or Parquet file, or several that are read one after another
        dictionary  a Dictionary, or the path of a dictionary file
        encoding    "latin-1" where a file is in that; Unicode is recognised

        Returns rows and notes, which nobody else is told. Raises BadDictionary, BadData naming
        file, row and column, NotFound.
        """
        paths = [path] if isinstance(path, str | Path) else list(path)
        described = (
            dictionary if isinstance(dictionary, Dictionary) else read_dictionary(dictionary)
        )
        body: dict[str, Any] = {
            "paths": [str(Path(one).expanduser().resolve()) for one in paths],
            "dictionary": _text(described.to_bytes()),
        }
        if encoding is not None:
            body["encoding"] = encoding
        return self.post("/data", body, LOAD_S)

    def datasets(self) -> list[dict[str, Any]]:
        """This member's own data sets, with their rows and files."""
        return list(self.get("/datasets")["datasets"])

    def catalogue(self) -> pd.DataFrame:
        """What all members say they hold: one row a column of a data set.

        Columns: member, dataset, unit, column, type, units, minimum, maximum, levels, uses.
        """
        return _frame(self.catalogue_rows(), CATALOGUE_COLUMNS)

    def catalogue_rows(self) -> list[dict[str, Any]]:
        """The same as plain rows, sorted by member, data set and the dictionary's order."""
        return [
            _column_row(member, dictionary, place)
            for member, held in sorted(self.dictionaries().items())
            for _, dictionary in sorted(held.items())
            for place in range(len(dictionary.columns))
        ]

    def dictionaries(self) -> dict[str, dict[str, Dictionary]]:
        """Member -> data set -> its public description."""
        return _dictionaries(self.get("/catalogue")["members"])

    def check(self, study: Study) -> Resolved:
        """The study against the catalogue and this member's rules, before anybody is asked.

        Raises BadStudy, Mismatch, Refused naming the member, data set or column.
        """
        found = self.get("/catalogue")
        if not found["members"]:
            raise NotFound(
                "this node belongs to no network yet",
                next="Found one (p2pmpc network found) or join one (p2pmpc network join FILE).",
            )
        catalogue = _dictionaries(found["members"])
        return resolve(study, catalogue, {self.name: Policy.from_bytes(_bytes(found["rules"]))})

    def quote(self, study: Study) -> dict[str, Any]:
        """What the study would draw of correlations: needs, missing, missing_seconds, missing_mb
        and `said`, a sentence about it. Raises what `check` raises."""
        return self.post("/quote", {"study": _text(study.to_bytes())})

    # ---- studies ----

    def studies(self) -> pd.DataFrame:
        """One row a study: study, title, state, proposer, waits_for, expires_ms."""
        return _frame(self.get("/studies")["studies"], STUDY_COLUMNS)

    def study(self, id: str) -> StudyHandle:  # noqa: A002  the word of the interface
        """A study by its id, or by the first digits of it (six at least).

        Raises NotFound when there is none, WrongUsage naming the candidates when there are several.
        """
        known = [str(one["study"]) for one in self.get("/studies")["studies"]]
        return StudyHandle(self, _the_one(id.lower(), known))

    def propose(self, study: Study | str | Path, expires_s: float | None = None) -> StudyHandle:
        """Sign a study and put it on record; all its members are asked from now on.

        expires_s  how long members may take to decide; None leaves it to the node's settings

        Raises BadStudy, Mismatch, Refused when the catalogue shows that it cannot run.
        """
        asked = study if isinstance(study, Study) else read_study(study)
        self.check(asked)
        body: dict[str, Any] = {"study": _text(asked.to_bytes())}
        if expires_s is not None:
            body["expires_s"] = expires_s
        return StudyHandle(self, str(self.post("/study", body)["study"]))

    # ---- the record ----

    def export_log(self) -> bytes:
        """This node's whole record as one file for an auditor (`p2pmpc log verify`)."""
        return _bytes(self.client.get("/log/export", LOAD_S)["bundle"])


@dataclass(frozen=True, slots=True)
class Quiet:
    """Until when a reader hears nothing: ever longer, so that two weeks fill no screen."""

    until: float
    gap_s: float

    @classmethod
    def since(cls, now: float) -> Quiet:
        """Something happened now."""
        return cls(now + QUIET_S, QUIET_S)

    def longer(self, now: float) -> Quiet:
        """It was said now that nothing happened."""
        gap_s = min(2 * self.gap_s, QUIET_S_MAX)
        return Quiet(now + gap_s, gap_s)


@dataclass(frozen=True, slots=True)
class StudyHandle:
    """One study as this member's node knows it."""

    node: Node
    id: str

    def facts(self) -> dict[str, Any]:
        """All that the node says of it: title, state, decisions, who is waited for, a review."""
        return self.node.get(f"/study/{quote(self.id, safe='')}")

    @property
    def state(self) -> str:
        """proposed, agreed, ready, computing, checked, releasing, opening, or how it ended:
        answered, withheld, refused, expired, withdrawn, revoked, failed."""
        return str(self.facts()["state"])

    def wait(self, timeout_s: float, tell: Line | None = None) -> str:
        """Wait until the study has ended here; the state that it ended in.

        tell  is given each line of the story as it comes; where nothing happens, ever more rarely
              who is waited for
        Raises MemberMissing naming who is waited for when `timeout_s` (math.inf: never) is over.
        """
        deadline, after, quiet = time.monotonic() + timeout_s, 0, Quiet.since(time.monotonic())
        while True:
            now = time.monotonic()
            found = self._news(after, max(0.0, min(POLL_S, deadline - now, quiet.until - now)))
            for line in found["events"]:
                after = max(after, int(line["n"]))
                if tell is not None:
                    tell(line)
            if found["state"] != "running":
                return self.state
            if found["events"]:
                quiet = Quiet.since(time.monotonic())
            elif time.monotonic() >= quiet.until:
                quiet = quiet.longer(time.monotonic())
                if tell is not None:
                    tell({"event": "waiting", "member": "", "text": self._silence()})
            if now >= deadline:
                raise self._late(timeout_s)

    def _silence(self) -> str:
        """What goes on while nothing is heard, and who is waited for."""
        facts = self.facts()
        if facts["state"] == "proposed":
            return f"for {waits_for(facts)} to decide"
        missing = f", waiting for {waits_for(facts)}" if facts["waits_for"] else ""
        return f"the study is {facts['state']}{missing}"

    def _news(self, after: int, wait_s: float) -> dict[str, Any]:
        path = f"events?after={after}&wait={wait_s:g}"
        return self.node.client.study(self.id, path, wait_s + ASK_S)

    def _late(self, timeout_s: float) -> MemberMissing:
        facts = self.facts()
        missing = list(facts["waits_for"])
        return MemberMissing(
            f"study {self.id[:16]} is {facts['state']} after {timeout_s:g} s"
            + (f" and waits for {', '.join(missing)}" if missing else ""),
            member=missing[0] if missing else None,
            next="Ask them to decide, or wait again: the study goes on by itself.",
        )

    def answer(self) -> Answer:
        """The answer with its receipt, at a recipient. Raises the error that ended the study,
        NotFound before the end and at a member that is no recipient."""
        from p2pmpc.answer import Answer

        self._ended_well()
        found = Answer.from_json(self.node.client.study(self.id, "result", ASK_S))
        return found.with_proof(self.receipt)

    def _ended_well(self) -> None:
        facts = self.facts()
        if facts["ended"] is not None and facts["state"] != "withheld":
            raise error_from_json(facts["ended"])

    @property
    def receipt(self) -> bytes:
        """The receipt's bytes, at a recipient (`p2pmpc study receipt FILE` checks them)."""
        return _bytes(self.node.client.study(self.id, "receipt", ASK_S)["receipt"])

    def story(self) -> list[str]:
        """What happened so far as plain lines."""
        return [
            f"{line['member']}: {line['text']}" if line["member"] else str(line["text"])
            for line in self._news(0, 0.0)["events"]
        ]

    def approve(self, why: str) -> None:
        """Consent to exactly this study. Raises Refused when it was decided or has ended."""
        self.decide(True, why, self.facts()["hash"])

    def refuse(self, why: str) -> None:
        """Refuse it for all members. Raises Refused when it was decided or has ended."""
        self.decide(False, why, self.facts()["hash"])

    def decide(self, approve: bool, why: str, hash: str) -> None:  # noqa: A002  the interface's word
        """Approve or refuse the study with this hash (64 hex digits). Raises as these do, and
        WrongUsage when the hash is another study's."""
        body = {"approve": approve, "why": why, "hash": hash}
        self.node.post(f"/study/{self.id}/decision", body)

    def withdraw(self, why: str) -> None:
        """Take back one's own proposal. Raises Refused for another member's, or after its end."""
        self.node.post(f"/study/{self.id}/withdraw", {"why": why})

    def revoke(self, why: str) -> None:
        """Take back one's own consent; ends the study. Raises Refused when it is too late."""
        self.node.post(f"/study/{self.id}/revoke", {"why": why})


# ---- rows for tables and frames ----

MEMBER_COLUMNS = ("name", "fingerprint", "address", "link", "since_s")
STUDY_COLUMNS = ("study", "title", "state", "proposer", "waits_for", "expires_ms")
CATALOGUE_COLUMNS = (
    *("member", "dataset", "unit", "column", "type", "units", "minimum", "maximum"),
    *("levels", "uses"),
)


def _dictionaries(found: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Dictionary]]:
    return {
        member: {name: Dictionary.from_bytes(_bytes(data)) for name, data in held.items()}
        for member, held in found.items()
    }


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([[row.get(name) for name in columns] for row in rows], columns=[*columns])


def _column_row(member: str, dictionary: Dictionary, place: int) -> dict[str, Any]:
    column = dictionary.columns[place]
    return {
        "member": member,
        "dataset": dictionary.name,
        "unit": dictionary.unit,
        "column": column.name,
        "type": column.type,
        "units": column.units,
        "minimum": None if column.minimum is None else str(column.minimum),
        "maximum": None if column.maximum is None else str(column.maximum),
        "levels": list(column.levels),
        "uses": list(column.uses),
    }


def _the_one(start: str, known: Sequence[str]) -> str:
    """The only id that begins like this."""
    found = [one for one in known if one.startswith(start)]
    if start in known or (len(found) == 1 and len(start) >= PREFIX_MIN):
        return start if start in known else found[0]
    if len(start) < PREFIX_MIN:
        raise WrongUsage(
            f"{start!r} is too short for a study's id: give its first {PREFIX_MIN} digits at least",
            next="p2pmpc study list shows the ids.",
        )
    if found:
        raise WrongUsage(
            f"{start} could be {' or '.join(one[:16] for one in found)}",
            next="Give more digits of the one that you mean.",
        )
    raise NotFound(
        f"this node knows no study {start[:16]!r}",
        next="p2pmpc study list shows those that it knows.",
    )


def waits_for(facts: Mapping[str, Any]) -> str:
    """Who is waited for, for a sentence; 'nobody' when all have done their part."""
    return ", ".join(facts.get("waits_for") or ()) or "nobody"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError:
        raise LocalError("the node's answer holds a field that is not base64") from None
