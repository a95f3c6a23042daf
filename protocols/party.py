"""What a protocol is: a generator that speaks in rounds.

A protocol yields one of three steps and is resumed with the step's result:

    Round      what this party says to whom under which name, and what it must hear;
               resumed with {(sender, name): array}
    [Compute]  registered kernels to run; resumed with their results, in order
    Pause      a fact that must be on this party's own disk before the protocol goes on;
               resumed with None

The driver sends, receives, checks every array against its `Expect`, times out, and runs kernels.
It never continues with a subset of the parties: it closes the generator.

Mail is addressed (sender, name) and is FIFO within a name, so a name may be used again by a later
round. **Every role of a protocol counts the same rounds**: a role with nothing to say or hear
yields `Round()`. A message is said in a round numbered no later than the one it is heard in. This
is what lets `together` run several protocols in the same rounds without a deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from protocols.abort import Suspected
from protocols.kernels.registry import run_kernel
from protocols.randomness import Randomness

if TYPE_CHECKING:
    from protocols.stock import Stock

__all__ = [
    "ALL",
    "ONE",
    "Compute",
    "Expect",
    "Parties",
    "Party",
    "Pause",
    "Protocol",
    "Round",
    "Says",
    "Seat",
    "Step",
    "Trace",
    "Value",
    "named",
    "play",
    "together",
]

Party: TypeAlias = str
Parties: TypeAlias = tuple[Party, ...]
Value: TypeAlias = npt.NDArray[Any]
T = TypeVar("T")

ALL, ONE = "all", "one"  # a message goes to every other party of the group, or to one
EXTENSIONS = ("softspoken", "silent")
DTYPES = ("uint8", "uint32", "uint64")  # what a message may carry


@dataclass(frozen=True, slots=True)
class Says:
    """One declared message: its name, its direction, its size in bytes as words or a number."""

    name: str
    to: str
    size: str


@dataclass(frozen=True, slots=True)
class Expect:
    """The exact dtype and shape that a message must have."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the array on the wire, without its head."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.shape, dtype=np.int64))

    def check(self, sender: Party, name: str, value: Value) -> None:
        """Raises Suspected unless the value has this dtype and shape."""
        if value.dtype != np.dtype(self.dtype) or value.shape != self.shape:
            raise Suspected(
                sender,
                f"message {name!r} should be {self.dtype}{list(self.shape)},"
                f" and is {value.dtype}{list(value.shape)}",
            )


@dataclass(frozen=True, slots=True)
class Round:
    """One exchange. `broadcasts` names messages that go identically to a whole group.

    For every name in `broadcasts` the group (sorted, this party included) says the same array to
    each of its other members; the running hash of such traffic is compared before an opening.
    """

    says: Mapping[tuple[Party, str], Value] = field(default_factory=dict, repr=False)
    hears: Mapping[tuple[Party, str], Expect] = field(default_factory=dict)
    broadcasts: Mapping[str, Parties] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compute:
    """A registered kernel with its arguments and its size in the kernel's own cost units."""

    kernel: str
    arguments: tuple[Any, ...] = field(repr=False)  # keys and rows among them
    units: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A fact that must be on disk (`kind` checked), or certified by all (`kind` release)."""

    kind: str
    facts: Mapping[str, Any]


Step: TypeAlias = Round | list[Compute] | Pause
Protocol: TypeAlias = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one party sits in one run: who it is, with whom, and its coins.

    parties  all parties of this (sub-)protocol, sorted, this one included
    rand     this party's private coins
    pair     for each peer, coins that both hold (and nobody else)
    wires    for each peer, the base correlations made by `oblivious_transfer.connect`; empty before
    depth    of the trees that `connect` makes, public and the same at all parties: 4, or 8 on thin
             links, where a random OT then costs half the bytes and more work
    extension  what stretches base OTs, public and the same at all parties: "softspoken", or
             "silent" (`protocols.silent`), which says hardly anything and assumes more
    stock    correlations to draw from, made before; a fork has none, because parties may run
             protocols that go together in different orders (`Stock.allot` gives each its own)
    """

    me: Party
    parties: Parties
    rand: Randomness
    pair: Mapping[Party, Randomness]
    wires: Mapping[Party, Any] = field(default_factory=dict)
    depth: int = 4
    extension: str = "softspoken"
    stock: Stock | None = None

    def __post_init__(self) -> None:
        if self.me not in self.parties or tuple(sorted(set(self.parties))) != self.parties:
            raise ValueError("parties must be sorted, distinct and include this party")
        if self.extension not in EXTENSIONS:
            raise ValueError(f"OT extensions are {EXTENSIONS}, not {self.extension!r}")

    @property
    def peers(self) -> Parties:
        """All other parties, sorted."""
        return tuple(party for party in self.parties if party != self.me)

    @property
    def index(self) -> int:
        """This party's place among the sorted parties; the first adds public constants."""
        return self.parties.index(self.me)

    def fork(self, label: str) -> Seat:
        """The same seat with coins and wires of its own for one labelled use, and no stock."""
        return replace(
            self,
            rand=self.rand.fork(label),
            pair={peer: coins.fork(label) for peer, coins in sorted(self.pair.items())},
            wires={peer: wire.fork(label) for peer, wire in sorted(self.wires.items())},
            stock=None,
        )

    def next_fork(self, label: str) -> Seat:
        """As `fork`, for a use that comes again; each pair of parties counts its own uses."""
        return replace(
            self,
            rand=self.rand.next_fork(label),
            pair={peer: coins.next_fork(label) for peer, coins in sorted(self.pair.items())},
            wires={peer: wire.next_fork(label) for peer, wire in sorted(self.wires.items())},
            stock=None,
        )

    def using(self, stock: Stock) -> Seat:
        """The same seat with correlations to draw from. Raises Foreign for another's stock."""
        stock.check(self.me, self.parties, stock.epoch)
        return replace(self, stock=stock)

    def among(self, parties: Parties) -> Seat:
        """The same seat in a subgroup, without stock; keep the coins of its peers only."""
        group = tuple(sorted(parties))
        return Seat(
            self.me,
            group,
            self.rand,
            {peer: coins for peer, coins in self.pair.items() if peer in group},
            {peer: wire for peer, wire in self.wires.items() if peer in group},
            self.depth,
            self.extension,
        )


def named(prefix: str, protocol: Protocol[T]) -> Protocol[T]:
    """The same protocol with `prefix/` before every message name."""
    results = yield from together({prefix: protocol})
    return results[prefix]


def together(protocols: Mapping[str, Protocol[T]]) -> Protocol[dict[str, T]]:
    """Run several protocols in the same rounds; message names get the protocol's name as prefix.

    Kernels run before rounds: while any child waits for a Compute, only Computes are yielded, all
    of them as one list. A Pause inside `together` is a fault of the caller.
    """
    steps: dict[str, Step] = {}
    results: dict[str, T] = {}

    def advance(name: str, sent: Any) -> None:
        try:
            step = protocols[name].send(sent)
        except StopIteration as stop:
            results[name] = stop.value
            steps.pop(name, None)
            return
        if isinstance(step, Pause):  # it guards an opening, so not by an assert
            raise TypeError(f"{name}: a pause inside together")
        steps[name] = step

    try:
        for name in sorted(protocols):
            advance(name, None)
        while steps:
            computing = [name for name in sorted(steps) if isinstance(steps[name], list)]
            if computing:
                yield from _compute_together(computing, steps, advance)
            else:
                yield from _round_together(steps, advance)
    finally:
        for name in sorted(protocols):
            protocols[name].close()
    return results


def _compute_together(
    names: list[str], steps: dict[str, Step], advance: Callable[[str, Any], None]
) -> Protocol[None]:
    lists = {name: steps[name] for name in names}
    done = yield [compute for name in names for compute in lists[name]]  # type: ignore[union-attr]
    start = 0
    for name in names:
        end = start + len(lists[name])  # type: ignore[arg-type]
        advance(name, done[start:end])
        start = end


def _round_together(steps: dict[str, Step], advance: Callable[[str, Any], None]) -> Protocol[None]:
    rounds: dict[str, Round] = {n: s for n, s in sorted(steps.items()) if isinstance(s, Round)}
    heard = yield Round(
        {(to, f"{n}/{m}"): v for n, r in rounds.items() for (to, m), v in r.says.items()},
        {(by, f"{n}/{m}"): e for n, r in rounds.items() for (by, m), e in r.hears.items()},
        {f"{n}/{m}": group for n, r in rounds.items() for m, group in r.broadcasts.items()},
    )
    for name, step in rounds.items():
        advance(name, {(by, m): heard[by, f"{name}/{m}"] for by, m in step.hears})


# ---- all parties on one page ---------------------------------------------------------------------


@dataclass(slots=True)
class Trace:
    """What was said in a `play`: (sender, receiver, name, array), in order; and the pauses."""

    said: list[tuple[Party, Party, str, Value]] = field(default_factory=list)
    pauses: list[tuple[Party, Pause]] = field(default_factory=list)
    rounds: int = 0

    def heard_by(self, parties: Parties) -> list[tuple[Party, str, Value]]:
        """The view of these parties: what others told them."""
        inside = set(parties)
        return [(s, n, v) for s, r, n, v in self.said if r in inside and s not in inside]


Tamper: TypeAlias = Callable[[Party, Party, str, Value], Value | None]


def play(
    protocols: Mapping[Party, Protocol[T]],
    trace: Trace | None = None,
    tamper: Tamper | None = None,
) -> dict[Party, T]:
    """Run all parties of a protocol in this process, for tests, vectors and the README.

    `tamper(sender, receiver, name, value)` may return another array, or None to lose the message.
    Raises what a protocol raises; RuntimeError when every party waits for something never said.
    """
    table = _Table(trace if trace is not None else Trace(), tamper)
    waiting: dict[Party, Step] = {}
    results: dict[Party, T] = {}

    def advance(party: Party, sent: Any) -> None:
        try:
            while True:
                step = protocols[party].send(sent)
                if isinstance(step, Round):
                    table.say(party, step)
                    waiting[party] = step
                    return
                sent = table.immediate(party, step)
        except StopIteration as stop:
            results[party] = stop.value
            waiting.pop(party, None)

    try:
        for party in sorted(protocols):
            advance(party, None)
        while waiting:
            ready = [p for p in sorted(waiting) if table.has(p, waiting[p])]
            if not ready:
                raise RuntimeError(f"all wait: {table.lacking(waiting)}")
            for party in ready:
                advance(party, table.hear(party, waiting[party]))
    finally:
        for party in sorted(protocols):
            protocols[party].close()
    return results


@dataclass(slots=True)
class _Table:
    """The mail between parties in one process."""

    trace: Trace
    tamper: Tamper | None
    mail: dict[tuple[Party, Party, str], list[Value]] = field(default_factory=dict, repr=False)

    def immediate(self, party: Party, step: Step) -> Any:
        if isinstance(step, Pause):
            self.trace.pauses.append((party, step))
            return None
        assert isinstance(step, list)
        return [run_kernel(compute.kernel, *compute.arguments) for compute in step]

    def say(self, sender: Party, step: Round) -> None:
        self.trace.rounds += 1
        for (to, name), value in sorted(step.says.items(), key=lambda item: item[0]):
            assert value.dtype.name in DTYPES, f"{name}: a message cannot carry {value.dtype}"
            sent: Value | None = np.array(value)  # as over a wire: nobody shares memory
            if self.tamper is not None:
                sent = self.tamper(sender, to, name, np.array(value))
            if sent is not None:
                self.trace.said.append((sender, to, name, sent))
                self.mail.setdefault((to, sender, name), []).append(sent)

    def has(self, party: Party, step: Step) -> bool:
        assert isinstance(step, Round)
        return all(self.mail.get((party, sender, name)) for sender, name in step.hears)

    def hear(self, party: Party, step: Step) -> dict[tuple[Party, str], Value]:
        assert isinstance(step, Round)
        heard = {}
        for (sender, name), expect in sorted(step.hears.items(), key=lambda item: item[0]):
            value = self.mail[party, sender, name].pop(0)
            expect.check(sender, name, value)
            heard[sender, name] = value
        return heard

    def lacking(self, waiting: Mapping[Party, Step]) -> list[tuple[Party, Party, str]]:
        return [
            (party, sender, name)
            for party, step in sorted(waiting.items())
            if isinstance(step, Round)
            for sender, name in step.hears
            if not self.mail.get((party, sender, name))
        ]
