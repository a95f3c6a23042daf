"""The cohort of each leader against a plain reference written with pandas."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from protocols.abort import Suspected
from protocols.linkage.cohort import KEEP, Holding, LinkPlan, cohort
from protocols.linkage.hashing import size_class
from protocols.linkage.sums import linked_sums
from protocols.linkage.tokens import join_parts, unique_keys
from protocols.oblivious_transfer import connect
from protocols.party import Seat, Trace, play, together
from protocols.randomness import Randomness
from protocols.ring import Ring

PASSES = (("number",), ("surname", "born"))


def seats(parties, seed):
    def coins(*names):
        label = "+".join(sorted(names))
        return Randomness(bytes([seed]) * 32).fork(label)

    return {
        me: Seat(me, parties, coins(me), {peer: coins(me, peer) for peer in parties if peer != me})
        for me in parties
    }


@dataclass
class World:
    """Random rows of each (alias, member), and the plan that links them."""

    plan: LinkPlan
    frames: dict
    seed: int

    @property
    def parties(self):
        return tuple(sorted({member for _, members in self.plan.tables for member in members}))


def build(tables, count_once, passes=2, widths=2, words=1, seed=0, rows=(50, 90)):
    """Persons drawn from one small town: shared keys, missing ones, namesakes, second rows."""
    rng = np.random.default_rng(seed)
    town = pd.DataFrame(
        {
            "person": [f"p{number}" for number in range(90)],
            "number": [f"{number:05d}" for number in range(90)],
            "surname": rng.choice(["Abel", "Braun", "Conrad", "Dietz", "Ebert", "Fux"], 90),
            "born": rng.integers(1950, 1980, 90).astype(str),
        }
    )
    frames = {}
    for alias, members in tables:
        for member in members:
            frame = town.iloc[rng.choice(90, rng.integers(*rows), replace=True)].copy()
            frame.loc[rng.random(len(frame)) < 0.3, "number"] = None
            frame.loc[rng.random(len(frame)) < 0.15, "born"] = None
            frame["surname"] = [
                name.upper() if rng.random() < 0.3 else f" {name} " for name in frame["surname"]
            ]
            counted = (rng.random(len(frame)) < 0.85).astype(np.int64)
            for column in range(widths):
                value = counted if column == 0 else counted * rng.integers(-50, 50, len(frame))
                frame[f"f{column}"] = value
            frames[alias, member] = frame.reset_index(drop=True)
    plan = LinkPlan(
        tables=tuple(tables),
        passes=passes,
        sizes={pair: size_class(len(frame)) for pair, frame in frames.items()},
        widths={alias: widths for alias, _ in tables[1:]},
        words=words,
        count_once=count_once,
    )
    return World(plan, frames, seed)


def holding(world, pair):
    frame = world.frames[pair]
    keys = [
        [join_parts(number, parts) for parts in frame[list(columns)].itertuples(index=False)]
        for number, columns in enumerate(PASSES[: world.plan.passes], 1)
    ]
    unique, keep, _ = unique_keys(keys, [person.encode() for person in frame["person"]])
    features = frame.filter(regex="^f").to_numpy(np.int64)
    return Holding(tuple(unique), keep, features)


def holdings(world, me):
    return {alias: holding(world, (alias, m)) for alias, m in world.frames if m == me}


def linked_session(seat, world, leader, cells):
    wires = yield from connect(seat)
    seat = Seat(seat.me, seat.parties, seat.rand, seat.pair, wires)
    return (yield from star(seat, world, leader, cells))


def star(seat, world, leader, cells):
    plan, ring = world.plan, Ring(world.plan.words)
    mine = holdings(world, seat.me)
    found = yield from cohort(seat, plan, leader, mine)
    own = None
    if seat.me == leader:
        own = found.place(mine[plan.leading].features)
    sums = yield from linked_sums(
        seat.fork("sums"), ring, leader, own, (1, -8), found.shared, cells
    )
    return found, sums


def run(world, leader, cells, **watch):
    group = world.plan.group(leader)
    sat = seats(group, world.seed)
    return play({me: linked_session(sat[me], world, leader, cells) for me in group}, **watch)


# ---- the reference -------------------------------------------------------------------------------


def usable(frame, columns):
    """Key of each first row of a person, NaN where missing or held by several persons."""
    text = frame[list(columns)].apply(lambda column: column.str.strip().str.casefold())
    joined = text.apply(lambda row: None if row.isna().any() else "|".join(row), axis=1)
    holders = frame.groupby(joined)["person"].nunique()
    joined[joined.isin(holders[holders > 1].index)] = None
    joined[frame["person"].duplicated()] = None
    return joined


def pair_links(mine, theirs, passes):
    """For each row of mine the row of theirs it links with, by the earliest pass; or NaN."""
    found = pd.Series(np.nan, index=mine.index)
    for columns in PASSES[:passes]:
        left = pd.DataFrame({"key": usable(mine, columns), "row": mine.index}).dropna()
        right = pd.DataFrame({"key": usable(theirs, columns), "other": theirs.index}).dropna()
        merged = left.merge(right, on="key").set_index("row")["other"]
        found = found.fillna(merged)
    return found


def reference(world, leader):
    """For each row of the leader: whether it is kept, and the features of each other alias."""
    plan, frames = world.plan, world.frames
    mine = frames[plan.leading, leader]
    keep = ~mine["person"].duplicated()
    if plan.count_once:
        for member in plan.leaders[: plan.leaders.index(leader)]:
            keep &= pair_links(mine, frames[plan.leading, member], plan.passes).isna()
    features = {}
    for alias, members in plan.tables[1:]:
        total = np.zeros((len(mine), plan.widths[alias]), np.int64)
        won = np.zeros(len(mine), bool)
        for member in members:
            theirs = frames[alias, member]
            links = pair_links(mine, theirs, plan.passes)
            hit = links.notna().to_numpy() & ~(won & plan.count_once)
            rows = theirs.filter(regex="^f").to_numpy(np.int64)[links[hit].astype(int)]
            total[hit] += rows
            won |= hit
        features[alias] = total
    return keep.to_numpy(), features


def plain_cells(world, leader, cells):
    keep, features = reference(world, leader)
    own = world.frames[world.plan.leading, leader].filter(regex="^f").to_numpy(np.int64)
    first = ~world.frames[world.plan.leading, leader]["person"].duplicated().to_numpy()
    sums = []
    for column, factors in cells:
        term = own[:, column] * (keep & first)
        for alias in features:
            term = term * features[alias][:, factors.get(alias, 0)]
        sums.append(int(term.sum()))
    return sums


def total(ring, shares):
    whole = shares[0]
    for share in shares[1:]:
        whole = ring.add(whole, share)
    return whole


def check(world, leader, cells):
    ring, results = Ring(world.plan.words), run(world, leader, cells)
    found = results[leader][0]
    keep, features = reference(world, leader)
    for alias, expected in features.items():
        shares = [result[0].shared[alias] for result in results.values()]
        values = np.array(ring.to_ints(total(ring, shares))).reshape(found.bins, -1)
        rows = np.flatnonzero(found.slots >= 0)
        folded = alias == min(features, key=lambda name: (features[name].shape[1], name))
        wanted = expected * keep[:, None] if folded else expected
        assert (values[found.slots[rows]] == wanted[rows]).all()
        rest = np.delete(values, found.slots[rows], axis=0)
        assert not rest.any()
    sums = ring.to_ints(total(ring, [result[1] for result in results.values()]))
    assert sums == plain_cells(world, leader, cells)
    return sums


CELLS_2 = [(0, {"labs": 0}), (1, {"labs": 1}), (1, {}), (0, {"labs": 1})]


@pytest.mark.parametrize(("seed", "words"), [(1, 1), (2, 2)])
def test_two_parties_link_in_two_passes(seed, words):
    world = build([("visits", ("north",)), ("labs", ("lab",))], True, words=words, seed=seed)
    both = check(world, "north", CELLS_2)[0]
    first = build([("visits", ("north",)), ("labs", ("lab",))], True, passes=1, seed=seed)
    assert both > plain_cells(first, "north", CELLS_2)[0] > 3  # each pass links somebody


@pytest.mark.parametrize("count_once", [True, False])
def test_three_parties_pool_two_members_of_one_table(count_once):
    world = build([("visits", ("north",)), ("labs", ("lab", "east"))], count_once, seed=3)
    check(world, "north", CELLS_2)


def test_a_person_in_two_laboratories_counts_once_or_twice_as_declared():
    once, twice = (
        check(
            build([("visits", ("north",)), ("labs", ("lab", "east"))], flag, seed=4),
            "north",
            CELLS_2,
        )
        for flag in (True, False)
    )
    assert once[0] < twice[0]


def test_a_row_that_an_earlier_member_holds_is_dropped():
    tables = [("visits", ("north", "south")), ("labs", ("lab",))]
    dropped = 0
    for leader in ("north", "south"):
        world = build(tables, True, passes=1, seed=5)
        assert world.plan.group(leader) == tuple(sorted({leader, "north", "lab"}))
        keep, _ = reference(world, leader)
        dropped += (~keep).sum() - world.frames["visits", leader]["person"].duplicated().sum()
        check(world, leader, CELLS_2)
    assert dropped > 3


@pytest.mark.parametrize("passes", [1, 2])
def test_all_leaders_at_once_wait_for_one_another_in_the_same_rounds(passes):
    """Pairs of three kinds, and parties in several stars: a role with fewer rounds would hang."""
    tables = [("visits", ("east", "north", "south")), ("labs", ("lab", "south"))]
    world = build(tables, True, passes=passes, seed=16)
    plan, ring = world.plan, Ring(1)
    sat = seats(world.parties, world.seed)

    def everything(me):
        seat = sat[me]
        wires = yield from connect(seat)
        seat = Seat(me, seat.parties, seat.rand, seat.pair, wires)
        stars = {
            leader: star(seat.among(plan.group(leader)).fork(leader), world, leader, CELLS_2)
            for leader in plan.leaders
            if me in plan.group(leader)
        }
        return (yield from together(stars))

    results = play({me: everything(me) for me in world.parties})
    for leader in plan.leaders:
        shares = [result[leader][1] for result in results.values() if leader in result]
        assert ring.to_ints(total(ring, shares)) == plain_cells(world, leader, CELLS_2)


def test_four_parties_join_three_tables_of_several_members():
    tables = [("visits", ("north", "south")), ("labs", ("lab", "east")), ("deaths", ("lab",))]
    world = build(tables, True, seed=6, rows=(70, 110))
    cells = [(0, {}), (1, {"labs": 1}), (1, {"labs": 1, "deaths": 1}), (0, {"deaths": 1})]
    assert check(world, "south", cells)[0] > 3


def test_a_leader_that_holds_another_table_links_it_alone():
    tables = [("visits", ("north", "lab")), ("labs", ("north", "lab"))]
    world = build(tables, True, passes=2, seed=7)
    check(world, "north", CELLS_2)
    check(world, "lab", CELLS_2)


def test_one_party_that_holds_all_tables_needs_nobody():
    world = build([("visits", ("north",)), ("labs", ("north",))], True, seed=8)
    trace = Trace()
    run(world, "north", CELLS_2, trace=trace)
    assert trace.said == []
    check(world, "north", CELLS_2)


def test_without_other_tables_the_kept_rows_are_the_shared_feature():
    world = build([("visits", ("east", "north", "south"))], True, seed=9)
    for leader in ("east", "south"):
        results = run(world, leader, [(0, {}), (1, {})])
        ring = Ring(1)
        assert set(results[leader][0].shared) == {KEEP}
        sums = ring.to_ints(total(ring, [result[1] for result in results.values()]))
        assert sums == plain_cells(world, leader, [(0, {}), (1, {})])


def test_messages_do_not_change_in_name_or_size_with_the_data():
    seen = set()
    for seed, rows in ((10, (5, 6)), (11, (100, 101))):
        trace = Trace()
        world = build([("visits", ("north",)), ("labs", ("lab",))], True, seed=seed, rows=rows)
        run(world, "north", CELLS_2, trace=trace)
        seen.add(tuple((s, r, n, v.dtype.name, v.shape) for s, r, n, v in trace.said))
    assert len(seen) == 1


def test_a_party_hears_the_same_kind_of_noise_whatever_the_others_hold():
    """Every message but points is balanced bits, for an honest party with 5 rows and with 110."""
    for me in ("north", "lab"):
        for rows in ((5, 6), (110, 111)):
            trace = Trace()
            world = build(
                [("visits", ("north",)), ("labs", ("lab",))], True, passes=1, seed=12, rows=rows
            )
            run(world, "north", CELLS_2, trace=trace)
            for _, name, value in trace.heard_by((me,)):
                if name.split("/")[-1] in ("point", "points", "public"):
                    continue
                bits = np.unpackbits(np.ascontiguousarray(value).view(np.uint8))
                z = (bits.mean() - 0.5) * 2 * np.sqrt(bits.size)
                spread = 5 if "blinded" not in name and "answers" not in name else 8
                assert abs(z) < spread, (name, z)


def test_rows_beyond_the_plan_are_refused_before_anything_leaves():
    world = build([("visits", ("north",)), ("labs", ("lab",))], True, seed=13)
    world.frames["labs", "lab"] = pd.concat([world.frames["labs", "lab"]] * 40, ignore_index=True)
    world.frames["labs", "lab"]["person"] = [f"q{n}" for n in world.frames["labs", "lab"].index]
    trace = Trace()
    with pytest.raises(ValueError, match="more rows"):
        run(world, "north", CELLS_2, trace=trace)
    assert not [name for _, _, name, _ in trace.said if "hint" in name or "answers" in name]


def test_a_hint_of_another_size_than_the_plan_is_blamed_on_its_sender():
    world = build([("visits", ("north",)), ("labs", ("lab",))], True, passes=1, seed=14)

    def shorten(sender, receiver, name, value):
        return value[:-1] if name.endswith("hint") else value

    with pytest.raises(Suspected) as caught:
        run(world, "north", CELLS_2, tamper=shorten)
    assert caught.value.party == "lab"


@pytest.mark.parametrize(
    "change",
    [
        {"passes": 0},
        {"sizes": {("visits", "north"): 1000, ("labs", "lab"): 1024}},
        {"tables": (("visits", ("north",)), ("visits", ("lab",)))},
        {"tables": ()},
    ],
)
def test_a_plan_outside_the_limits_is_refused(change):
    fields = {
        "tables": (("visits", ("north",)), ("labs", ("lab",))),
        "passes": 1,
        "sizes": {("visits", "north"): 1024, ("labs", "lab"): 1024, ("visits", "lab"): 1024},
        "widths": {"labs": 1},
        "words": 1,
        "count_once": True,
    }
    LinkPlan(**fields)
    with pytest.raises(ValueError, match=r"linkage|size class"):
        LinkPlan(**(fields | change))


def test_a_cell_that_names_no_feature_is_refused():
    ring = Ring(1)
    shared = {"labs": ring.zeros((4, 2))}
    for cell in ((0, {"labs": 2}), (3, {}), (0, {"other": 0})):
        protocol = linked_sums(
            Seat("a", ("a",), Randomness(bytes(32)), {}), ring, "a", None, (1,), shared, [cell]
        )
        with pytest.raises(ValueError, match="no table has"):
            play({"a": protocol})


def test_secrets_do_not_print():
    world = build([("visits", ("north",)), ("labs", ("lab",))], True, seed=15)
    assert "braun" not in repr(holding(world, ("labs", "lab"))).casefold()
