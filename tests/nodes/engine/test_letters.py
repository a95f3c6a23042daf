"""Briefs, pauses, outcomes and faults are the same at both ends of a channel."""

import msgspec
import numpy as np
import pytest

from nodes.core.effects import ResumeSession
from nodes.engine.cluster.letters import (
    PIECE_BYTES_MAX,
    SESSION_FRAMES,
    Done,
    Failed,
    Paused,
    Resumed,
    batches_of,
    fault_of,
    outcome_of,
    pieces_of,
)
from nodes.session.session import Outcome
from p2pmpc.errors import BadData, Refused
from protocols.abort import Inconsistent, Missing, Suspected
from protocols.batches import Batch
from protocols.party import Pause


def carried(frame):
    return SESSION_FRAMES.decode(msgspec.msgpack.encode(frame))


@pytest.mark.parametrize(
    "fault", [Suspected("north", "lied"), Missing("lab", "?"), Inconsistent("", "x")]
)
def test_an_abort_keeps_its_kind_and_whom_it_names(fault):
    found = fault_of(carried(Failed.of(fault)))
    assert (type(found), found.party, found.what) == (type(fault), fault.party, fault.what)


def test_an_error_keeps_its_class_its_place_and_its_advice():
    for fault in (BadData("no", next="do", file="a.csv", row=3), Refused("never", member="lab")):
        found = fault_of(carried(Failed.of(fault)))
        assert type(found) is type(fault)
        assert found.to_json() == fault.to_json()


def test_a_pause_for_the_record_and_its_end_cross_whole():
    checked = Pause("checked", {"transcript": bytes(32)})
    facts = {
        "transcript": bytes(32),
        "layout": (("n/main", 1),),
        "verdicts": (True,),
        "commitments": {"north": b"c" * 32},
    }
    for pause in (checked, Pause("release", facts)):
        assert carried(Paused.of(pause)).pause() == pause
    resumed = ResumeSession(bytes(32), b"certificate", (b"s" * 64,))
    assert carried(Resumed.of(resumed)).resume() == resumed


def test_an_outcome_crosses_with_every_float_as_it_was():
    answer = {"values": {"mean": 0.1 + 0.2, "n": 3, "none": None}, "released": True}
    outcome = Outcome(True, answer, bytes(32), b"receipt", {"here": 2})
    assert outcome_of(carried(Done.of(outcome))) == outcome
    silent = Outcome(True, None, b"", b"", {})
    assert outcome_of(carried(Done.of(silent))) == silent


def test_what_the_pool_gave_crosses_in_pieces_and_is_here_no_more():
    words = PIECE_BYTES_MAX // 8 + 1
    arrays = {"0": np.arange(words, dtype=np.uint64).reshape(1, -1), "1": np.zeros(0, np.uint8)}
    batch = Batch(b"i" * 32, ("a", "b"), "and", words, arrays)
    pieces = [carried(piece) for piece in pieces_of([batch])]
    assert [len(piece.data) for piece in pieces] == [PIECE_BYTES_MAX, 8, 0]
    assert not arrays["0"].any()
    (found,) = batches_of(pieces)
    assert (found.id, found.parties, found.kind, found.units) == (
        b"i" * 32,
        ("a", "b"),
        "and",
        words,
    )
    assert np.array_equal(found.arrays["0"], np.arange(words, dtype=np.uint64).reshape(1, -1))
    assert found.arrays["1"].shape == (0,)
    found.burn()  # its own memory
    assert "redacted" in repr(pieces[0])
