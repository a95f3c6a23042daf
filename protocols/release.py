"""The end of every study: which units pass, who holds what, and only then the numbers.

What       1 compare the hash of all broadcasts           2 pause: the transcript is on disk
           3 commit to, then open the verdict bits         4 broadcast commitments to masked shares
           5 pause: a certificate signed by all is on disk 6 send salt and share to the recipients
           A unit whose verdict is 0 never opens. Recipients check each opening against its
           commitment; the others learn the verdict bits and nothing else.
Against    honest-but-curious parties, n - 1 of whom may collude: a fresh zero share makes the
           opened shares uniform given the sums. Beyond that, nobody can choose its share after
           seeing another's, and no answer exists unless every honest party holds its record. A
           wrong share committed to from the start is not caught, nor a turned share of a verdict:
           that opens a unit which had failed.
           A party that broadcasts different verdicts or commitments in steps 3 and 4 makes the
           certificates differ, so that no certificate has all signatures.
Rounds     5: echo 1, verdicts 2, commitments 1, openings 1. Two pauses.
Bytes      to each peer 64 + 48 + 1/8 a unit + 32; to a recipient 16 + 16 a number.
Source     commit-then-open as in `protocols.commitment`; fairness as in Goldwasser and Lindell,
           J. Cryptology 2005: with abort.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.abort import Suspected
from protocols.commitment import (
    SALT_BYTES,
    commit_then_open,
    octets,
    share_commitment,
)
from protocols.echo import Transcript, compare_broadcasts
from protocols.exchange import broadcast, exchange
from protocols.kernels.bits import pack, unpack
from protocols.masked_sum import zero_bits, zero_share
from protocols.party import Expect, Parties, Party, Pause, Protocol, Says, Seat, named
from protocols.ring import Elements, Ring

__all__ = ["ROUNDS", "Opened", "Opening", "release"]

ROUNDS = (
    Says("echo", to="one", size="64"),
    Says("commit", to="all", size="32"),
    Says("open", to="all", size="16 + 1/8 a unit, in whole words"),
    Says("share", to="all", size="32"),
    Says("opening", to="one", size="16 + 16 a number that passed"),
)

Octets = npt.NDArray[np.uint8]
RELEASE_WORDS = 2  # certificates and receipts speak of Z_2^128


@dataclass(frozen=True, slots=True, repr=False)
class Opening:
    """What a party's commitment holds: its salt (16 bytes) and its share, little-endian words."""

    salt: bytes
    share: bytes

    def __repr__(self) -> str:
        return f"Opening(<{len(self.share)} bytes, redacted>)"


@dataclass(frozen=True, slots=True)
class Opened:
    """What a recipient holds at the end; the repr of a released number is public to it."""

    integers: Mapping[str, tuple[int, ...] | None]  # by unit; None where the unit did not pass
    openings: Mapping[Party, Opening]


def release(
    seat: Seat,
    session: bytes,
    units: Mapping[str, Elements],
    verdicts: Mapping[str, Octets],
    recipients: Parties,
    transcript: Transcript,
) -> Protocol[Opened | None]:
    """Open the units that pass, under one certificate.

    session     32 bytes, inside each commitment
    units       unit: this party's shares (k, 2) of its k numbers in Z_2^128
    verdicts    unit: this party's share of its pass bit, uint8 of one element
    transcript  of all that `echoed` has run before
    Pauses with `checked` {transcript} and with `release` {transcript, layout: (unit, k) of all
    units in sorted order, verdicts: one bool a unit in that order, commitments: {party: 32 bytes}}.
    A share holds the numbers of the passing units, in the layout's order.
    Returns None to a party that is no recipient.
    Raises Inconsistent when broadcasts differ; Suspected naming a party whose opening is wrong.
    """
    if set(units) != set(verdicts) or not set(recipients) <= set(seat.parties):
        raise ValueError("every unit needs one verdict, and recipients are parties")
    if any(shares.shape[1:] != (RELEASE_WORDS,) for shares in units.values()):
        raise ValueError("what is released is shared in Z_2^128")
    compared = yield from compare_broadcasts(seat, transcript)
    yield Pause("checked", {"transcript": compared})
    passed = yield from _open_verdicts(seat, verdicts)
    layout = tuple((unit, len(units[unit])) for unit in sorted(units))
    share = _masked_share(seat, [units[unit] for unit, _ in layout if passed[unit]])
    own = Opening(seat.rand.bytes(SALT_BYTES), octets(share))
    commitments = yield from _commit(seat, session, own)
    yield Pause(
        "release",
        {
            "transcript": compared,
            "layout": layout,
            "verdicts": tuple(passed[unit] for unit, _ in layout),
            "commitments": commitments,
        },
    )
    openings = yield from _open_shares(seat, own, recipients)
    if seat.me not in recipients:
        return None
    _check(session, commitments, openings)
    return Opened(_numbers(openings, layout, passed), openings)


def _open_verdicts(seat: Seat, verdicts: Mapping[str, Octets]) -> Protocol[dict[str, bool]]:
    names = sorted(verdicts)
    own = np.array([np.asarray(verdicts[name]).item() for name in names], dtype=np.uint8)
    masked = pack(own ^ zero_bits(seat, len(own)))
    shares = yield from named("verdict", commit_then_open(seat, "verdicts", masked))
    bits = unpack(np.bitwise_xor.reduce([shares[p] for p in seat.parties]), len(names))
    return {name: bool(bit) for name, bit in zip(names, bits, strict=True)}


def _masked_share(seat: Seat, passing: list[Elements]) -> Elements:
    ring = Ring(RELEASE_WORDS)
    share = np.concatenate([ring.zeros((0,)), *passing])
    return ring.add(share, zero_share(seat, ring, (len(share),)))


def _commit(seat: Seat, session: bytes, own: Opening) -> Protocol[dict[Party, bytes]]:
    mine = share_commitment(session, seat.me, own.salt, own.share)
    heard = yield from broadcast(seat, "share", np.frombuffer(mine, np.uint8))
    return {party: heard[party].tobytes() for party in seat.parties}


def _open_shares(seat: Seat, own: Opening, recipients: Parties) -> Protocol[dict[Party, Opening]]:
    message = np.frombuffer(own.salt + own.share, np.uint8)
    says = {peer: message for peer in seat.peers if peer in recipients}
    hears = seat.peers if seat.me in recipients else ()
    heard = yield from exchange("opening", says, hears, Expect("uint8", message.shape))
    opened = {
        p: Opening(m[:SALT_BYTES].tobytes(), m[SALT_BYTES:].tobytes()) for p, m in heard.items()
    }
    return {**opened, seat.me: own}


def _check(
    session: bytes, commitments: Mapping[Party, bytes], openings: Mapping[Party, Opening]
) -> None:
    for party, opening in sorted(openings.items()):
        if share_commitment(session, party, opening.salt, opening.share) != commitments[party]:
            raise Suspected(party, "the share that it opened is not the one it had committed to")


def _numbers(
    openings: Mapping[Party, Opening],
    layout: tuple[tuple[str, int], ...],
    passed: Mapping[str, bool],
) -> dict[str, tuple[int, ...] | None]:
    ring = Ring(RELEASE_WORDS)
    shares = [np.frombuffer(o.share, "<u8").astype(np.uint64) for _, o in sorted(openings.items())]
    total = ring.to_ints(ring.sum(np.stack(shares).reshape(len(shares), -1, RELEASE_WORDS), axis=0))
    numbers: dict[str, tuple[int, ...] | None] = {}
    first = 0
    for unit, count in layout:
        numbers[unit] = tuple(total[first : first + count]) if passed[unit] else None
        first += count if passed[unit] else 0
    return numbers
