"""Correlations made ahead of use and checked: a batch of one kind, or a whole stock.

What       `batch` makes units of one kind and 128 correlations more, which all parties then open
           and throw away before anything of the batch is used; `supply` makes a stock of kinds, all
           in the same rounds; `provided` gives a seat without stock one for what it is about to do.
Against    honest-but-curious parties, n - 1 of whom may collude. The check catches faults: a wrong
           program, broken memory, parties of different versions, and a party whose
           correlations are wrong throughout. It does not catch a determined cheat: the places that
           open are known beforehand, so who spoils others goes unseen. A commitment before each
           opening keeps the last to speak from mending its own shares.
Rounds     those of the kind that takes most, `protocols.triples`, `protocols.masks` and
           `protocols.cross`, and 2.
Bytes      `Needs.bytes` says them exactly; a check takes 48 and the shares of 128 correlations.
Source     opening a part of what was made: the sacrifice of Damgard, Pastro, Smart, Zakarias,
           CRYPTO 2012, section 5, in its plainest form; commitments as `protocols.commitment`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from protocols.abort import Inconsistent
from protocols.commitment import commit_then_open
from protocols.cross import cross_pairs, neighbours
from protocols.kernels.bits import unpack
from protocols.masks import da_bits, eda_bits, truncation_pairs
from protocols.needs import Kind
from protocols.party import Party, Protocol, Says, Seat, together
from protocols.ring import Elements, Ring
from protocols.stock import Needs, Stock
from protocols.triples import and_triples, pair_triples, ring_triples

__all__ = ["ROUNDS", "batch", "provided", "supply"]

ROUNDS = (
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a product of bits"),
    Says("masked", to="all", size="1/4 an AND gate"),
    Says("correct", to="one", size="33 words a product of 64 bits, 129 of 128; 8 words a dabit"),
    Says("bits", to="all", size="1/8 an overflowing bit"),
    Says("commit", to="all", size="32"),
    Says("open", to="all", size="16 + the shares of 128 correlations"),
)

Words = npt.NDArray[np.uint64]
Arrays = tuple[Words, ...]
Opened = Mapping[Party, Arrays]


def supply(seat: Seat, needs: Needs, epoch: str) -> Protocol[Stock]:
    """A stock of all that is needed, made by all parties of the seat. `epoch`: see `Stock`.

    Raises Inconsistent where a check fails: then nothing of this supply may be used.
    """
    made = yield from together({n: batch(seat, n, units) for n, units in needs.counts.items()})
    stock = Stock(seat.me, seat.parties, epoch)
    for name, arrays in made.items():
        stock.put(name, arrays)
    return stock


def provided(seat: Seat, needs: Callable[[], Needs]) -> Protocol[Seat]:
    """The seat itself where it has a stock or no peers; else with all that is needed, made now."""
    if seat.stock is not None or not seat.peers:
        return seat
    made = yield from supply(seat.next_fork("provided"), needs(), "provided")
    return seat.using(made)


def batch(seat: Seat, name: str, units: int) -> Protocol[Arrays]:
    """Checked units of one kind: arrays as `Kind.shapes` says, units on axis 1.

    Raises ValueError for what is no kind, Inconsistent where the opened part is wrong.
    """
    kind = Kind.parse(name)
    made = yield from _made(seat.fork(f"supply {name}"), kind, units + kind.checked)
    yield from _check(seat, name, tuple(array[:, units:] for array in made))
    return tuple(array[:, :units] for array in made)


# ---- the makers ----------------------------------------------------------------------------------


def _made(seat: Seat, kind: Kind, units: int) -> Protocol[Arrays]:
    makers: dict[str, Callable[[Seat, Kind, int], Protocol[Arrays]]] = {
        "and": _ands,
        "pair": _pairs,
        "cross": _crosses,
        "product": _products,
        "edabit": _edabits,
        "dabit": _dabits,
        "truncate": _truncations,
    }
    return (yield from makers[kind.family](seat, kind, units))


def _ands(seat: Seat, _kind: Kind, units: int) -> Protocol[Arrays]:
    made = yield from and_triples(seat, 64 * units)
    return (np.stack((made.a, made.b, made.c)),)


def _pairs(seat: Seat, _kind: Kind, units: int) -> Protocol[Arrays]:
    made = yield from pair_triples(seat, 64 * units)
    return (np.concatenate((made.a[None], made.b, made.c)),)


def _crosses(seat: Seat, _kind: Kind, units: int) -> Protocol[Arrays]:
    made = yield from cross_pairs(seat, units)
    return (np.stack((made.choices, made.chosen, made.offered, made.zeros)),)


def _products(seat: Seat, kind: Kind, units: int) -> Protocol[Arrays]:
    made = yield from ring_triples(seat, Ring(kind.words), (units,))
    return (np.stack((made.a, made.b, made.c)),)


def _edabits(seat: Seat, kind: Kind, units: int) -> Protocol[Arrays]:
    made = yield from eda_bits(seat, Ring(kind.words), kind.size, 64 * units)
    return made.value.reshape(1, units, -1), made.bits


def _dabits(seat: Seat, kind: Kind, units: int) -> Protocol[Arrays]:
    made = yield from da_bits(seat, Ring(kind.words), 64 * units)
    return made.value.reshape(1, units, -1), made.bits[None]


def _truncations(seat: Seat, kind: Kind, units: int) -> Protocol[Arrays]:
    made = yield from truncation_pairs(seat, Ring(kind.words), kind.size, units)
    return (np.stack((made.value, made.high, made.top)),)


# ---- the check -----------------------------------------------------------------------------------


def _check(seat: Seat, name: str, spare: Arrays) -> Protocol[None]:
    flat = np.concatenate([array.reshape(-1) for array in spare])
    heard = yield from commit_then_open(seat, f"checked {name}", flat)
    opened = {party: _apart(value, spare) for party, value in sorted(heard.items())}
    rules: dict[str, Callable[[Seat, Kind, Opened], bool]] = {
        "and": _gates_hold,
        "pair": _gates_hold,
        "cross": _crosses_hold,
        "product": _products_hold,
        "edabit": _bits_agree,
        "dabit": _bits_agree,
        "truncate": _truncations_hold,
    }
    kind = Kind.parse(name)
    if not rules[kind.family](seat, kind, opened):
        raise Inconsistent(
            "", f"a batch of {name} is wrong where it was opened: nothing of it is used"
        )


def _apart(flat: Words, like: Arrays) -> Arrays:
    ends = np.cumsum([array.size for array in like])[:-1]
    parts = np.split(flat, ends)
    return tuple(part.reshape(array.shape) for part, array in zip(parts, like, strict=True))


def _xor(opened: Opened, place: int) -> Words:
    total: Words = np.bitwise_xor.reduce([arrays[place] for arrays in opened.values()])
    return total


def _sum(ring: Ring, opened: Opened, shape: tuple[int, ...]) -> Elements:
    return ring.sum(np.stack([arrays[0].reshape(shape) for arrays in opened.values()]))


def _gates_hold(_seat: Seat, _kind: Kind, opened: Opened) -> bool:
    a, *rest = _xor(opened, 0)
    b, c = np.split(np.stack(rest), 2)
    return np.array_equal(a & b, c)


def _crosses_hold(seat: Seat, _kind: Kind, opened: Opened) -> bool:
    """Of this party and the next one in its ring: each product is between two."""
    sides = neighbours(seat)
    if sides is None:
        return True
    choices, chosen, _, _ = opened[seat.me][0]
    _, _, offered, zeros = opened[sides[0]][0]
    return np.array_equal(choices & offered, chosen ^ zeros)


def _products_hold(_seat: Seat, kind: Kind, opened: Opened) -> bool:
    ring = Ring(kind.words)
    a, b, c = _sum(ring, opened, (3, -1, ring.words))
    return np.array_equal(ring.mul(a, b), c)


def _bits_agree(_seat: Seat, kind: Kind, opened: Opened) -> bool:
    """The value in the ring against the number that the slices make up."""
    ring = Ring(kind.words)
    value = _sum(ring, opened, (-1, ring.words))
    slices = _xor(opened, 1)
    digits = unpack(slices, len(value)).T
    places = np.zeros((len(value), ring.bits), dtype=np.uint8)
    places[:, : len(slices)] = digits
    return np.array_equal(unpack(value, ring.bits), places)


def _truncations_hold(_seat: Seat, kind: Kind, opened: Opened) -> bool:
    ring = Ring(kind.words)
    value, high, top = _sum(ring, opened, (3, -1, ring.words))
    bits, above, first = (unpack(x, ring.bits) for x in (value, high, top))
    shifted, last = np.zeros_like(bits), np.zeros_like(bits)
    shifted[:, : ring.bits - kind.size] = bits[:, kind.size :]
    last[:, 0] = bits[:, -1]
    return np.array_equal(above, shifted) and np.array_equal(first, last)
