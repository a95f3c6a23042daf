"""Silent OT: random OTs of which hardly a byte is said, behind the two functions of SoftSpoken.

What       An expansion uses up 6,144 correlations of a pair of parties and yields 2^20: at the
           sender rows w and a secret D, at the receiver rows v and bits e with v = w xor e D. One
           bit a transfer moves e to the receiver's choice; hashed, rows are strings. The first
           correlations of a use come of SoftSpoken, later ones are kept back from the expansion
           before. What a call leaves over is for the next call of the same labelled use.
Against    honest-but-curious parties, n - 1 of whom may collude. Assumptions beyond those of
           `protocols.oblivious_transfer`: dual LPN with regular noise for the code of `LARGE` and
           a circular correlation robust hash; both with figures in `silent.md`.
Rounds     4 for each 1,042,432 transfers, 3 without choices; all but the first may be empty.
Bytes      to each peer and direction: 98,304 an expansion, 0.094 a transfer, from the sender; 1/8 a
           transfer from the receiver where it chooses; once a use 98,304 from the sender and 6,144
           transfers of SoftSpoken (24,576 at depth 4).
Source     Boyle, Couteau, Gilboa, Ishai, Kohl, Rindal, Scholl, "Efficient two-round OT extension
           and silent non-interactive secure computation", CCS 2019; code: Boyle et al.,
           "Correlated pseudorandomness from expand-accumulate codes", CRYPTO 2022; trees: Guo et
           al., "Half-tree", EUROCRYPT 2023; correlations kept back: Yang, Weng, Lan,
           Zhang, Wang, "Ferret", CCS 2020.

A party holds 16 MiB for each peer and direction between calls, and 32 MiB more while it works.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from protocols import oblivious_transfer
from protocols.kernels.bits import pack, words_for
from protocols.kernels.silent import ALL_BUT_LOW, Code
from protocols.oblivious_transfer import WIDTH_MAX, BitStrings, Strings, Wire, blocks
from protocols.party import Compute, Expect, Parties, Party, Protocol, Round, Says, Seat

__all__ = [
    "LARGE",
    "ROUNDS",
    "Correlated",
    "Supplies",
    "correlate",
    "random_bits",
    "random_ot",
]

ROUNDS = (
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("correlations", to="one", size="16 a correlation that an expansion uses, once a use"),
    Says("levels", to="one", size="16 a correlation that an expansion uses"),
    Says("flips", to="one", size="1/8 a transfer"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Octets = npt.NDArray[np.uint8]
LARGE = Code(weight=32, region_bits=16, trees=512, depth=12, row_bits=20)
ROWS_A_STEP = 1 << 19  # that one Compute makes: two cores share an expansion; fewer cost twice each
WORDS_A_STEP = 1 << 11  # of 64 transfers, that one Compute makes strings of


@dataclass(slots=True, repr=False)
class Supply:
    """One end of one direction of a wire: correlations that are not used yet.

    base    (k, 2): what the next expansion uses up; bit 0 of a receiver's row is its bit e
    begun   whether the first base correlations were ever asked for
    chunks  (64 m, 2) each: what calls may take
    delta   (2,): the sender's secret, zero at the receiver
    """

    base: Words | None = None
    begun: bool = False
    chunks: list[Words] = field(default_factory=list)
    delta: Words = field(default_factory=lambda: np.zeros(2, dtype=np.uint64))
    expansions: int = 0

    def __repr__(self) -> str:
        return f"Supply({self.left} left, <redacted>)"

    @property
    def left(self) -> int:
        """Correlations that no call has taken."""
        return sum(len(chunk) for chunk in self.chunks)

    def spend(self) -> Words:
        """The base correlations, for one expansion: they are gone whatever becomes of it.

        Raises ValueError when an expansion before was broken off.
        """
        base, self.base = self.base, None
        if base is None:
            raise ValueError("an expansion of this wire was broken off: it cannot be used again")
        return base

    def refill(self, parts: list[Words], code: Code) -> None:
        """Put in the rows of an expansion; the first are kept back for the next one."""
        first, *others = parts
        self.base = first[: code.base].copy()
        spare = code.rows - code.base - code.fresh
        self.chunks += [first[code.base + spare :], *others]
        self.expansions += 1

    def take(self, count: int) -> list[Words]:
        """The next correlations, whole words of 64, each handed out once."""
        assert count % 64 == 0
        assert count <= self.left
        made = []
        while count:
            chunk = self.chunks.pop(0)
            if len(chunk) > count:
                self.chunks.insert(0, chunk[count:])
            made.append(chunk[:count])
            count -= len(made[-1])
        return made


@dataclass(slots=True, repr=False)
class Supplies:
    """Both directions of one use of a wire. Only this module writes them."""

    sending: Supply = field(default_factory=Supply)
    receiving: Supply = field(default_factory=Supply)

    def __repr__(self) -> str:
        return f"Supplies({self.sending!r}, {self.receiving!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Correlated:
    """Correlations of one call by peer, uint64 (count, 2) each; they are used once.

    sent      w, where this party sends, and `deltas` the secret D (2,) of that direction
    received  v = w xor e D, where it receives; e is bit 0 of v, for w has bit 0 clear and D set
    """

    sent: Mapping[Party, Words]
    deltas: Mapping[Party, Words]
    received: Mapping[Party, Words]

    def __repr__(self) -> str:
        return "Correlated(<redacted>)"


# ---- correlations --------------------------------------------------------------------------------


def correlate(
    seat: Seat, code: Code, count: int, receiving: Parties, offering: Parties
) -> Protocol[Correlated]:
    """`count` correlations with random bits e with each peer named, at most `code.fresh`.

    Every party of the seat calls with the same code and count, also one that does neither.
    Raises ValueError for another count, and for a wire whose last expansion was broken off.
    """
    if not 0 <= count <= code.fresh:
        raise ValueError(f"{count} correlations asked for, {code.fresh} come of an expansion")
    sends, receives = yield from _drawn(seat, code, words_for(count), receiving, offering)
    return Correlated(
        {peer: _joined(chunks)[:count] for peer, chunks in sends.items()},
        {peer: _supplies(seat.wires[peer]).sending.delta for peer in sends},
        {peer: _joined(chunks)[:count] for peer, chunks in receives.items()},
    )


def _joined(chunks: list[Words]) -> Words:
    return np.concatenate([np.zeros((0, 2), dtype=np.uint64), *chunks])


def _drawn(
    seat: Seat, code: Code, words: int, receiving: Parties, offering: Parties
) -> Protocol[tuple[dict[Party, list[Words]], dict[Party, list[Words]]]]:
    """64 correlations a word, sent and received, at most `code.fresh`."""
    count = 64 * words
    sends = {peer: _supplies(seat.wires[peer]).sending for peer in offering}
    receives = {peer: _supplies(seat.wires[peer]).receiving for peer in sorted(receiving)}
    short_sends = {peer: supply for peer, supply in sends.items() if supply.left < count}
    short_receives = {peer: supply for peer, supply in receives.items() if supply.left < count}
    yield from _begin(seat, code, short_receives, short_sends)
    yield from _expand(seat, code, short_receives, short_sends)
    return (
        {peer: supply.take(count) for peer, supply in sends.items()},
        {peer: supply.take(count) for peer, supply in receives.items()},
    )


def _supplies(wire: Wire) -> Supplies:
    if wire.silent is None:
        wire.silent = Supplies()
    assert isinstance(wire.silent, Supplies)
    return wire.silent


def _begin(
    seat: Seat, code: Code, receives: Mapping[Party, Supply], sends: Mapping[Party, Supply]
) -> Protocol[None]:
    """The base correlations of directions that have never been expanded."""
    choosing = {
        peer: seat.rand.bits((code.base,)) for peer, supply in receives.items() if not supply.begun
    }
    offering = tuple(peer for peer, supply in sends.items() if not supply.begun)
    for supply in (*receives.values(), *sends.values()):
        supply.begun = True
    plain = replace(seat, extension="softspoken")
    pads = yield from oblivious_transfer.random_ot(plain, code.base, 2, choosing, offering)
    says = {}
    for peer in offering:
        delta = seat.rand.words((2,))
        delta[0] |= np.uint64(1)
        says[peer, "correlations"] = pads.zeros[peer] ^ pads.ones[peer] ^ delta
        sends[peer].delta, sends[peer].base = delta, _cleared(pads.zeros[peer])
    expect = Expect("uint64", (code.base, 2))
    heard = yield Round(says, {(peer, "correlations"): expect for peer in choosing})
    for peer, bits in choosing.items():
        wide = bits.astype(np.uint64)[:, None]
        rows = pads.chosen[peer] ^ (heard[peer, "correlations"] & (np.uint64(0) - wide))
        base = _cleared(rows)
        base[:, :1] |= wide
        receives[peer].base = base


def _cleared(rows: Words) -> Words:
    made = rows.copy()
    made[:, 0] &= ALL_BUT_LOW
    return made


def _expand(
    seat: Seat, code: Code, receives: Mapping[Party, Supply], sends: Mapping[Party, Supply]
) -> Protocol[None]:
    """One expansion of each direction named, one peer after the other, for the memory's sake."""
    shape = (code.depth, code.trees, 2)
    mine, says = {}, {}
    for peer, supply in sends.items():
        key = _tree_key(seat.wires[peer], seat.me, supply.expansions)
        roots = seat.rand.words((code.trees, 2))
        base = supply.spend().reshape(shape)
        planted = yield [Compute("silent.plant", (supply.delta, roots, base, key), code.positions)]
        says[peer, "levels"], leaves = planted[0]
        mine[peer] = yield from _compress(code, leaves)
    bases = {peer: supply.spend().reshape(shape) for peer, supply in receives.items()}
    heard = yield Round(says, {(p, "levels"): Expect("uint64", shape) for p in receives})
    for peer, supply in receives.items():
        key = _tree_key(seat.wires[peer], peer, supply.expansions)
        grafted = yield [
            Compute("silent.graft", (bases[peer], heard[peer, "levels"], key), code.positions)
        ]
        supply.refill((yield from _compress(code, grafted[0])), code)
    for peer, supply in sends.items():
        supply.refill(mine[peer], code)


def _compress(code: Code, leaves: Words) -> Protocol[list[Words]]:
    parts = yield [
        Compute("silent.compress", (leaves, code, part.start, part.stop), part.stop - part.start)
        for part in blocks(code.rows, ROWS_A_STEP)
    ]
    return list(parts)


def _tree_key(wire: Wire, sender: Party, expansions: int) -> Octets:
    """(16,): the public key of the trees' hash in one expansion."""
    salt = wire.path + sender.encode()
    number = expansions.to_bytes(8, "big")
    made = hashlib.blake2b(salt, key=number, person=b"p2pmpc/silent", digest_size=16)
    return np.frombuffer(made.digest(), np.uint8)


# ---- transfers -----------------------------------------------------------------------------------


def random_ot(
    seat: Seat,
    code: Code,
    count: int,
    words: int,
    choosing: Mapping[Party, Bits],
    offering: Parties,
) -> Protocol[Strings]:
    """What `oblivious_transfer.random_ot` gives, by expansions of this code."""
    packed = {peer: pack(bits) for peer, bits in sorted(choosing.items())}
    kept = _Kept("", words, 0)
    made = yield from _transfer(seat, code, kept, words_for(count), packed, offering)
    return Strings(*({peer: one[:count] for peer, one in table.items()} for table in made))


def random_bits(
    seat: Seat,
    code: Code,
    count: int,
    width: int,
    choosing: Mapping[Party, Words],
    offering: Parties,
) -> Protocol[BitStrings]:
    """What `oblivious_transfer.random_bits` gives, by expansions of this code.

    Raises ValueError for a count that is no multiple of 64 or a width outside 1 to 8.
    """
    if count % 64 or not 1 <= width <= WIDTH_MAX:
        raise ValueError(f"{count} transfers of {width} bits: whole words of 1 to 8 bits wanted")
    kept = _Kept("_bits", width, 1)
    return BitStrings(*(yield from _transfer(seat, code, kept, count // 64, choosing, offering)))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of strings: suffix of the kernels, words or bits, axis of transfers."""

    suffix: str
    size: int
    axis: int

    @property
    def words(self) -> int:
        return self.size if self.axis == 0 else 1

    def joined(self, parts: list[Words]) -> Words:
        shape = (0, self.size) if self.axis == 0 else (self.size, 0)
        empty = np.zeros(shape, dtype=np.uint64)
        return parts[0] if len(parts) == 1 else np.concatenate([empty, *parts], axis=self.axis)


_Tables = tuple[dict[Party, Words], dict[Party, Words], dict[Party, Words]]


def _transfer(
    seat: Seat,
    code: Code,
    kept: _Kept,
    words: int,
    choosing: Mapping[Party, Words],
    offering: Parties,
) -> Protocol[_Tables]:
    """64 transfers a word, block by block: chosen, zeros, ones of each peer."""
    parts: tuple[dict[Party, list[Words]], ...] = (
        {peer: [] for peer in sorted(choosing)},
        {peer: [] for peer in offering},
        {peer: [] for peer in offering},
    )
    for block in blocks(words, code.fresh // 64):
        bits = {peer: choosing[peer][block] for peer in sorted(choosing)}
        made = yield from _block(seat, code, kept, block.stop - block.start, bits, offering)
        for table, new in zip(parts, made, strict=True):
            for peer in table:
                table[peer] += new[peer]
    chosen, zeros, ones = ({p: kept.joined(of) for p, of in t.items()} for t in parts)
    return chosen, zeros, ones


_Parts = tuple[dict[Party, list[Words]], ...]


def _block(
    seat: Seat,
    code: Code,
    kept: _Kept,
    words: int,
    choosing: Mapping[Party, Words],
    offering: Parties,
) -> Protocol[_Parts]:
    sent, received = yield from _drawn(seat, code, words, tuple(choosing), offering)
    said, chosen = yield from _in_steps(
        "silent.receive" + kept.suffix,
        kept.size,
        {
            peer: (received[peer], None, bits, seat.wires[peer].hash_keys(peer, kept.words))
            for peer, bits in choosing.items()
        },
    )
    heard = yield Round(
        {(peer, "flips"): np.concatenate(parts) for peer, parts in said.items()},
        {(peer, "flips"): Expect("uint64", (words,)) for peer in offering},
    )
    zeros, ones = yield from _in_steps(
        "silent.send" + kept.suffix,
        kept.size,
        {
            peer: (
                sent[peer],
                _supplies(seat.wires[peer]).sending.delta,
                heard[peer, "flips"],
                seat.wires[peer].hash_keys(seat.me, kept.words),
            )
            for peer in offering
        },
    )
    return chosen, zeros, ones


_Work = tuple[list[Words], Words | None, Words, Octets]


def _in_steps(kernel: str, size: int, work: Mapping[Party, _Work]) -> Protocol[_Parts]:
    """Both results of a kernel for each peer, each as a list of parts."""
    steps = [(peer, compute) for peer in work for compute in _steps(kernel, size, *work[peer])]
    made = yield [compute for _, compute in steps]
    found: _Parts = ({peer: [] for peer in work}, {peer: [] for peer in work})
    for (peer, _), pair in zip(steps, made, strict=True):
        for table, part in zip(found, pair, strict=True):
            table[peer].append(part)
    return found


def _steps(
    kernel: str, size: int, chunks: list[Words], delta: Words | None, bits: Words, keys: Octets
) -> Iterator[Compute]:
    """A kernel over chunks of correlations; a sender's come with its secret."""
    for chunk in chunks:
        for part in blocks(len(chunk), 64 * WORDS_A_STEP):
            rows, words = chunk[part], words_for(part.stop - part.start)
            first = rows if delta is None else (rows, delta)
            yield Compute(kernel, (first, bits[:words], keys, size), len(rows))
            bits = bits[words:]
