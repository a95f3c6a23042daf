"""A session's mail: what is early waits, what is wrong ends the session by name."""

import asyncio

import numpy as np
import pytest

from nodes.session import mailbox as mailbox_module
from nodes.session.arrays import encode_array
from nodes.session.mailbox import EARLY_MAILS_MAX, Mailbox
from p2pmpc.errors import RemoteError
from protocols.abort import Suspected
from protocols.party import Expect

PARTIES = ("east", "north", "south")
WORD = Expect("uint64", (1,))


def box():
    return Mailbox("north", PARTIES, {"open", "commit"})


def word(value):
    return encode_array(np.array([value], dtype=np.uint64))


def hear(mailbox, *keys):
    return asyncio.run(asyncio.wait_for(mailbox.hear(dict.fromkeys(keys, WORD)), 1))


def test_early_mail_waits_and_a_name_is_first_in_first_out():
    mailbox = box()
    mailbox.put("south", "a/open", word(1))
    mailbox.put("south", "a/open", word(2))
    assert hear(mailbox, ("south", "a/open"))["south", "a/open"][0] == 1
    assert hear(mailbox, ("south", "a/open"))["south", "a/open"][0] == 2
    assert mailbox.early_bytes["south"] == 0


def test_who_is_waited_for_is_known():
    async def scene():
        mailbox = box()
        task = asyncio.create_task(mailbox.hear({("south", "open"): WORD, ("east", "open"): WORD}))
        await asyncio.sleep(0)
        mailbox.put("east", "open", word(1))
        await asyncio.sleep(0)
        assert mailbox.missing == ("south",)
        mailbox.put("south", "open", word(1))
        await task
        assert mailbox.missing == ()

    asyncio.run(scene())


@pytest.mark.parametrize("sender", ["west", "north"])
def test_mail_by_someone_who_is_no_other_party_is_refused(sender):
    mailbox = box()
    mailbox.put(sender, "open", word(1))
    with pytest.raises(Suspected, match=sender):
        hear(mailbox, ("south", "open"))


def test_a_name_that_the_study_never_says_is_refused():
    mailbox = box()
    mailbox.put("south", "a/secret", word(1))
    with pytest.raises(Suspected, match="never says"):
        hear(mailbox, ("south", "open"))


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, 2], dtype=np.uint64),
        np.array([1], dtype=np.uint8),
        np.array([[1]], dtype=np.uint64),
    ],
)
def test_an_array_of_another_dtype_or_shape_is_suspected(value):
    mailbox = box()
    mailbox.put("south", "open", encode_array(value))
    with pytest.raises(Suspected, match="should be uint64"):
        hear(mailbox, ("south", "open"))


def test_bytes_that_are_no_array_are_refused():
    mailbox = box()
    mailbox.put("south", "open", b"\x02")
    with pytest.raises(RemoteError, match="no array head"):
        hear(mailbox, ("south", "open"))


def test_one_mail_too_many_ahead_is_refused():
    mailbox = box()
    for _ in range(EARLY_MAILS_MAX):
        mailbox.put("south", "open", word(0))
    assert mailbox.fault is None
    mailbox.put("south", "open", word(0))
    assert isinstance(mailbox.fault, Suspected)


def test_one_byte_too_many_ahead_is_refused(monkeypatch):
    monkeypatch.setattr(mailbox_module, "EARLY_BYTES_MAX", 2 * len(word(0)))
    mailbox = box()
    mailbox.put("south", "open", word(0))
    mailbox.put("south", "commit", word(0))
    assert mailbox.fault is None
    mailbox.put("south", "open", word(0))
    assert "ran ahead" in str(mailbox.fault)
