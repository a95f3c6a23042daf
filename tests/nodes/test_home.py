"""A member's folder: what `node new` makes, and what it refuses."""

import os
import stat

import pytest

from nodes.home import Home, make_home
from nodes.store.keys import Effort
from p2pmpc.errors import LogError, NotFound, WrongUsage
from p2pmpc.identity import Signer, check_card
from p2pmpc.settings import Settings

LIGHT = Effort(1, 8192)


def made(tmp_path, **changes):
    settings = Settings(name="north", **changes)
    return make_home(tmp_path / "north", settings, b"passphrase", os.urandom, LIGHT)


def test_a_new_folder_holds_everything_and_nobody_else_can_read_it(tmp_path):
    home = made(tmp_path, listen_port=7501)
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    there = {name for name, path in home.files().items() if path.exists()}
    assert there == {"settings", "keys", "card", "policy"}
    for path in home.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    card = check_card(home.card())
    assert (card.name, card.address) == ("north", "127.0.0.1:7501")
    assert home.policy().default.decide == "ask"


def test_the_card_shows_the_public_side_of_the_sealed_keys(tmp_path):
    home = made(tmp_path)
    keys = home.keys(b"passphrase")
    card = check_card(home.card())
    assert card.log_key == Signer(keys.log_seed).public
    assert card.root_key == Signer(keys.root_seed).public


def test_the_advertised_address_is_the_one_on_the_card(tmp_path):
    home = made(tmp_path, advertise="node.example.org:443")
    assert check_card(home.card()).address == "node.example.org:443"


def test_a_folder_with_a_node_is_left_as_it_is(tmp_path):
    home = made(tmp_path)
    before = home.keys_file.read_bytes()
    with pytest.raises(WrongUsage, match="holds a node already"):
        made(tmp_path)
    assert home.keys_file.read_bytes() == before


def test_a_wrong_passphrase_opens_nothing(tmp_path):
    with pytest.raises(WrongUsage, match="passphrase"):
        made(tmp_path).keys(b"another")


def test_another_folder_is_no_nodes_folder(tmp_path):
    with pytest.raises(NotFound, match="no node's folder"):
        Home(tmp_path).settings()


def test_a_changed_card_is_noticed_before_it_is_handed_out(tmp_path):
    home = made(tmp_path)
    data = bytearray(home.card())
    data[-1] ^= 1
    home.card_file.write_bytes(bytes(data))
    with pytest.raises(LogError):
        home.card()
