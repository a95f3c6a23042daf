"""The end of a study: verdicts, record, then numbers; and who is named when it goes wrong."""

import numpy as np
import pytest

from protocols.abort import Suspected
from protocols.commitment import share_commitment
from protocols.echo import Transcript
from protocols.party import Trace, play
from protocols.release import ROUNDS, release
from protocols.ring import Ring

RING = Ring(2)
SESSION = bytes(range(32))
VALUES = {"age": [41, -7, 2**100], "sex": [12], "few": [3, 4]}
VERDICTS = {"age": 1, "sex": 1, "few": 0}


def protocols(seats, shares, count, recipients, seed="release"):
    units = {u: shares.split(RING, RING.from_ints(v), count) for u, v in VALUES.items()}
    bits = {u: shares.split_bits(np.array([v], np.uint8), count) for u, v in VERDICTS.items()}
    return {
        p: release(
            s,
            SESSION,
            {u: units[u][p] for u in units},
            {u: bits[u][p] for u in bits},
            recipients,
            Transcript(),
        )
        for p, s in seats(count, seed).items()
    }


@pytest.mark.parametrize("count", range(2, 11))
def test_recipients_hold_the_passing_integers_and_others_nothing(seats, shares, count):
    found = play(protocols(seats, shares, count, ("a",)))
    assert found["a"].integers == {"age": (41, -7, 2**100), "sex": (12,), "few": None}
    assert all(found[p] is None for p in found if p != "a")
    assert sorted(found["a"].openings) == sorted(found)


def test_all_parties_pause_for_the_same_facts_before_and_after_the_verdicts(seats, shares):
    trace = Trace()
    found = play(protocols(seats, shares, 3, ("a", "c")), trace)
    checked = [step.facts for _, step in trace.pauses if step.kind == "checked"]
    facts = [step.facts for _, step in trace.pauses if step.kind == "release"]
    assert len(checked) == len(facts) == 3
    assert all(fact == facts[0] for fact in facts)
    assert checked[0] == {"transcript": facts[0]["transcript"]}
    assert facts[0]["layout"] == (("age", 3), ("few", 2), ("sex", 1))
    assert facts[0]["verdicts"] == (True, False, True)
    for party, opening in found["c"].openings.items():
        made = share_commitment(SESSION, party, opening.salt, opening.share)
        assert facts[0]["commitments"][party] == made
        assert len(opening.share) == 16 * 4


def test_no_verdict_leaves_before_the_transcript_and_no_share_before_the_certificate(seats, shares):
    table = protocols(seats, shares, 2, ("a", "b"))
    steps = []

    def watched(protocol):
        sent = None
        while True:
            try:
                step = protocol.send(sent)
            except StopIteration as stop:
                return stop.value
            steps.append(getattr(step, "kind", None) or next(iter(step.says))[1])
            sent = yield step

    play({"a": watched(table["a"]), "b": table["b"]})
    wanted = ["echo", "checked", "verdict/commit", "verdict/open", "share", "release", "opening"]
    assert steps == wanted


def test_the_units_that_fail_do_not_appear_in_any_message(seats, shares):
    trace = Trace()
    play(protocols(seats, shares, 2, ("a", "b")), trace)
    openings = [value for _, _, name, value in trace.said if name == "opening"]
    assert [len(value) for value in openings] == [16 + 16 * 4] * 2


def test_opened_shares_are_masked_afresh(seats, shares):
    trace = Trace()
    zero = {p: RING.zeros((50,)) for p in "abc"}
    play(
        {
            p: release(s, SESSION, {"u": zero[p]}, {"u": np.uint8(p == "a")}, ("a",), Transcript())
            for p, s in seats(3, "mask").items()
        },
        trace,
    )
    opened = [value[16:] for _, _, name, value in trace.said if name == "opening"]
    words = np.concatenate([np.frombuffer(value.tobytes(), "<u8") for value in opened])
    assert len(np.unique(words)) == len(words) == 2 * 100


def test_nothing_passing_opens_nothing(seats):
    found = play(
        {
            p: release(
                s, SESSION, {"u": RING.zeros((2,))}, {"u": np.uint8(0)}, ("a",), Transcript()
            )
            for p, s in seats(2, "none").items()
        }
    )
    assert found["a"].integers == {"u": None}
    assert all(opening.share == b"" for opening in found["a"].openings.values())


@pytest.mark.parametrize("place", [0, 16, -1])
def test_an_opening_that_is_not_the_committed_share_names_its_party(seats, shares, place):
    def tamper(sender, receiver, said, value):
        if (sender, receiver, said) == ("b", "a", "opening"):
            value[place] ^= 1
        return value

    with pytest.raises(Suspected, match="had committed") as caught:
        play(protocols(seats, shares, 3, ("a",)), tamper=tamper)
    assert caught.value.party == "b"


def test_a_commitment_told_differently_gives_facts_that_not_all_can_sign(seats, shares):
    def tamper(sender, receiver, said, value):
        if (sender, receiver, said) == ("b", "a", "share"):
            value[0] ^= 1
        return value

    trace = Trace()
    with pytest.raises(Suspected):
        play(protocols(seats, shares, 3, ("a", "c")), trace, tamper)
    facts = {party: step.facts for party, step in trace.pauses if step.kind == "release"}
    assert facts["a"] != facts["c"] == facts["b"]


@pytest.mark.parametrize("name", ["echo", "verdict/commit", "verdict/open", "share", "opening"])
def test_a_message_of_the_wrong_length_names_its_sender_in_every_round(seats, shares, name):
    def tamper(sender, receiver, said, value):
        return value[:-1] if (sender, said) == ("c", name) else value

    with pytest.raises(Suspected) as caught:
        play(protocols(seats, shares, 3, ("a", "b", "c")), tamper=tamper)
    assert caught.value.party == "c"


def test_a_verdict_share_that_was_not_committed_to_names_its_party(seats, shares):
    def tamper(sender, receiver, said, value):
        if (sender, said) == ("c", "verdict/open"):
            value[-8] ^= 1
        return value

    with pytest.raises(Suspected, match="verdicts") as caught:
        play(protocols(seats, shares, 3, ("a",)), tamper=tamper)
    assert caught.value.party == "c"


def test_units_in_a_small_ring_or_without_a_verdict_are_refused(seats):
    seat = seats(2, "wrong")["a"]
    narrow = release(
        seat, SESSION, {"u": Ring(1).zeros((1,))}, {"u": np.uint8(1)}, ("a",), Transcript()
    )
    with pytest.raises(ValueError, match=r"Z_2\^128"):
        next(narrow)
    with pytest.raises(ValueError, match="one verdict"):
        next(release(seat, SESSION, {"u": RING.zeros((1,))}, {}, ("a",), Transcript()))
    with pytest.raises(ValueError, match="recipients"):
        next(release(seat, SESSION, {}, {}, ("z",), Transcript()))


def test_declared_rounds_are_those_said(seats, shares):
    trace = Trace()
    play(protocols(seats, shares, 3, ("a",)), trace)
    assert {name.rsplit("/", 1)[-1] for _, _, name, _ in trace.said} == {s.name for s in ROUNDS}
    assert trace.rounds == 5 * 3


def test_a_party_that_turns_its_share_of_a_verdict_is_not_stopped(seats, shares):
    """A limit that the head states: thresholds bind those who follow the protocol."""
    low = shares.split(RING, RING.from_ints([4]), 3)
    failed = shares.split_bits(np.array([0], np.uint8), 3)
    turned = failed | {"c": failed["c"] ^ 1}
    for bits, opened in ((failed, None), (turned, (4,))):
        found = play(
            {
                p: release(s, SESSION, {"low": low[p]}, {"low": bits[p]}, ("a",), Transcript())
                for p, s in seats(3, f"turned {opened}").items()
            }
        )
        assert found["a"].integers == {"low": opened}
