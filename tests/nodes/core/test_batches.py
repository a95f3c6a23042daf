"""Entries travel in messages that fit a frame."""

from nodes.core.feeds import batches
from p2pmpc.limits import ENTRIES_BATCH_MAX, ENTRIES_BYTES_MAX, FRAME_BYTES_MAX
from p2pmpc.messages import encode_message
from p2pmpc.record import Body, SignedEntry


def entry(size):
    return SignedEntry(b"e", bytes(64)), Body(bytes(16), bytes(size))


def test_a_batch_is_cut_one_past_its_number_of_entries():
    assert len(batches([entry(0)] * ENTRIES_BATCH_MAX)) == 1
    assert [len(b.entries) for b in batches([entry(0)] * (ENTRIES_BATCH_MAX + 1))] == [
        ENTRIES_BATCH_MAX,
        1,
    ]


def test_a_batch_is_cut_before_it_outgrows_a_frame():
    assert len(batches([entry(ENTRIES_BYTES_MAX // 2 - 400)] * 2)) == 1
    assert len(batches([entry(ENTRIES_BYTES_MAX // 2)] * 2)) == 2
    (full,) = batches([entry(ENTRIES_BYTES_MAX // 2 - 400)] * 2)
    assert len(encode_message(full)) < FRAME_BYTES_MAX
