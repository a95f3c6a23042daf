"""What a member signed in the life of a study and should not have is its fault, by name."""

import pytest
from msgspec.structs import replace

from p2pmpc.certificate import session_hash, study_hash
from p2pmpc.record import (
    Answered,
    Checked,
    Ended,
    Ready,
    Recovered,
    Refusal,
    Revocation,
    Withheld,
    entry_hash,
)
from p2pmpc.verify import verify_bundle

STUDY = b"a study"
ID = study_hash(STUDY).hex()


def faults(society):
    return [f"{member}: {what}" for member, what in verify_bundle(society.bundle()).faults]


def ready_of(society, name, **changes):
    """The member's first `ready`, with other values in some of its fields."""
    for filed in society.feeds[name]:
        entry, content = society.read(filed)
        if entry.kind == "ready":
            return Ready(**{**{k: getattr(content, k) for k in Ready.__struct_fields__}, **changes})
    raise AssertionError(name)


def once(society, said):
    """One fault of all, and this one."""
    found = faults(society)
    assert len(found) == 1, found
    assert said in found[0]


def test_a_second_attempt_after_an_end_that_was_read_is_no_fault(society):
    society.agree(STUDY)
    society.write("west", "ended", Ended(ID, 1, 402, "not heard", "south"))
    society.gossip()
    for name in society.names:
        society.write(name, "ready", ready_of(society, name, attempt=2, key=b"k" * 32))
    assert faults(society) == []


def test_a_ready_for_an_attempt_before_which_nothing_ended_is_a_fault(society):
    society.agree(STUDY)
    society.write("west", "ready", ready_of(society, "west", attempt=2))
    once(society, "west: entry 5 of west is ready for attempt 2, and had read of no end")


def test_a_ready_that_hides_how_the_attempt_before_ended_is_a_fault(society):
    society.agree(STUDY)
    society.write("south", "ended", Ended(ID, 1, 402, "not heard", "south"))
    society.write("west", "ready", ready_of(society, "west", attempt=2))
    once(society, "had read of no end of the one before")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "after it was ready for attempt 1"),
        ({"attempt": 2, "snapshot": b"s" * 32}, "with other rows than for its first"),
    ],
)
def test_a_ready_twice_or_with_other_rows_is_a_fault(society, changes, said):
    society.agree(STUDY)
    society.write("north", "ended", Ended(ID, 1, 402, "not heard", "south"))
    society.gossip()
    society.write("west", "ready", ready_of(society, "west", **changes))
    once(society, said)


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("ended", Ended(ID, 0, 401, "enough", ""), "had ended it"),
        ("revocation", Revocation(ID, "enough"), "had taken its consent back"),
    ],
)
def test_going_on_after_the_end_is_a_fault(society, kind, content, said):
    society.agree(STUDY)
    society.write("north", "ended", Ended(ID, 1, 402, "not heard", "south"))
    society.gossip()
    society.write("west", kind, content)
    society.write("west", "ready", ready_of(society, "west", attempt=2))
    once(society, said)


def test_a_refusal_after_the_consent_is_a_fault(society):
    society.agree(STUDY)
    society.write("west", "refusal", Refusal(ID, 301, "no", ""))
    once(society, "refuses a study that it had consented to")


def test_a_ready_without_a_consent_is_a_fault(society):
    society.agree(STUDY)
    society.write("west", "ready", ready_of(society, "west", study="ab"))
    once(society, "without having consented")


def test_a_ready_before_the_others_consents_were_read_is_a_fault(society):
    """West says that it agrees with what it says that it has not seen."""
    whole, calls = society.gossip, []

    def gossip():
        calls.append(dict(society.heads["west"]))
        whole()
        if len(calls) == 2:  # the consents
            society.heads["west"] = {**calls[-1], "west": society.heads["west"]["west"]}

    society.gossip = gossip
    certificate, _ = society.agree(STUDY)
    society.certify(certificate)
    found = faults(society)
    assert found
    assert all(one == "west: west was ready before it had read north's consent" for one in found)


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("ended", Ended(ID, 0, 401, "enough", ""), "releases a study, and had ended it"),
        ("ended", Ended(ID, 1, 401, "enough", ""), "releases attempt 1, which it had ended"),
    ],
)
def test_a_release_after_the_end_is_a_fault(society, kind, content, said):
    certificate, _ = society.agree(STUDY)
    society.write("west", kind, content)
    society.certify(certificate)
    found = faults(society)
    assert {one.split(":")[0] for one in found} == {"west"}
    assert all(said in one for one in found)


def test_a_release_after_it_was_read_that_a_party_revoked_is_a_fault(society):
    certificate, _ = society.agree(STUDY)
    society.write("south", "revocation", Revocation(ID, "a patient objected"))
    society.gossip()
    society.certify(certificate)
    found = faults(society)
    assert any("north: " in one and "had read that south revoked" in one for one in found)
    assert any("south: " in one and "had taken its consent back" in one for one in found)


def test_a_second_attempt_that_is_released_after_the_first_is_a_fault(society):
    society.certify(society.agree(STUDY)[0])
    society.write("west", "ended", Ended(ID, 1, 402, "not heard", "south"))
    society.gossip()
    society.write("north", "ready", ready_of(society, "north", attempt=2))
    found = faults(society)
    assert any("ends attempt 1, and its share of it may have left" in one for one in found)
    assert any("its share of an earlier one may have left" in one for one in found)


def test_two_opened_sessions_of_one_study_are_a_fault_of_all_who_signed_both(society):
    society.certify(society.agree(STUDY)[0])
    second, _ = society.agree(STUDY)
    society.certify(second)
    found = faults(society)
    for name in society.names:
        assert any(f"{name}: " in one and "releases a second attempt" in one for one in found)


def test_an_answer_by_who_is_no_recipient_is_a_fault(society):
    certificate, _ = society.agree(STUDY)
    society.certify(certificate)
    society.write("north", "answered", Answered(certificate.session, bytes(32)))
    society.write("west", "answered", Answered(certificate.session, bytes(32)))
    once(society, "west: entry 7 of west answers, and is no recipient")


def test_withholding_what_passed_or_what_was_never_certified_is_a_fault(society):
    certificate, _ = society.agree(STUDY)
    society.write("south", "withheld", Withheld(certificate.session, "no"))
    society.certify(certificate)
    society.write("west", "withheld", Withheld(certificate.session, "no"))
    found = faults(society)
    assert len(found) == 2
    assert "south: " in found[0]
    assert "holds no certificate" in found[0]
    assert "withholds what had passed" in found[1]


def test_parties_that_were_ready_for_different_attempts_are_no_party_of_one_session(society):
    certificate, _ = society.agree(STUDY)
    society.write("north", "ended", Ended(ID, 1, 402, "not heard", "south"))
    society.gossip()
    filed = society.write("west", "ready", ready_of(society, "west", attempt=2))
    society.gossip()
    other = mixed(certificate, filed)
    society.everyone("checked", lambda _: Checked(other.session, other.transcript))
    society.certify(other)
    assert any("west was ready for another attempt" in one for one in faults(society))


def mixed(certificate, filed):
    """The certificate of a session in which west's `ready` is another one."""
    readies = (*certificate.readies[:2], entry_hash(filed[0]))
    return replace(certificate, readies=readies, session=session_hash(readies))


def test_a_recovery_that_names_another_entry_is_a_fault(society):
    society.write("west", "recovered", Recovered(0, bytes(32)))
    once(society, "says that its feed was fetched up to another entry")
