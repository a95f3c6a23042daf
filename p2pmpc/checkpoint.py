"""A feed's state in four lines, signed by its author and cosigned by members who watch it.

    p2pmpc/4f0c...e1/north                    origin: network and author
    42                                        entries
    pLxG...=                                  RFC 6962 root over their hashes (base64)

    — north 2dYx...=                          the author: "my feed begins with exactly these"
    — south a81Q...=                          a cosigner: "and extends every state I cosigned"

The text follows C2SP's signed notes and tlog-checkpoint; the signatures are p2pmpc's own (they
commit to network, purpose and signer), so their key ids use the note's escape type 0xff and no
other verifier takes them for its own. A cosigner must hold the last state that it cosigned on disk
before it answers, and check the consistency proof from there: `cosign` does the check.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from p2pmpc.codec import digest
from p2pmpc.errors import LogError, NotFound
from p2pmpc.identity import Signer, verify_signature
from p2pmpc.record import SEQ_MAX
from p2pmpc.roster import MEMBERS_MAX, Roster
from p2pmpc.tree import Tree, verify_consistency

__all__ = [
    "CHECKPOINT_BYTES_MAX",
    "Checkpoint",
    "add_cosignature",
    "check_checkpoint",
    "cosign",
    "make_checkpoint",
]

CHECKPOINT_BYTES_MAX = 64 * 1024  # 257 signatures of at most 200 bytes
SECONDS_MAX = 2**53 - 1
DASH = "\u2014 "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checked feed state. `cosigners` are the members who vouch for it, sorted, with Unix s."""

    author: str
    size: int
    root: bytes
    cosigners: tuple[tuple[str, int], ...]


def make_checkpoint(signer: Signer, roster: Roster, author: str, tree: Tree) -> str:
    """The author's signed note over all of `tree`. It must be on disk before anyone sees it."""
    body = _body(roster, author, len(tree), tree.root(len(tree)))
    signature = signer.sign(roster.network, "checkpoint", _claim(body))
    return f"{body}\n{_line(author, _key_id(author, 'checkpoint', signer.public) + signature)}"


def cosign(
    *,
    signer: Signer,
    roster: Roster,
    name: str,
    note: str,
    last: Checkpoint | None,
    proof: Sequence[bytes],
    unix_s: int,
) -> str:
    """One cosignature line for `note`, which must extend `last`, the state cosigned before.

    Persist the new state before the line leaves. Raises LogError when it does not extend it.
    """
    found = check_checkpoint(note, roster)
    if last is not None:
        if last.author != found.author or last.size > found.size:
            raise LogError(f"{found.author}'s feed is shorter than it was", member=found.author)
        verify_consistency(last.size, found.size, last.root, found.root, proof)
    body = note.split("\n\n", 1)[0] + "\n"
    stamp = unix_s.to_bytes(8, "big")
    signature = signer.sign(roster.network, "cosignature", _claim(body, stamp))
    return _line(name, _key_id(name, "cosignature", signer.public) + stamp + signature)


def add_cosignature(note: str, line: str, roster: Roster) -> str:
    """The note with one more cosignature. Raises LogError when the line does not verify."""
    longer = note + line
    check_checkpoint(longer, roster)
    return longer


def check_checkpoint(note: str, roster: Roster) -> Checkpoint:
    """What the note says, every signature on it checked. Raises LogError naming who is at fault."""
    if len(note.encode("utf-8", "replace")) > CHECKPOINT_BYTES_MAX:
        raise LogError("a checkpoint is longer than its limit")
    text, _, signatures = note.partition("\n\n")
    body = text + "\n"
    author, size, root = _parse(body, roster)
    lines = signatures.split("\n")
    if lines.pop() != "" or not 1 <= len(lines) <= MEMBERS_MAX:
        raise LogError(f"the checkpoint of {author} has malformed signatures", member=author)
    _check_author(lines[0], body, author, roster)
    cosigners = [_check_cosigner(line, body, author, roster) for line in lines[1:]]
    if sorted({name for name, _ in cosigners}) != [name for name, _ in cosigners]:
        cosigners = _sorted_once(cosigners, author)
    return Checkpoint(author, size, root, tuple(cosigners))


def _sorted_once(cosigners: list[tuple[str, int]], author: str) -> list[tuple[str, int]]:
    if len({name for name, _ in cosigners}) != len(cosigners):
        raise LogError(f"the checkpoint of {author} is cosigned twice by one member", member=author)
    return sorted(cosigners)


def _body(roster: Roster, author: str, size: int, root: bytes) -> str:
    return f"p2pmpc/{roster.network.hex()}/{author}\n{size}\n{_text(root)}\n"


def _parse(body: str, roster: Roster) -> tuple[str, int, bytes]:
    parts = body.split("\n")
    if len(parts) != 4:
        raise LogError("a checkpoint has three lines before its signatures")
    author = parts[0].rpartition("/")[2]
    if author not in roster.names:
        raise LogError("a checkpoint is by someone who is no member")
    digits = parts[1].isascii() and parts[1].isdigit() and len(parts[1]) <= 15
    size = int(parts[1]) if digits else -1
    root = _bytes(parts[2])
    if not 0 <= size <= SEQ_MAX + 1 or len(root) != 32 or _body(roster, author, size, root) != body:
        raise LogError(f"the checkpoint of {author} is malformed", member=author)
    return author, size, root


def _check_author(line: str, body: str, author: str, roster: Roster) -> None:
    name, data = _read_line(line)
    key = roster.member(author).log_key
    if name != author or data[:4] != _key_id(author, "checkpoint", key) or len(data) != 68:
        raise LogError(f"the checkpoint of {author} is not signed by its author", member=author)
    with _named(author):
        verify_signature(key, roster.network, "checkpoint", _claim(body), data[4:])


def _check_cosigner(line: str, body: str, author: str, roster: Roster) -> tuple[str, int]:
    name, data = _read_line(line)
    try:
        key = roster.member(name).log_key
    except NotFound:
        raise LogError(f"the checkpoint of {author} is cosigned by no member") from None
    if name == author or data[:4] != _key_id(name, "cosignature", key) or len(data) != 76:
        raise LogError(f"a cosignature of {author}'s checkpoint is malformed", member=name)
    stamp = int.from_bytes(data[4:12], "big")
    if stamp > SECONDS_MAX:
        raise LogError(f"a cosignature of {author}'s checkpoint is malformed", member=name)
    with _named(name):
        verify_signature(key, roster.network, "cosignature", _claim(body, data[4:12]), data[12:])
    return name, stamp


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Says whose signature on a checkpoint failed."""
    try:
        yield
    except LogError as fault:
        raise LogError(f"a checkpoint by {name}: {fault.message}", member=name) from None


def _claim(body: str, stamp: bytes = b"") -> bytes:
    return digest("p2pmpc/checkpoint/1", body.encode(), stamp)


def _key_id(name: str, purpose: str, key: bytes) -> bytes:
    kind = b"\xff" + f"p2pmpc/{purpose}/1".encode()
    return hashlib.sha256(name.encode() + b"\n" + kind + key).digest()[:4]


def _line(name: str, data: bytes) -> str:
    return f"{DASH}{name} {_text(data)}\n"


def _read_line(line: str) -> tuple[str, bytes]:
    name, _, data = line.removeprefix(DASH).partition(" ")
    if not line.startswith(DASH):
        raise LogError("a checkpoint's signature line is malformed")
    return name, _bytes(data)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    """Strict base64: one spelling for each value. Raises LogError."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise LogError("a checkpoint holds something that is not base64") from None
    if _text(data) != text:
        raise LogError("a checkpoint holds base64 in another spelling")
    return data
