"""Which rows are the same person's, as shares: a star of pairwise OPPRFs around each leader.

Every member of the first table leads for its own rows. For a leader L the group is L, the members
of all other tables, and, where persons count once, the members of the first table that stand before
L. L's rows lie in the bins of a public number B; every result has one row a bin, in L's own order.

    pair    L and each member of each table, in each pass: OPPRF, then a comparison on shares, give
            an XOR-shared flag a bin. Passes 2.. are brought into the bins of pass 1 by a
            permutation that L alone knows. A row takes the earliest pass that links it; the
            features of a row that is not linked become exactly zero.
    table   over the members of one table features add up; with count_once the member that stands
            first wins, and those of later ones become zero.
    keep    with count_once a row of L that links, in any pass, with a row of an earlier member of
            the first table is dropped: the features of one other table become zero, or, where
            there is none, the result is a shared 1 or 0 a row.

A member may hold several tables, and L itself may hold rows of another table: that pair is linked
by L alone and shared as the plain value plus zeros. With count_once a row wins, or drops another,
whether its owner's `where` keeps it or not: the person was seen there.

Against whom: honest but curious parties, any n - 1 of them. Nothing opens, the size of the overlap
included; what is public is the plan. A deviating party can spoil links and is not caught.
Rounds: for the pairs those of OPPRF and `equal_words`, for K > 1 passes of `permute` and K - 1
times `and_bits`, and of `select`, filled up with idle ones to a public bound; then, for tables of
m > 1 members with count_once, m - 2 times `and_bits` and once `select`, and likewise for the
earlier members of the first table. Bytes: those of these parts.
Source: the star with shared sums after PSTY19 and RS21; the passes after Private-ID's waterfall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from protocols.arithmetic import and_bits, bits_to_ring, select
from protocols.comparison import equal_words
from protocols.linkage.hashing import CLASS_MAX, bins_of, size_class
from protocols.linkage.opprf import (
    LeaderTable,
    SenderRows,
    lead_table,
    opprf_leader,
    opprf_sender,
)
from protocols.linkage.tokens import PASSES_MAX
from protocols.party import Parties, Party, Protocol, Round, Seat, together
from protocols.permutation import permute
from protocols.randomness import Randomness
from protocols.ring import Ring

__all__ = ["KEEP", "Cohort", "Holding", "LinkPlan", "cohort"]

KEEP = "#keep"  # stands for the other tables where there is none; no alias may hold a #
TAG_BITS = 64

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Indexes = npt.NDArray[np.int64]
Keys = list[bytes | None]
Pair = tuple[str, Party]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """What is public about a linkage; every party holds the same.

    tables      (alias, members in order); the first table's members lead
    passes      K, tried in order
    sizes       size class of each (alias, member), from `hashing.size_class`
    widths      features a row of each alias but the first
    words       of the ring the features live in: 1 or 2
    """

    tables: tuple[tuple[str, Parties], ...]
    passes: int
    sizes: Mapping[Pair, int]
    widths: Mapping[str, int]
    words: int
    count_once: bool

    def __post_init__(self) -> None:
        aliases = [alias for alias, _ in self.tables]
        if not aliases or len(set(aliases)) != len(aliases) or KEEP in aliases:
            raise ValueError("a linkage names one or more tables, each once")
        if not 1 <= self.passes <= PASSES_MAX:
            raise ValueError(f"a linkage has 1 to {PASSES_MAX} passes, not {self.passes}")
        for alias, members in self.tables:
            for member in members:
                size = self.sizes[alias, member]
                if size > CLASS_MAX or size != size_class(size):
                    raise ValueError(f"{alias} of {member}: {size} is not a size class")

    @property
    def leading(self) -> str:
        """The alias whose rows the linked answer is over."""
        return self.tables[0][0]

    @property
    def leaders(self) -> Parties:
        """Its members; each leads one star for its own rows."""
        return self.tables[0][1]

    def bins(self, leader: Party) -> int:
        """The cuckoo bins of this leader's table: public, by its size class."""
        return bins_of(self.sizes[self.leading, leader])

    def earlier(self, leader: Party) -> Parties:
        """Members of the first table whose rows win over the leader's."""
        return self.leaders[: self.leaders.index(leader)] if self.count_once else ()

    def pairs(self, leader: Party) -> tuple[Pair, ...]:
        """(alias, member) whose rows are linked to the leader's, in the order of the plan."""
        others = tuple((alias, member) for alias, held in self.tables[1:] for member in held)
        return (*((self.leading, member) for member in self.earlier(leader)), *others)

    def group(self, leader: Party) -> Parties:
        """Who takes part when this leader leads."""
        return tuple(sorted({leader, *(member for _, member in self.pairs(leader))}))


@dataclass(frozen=True, slots=True, repr=False)
class Holding:
    """One member's rows of one alias, as `tokens.unique_keys` leaves them. Secret.

    keys      for each pass the key of each row, or None
    keep      bool (rows,): rows that count; a row that does not holds no key
    features  int64 (rows, c); zero where the owner's `where` or a missing value drops the row.
              A leader's own features are not used here: `Cohort.place` lays them out
    """

    keys: tuple[Keys, ...]
    keep: npt.NDArray[np.bool_]
    features: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, repr=False)
class Cohort:
    """One leader's linked rows. shared: for each other alias uint64 (B, c, w), additive shares.

    slots  int64 (rows,), at the leader alone: the bin of each of its rows, -1 where it has none
    """

    bins: int
    shared: Mapping[str, Words]
    slots: Indexes | None

    def place(self, features: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The leader's own features int64 (rows, a) in their bins: (B, a), empty bins zero."""
        assert self.slots is not None, "only the leader has rows here"
        placed = np.zeros((self.bins, features.shape[1]), dtype=np.int64)
        placed[self.slots[self.slots >= 0]] = features[self.slots >= 0]
        return placed


@dataclass(frozen=True, slots=True, repr=False)
class _Lead:
    """What the leader alone knows: its tables, its rows' bins, and each pass's order of bins."""

    tables: list[LeaderTable]
    slots: Indexes
    orders: list[Indexes]  # of pass k: the bin of pass k that comes into each bin of pass 1


@dataclass(frozen=True, slots=True)
class _Star:
    """The public frame of one leader's linkage."""

    plan: LinkPlan
    ring: Ring
    leader: Party

    @property
    def bins(self) -> int:
        return self.plan.bins(self.leader)

    def sizes(self, pair: Pair) -> tuple[int, int]:
        return self.plan.sizes[self.plan.leading, self.leader], self.plan.sizes[pair]

    def cell(self, alias: str) -> tuple[int, int]:
        """Features a row, and words a feature; no features within the first table."""
        return 0 if alias == self.plan.leading else self.plan.widths[alias], self.plan.words

    def blank(self, alias: str) -> _Linked:
        features = self.ring.zeros((self.bins, self.cell(alias)[0]))
        return _Linked(np.zeros(self.bins, np.uint8), features)


@dataclass(frozen=True, slots=True, repr=False)
class _Linked:
    """Shares of one (alias, member): link bits uint8 (B,), and features uint64 (B, c, w)."""

    link: Bits
    features: Words


def cohort(
    seat: Seat, plan: LinkPlan, leader: Party, mine: Mapping[str, Holding]
) -> Protocol[Cohort]:
    """Link the rows of `leader`. `mine` holds this party's rows of each alias it is a member of.

    Every member of `plan.group(leader)` runs it, with a seat whose wires are connected; the cohorts
    of several leaders may run together.
    Raises ValueError when own rows do not fit the plan, Suspected when a peer's message does not.
    """
    seat, star = seat.among(plan.group(leader)), _Star(plan, Ring(plan.words), leader)
    _check_holdings(plan, mine, seat.me)
    lead = None
    if seat.me == leader:
        lead = yield from _lead(seat.rand.fork("lead"), star, mine[plan.leading])
    linked = yield from _link_pairs(seat, star, lead, mine)
    shared = yield from _join_tables(seat, star, linked)
    keep = yield from _keep_bits(seat, star, linked)
    shared = yield from _drop_rows(seat, star, keep, shared)
    return Cohort(star.bins, shared, None if lead is None else lead.slots)


# ---- the leader's rows ---------------------------------------------------------------------------


def _check_holdings(plan: LinkPlan, mine: Mapping[str, Holding], me: Party) -> None:
    for alias, members in plan.tables:
        if me not in members:
            continue
        held = mine[alias]
        if int(held.keep.sum()) > plan.sizes[alias, me]:
            raise ValueError(
                f"{alias} has more rows here than the {plan.sizes[alias, me]} that the plan allows"
            )
        shapes = {len(held.keep), len(held.features), *(len(keys) for keys in held.keys)}
        if len(held.keys) != plan.passes or len(shapes) != 1:
            raise ValueError(f"{alias}: {plan.passes} passes are due, one entry a row in each")
        if alias != plan.leading and held.features.shape[1] != plan.widths[alias]:
            raise ValueError(f"{alias}: {plan.widths[alias]} features are due a row")


def _lead(rand: Randomness, star: _Star, held: Holding) -> Protocol[_Lead]:
    size, bins = star.plan.sizes[star.plan.leading, star.leader], star.bins
    tables = yield from together(
        {
            f"{number:02d}": lead_table(_present(keys), size, rand.fork(f"pass/{number}"))
            for number, keys in enumerate(held.keys)
        }
    )
    ordered = [tables[name] for name in sorted(tables)]
    places = [_row_bins(keys, table) for keys, table in zip(held.keys, ordered, strict=True)]
    slots = _slots(places[0], held.keep, bins)
    return _Lead(ordered, slots, [_order(slots, place, bins) for place in places[1:]])


def _present(keys: Keys) -> list[bytes]:
    return [key for key in keys if key is not None]


def _row_bins(keys: Keys, table: LeaderTable) -> Indexes:
    """The bin of each row in one pass, -1 for a row without a key."""
    places = np.full(len(keys), -1, dtype=np.int64)
    places[[row for row, key in enumerate(keys) if key is not None]] = table.bins
    return places


def _slots(places: Indexes, keep: npt.NDArray[np.bool_], bins: int) -> Indexes:
    """A bin of pass 1 for every row that counts: its own, or else an empty one."""
    slots = places.copy()
    waiting = np.flatnonzero(keep & (places < 0))
    empty = np.setdiff1d(np.arange(bins), places)
    slots[waiting] = empty[: len(waiting)]
    return slots


def _order(slots: Indexes, places: Indexes, bins: int) -> Indexes:
    """int64 (B,): which bin of pass k comes into each bin; -1, for zeros, where none does."""
    order = np.full(bins, -1, dtype=np.int64)
    order[slots[places >= 0]] = places[places >= 0]
    return order


# ---- one pair ------------------------------------------------------------------------------------


def _link_pairs(
    seat: Seat, star: _Star, lead: _Lead | None, mine: Mapping[str, Holding]
) -> Protocol[dict[Pair, _Linked]]:
    """Every pair's shares; zeros for the pairs this party is not in."""
    linked = {pair: star.blank(pair[0]) for pair in star.plan.pairs(star.leader)}
    remote = {
        pair: _link_pair(
            seat.among((star.leader, pair[1])).fork("/".join(pair)),
            star,
            pair,
            lead if lead is not None else mine[pair[0]],
        )
        for pair in linked
        if pair[1] != star.leader and seat.me in (star.leader, pair[1])
    }
    pairs = together({"/".join(pair): remote[pair] for pair in remote})
    found = yield from _paced(pairs, _pair_rounds_max(star))
    linked |= {pair: found["/".join(pair)] for pair in remote}
    if lead is not None:
        leading = mine[star.plan.leading]
        linked |= {
            (alias, member): _link_alone(star, alias, (leading, mine[alias]), lead.slots)
            for alias, member in linked
            if member == star.leader
        }
    return linked


def _pair_rounds_max(star: _Star) -> int:
    """A public bound on the rounds of every pair of this star: generous, idle rounds are free.

    32 for the fixed steps and as many a pass, and one for every 2 MiB of what a pair says at most.
    """
    plan, pairs = star.plan, star.plan.pairs(star.leader)
    columns = 1 + max((plan.words * star.cell(alias)[0] for alias, _ in pairs), default=0)
    rows = max((plan.sizes[pair] for pair in pairs), default=0) * 4 + star.bins
    layers = 2 * star.bins.bit_length()
    said = rows * (8 * columns + 32) + star.bins * (TAG_BITS * 40 + layers * (16 + 8 * columns))
    return 32 + plan.passes * (32 + (said >> 21))


def _paced(protocol: Protocol[T], rounds: int) -> Protocol[T]:
    """The same protocol in exactly this many rounds, the rest of them idle.

    Pairs take different numbers of rounds (by their features and sizes), and one party may be in
    several: without this, roles of one leader's linkage would not count the same rounds.
    """
    taken, answer = 0, None
    try:
        while True:
            step = protocol.send(answer)
            taken += isinstance(step, Round)
            answer = yield step
    except StopIteration as stop:
        result: T = stop.value
    finally:
        protocol.close()
    assert taken <= rounds, f"a pair took {taken} rounds, more than its bound {rounds}"
    for _ in range(rounds - taken):
        yield Round()
    return result


def _link_pair(seat: Seat, star: _Star, pair: Pair, own: _Lead | Holding) -> Protocol[_Linked]:
    """One pair over all passes: own is the leader's tables, or the sender's rows."""
    passes = yield from together(
        {
            f"{number:02d}": _link_pass(seat.fork(f"pass/{number}"), star, pair, number, own)
            for number in range(star.plan.passes)
        }
    )
    links = [passes[name] for name in sorted(passes)]
    chosen, seen = [links[0].link], links[0].link
    for number, later in enumerate(links[1:], 1):
        again = yield from and_bits(seat.fork(f"seen/{number}"), seen, later.link)
        chosen.append(later.link ^ again)
        seen = seen ^ chosen[-1]
    terms = [link.features for link in links]
    if star.cell(pair[0])[0] == 0:
        return _Linked(seen, terms[0])
    picked = yield from _select_each(seat.fork("pick"), star.ring, chosen, terms)
    return _Linked(seen, _total(star.ring, picked))


def _link_pass(
    seat: Seat, star: _Star, pair: Pair, number: int, own: _Lead | Holding
) -> Protocol[_Linked]:
    """One pass: flags and unselected payload, in the bins of pass 1."""
    cell, sizes = star.cell(pair[0]), star.sizes(pair)
    if isinstance(own, _Lead):
        programmed = yield from opprf_leader(seat, pair[1], own.tables[number], sizes, cell)
    else:
        rows = _sender_rows(star.ring, own, number, cell[0])
        programmed = yield from opprf_sender(seat, star.leader, rows, star.ring, sizes)
    flags = yield from equal_words(seat.fork("equal"), programmed.tags, TAG_BITS)
    if number == 0:
        return _Linked(flags, programmed.payload)
    order = own.orders[number - 1] if isinstance(own, _Lead) else None
    values, bits = yield from permute(
        seat.fork("order"),
        star.ring,
        star.leader,
        order,
        star.bins,
        star.bins,
        programmed.payload,
        flags[:, None],
    )
    return _Linked(bits[:, 0], values)


def _sender_rows(ring: Ring, held: Holding, number: int, width: int) -> SenderRows:
    """The keys of one pass and their rows' features as ring elements (n, c, w)."""
    rows = [row for row, key in enumerate(held.keys[number]) if key is not None]
    return _present(held.keys[number]), ring.from_ints(held.features[rows, :width])


def _link_alone(
    star: _Star, alias: str, holdings: tuple[Holding, Holding], slots: Indexes
) -> _Linked:
    """The leader's rows against another table it holds itself: plain values as its share."""
    leading, other = holdings
    found = np.full(len(slots), -1, dtype=np.int64)
    for mine, theirs in zip(leading.keys, other.keys, strict=True):
        index = {key: row for row, key in enumerate(theirs) if key is not None}
        for row, key in enumerate(mine):
            if found[row] < 0 and key is not None:
                found[row] = index.get(key, -1)
    hit, linked = found >= 0, star.blank(alias)
    linked.link[slots[hit]] = 1
    linked.features[slots[hit]] = star.ring.from_ints(other.features[found[hit]])
    return linked


def _select_each(
    seat: Seat, ring: Ring, bits: Sequence[Bits], values: Sequence[Words]
) -> Protocol[list[Words]]:
    """Several selections in the same rounds."""
    picked = yield from together(
        {
            f"{number:03d}": select(seat.fork(f"select/{number}"), ring, chosen, terms)
            for number, (chosen, terms) in enumerate(zip(bits, values, strict=True))
        }
    )
    return [picked[name] for name in sorted(picked)]


def _total(ring: Ring, terms: Sequence[Words]) -> Words:
    total = terms[0]
    for term in terms[1:]:
        total = ring.add(total, term)
    return total


# ---- the whole group -----------------------------------------------------------------------------


def _join_tables(
    seat: Seat, star: _Star, linked: Mapping[Pair, _Linked]
) -> Protocol[dict[str, Words]]:
    """The features of every other alias, over its members."""
    tables = {
        alias: _join_members(
            seat.fork(f"table/{alias}"), star, [linked[alias, member] for member in members]
        )
        for alias, members in star.plan.tables[1:]
    }
    return (yield from together(tables))


def _join_members(seat: Seat, star: _Star, members: Sequence[_Linked]) -> Protocol[Words]:
    if not star.plan.count_once or len(members) == 1:
        return _total(star.ring, [member.features for member in members])
    seen, free = members[0].link, []
    for number, member in enumerate(members[1:], 1):
        free.append(_flip(seat, seen))
        if number < len(members) - 1:
            seen = yield from _either(seat.fork(f"seen/{number}"), seen, member.link)
    later = [member.features for member in members[1:]]
    won = yield from _select_each(seat.fork("first"), star.ring, free, later)
    return _total(star.ring, [members[0].features, *won])


def _keep_bits(seat: Seat, star: _Star, linked: Mapping[Pair, _Linked]) -> Protocol[Bits | None]:
    """XOR shares (B,) of: no earlier member of the first table holds this row's person."""
    held: Bits | None = None
    for number, member in enumerate(star.plan.earlier(star.leader)):
        link = linked[star.plan.leading, member].link
        if held is not None:
            link = yield from _either(seat.fork(f"held/{number}"), held, link)
        held = link
    return None if held is None else _flip(seat, held)


def _drop_rows(
    seat: Seat, star: _Star, keep: Bits | None, shared: dict[str, Words]
) -> Protocol[dict[str, Words]]:
    """Fold `keep` into the alias with the fewest features, or give it as shares where none is."""
    if keep is None:
        ones = star.ring.from_ints(np.ones((star.bins, 1), np.int64))
        return shared or {KEEP: ones}
    if not shared:
        whole = yield from bits_to_ring(seat.fork("keep"), star.ring, keep)
        return {KEEP: whole[:, None, :]}
    alias = min(shared, key=lambda name: (shared[name].shape[1], name))
    kept = yield from select(seat.fork("keep"), star.ring, keep, shared[alias])
    return shared | {alias: kept}


def _either(seat: Seat, x: Bits, y: Bits) -> Protocol[Bits]:
    both = yield from and_bits(seat, x, y)
    return x ^ y ^ both


def _flip(seat: Seat, bits: Bits) -> Bits:
    """The negation: one party of the group flips its share."""
    return bits ^ np.uint8(seat.index == 0)
