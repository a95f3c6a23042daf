"""Wires and random OT among all parties."""

from dataclasses import replace

import numpy as np
import pytest
from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_BYTES,
    crypto_scalarmult_ed25519_base_noclamp,
)

from protocols.abort import Suspected
from protocols.kernels.bits import pack, slice_words
from protocols.oblivious_transfer import (
    ROUNDS,
    TRANSFERS_MAX,
    WIDTH_MAX,
    blocks,
    connect,
    random_bits,
    random_ot,
)
from protocols.party import Trace, play


def run_all(seats, count, words, choices):
    return play(
        {
            p: random_ot(s, count, words, dict.fromkeys(s.peers, choices[p]), s.peers)
            for p, s in seats.items()
        }
    )


@pytest.mark.parametrize("count", range(2, 11))
def test_every_ordered_pair_shares_the_string_that_was_chosen(connected, count):
    seats = connected(count)
    choices = {p: s.rand.bits((70,)) for p, s in seats.items()}
    found = run_all(seats, 70, 3, choices)
    for receiver in seats:
        for sender in seats[receiver].peers:
            zeros, ones = found[sender].zeros[receiver], found[sender].ones[receiver]
            chosen = np.where(choices[receiver][:, None] == 1, ones, zeros)
            assert np.array_equal(found[receiver].chosen[sender], chosen)
            assert not np.any(zeros == ones)


def test_no_two_strings_of_all_pairs_are_alike(connected):
    seats = connected(3)
    choices = {p: np.zeros(50, np.uint8) for p in seats}
    first, second = (run_all(seats, 50, 1, choices) for _ in range(2))
    strings = [
        table[peer]
        for found in (first, second)
        for pads in found.values()
        for table in (pads.zeros, pads.ones)
        for peer in table
    ]
    assert len(np.unique(np.concatenate(strings))) == sum(len(s) for s in strings)


def test_forks_of_one_wire_are_independent_and_agree_at_both_ends(connected):
    seats = connected(2)
    choices = {p: np.zeros(64, np.uint8) for p in seats}
    left = run_all({p: s.fork("left") for p, s in seats.items()}, 64, 1, choices)
    right = run_all({p: s.fork("right") for p, s in seats.items()}, 64, 1, choices)
    assert np.array_equal(left["a"].chosen["b"], left["b"].zeros["a"])
    assert not np.any(left["a"].chosen["b"] == right["a"].chosen["b"])


def test_a_label_used_twice_on_a_wire_is_refused(connected):
    wire = connected(2)["a"].wires["b"]
    wire.fork("once")
    with pytest.raises(ValueError, match="used before"):
        wire.fork("once")


def test_ends_that_fork_differently_do_not_share_strings(connected):
    seats = connected(2)
    choices = {p: np.zeros(64, np.uint8) for p in seats}
    found = run_all({"a": seats["a"].fork("x"), "b": seats["b"].fork("y")}, 64, 1, choices)
    assert not np.any(found["a"].chosen["b"] == found["b"].zeros["a"])


def test_only_the_named_pairs_transfer_and_idle_parties_keep_the_rounds(connected):
    seats = connected(3)
    bits = np.ones(10, np.uint8)
    trace = Trace()
    found = play(
        {
            "a": random_ot(seats["a"], 10, 1, {"b": bits}, ()),
            "b": random_ot(seats["b"], 10, 1, {}, ("a",)),
            "c": random_ot(seats["c"], 10, 1, {}, ()),
        },
        trace,
    )
    assert np.array_equal(found["a"].chosen["b"], found["b"].ones["a"])
    assert [(s, r) for s, r, _, _ in trace.said] == [("a", "b")]
    assert trace.rounds == 3


def test_zero_transfers_say_nothing(connected):
    seats = connected(2)
    found = run_all(seats, 0, 2, {p: np.zeros(0, np.uint8) for p in seats})
    assert found["a"].chosen["b"].shape == (0, 2)


def test_blocks_cover_a_count_one_past_the_largest():
    assert [b.stop - b.start for b in blocks(TRANSFERS_MAX + 1, TRANSFERS_MAX)] == [
        TRANSFERS_MAX,
        1,
    ]


@pytest.mark.parametrize("depth", [4, 8])
def test_connecting_takes_three_rounds_and_the_declared_bytes(seats, depth):
    trace = Trace()
    table = {p: replace(s, depth=depth) for p, s in seats(3, "trace").items()}
    play({p: connect(s) for p, s in table.items()}, trace)
    assert {name for _, _, name, _ in trace.said} == {"point", "points", "sums"}
    assert {name for _, _, name, _ in trace.said} <= {says.name for says in ROUNDS}
    assert trace.rounds == 3 * 3
    assert sum(value.nbytes for _, _, _, value in trace.said) == 6 * (32 + 4096 + 4096)


@pytest.mark.parametrize("depth", [4, 8])
def test_each_sender_holds_all_leaves_but_those_that_its_secret_names(seats, lacking, depth):
    table = {p: replace(s, depth=depth) for p, s in seats(3, "trees").items()}
    wires = play({p: connect(s) for p, s in table.items()})
    for receiver, held in wires.items():
        for sender in held:
            whole = held[sender].trees.whole
            assert whole.shape == (128 // depth, 1 << depth, 2)
            mine = wires[sender][receiver].trees
            assert np.array_equal(mine.lacking, lacking(whole, mine.secret))


@pytest.mark.parametrize("depth", [0, 1, 3, 5, 16])
def test_trees_of_another_depth_are_refused(seats, depth):
    with pytest.raises(ValueError, match="depth 4 or 8"):
        next(connect(replace(seats(2, "depth")["a"], depth=depth)))


def test_a_peer_with_trees_of_another_depth_is_named(seats):
    table = seats(2, "depths")
    table["b"] = replace(table["b"], depth=8)
    with pytest.raises(Suspected) as caught:
        play({p: connect(s) for p, s in table.items()})
    assert caught.value.party in "ab"


def damaged(value, damage):
    return value[:-1] if damage == "cut" else value.astype(np.uint32)


@pytest.mark.parametrize("damage", ["cut", "type"])
@pytest.mark.parametrize("name", ["point", "points", "sums", "extend"])
def test_a_message_of_another_shape_or_type_names_its_sender(connected, name, damage):
    def tamper(sender, receiver, said, value):
        hit = (sender, receiver, said) == ("b", "a", name)
        return damaged(value, damage) if hit else value

    table, bits = connected(3), np.ones(1, np.uint64)

    def protocol(seat):
        if name == "extend":
            return random_bits(seat, 64, 1, dict.fromkeys(seat.peers, bits), seat.peers)
        return connect(seat)

    with pytest.raises(Suspected) as caught:
        play({p: protocol(s) for p, s in table.items()}, tamper=tamper)
    assert caught.value.party == "b"


# ---- bits ----------------------------------------------------------------------------------------


def bits_of_all(seats, count, width, choices):
    return play(
        {
            p: random_bits(s, count, width, dict.fromkeys(s.peers, choices[p]), s.peers)
            for p, s in seats.items()
        }
    )


@pytest.mark.parametrize("depth", [4, 8])
@pytest.mark.parametrize("count", range(2, 11))
def test_every_pair_shares_the_bits_that_were_chosen(seats, dealt, count, depth):
    width = 1 + count % 8
    table = {p: replace(s, depth=depth) for p, s in seats(count, "bits").items()}
    table = dealt(table)
    choices = {p: s.rand.words((3,)) for p, s in table.items()}
    found = bits_of_all(table, 192, width, choices)
    for receiver in table:
        for sender in table[receiver].peers:
            zeros, ones = found[sender].zeros[receiver], found[sender].ones[receiver]
            assert zeros.shape == (width, 3)
            chosen = zeros ^ ((zeros ^ ones) & choices[receiver])
            assert np.array_equal(found[receiver].chosen[sender], chosen)
            assert not np.array_equal(zeros, ones)


@pytest.mark.parametrize("depth", [4, 8])
@pytest.mark.parametrize("count", [64, 128, 192, 8192 + 64])
def test_bits_are_the_low_ones_of_the_strings(seats, dealt, count, depth):
    def table():
        return dealt({p: replace(s, depth=depth) for p, s in seats(2, "low").items()})

    choices = {p: s.rand.bits((count,)) for p, s in seats(2, "choices").items()}
    strings = run_all(table(), count, 1, choices)
    bits = bits_of_all(table(), count, 8, {p: pack(c) for p, c in choices.items()})
    for p in "ab":
        for name in ("chosen", "zeros", "ones"):
            (whole,), (low,) = (getattr(f[p], name).values() for f in (strings, bits))
            assert np.array_equal(low, slice_words(whole[:, 0], 8))


@pytest.mark.parametrize("depth", [4, 8])
def test_a_transfer_costs_sixteen_bytes_by_the_depth(seats, dealt, depth):
    table = dealt({p: replace(s, depth=depth) for p, s in seats(2, "bytes").items()})
    trace = Trace()
    play(
        {
            p: random_bits(s, 1280, 1, dict.fromkeys(s.peers, np.zeros(20, np.uint64)), s.peers)
            for p, s in table.items()
        },
        trace,
    )
    assert [v.nbytes for _, _, _, v in trace.said] == [1280 * 16 // depth] * 2


@pytest.mark.parametrize(("count", "width"), [(1, 1), (65, 1), (64, 0), (64, WIDTH_MAX + 1)])
def test_bits_of_another_count_or_width_are_refused(connected, count, width):
    with pytest.raises(ValueError, match="whole words of 1 to 8 bits"):
        next(random_bits(connected(2)["a"], count, width, {}, ("b",)))


def test_no_transfers_of_bits_say_nothing(connected):
    found = bits_of_all(connected(2), 0, 3, dict.fromkeys("ab", np.zeros(0, np.uint64)))
    assert found["a"].ones["b"].shape == (3, 0)


def test_sums_of_trees_look_uniform_whatever_their_trees(seats):
    """255 degrees of freedom: mean 255, deviation 22.6."""
    trace = Trace()
    play({p: connect(s) for p, s in seats(4, "uniform").items()}, trace)
    octets = np.concatenate(
        [v.view(np.uint8).reshape(-1) for _, _, n, v in trace.said if n == "sums"]
    )
    counts, wanted = np.bincount(octets, minlength=256), len(octets) / 256
    assert ((counts - wanted) ** 2 / wanted).sum() < 255 + 6 * 22.6


def test_more_transfers_than_one_message_holds_are_all_right(seats, dealt):
    table = dealt(seats(2, "many"))
    count = TRANSFERS_MAX + 64
    choices = {p: s.rand.words((count // 64,)) for p, s in table.items()}
    found = bits_of_all(table, count, 1, choices)
    zeros, ones = found["a"].zeros["b"], found["a"].ones["b"]
    assert np.array_equal(found["b"].chosen["a"], zeros ^ ((zeros ^ ones) & choices["b"]))


# ---- points --------------------------------------------------------------------------------------


SMALL_ORDER = bytes([1]) + bytes(31)  # the identity
NOT_CANONICAL = bytes([255] * 32)
OTHER_ORDER = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
HALF_ORDER = bytes([0xEC, *[0xFF] * 30, 0x7F])  # order 2; libsodium before 2026 took it in a sum
MIXED = [
    crypto_core_ed25519_add(crypto_scalarmult_ed25519_base_noclamp(bytes([5]) + bytes(31)), torsion)
    for torsion in (HALF_ORDER, OTHER_ORDER)
]


@pytest.mark.parametrize("name", ["point", "points"])
@pytest.mark.parametrize("bad", [SMALL_ORDER, NOT_CANONICAL, OTHER_ORDER, *MIXED])
def test_a_point_outside_the_group_names_its_sender(seats, name, bad):
    def tamper(sender, receiver, said, value):
        if (sender, receiver, said) == ("b", "a", name):
            value.reshape(-1, crypto_core_ed25519_BYTES)[-1] = np.frombuffer(bad, np.uint8)
        return value

    with pytest.raises(Suspected) as caught:
        play({p: connect(s) for p, s in seats(3, "bad").items()}, tamper=tamper)
    assert caught.value.party == "b"


def test_secrets_do_not_show(connected):
    wire = connected(2)["a"].wires["b"]
    assert "redacted" in repr(wire)
    assert "redacted" in repr(wire.trees)
