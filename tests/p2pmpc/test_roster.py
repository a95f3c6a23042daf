"""Everybody computes the same roster, and it is a network's name."""

import random

import pytest

from p2pmpc.codec import decode, encode
from p2pmpc.errors import LogError, NotFound
from p2pmpc.identity import SecretKeys, make_card
from p2pmpc.roster import (
    EPOCH_MAX,
    MEMBERS_MAX,
    TITLE_CHARS_MAX,
    Member,
    Roster,
    check_roster,
    found_roster,
    read_roster,
)


def test_the_order_of_cards_does_not_matter(society):
    cards = list(society.cards.values())
    for order in range(6):
        random.Random(order).shuffle(cards)
        assert found_roster("a small society", cards) == society.roster
    assert society.roster.names == ("north", "south", "west")
    assert society.roster.network == society.roster.hash
    assert found_roster("another title", cards).network != society.roster.network


def test_a_roster_reads_back_from_its_bytes(society):
    assert read_roster(encode(society.roster)) == society.roster
    assert read_roster(encode(society.roster)).network == society.roster.network


def test_a_stranger_is_not_found_and_the_members_are_named(society):
    with pytest.raises(NotFound, match="north, south, west"):
        society.roster.member("nobody")


def test_every_changed_byte_gives_another_network_or_none(society):
    data = encode(society.roster)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        try:
            assert read_roster(bytes(changed)).network != society.roster.network
        except LogError:
            continue


def test_two_members_may_share_nothing(society, make_society):
    cards = list(society.cards.values())
    with pytest.raises(LogError, match="share the name"):
        found_roster("title", [*cards, cards[0]])
    copycat = make_card("zenith", society.keys["north"], b"another certificate", "")
    with pytest.raises(LogError, match=r"north and zenith share a root key"):
        found_roster("title", [*cards, copycat])
    mixed = SecretKeys(b"q" * 32, society.keys["north"].log_seed, b"t" * 32)
    with pytest.raises(LogError, match=r"north and zenith share a log key"):
        found_roster("title", [*cards, make_card("zenith", mixed, b"another certificate", "")])
    fresh = make_society(["zenith", "other"])
    twin = make_card("zenith", fresh.keys["zenith"], b"certificate of north", "")
    with pytest.raises(LogError, match=r"north and zenith share a certificate"):
        found_roster("title", [*cards, twin])


def test_one_member_alone_founds_nothing(society):
    with pytest.raises(LogError, match="cannot be read"):
        found_roster("title", [society.cards["north"]])


def test_one_member_too_many_is_refused(make_society):
    member = make_society(["a", "b"]).roster.members[0]
    roster = Roster("title", 0, bytes(32), bytes(32), (member,) * (MEMBERS_MAX + 1))
    with pytest.raises(LogError, match="length <= 256"):
        read_roster(encode(roster))


def test_a_title_or_an_epoch_past_its_bound_is_refused(society):
    cards = list(society.cards.values())
    found_roster("x" * TITLE_CHARS_MAX, cards)
    for title in ("", "x" * (TITLE_CHARS_MAX + 1)):
        with pytest.raises(LogError, match="cannot be read"):
            found_roster(title, cards)
    one = society.roster
    with pytest.raises(LogError, match="cannot be read"):
        read_roster(encode(Roster("t", EPOCH_MAX + 1, one.origin, one.previous, one.members)))


def test_members_out_of_order_or_a_later_epoch_are_refused(society):
    one = society.roster
    backwards = Roster(one.title, 0, one.origin, one.previous, tuple(reversed(one.members)))
    with pytest.raises(LogError, match="not sorted"):
        check_roster(backwards)
    with pytest.raises(LogError, match="epoch 0 only"):
        check_roster(Roster(one.title, 1, one.network, one.hash, one.members))


def test_a_card_inside_the_roster_is_checked_again(society):
    north = society.roster.members[0]
    fields = list(decode(encode(north.card), list, "a card"))
    fields[4] = "elsewhere.example:1"
    forged = Member(type(north.card)(*fields), 0)
    one = society.roster
    with pytest.raises(LogError, match="north"):
        check_roster(Roster(one.title, 0, one.origin, one.previous, (forged, *one.members[1:])))
