"""Messages longer than one message may be: said and heard in parts along the first axis.

Against    nothing by itself. Rounds: one a part. The sizes are public and the same for all parties.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.oblivious_transfer import blocks
from protocols.party import Expect, Parties, Party, Protocol, Round, Seat

__all__ = ["PART_BYTES_MAX", "broadcast", "exchange"]

Value = npt.NDArray[Any]
PART_BYTES_MAX = 16 << 20  # half of what a message may have, so that its frame fits as well


def exchange(
    name: str, says: Mapping[Party, Value], hears: Parties, expect: Expect, group: Parties = ()
) -> Protocol[dict[Party, Value]]:
    """Say one array to each named peer, hear one of the expected kind from each in `hears`.

    All arrays have the expected dtype and shape. With `group` the message is a broadcast to it.
    """
    rows, parts = expect.shape[0], []
    size = max(1, PART_BYTES_MAX // max(1, expect.nbytes // max(1, rows)))
    for block in blocks(rows, size):
        part = Expect(expect.dtype, (block.stop - block.start, *expect.shape[1:]))
        heard = yield Round(
            {(peer, name): value[block] for peer, value in sorted(says.items())},
            {(peer, name): part for peer in hears},
            {name: group} if group else {},
        )
        parts.append(heard)
    return {peer: _whole([heard[peer, name] for heard in parts], expect) for peer in hears}


def _whole(parts: list[Value], expect: Expect) -> Value:
    if len(parts) == 1:
        return parts[0]  # as it was heard: nothing large is copied
    return np.concatenate([np.zeros((0, *expect.shape[1:]), dtype=expect.dtype), *parts])


def broadcast(seat: Seat, name: str, value: Value) -> Protocol[dict[Party, Value]]:
    """The same array to every peer; resumed with everybody's, this party's own included."""
    expect = Expect(value.dtype.name, value.shape)
    says = dict.fromkeys(seat.peers, value)
    heard = yield from exchange(name, says, seat.peers, expect, seat.parties)
    return {**heard, seat.me: value}
