"""The sentences that a reviewer reads."""

from p2pmpc.answer import INTEGRITY
from p2pmpc.catalogue import resolve
from p2pmpc.dictionary import parse_dictionary
from p2pmpc.policy import DEFAULT, REHEARSAL
from p2pmpc.study import parse_study
from p2pmpc.words import review

LUNG = """
[dataset]
name = "lung"
[columns.id]
type = "identifier"
uses = ["link"]
[columns.age]
type = "number"
minimum = 0
maximum = 120
uses = ["aggregate", "filter", "model"]
[columns.sex]
type = "boolean"
uses = ["group"]
"""
STUDY = """
[study]
title = "Age by sex"
purpose = "DUO:0000007"
recipients = ["north"]
[data.a]
dataset = "lung"
members = ["north", "south"]
where = "age >= 40"
[data.b]
dataset = "lung"
members = ["lab"]
[link]
tables = ["a", "b"]
by = [["id"]]
[[statistic]]
name = "one"
kind = "describe"
columns = ["a.age"]
by = "a.sex"
[[statistic]]
name = "two"
kind = "t_test"
column = "a.age"
by = "b.sex"
[[statistic]]
name = "three"
kind = "linear_model"
formula = "a.age ~ b.sex"
"""


def sentences():
    lung = {"lung": parse_dictionary(LUNG, "l")}
    said = dict.fromkeys(["north", "south", "lab"], lung)
    study = parse_study(STUDY, "s")
    return review(study, resolve(study, said, {"north": DEFAULT}), "Dr Example at north")


def under(heading):
    return [text for head, text in sentences() if head == heading]


def test_who_asks_what_and_where_it_comes_from():
    assert under("asks") == [
        'Dr Example at north proposes "Age by sex", for research on one disease (DUO:0000007).'
    ]
    assert under("of") == [
        "lung at north and south, only rows where age >= 40",
        "lung at lab",
    ]
    assert under("linked by") == ["id: the same person in a and b, compared in secret"]


def test_what_leaves_and_what_is_withheld_are_told_apart():
    leaves = under("leaves")
    assert leaves == [
        "one: number, mean, standard deviation, skewness and kurtosis of a.age over linked "
        "persons, by a.sex",
        "two: the difference in mean a.age between the two groups of b.sex of linked persons",
    ]
    (withheld,) = under("withheld")
    assert withheld.startswith("three: ")
    assert '"model"' in withheld


def test_to_whom_under_which_rules_and_what_never_opens():
    assert under("to") == ["north; lab and south will see no number"]
    assert "no cell below 10 persons" in under("under")[0]
    assert "0.1 model parameters a row" in under("under")[0]
    assert "one bit" in under("opened on the way")[0]
    assert "any key" in under("never opened")[0]


def test_who_decides_reads_what_is_caught_and_what_is_not():
    assert under("rests on") == [INTEGRITY]
    assert "Not caught: false rows" in INTEGRITY


def test_the_list_is_short_enough_to_be_read():
    found = sentences()
    assert len(found) <= 20
    assert all(len(text) < 300 for _, text in found)


def test_two_members_are_warned_that_one_can_subtract():
    assert under("beware") == []
    lung = {"lung": parse_dictionary(LUNG, "l")}
    study = parse_study(
        '[study]\ntitle = "t"\n[data.a]\ndataset = "lung"\nmembers = ["north", "south"]\n'
        '[[statistic]]\nname = "n"\nkind = "count"\n',
        "s",
    )
    resolved = resolve(study, dict.fromkeys(["north", "south"], lung), {"north": REHEARSAL})
    (text,) = [text for head, text in review(study, resolved, "north") if head == "beware"]
    assert "what remains is the other member's" in text
