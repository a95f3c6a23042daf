"""Private folders, whole files."""

from __future__ import annotations

from pathlib import Path

import pytest

import p2pmpc.folder
from p2pmpc.errors import LocalError, LogError, NotFound
from p2pmpc.folder import RECORD_BYTES_MAX, private_folder, read_bytes, write_atomically


def test_a_private_folder_is_for_this_user_and_goes_with_its_block() -> None:
    with private_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / "rows.csv").write_text("1")
    assert not folder.exists()


def test_a_private_folder_goes_when_its_block_fails() -> None:
    with pytest.raises(KeyError), private_folder() as folder:
        raise KeyError("x")
    assert not folder.exists()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"one")
    write_atomically(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    with pytest.raises(LocalError, match="could not be written"):
        write_atomically(tmp_path / "missing" / "a", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(LocalError):
        write_atomically(tmp_path / "folder", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "folder"]


def test_a_record_one_byte_past_its_limit_is_not_read(tmp_path: Path, monkeypatch) -> None:
    assert RECORD_BYTES_MAX >= 2**20
    monkeypatch.setattr(p2pmpc.folder, "RECORD_BYTES_MAX", 10)
    (tmp_path / "a").write_bytes(b"x" * 10)
    assert len(read_bytes(tmp_path / "a", "a receipt")) == 10
    (tmp_path / "a").write_bytes(b"x" * 11)
    with pytest.raises(LogError, match="too long to be a receipt"):
        read_bytes(tmp_path / "a", "a receipt")
    with pytest.raises(NotFound, match="cannot be read"):
        read_bytes(tmp_path / "b", "a receipt")
