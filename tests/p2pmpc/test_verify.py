"""An exported record holds as a whole, or says what does not; two libraries are all it needs."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from p2pmpc import bundle as bundle_module
from p2pmpc import verify as module
from p2pmpc.bundle import FORM, Bundle, SignedBundle, open_bundle
from p2pmpc.certificate import (
    Opening,
    certificate_hash,
    read_receipt,
    sign_certificate,
    study_hash,
)
from p2pmpc.checkpoint import make_checkpoint
from p2pmpc.codec import digest, encode
from p2pmpc.errors import LogError, SplitView
from p2pmpc.record import (
    LIFETIME_MS_MAX,
    Answered,
    Body,
    Checked,
    Ended,
    ForkNote,
    ForkProof,
    Genesis,
    Head,
    Refusal,
    Release,
    Released,
    Revocation,
    StudyNote,
    Withdrawal,
    Withheld,
    author_entry,
    entry_hash,
)
from p2pmpc.roster import found_roster
from p2pmpc.tree import Tree
from p2pmpc.verify import UNCHECKED_SHOWN_MAX, UNIX_MS_SHOWN_MAX, main, verify_bundle

UNIX_MS = 1_800_000_000_000  # when the society began
ROOT = Path(module.__file__).resolve().parent.parent


def replaced(thing, **changes):
    return msgspec.structs.replace(thing, **changes)


def signed_again(society, content, exporter="north"):
    signature = society.signers[exporter].sign(
        society.roster.network, "bundle", digest(FORM, content)
    )
    return encode(SignedBundle(FORM, content, signature))


def respun(society, **changes):
    """What a lying exporter hands out: the bundle with other parts, signed by it."""
    bundle = open_bundle(society.bundle())
    return signed_again(society, encode(replaced(bundle, **changes)))


def without(society, author, count):
    """Feeds where an author's last entries are left out."""
    return {**society.feeds, author: society.feeds[author][:-count]}


# ---- what holds ----------------------------------------------------------------------------------


def test_a_whole_record_holds_and_is_told_in_plain_words(studied):
    report = verify_bundle(studied.bundle())
    assert report.ok
    assert report.entries == {"north": 9, "south": 7, "west": 7}
    (study,) = report.studies
    assert (study.state, study.proposed_by, study.answered) == ("answered", "north", ("north",))
    assert study.consented == study.signers == ("north", "south", "west")
    assert study.units_opened == 2
    text = "\n".join(report.lines())
    assert "certificate signed by north, south, west" in text
    assert "does not show that the members' rows" in text


def test_any_member_may_export_and_two_studies_may_stand_side_by_side(studied):
    certificate, _ = studied.agree(b"another study")
    studied.certify(certificate)
    report = verify_bundle(studied.bundle("west"))
    assert sorted(study.state for study in report.studies) == ["answered", "released"]


def test_a_member_that_has_not_signed_the_genesis_is_named(make_society):
    society = make_society(["north", "south"])
    society.write("north", "genesis", Genesis(society.roster.hash))
    report = verify_bundle(society.bundle())
    assert "waiting   south has not signed the genesis" in report.lines()


def test_a_refused_study_tells_by_whom_and_cannot_steer_a_terminal(society):
    society.agree(b"a study")
    study = study_hash(b"a study").hex()
    society.write("west", "refusal", Refusal(study, 301, "no\x1b[2J\nway", "ask again"))
    society.write("west", "ended", Ended(study, 0, 301, "refused", ""))
    lines = verify_bundle(society.bundle()).lines()
    assert "          refused by west: no?[2J?way" in lines
    assert all(line.isprintable() for line in lines)


def proposed(society):
    """A study that all are ready for; its id."""
    society.agree(b"a study")
    return study_hash(b"a study").hex()


def test_a_study_that_was_taken_back_tells_by_whom_and_why(society):
    study = proposed(society)
    society.write("north", "withdrawal", Withdrawal(study, "asked\nbetter"))
    society.gossip()
    society.everyone("ended", lambda _: Ended(study, 0, 306, "north took the study back", "north"))
    report = verify_bundle(society.bundle())
    assert report.ok
    (found,) = report.studies
    assert (found.state, found.withdrawn) == ("withdrawn", (("north", "asked\nbetter"),))
    assert "          withdrawn by north: asked?better" in report.lines()
    assert report.to_json()["studies"][0]["withdrawn"] == [
        {"member": "north", "reason": "asked\nbetter"}
    ]


def test_a_consent_that_was_taken_back_tells_by_whom_and_why(society):
    study = proposed(society)
    society.write("south", "revocation", Revocation(study, "a patient objected"))
    report = verify_bundle(society.bundle())
    assert report.ok
    assert (report.studies[0].state, report.studies[0].revoked[0][0]) == ("revoked", "south")
    assert "          consent revoked by south: a patient objected" in report.lines()


def test_an_expired_study_and_its_attempts_are_told_apart(society):
    study = proposed(society)
    society.write("west", "ended", Ended(study, 1, 402, "south was not heard", "south"))
    assert verify_bundle(society.bundle()).studies[0].state == "ready"
    society.write("west", "ended", Ended(study, 0, 406, "south did not decide", "south"))
    report = verify_bundle(society.bundle())
    assert report.studies[0].state == "expired"
    lines = report.lines()
    assert "          attempt 1 ended at west: south was not heard" in lines
    assert "          ended at west: south did not decide" in lines


@pytest.mark.parametrize(
    ("author", "kind", "content", "said"),
    [
        ("west", "withdrawal", lambda s: Withdrawal(s, "no"), "no such study before it"),
        ("west", "ended", lambda s: Ended(s, 2, 402, "no", ""), "for which it had not been ready"),
        ("west", "ended", lambda _: Ended("ab", 1, 402, "no", ""), "no such ready before it"),
        ("west", "revocation", lambda _: Revocation("ab", "no"), "no such consent before it"),
    ],
)
def test_who_takes_back_or_ends_what_it_had_no_part_in_is_at_fault(
    society, author, kind, content, said
):
    study = proposed(society)
    society.write(author, kind, content(study))
    assert_fault(society.bundle(), said)


def test_a_consent_that_is_taken_back_after_the_share_may_have_left_is_a_fault(studied):
    study = verify_bundle(studied.bundle()).studies[0].study
    studied.write("west", "revocation", Revocation(study, "too late"))
    assert_fault(studied.bundle(), "its share of the answer left")


@pytest.mark.parametrize("expires_ms", [0, UNIX_MS, UNIX_MS + LIFETIME_MS_MAX + 60_000])
def test_a_proposal_with_an_absurd_life_is_its_authors_fault(society, expires_ms):
    signer = society.signers["north"]
    signature = signer.sign(society.roster.network, "study", study_hash(b"a study"))
    society.write("north", "study", StudyNote(b"a study", signer.public, signature, expires_ms))
    assert_fault(society.bundle(), "expires before it begins or in over a year")


def test_an_erased_body_is_listed_and_breaks_nothing(studied):
    signed, _ = studied.feeds["south"][2]
    studied.feeds["south"][2] = (signed, None)
    report = verify_bundle(studied.bundle())
    assert report.unchecked == ("the consent entry 2 of south: erased",)


def test_a_person_is_shown_some_of_what_is_erased_and_told_how_many_more(society):
    for _ in range(UNCHECKED_SHOWN_MAX + 1):
        signed, _ = society.write("south", "withheld", Withheld(bytes(32), ""))
        society.feeds["south"][-1] = (signed, None)
    report = verify_bundle(society.bundle())
    assert len(report.unchecked) == UNCHECKED_SHOWN_MAX + 1
    assert "unchecked 1 more" in report.lines()


def test_a_clock_of_another_age_is_shown_as_the_last_day(studied):
    data = respun(studied, unix_ms=UNIX_MS_SHOWN_MAX + 1)
    assert verify_bundle(data).exported == "9999-12-31 23:59:59 UTC"


def test_a_bundle_past_its_length_is_refused(studied, monkeypatch):
    data = studied.bundle()
    monkeypatch.setattr(bundle_module, "BUNDLE_BYTES_MAX", len(data))
    verify_bundle(data)
    monkeypatch.setattr(bundle_module, "BUNDLE_BYTES_MAX", len(data) - 1)
    with pytest.raises(LogError, match="at most"):
        verify_bundle(data)


def test_checkpoints_are_counted(studied):
    tree = Tree(entry_hash(signed) for signed, _ in studied.feeds["south"])
    note = make_checkpoint(studied.signers["south"], studied.roster, "south", tree)
    studied.checkpoints.append(note)
    assert verify_bundle(studied.bundle()).checkpoints == 1
    studied.checkpoints = []
    cut = without(studied, "south", 1)
    cut["north"] = cut["north"][:-2]  # nobody has read what was cut
    cut["west"] = cut["west"][:-1]
    studied.receipts = []
    verify_bundle(studied.bundle(feeds=cut))
    studied.checkpoints.append(note)
    with pytest.raises(LogError, match="entry 6 of south is missing: a checkpoint counts 7"):
        verify_bundle(studied.bundle(feeds=cut))


# ---- what does not -------------------------------------------------------------------------------


def test_every_changed_byte_of_a_bundle_is_noticed(make_society):
    society = make_society(["a", "b"])
    society.begin()
    society.run()
    data = society.bundle()
    assert verify_bundle(data).ok
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        with pytest.raises(LogError):
            verify_bundle(bytes(changed))


def test_a_changed_byte_is_noticed_though_the_exporter_signs_again(make_society):
    """All that an exporter can change alone is its own statement: its clock."""
    society = make_society(["a", "b"])
    society.begin()
    society.run()
    bundle = open_bundle(society.bundle())
    content = encode(bundle)
    for position in range(0, len(content), 3):
        changed = bytearray(content)
        changed[position] ^= 1 << (position % 7)
        data = signed_again(society, bytes(changed), "a")
        try:
            verify_bundle(data)
        except LogError:
            continue
        assert replaced(open_bundle(data), unix_ms=bundle.unix_ms) == bundle


def test_bytes_left_out_or_added_are_noticed(studied):
    data = studied.bundle()
    for wrong in (
        b"",
        data[:-1],
        data[1:],
        data + b"\0",
        data[: len(data) // 2],
        b"\xc1",
        data * 2,
    ):
        with pytest.raises(LogError):
            verify_bundle(wrong)


def test_a_feed_that_was_cut_short_is_noticed_by_what_others_had_read(studied):
    for author in ("south", "west"):
        with pytest.raises(LogError, match=f"of {author} is missing") as caught:
            verify_bundle(studied.bundle(feeds=without(studied, author, 1)))
        assert caught.value.where == {"member": author}


def test_a_feed_that_was_left_out_is_noticed(studied):
    feeds = {name: feed for name, feed in studied.feeds.items() if name != "west"}
    with pytest.raises(LogError, match="entry 0 of west is missing"):
        verify_bundle(studied.bundle(feeds=feeds))


def test_an_entry_left_out_of_the_middle_is_noticed(studied):
    feeds = {**studied.feeds, "south": studied.feeds["south"][:2] + studied.feeds["south"][3:]}
    with pytest.raises(LogError, match="entry 3 of south comes where number 2 should"):
        verify_bundle(studied.bundle(feeds=feeds))


def test_another_body_is_noticed(studied):
    signed, body = studied.feeds["south"][2]
    studied.feeds["south"][2] = (signed, Body(body.salt, body.content[:-1] + b"X"))
    with pytest.raises(LogError, match="entry 2 of south came with another body"):
        verify_bundle(studied.bundle())


def second_history(society, name):
    """Another last entry of `name`, with the same number."""
    seq = len(society.feeds[name]) - 1
    heads = dict(society.heads[name])
    before = society.feeds[name][-2][0]
    return author_entry(
        signer=society.signers[name],
        roster=society.roster,
        name=name,
        head=Head(seq - 1, entry_hash(before), before.read().lamport),
        kind="withheld",
        content=Withheld(bytes(32), "something else"),
        heads={a: h for a, h in heads.items() if a != name},
        unix_ms=0,
        salt=bytes(16),
    )


def test_a_proven_fork_is_reported_and_the_rest_still_holds(studied):
    other = second_history(studied, "west")
    studied.forks.append(ForkProof(studied.feeds["west"][-1][0], other[0]))
    report = verify_bundle(studied.bundle())
    assert report.forks == ("west",)
    assert not report.ok
    assert any(line.startswith("FORK      west") for line in report.lines())


def test_a_fork_noted_in_a_feed_counts_as_well(studied):
    proof = ForkProof(studied.feeds["west"][-1][0], second_history(studied, "west")[0])
    studied.write("south", "fork", ForkNote(proof))
    assert verify_bundle(studied.bundle()).forks == ("west",)


def test_a_history_that_others_did_not_read_is_a_split_view(studied):
    other = second_history(studied, "west")
    feeds = {**studied.feeds, "west": [*studied.feeds["west"][:-1], other]}
    with pytest.raises(SplitView, match="has read another entry 6 of west"):
        verify_bundle(studied.bundle(feeds=feeds))


def test_a_forged_fork_proof_is_refused(studied):
    signed, other = studied.feeds["west"][-1][0], second_history(studied, "west")[0]
    studied.forks.append(ForkProof(signed, replaced(other, signature=bytes(64))))
    with pytest.raises(LogError, match="not signed by its author"):
        verify_bundle(studied.bundle())


def assert_fault(data, what):
    """One member is at fault, by name; the bundle holds, and so does what others signed."""
    report = verify_bundle(data)
    assert not report.ok
    assert any(what in f"{member}: {said}" for member, said in report.faults), report.faults
    assert all(member in report.entries for member, _ in report.faults)
    assert any(line.startswith("FAULT") for line in report.lines())
    assert report.to_json()["faults"]


def test_a_certificate_without_all_signatures_is_refused(society):
    certificate, _ = society.agree(b"a study")
    session, claim = certificate.session, certificate_hash(certificate)
    sign = lambda n: Release(session, claim, sign_certificate(society.signers[n], certificate))
    society.everyone("release", sign)
    signatures = society.signatures(certificate)
    society.write("north", "released", Released(session, encode(certificate), signatures[:2]))
    assert_fault(society.bundle(), "2 signatures; its 3 parties")


def test_a_signature_of_nobody_in_the_certificate_is_refused(society):
    certificate, _ = society.agree(b"a study")
    session, claim = certificate.session, certificate_hash(certificate)
    sign = lambda n: Release(session, claim, sign_certificate(society.signers[n], certificate))
    society.everyone("release", sign)
    signatures = (*society.signatures(certificate)[:2], bytes(64))
    society.write("north", "released", Released(session, encode(certificate), signatures))
    assert_fault(society.bundle(), "west did not sign the certificate")


def test_released_without_everyones_release_entry_is_refused(society):
    certificate, _ = society.agree(b"a study")
    session, claim = certificate.session, certificate_hash(certificate)
    for name in ("north", "south"):
        signature = sign_certificate(society.signers[name], certificate)
        society.write(name, "release", Release(session, claim, signature))
    society.gossip()
    held = Released(session, encode(certificate), society.signatures(certificate))
    society.write("north", "released", held)
    assert_fault(society.bundle(), "lacks the release entry of west")


def test_released_before_the_others_release_was_read_is_refused(society):
    certificate, _ = society.agree(b"a study")
    session, claim = certificate.session, certificate_hash(certificate)
    for name in society.names:
        signature = sign_certificate(society.signers[name], certificate)
        society.write(name, "release", Release(session, claim, signature))
    held = Released(session, encode(certificate), society.signatures(certificate))
    society.write("north", "released", held)
    assert_fault(society.bundle(), "comes before it had read the release of south")


def test_an_answer_without_a_complete_certificate_is_refused(society):
    society.write("north", "answered", Answered(bytes(32), bytes(32)))
    assert_fault(society.bundle(), "entry 2 of north answers a session")


def test_two_certificates_for_one_session_are_refused(society):
    certificate, _ = society.agree(b"a study")
    society.certify(certificate)
    other = replaced(certificate, verdicts=(True, True, True))
    signature = sign_certificate(society.signers["west"], other)
    society.write("west", "release", Release(other.session, certificate_hash(other), signature))
    assert_fault(society.bundle(), "of west is one of several")


def test_another_transcript_than_was_certified_is_refused(society):
    certificate, _ = society.agree(b"a study")
    society.certify(replaced(certificate, transcript=b"x" * 32))
    assert_fault(society.bundle(), "north had checked another transcript")


def test_another_program_than_all_were_ready_for_is_refused(society):
    certificate, _ = society.agree(b"a study")
    society.certify(replaced(certificate, program=b"x" * 32))
    assert_fault(society.bundle(), "north was ready for another study")


def test_a_ready_entry_on_other_consents_is_refused(society):
    certificate, _ = society.agree(b"a study", consented=b"x" * 32)
    society.certify(certificate)
    assert_fault(society.bundle(), "north was ready on other consents")


def test_a_study_that_its_researcher_did_not_sign_is_refused(society):
    note = StudyNote(b"a study", society.signers["north"].public, bytes(64), 1_900_000_000_000)
    society.write("north", "study", note)
    assert_fault(society.bundle(), "researcher did not sign")


def test_a_genesis_of_another_roster_is_refused(make_society):
    society = make_society(["north", "south"])
    society.write("north", "genesis", Genesis(b"another roster".ljust(32)))
    assert_fault(society.bundle(), "another roster")


def test_what_one_member_signed_and_should_not_have_spoils_nobody_elses_record(studied, tmp_path):
    key = studied.signers["west"].public
    studied.write("west", "study", StudyNote(b"junk", key, bytes(64), 1_900_000_000_000))
    studied.write("west", "released", Released(bytes(32), b"junk", (bytes(64), bytes(64))))
    studied.write("west", "answered", Answered(b"\x07" * 32, bytes(32)))
    signed, _ = studied.feeds["south"][0]
    studied.write("west", "fork", ForkNote(ForkProof(signed, signed)))
    report = verify_bundle(studied.bundle())
    assert {member for member, _ in report.faults} == {"west"}
    assert len(report.faults) == 4
    assert any(study.state == "answered" for study in report.studies)
    path = tmp_path / "record.bundle"
    path.write_bytes(studied.bundle())
    assert main([str(path)]) == 7


def test_openings_that_do_not_match_are_refused_and_named(studied):
    receipt = read_receipt(studied.receipts[0])
    wrong = Opening("west", receipt.openings[2].salt, bytes(64))
    studied.receipts = [encode(replaced(receipt, openings=(*receipt.openings[:2], wrong)))]
    with pytest.raises(LogError, match="share of west") as caught:
        verify_bundle(studied.bundle())
    assert caught.value.where == {"member": "west"}


def test_another_answer_than_was_recorded_is_refused(studied):
    receipt = read_receipt(studied.receipts[0])
    studied.receipts = [encode(replaced(receipt, answer=b'{"released":false}'))]
    with pytest.raises(LogError, match="north recorded another answer"):
        verify_bundle(studied.bundle())


def test_a_receipt_whose_certificate_is_not_in_the_record_is_refused(studied):
    cut = {
        name: feed[:-2] if name == "north" else feed[:-1] for name, feed in studied.feeds.items()
    }
    with pytest.raises(LogError, match="not in the record"):
        verify_bundle(studied.bundle(feeds=cut))


def test_an_author_who_forgets_what_it_had_read_is_named(society):
    society.heads["north"] = {"north": society.heads["north"]["north"]}
    society.write("north", "checked", Checked(bytes(32), bytes(32)))
    with pytest.raises(LogError, match="entry 2 of north forgets what it had read of south"):
        verify_bundle(society.bundle())


def test_feeds_in_another_order_or_twice_are_refused(studied):
    feeds = open_bundle(studied.bundle()).feeds
    for wrong in (feeds[::-1], (*feeds, feeds[-1])):
        with pytest.raises(LogError, match="not sorted and distinct"):
            verify_bundle(respun(studied, feeds=wrong))
    renamed = (replaced(feeds[0], author="a"), *feeds[1:])
    with pytest.raises(LogError, match="holds an entry of north"):
        verify_bundle(respun(studied, feeds=renamed))


def test_an_exporter_who_is_no_member_is_refused(studied):
    with pytest.raises(LogError, match="no member"):
        verify_bundle(respun(studied, exporter="nobody"))
    with pytest.raises(LogError, match="not as west exported it"):
        verify_bundle(respun(studied, exporter="west"))


def test_another_form_of_file_is_refused(studied):
    with pytest.raises(LogError, match="no file of the form"):
        verify_bundle(encode(SignedBundle("p2pmpc/bundle/2", b"", bytes(64))))


# ---- the command ---------------------------------------------------------------------------------


@pytest.fixture
def file(studied, tmp_path):
    path = tmp_path / "north.bundle"
    path.write_bytes(studied.bundle())
    return path


def test_the_command_prints_lines_for_people(file, capsys):
    assert main([str(file)]) == 0
    out, err = capsys.readouterr()
    assert "answer read by north" in out
    assert err == ""


def test_the_command_prints_one_json_object(file, capsys):
    assert main(["--json", str(file)]) == 0
    reply = json.loads(capsys.readouterr().out)
    assert (reply["schema"], reply["command"], reply["status"]) == ("p2pmpc/1", "log verify", "ok")
    assert reply["data"]["studies"][0]["signers"] == ["north", "south", "west"]
    assert reply["error"] is None


def test_exit_codes_tell_what_happened(file, tmp_path, capsys):
    spoiled = tmp_path / "spoiled"
    spoiled.write_bytes(file.read_bytes()[:-1] + b"x")
    expected = [
        ([str(spoiled)], 7),
        ([str(tmp_path / "nothing")], 6),
        (["\0"], 6),
        ([str(tmp_path)], 2),
        ([], 2),
        ([str(file), str(file)], 2),
        (["--no-such-option"], 2),
    ]
    for arguments, code in expected:
        assert main(arguments) == code
        assert main([*arguments, "--json"]) == code
        out, err = capsys.readouterr()
        reply = json.loads(out.splitlines()[-1])
        assert (reply["status"], reply["error"]["message"] != "") == ("error", True)
        assert "Traceback" not in err


def test_a_proven_fork_makes_exit_seven_with_a_report(studied, tmp_path, capsys):
    studied.forks.append(
        ForkProof(studied.feeds["west"][-1][0], second_history(studied, "west")[0])
    )
    file = tmp_path / "forked"
    file.write_bytes(studied.bundle())
    assert main([str(file), "--json"]) == 7
    reply = json.loads(capsys.readouterr().out)
    assert reply["error"]["code"] == 702
    assert reply["data"]["forks"] == ["west"]


BLOCKED = """
import sys
allowed = {"msgspec", "nacl", "_cffi_backend", "cffi", "p2pmpc", *sys.stdlib_module_names}
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ImportError(f"{name} is not on an auditor's machine")
sys.meta_path.insert(0, Block())
sys.path.insert(0, sys.argv.pop(1))
for gone in ("numpy", "click", "rich", "cryptography", "protocols", "nodes"):
    try:
        __import__(gone)
    except ImportError:
        continue
    raise SystemExit(f"{gone} can be imported")
from p2pmpc.verify import main
raise SystemExit(main(sys.argv[1:]))
"""


def test_an_auditor_needs_msgspec_and_pynacl_and_nothing_else(file, tmp_path):
    command = [sys.executable, "-I", "-c", BLOCKED, str(ROOT), str(file)]
    done = subprocess.run(
        command, capture_output=True, check=False, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "The record holds" in done.stdout


def test_the_module_runs_by_its_name(file):
    command = [sys.executable, "-m", "p2pmpc.verify", str(file), "--json"]
    done = subprocess.run(
        command, capture_output=True, check=False, text=True, timeout=60, cwd=ROOT
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "ok"


def test_a_terminal_that_knows_ascii_alone_is_no_obstacle(make_society, tmp_path):
    society = make_society(["north", "south"])
    society.roster = found_roster("Überregional", society.cards.values())
    society.begin()
    file = tmp_path / "bundle"
    file.write_bytes(society.bundle())
    command = [sys.executable, "-m", "p2pmpc.verify", str(file)]
    environment = {"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin"}
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=60, cwd=ROOT, env=environment
    )
    assert done.returncode == 0
    assert b"network   ?berregional" in done.stdout


def test_bundle_is_the_name_by_which_others_know_it():
    assert module.Bundle is Bundle
