"""Where the record lies, and the folder in memory: room, kind of file system."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nodes.doctor.finding import Finding, fault, note, ok
from nodes.engine.cluster.runtime import MEMORY_BYTES_MIN

__all__ = [
    "FREE_BYTES_FAULT",
    "FREE_BYTES_NOTE",
    "Place",
    "check_memory_folder",
    "check_place",
    "read_place",
]

FREE_BYTES_FAULT = 64 * 2**20  # a few studies' entries; then the node ends itself
FREE_BYTES_NOTE = 2**30
SHARED = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre")
PASSING = {"tmpfs": "in memory", "ramfs": "in memory", "overlay": "in a container's own layer"}


@dataclass(frozen=True, slots=True)
class Place:
    """A folder's file system; `kind` is empty where the kernel does not say."""

    folder: Path
    kind: str
    total_bytes: int
    free_bytes: int
    read_only: bool


def read_place(folder: Path, mounts: str) -> Place | None:
    """The file system of a folder; `mounts` is the text of /proc/mounts. None: no such folder."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return Place(
        folder,
        _kind(folder.resolve(), mounts),
        found.f_frsize * found.f_blocks,
        found.f_frsize * found.f_bavail,
        bool(found.f_flag & os.ST_RDONLY),
    )


def _kind(folder: Path, mounts: str) -> str:
    """Of the deepest mount above the folder; of two on one place the later covers the earlier."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        words = line.split()
        if len(words) < 3:
            continue
        place = Path(words[1].replace("\\040", " "))
        if folder.is_relative_to(place) and len(place.parts) >= best:
            best, kind = len(place.parts), words[2]
    return kind


def check_place(place: Place) -> list[Finding]:
    """On the folder with the record: room, and whether its locks and its files last."""
    return [_room(place), _file_system(place)]


def _room(place: Place) -> Finding:
    free = _size(place.free_bytes)
    fix = f"Free some space on the file system of {place.folder}."
    if place.read_only:
        text = f"{place.folder} is on a file system that is mounted read-only"
        return fault("disk", text, "Mount it for writing, or move the node's folder.")
    if place.free_bytes < FREE_BYTES_FAULT:
        text = f"only {free} are free for the record: a node that cannot write it ends itself"
        return fault("disk", text, fix)
    if place.free_bytes < FREE_BYTES_NOTE:
        return note("disk", f"{free} are free for the record", fix)
    return ok("disk", f"{free} are free for the record")


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count // 2**20} MB"


def _file_system(place: Place) -> Finding:
    kind = place.kind
    if kind in SHARED or kind.startswith("fuse"):
        text = f"{place.folder} is on a {kind} file system, where locks and syncs may not hold: "
        text += "two nodes could write one record"
        return fault("file system", text, "Move the node's folder to a local disk (ext4, xfs).")
    if kind in PASSING:
        text = f"{place.folder} is {PASSING[kind]} ({kind}): the record does not outlive it"
        return note("file system", text, "Move the node's folder to a disk or a volume that stays.")
    return ok("file system", f"{place.folder} is on a {kind or 'local'} file system")


def check_memory_folder(place: Place | None, needed: bool) -> list[Finding]:
    """On /dev/shm, which the Ray engine needs: objects lie there, and spill to there alone."""
    fix = "Give it room: `mount -o remount,size=2G /dev/shm`, `--shm-size 2g` for a container, or "
    fix += "an emptyDir with medium Memory for a pod."
    bad = fault if needed else note
    if place is None:
        text = "there is no folder /dev/shm in memory: the Ray engine cannot run"
        return [bad("memory folder", text, fix)]
    size = place.total_bytes // 2**20
    if place.total_bytes < MEMORY_BYTES_MIN:
        wanted = MEMORY_BYTES_MIN // 2**20
        text = f"{place.folder} holds {size} MB; the Ray engine needs {wanted} MB at least"
        return [bad("memory folder", text, fix)]
    if place.kind not in {"tmpfs", "ramfs", ""}:
        text = f"{place.folder} is a {place.kind} file system: shares that spill would reach a disk"
        return [bad("memory folder", text, "Mount a tmpfs on /dev/shm.")]
    return [ok("memory folder", f"{place.folder} is in memory and holds {size} MB")]
