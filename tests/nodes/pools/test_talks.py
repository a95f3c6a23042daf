"""Nothing is made before all parties have said the same; who says otherwise is passed over."""

import pytest
from msgspec.structs import replace

from nodes.pools.talks import OFFER_S, OFFERS_MAX, OFFERS_WINDOW_S, Agreed, Talks, session_of
from p2pmpc.messages import Offer

FILL = b"f" * 32
PARTIES = ("a", "b", "c")
A = Offer(FILL, PARTIES, 1, (("and", 7), ("wire", 2)), b"a" * 32)
B, C = replace(A, key=b"b" * 32), replace(A, key=b"c" * 32)
OFFERS = {"a": A, "b": B, "c": C}


def test_n_equal_offers_are_agreed_and_name_one_session_everywhere():
    sessions = set()
    for me in PARTIES:
        talks = Talks(me)
        if me != "a":
            assert talks.hear(0.0, "a", A) == A
        assert talks.begin(0.0, OFFERS[me], me.encode() * 32) is None
        others = [p for p in PARTIES if p not in (me, "a" if me != "a" else "")]
        found = [talks.hear(0.1, p, OFFERS[p]) for p in others]
        agreed = found[-1]
        assert isinstance(agreed, Agreed)
        assert agreed.peer_keys == {p: OFFERS[p].key for p in PARTIES if p != me}
        assert (agreed.kinds, agreed.secret) == (A.kinds, me.encode() * 32)
        sessions.add(agreed.session)
        assert talks.talk is None
    assert sessions == {session_of(OFFERS)}


def joined(me="b"):
    talks = Talks(me)
    talks.hear(0.0, "a", A)
    talks.begin(0.0, OFFERS[me], bytes(32))
    return talks


def test_an_offer_that_comes_before_the_leaders_waits_for_it():
    talks = Talks("b")
    assert talks.hear(0.0, "c", C) is None
    assert talks.hear(0.1, "a", A) == A
    assert isinstance(talks.begin(0.1, B, bytes(32)), Agreed)


def test_an_early_offer_is_forgotten_after_a_while():
    talks = Talks("b")
    talks.hear(0.0, "c", C)
    assert talks.hear(OFFER_S + 1, "a", A) == A
    assert talks.begin(OFFER_S + 1, B, bytes(32)) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(C, kinds=(("and", 8), ("wire", 2))),
        replace(C, epoch=2),
        replace(C, parties=("a", "b", "c", "d")),
        replace(C, key=B.key),
    ],
)
def test_who_offers_something_else_under_the_same_fill_ends_the_talk(other):
    talks = joined()
    assert talks.hear(0.1, "c", other) == "c offers something else under the same fill"
    assert talks.talk is None


def test_two_keys_of_one_peer_end_the_talk():
    talks = Talks("a")
    talks.begin(0.0, A, bytes(32))
    assert talks.hear(0.0, "b", B) is None
    assert "something else" in talks.hear(0.0, "b", replace(B, key=b"x" * 32))
    assert talks.talk is None


def test_who_is_missing_is_named_when_the_time_is_up():
    talks = joined()
    assert talks.overdue(OFFER_S - 0.1) == ()
    assert talks.overdue(OFFER_S) == ("c",)
    assert talks.overdue(OFFER_S) == ()


def test_one_fill_is_talked_about_at_a_time():
    assert joined().hear(0.1, "a", replace(A, fill=b"g" * 32)) == "another fill is talked about"


@pytest.mark.parametrize(
    ("peer", "offer", "why"),
    [
        ("a", replace(A, parties=("b", "a", "c")), "out of order"),
        ("a", replace(A, parties=("a", "b", "b", "c")), "out of order"),
        ("a", replace(A, parties=("a", "c")), "no party of"),
        ("d", A, "no party of"),
        ("a", replace(A, kinds=(("wire", 1), ("and", 1))), "twice or out of order"),
        ("a", replace(A, kinds=(("and", 1), ("and", 1))), "twice or out of order"),
    ],
)
def test_what_no_honest_node_offers_is_passed_over(peer, offer, why):
    assert why in Talks("b").hear(0.0, peer, offer)


def test_a_peer_that_floods_is_passed_over_until_it_rests():
    talks = Talks("b")
    for number in range(OFFERS_MAX):
        assert talks.hear(number / 100, "a", A) == A
    assert "more often than" in talks.hear(1.0, "a", A)
    assert talks.hear(1.0, "c", C) is None  # others are heard as before
    assert talks.hear(OFFERS_WINDOW_S + 1, "a", A) == A
