"""The scene of conftest with sessions that run, timers that ring and processes that die."""

import importlib.util
import pathlib
from dataclasses import dataclass, field

from msgspec.structs import replace

from nodes.core.effects import (
    Append,
    LinkMade,
    Received,
    ResumeSession,
    SessionEnded,
    SessionPaused,
    SetTimer,
    StartSession,
    StopSession,
    TimerFired,
)
from nodes.core.feeds import Feeds, Known
from nodes.core.node import Core
from nodes.wiring import make_key_pair
from p2pmpc.record import entry_hash, read_content
from p2pmpc.study import parse_study

spec = importlib.util.spec_from_file_location(
    "core_conftest", pathlib.Path(__file__).with_name("conftest.py")
)
scene = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scene)

NEXT = {"computing": "checked", "checked": "release", "certified": "end"}
REACHED = {
    "computing": ("computing", "checking", "checked", "sealing", "certified", "ended"),
    "checked": ("checked", "sealing", "certified", "ended"),
    "certified": ("certified", "ended"),
}


def study_among(members, title="How many", recipients=()):
    text = scene.STUDY.replace('How many"', f'{title}"', 1)
    listed = ", ".join(f'"{name}"' for name in members)
    text = text.replace('"east", "north", "south"', listed)
    if recipients:
        read = ", ".join(f'"{name}"' for name in recipients)
        text = text.replace("[data.patients]", f"recipients = [{read}]\n[data.patients]")
    return parse_study(text, "study.toml")


@dataclass
class Stage(scene.World):
    """`seats` holds, by session, how far each party's session is; absent where none runs."""

    seats: dict = field(default_factory=dict)
    orders: dict = field(default_factory=dict)
    rings: dict = field(default_factory=dict)  # member -> timer -> seconds

    def handle(self, name, event):
        effects = super().handle(name, event)
        self.absorb(name, effects)
        return effects

    def absorb(self, name, effects):
        for effect in effects:
            match effect:
                case StartSession(order):
                    self.orders[order.session] = order
                    self.seats.setdefault(order.session, {})[name] = "computing"
                case ResumeSession(session, certificate):
                    self.seats[session][name] = "certified" if certificate else "checked"
                case StopSession(session):
                    self.seats.get(session, {}).pop(name, None)
                case SetTimer(timer, after_s):
                    self.rings.setdefault(name, {})[timer] = after_s

    # ---- sessions ----

    def movable(self):
        """(session, member) where the session can go on: all parties are at least as far."""
        return [
            (session, name)
            for session, seats in self.seats.items()
            for name, stage in seats.items()
            if stage in NEXT
            and all(seats.get(party) in REACHED[stage] for party in self.orders[session].parties)
        ]

    def advance(self, session, name):
        stage = NEXT[self.seats[session][name]]
        order = self.orders[session]
        if stage == "end":
            self.seats[session][name] = "ended"
            reads = name in order.recipients
            self.handle(name, SessionEnded(session, bytes(32) if reads else b"", True))
            return
        self.seats[session][name] = "checking" if stage == "checked" else "sealing"
        facts = {
            "transcript": bytes(32),
            "layout": (("n/main", 1),),
            "verdicts": (True,),
            "commitments": {party: bytes([1]) * 32 for party in order.parties},
        }
        self.handle(name, SessionPaused(session, stage, facts))

    def settle(self, coins, rest=True):
        """Deliver and advance in a drawn order until nothing is left to do; then ring retries."""
        while True:
            moves = self.movable()
            choice = len(self.mail) + len(moves)
            if choice:
                drawn = coins.randrange(choice)
                if drawn < len(self.mail):
                    sender, receiver, message = self.mail.pop(drawn)
                    self.handle(receiver, Received(sender, message))
                else:
                    self.advance(*moves[drawn - len(self.mail)])
            elif not (rest and self.ring("retry:")) and not self.ring("spread"):
                return

    def ring(self, prefix):
        """Fire one timer of this kind, the soonest first; whether there was one."""
        found = [
            (after_s, name, timer)
            for name, timers in sorted(self.rings.items())
            for timer, after_s in sorted(timers.items())
            if timer.startswith(prefix)
        ]
        if not found:
            return False
        _, name, timer = min(found)
        del self.rings[name][timer]
        self.handle(name, TimerFired(timer))
        return True

    # ---- lives ----

    def restart(self, name):
        """The process dies, with its sessions and timers, and starts again on its record."""
        old, store = self.cores[name], self.stores[name]
        for seats in self.seats.values():
            if seats.get(name) != "ended":
                seats.pop(name, None)
        self.rings[name] = {}
        self.mail = [item for item in self.mail if item[1] != name]
        core = core_on(old, store)
        self.cores[name] = core
        effects = core.restore(self.now_ms, stored(store))
        for effect in effects:
            if isinstance(effect, Append):
                store.append(effect.entries)
        self.told.setdefault(name, []).extend(effects)
        self.absorb(name, effects)
        for peer in sorted(set(self.cores) - {name}):
            self.handle(name, LinkMade(peer))
            self.handle(peer, LinkMade(name))
        return effects

    def tune(self, **changes):
        for core in self.cores.values():
            core.settings = replace(core.settings, **changes)

    def states(self, study):
        return {
            name: core.cases[study.id].state
            for name, core in self.cores.items()
            if name in study.parties
        }

    def kinds(self, name):
        head = self.stores[name].head(name)
        return [s.read().kind for s, _ in self.stores[name].entries(name, 0, head.seq)]

    def contents(self, name, kind):
        head = self.stores[name].head(name)
        filed = self.stores[name].entries(name, 0, head.seq)
        return [read_content(kind, body) for s, body in filed if s.read().kind == kind]


def core_on(old, store):
    """A new core of the same member on what is stored."""
    feeds = Feeds(old.name, old.signer, old.randomness, store)
    feeds.roster, feeds.heads = old.feeds.roster, store.heads()
    settings, policy = old.settings, old.policy
    return Core(old.name, settings, feeds, old.signer, old.randomness, make_key_pair, policy)


def stored(store):
    """All that a store holds, in causal order."""
    found = []
    for author, head in store.heads().items():
        for signed, body in store.entries(author, 0, head.seq):
            entry = signed.read()
            found.append(Known(entry, entry_hash(signed), read_content(entry.kind, body)))
    return sorted(found, key=lambda k: (k.entry.lamport, k.entry.author, k.entry.seq))


def make_stage(tmp_path, names=("east", "north", "south"), **settings):
    """A network with its data described, everything delivered, settings as in production."""
    world = scene.make_world(tmp_path, names)
    stage = Stage(world.cores, world.stores, world.signers, world.mail, world.told, world.now_ms)
    stage.tune(**{"attempts": 3, **settings})
    scene.add_data(stage)
    stage.deliver()
    return stage


def close(stage):
    for store in stage.stores.values():
        store.close()
