"""Modes, card, keys and roster of a real folder."""

import os

import pytest

from nodes.doctor.folder import check_identity, check_modes, read_identity, read_modes
from nodes.home import make_home
from nodes.store.keys import Effort
from p2pmpc.identity import check_card
from p2pmpc.roster import found_roster
from p2pmpc.settings import Settings

LIGHT = Effort(1, 8192)


def make(folder, name="north"):
    return make_home(folder, Settings(name=name), b"passphrase", os.urandom, LIGHT)


@pytest.fixture
def home(tmp_path):
    return make(tmp_path / "north")


def judged(home, roster=None, keys=None, running=None):
    return {one.check: one for one in check_identity(read_identity(home, roster, keys, running))}


def test_a_fresh_folder_is_private_and_of_one_node(home):
    assert [one.level for one in check_modes(read_modes(home))] == ["ok"]
    found = judged(home, keys=home.keys(b"passphrase"))
    assert {one.level for one in found.values()} == {"ok"}
    assert "of one node" in found["certificate"].text


@pytest.mark.parametrize(
    ("what", "level"), [("keys", "fault"), ("settings", "note"), ("card", "note")]
)
def test_a_file_that_others_can_read_is_named_with_the_command_that_mends_it(home, what, level):
    path = home.files()[what]
    path.chmod(0o640)
    [found] = check_modes(read_modes(home))
    assert found.level == level
    assert f"chmod 600 {path}" in found.fix


def test_an_open_folder_is_a_fault(home):
    home.folder.chmod(0o755)
    [found] = check_modes(read_modes(home))
    assert (found.level, found.fix) == ("fault", f"Run `chmod 700 {home.folder}`.")


def test_a_missing_key_file_is_a_fault(home):
    home.keys_file.unlink()
    assert [one.level for one in check_modes(read_modes(home))] == ["fault"]


def test_a_changed_card_is_a_fault(home):
    data = bytearray(home.card())
    data[-1] ^= 1
    home.card_file.write_bytes(data)
    assert judged(home)["card"].level == "fault"


def test_a_missing_card_is_a_fault(home):
    home.card_file.unlink()
    assert judged(home)["card"].level == "fault"


def test_keys_of_another_node_are_a_fault(home, tmp_path):
    other = make(tmp_path / "other").keys(b"passphrase")
    assert judged(home, keys=other)["certificate"].level == "fault"


def test_a_running_node_with_other_keys_is_a_fault(home, tmp_path):
    other = check_card(make(tmp_path / "other").card())
    assert judged(home, running=other)["certificate"].level == "fault"
    assert judged(home, running=check_card(home.card()))["certificate"].level == "ok"


def test_a_card_that_is_not_the_rosters_is_a_fault(home, tmp_path):
    south = make(tmp_path / "south", "south").card()
    twin = make(tmp_path / "twin").card()
    assert judged(home, roster=found_roster("x", [twin, south]))["card"].level == "fault"
    assert judged(home, roster=found_roster("x", [home.card(), south]))["card"].level == "ok"


def test_a_card_of_another_member_in_this_members_place_is_a_fault(home, tmp_path):
    home.card_file.write_bytes(make(tmp_path / "south", "south").card())
    found = judged(home)["card"]
    assert found.level == "fault"
    assert "card of south" in found.text


def test_an_address_that_moved_is_noted(home):
    text = home.settings_file.read_text().replace("listen_port = 7443", "listen_port = 7444")
    home.settings_file.write_text(text)
    assert judged(home)["card"].level == "note"
