"""One feed an author, in order, each entry signed; whatever else is refused by name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pmpc.codec import digest, encode
from p2pmpc.errors import LogError, SplitView
from p2pmpc.identity import Signer
from p2pmpc.record import (
    BODY_CONTENT_BYTES_MAX,
    CODE_MAX,
    ENTRY_BYTES_MAX,
    KINDS,
    LAMPORT_MAX,
    SEQ_MAX,
    TEXT_CHARS_MAX,
    UNIX_MS_MAX,
    Body,
    Checked,
    Consent,
    Ended,
    Entry,
    ForkProof,
    Genesis,
    Head,
    SignedEntry,
    Withheld,
    author_entry,
    body_hash,
    check_body,
    check_entry,
    check_fork_proof,
    compare_entries,
    entry_hash,
    read_content,
)

FIELDS = Entry.__struct_fields__


def spoiled(society, signed, signer=None, **changes):
    """The same entry with some fields changed, signed again (by its author unless said)."""
    entry = signed.read()
    fields = {name: changes.get(name, getattr(entry, name)) for name in FIELDS}
    data = encode(Entry(**fields))
    signer = signer or society.signers[entry.author]
    claim = digest("p2pmpc/entry-hash/1", data)
    return SignedEntry(data, signer.sign(society.roster.network, "entry", claim))


def last(society, name):
    """The last entry of a feed and the head that it follows."""
    feed = society.feeds[name]
    before = feed[-2][0]
    entry = before.read()
    return feed[-1][0], Head(entry.seq, entry_hash(before), entry.lamport)


def test_a_feed_checks_from_its_genesis_on(studied):
    for name in studied.names:
        studied.check(name)
    kinds = [signed.read().kind for signed, _ in studied.feeds["north"]]
    assert kinds == [
        "genesis", "dataset", "study", "consent", "ready", "checked", "release", "released",
        "answered",
    ]  # fmt: skip


def test_an_entry_holds_no_text_and_no_count_of_its_body(society):
    signed, body = society.write("north", "withheld", Withheld(bytes(32), "Ms Jones, 3 rows"))
    assert b"Jones" not in signed.entry
    assert "Jones" not in repr(body)
    assert signed.read().body_hash == body_hash(body)


def test_the_same_content_under_another_salt_has_another_hash():
    assert body_hash(Body(b"a" * 16, b"yes")) != body_hash(Body(b"b" * 16, b"yes"))


SPOILED = {
    "network": (b"x" * 32, "another network"),
    "author": ("nobody", "no member"),
    "keyseq": (1, "not in the roster"),
    "seq": (7, "comes where number 1 should"),
    "prev": (b"x" * 32, "does not follow"),
    "lamport": (1, "does not grow"),
    "heads": ((("west", 0, b"x" * 32), ("south", 0, b"x" * 32)), "sorted"),
    "kind": ("gossip", "does not know"),
}


@pytest.mark.parametrize("field", sorted(SPOILED))
def test_a_spoiled_field_is_refused_though_it_is_signed(society, field):
    signed, head = last(society, "north")
    value, words = SPOILED[field]
    signer = society.signers["north"]
    with pytest.raises(LogError, match=words):
        check_entry(spoiled(society, signed, signer, **{field: value}), society.roster, head)


@pytest.mark.parametrize(
    "heads",
    [
        (("north", 0, b"x" * 32),),
        (("south", 0, b"x" * 32), ("south", 1, b"x" * 32)),
        (("stranger", 0, b"x" * 32),),
    ],
)
def test_heads_of_itself_twice_or_of_strangers_are_refused(society, heads):
    signed, head = last(society, "north")
    with pytest.raises(LogError, match="north"):
        check_entry(spoiled(society, signed, heads=heads), society.roster, head)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seq", SEQ_MAX + 1),
        ("lamport", LAMPORT_MAX + 1),
        ("unix_ms", UNIX_MS_MAX + 1),
        ("unix_ms", -1),
        ("kind", "x" * 33),
        ("prev", bytes(31)),
    ],
)
def test_a_field_past_its_bound_is_malformed(society, field, value):
    signed, head = last(society, "north")
    with pytest.raises(LogError, match="cannot be read"):
        check_entry(spoiled(society, signed, **{field: value}), society.roster, head)


def test_an_entry_past_its_length_is_refused(society):
    with pytest.raises(LogError, match="impossible length"):
        check_entry(SignedEntry(bytes(ENTRY_BYTES_MAX + 1), bytes(64)), society.roster, None)


def test_another_members_signature_is_refused(society):
    signed, head = last(society, "north")
    forged = spoiled(society, signed, society.signers["south"])
    with pytest.raises(LogError, match="not signed by its author") as caught:
        check_entry(forged, society.roster, head)
    assert caught.value.where == {"member": "north"}


def test_a_genesis_stands_first_and_nowhere_else(society):
    genesis = society.feeds["north"][0][0]
    first = spoiled(society, genesis, kind="dataset")
    with pytest.raises(LogError, match="out of place"):
        check_entry(first, society.roster, None)
    signed, head = last(society, "north")
    with pytest.raises(LogError, match="out of place"):
        check_entry(spoiled(society, signed, kind="genesis"), society.roster, head)


def test_every_changed_byte_of_an_entry_is_noticed(society):
    signed, head = last(society, "north")
    for position in range(len(signed.entry)):
        changed = bytearray(signed.entry)
        changed[position] ^= 1 << (position % 8)
        with pytest.raises(LogError):
            check_entry(SignedEntry(bytes(changed), signed.signature), society.roster, head)


def test_a_second_spelling_of_an_entry_is_malformed(society):
    signed, head = last(society, "north")
    assert signed.entry[:1] == b"\x9a"
    longer = b"\xdc\x00\x0a" + signed.entry[1:]  # the same array with a longer head
    claim = digest("p2pmpc/entry-hash/1", longer)
    signature = society.signers["north"].sign(society.roster.network, "entry", claim)
    with pytest.raises(LogError, match="one encoding"):
        check_entry(SignedEntry(longer, signature), society.roster, head)


def test_bytes_after_an_entry_are_malformed(society):
    signed, head = last(society, "north")
    with pytest.raises(LogError, match="cannot be read"):
        check_entry(SignedEntry(signed.entry + b"\0", signed.signature), society.roster, head)


def test_an_absurd_clock_of_one_member_stops_nobody(society):
    signed, _ = society.write("west", "withheld", Withheld(bytes(32), ""))
    _, head = last(society, "west")
    late = spoiled(society, signed, lamport=LAMPORT_MAX)
    check_entry(late, society.roster, head)
    society.heads["north"]["west"] = Head(2, entry_hash(late), LAMPORT_MAX)
    for _ in range(2):
        society.write("north", "withheld", Withheld(bytes(32), "life goes on"))
    society.check("north")


# ---- contents ------------------------------------------------------------------------------------


def write(society, kind, content):
    return author_entry(
        signer=society.signers["north"],
        roster=society.roster,
        name="north",
        head=society.heads["north"]["north"],
        kind=kind,
        content=content,
        heads={},
        unix_ms=0,
        salt=bytes(16),
    )


def test_an_author_cannot_write_what_others_would_refuse(society):
    with pytest.raises(LogError, match="does not know the kind"):
        write(society, "gossip", Withheld(bytes(32), ""))
    with pytest.raises(LogError, match="the consent body"):
        write(society, "consent", Withheld(bytes(32), ""))
    with pytest.raises(LogError, match="the checked body"):
        write(society, "checked", Checked(bytes(31), bytes(32)))
    write(society, "withheld", Withheld(bytes(32), "x" * TEXT_CHARS_MAX))
    with pytest.raises(LogError, match="the ended body"):
        write(society, "ended", Ended("s1", 0, CODE_MAX + 1, "", ""))
    with pytest.raises(LogError, match="the withheld body"):
        write(society, "withheld", Withheld(bytes(32), "x" * (TEXT_CHARS_MAX + 1)))


def test_an_author_cannot_sign_with_another_key(society):
    with pytest.raises(LogError, match="not signed by its author"):
        author_entry(
            signer=Signer(b"x" * 32),
            roster=society.roster,
            name="north",
            head=None,
            kind="genesis",
            content=Genesis(bytes(32)),
            heads={},
            unix_ms=0,
            salt=bytes(16),
        )


def test_a_body_belongs_to_its_entry(society):
    signed, body = society.feeds["north"][1]
    check_body(signed.read(), body)
    with pytest.raises(LogError, match="another body"):
        check_body(signed.read(), Body(body.salt, body.content + b"\0"))


def test_a_body_past_its_size_is_refused():
    with pytest.raises(LogError, match="bytes"):
        read_content("withheld", Body(bytes(16), bytes(BODY_CONTENT_BYTES_MAX + 1)))


def test_every_kind_has_a_content_of_its_own():
    assert len(set(KINDS.values())) == len(KINDS)


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), content=st.binary(max_size=200))
def test_any_bytes_as_a_body_are_read_or_refused(kind, content):
    try:
        found = read_content(kind, Body(bytes(16), content))
    except LogError:
        return
    assert encode(found) == content


@settings(max_examples=100, deadline=None)
@given(
    reason=st.text(max_size=50),
    study=st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z"),
    rules=st.binary(min_size=1, max_size=50),
)
def test_a_consent_round_trips(reason, study, rules):
    try:
        content = Consent(study, reason, rules)
        data = encode(content)
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    assert read_content("consent", Body(bytes(16), data)) == content


# ---- forks ---------------------------------------------------------------------------------------


def fork(society):
    """Two entries that north signed with one number."""
    signed, _ = last(society, "north")
    return signed, spoiled(society, signed, body_hash=b"x" * 32)


def test_two_entries_with_one_number_are_proof_to_anyone(society):
    mine, other = fork(society)
    with pytest.raises(SplitView, match="north signed two entries with the number 1") as caught:
        compare_entries(mine, other, society.roster)
    proof = caught.value.proof
    assert check_fork_proof(proof, society.roster) == proof.check(society.roster) == "north"
    assert len(encode(proof)) < 1500


def test_the_same_entry_again_is_no_fork(society):
    mine, _ = fork(society)
    again = SignedEntry(mine.entry, bytes(64))  # whatever the signature: it is known already
    compare_entries(mine, again, society.roster)
    with pytest.raises(LogError, match="two different entries"):
        check_fork_proof(ForkProof(mine, mine), society.roster)


def test_a_forged_second_entry_proves_nothing(society):
    mine, other = fork(society)
    forged = spoiled(society, other, society.signers["south"])
    with pytest.raises(LogError, match="not signed") as caught:
        compare_entries(mine, forged, society.roster)
    assert not isinstance(caught.value, SplitView)


def test_entries_of_two_places_or_two_authors_prove_nothing(society):
    first, second = society.feeds["north"][0][0], society.feeds["north"][1][0]
    with pytest.raises(LogError, match="one author with one number"):
        check_fork_proof(ForkProof(first, second), society.roster)
    other = society.feeds["south"][0][0]
    with pytest.raises(LogError, match="one author with one number"):
        check_fork_proof(ForkProof(first, other), society.roster)


def test_a_proof_from_another_network_proves_nothing(society, make_society):
    mine, other = fork(society)
    elsewhere = make_society(["north", "south"])
    with pytest.raises(LogError, match="another network"):
        check_fork_proof(ForkProof(mine, other), elsewhere.roster)


def test_an_end_names_who_was_waited_for(society):
    filed = society.write("north", "ended", Ended("s1", 1, 402, "south was not heard", "south"))
    assert society.read(filed)[1].waited_for == "south"
