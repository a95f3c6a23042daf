"""Keys at rest: sealed, for this user alone, never overwritten; every fault has its sentence."""

import json

import pytest
from nacl.pwhash import argon2id

from nodes.store.keys import (
    FILE_BYTES_MAX,
    MEMORY_BYTES_MAX,
    OPERATIONS_MAX,
    PASSPHRASE_BYTES_MAX,
    Effort,
    read_keys,
    write_keys,
)
from p2pmpc.errors import LocalError, WrongUsage
from p2pmpc.identity import SecretKeys

LIGHT = Effort(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN)  # tests guess nothing
KEYS = SecretKeys(b"r" * 32, b"l" * 32, b"t" * 32)


def coins():
    drawn = iter(range(1, 100))
    return lambda count: bytes([next(drawn)]) * count


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "north.keys"
    write_keys(made, KEYS, b"a passphrase", coins(), LIGHT)
    return made


def test_the_keys_come_back_under_their_passphrase(path):
    assert read_keys(path, b"a passphrase") == KEYS


def test_the_file_is_for_this_user_alone_and_holds_no_seed(path):
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    for seed in (KEYS.root_seed, KEYS.log_seed, KEYS.transport_seed):
        assert seed.hex() not in text
    assert [file.name for file in path.parent.iterdir()] == ["north.keys"]


def test_a_wrong_passphrase_is_told_plainly(path):
    with pytest.raises(WrongUsage, match="the passphrase does not open") as caught:
        read_keys(path, b"another")
    assert "Type it again" in caught.value.next
    assert "another" not in str(caught.value)


@pytest.mark.parametrize("passphrase", [b"", b"x" * (PASSPHRASE_BYTES_MAX + 1)])
def test_an_empty_or_endless_passphrase_is_refused(path, tmp_path, passphrase):
    with pytest.raises(WrongUsage, match="1 to 1024 bytes"):
        read_keys(path, passphrase)
    with pytest.raises(WrongUsage, match="1 to 1024 bytes"):
        write_keys(tmp_path / "new", KEYS, passphrase, coins(), LIGHT)
    assert not (tmp_path / "new").exists()


def test_existing_keys_are_never_overwritten(path):
    before = path.read_bytes()
    with pytest.raises(LocalError, match="cannot be written"):
        write_keys(path, SecretKeys(b"x" * 32, b"y" * 32, b"z" * 32), b"p", coins(), LIGHT)
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


def test_a_file_that_others_can_read_is_refused(path):
    path.chmod(0o644)
    with pytest.raises(LocalError, match="others on this machine") as caught:
        read_keys(path, b"a passphrase")
    assert "chmod 600" in caught.value.next


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "p2pmpc/keys/2"}, "no file of the format"),
        ({"operations": OPERATIONS_MAX + 1}, "out of range"),
        ({"memory_bytes": MEMORY_BYTES_MAX + 1}, "out of range"),
        ({"memory_bytes": 1}, "out of range"),
        ({"operations": "many"}, "malformed"),
        ({"salt": "00"}, "wrong length"),
        ({"nonce": "zz"}, "malformed"),
        ({"sealed": None}, "malformed"),
    ],
)
def test_a_spoiled_field_is_refused_before_anything_is_computed(path, change, words):
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(LocalError, match=words):
        read_keys(path, b"a passphrase")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "not json",
        "[" * 4000,
        json.dumps({"format": "p2pmpc/keys/1"}) + " " * FILE_BYTES_MAX,
    ],
)
def test_a_file_of_something_else_is_refused(path, text):
    path.write_text(text)
    with pytest.raises(LocalError, match="no file of the format"):
        read_keys(path, b"a passphrase")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LocalError, match=r"nothing\.keys cannot be used: No such file"):
        read_keys(tmp_path / "nothing.keys", b"p")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LocalError, match="cannot be written"):
        write_keys(tmp_path / "nowhere" / "keys", KEYS, b"p", coins(), LIGHT)


def test_each_changed_byte_of_the_sealed_keys_is_noticed(path):
    record = json.loads(path.read_text())
    sealed = bytes.fromhex(record["sealed"])
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        path.write_text(json.dumps({**record, "sealed": changed.hex()}))
        with pytest.raises(WrongUsage):
            read_keys(path, b"a passphrase")
