"""Room and kind of the file systems under a node."""

from dataclasses import replace
from pathlib import Path

import pytest

from nodes.doctor.disk import (
    FREE_BYTES_FAULT,
    FREE_BYTES_NOTE,
    Place,
    check_memory_folder,
    check_place,
    read_place,
)
from nodes.engine.cluster.runtime import MEMORY_BYTES_MIN

GOOD = Place(Path("/srv/north"), "ext4", 2**40, 2**39, False)
SHM = Place(Path("/dev/shm"), "tmpfs", 2**31, 2**31, False)


def found(**fields):
    return {one.check: one for one in check_place(replace(GOOD, **fields))}


def test_a_local_disk_with_room_is_as_it_should_be():
    assert {one.level for one in check_place(GOOD)} == {"ok"}


def test_little_room_is_noted_and_no_room_is_a_fault():
    assert found(free_bytes=FREE_BYTES_NOTE)["disk"].level == "ok"
    assert found(free_bytes=FREE_BYTES_NOTE - 1)["disk"].level == "note"
    assert found(free_bytes=FREE_BYTES_FAULT)["disk"].level == "note"
    assert found(free_bytes=FREE_BYTES_FAULT - 1)["disk"].level == "fault"
    assert "read-only" in found(read_only=True)["disk"].text


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuseblk", "9p"])
def test_a_file_system_that_may_not_honour_locks_is_a_fault(kind):
    assert found(kind=kind)["file system"].level == "fault"
    assert kind in found(kind=kind)["file system"].text


@pytest.mark.parametrize("kind", ["tmpfs", "overlay"])
def test_a_file_system_that_does_not_last_is_noted(kind):
    assert found(kind=kind)["file system"].level == "note"


def test_the_deepest_and_latest_mount_counts(tmp_path):
    folder = tmp_path / "a b"
    folder.mkdir()
    shown = str(folder).replace(" ", "\\040")
    mounts = "\n".join(
        [
            "/dev/vda / ext4 rw 0 0",
            f"server:/x {tmp_path} nfs4 rw 0 0",
            f"one {shown} ext4 rw 0 0",
            f"two {shown} cifs rw 0 0",
            f"three {shown}beside btrfs rw 0 0",
            "broken",
        ]
    )
    assert read_place(folder, mounts).kind == "cifs"
    assert read_place(tmp_path, mounts).kind == "nfs4"
    assert read_place(Path("/"), mounts).kind == "ext4"


def test_this_machines_own_folder_is_read():
    place = read_place(Path("/proc"), Path("/proc/mounts").read_text())
    assert place.kind == "proc"
    assert read_place(Path("/nowhere/at/all"), "") is None


def test_a_small_or_missing_memory_folder_is_a_fault_where_ray_is_used():
    small = replace(SHM, total_bytes=MEMORY_BYTES_MIN - 1)
    for place in (small, None, replace(SHM, kind="ext4")):
        assert check_memory_folder(place, needed=True)[0].level == "fault"
        assert check_memory_folder(place, needed=False)[0].level == "note"
    enough = replace(SHM, total_bytes=MEMORY_BYTES_MIN)
    assert check_memory_folder(enough, needed=True)[0].level == "ok"
