"""The file that founds a network: what it holds, and every way in which it is refused."""

from __future__ import annotations

import pytest

from p2pmpc.codec import decode, encode
from p2pmpc.errors import LogError, NotFound, WrongUsage
from p2pmpc.identity import make_card, make_keys
from p2pmpc.invitation import (
    INVITATION_BYTES_MAX,
    Invitation,
    file_name,
    read_card,
    read_invitation,
)


def card(name: str, seed: int = 0) -> bytes:
    counter = iter(range(seed, seed + 100))
    keys = make_keys(lambda n: bytes([next(counter)]) * n)
    return make_card(name, keys, b"certificate of " + name.encode(), "127.0.0.1:7443")


NORTH, SOUTH = card("north", 1), card("south", 11)


def test_everybody_computes_the_same_network_from_the_file(tmp_path) -> None:
    made = Invitation.of("Two clinics", (SOUTH, NORTH, SOUTH))
    made.write(tmp_path / "a.network")
    found = read_invitation(tmp_path / "a.network")
    assert found == made == Invitation.of("Two clinics", (NORTH, SOUTH))
    assert found.roster().network == made.roster().network
    assert found.roster().names == ("north", "south")
    assert Invitation.of("Other clinics", (NORTH, SOUTH)).roster().network != found.roster().network


def test_a_file_is_never_written_over_another(tmp_path) -> None:
    path = tmp_path / "a.network"
    path.write_text("something of value")
    with pytest.raises(WrongUsage, match="exists already"):
        Invitation.of("Two clinics", (NORTH, SOUTH)).write(path)
    assert path.read_text() == "something of value"


@pytest.mark.parametrize("title", ["", "x" * 201])
def test_a_network_has_a_title_and_two_members(title) -> None:
    with pytest.raises(WrongUsage, match="1 to 200 characters"):
        Invitation.of(title, (NORTH, SOUTH))
    with pytest.raises(WrongUsage, match="2 to 256 members"):
        Invitation.of("Alone", (NORTH,))


def test_two_cards_of_one_name_make_no_network() -> None:
    with pytest.raises(LogError, match="north and north share"):
        Invitation.of("Twice", (NORTH, card("north", 31)))


def test_a_changed_card_is_found_before_anybody_joins(tmp_path) -> None:
    made = Invitation.of("Two clinics", (NORTH, SOUTH))
    changed = Invitation(made.form, made.title, (NORTH, SOUTH.replace(b"7443", b"7444")))
    path = tmp_path / "a.network"
    path.write_bytes(encode(changed))
    with pytest.raises(LogError, match="card of south"):
        read_invitation(path)


def test_files_of_another_kind_are_said_to_be_none(tmp_path) -> None:
    path = tmp_path / "a.network"
    other = Invitation("p2pmpc/network/9", "Two clinics", (NORTH, SOUTH))
    for data in (b"", b"[study]", NORTH, encode(other), bytes(INVITATION_BYTES_MAX + 1)):
        path.write_bytes(data)
        with pytest.raises(LogError, match="network file") as caught:
            read_invitation(path)
        assert caught.value.where["file"] == str(path)
    with pytest.raises(NotFound):
        read_invitation(tmp_path / "none.network")


def test_a_card_is_read_from_its_file_or_the_file_is_named(tmp_path) -> None:
    path = tmp_path / "north.card"
    path.write_bytes(NORTH)
    data, found = read_card(path)
    assert (data, found.name) == (NORTH, "north")
    path.write_bytes(NORTH[:-1] + b"x")
    with pytest.raises(LogError, match="is no sound card"):
        read_card(path)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Three hospitals", "Three-hospitals.network"),
        ("../../etc/passwd", "etc-passwd.network"),
        ("žluťoučký", "lu-ou-k.network"),
        ("…", "our.network"),
        ("x" * 300, "x" * 60 + ".network"),
    ],
)
def test_any_title_becomes_a_plain_file_name(title, name) -> None:
    assert file_name(title) == name


def test_the_file_has_one_encoding() -> None:
    made = Invitation.of("Two clinics", (NORTH, SOUTH))
    assert decode(encode(made), Invitation, "the network", error=LogError) == made
