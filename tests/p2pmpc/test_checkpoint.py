"""A feed's state as a note: signed by its author, cosigned by those who watched it grow."""

import pytest

from p2pmpc.checkpoint import (
    CHECKPOINT_BYTES_MAX,
    SECONDS_MAX,
    add_cosignature,
    check_checkpoint,
    cosign,
    make_checkpoint,
)
from p2pmpc.errors import LogError
from p2pmpc.record import Withheld, entry_hash
from p2pmpc.tree import Tree


def tree_of(society, name):
    return Tree(entry_hash(signed) for signed, _ in society.feeds[name])


def note_of(society, name):
    return make_checkpoint(society.signers[name], society.roster, name, tree_of(society, name))


def cosigned(society, name, note, last, proof, unix_s=1_800_000_000):
    return cosign(
        signer=society.signers[name],
        roster=society.roster,
        name=name,
        note=note,
        last=last,
        proof=proof,
        unix_s=unix_s,
    )


def test_a_note_says_who_how_many_and_which_root(society):
    note = note_of(society, "north")
    lines = note.split("\n")
    assert lines[0] == f"p2pmpc/{society.roster.network.hex()}/north"
    assert lines[1] == "2"
    assert lines[3] == ""
    assert lines[4].startswith("\u2014 north ")
    checkpoint = check_checkpoint(note, society.roster)
    assert (checkpoint.author, checkpoint.size, checkpoint.cosigners) == ("north", 2, ())
    assert checkpoint.root == tree_of(society, "north").root(2)


def test_cosigners_vouch_for_what_extends_what_they_had_seen(society):
    before = check_checkpoint(note_of(society, "north"), society.roster)
    society.run()
    note = note_of(society, "north")
    proof = tree_of(society, "north").consistency(before.size, 9)
    for name in ("west", "south"):
        note = add_cosignature(note, cosigned(society, name, note, before, proof), society.roster)
    checkpoint = check_checkpoint(note, society.roster)
    assert checkpoint.cosigners == (("south", 1_800_000_000), ("west", 1_800_000_000))


def test_a_shorter_or_another_history_is_not_cosigned(society, make_society):
    old = note_of(society, "north")
    society.run()
    seen = check_checkpoint(note_of(society, "north"), society.roster)
    with pytest.raises(LogError, match="shorter than it was"):
        cosigned(society, "south", old, seen, [])
    other = make_society(society.names)
    other.begin()
    for _ in range(8):
        other.write("north", "withheld", Withheld(bytes(32), "another history"))
    note, tree = note_of(other, "north"), tree_of(other, "north")
    with pytest.raises(LogError, match="not consistent"):
        cosigned(society, "south", note, seen, tree.consistency(9, 10))


def test_every_changed_byte_of_a_note_is_noticed(society):
    note = note_of(society, "north")
    note = add_cosignature(note, cosigned(society, "south", note, None, []), society.roster)
    data = note.encode()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        try:
            text = changed.decode()
        except UnicodeDecodeError:
            continue
        with pytest.raises(LogError):
            check_checkpoint(text, society.roster)


def test_who_cannot_cosign_is_refused(society):
    note = note_of(society, "north")
    line = cosigned(society, "south", note, None, [])
    twice = add_cosignature(note, line, society.roster)
    with pytest.raises(LogError, match="twice"):
        add_cosignature(twice, line, society.roster)
    own = cosigned(society, "north", note, None, [])
    with pytest.raises(LogError, match="malformed"):
        add_cosignature(note, own, society.roster)
    with pytest.raises(LogError, match="no member"):
        add_cosignature(note, line.replace("south", "ghost"), society.roster)
    with pytest.raises(LogError, match="not signed by its author"):
        check_checkpoint(note[: note.index("\u2014")] + line, society.roster)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "a\nb\nc\n\n\u2014 north AAAA\n",
        "x" * (CHECKPOINT_BYTES_MAX + 1),
        "p2pmpc/a/north\n2",
    ],
)
def test_what_is_no_note_is_refused(society, text):
    with pytest.raises(LogError):
        check_checkpoint(text, society.roster)


def test_a_cosignature_from_beyond_all_time_is_refused(society):
    note = note_of(society, "north")
    line = cosigned(society, "south", note, None, [], unix_s=SECONDS_MAX + 1)
    with pytest.raises(LogError, match="malformed"):
        add_cosignature(note, line, society.roster)


@pytest.mark.parametrize("size", ["-1", "02", "2 ", "\u0662", "9" * 16])
def test_a_size_in_another_spelling_is_refused(society, size):
    note = note_of(society, "north").split("\n")
    note[1] = size
    with pytest.raises(LogError, match="malformed"):
        check_checkpoint("\n".join(note), society.roster)
