"""What members ask of their own nodes, over the real sockets of three real nodes."""

from __future__ import annotations

import time

import pytest

from p2pmpc.errors import (
    BadData,
    BadStudy,
    LocalError,
    MemberMissing,
    NotFound,
    Refused,
    WrongUsage,
)
from p2pmpc.node import PREFIX_MIN, QUIET_S_MAX, Quiet, connect

NAMES = ("north", "south", "west")


def test_a_node_that_does_not_run_is_said_with_the_command_that_starts_it(tmp_path) -> None:
    with pytest.raises(LocalError, match="no node is running") as caught:
        connect(tmp_path)
    assert "p2pmpc node start" in caught.value.next


def test_a_node_is_named_by_its_folder_or_by_its_socket(empty_house) -> None:
    home = empty_house.home("west")
    assert connect(home).name == connect(str(home / "control.sock")).name == "west"
    assert connect(home).card() == (home / "west.card").read_bytes()


def test_outside_a_network_there_are_no_members_and_nothing_can_be_asked(empty_house) -> None:
    north = empty_house.node("north")
    assert north.members().empty
    assert north.catalogue().empty
    assert north.studies().empty
    with pytest.raises(NotFound, match="no network yet"):
        north.propose(empty_house.study("too early"))
    with pytest.raises(NotFound, match="no network yet"):
        north.export_log()


def test_members_are_listed_with_what_people_compare_by_voice(house) -> None:
    members = house.node("south").members()
    assert list(members["name"]) == [*NAMES]
    fingerprints = {name: house.node(name).status()["fingerprint"] for name in NAMES}
    assert dict(zip(members["name"], members["fingerprint"], strict=True)) == fingerprints
    links = dict(zip(members["name"], members["link"], strict=True))
    assert links["south"] == "this node"
    assert links["north"] == links["west"] == "up"


def test_the_catalogue_has_words_and_bounds_of_all_members_and_no_number_of_rows(house) -> None:
    catalogue = house.node("west").catalogue()
    assert set(catalogue["member"]) == {*NAMES}
    age = catalogue[(catalogue["column"] == "age") & (catalogue["member"] == "north")].iloc[0]
    assert (age["type"], age["minimum"], age["maximum"]) == ("integer", "0", "120")
    assert list(age["uses"]) == ["aggregate"]
    assert "rows" not in catalogue.columns


def test_an_owner_alone_reads_its_rows_and_files(house) -> None:
    (own,) = house.node("north").datasets()
    assert (own["name"], own["rows"], own["columns"], own["fault"]) == ("visits", 40, 2, "")
    assert own["files"] == [str(house.folder / "north.csv")]


def test_a_file_that_cannot_be_read_changes_nothing(house) -> None:
    north, bad = house.node("north"), house.write("bad.csv", "age,sex\nold,female\n")
    with pytest.raises(BadData) as caught:
        north.add_data(bad, house.folder / "visits.toml")
    assert (caught.value.where["row"], caught.value.where["column"]) == (2, "age")
    assert north.datasets()[0]["rows"] == 40


def test_a_study_of_a_column_that_nobody_has_is_refused_before_anybody_is_asked(house) -> None:
    north, known = house.node("north"), len(house.node("north").studies())
    text = house.study("heights").read_text().replace('["age"]', '["height"]')
    with pytest.raises(BadStudy, match="height"):
        north.propose(house.write("heights.toml", text))
    assert len(north.studies()) == known


def test_a_study_waits_for_stewards_and_runs_when_all_have_approved(house) -> None:
    handles = house.proposed("ages of all")
    facts = handles["south"].facts()
    assert (facts["state"], facts["proposer"], facts["asks_me"]) == ("proposed", "north", True)
    assert facts["waits_for"] == [*NAMES]
    assert "ages" in str(facts["review"])
    for name in NAMES:
        handles[name].approve(f"{name} has read it")
    assert handles["north"].wait(60) == "answered"
    answer = handles["north"].answer()
    assert answer["ages"].table[0]["n"] == 120
    answer.verify()
    said = {one["member"]: one["reason"] for one in handles["west"].facts()["decisions"]}
    assert said == {name: f"{name} has read it" for name in NAMES}
    assert any("has read it" in line for line in handles["west"].story())
    assert handles["west"].wait(60) == "answered"
    with pytest.raises(NotFound, match="goes to north; this member is no recipient"):
        handles["west"].answer()
    with pytest.raises(NotFound, match="goes to north") as caught:
        _ = handles["west"].receipt
    assert caught.value.next == "Ask north for the answer and its receipt."


def test_one_refusal_ends_a_study_for_all_with_its_reason(house) -> None:
    handles = house.proposed("ages once more")
    handles["west"].refuse("asked last week already")
    assert handles["north"].wait(30) == "refused"
    ended = handles["north"].facts()["ended"]
    assert ended["where"]["member"] == "west"
    assert "asked last week already" in ended["message"]
    with pytest.raises(Refused, match="asked last week"):
        handles["north"].answer()
    with pytest.raises(Refused, match="not to be decided any more"):
        handles["south"].approve("late")


def test_who_waits_too_long_is_told_whom_for(house) -> None:
    handles = house.proposed("ages with patience")
    for name in ("north", "west"):
        handles[name].approve("yes")
    house.until(lambda: handles["north"].facts()["waits_for"] == ["south"])
    with pytest.raises(MemberMissing, match="waits for south") as caught:
        handles["north"].wait(0.2)
    assert caught.value.where["member"] == "south"
    with pytest.raises(NotFound):
        handles["north"].answer()
    handles["south"].refuse("no time for it")


def test_who_follows_a_study_is_told_whom_it_waits_for_ever_more_rarely(house, monkeypatch) -> None:
    handles = house.proposed("ages in silence")
    monkeypatch.setattr("p2pmpc.node.QUIET_S", 0.1)
    told = []
    with pytest.raises(MemberMissing):
        handles["north"].wait(1.2, told.append)
    said = [line["text"] for line in told if line["event"] == "waiting"]
    assert set(said) == {"for north, south, west to decide"}
    assert 2 <= len(said) <= 4, "after 0.1, 0.3 and 0.7 s"
    handles["south"].refuse("no time for it")


def test_no_silence_is_longer_than_its_limit() -> None:
    quiet = Quiet.since(0.0)
    assert quiet.until == quiet.gap_s < 10
    for _ in range(20):
        quiet = quiet.longer(0.0)
    assert quiet.until == quiet.gap_s == QUIET_S_MAX


def test_what_was_not_read_is_not_approved(house) -> None:
    handles = house.proposed("ages of others")
    with pytest.raises(WrongUsage, match="another hash"):
        handles["south"].decide(True, "yes", "00" * 32)
    assert "south" in handles["south"].facts()["waits_for"]


def test_a_proposer_takes_its_proposal_back_and_nobody_else_does(house) -> None:
    handles = house.proposed("ages by mistake")
    with pytest.raises(Refused, match="proposed through north, not through south"):
        handles["south"].withdraw("not mine")
    handles["north"].withdraw("a mistake")
    assert handles["south"].wait(30) == "withdrawn"
    with pytest.raises(Refused, match="it is withdrawn"):
        handles["south"].approve("late")


def test_a_consent_is_taken_back_before_the_answer_opens(house) -> None:
    handles = house.proposed("ages in doubt")
    with pytest.raises(Refused, match="has not consented"):
        handles["south"].revoke("never said yes")
    handles["south"].approve("yes")
    handles["south"].revoke("our board met")
    assert handles["north"].wait(30) == "revoked"
    assert "our board met" in handles["north"].facts()["ended"]["message"]


def test_a_proposal_that_is_sent_again_changes_nothing(house) -> None:
    file, north = house.study("ages twice"), house.node("north")
    first, known = north.propose(file), len(north.studies())
    assert north.propose(file).id == first.id
    assert len(north.studies()) == known
    first.withdraw("only once")
    with pytest.raises(Refused, match="proposed before: it is withdrawn"):
        north.propose(file)


def test_members_are_told_until_when_they_may_decide(house) -> None:
    handle = house.node("north").propose(house.study("ages by tomorrow"), expires_s=86400)
    left_ms = handle.facts()["expires_ms"] - time.time() * 1000
    assert 86_000_000 < left_ms <= 86_400_000
    handle.withdraw("only to see the date")


def test_an_id_is_found_by_its_beginning_and_never_by_chance(house) -> None:
    north = house.node("north")
    ids = sorted(north.studies()["study"])
    assert north.study(ids[0][: PREFIX_MIN + 6]).id == ids[0]
    with pytest.raises(WrongUsage, match=f"first {PREFIX_MIN} digits"):
        north.study(ids[0][: PREFIX_MIN - 1])
    with pytest.raises(NotFound):
        north.study("f" * 16)


def test_what_waits_for_a_person_stands_in_the_status_and_first_in_the_list(house) -> None:
    handles = house.proposed("zz comes last by its title")
    south = house.node("south")
    assert handles["south"].id in south.status()["waiting"]
    waiting = south.get("/studies")["studies"]
    asked = [one["asks_me"] for one in waiting]
    assert asked == sorted(asked, reverse=True)
    handles["south"].refuse("only looked at")
    assert handles["south"].id not in south.status()["waiting"]
