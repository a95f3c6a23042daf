"""Sums in binary on XOR-shared bit slices: carry-save adders and trees of carries.

What       each party holds a number of its own in slices (k, width), bit b of 64 values a word:
           additive shares. Carry-save adders bring them to two shared numbers, whose bits generate
           and propagate carries; a tree of (generate, propagate) gives the last carry or all. Or
           the number is opened under a mask of known bits, and borrows take the carries' place.
Against    honest-but-curious parties, n - 1 of whom may collude; only bits masked by random ones
           open on the way.
Rounds     generated c + 1; carry_out ceil(log2 k); all_carries ceil(log2 k) by Sklansky's tree,
           2 ceil(log2 k) - 1 at most by Brent and Kung's; c carry-save levels 0, 1, 2, 3, 4, 5 for
           2, 3, 4, 5 to 6, 7 to 9, 10 parties; opened_masked 1, borrowed_pairs 1. And the draws
           that the stock does not hold.
Bytes      to each peer, for each bit of a value: carry-save 1/4 a product; generated 1/8 (two
           parties) or 1/4; a node of a tree 3/8, or 1/4 where its lower block begins at bit 0, for
           then nobody asks whether that block propagates.
Source     Wallace 1964 (carry-save); Ladner and Fischer 1980, Sklansky 1960, Brent and Kung 1982
           (trees); Goldreich, Micali, Wigderson 1987 (gates). Bits that one party knows are
           multiplied pair by pair (`protocols.cross`); the two gates of a node have a factor in
           common and take one pair of transfers (`protocols.triples`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.arithmetic import and_words
from protocols.cross import cross_bits, rings
from protocols.exchange import broadcast
from protocols.kernels.bits import words_for
from protocols.kernels.gates import SMALL_WORDS, borrow, borrow_pairs, cut, mask, settle
from protocols.masks import eda_bits
from protocols.party import Compute, Protocol, Says, Seat
from protocols.ring import Elements, Ring
from protocols.stock import Needs
from protocols.triples import AndTriples, PairTriples, and_triples, pair_triples

__all__ = [
    "ROUNDS",
    "TREES",
    "Level",
    "all_carries",
    "borrowed",
    "borrowed_pairs",
    "carry_levels",
    "carry_out",
    "gates",
    "generated",
    "generated_needs",
    "majorities",
    "mask_kind",
    "masks_held",
    "opened_masked",
    "own_slices",
    "tree_needs",
    "two_addends",
]

ROUNDS = (
    Says("extend", to="one", size="as random_ot"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
    Says("masked", to="all", size="1/4 or 3/8 a gate or node, at most 16 MiB"),
    Says("shifted", to="all", size="8 a value, 4 up to 32 bits, at most 16 MiB"),
)

Words = npt.NDArray[np.uint64]


# ---- numbers to two, and their carries -----------------------------------------------------------


def own_slices(x: Elements, bits: int) -> Protocol[Words]:
    """The low bits of this party's shares (m, words), in slices (bits, ceil(m / 64))."""
    columns = [np.ascontiguousarray(x[:, word]) for word in range(-(-bits // 64))]
    taken = [min(64, bits - 64 * word) for word in range(len(columns))]
    if len(x) <= SMALL_WORDS:
        made = [cut(*each) for each in zip(columns, taken, strict=True)]
    else:
        made = yield [
            Compute("gates.cut", each, len(x)) for each in zip(columns, taken, strict=True)
        ]
    return made[0] if len(made) == 1 else np.concatenate(made)


def majorities(parties: int) -> int:
    """Of shared bits, for each place of so many addends: those after the first level."""
    addends, found = 2 * (parties // 3) + parties % 3 if parties > 2 else 2, 0
    while addends > 2:
        found += addends // 3
        addends -= addends // 3
    return found


def two_addends(seat: Seat, own: Words, triples: AndTriples) -> Protocol[tuple[Words, Words]]:
    """Shares of two numbers whose sum, mod 2^k, is that of all parties' own numbers (k, width).

    Two parties, or one, send nothing: each knows an addend. Takes majorities(n) triples for each
    bit but the highest.
    """
    addends = [own if party == seat.me else np.zeros_like(own) for party in seat.parties]
    if len(addends) > 2:
        addends = yield from _first_level(seat, own, addends)
    while len(addends) > 2:
        whole = len(addends) // 3
        x, y, z = (np.stack(addends[k : 3 * whole : 3]) for k in range(3))
        majority = yield from _majority(seat, (x[:, :-1], y[:, :-1], z[:, :-1]), triples)
        addends = [*(x ^ y ^ z), *map(_shifted, majority), *addends[3 * whole :]]
    if len(addends) == 1:
        addends.append(np.zeros_like(own))
    return addends[0], addends[1]


def _first_level(seat: Seat, own: Words, addends: list[Words]) -> Protocol[list[Words]]:
    """Threes of numbers that their owners know: the majority is x y ^ y z ^ z x."""
    ahead, behind = yield from cross_bits(seat, own[:-1], own[:-1])
    carries = _shifted(ahead ^ behind)
    found, nothing = [], np.zeros_like(own)
    for ring in rings(seat.parties):
        inside = seat.me in ring
        found += [own if inside else nothing, carries if inside else nothing]
    return found + addends[len(addends) // 3 * 3 :]


def _majority(seat: Seat, bits: tuple[Words, Words, Words], triples: AndTriples) -> Protocol[Words]:
    """Of three shared bits: one gate."""
    x, y, z = bits
    return (yield from and_words(seat, x ^ z, y ^ z, triples)) ^ z


def _shifted(majority: Words) -> Words:
    lowest = np.zeros((1, *majority.shape[1:]), dtype=np.uint64)
    return np.concatenate((lowest, majority))


def generated(seat: Seat, own: Words) -> Protocol[tuple[Words, Words]]:
    """Shares of what each bit of the parties' sum generates, and of what it propagates.

    own  (k, width), this party's number; returns (k - 1, width), for the last carry is lost, and
    (k, width)
    """
    if len(seat.parties) == 2:
        return (yield from _private_products(seat, own[:-1])), own
    gates_a_bit = majorities(len(seat.parties)) + 1
    triples = yield from and_triples(seat, 64 * own[:-1].size * gates_a_bit)
    x, y = yield from two_addends(seat, own, triples)
    return (yield from and_words(seat, x[:-1], y[:-1], triples)), x ^ y


def _private_products(seat: Seat, own: Words) -> Protocol[Words]:
    """Two parties' own bits multiplied: in one half of them either chooses."""
    flat = own.reshape(-1)
    half = -(-len(flat) // 2)
    rest = np.zeros(half, dtype=np.uint64)
    rest[: len(flat) - half] = flat[half:]
    sides = (flat[:half], rest)
    first = seat.index == 0
    made = yield from cross_bits(seat, *(sides if first else sides[::-1]))
    lower, upper = made if first else made[::-1]
    return np.concatenate((lower, upper))[: len(flat)].reshape(own.shape)


def carry_out(seat: Seat, generate: Words, propagate: Words) -> Protocol[Words]:
    """Shares (width,) of the carry out of k bits: (k, width) each."""
    if not len(generate):
        return np.zeros_like(generate, shape=generate.shape[1:])
    found = yield from _sweep(seat, generate, propagate, carry_levels(len(generate)))
    carry: Words = found[-1]
    return carry


def all_carries(seat: Seat, generate: Words, propagate: Words, tree: str) -> Protocol[Words]:
    """Shares (k, width) of the carry out of every bit: (k, width) each.

    tree  a name of TREES: "sklansky" has fewer rounds, "brent-kung" fewer gates
    """
    return (yield from _sweep(seat, generate, propagate, TREES[tree](len(generate))))


# ---- numbers that are opened under a mask --------------------------------------------------------


def mask_kind(bits: int) -> str:
    """The kind of edaBits that hide the low `bits` bits of a number."""
    return f"edabit64/{bits}"


def masks_held(seat: Seat, bits: int, count: int) -> bool:
    """Whether so many numbers go by edaBits: from three parties up, where the stock has them.

    The stocks of all parties hold the same, so that all of them decide alike.
    """
    stock = seat.stock
    if stock is None or len(seat.parties) < 3 or bits > 64:
        return False
    return stock.left(mask_kind(bits)) >= words_for(count)


def opened_masked(seat: Seat, x: Elements, bits: int) -> Protocol[tuple[Words, Words]]:
    """Public slices of c = x + r mod 2^bits and shares of the slices of r: x = c - r.

    x  (m, words), of which the low `bits` bits count; r uniform in [0, 2^bits)
    """
    masks = yield from eda_bits(seat, Ring(1), bits, len(x))
    keep = np.uint64((1 << bits) - 1)
    own = (x[:, 0] + masks.value[:, 0]) & keep
    said = own.astype(np.uint32) if bits <= 32 else own
    shares = yield from broadcast(seat, "shifted", said)
    total = np.zeros_like(own)
    for party in seat.parties:
        total += shares[party]
    slices = yield from own_slices((total & keep)[:, None], bits)
    return slices, masks.bits


def borrowed(seat: Seat, opened: Words, masks: Words) -> Protocol[tuple[Words, Words]]:
    """Shares of (generate, propagate) of each bit's borrow in c - r. Local."""
    first = seat.index == 0
    if opened.size <= SMALL_WORDS:
        return borrow(opened, masks, first)
    [made] = yield [Compute("gates.borrow", (opened, masks, first), opened.size)]
    both: tuple[Words, Words] = made
    return both


def borrowed_pairs(seat: Seat, opened: Words, masks: Words) -> Protocol[tuple[Words, Words]]:
    """The same of every two bits together, and of an odd last one: one round, a gate a pair."""
    pairs = len(masks) // 2
    upper, lower = masks[1 : 2 * pairs : 2], masks[: 2 * pairs : 2]
    triples = yield from and_triples(seat, 64 * upper.size)
    both = yield from and_words(seat, upper, lower, triples)
    arguments = (opened, masks, both, seat.index == 0)
    if opened.size <= SMALL_WORDS:
        return borrow_pairs(*arguments)
    [made] = yield [Compute("gates.borrow_pairs", arguments, opened.size)]
    pair: tuple[Words, Words] = made
    return pair


# ---- what is drawn -------------------------------------------------------------------------------


def generated_needs(parties: int, bits: int, words: int) -> Needs:
    """What `generated` draws for own numbers (bits, words)."""
    products = (bits - 1) * words
    if parties == 2:
        return Needs({"cross": -(-products // 2)})
    crossed = products if parties > 2 else 0
    return Needs({"cross": crossed, "and": (majorities(parties) + 1) * products})


def tree_needs(levels: tuple[Level, ...], words: int) -> Needs:
    """What `carry_out` and `all_carries` draw for (bits, words)."""
    return Needs({"pair": words * sum(len(level.high) for level in levels)})


# ---- trees ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Level:
    """Nodes that join a block with the block below it: the places of their highest bits.

    The first `single` lower blocks begin at bit 0: nobody asks whether they propagate.
    """

    high: tuple[int, ...]
    low: tuple[int, ...]
    single: int


def _level(nodes: list[tuple[int, int, bool]]) -> Level:
    """Nodes (high, low, whether the lower block begins at bit 0)."""
    ordered = [*(node for node in nodes if node[2]), *(node for node in nodes if not node[2])]
    high, low, single = zip(*ordered, strict=True)
    return Level(high, low, sum(single))


def carry_levels(bits: int) -> tuple[Level, ...]:
    """The tree of the carry out of all bits alone: bits - 1 nodes."""
    places, levels = list(range(bits)), []
    while len(places) > 1:
        pairs = list(zip(places[1::2], places[::2], strict=False))
        levels.append(_level([(high, low, low == places[0]) for high, low in pairs]))
        places = places[1::2] + places[len(places) // 2 * 2 :]
    return tuple(levels)


def _sklansky(bits: int) -> tuple[Level, ...]:
    return tuple(
        _level(
            [
                (i, i // (2 * span) * 2 * span + span - 1, i < 2 * span)
                for i in range(bits)
                if i & span
            ]
        )
        for span in _spans(bits)
    )


def _brent_kung(bits: int) -> tuple[Level, ...]:
    up = [
        [(i, i - span, i < 2 * span) for i in range(2 * span - 1, bits, 2 * span)]
        for span in _spans(bits)
    ]
    down = [
        [(i, i - span, True) for i in range(3 * span - 1, bits, 2 * span)]
        for span in reversed(list(_spans(bits)))
    ]
    return tuple(_level(nodes) for nodes in (*up, *down) if nodes)


def _spans(bits: int) -> Iterator[int]:
    span = 1
    while span < bits:
        yield span
        span *= 2


TREES = {"brent-kung": _brent_kung, "sklansky": _sklansky}


def _sweep(
    seat: Seat, generate: Words, propagate: Words, levels: tuple[Level, ...]
) -> Protocol[Words]:
    """Joins blocks level by level: each place ends up with what its last block generates."""
    generate, propagate = generate.copy(), propagate.copy()
    width = generate.shape[1]
    triples = yield from pair_triples(seat, 64 * width * sum(len(each.high) for each in levels))
    for level in levels:
        high, low, single = list(level.high), list(level.low), level.single
        sides = propagate[high], generate[low], propagate[low[single:]]
        joined, through = yield from gates(seat, *sides, triples)
        generate[high] ^= joined
        propagate[high[single:]] = through
    return generate


def gates(
    seat: Seat, x: Words, y: Words, z: Words, triples: PairTriples
) -> Protocol[tuple[Words, Words]]:
    """Shares of x[j] & y[j] for each row, and of x[j] & z for the last rows. One round.

    x, y  (k, width); z (l, width), l <= k. Takes k width words of triples.
    """
    a, b, c = triples.take(x.size)
    masks = (a.reshape(x.shape), b.reshape(2, *x.shape), c.reshape(2, *x.shape))
    short = x.size <= SMALL_WORDS
    first = seat.index == 0
    if short:
        own = mask(x, y, z, *masks[:2])
    else:
        [own] = yield [Compute("gates.mask", (x, y, z, *masks[:2]), x.size)]
    shares = yield from broadcast(seat, "masked", own)
    said = (own, *(shares[peer] for peer in seat.peers))
    if short:
        return settle(said, masks, first)
    [made] = yield [Compute("gates.settle", (said, masks, first), x.size)]
    both: tuple[Words, Words] = made
    return both
