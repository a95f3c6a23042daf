"""Batches of correlations that parties made before a study; each serves one study, or none.

What       `make` makes wires and correlations for the same parties later on and has everybody
           confirm that it holds all of it; `begin`, a study's first round, compares what each
           party took from its pool and gives the wires and the batches that all of them hold;
           where one party has thin links, all say less and compute more (`protocols.silent`).
Against    honest-but-curious parties, n - 1 of whom may collude: what a batch holds was made by the
           protocols below, and ids say nothing about it. A party that says other ids to others is
           found out where broadcasts are compared, before anything opens.
Rounds     make: those of its parts, and 1; begin 1 with a wire that all hold, else as `connect`.
Bytes      to each peer, begin 2049 and the point of `connect`; make 32 and those of its parts.
Source     wires: the keys of one base OT, stretched to a set for each of many studies by a keyed
           hash (Ishai, Kilian, Nissim, Petrank, CRYPTO 2003, section 3: base OTs are seeds).

A ticket is one of many wires made of one `connect`: leaves of its own, from which those of other
tickets cannot be computed. The base choices are the same in all of them, as they are in all uses of
one wire: what a use shows of them goes through a hash under keys of that use. So who finds them
in a ticket that is left, and is the peer that holds the rows of tickets used before, opens those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from protocols import oblivious_transfer, supply
from protocols.abort import Suspected
from protocols.commitment import DIGEST_BYTES, digest
from protocols.exchange import broadcast
from protocols.oblivious_transfer import Trees, Wire, connect
from protocols.party import Expect, Parties, Party, Protocol, Round, Says, Seat, Step, Value, named
from protocols.stock import Foreign, Needs, Stock
from protocols.supply import batch as checked

__all__ = [
    "BATCHES_MAX",
    "MAKE_NAMES",
    "MAKE_ROUNDS",
    "ROUNDS",
    "TICKET_BYTES",
    "WIRE",
    "Batch",
    "Begun",
    "batch_id",
    "begin",
    "make",
    "tickets",
]

ROUNDS = (
    Says("batches", to="all", size="32 for each of 64 ids"),
    Says("links", to="all", size="1"),
)
MAKE_ROUNDS = (Says("held", to="all", size="32"),)
MAKE_NAMES = frozenset(
    says.name
    for rounds in (MAKE_ROUNDS, oblivious_transfer.ROUNDS, supply.ROUNDS)
    for says in rounds
)
WIRE = "wire"  # the kind of a ticket; every other kind is one of `protocols.stock`
THIN = "silent"
TICKET_BYTES = 17_000  # of one peer, about: trees of depth 4
BATCHES_MAX = 64  # of one study: a wire and a few of each kind
FIELDS = ("lacking", "path", "secret", "whole")  # of a ticket, for each peer


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """One party's part of `units` correlations of one kind. Secret, but for id, kind and units.

    arrays  owned by the batch alone and writable, so that `burn` leaves nothing of them: those of
            a ticket, else of the kind in their order, "0", "1" and so on
    """

    id: bytes
    parties: Parties
    kind: str
    units: int
    arrays: Mapping[str, Value]

    def __repr__(self) -> str:
        return f"Batch({self.units} {self.kind}, <redacted>)"

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def burn(self) -> None:
        """Overwrite it: nobody uses it any more."""
        for array in self.arrays.values():
            array.fill(0)


def batch_id(session: bytes, kind: str, number: int) -> bytes:
    """32 bytes, the same at all parties of the fill that made the batch."""
    return digest("p2pmpc/batch/1", session, kind.encode(), number.to_bytes(8, "big"))


# ---- wires ---------------------------------------------------------------------------------------


def tickets(seat: Seat, session: bytes, count: int) -> list[Batch]:
    """So many single-use wires to the peers of a seat with wires, whose owner then drops those."""
    return [
        Batch(
            batch_id(session, WIRE, number),
            seat.parties,
            WIRE,
            1,
            _ticket(seat.wires, f"ticket/{number}"),
        )
        for number in range(count)
    ]


def _ticket(wires: Mapping[Party, Wire], label: str) -> dict[str, Value]:
    """Leaves of its own, hashed one-way: who finds a ticket cannot compute another."""
    found: dict[str, Value] = {}
    for peer, wire in sorted(wires.items()):
        fork = wire.fork(label)
        found[f"{peer}/lacking"] = _as_words(fork.lacking_leaves())
        found[f"{peer}/path"] = np.frombuffer(fork.path, np.uint8).copy()
        found[f"{peer}/secret"] = fork.trees.secret.copy()
        found[f"{peer}/whole"] = _as_words(fork.whole_leaves())
    return found


def _as_words(leaves: Value) -> Value:
    return np.ascontiguousarray(leaves).view("<u8").astype(np.uint64)


def _wires(seat: Seat, session: bytes, ticket: Batch) -> dict[Party, Wire]:
    """The ticket's wires, for this session alone."""
    found = {}
    for peer in seat.peers:
        lacking, path, secret, whole = (ticket.arrays[f"{peer}/{part}"].copy() for part in FIELDS)
        lacking[:, 0] = 0  # the leaf that this party does not know
        wire = Wire(seat.me, peer, Trees(secret, whole, lacking), path.tobytes())
        found[peer] = wire.fork(f"session {session.hex()}")
    return found


# ---- a fill --------------------------------------------------------------------------------------


def make(
    seat: Seat, session: bytes, kinds: Sequence[tuple[str, int]]
) -> Protocol[tuple[Batch, ...]]:
    """A batch of each kind, and a ticket a unit of wires, once all parties hold all of them.

    seat   without wires; kinds: (kind, units), each once, the same at all parties
    Raises ValueError for what is no kind, Suspected naming a party that holds something else,
    Inconsistent where what was made does not hold together.
    """
    needs = Needs({kind: units for kind, units in kinds if kind != WIRE})
    wired = replace(seat, wires=(yield from named("wires", connect(seat.fork("wires")))))
    found = []
    for kind, units in needs.counts.items():
        made = yield from named(kind, checked(wired.fork(kind), kind, units))
        arrays = {str(k): array for k, array in enumerate(made)}
        found.append(Batch(batch_id(session, kind, 0), seat.parties, kind, units, arrays))
    found += tickets(wired, session, dict(kinds).get(WIRE, 0))
    yield from _confirm(seat, session, kinds)
    return tuple(found)


def _confirm(seat: Seat, session: bytes, kinds: Sequence[tuple[str, int]]) -> Protocol[None]:
    """Everybody says that it holds all of it; nobody uses what another may not have."""
    parts = [part for kind, units in kinds for part in (kind.encode(), units.to_bytes(8, "big"))]
    mine = np.frombuffer(digest("p2pmpc/held/1", session, *parts), np.uint8)
    said = yield from broadcast(seat, "held", mine)
    for peer in seat.peers:
        if not np.array_equal(said[peer], mine):
            raise Suspected(peer, "holds other correlations than were agreed")


# ---- a study begins ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Begun:
    """A study's wires, how all stretch them (`Seat.extension`), and what all parties hold of other
    kinds; None where that is nothing."""

    wires: Mapping[Party, Wire]
    extension: str
    stock: Stock | None


def begin(seat: Seat, session: bytes, held: Sequence[Batch]) -> Protocol[Begun]:
    """Wires for this session: those of a ticket that all parties hold, else new ones.

    seat  its `extension` is what this party would have: silent where one party says so
    held  what this party has taken from its pool for this study, at most 64 batches; what not all
          parties hold is burnt, and so is a second ticket
    Raises Foreign, ValueError for more of them, before anything is said; Suspected naming a party
    that says neither.
    """
    _check_own(seat, held)
    connecting = named("wires", connect(seat.fork("wires")))
    try:
        first = yield from _until_round(connecting)
        heard = yield _with_ids(seat, first, _ids(held))
        kept = _common(seat, held, heard)
        extension = _agreed(seat, heard)
        wires = [batch for batch in kept if batch.kind == WIRE]
        if wires:
            found = _wires(seat, session, wires[0])
        else:
            found = yield from _rest(connecting, {key: heard[key] for key in first.hears})
        for batch in wires:
            batch.burn()
        others = [one for one in kept if one.kind != WIRE]
        return Begun(found, extension, _stock(seat, session, others))
    finally:
        connecting.close()


def _stock(seat: Seat, session: bytes, batches: Sequence[Batch]) -> Stock | None:
    """All of these as one stock, for this session alone; the batches are empty afterwards."""
    if not batches:
        return None
    stock = Stock(seat.me, seat.parties, session.hex())
    for batch in batches:
        stock.put(batch.kind, tuple(batch.arrays[str(k)].copy() for k in range(len(batch.arrays))))
        batch.burn()
    return stock


def _until_round(protocol: Protocol[dict[Party, Wire]]) -> Protocol[Round]:
    step: Step = next(protocol)
    while not isinstance(step, Round):
        step = protocol.send((yield step))
    return step


def _rest(
    protocol: Protocol[dict[Party, Wire]], heard: Mapping[tuple[Party, str], Value]
) -> Protocol[dict[Party, Wire]]:
    try:
        step = protocol.send(heard)
        while True:
            step = protocol.send((yield step))
    except StopIteration as stop:
        found: dict[Party, Wire] = stop.value
        return found


def _check_own(seat: Seat, held: Sequence[Batch]) -> None:
    if len(held) > BATCHES_MAX:
        raise ValueError(f"a study takes at most {BATCHES_MAX} batches, not {len(held)}")
    for batch in held:
        if batch.parties != seat.parties:
            made, here = ", ".join(batch.parties), ", ".join(seat.parties)
            raise Foreign(f"{batch.kind}: made among {made}, and this study is among {here}")


def _ids(held: Sequence[Batch]) -> Value:
    ids = np.zeros((BATCHES_MAX, DIGEST_BYTES), dtype=np.uint8)
    for row, batch in enumerate(held):
        ids[row] = np.frombuffer(batch.id, np.uint8)
    return ids


def _with_ids(seat: Seat, step: Round, mine: Value) -> Round:
    own = {"batches": mine, "links": np.array([seat.extension == THIN], dtype=np.uint8)}
    return Round(
        {**step.says, **{(peer, name): own[name] for peer in seat.peers for name in own}},
        {
            **step.hears,
            **{
                (peer, name): Expect("uint8", own[name].shape)
                for peer in seat.peers
                for name in own
            },
        },
        {**step.broadcasts, **dict.fromkeys(own, seat.parties)},
    )


def _agreed(seat: Seat, heard: Mapping[tuple[Party, str], Value]) -> str:
    """Silent where any party has thin links; what each says is a broadcast."""
    said = {peer: int(heard[peer, "links"][0]) for peer in seat.peers}
    for peer, thin in sorted(said.items()):
        if thin > 1:
            raise Suspected(peer, "says neither that its links are thin nor that they are not")
    return THIN if any(said.values()) else seat.extension


def _common(
    seat: Seat, held: Sequence[Batch], heard: Mapping[tuple[Party, str], Value]
) -> list[Batch]:
    """Batches that everybody holds, in order of id: the same list at all parties."""
    theirs = [{row.tobytes() for row in heard[peer, "batches"]} for peer in seat.peers]
    kept = []
    for batch in sorted(held, key=lambda batch: batch.id):
        if all(batch.id in said for said in theirs):
            kept.append(batch)
        else:
            batch.burn()
    return kept
