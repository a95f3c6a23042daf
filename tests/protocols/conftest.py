"""Seats, wires and shares for the tests of protocols, all from named seeds."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pytest

from protocols.cross import rings
from protocols.kernels.bits import pack
from protocols.needs import Kind
from protocols.oblivious_transfer import Trees, Wire, connect
from protocols.party import Seat, play
from protocols.randomness import Randomness
from protocols.ring import Ring
from protocols.stock import Stock

NAMES = tuple("abcdefghij")


def coins(*seed):
    return Randomness(hashlib.sha256(repr(seed).encode()).digest())


def make_seats(count, seed):
    parties = NAMES[:count]
    return {
        me: Seat(
            me,
            parties,
            coins(seed, me),
            {peer: coins(seed, *sorted((me, peer))) for peer in parties if peer != me},
        )
        for me in parties
    }


@pytest.fixture
def seats():
    """seats(count, seed): a seat for each of so many parties, without wires."""
    return make_seats


@pytest.fixture(scope="session")
def base_wires():
    """Real base OTs, once for each number of parties and test run."""
    made = {}

    def wires(count):
        if count not in made:
            made[count] = play({p: connect(s) for p, s in make_seats(count, "wires").items()})
        return made[count]

    return wires


@pytest.fixture
def connected(base_wires, request):
    """connected(count): seats with wires; each call gives coins and correlations of its own."""
    calls = iter(range(1000))

    def seats_of(count):
        label = f"{request.node.nodeid} {next(calls)}"
        found = base_wires(count)
        return {
            me: replace(seat, wires={p: wire.fork(label) for p, wire in found[me].items()})
            for me, seat in make_seats(count, label).items()
        }

    return seats_of


@dataclass
class Shares:
    """Splits values into shares and puts shares together."""

    rng: np.random.Generator

    def split(self, ring, elements, count):
        parts = [
            self.rng.integers(0, 2**64, elements.shape, dtype=np.uint64) for _ in range(count - 1)
        ]
        last = elements
        for part in parts:
            last = ring.sub(last, part)
        return dict(zip(NAMES[:count], [*parts, last], strict=True))

    def split_bits(self, bits, count):
        parts = [self.rng.integers(0, 2, bits.shape).astype(np.uint8) for _ in range(count - 1)]
        return dict(
            zip(NAMES[:count], [*parts, np.bitwise_xor.reduce([bits, *parts])], strict=True)
        )

    @staticmethod
    def join(ring, shares):
        return ring.sum(np.stack([shares[p] for p in sorted(shares)]), axis=0)

    @staticmethod
    def join_bits(shares):
        return np.bitwise_xor.reduce([shares[p] for p in sorted(shares)])


@pytest.fixture
def shares():
    return Shares(np.random.default_rng(20240229))


@pytest.fixture
def dealt():
    """dealt(seats): the same seats with wires from their own coins, for many fast runs."""
    return dealt_wires


@pytest.fixture(name="lacking")
def lacking_fixture():
    """lacking(whole, secret): trees (t, 2^depth, 2) as the sender holds them."""
    return lacking


def dealt_wires(seats):
    """Trees as `connect` would make them, dealt from each party's own coins."""
    parties = tuple(sorted(seats))
    pairs = [(p, q) for p in parties for q in parties if p != q]
    secret = {(p, q): seats[p].rand.bits((128,)) for p, q in pairs}
    whole = {
        (p, q): seats[p].rand.words((128 // seats[p].depth, 1 << seats[p].depth, 2))
        for p, q in pairs
    }
    return {
        me: replace(
            seat,
            wires={
                peer: Wire(
                    me,
                    peer,
                    Trees(
                        secret[me, peer],
                        whole[me, peer],
                        lacking(whole[peer, me], secret[me, peer]),
                    ),
                    bytes(32),
                )
                for peer in seat.peers
            },
        )
        for me, seat in seats.items()
    }


def lacking(whole, secret):
    """These trees as the sender holds them: by distance from its secret, leaf 0 unknown."""
    trees, leaves, _ = whole.shape
    place = secret.reshape(trees, -1) @ (1 << np.arange(128 // trees))
    found = whole[np.arange(trees)[:, None], place[:, None] ^ np.arange(leaves)].copy()
    found[:, 0] = 0
    return found


@pytest.fixture
def stocked():
    """stocked(seats, needs): the same seats with a stock of exactly these needs, dealt."""
    return dealt_stock


def dealt_stock(seats, needs, rng=None):
    rng = rng or np.random.default_rng(len(needs.counts))
    parties = tuple(sorted(seats))
    stocks = {p: Stock(p, parties, "test") for p in parties}
    for name, units in needs.counts.items():
        parts = dealt_kind(rng, Kind.parse(name), units, parties)
        for party in parties:
            stocks[party].put(name, parts[party])
    return {p: seats[p].using(stocks[p]) for p in parties}


def dealt_kind(rng, kind, units, parties):
    """Correlations as one who knows them all would hand them out."""
    count, ring = len(parties), Ring(max(1, kind.words))
    if kind.family == "cross":
        return dealt_crosses(rng, units, parties)
    if kind.family in ("and", "pair"):
        a, *b = rng.integers(0, 2**64, (kind.shapes[0][0] // 2 + 1, units), dtype=np.uint64)
        whole = (np.stack([a, *b, *(a & each for each in b)]),)
        whole_parts = [xored(rng, each, count) for each in whole]
    elif kind.family == "product":
        a, b = (rng.integers(0, 2**64, (units, kind.words), dtype=np.uint64) for _ in range(2))
        whole_parts = [summed(rng, ring, np.stack((a, b, ring.mul(a, b))), count)]
    elif kind.family == "truncate":
        value = rng.integers(0, 2**64, (units, kind.words), dtype=np.uint64)
        whole = [sum(int(w) << (64 * k) for k, w in enumerate(row)) for row in value]
        parts = [[v >> shift for v in whole] for shift in (kind.size, ring.bits - 1)]
        stacked = np.stack((value, *(ring.from_ints(part) for part in parts)))
        whole_parts = [summed(rng, ring, stacked, count)]
    else:
        assert kind.family in ("edabit", "dabit")
        bits = rng.integers(0, 2, (kind.size or 1, 64 * units)).astype(np.uint8)
        powers = ring.from_ints([1 << t for t in range(len(bits))])
        value = ring.sum(
            ring.mul(bits[:, :, None].astype(np.uint64) * as_one(ring), powers[:, None])
        )
        whole_parts = [
            summed(rng, ring, value.reshape(1, units, 64 * kind.words), count, kind.words),
            xored(rng, pack(bits), count),
        ]
    return {p: tuple(part[k] for part in whole_parts) for k, p in enumerate(parties)}


def as_one(ring):
    return np.eye(1, ring.words, dtype=np.uint64)[0]


def xored(rng, whole, count):
    parts = [rng.integers(0, 2**64, whole.shape, dtype=np.uint64) for _ in range(count - 1)]
    return [*parts, np.bitwise_xor.reduce([whole, *parts])]


def summed(rng, ring, whole, count, words=None):
    shaped = whole.reshape(*whole.shape[:-1], -1, words) if words else whole
    parts = [rng.integers(0, 2**64, shaped.shape, dtype=np.uint64) for _ in range(count - 1)]
    last = shaped
    for part in parts:
        last = ring.sub(last, part)
    return [part.reshape(whole.shape) for part in (*parts, last)]


def dealt_crosses(rng, units, parties):
    found = {p: np.zeros((4, units), np.uint64) for p in parties}
    for ring in rings(parties):
        for place, party in enumerate(ring):
            following = ring[(place + 1) % len(ring)]
            c, d, z = rng.integers(0, 2**64, (3, units), dtype=np.uint64)
            found[party][:2] = c, (c & d) ^ z
            found[following][2:] = d, z
    return {p: (rows,) for p, rows in found.items()}
