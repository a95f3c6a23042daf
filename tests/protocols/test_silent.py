"""Silent OT: correlations that hold, strings that are chosen, supplies that are used once."""

from dataclasses import replace

import numpy as np
import pytest

from protocols import oblivious_transfer, silent
from protocols.abort import Suspected
from protocols.kernels.bits import pack, slice_words, unpack
from protocols.kernels.silent import Code
from protocols.oblivious_transfer import SILENT_TRANSFERS_MIN
from protocols.party import Trace, play
from protocols.silent import LARGE, ROUNDS, correlate, random_bits, random_ot

TINY = Code(weight=8, region_bits=9, trees=32, depth=7, row_bits=11)
ONE = np.uint64(1)


@pytest.fixture
def wired(dealt, seats, request):
    """wired(count): seats with wires dealt from coins of each test."""
    return lambda count: dealt(seats(count, request.node.nodeid))


def correlated(seats, count, code=TINY, trace=None, tamper=None):
    table = {p: correlate(s, code, count, s.peers, s.peers) for p, s in seats.items()}
    return play(table, trace, tamper)


def transferred(seats, count, words, choices, trace=None, tamper=None):
    return play(
        {
            p: random_ot(s, TINY, count, words, dict.fromkeys(s.peers, choices[p]), s.peers)
            for p, s in seats.items()
        },
        trace,
        tamper,
    )


def coins_of(seats, count):
    return {p: s.rand.fork("choices").bits((count,)) for p, s in seats.items()}


def assert_chosen(found, choices):
    for receiver in found:
        for sender, chosen in found[receiver].chosen.items():
            zeros, ones = found[sender].zeros[receiver], found[sender].ones[receiver]
            expected = np.where(choices[receiver][:, None] == 1, ones, zeros)
            assert np.array_equal(chosen, expected)
            assert not np.any(zeros == ones)


# ---- what comes out ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(2, 11))
def test_every_correlation_of_every_ordered_pair_holds(wired, count):
    found = correlated(wired(count), 100)
    for receiver in found:
        for sender, rows in found[receiver].received.items():
            delta = found[sender].deltas[receiver]
            mask = np.uint64(0) - (rows[:, 0] & ONE)
            assert np.array_equal(rows, found[sender].sent[receiver] ^ (mask[:, None] & delta))
            assert delta[0] & ONE == 1


@pytest.mark.parametrize(
    ("count", "size"),
    [*((n, 65) for n in range(2, 11)), *((n, s) for n in (2, 3, 10) for s in (1, 63, 64, 3000))],
)
def test_every_ordered_pair_shares_the_string_that_was_chosen(wired, count, size):
    seats = wired(count)
    choices = coins_of(seats, size)
    found = transferred(seats, size, 3, choices)
    assert found["a"].chosen["b"].shape == (size, 3)
    assert_chosen(found, choices)


@pytest.mark.parametrize("bit", [0, 1])
def test_equal_choices_are_served_too(wired, bit):
    seats = wired(2)
    choices = {p: np.full(128, bit, np.uint8) for p in seats}
    assert_chosen(transferred(seats, 128, 1, choices), choices)


def test_no_transfers_give_empty_strings(wired):
    seats = wired(2)
    trace = Trace()
    found = transferred(seats, 0, 2, coins_of(seats, 0), trace)
    assert found["a"].chosen["b"].shape == found["b"].ones["a"].shape == (0, 2)
    assert trace.said == []


@pytest.mark.parametrize("width", [1, 2, 8])
def test_packed_bits_are_the_low_bits_of_the_string_that_was_chosen(wired, width):
    seats = wired(3)
    choices = {p: s.rand.fork("choices").words((40,)) for p, s in seats.items()}
    found = play(
        {
            p: random_bits(s, TINY, 64 * 40, width, dict.fromkeys(s.peers, choices[p]), s.peers)
            for p, s in seats.items()
        }
    )
    for receiver in found:
        for sender, chosen in found[receiver].chosen.items():
            zeros, ones = found[sender].zeros[receiver], found[sender].ones[receiver]
            assert chosen.shape == (width, 40)
            picked = (zeros & ~choices[receiver]) | (ones & choices[receiver])
            assert np.array_equal(chosen, picked)


def test_packed_bits_are_those_of_whole_strings(dealt, seats):
    choices = np.array([5, 2**64 - 6], np.uint64)
    whole = play(
        {
            p: random_ot(s, TINY, 128, 1, dict.fromkeys(s.peers, unpack(choices, 128)), s.peers)
            for p, s in dealt(seats(2, "alike")).items()
        }
    )
    packed = play(
        {
            p: random_bits(s, TINY, 128, 3, dict.fromkeys(s.peers, choices), s.peers)
            for p, s in dealt(seats(2, "alike")).items()
        }
    )
    low = slice_words(whole["a"].chosen["b"][:, 0], 3)
    assert np.array_equal(low, packed["a"].chosen["b"])


def test_only_the_named_pairs_transfer_and_idle_parties_keep_the_rounds(wired):
    seats = wired(3)
    bits = np.ones(10, np.uint8)
    trace = Trace()
    found = play(
        {
            "a": random_ot(seats["a"], TINY, 10, 1, {"b": bits}, ()),
            "b": random_ot(seats["b"], TINY, 10, 1, {}, ("a",)),
            "c": random_ot(seats["c"], TINY, 10, 1, {}, ()),
        },
        trace,
    )
    assert np.array_equal(found["a"].chosen["b"], found["b"].ones["a"])
    assert found["c"].chosen == found["c"].zeros == {}
    assert trace.rounds == 3 * 4
    assert all({s, r} == {"a", "b"} for s, r, _, _ in trace.said)


# ---- chance --------------------------------------------------------------------------------------


def test_choices_and_strings_look_like_coins(wired):
    found = correlated(wired(2), TINY.fresh)
    rows = found["a"].sent["b"]
    ones = np.array([np.mean(rows[:, w] >> np.uint64(b) & ONE) for w in (0, 1) for b in range(64)])
    assert np.all(rows[:, 0] & ONE == 0)  # where the noise is carried
    spread = np.abs(ones[1:] - 0.5) * 2 * np.sqrt(len(rows))
    assert np.max(spread) < 5
    choices = found["b"].received["a"][:, 0] & ONE
    assert abs(np.mean(choices) - 0.5) * 2 * np.sqrt(len(choices)) < 5
    assert len(np.unique(rows[:, 1])) == len(rows)


def test_two_expansions_share_nothing(wired):
    seats = wired(2)
    first, second = (correlated(seats, TINY.fresh) for _ in range(2))
    assert np.array_equal(first["a"].deltas["b"], second["a"].deltas["b"])
    both = np.concatenate([first["a"].sent["b"], second["a"].sent["b"]])
    assert len(np.unique(both[:, 1])) == 2 * TINY.fresh
    bits = [found["b"].received["a"][:, 0] & ONE for found in (first, second)]
    assert abs(np.mean(bits[0] == bits[1]) - 0.5) * 2 * np.sqrt(TINY.fresh) < 5


def test_forks_of_one_wire_have_secrets_and_supplies_of_their_own(wired):
    seats = wired(2)
    found = [correlated({p: s.fork(x) for p, s in seats.items()}, 64) for x in ("left", "right")]
    assert not np.any(found[0]["a"].deltas["b"] == found[1]["a"].deltas["b"])
    assert not np.any(found[0]["a"].sent["b"][:, 1] == found[1]["a"].sent["b"][:, 1])


def test_the_view_of_all_others_is_independent_of_the_choices(dealt, seats):
    honest, totals = "b", []
    for bit in (0, 1):
        total = 0
        for run in range(40):
            table = seats(3, "views")
            mine = seats(3, f"views {bit} {run}")[honest]
            table[honest] = replace(table[honest], rand=mine.rand)
            choices = {p: np.full(128, bit * (p == honest), np.uint8) for p in table}
            trace = Trace()
            transferred(dealt(table), 128, 1, choices, trace)
            others = tuple(p for p in table if p != honest)
            heard = np.concatenate(
                [v.reshape(-1).view(np.uint8) for _, _, v in trace.heard_by(others)]
            )
            total = total + np.unpackbits(heard).astype(np.int64)
        totals.append(total)
    assert np.max(np.abs(totals[0] - totals[1])) / np.sqrt(20) < 6


# ---- supplies ------------------------------------------------------------------------------------


def test_what_a_call_leaves_over_serves_the_next_and_is_used_once(wired):
    seats = wired(2)
    trace = Trace()
    parts = [correlated(seats, 256, trace=trace)["a"].sent["b"] for _ in range(8)]
    said = [name for sender, _, name, _ in trace.said if sender == "a"]
    assert TINY.fresh == 256 * 7
    assert sorted(said) == ["correlations", "extend", "levels", "levels"]
    assert len(np.unique(np.concatenate(parts)[:, 1])) == 8 * 256


def test_directions_that_are_used_unevenly_stay_together(wired):
    seats = wired(2)
    for size, both in ((1000, False), (1500, True), (40, False), (1792, True)):
        offering = {"a": ("b",), "b": ("a",) if both else ()}
        receiving = {"a": ("b",) if both else (), "b": ("a",)}
        found = play(
            {p: correlate(s, TINY, size, receiving[p], offering[p]) for p, s in seats.items()}
        )
        for receiver in receiving:
            for sender, rows in found[receiver].received.items():
                mask = np.uint64(0) - (rows[:, 0] & ONE)
                delta = found[sender].deltas[receiver]
                assert np.array_equal(rows, found[sender].sent[receiver] ^ (mask[:, None] & delta))


@pytest.mark.parametrize(
    ("name", "before"), [("correlations", 0), ("levels", 0), ("levels", 1), ("levels", 2)]
)
def test_an_expansion_that_was_broken_off_burns_its_wire(wired, name, before):
    seats = wired(2)
    for _ in range(before):
        correlated(seats, TINY.fresh)

    def lost(_sender, _receiver, said, value):
        return None if said == name else value

    with pytest.raises(RuntimeError, match="all wait"):
        correlated(seats, 64, tamper=lost)
    with pytest.raises(ValueError, match="broken off"):
        correlated(seats, 64)


def test_what_a_call_took_before_it_was_broken_off_is_not_handed_out_again(wired):
    seats = wired(2)
    correlated(seats, 64)
    lost = coins_of(seats, 64)
    with pytest.raises(RuntimeError, match="all wait"):
        transferred(
            seats, 64, 1, lost, tamper=lambda *said: None if said[2] == "flips" else said[3]
        )
    supply = seats["a"].wires["b"].silent.sending
    assert supply.left == TINY.fresh - 128


# ---- what is said --------------------------------------------------------------------------------


def test_the_messages_and_their_bytes_are_those_of_the_head(wired):
    seats = wired(2)
    trace = Trace()
    transferred(seats, 640, 1, coins_of(seats, 640), trace)
    sizes = {name: v.nbytes for sender, _, name, v in trace.said if sender == "a"}
    assert sizes == {
        "extend": 4 * 256,  # SoftSpoken counts in 128 transfers
        "correlations": 16 * TINY.base,
        "levels": 16 * TINY.base,
        "flips": 640 // 8,
    }
    assert set(sizes) == {says.name for says in ROUNDS}
    assert trace.rounds == 2 * 4


def test_the_head_states_the_sizes_of_the_code_that_is_used():
    text = " ".join(silent.__doc__.split())
    assert f"{LARGE.base:,} correlations" in text
    assert f"{LARGE.fresh:,} transfers" in text
    assert (
        f"{16 * LARGE.base:,} an expansion, {16 * LARGE.base / LARGE.fresh:.3f} a transfer" in text
    )
    assert f"({4 * LARGE.base:,} at depth 4)" in text


def cut(value):
    return value[:-1]


def other_type(value):
    return value.astype(np.uint32)


def one_axis(value):
    return value.reshape(-1)[:, None, None]


@pytest.mark.parametrize("damage", [cut, other_type, one_axis])
@pytest.mark.parametrize("name", [says.name for says in ROUNDS])
def test_a_message_of_another_shape_or_type_names_its_sender(wired, name, damage):
    def tamper(sender, _receiver, said, value):
        return damage(value) if (sender, said) == ("b", name) else value

    seats = wired(3)
    with pytest.raises(Suspected) as caught:
        transferred(seats, 64, 1, coins_of(seats, 64), tamper=tamper)
    assert caught.value.party == "b"


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [-1, TINY.fresh + 1])
def test_more_than_an_expansion_yields_is_refused_before_a_word(wired, count):
    trace = Trace()
    with pytest.raises(ValueError, match="come of an expansion"):
        correlated(wired(2), count, trace=trace)
    assert trace.said == []


@pytest.mark.parametrize(("count", "width"), [(63, 1), (64, 0), (64, 9)])
def test_packed_bits_of_another_count_or_width_are_refused_before_a_word(wired, count, width):
    seat = wired(2)["a"]
    with pytest.raises(ValueError, match="whole words"):
        next(random_bits(seat, TINY, count, width, {}, ()))


def test_an_extension_that_nobody_knows_is_refused(seats):
    with pytest.raises(ValueError, match="OT extensions are"):
        replace(seats(2, "x")["a"], extension="silver")


def test_what_holds_secrets_does_not_show_them(wired):
    seats = wired(2)
    found = correlated(seats, 64)["a"]
    for shown in (found, seats["a"].wires["b"].silent, seats["a"].wires["b"].silent.sending):
        assert "redacted" in repr(shown)
        assert "array" not in repr(shown)


# ---- behind the seam -----------------------------------------------------------------------------


def silently(seats, count, words, choices, trace=None):
    return play(
        {
            p: oblivious_transfer.random_ot(
                s, count, words, dict.fromkeys(s.peers, choices[p]), s.peers
            )
            for p, s in seats.items()
        },
        trace,
    )


def test_a_seat_that_agreed_on_silence_is_served_by_the_same_functions(wired):
    seats = {p: replace(s, extension="silent") for p, s in wired(2).items()}
    choices = coins_of(seats, SILENT_TRANSFERS_MIN)
    trace = Trace()
    assert_chosen(silently(seats, SILENT_TRANSFERS_MIN, 1, choices, trace), choices)
    packed = {p: pack(bits) for p, bits in choices.items()}
    found = play(
        {
            p: oblivious_transfer.random_bits(
                s, SILENT_TRANSFERS_MIN, 2, dict.fromkeys(s.peers, packed[p]), s.peers
            )
            for p, s in seats.items()
        },
        trace,
    )
    zeros, ones = found["a"].zeros["b"], found["a"].ones["b"]
    assert np.array_equal(found["b"].chosen["a"], (zeros & ~packed["b"]) | (ones & packed["b"]))
    assert [name for s, _, name, _ in trace.said if s == "a"].count("levels") == 1


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_a_transfer_costs_the_bytes_of_the_head(wired, count):
    seats = {p: replace(s, extension="silent") for p, s in wired(count).items()}
    choices = coins_of(seats, LARGE.fresh)
    for _ in range(2):
        trace = Trace()
        assert_chosen(silently(seats, LARGE.fresh, 1, choices, trace), choices)
    said = sum(v.nbytes for s, r, _, v in trace.said if (s, r) == ("a", "b"))
    assert abs(said / LARGE.fresh - 0.125 - 0.094) < 0.001


def test_few_transfers_of_a_silent_seat_are_left_to_softspoken(wired):
    seats = {p: replace(s, extension="silent") for p, s in wired(2).items()}
    count = SILENT_TRANSFERS_MIN - 64
    words = np.zeros(count // 64, np.uint64)
    trace = Trace()
    play(
        {
            p: oblivious_transfer.random_bits(s, count, 1, dict.fromkeys(s.peers, words), s.peers)
            for p, s in seats.items()
        },
        trace,
    )
    assert {name for _, _, name, _ in trace.said} == {"extend"}
