"""This node's whole record as one file for an auditor."""

from __future__ import annotations

from collections.abc import Sequence

from nodes.core.feeds import Feeds
from nodes.store.record import RecordStore
from p2pmpc.bundle import make_bundle
from p2pmpc.errors import NotFound
from p2pmpc.identity import Signer

__all__ = ["export_bundle"]


def export_bundle(
    feeds: Feeds, store: RecordStore, signer: Signer, receipts: Sequence[bytes], unix_ms: int
) -> bytes:
    """The bundle's bytes, signed by this member. Raises NotFound outside a network."""
    if feeds.roster is None:
        raise NotFound("this node belongs to no network yet")
    return make_bundle(
        signer=signer,
        exporter=feeds.name,
        roster=feeds.roster,
        feeds={
            author: store.entries(author, 0, head.seq)
            for author, head in sorted(feeds.heads.items())
        },
        forks=[proof for _, proof in sorted(feeds.forks.items())],
        checkpoints=[],
        receipts=receipts,
        unix_ms=unix_ms,
    )
