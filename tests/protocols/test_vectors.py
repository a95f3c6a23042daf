"""Vectors: fixed inputs with the exact bytes that come out, and inputs that must be refused.

A change of any of these bytes is a change of the protocol and needs a new domain or version.
`expect` is `ok`, `malformed` (ValueError before anything is said) or `suspected` (the sender is
named).
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from protocols.abort import Suspected
from protocols.arithmetic import and_bits, bits_to_ring, cross_sums, multiply, select
from protocols.commitment import commit_then_open, share_commitment
from protocols.comparison import at_least, equal_words, is_zero
from protocols.echo import Transcript
from protocols.kernels.bits import pack, slice_words
from protocols.kernels.curve import choose, offer, unlock
from protocols.kernels.extension import receive, receive_bits, send, send_bits
from protocols.masked_sum import pooled_sum
from protocols.oblivious_transfer import connect
from protocols.party import Trace, play
from protocols.permutation import permute, switches
from protocols.randomness import Randomness
from protocols.release import release
from protocols.ring import Ring

FOLDER = Path(__file__).parent.parent / "vectors" / "protocols"


def cases(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def octets(text):
    return np.frombuffer(bytes.fromhex(text), np.uint8).copy()


# ---- what each vector computes -------------------------------------------------------------------


def ring_case(case):
    ring = Ring(case["words"])
    x, y = (ring.from_ints([int(case[name])]) for name in "xy")
    return {
        name: x_y.astype("<u8").tobytes().hex()
        for name, x_y in (
            ("sum", ring.add(x, y)),
            ("difference", ring.sub(x, y)),
            ("product", ring.mul(x, y)),
        )
    }


def base_case(case):
    choices = octets(case["choices"])
    sender, receiver = bytes.fromhex(case["sender_coins"]), bytes.fromhex(case["receiver_coins"])
    label = bytes.fromhex(case["label"])
    point = offer(sender)
    points, keys = choose(receiver, choices, point, label)
    both = unlock(sender, points, label)
    assert np.array_equal(both[choices, np.arange(len(choices))], keys)
    return {
        "point": point.tobytes().hex(),
        "points": points.tobytes().hex(),
        "keys": keys.tobytes().hex(),
    }


def lacking(whole, secret):
    trees, leaves, _ = whole.shape
    place = secret.reshape(trees, -1) @ (1 << np.arange(128 // trees))
    found = whole[np.arange(trees)[:, None], place[:, None] ^ np.arange(leaves)].copy()
    found[:, 0] = 0
    return found


def extension_case(case):
    coins = Randomness(bytes.fromhex(case["coins"]))
    depth, words, start = case["depth"], case["words"], case["start"]
    whole = coins.words((128 // depth, 1 << depth, 2))
    secret, choices = coins.bits((128,)), coins.bits((case["transfers"],))
    own, others = (
        leaves.astype("<u8").view(np.uint8).reshape(128 // depth, -1, 16)
        for leaves in (whole, lacking(whole, secret))
    )
    hash_keys = np.frombuffer(coins.bytes(16 * -(-words // 2)), np.uint8).reshape(-1, 16)
    message, chosen = receive(own, pack(choices), start, hash_keys, words)
    keys = (others, pack(secret))
    zeros, ones = send(keys, message, start, hash_keys, words)
    assert np.array_equal(chosen, np.where(choices[:, None] == 1, ones, zeros))
    low, lower = (
        receive_bits(own, pack(choices), start, hash_keys, 5),
        send_bits(keys, message, start, hash_keys, 5),
    )
    assert np.array_equal(low[0], message)
    for bits, strings in zip((low[1], *lower), (chosen, zeros, ones), strict=True):
        assert np.array_equal(bits, slice_words(strings[:, 0], 5))
    return {
        name: hashlib.sha256(value.astype("<u8").tobytes()).hexdigest()
        for name, value in (("message", message), ("zeros", zeros), ("ones", ones))
    }


def permutation_case(case):
    order = np.array(case["permutation"], dtype=np.int64)
    if len(order) >= 2 and len(order) & (len(order) - 1) == 0 and -1 not in order:
        return {
            "switches": np.packbits(switches(order).reshape(-1), bitorder="little").tobytes().hex()
        }
    return {}


def commitment_case(case):
    parts = (bytes.fromhex(case["session"]), case["party"], bytes.fromhex(case["salt"]))
    return {"commitment": share_commitment(*parts, bytes.fromhex(case["share"])).hex()}


RING = Ring(1)


def protocol(name, seat):
    """The named protocol on fixed inputs of this seat's party."""
    k = seat.index
    bits, numbers = np.array([k & 1, 1, 0], np.uint8), RING.from_ints([k + 1, -k, 7])
    first, last = seat.parties[0], seat.parties[-1]
    own, order = np.array([[3], [-2], [1]]), np.array([2, -1, 0])
    if name == "equal_words":
        return equal_words(seat, np.array([5, 5 + k, 9], np.uint64), 16)
    wide = Ring(2).from_ints([10 + k, -k])
    return {
        "connect": lambda: connect(seat),
        "commit_then_open": lambda: commit_then_open(seat, "x", bits),
        "pooled_sum": lambda: pooled_sum(seat, RING, numbers),
        "release": lambda: release(
            seat, bytes(32), {"u": wide, "v": wide}, {"u": np.uint8(k == 0), "v": np.uint8(0)},
            (first,), Transcript()),
        "and_bits": lambda: and_bits(seat, bits, bits),
        "multiply": lambda: multiply(seat, RING, numbers, numbers),
        "select": lambda: select(seat, RING, bits, numbers[:, None]),
        "bits_to_ring": lambda: bits_to_ring(seat, RING, bits),
        "cross_sums": lambda: cross_sums(
            seat, RING, last, own if seat.me == last else None, (-3,), numbers[:, None], ((0, 0),)),
        "permute": lambda: permute(
            seat, RING, first, order if seat.me == first else None, 3, 3, numbers[:, None],
            bits[:, None]),
        "at_least": lambda: at_least(seat, numbers, [6, -2, 22], 16),
        "is_zero": lambda: is_zero(seat, numbers, 16),
    }[name]()  # fmt: skip


def trace_of(table, name, tamper=None):
    trace = Trace()
    play({p: protocol(name, s) for p, s in table.items()}, trace, tamper)
    state = hashlib.sha256()
    for sender, receiver, said, value in trace.said:
        state.update(f"{sender} {receiver} {said} {value.dtype.name}{list(value.shape)}\n".encode())
        state.update(value.astype(value.dtype.newbyteorder("<")).tobytes())
    return {
        "messages": len(trace.said),
        "rounds": trace.rounds // len(table),
        "sha256": state.hexdigest(),
    }


PURE = {
    "ring": ring_case,
    "base": base_case,
    "extension": extension_case,
    "commitment": commitment_case,
    "permutation": permutation_case,
}


# ---- tests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "case"), [(n, c) for n in PURE for c in cases(n) if c["expect"] == "ok"]
)
def test_the_bytes_are_those_of_the_vector(name, case):
    assert PURE[name](case) == {key: case[key] for key in PURE[name](case)}


@pytest.mark.parametrize("case", [c for c in cases("trace") if c["expect"] == "ok"])
def test_all_messages_of_a_protocol_are_those_of_the_vector(seats, dealt, case):
    found = trace_of(dealt(seats(case["parties"], case["seed"])), case["protocol"])
    assert found == {key: case[key] for key in found}


@pytest.mark.parametrize("case", [c for c in cases("trace") if c["expect"] == "suspected"])
def test_a_message_that_was_changed_names_its_sender(seats, dealt, case):
    def tamper(sender, _receiver, said, value):
        if (sender, said) == (case["sender"], case["message"]):
            flat = value.reshape(-1)
            flat[case["place"]] ^= flat.dtype.type(case["flip"])
        return value

    with pytest.raises(Suspected) as caught:
        trace_of(dealt(seats(case["parties"], case["seed"])), case["protocol"], tamper)
    assert caught.value.party == case["sender"]


@pytest.mark.parametrize("case", [c for c in cases("permutation") if c["expect"] == "malformed"])
def test_an_order_that_is_malformed_is_refused(seats, case):
    order = np.array(case["permutation"], dtype=np.int64)
    rows = case["rows_in"]
    numbers, bits = RING.zeros((rows, 1)), np.zeros((rows, 1), np.uint8)
    with pytest.raises(ValueError, match="distinct rows"):
        next(permute(seats(2, "x")["a"], RING, "a", order, rows, len(order), numbers, bits))


@pytest.mark.parametrize("case", [c for c in cases("ring") if c["expect"] == "malformed"])
def test_a_ring_that_is_malformed_is_refused(case):
    with pytest.raises(ValueError, match="words"):
        ring_case(case)


@pytest.mark.parametrize("case", [c for c in cases("base") if c["expect"] == "suspected"])
def test_a_point_of_the_vectors_outside_the_group_names_its_sender(seats, case):
    def tamper(sender, _receiver, said, value):
        if (sender, said) == ("b", "point"):
            return octets(case["point"])
        return value

    with pytest.raises(Suspected) as caught:
        play({p: connect(s) for p, s in seats(2, "vector").items()}, tamper=tamper)
    assert caught.value.party == "b"
