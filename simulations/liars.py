"""Members that lie: two histories under one key, claims of what they do not hold, old addresses.

A liar runs the production core like everybody else and stays in its network. Beside that it sends,
signed with its own key, what no honest node would:

    fork       another entry under a number that it has used, to some of its neighbours
    claim      a frontier of entries that nobody wrote, and of fewer than it holds
    replay     the first address of others that it ever heard, one it forges, one of another network
    forgery    an entry of somebody else with one bit changed

Honest members must prove the fork to each other, freeze its author everywhere, and believe nothing
of the rest. After the network has healed a liar forks once more, so that there is a proof to find.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from nodes.core.effects import Send
from p2pmpc.address import make_address
from p2pmpc.codec import digest, encode
from p2pmpc.messages import Address, Entries, Frontier, Message
from p2pmpc.record import Body, DatasetNote, SignedEntry, body_hash
from simulations.actions import Lie
from simulations.plan import dictionary

if TYPE_CHECKING:
    from p2pmpc.roster import Roster
    from simulations.inhabitant import Inhabitant
    from simulations.world import World

__all__ = ["DEEDS", "lie", "plan_lies"]

FIRST_US = 30_000_000  # by then most are founded
EVERY_US = (10_000_000, 40_000_000)
AFTER_US = 20_000_000  # after the network has healed: the last fork
CLAIMED = 1000  # entries more than there are


def plan_lies(world: World) -> None:
    """Every liar's deeds in turn, drawn; the last is a fork when nothing else goes wrong."""
    for node in world.plan.liars:
        chance = world.chance.fork(f"liar {node}")
        at_us, deed = FIRST_US, 0
        while at_us < world.plan.heal_us:
            world.schedule.at(at_us, Lie(node, deed % len(DEEDS)))
            at_us, deed = at_us + int(chance.between(*EVERY_US)), deed + 1
        world.schedule.at(world.plan.heal_us + AFTER_US, Lie(node, 0))


def lie(world: World, action: Lie) -> None:
    """One deed, told to about half of the peers that the liar has a link to, one at least."""
    node = world.nodes[action.node]
    peers = sorted(node.sees)
    if node.core is None or node.core.feeds.roster is None or not peers:
        return
    name, deed = tuple(DEEDS.items())[action.deed]
    told = world.chance.some(peers, 1 + len(peers) // 2)
    message = deed(world, node)
    if message is None:
        return
    world.happened[f"lie: {name}"] += 1
    for peer in told:
        world.send(node, Send(world.nodes[peer].name, message), {})


def _fork(world: World, node: Inhabitant) -> Message | None:
    """The liar's first data set again, as another one: always the same two entries."""
    own = node.store.entries(node.name, 1, 1)
    if not own:
        return None
    described = dictionary().to_bytes()
    other = DatasetNote(described, digest("p2pmpc/simulated-lie/1", node.card))
    entry = own[0][0].read()
    body = Body(bytes(16), encode(other))
    second = msgspec.structs.replace(entry, kind="dataset", body_hash=body_hash(body))
    world.forkers.add(node.index)
    return Entries(((_signed(node, encode(second)), body),))


def _signed(node: Inhabitant, entry: bytes) -> SignedEntry:
    roster = _roster(node)
    claim = digest("p2pmpc/entry-hash/1", entry)
    return SignedEntry(entry, node.signer.sign(roster.network, "entry", claim))


def _roster(node: Inhabitant) -> Roster:
    assert node.core is not None, "only the living lie"
    assert node.core.feeds.roster is not None, "nobody lies before there is a network"
    return node.core.feeds.roster


def _claim(world: World, node: Inhabitant) -> Message:
    """Some feeds longer than they are, some forgotten."""
    heads = []
    for author, head in node.store.heads().items():
        drawn = world.chance.number()
        if drawn < 0.2:
            name = digest("p2pmpc/simulated-lie/1", author.encode())
            heads.append((author, head.seq + CLAIMED, name))
        elif drawn < 0.8:
            heads.append((author, head.seq, head.hash))
    return Frontier(tuple(heads))


def _replay(world: World, node: Inhabitant) -> Message | None:
    """What others said long ago, what they never said, and what holds in another network."""
    assert node.core is not None, "only the living lie"
    network, now_ms = _roster(node).network, world.now_ms
    book = node.core.book.records
    others = [record for _, record in sorted(book.items()) if record.name != node.name]
    if not others:
        return None
    for record in others:
        node.overheard.setdefault(record.name, record)
    victim = world.chance.pick(others)
    forged = make_address(node.signer, network, victim.name, node.address, now_ms + 1)
    foreign = make_address(node.signer, bytes(32), node.name, victim.address, now_ms + 1)
    return Address((*(old for _, old in sorted(node.overheard.items())), forged, foreign))


def _forgery(world: World, node: Inhabitant) -> Message | None:
    """Somebody else's last entry, said to have another body."""
    authors = [author for author in node.store.heads() if author != node.name]
    if not authors:
        return None
    author = world.chance.pick(authors)
    last = node.store.length(author) - 1
    signed, body = node.store.entries(author, last, last)[0]
    entry = msgspec.structs.replace(signed.read(), body_hash=world.chance.bytes(32))
    return Entries(((SignedEntry(encode(entry), signed.signature), body),))


DEEDS: Mapping[str, Callable[[World, Inhabitant], Message | None]] = {
    "fork": _fork,
    "claim": _claim,
    "replay": _replay,
    "forgery": _forgery,
}
