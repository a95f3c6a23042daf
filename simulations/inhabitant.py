"""One node of a simulated world: the production core, a store in memory, and its lives.

A crash takes the core and everything else that is not in the store; a restart makes a new core from
what is stored, as a node on disk does. Keys, cards and salts come from the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nacl.bindings import crypto_scalarmult_base

from nodes.core.effects import Effect
from nodes.core.feeds import Feeds, Known
from nodes.core.node import Core
from nodes.store.roster import recall_roster
from p2pmpc.address import AddressRecord
from p2pmpc.identity import SecretKeys, Signer, make_card
from p2pmpc.policy import Policy
from p2pmpc.settings import Settings
from simulations.chance import Chance
from simulations.memory import MemoryStore, Volume
from simulations.reading import SharedReading

__all__ = ["Inhabitant", "settle"]


@dataclass(slots=True)
class Inhabitant:
    """A node in one of its lives. `core` is None while it is dead, and before it is founded."""

    index: int
    name: str
    network: int
    signer: Signer
    card: bytes
    settings: Settings
    policy: Policy
    store: MemoryStore
    reading: SharedReading
    randomness: Callable[[int], bytes]
    seeds: tuple[int, ...]
    core: Core | None = None
    address: str = ""  # where this process listens
    life: int = 0
    armed: str = ""  # the point at which this process is to die
    seeks: bool = False  # it will dial whom it has no link to
    sees: dict[int, int] = field(default_factory=dict)  # peer -> connection that it knows of
    timers: dict[str, int] = field(default_factory=dict)  # name -> which setting of it counts
    overheard: dict[str, AddressRecord] = field(default_factory=dict)  # by a liar, to replay
    bytes_sent: int = 0

    def begin(self) -> Core:
        """A new process with an empty record."""
        self.core = self._core()
        return self.core

    def end(self) -> None:
        """The process dies with all that it had not stored."""
        self.core, self.armed = None, ""
        self.life += 1
        self.sees, self.timers, self.seeks = {}, {}, False

    def begin_again(self, now_ms: int) -> list[Effect]:
        """A new process on the old record; returns what its core does first."""
        core = self.begin()
        stored = self.store.in_causal_order()
        if not stored:
            return []
        core.feeds.roster = recall_roster(self.store)
        core.feeds.heads = self.store.heads()
        return core.restore(now_ms, [self._known(volume) for volume in stored])

    def _core(self) -> Core:
        feeds = Feeds(self.name, self.signer, self.randomness, self.store, reading=self.reading)
        return Core(
            self.name,
            self.settings,
            feeds,
            self.signer,
            self.randomness,
            make_key_pair,
            self.policy,
        )

    def _known(self, volume: Volume) -> Known:
        body = self.store.body_of(volume)
        content = self.reading.content(volume.entry, body) if body is not None else None
        return Known(volume.entry, volume.hash, content)


def make_key_pair(secret: bytes) -> tuple[bytes, bytes]:
    """An X25519 key pair of 32 bytes each: (secret, public)."""
    return secret, crypto_scalarmult_base(secret)


def settle(
    index: int,
    name: str,
    network: int,
    policy: Policy,
    reading: SharedReading,
    seeds: tuple[int, ...],
    chance: Chance,
) -> Inhabitant:
    """A node that has keys and a card, and has not been started. Its card says no address."""
    keys = SecretKeys(chance.bytes(32), chance.bytes(32), chance.bytes(32))
    return Inhabitant(
        index=index,
        name=name,
        network=network,
        signer=Signer(keys.log_seed),
        card=make_card(name, keys, name.encode(), ""),
        settings=Settings(name=name, sessions=1),
        policy=policy,
        store=MemoryStore(reading.library),
        reading=reading,
        randomness=chance.bytes,
        seeds=seeds,
    )
