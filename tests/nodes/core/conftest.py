"""Real cores with real stores, joined by a list of messages instead of sockets."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from nodes.core.effects import (
    Append,
    DatasetAdded,
    Founded,
    LinkMade,
    Proposed,
    Received,
    Remember,
    Send,
    SetTimer,
)
from nodes.core.feeds import Feeds
from nodes.core.node import Core
from nodes.store.record import RecordStore
from nodes.wiring import make_key_pair
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.identity import SecretKeys, Signer, make_card
from p2pmpc.policy import REHEARSAL
from p2pmpc.settings import rehearsal_settings
from p2pmpc.study import parse_study

STUDY = """
[study]
title = "How many"
purpose = "DUO:0000007"
question = "How many?"
[data.patients]
dataset = "lung"
members = ["east", "north", "south"]
[[statistic]]
name = "n"
kind = "count"
"""


def counting(seed):
    """Bytes for tests: never twice the same, the same in every run."""
    state = [seed * 1_000_000]

    def random(count):
        state[0] += 1
        return state[0].to_bytes(8, "big").rjust(count, b"\x01")[-count:]

    return random


@dataclass
class World:
    """Members' cores; `mail` holds (sender, receiver, message) in the order of sending."""

    cores: dict
    stores: dict
    signers: dict
    mail: list = field(default_factory=list)
    told: dict = field(default_factory=dict)  # member -> every effect that was carried out
    now_ms: int = 1_000

    def handle(self, name, event):
        self.now_ms += 1
        effects = self.cores[name].handle(self.now_ms, event)
        for place, effect in enumerate(effects):
            if isinstance(effect, Append):
                before = {type(earlier) for earlier in effects[:place]}
                assert before <= {Remember}, "what is signed is on disk before anybody sees it"
                self.stores[name].append(effect.entries)
            elif isinstance(effect, Remember):
                self.stores[name].remember(effect.key, effect.value)
            elif isinstance(effect, Send):
                self.mail.append((name, effect.peer, effect.message))
            self.told.setdefault(name, []).append(effect)
        return effects

    def deliver(self, pick=lambda mail: 0, lose=lambda item: False):
        """Hand over mail until none is left; `pick` chooses the next."""
        while self.mail:
            item = self.mail.pop(pick(self.mail))
            if not lose(item):
                sender, receiver, message = item
                self.handle(receiver, Received(sender, message))

    def effects(self, name, kind):
        return [effect for effect in self.told.get(name, []) if isinstance(effect, kind)]

    def timers(self, name):
        return {effect.name: effect.after_s for effect in self.effects(name, SetTimer)}

    def state(self, name, study):
        return self.cores[name].cases[study.id].state


def dictionary(units="years"):
    age = Column(
        name="age",
        type="integer",
        units=units,
        minimum=Decimal(0),
        maximum=Decimal(120),
        uses=("aggregate",),
    )
    return Dictionary(name="lung", unit="person", columns=(age,))


def make_world(tmp_path, names=("east", "north", "south"), policy=REHEARSAL):
    cores, stores, signers, cards = {}, {}, {}, []
    for place, name in enumerate(names, 1):
        random = counting(place)
        keys = SecretKeys(random(32), random(32), random(32))
        stores[name] = RecordStore(tmp_path / f"{name}.sqlite")
        signers[name] = Signer(keys.log_seed)
        feeds = Feeds(name, signers[name], random, stores[name])
        cores[name] = Core(
            name, rehearsal_settings(name), feeds, signers[name], random, make_key_pair, policy
        )
        cards.append(make_card(name, keys, name.encode(), "127.0.0.1:1"))
    world = World(cores, stores, signers)
    for name in names:
        world.handle(name, Founded("tests", tuple(cards)))
    for name in names:
        for peer in names:
            if peer != name:
                world.handle(name, LinkMade(peer))
    return world


@pytest.fixture
def world(tmp_path):
    made = make_world(tmp_path)
    yield made
    for store in made.stores.values():
        store.close()


@pytest.fixture
def study():
    return parse_study(STUDY, "study.toml")


def add_data(world, described=None):
    for name in world.cores:
        world.handle(name, DatasetAdded((described or {}).get(name, dictionary()), bytes(32)))


def propose(world, name, study):
    signer = world.signers[name]
    network = world.cores[name].feeds.roster.network
    signature = signer.sign(network, "study", study.hash)
    world.handle(name, Proposed(study.to_bytes(), signer.public, signature))
