"""Seats, wires and shares for the tests of protocols, all from named seeds."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pytest

from protocols.oblivious_transfer import Trees, Wire, connect
from protocols.party import Seat, play
from protocols.randomness import Randomness

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
