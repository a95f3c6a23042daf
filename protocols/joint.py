"""A whole study as one protocol: from every party's own rows to the opened integers.

    1 base oblivious transfers between every two parties, or those that all made before; which
      batches of earlier correlations all of them hold
    2 everybody commits to its own inputs, and says the size classes of its linked tables
    3 pooled cells: a party's own sums are its share, nothing is sent;
      linked cells: for each leader its star of linked tables and the sums over its linked rows
    4 every check of every unit on shares, and for each unit one verdict bit, still shared; a
      check against an earlier statistic counts only where something of that one opens
    5 release: verdict bits, certificate, then the cells of the units that passed

Against    honest-but-curious parties, n - 1 of whom may collude. Nothing opens before the verdict
           bits; of a unit that fails nothing but that bit opens. A party that deviates is not
           caught: it can shift the answer, and open what should have failed, by false rows, wrong
           shares or a turned verdict. Thresholds bind those who follow the protocol.
Rounds     base transfers as `batches.begin`, commitments 1, linkage and sums as their modules say,
           checks at most 2 + those of `at_least` and `is_zero` side by side and of `all_of`, and
           for each statistic that could be subtracted from an earlier one those of `all_of` twice
           and of `either`, after those of `supply.batch` for what the batches made before do not
           hold; release 5.
Bytes      to each peer 32, and 4 a linked table that the party holds; else those of the parts.
Source     the parts name theirs; the order follows "record before reveal".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from protocols import (
    arithmetic,
    batches,
    commitment,
    comparison,
    echo,
    masked_sum,
    oblivious_transfer,
    permutation,
    silent,
    supply,
    triples,
)
from protocols import release as release_module
from protocols.abort import Suspected
from protocols.batches import Batch, begin
from protocols.commitment import digest
from protocols.comparison import (
    all_of,
    all_of_needs,
    at_least,
    at_least_needs,
    either,
    either_needs,
    is_zero,
    is_zero_needs,
)
from protocols.disclosure.threshold import Check
from protocols.echo import Transcript, echoed
from protocols.exchange import broadcast
from protocols.linkage import opprf
from protocols.linkage.cohort import Cohort, Holding, LinkPlan, cohort
from protocols.linkage.hashing import size_class
from protocols.linkage.sums import LinkedCell, linked_sums
from protocols.party import Expect, Parties, Party, Protocol, Round, Says, Seat, named, together
from protocols.release import Opened, release
from protocols.ring import Elements, Ring
from protocols.statistics.cells import Layout, linked_layout
from protocols.statistics.plan import Feature, Plan, Unit
from protocols.stock import Needs, Stock
from protocols.supply import batch

__all__ = ["NAMES", "ROUNDS", "JointInputs", "JointPlan", "joint", "joint_needs", "unit_name"]

ROUNDS = (
    Says("inputs", to="all", size="32"),
    Says("sizes", to="all", size="4 a linked table that the party holds"),
)
WORDS = 2  # every cell is shared in Z_2^128, which certificates and receipts speak of
SPARE_BITS = 2  # a sign, and a sum may reach a little beyond one table's rows
ANSWER = Ring(WORDS)

Bits = npt.NDArray[np.uint8]

NAMES: frozenset[str] = frozenset(
    says.name.rsplit("/", 1)[-1]
    for rounds in (
        ROUNDS,
        arithmetic.ROUNDS,
        batches.ROUNDS,
        commitment.ROUNDS,
        comparison.ROUNDS,
        echo.ROUNDS,
        masked_sum.ROUNDS,
        oblivious_transfer.ROUNDS,
        opprf.ROUNDS,
        permutation.ROUNDS,
        release_module.ROUNDS,
        silent.ROUNDS,
        supply.ROUNDS,
        triples.ROUNDS,
    )
    for says in rounds
)


@dataclass(frozen=True, slots=True)
class JointPlan:
    """What is public and the same at every party.

    plans       the statistics, in the study's order
    pooled      for each pooled statistic the members whose rows go in
    link        how the linked tables are linked, with the largest size classes that the members'
                dictionaries allow; None where nothing is linked
    recipients  who may open the answer
    """

    session: bytes
    plans: tuple[Plan, ...]
    pooled: Mapping[str, Parties]
    link: LinkPlan | None
    recipients: Parties

    @property
    def linked(self) -> tuple[Plan, ...]:
        """The statistics over privately linked persons, in the study's order."""
        return tuple(plan for plan in self.plans if plan.linked)


@dataclass(frozen=True, slots=True, repr=False)
class JointInputs:
    """One party's own part. Secret.

    pooled    statistic -> unit -> this party's own cells
    sizes     alias -> the size class of this party's rows
    holdings  alias -> its rows, keys and features of all linked statistics side by side
    digest    32 bytes over all of it, for the commitment
    """

    pooled: Mapping[str, Mapping[str, Sequence[int]]]
    sizes: Mapping[str, int]
    holdings: Mapping[str, Holding]
    digest: bytes


def unit_name(plan: Plan, unit: Unit) -> str:
    """A unit's name in certificate and receipt; no statistic's name holds a slash."""
    return f"{plan.name}/{unit.name}"


def joint(
    seat: Seat, plan: JointPlan, inputs: JointInputs, held: Sequence[Batch] = ()
) -> Protocol[Opened | None]:
    """The opened integers of every unit that passed, at a recipient; None elsewhere.

    seat    all parties of the study, `wires` not yet connected; `extension` as this party would
            have it
    held    what this party took from its pool for this run; burnt, whether all hold it or not
    Raises what its parts raise: Suspected naming a party, Inconsistent; Foreign for another
    peer set's batches.
    """
    transcript = Transcript()
    try:
        computed = _computed(seat, plan, inputs, held)
        shares, verdicts = yield from echoed(seat.me, computed, transcript)
    finally:
        for batch in held:
            batch.burn()
    return (
        yield from release(
            seat.fork("release"), plan.session, shares, verdicts, plan.recipients, transcript
        )
    )


def _computed(
    seat: Seat, plan: JointPlan, inputs: JointInputs, held: Sequence[Batch]
) -> Protocol[tuple[dict[str, Elements], dict[str, Bits]]]:
    """Shares of every cell that may open, and of one verdict a unit."""
    begun = yield from begin(seat, plan.session, held)
    seat = replace(seat, wires=begun.wires, extension=begun.extension)
    try:
        return (yield from _with_wires(seat, plan, inputs, begun.stock))
    finally:
        if begun.stock is not None:
            begun.stock.burn()


def _with_wires(
    seat: Seat, plan: JointPlan, inputs: JointInputs, stock: Stock | None
) -> Protocol[tuple[dict[str, Elements], dict[str, Bits]]]:
    yield from _commit_inputs(seat, plan.session, inputs.digest)
    cells = _pooled_shares(seat.me, plan, inputs)
    if plan.link is not None and plan.linked:
        link = yield from _agree_sizes(seat, plan.link, inputs.sizes)
        cells |= yield from named("linked", _linked_shares(seat, plan, link, inputs))
    verdicts = yield from named("checks", _verdicts(seat.fork("checks"), plan, cells, stock))
    opening = {
        unit_name(one, unit): cells[unit_name(one, unit)][: unit.opens]
        for one in plan.plans
        for unit in one.units
    }
    return opening, verdicts


def _commit_inputs(seat: Seat, session: bytes, inputs: bytes) -> Protocol[None]:
    salt = seat.rand.fork("input salt").bytes(16)
    mine = digest("p2pmpc/inputs/1", session, seat.me.encode(), salt, inputs)
    yield from broadcast(seat, "inputs", np.frombuffer(mine, np.uint8))


def _agree_sizes(seat: Seat, link: LinkPlan, own: Mapping[str, int]) -> Protocol[LinkPlan]:
    """The plan with the classes that the members say. Raises Suspected for an impossible one.

    A class is a power of two, 1,024 at least: all that is ever said of a number of rows.
    """
    held = {
        party: [alias for alias, members in link.tables if party in members]
        for party in seat.parties
    }
    mine = np.array([own[alias] for alias in held[seat.me]], dtype=np.uint32)
    heard = yield Round(
        {(peer, "sizes"): mine for peer in seat.peers if len(mine)},
        {
            (peer, "sizes"): Expect("uint32", (len(held[peer]),))
            for peer in seat.peers
            if held[peer]
        },
        {"sizes": seat.parties},  # heard alike also by those who hold no linked table
    )
    said = {**{peer: heard[peer, "sizes"] for peer in seat.peers if held[peer]}, seat.me: mine}
    sizes = {}
    for party in seat.parties:
        for place, alias in enumerate(held[party]):
            sizes[alias, party] = int(said[party][place])
            most = link.sizes[alias, party]
            if sizes[alias, party] > most or size_class(sizes[alias, party]) != sizes[alias, party]:
                raise Suspected(party, f"says an impossible size class for {alias}")
    return replace(link, sizes=sizes)


# ---- cells ---------------------------------------------------------------------------------------


def _pooled_shares(me: Party, plan: JointPlan, inputs: JointInputs) -> dict[str, Elements]:
    """A member's own sums are its share; whoever holds no rows of the table has zeros."""
    shares = {}
    for one in plan.plans:
        if one.linked:
            continue
        for unit in one.units:
            mine = me in plan.pooled[one.name]
            own = inputs.pooled[one.name][unit.name] if mine else [0] * len(unit.cells)
            shares[unit_name(one, unit)] = ANSWER.from_ints(list(own))
    return shares


@dataclass(frozen=True, slots=True)
class _Side:
    """All linked statistics' features and cells side by side.

    offsets  (statistic, alias) -> where its features begin among the alias's
    """

    layouts: Mapping[str, Layout]
    offsets: Mapping[tuple[str, str], int]
    leading: str

    @staticmethod
    def of(plan: JointPlan, link: LinkPlan) -> _Side:
        layouts = {one.name: linked_layout(one) for one in plan.linked}
        offsets: dict[tuple[str, str], int] = {}
        for alias, _ in link.tables:
            start = 0
            for name, layout in layouts.items():
                offsets[name, alias] = start
                start += len(layout.features[alias])
        return _Side(layouts, offsets, link.leading)

    def own_features(self) -> list[Feature]:
        return [
            feature for layout in self.layouts.values() for feature in layout.features[self.leading]
        ]

    def cell(self, name: str, features: Mapping[str, int]) -> LinkedCell:
        """One term with its features' places among all; an alias that it does not name counts."""
        others = {
            alias: self.offsets[name, alias] + features.get(alias, 0)
            for statistic, alias in self.offsets
            if statistic == name and alias != self.leading
        }
        return self.offsets[name, self.leading] + features.get(self.leading, 0), others


def _linked_shares(
    seat: Seat, plan: JointPlan, link: LinkPlan, inputs: JointInputs
) -> Protocol[dict[str, Elements]]:
    """Every linked cell, summed over the leaders that this party works with."""
    side = _Side.of(plan, link)
    terms = list(_terms(plan, side))
    distinct = sorted({_key(cell) for _, _, _, cell in terms})
    stars = {
        leader: _star(seat, link, leader, side, [_cell(key) for key in distinct], inputs)
        for leader in link.leaders
        if seat.me in link.group(leader)
    }
    sums = yield from together(stars)
    total = ANSWER.zeros((len(distinct),))
    for leader in sorted(sums):
        total = ANSWER.add(total, sums[leader])
    place = {key: number for number, key in enumerate(distinct)}
    shares = {
        unit_name(one, unit): ANSWER.zeros((len(unit.cells),))
        for one in plan.linked
        for unit in one.units
    }
    for unit, cell, sign, linked in terms:
        value = total[place[_key(linked)]]
        signed = value if sign > 0 else ANSWER.neg(value)
        shares[unit][cell] = ANSWER.add(shares[unit][cell], signed)
    return shares


Key = tuple[int, tuple[tuple[str, int], ...]]


def _key(cell: LinkedCell) -> Key:
    return cell[0], tuple(sorted(cell[1].items()))


def _cell(key: Key) -> LinkedCell:
    return key[0], dict(key[1])


def _terms(plan: JointPlan, side: _Side) -> Iterator[tuple[str, int, int, LinkedCell]]:
    """(unit, cell, sign, the product) for every term of every linked cell."""
    for one in plan.linked:
        for unit in one.units:
            for number, terms in enumerate(side.layouts[one.name].cells[unit.name]):
                for sign, features in terms:
                    yield unit_name(one, unit), number, sign, side.cell(one.name, features)


def _star(
    seat: Seat,
    link: LinkPlan,
    leader: Party,
    side: _Side,
    cells: Sequence[LinkedCell],
    inputs: JointInputs,
) -> Protocol[Elements]:
    """Shares (cells, 2) of the sums over one leader's linked rows, among its group."""
    group = seat.among(link.group(leader)).fork(f"star/{leader}")
    found: Cohort = yield from cohort(group.fork("cohort"), link, leader, inputs.holdings)
    own = None
    if seat.me == leader:
        own = found.place(inputs.holdings[link.leading].features)
    features = side.own_features()
    return (
        yield from linked_sums(
            group.fork("sums"),
            ANSWER,
            leader,
            own,
            tuple(-f.bits if f.signed else f.bits for f in features),
            found.shared,
            cells if any(alias != side.leading for _, alias in side.offsets) else _alone(cells),
        )
    )


def _alone(cells: Sequence[LinkedCell]) -> list[LinkedCell]:
    """Without another table, the shared feature is whether the person counts here."""
    return [(own, {}) for own, _ in cells]


# ---- checks --------------------------------------------------------------------------------------


def joint_needs(plan: JointPlan, parties: int) -> Needs:
    """What the checks of a study draw; public, before anything runs.

    Linked parts draw none of it: they run in seats of two and of each leader's group, whose pools
    would be others, and by transfers that are made of the wires.
    """
    return _total(_draws(plan, parties, masks=True))


def _total(draws: Mapping[str, Needs]) -> Needs:
    total = Needs({})
    for needs in draws.values():
        total = total + needs
    return total


def _draws(plan: JointPlan, parties: int, masks: bool) -> dict[str, Needs]:
    """Label of each step of the checks -> what it draws; by masks that take many rounds to make
    and few to use, or without."""
    checks, bits = _listed(plan)
    if not checks:
        return {}
    lenient = sum(check.zero_passes for _, check in checks)
    found = {
        "enough": at_least_needs(parties, len(checks), bits, masks),
        "zero": is_zero_needs(parties, lenient, bits, masks),
        "either": either_needs(lenient),
        "all/alone": all_of_needs(
            _groups(checks, [one for one in plan.plans if not _depends(one)])
        ),
    }
    known = [unit for one in plan.plans if not _depends(one) for unit in _names(one)]
    for one in plan.plans:
        if _depends(one):
            turn = f"after/{one.name}"
            bound, others = _bound(one, checks)
            found[f"{turn}/closed"] = all_of_needs(_shut(known, others))
            found[f"{turn}/freed"] = either_needs(len(bound))
            found[f"all/{turn}"] = all_of_needs(_groups(checks, [one]))
            known += _names(one)
    return found


def _supplied(seat: Seat, stocks: Mapping[str, Stock], label: str) -> Seat:
    """The seat for one step, with its stock."""
    stock = stocks[label]
    fork = seat.fork(label.rsplit("/", 1)[-1] if label.startswith("after/") else label)
    return fork.using(stock)


def _allotted(seat: Seat, plan: JointPlan, stock: Stock | None) -> Protocol[dict[str, Stock]]:
    """A stock for each step: the pool's where it holds all; else, with what it holds, one of kinds
    that are made in few rounds, now, and checked like a pool's."""
    parties = len(seat.parties)
    if stock is not None and stock.holds(joint_needs(plan, parties)):
        return stock.allot(_draws(plan, parties, masks=True))
    held = Stock(seat.me, seat.parties, plan.session.hex()) if stock is None else stock
    draws = _draws(plan, parties, masks=False)
    lacking = {kind: units - held.left(kind) for kind, units in _total(draws).counts.items()}
    making = {
        kind: batch(seat.fork(kind), kind, units)
        for kind, units in sorted(lacking.items())
        if units > 0
    }
    for kind, made in sorted((yield from named("made", together(making))).items()):
        held.put(kind, made)
    return held.allot(draws)


def _listed(plan: JointPlan) -> tuple[list[tuple[str, Check]], int]:
    """(unit, check) of every unit, and the bits in which their sums are compared."""
    checks = [
        (unit_name(one, unit), check)
        for one in plan.plans
        for unit in one.units
        for check in unit.checks
    ]
    largest = max((check.at_least for _, check in checks), default=0)
    most = max((one.count_bits for one in plan.plans), default=0)
    return checks, SPARE_BITS + max(largest.bit_length(), most)


def _names(one: Plan) -> list[str]:
    return [unit_name(one, unit) for unit in one.units]


def _groups(checks: Sequence[tuple[str, Check]], plans: Sequence[Plan]) -> list[list[int]]:
    """For each unit of these statistics the places of its checks."""
    return [
        [k for k, (owner, _) in enumerate(checks) if owner == name]
        for one in plans
        for name in _names(one)
    ]


def _bound(one: Plan, checks: Sequence[tuple[str, Check]]) -> tuple[list[int], list[str]]:
    """Places of the statistic's checks against earlier ones, and the names of those."""
    mine = set(_names(one))
    bound = [k for k, (owner, check) in enumerate(checks) if owner in mine and check.against]
    return bound, sorted({checks[k][1].against for k in bound})


def _shut(known: Sequence[str], others: Sequence[str]) -> list[list[int]]:
    """For each of the others the places of its units among all that are judged, in order."""
    ordered = sorted(known)
    return [[k for k, name in enumerate(ordered) if name.split("/")[0] == o] for o in others]


def _verdicts(
    seat: Seat, plan: JointPlan, cells: Mapping[str, Elements], stock: Stock | None
) -> Protocol[dict[str, Bits]]:
    """For each unit a shared bit: all of its checks pass."""
    checks, bits = _listed(plan)
    always = np.uint8(seat.index == 0)
    if not checks:
        return {
            name: np.array([always], dtype=np.uint8) for one in plan.plans for name in _names(one)
        }
    stocks = yield from _allotted(seat.fork("made"), plan, stock)
    sums = np.stack([ANSWER.sum(cells[name][list(check.cells)], axis=0) for name, check in checks])
    passing = yield from _compare(seat, stocks, sums, [check for _, check in checks], bits)
    return (yield from _judged(seat, stocks, plan, checks, passing))


def _judged(
    seat: Seat,
    stocks: Mapping[str, Stock],
    plan: JointPlan,
    checks: Sequence[tuple[str, Check]],
    passing: Bits,
) -> Protocol[dict[str, Bits]]:
    """The units' verdicts, statistic by statistic where one depends on whether another opens."""
    alone = [one for one in plan.plans if not _depends(one)]
    inner = _supplied(seat, stocks, "all/alone")
    verdicts = yield from _conjunctions(inner, alone, checks, passing)
    for one in plan.plans:
        if not _depends(one):
            continue
        turn = f"after/{one.name}"
        freed = yield from _freed(seat.fork(turn), stocks, one, verdicts, checks, passing)
        inner = _supplied(seat, stocks, f"all/{turn}")
        verdicts |= yield from _conjunctions(inner, [one], checks, freed)
    return verdicts


def _depends(one: Plan) -> bool:
    return any(check.against for unit in one.units for check in unit.checks)


def _conjunctions(
    seat: Seat, plans: Sequence[Plan], checks: Sequence[tuple[str, Check]], bits: Bits
) -> Protocol[dict[str, Bits]]:
    names = [name for one in plans for name in _names(one)]
    found = yield from named("all", all_of(seat, bits, _groups(checks, plans)))
    return {name: found[k : k + 1] for k, name in enumerate(names)}


def _freed(
    seat: Seat,
    stocks: Mapping[str, Stock],
    one: Plan,
    verdicts: Mapping[str, Bits],
    checks: Sequence[tuple[str, Check]],
    passing: Bits,
) -> Protocol[Bits]:
    """The bits of all checks; of one statistic's, those against a closed statistic are 1."""
    turn = f"after/{one.name}"
    bound, others = _bound(one, checks)
    known = sorted(verdicts)
    shut = np.concatenate([verdicts[name] for name in known]) ^ np.uint8(seat.index == 0)
    inner = _supplied(seat, stocks, f"{turn}/closed")
    closed = yield from named("closed", all_of(inner, shut, _shut(known, others)))
    against = closed[[others.index(checks[k][1].against) for k in bound]]
    freed = passing.copy()
    inner = _supplied(seat, stocks, f"{turn}/freed")
    freed[bound] = yield from named("freed", either(inner, passing[bound], against))
    return freed


def _compare(
    seat: Seat, stocks: Mapping[str, Stock], sums: Elements, checks: Sequence[Check], bits: int
) -> Protocol[Bits]:
    """Shared bits: sum >= threshold, or sum = 0 where a check lets zero pass."""
    thresholds = [check.at_least for check in checks]
    lenient = [k for k, check in enumerate(checks) if check.zero_passes]
    sides = {"enough": at_least(_supplied(seat, stocks, "enough"), sums, thresholds, bits)}
    if lenient:
        sides["zero"] = is_zero(_supplied(seat, stocks, "zero"), sums[lenient], bits)
    found = yield from together(sides)
    passing = found["enough"].copy()
    if lenient:
        reached = passing[lenient]
        inner = _supplied(seat, stocks, "either")
        passing[lenient] = yield from named("either", either(inner, reached, found["zero"]))
    return passing
