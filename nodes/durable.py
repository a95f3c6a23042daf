"""Opens a member's own node on its folder, and starts it again on whatever its record holds.

Order matters. Keys first: a wrong passphrase must touch nothing. Then the lease and the store, so
that no second process writes. Then the data sets, before any session could ask for rows. Only then
the port, the record read again in causal order, and what follows from it.

A data set is read again from its files with the salt that it was announced with, so its rows must
give the commitment that stands on record. Where they do not, or cannot be read, the node starts all
the same; the data set is named, and studies with it are refused until it is added anew.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from nodes.engine.engine import Engine
from nodes.home import Home
from nodes.logging import details_file, make_log
from nodes.shell import Node
from nodes.store.datasets import recall_dataset, remembered_datasets
from nodes.store.record import RecordStore
from nodes.store.replay import Replay
from nodes.store.roster import recall_addresses, recall_roster
from nodes.transport.tls import make_certificate
from nodes.wiring import Parts, open_engine, wire
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import Mismatch, P2pmpcError
from p2pmpc.identity import SecretKeys

__all__ = ["open_home", "open_keys", "open_record"]

Tell = Callable[[str], None]  # a sentence for whoever waits for the node
CHANGED = "its rows are not those that were announced"
UNREADABLE = "its files cannot be read as they were"


async def open_home(home: Home, passphrase: bytes, engine: str, tell: Tell) -> tuple[Node, int]:
    """The node of this folder, listening, on its record; and its port.

    Raises WrongUsage (passphrase, settings), LocalError (others can enter the folder, a node runs
    on it, the port is taken), StoreFailed, LogError (record or card are damaged), NotFound.
    """
    home.check()
    settings = home.settings()
    keys = home.keys(passphrase)
    return await open_keys(home, keys, lambda: open_engine(settings, engine, home.folder), tell)


async def open_keys(
    home: Home, keys: SecretKeys, engine: Callable[[], Awaitable[Engine]], tell: Tell
) -> tuple[Node, int]:
    """The same with keys that were unlocked elsewhere. Raises as `open_home` does."""
    home.check()
    settings = home.settings()
    certificate = make_certificate(keys.transport_seed, settings.name)
    card = home.card_of(keys, certificate)
    policy = home.policy()
    store = RecordStore(home.record_file)
    try:
        details = details_file(home.log_file, os.environ)
        log = make_log(home.log_file, settings.name, details)
        parts = Parts(settings, keys, certificate, policy, store, await engine(), log)
    except BaseException:
        store.close()
        raise
    return await open_record(parts, lambda _port: card, tell)


async def open_record(parts: Parts, card: Callable[[int], bytes], tell: Tell) -> tuple[Node, int]:
    """A node on whatever its store holds, listening, and its port. Closes the parts on a fault."""
    try:
        faults = await _load_all(parts.store, parts.engine, parts.log, tell)
        node, port = await wire(parts, card)
    except BaseException:
        await parts.engine.close()
        parts.store.close()
        raise
    node.core.unusable.update(faults)
    begin_again(node, tell)
    parts.log.info("node started", port=port, pid=os.getpid())
    return node, port


def begin_again(node: Node, tell: Tell) -> None:
    """The core reads its record again, and does what follows from it. Raises LogError."""
    roster = recall_roster(node.store)
    heads = node.store.heads()
    if roster is None or node.name not in heads:
        return
    tell(f"reading the record of {len(heads)} members")
    node.core.feeds.roster = roster
    node.core.feeds.heads = heads
    node.core.book.recall(recall_addresses(node.store), roster, node.wall_ms())
    node.restore(Replay(node.store))
    _settle(node)


def _settle(node: Node) -> None:
    """What a crash left between two writes: the record says which of them counts."""
    for name, announced in sorted(node.core.commitments.items()):
        held = recall_dataset(node.store, name)
        if held is None or held.commitment != announced:
            node.core.unusable.setdefault(name, CHANGED)
    for study in node.runs.outcomes.studies():
        case = node.core.cases.get(study)
        if case is None or case.state not in {"answered", "withheld"}:
            node.runs.outcomes.forget(study)


async def _load_all(store: RecordStore, engine: Engine, log: Any, tell: Tell) -> dict[str, str]:
    """Read every data set again; by name, what is wrong with those that cannot be used.

    Other members read these words when a study with it is refused: they hold no detail.
    """
    faults: dict[str, str] = {}
    for name in remembered_datasets(store):
        tell(f"reading the data set {name} again")
        try:
            await _load(store, engine, name)
        except P2pmpcError as why:
            log.warning("data set unusable", what=name, code=why.code)
            tell(f"the data set {name} cannot be used: {why.message}")
            faults[name] = CHANGED if isinstance(why, Mismatch) else UNREADABLE
    return faults


async def _load(store: RecordStore, engine: Engine, name: str) -> None:
    """Raises Mismatch when the rows have changed, and what reading the files raises."""
    held = recall_dataset(store, name)
    assert held is not None, "its key was just read"
    dictionary = Dictionary.from_bytes(held.dictionary)
    facts = await engine.load_dataset(dictionary, held.paths, held.encoding, held.salt)
    if facts.commitment != held.commitment:
        raise Mismatch(CHANGED)
