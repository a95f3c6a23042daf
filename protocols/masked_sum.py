"""Sums over parties: each party's own numbers are its share; a zero share masks what opens.

What       `zero_share` and `zero_bits` give random shares of zero from coins that each pair holds;
           `pooled_sum` opens the sum of all parties' numbers and nothing else.
Against    honest-but-curious parties, n - 1 of whom may collude: every pair has a mask of its own,
           so the shares of those who do not collude are uniform given their sum. With n - 1
           colluding, the sum tells them the last party's numbers: whether it may open is policy.
Rounds     zero shares 0; pooled_sum 2, commit then open.
Bytes      48 + 8 words a number, to each peer.
Source     Chaum, J. Cryptology 1988 (pairwise masks); Bonawitz et al., CCS 2017, section 3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.commitment import commit_then_open
from protocols.party import Protocol, Says, Seat
from protocols.ring import Elements, Ring

__all__ = ["ROUNDS", "pooled_sum", "zero_bits", "zero_share"]

ROUNDS = (
    Says("commit", to="all", size="32"),
    Says("open", to="all", size="16 + 8 words a number, at most 16 MiB a part"),
)


def zero_share(seat: Seat, ring: Ring, shape: tuple[int, ...]) -> Elements:
    """Random elements (*shape, words) that add up to zero over the parties of the seat.

    Reads the pairwise coins, so that all parties of the seat must call it alike.
    """
    share = ring.zeros(shape)
    for peer in seat.peers:
        mask = ring.random(seat.pair[peer], shape)
        share = ring.add(share, mask) if seat.me < peer else ring.sub(share, mask)
    return share


def zero_bits(seat: Seat, count: int) -> npt.NDArray[np.uint8]:
    """Random bits (count,) whose XOR over the parties of the seat is zero."""
    share = np.zeros(count, dtype=np.uint8)
    for peer in seat.peers:
        share = share ^ seat.pair[peer].bits((count,))
    return share


def pooled_sum(seat: Seat, ring: Ring, values: Elements) -> Protocol[Elements]:
    """The sum over parties of their own elements (..., words), to every party of the seat.

    Raises Suspected naming a party that opens another share than it committed to.
    """
    share = ring.add(values, zero_share(seat, ring, values.shape[:-1]))
    shares = yield from commit_then_open(seat, "pooled sum", share)
    return ring.sum(np.stack([shares[party] for party in seat.parties]), axis=0)
