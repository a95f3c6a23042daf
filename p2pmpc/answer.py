"""The answer to a study: the JSON of the interface, and the same as frames, figures and plain text.

pandas and Matplotlib are imported only when a frame or a figure is asked for.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from p2pmpc.errors import LocalError, LogError, NotFound, RemoteError, Withheld
from p2pmpc.toml import suggest

if TYPE_CHECKING:
    import pandas as pd

    from p2pmpc.certificate import Receipt

__all__ = [
    "INTEGRITY",
    "Answer",
    "AnswerReceipt",
    "StatisticAnswer",
    "Suppressed",
    "labels_first",
]

# What every answer rests on, in the words that README, reviews and answers share.
INTEGRITY = (
    "This holds if every member followed the protocol. Caught: telling two members different "
    "things, showing a share other than the one committed to, threshold checks whose correlations "
    "are wrong throughout. Not caught: false rows, a share wrong from the start, correlations "
    "spoilt with care."
)
Scalar = float | int | str | bool | None
# What a row is about stands before its numbers, whatever order the columns came in.
LABELS = ("group", "variable", "row", "column", "level", "term", "a", "b", "low", "high", "time")
COUNTS_BESIDE = ("left_out", "missing")
ROWS_SHOWN_MAX = 60  # of one table in plain text; frames and JSON have them all


class Suppressed(msgspec.Struct, frozen=True):
    """A cell that is not given, by which rule, and what would pass."""

    row: Scalar = None
    column: Scalar = None
    rule: str = ""
    would_pass: str = ""


class StatisticAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One statistic's answer. With `released` false, `reason` and `would_pass` say why not.

    `values` maps names to scalars (per group under "groups"); `table` is a list of rows; None is a
    number that is not given. `opened` lists what was opened on the way.
    """

    kind: str
    released: bool = True
    n: int | None = None
    left_out: int | None = None
    values: dict[str, Any] = {}
    table: tuple[dict[str, Scalar], ...] = ()
    method: str = ""
    opened: tuple[str, ...] = ()
    precision: str = ""
    suppressed: tuple[Suppressed, ...] = ()
    noise: str | None = None
    caveats: tuple[str, ...] = ()
    reason: str | None = None
    would_pass: str | None = None

    @property
    def complete(self) -> bool:
        """Everything that was asked for is there; how many were left out may stay suppressed."""
        return self.released and all(cell.column in COUNTS_BESIDE for cell in self.suppressed)

    def frame(self) -> pd.DataFrame:
        """The table as a DataFrame, one row a table row; without a table one row of the scalars.

        Raises Withheld when the statistic was not released, LocalError without pandas.
        """
        self._released()
        try:
            import pandas as pd
        except ImportError:
            raise LocalError("frame() needs pandas", next="Run `pip install pandas`.") from None
        if self.table:
            made = pd.DataFrame(list(self.table), columns=list(labels_first(self.table)))
            numbers = [name for name in made if name not in LABELS and made[name].isna().all()]
            return made.astype(dict.fromkeys(numbers, "float64"))
        return pd.DataFrame([{k: v for k, v in self.values.items() if not _nested(v)}])

    def plot(self) -> Any:
        """A Matplotlib Figure: bars, a heat map or a forest of intervals, by kind.

        Raises Withheld when not released, LocalError without Matplotlib, NotFound for kinds that
        have no figure.
        """
        from p2pmpc.figure import figure

        self._released()
        return figure(self)

    def lines(self, name: str) -> Iterator[str]:
        """The statistic as plain text."""
        if not self.released:
            yield f"{name} ({self.kind}): withheld. {self.reason or ''}".rstrip()
            if self.would_pass:
                yield f"  what would pass: {self.would_pass}"
            return
        yield f"{name} ({self.kind}){self._counts()}"
        scalars = {key: value for key, value in self.values.items() if not _nested(value)}
        if scalars:
            yield "  " + ", ".join(f"{key} = {_shown(value)}" for key, value in scalars.items())
        yield from _text_table(self.table)
        for cell in self.suppressed:
            place = ", ".join(
                str(part) for part in (cell.row, cell.column) if part not in (None, "")
            )
            yield f"  suppressed: {place or 'a number'} ({cell.rule})"
        for caveat in self.caveats:
            yield f"  note: {caveat}"

    def _counts(self) -> str:
        text = "" if self.n is None else f", n = {self.n}"
        return f"{text}, {self.left_out} left out" if self.left_out else text

    def _released(self) -> None:
        if not self.released:
            raise Withheld(
                f"this {self.kind} was not released: {self.reason or 'no reason was given'}",
                next=f"What would pass: {self.would_pass}" if self.would_pass else "",
            )


class AnswerReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What proves the answer. `certificate` is the hash of the release certificate, in hex;
    `log_heads` the members' records at that time; `signers` who signed it. `proof` is the whole
    receipt in base64, or "" where the answer came without it.
    """

    certificate: str = ""
    log_heads: dict[str, Any] = {}
    signers: tuple[str, ...] = ()
    proof: str = ""

    def verify(self) -> None:
        """Check all signatures, commitments and opened integers, offline.

        Raises LogError naming what fails, NotFound when the answer came without its receipt.
        """
        self._checked()

    def _checked(self) -> Receipt:
        from p2pmpc.certificate import certificate_hash, check_receipt, read_receipt

        if not self.proof:
            raise NotFound(
                "this answer came without its receipt, so nothing can be verified",
                next="`p2pmpc study receipt` fetches it from a recipient's node.",
            )
        try:
            data = base64.b64decode(self.proof, validate=True)
        except ValueError:
            raise LogError("the receipt is not base64") from None
        receipt = read_receipt(data)
        check_receipt(receipt)
        if self.certificate and certificate_hash(receipt.certificate).hex() != self.certificate:
            raise LogError("the receipt belongs to another answer")
        return receipt

    def answer(self) -> Answer:
        """The answer inside the receipt, after the same checks as `verify`."""
        return Answer.from_json(self._checked().answer)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a study. `answer["name"]` is one statistic.

    `members` contributed; `absent` are optional members that did not. `released` is true only when
    everything that was asked for is there. `integrity` says what was checked, and what no check
    finds.
    """

    study: str
    released: bool
    members: tuple[str, ...]
    absent: tuple[str, ...] = ()
    statistics: dict[str, StatisticAnswer]
    integrity: str = ""
    receipt: AnswerReceipt = AnswerReceipt()

    def __getitem__(self, name: str) -> StatisticAnswer:
        found = self.statistics.get(name)
        if found is None:
            raise NotFound(
                f"the answer has no statistic {name!r}{suggest(name, self.statistics)}",
                next=f"It has {', '.join(self.statistics)}.",
            )
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.statistics)

    def __len__(self) -> int:
        return len(self.statistics)

    def with_proof(self, receipt: bytes) -> Answer:
        """The same answer with its whole receipt, so that `receipt.verify()` can check it."""
        proof = base64.b64encode(receipt).decode()
        return msgspec.structs.replace(
            self, receipt=msgspec.structs.replace(self.receipt, proof=proof)
        )

    def verify(self) -> None:
        """Check the receipt, and that this is the answer it was given for. Raises as it does."""
        if self.receipt.answer().statistics != self.statistics:
            raise LogError("these numbers are not those of the receipt")

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | str | bytes) -> Answer:
        """From the JSON object of the interface; fields added later are ignored. RemoteError."""
        try:
            found = json.loads(value) if isinstance(value, str | bytes) else value
            return msgspec.convert(found, cls, strict=True)
        except (msgspec.ValidationError, ValueError, RecursionError) as fault:
            raise RemoteError(f"an answer cannot be read: {fault}") from None

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the interface."""
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        if not self.receipt.proof:
            del found["receipt"]["proof"]
        return found

    @property
    def heading(self) -> str:
        """The first line: how many members of how many, and n."""
        asked = len(self.members) + len(self.absent)
        counts = sorted({one.n for one in self.statistics.values() if one.n is not None})
        n = "" if not counts else f", n = {counts[0]}"
        if len(counts) > 1:
            n = f"{n} to {counts[-1]}"
        return f"{len(self.members)} of {asked} members{n}"

    def lines(self) -> Iterator[str]:
        """The whole answer as plain text for a terminal."""
        yield self.heading
        if self.absent:
            yield f"without {', '.join(self.absent)}"
        for name, one in self.statistics.items():
            yield ""
            yield from one.lines(name)
        if self.integrity:
            yield ""
            yield self.integrity

    def __str__(self) -> str:
        return "\n".join(self.lines())


def labels_first(table: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """All columns of a table: those that say what a row is about, then the others as they come."""
    found = dict.fromkeys(key for row in table for key in row)
    return (*(key for key in LABELS if key in found), *(k for k in found if k not in LABELS))


def _nested(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _shown(value: Scalar) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _text_table(table: Sequence[Mapping[str, Scalar]]) -> Iterator[str]:
    if not table:
        return
    columns = labels_first(table)
    rows = [columns, *([_shown(row.get(key)) for key in columns] for row in table[:ROWS_SHOWN_MAX])]
    widths = [max(len(row[place]) for row in rows) for place in range(len(columns))]
    for row in rows:
        cells = (text.rjust(width) for text, width in zip(row, widths, strict=True))
        yield ("  " + "  ".join(cells)).rstrip()
    if len(table) > ROWS_SHOWN_MAX:
        yield f"  and {len(table) - ROWS_SHOWN_MAX} more rows"
