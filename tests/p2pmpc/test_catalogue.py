"""The handshake between a study and what members say about their data."""

import pytest

from p2pmpc.catalogue import MEMBERS_RULE, USE_RULE, resolve
from p2pmpc.dictionary import parse_dictionary
from p2pmpc.errors import BadStudy, Mismatch, Refused
from p2pmpc.policy import DEFAULT, REHEARSAL, parse_policy
from p2pmpc.study import parse_study

LUNG = """
[dataset]
name = "lung"
rows_max = 1000
[columns.national_id]
type = "identifier"
uses = ["link"]
[columns.age]
type = "integer"
units = "years"
minimum = 0
maximum = 120
uses = ["aggregate", "group", "filter", "model"]
[columns.sex]
type = "category"
levels = ["male", "female"]
uses = ["group", "filter", "model"]
[columns.stage]
type = "category"
levels = ["I", "II", "III"]
uses = ["group"]
[columns.seen]
type = "date"
minimum = 2000-01-01
maximum = 2030-01-01
uses = ["filter"]
[columns."patients.odd"]
type = "number"
minimum = 0
maximum = 1
uses = ["aggregate"]
[columns.free]
type = "number"
uses = ["aggregate"]
"""
MARKERS = """
[dataset]
name = "markers"
rows_max = 500
[columns.national_id]
type = "identifier"
uses = ["link"]
[columns.age]
type = "integer"
minimum = 0
maximum = 9
uses = ["aggregate"]
[columns.ldh]
type = "number"
minimum = 0
maximum = 1000
decimals = 1
uses = ["aggregate"]
"""
POOLED = """
[study]
title = "t"
[data.patients]
dataset = "lung"
members = ["north", "south", "west"]
[[statistic]]
name = "one"
"""
LINKED = """
[study]
title = "t"
[data.patients]
dataset = "lung"
members = ["north", "south"]
[data.labs]
dataset = "markers"
members = ["lab"]
[link]
tables = ["patients", "labs"]
by = [["national_id"]]
[[statistic]]
name = "one"
"""


def changed(text, *changes):
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def pooled(body, *, south=(), every=(), study=(), policies=None):
    member = changed(LUNG, *every)
    lung = parse_dictionary(member, "lung.toml")
    other = parse_dictionary(changed(member, *south), "lung.toml")
    said = {"north": {"lung": lung}, "south": {"lung": other}, "west": {"lung": lung}}
    found = parse_study(changed(POOLED + body, *study), "s.toml")
    return resolve(found, said, policies if policies is not None else {"north": REHEARSAL})


def linked(body, *, lab=(), study=(), policies=None):
    lung, labs = parse_dictionary(LUNG, "l"), parse_dictionary(changed(MARKERS, *lab), "m")
    said = {"north": {"lung": lung}, "south": {"lung": lung}, "lab": {"markers": labs}}
    found = parse_study(changed(LINKED + body, *study), "s.toml")
    return resolve(found, said, policies or {})


DESCRIBE = 'kind = "describe"\ncolumns = ["age"]\nby = "patients.sex"'
T_TEST = 'kind = "t_test"\ncolumn = "age"\nby = "sex"'


def test_words_become_columns_under_the_word_as_written():
    (one,) = pooled(DESCRIBE).statistics
    assert {word: (alias, c.name) for word, (alias, c) in one.columns.items()} == {
        "age": ("patients", "age"),
        "patients.sex": ("patients", "sex"),
    }
    assert (one.aliases, one.linked, one.withheld) == (("patients",), False, None)
    assert one.members == ("north", "south", "west")


def test_a_bare_name_is_tried_whole_before_alias_and_column():
    found = pooled('kind = "describe"\ncolumns = ["patients.odd"]')
    assert found.statistics[0].columns["patients.odd"][1].name == "patients.odd"


def test_a_name_that_two_aliases_have_is_an_error_that_names_both():
    with pytest.raises(BadStudy, match="several aliases") as caught:
        linked('kind = "describe"\ncolumns = ["age"]')
    assert caught.value.next == "Write labs.age or patients.age."


def test_linked_statistics_run_over_all_linked_tables():
    (one,) = linked('kind = "describe"\ncolumns = ["ldh"]').statistics
    assert (one.aliases, one.linked) == (("patients", "labs"), True)
    assert one.members == ("lab", "north", "south")


def test_the_keys_of_each_linked_table_are_found():
    keys = linked('kind = "count"').keys
    assert [column.name for column in keys["labs"]] == ["national_id"]


# --- where members differ ---


def test_a_difference_is_a_mismatch_in_one_line():
    with pytest.raises(Mismatch) as caught:
        pooled(DESCRIBE, south=[('"years"', '"months"')])
    assert caught.value.message == 'south: column age has units "months"; north has "years"'
    assert caught.value.where == {"member": "south", "field": "data.patients"}


def test_many_differences_take_three_lines():
    south = [
        ('"years"', '"months"'),
        ('["male", "female"]', '["female", "male"]'),
        ('["I", "II", "III"]', '["I", "II"]'),
        ("[dataset]", '[dataset]\nunit = "stay"'),
        ("minimum = 2000-01-01", "minimum = 2001-01-01"),
    ]
    with pytest.raises(Mismatch) as caught:
        pooled(
            'kind = "describe"\ncolumns = ["age"]\nby = "sex"',
            south=south,
            study=[("[[stat", "where = \"seen > '2010-01-01'\"\n[[stat")],
        )
    assert len(caught.value.message.splitlines()) <= 3


def test_the_same_levels_in_another_order_are_a_mismatch_that_says_so():
    with pytest.raises(Mismatch, match="another order"):
        pooled(T_TEST, south=[('["male", "female"]', '["female", "male"]')])


def test_a_column_that_one_member_lacks_is_a_mismatch():
    age = LUNG[LUNG.index("[columns.age]") : LUNG.index("[columns.sex]")]
    with pytest.raises(Mismatch, match=r"^south: column age is missing; north has it$"):
        pooled(DESCRIBE, south=[(age, "")])


def test_columns_that_the_study_does_not_use_may_differ():
    pooled(DESCRIBE, south=[('["I", "II", "III"]', '["I", "II"]')])


# --- what a study gets wrong ---


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('kind = "describe"\ncolumns = ["aeg"]', "did you mean 'age'"),
        ('kind = "describe"\ncolumns = ["patients.aeg"]', "did you mean 'patients.age'"),
        ('kind = "describe"\ncolumns = ["national_id"]', "is of type identifier"),
        ('kind = "t_test"\ncolumn = "sex"\nby = "sex"', "is of type category; t_test takes"),
        ('kind = "t_test"\ncolumn = "age"\nby = "stage"', "two groups; stage has 3"),
        ('kind = "correlation"\ncolumns = ["age", "stage"]', "is of type category"),
        ('kind = "linear_model"\nformula = "sex ~ age"', "is of type category"),
        ('kind = "linear_model"\nformula = "age ~ C(free)"', "takes category, boolean or integer"),
    ],
)
def test_a_column_that_does_not_exist_or_fit_is_a_bad_study(body, said):
    with pytest.raises(BadStudy) as caught:
        pooled(body)
    assert said in caught.value.message
    assert caught.value.where["field"].startswith("statistic.one.")


def test_a_number_without_bounds_names_the_field_of_the_dictionary():
    with pytest.raises(BadStudy) as caught:
        pooled('kind = "describe"\ncolumns = ["free"]')
    assert caught.value.where["field"] == "columns.free.minimum"
    assert caught.value.where["member"] == "north"


def test_an_unknown_member_or_data_set_is_a_bad_study():
    with pytest.raises(BadStudy, match="did you mean 'west'"):
        pooled(DESCRIBE, study=[('"west"]', '"wets"]')])
    with pytest.raises(BadStudy, match="north has no data set 'lungs'; did you mean 'lung'"):
        pooled(DESCRIBE, study=[('"lung"', '"lungs"')])


def test_several_tables_without_a_link_are_a_bad_study():
    body = 'kind = "describe"\ncolumns = ["ldh", "stage"]'
    with pytest.raises(BadStudy, match="not linked"):
        linked(
            body, study=[('[link]\ntables = ["patients", "labs"]\nby = [["national_id"]]\n', "")]
        )
    with pytest.raises(BadStudy, match="does not say which table"):
        linked(
            'kind = "count"',
            study=[('[link]\ntables = ["patients", "labs"]\nby = [["national_id"]]\n', "")],
        )


def test_a_table_outside_the_link_is_pooled():
    study = [
        ("[link]", '[data.more]\ndataset = "lung"\nmembers = ["south", "north"]\n[link]'),
        ('name = "one"', 'name = "one"'),
    ]
    (one,) = linked(
        'kind = "histogram"\ncolumn = "more.age"\nedges = [0, 50, 100]', study=study
    ).statistics
    assert (one.aliases, one.linked) == (("more",), False)
    (one,) = linked('kind = "histogram"\ncolumn = "ldh"\nedges = [0, 500]', study=study).statistics
    assert (set(one.aliases), one.linked) == ({"patients", "labs"}, True)


# --- where ---


def where(text, **changes):
    return pooled('kind = "count"', study=[("[[stat", f"where = '''{text}'''\n[[stat")], **changes)


def test_where_is_handed_on_with_plain_column_names():
    found = where("patients.age > 40 and sex = 'male' and seen >= '2020-01-31'").where["patients"]
    assert found.columns == ("age", "sex", "seen")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("aeg > 1", "did you mean 'age'"),
        ("age = '40'", "without quotes"),
        ("sex = 'Male'", "no level 'Male'; did you mean 'male'"),
        ("sex in ['male', 'femal']", "did you mean 'female'"),
        ("sex < 'male'", "has no order"),
        ("seen > '31.01.2020'", "a date such as"),
        ("seen > '2020-02-31'", "a date such as"),
        ("sex = true", "text in quotes"),
    ],
)
def test_a_test_that_could_never_be_true_is_a_bad_study(text, said):
    with pytest.raises(BadStudy, match=said):
        where(text)


def test_levels_and_truths_may_be_written_as_numbers():
    stage = ('["I", "II", "III"]\nuses = ["group"]', '["1", "2"]\nuses = ["filter"]')
    assert where("stage = 1", every=[stage]).where["patients"] is not None
    with pytest.raises(BadStudy, match="no level '3'"):
        where("stage = 3", every=[stage])
    smoker = (
        '"category"\nlevels = ["I", "II", "III"]\nuses = ["group"]',
        '"boolean"\nuses = ["filter"]',
    )
    for text in ("stage = true", "stage = 1", "stage = 'yes'"):
        assert where(text, every=[smoker]).where["patients"] is not None
    for text in ("stage = 2", "stage = 'maybe'"):
        with pytest.raises(BadStudy, match="true or false"):
            where(text, every=[smoker])


def test_where_on_a_column_without_the_use_refuses_the_whole_study():
    with pytest.raises(Refused) as caught:
        where("stage = 'I'")
    assert (caught.value.code, caught.value.where["member"]) == (301, "north")
    assert '"filter"' in caught.value.next


# --- uses and rules ---


def test_a_key_without_the_use_link_refuses_the_whole_study():
    with pytest.raises(Refused, match=r"^lab: column national_id may not be used for linking"):
        linked('kind = "count"', lab=[('uses = ["link"]', "uses = []")])


def test_a_number_is_no_key_and_a_date_only_equals_a_date():
    with pytest.raises(BadStudy, match="is of type number; a key is"):
        linked(
            'kind = "count"',
            lab=[('"identifier"\nuses', '"number"\nuses')],
        )
    with pytest.raises(Mismatch, match='lab: key column national_id has type "date"'):
        linked('kind = "count"', lab=[('"identifier"\nuses', '"date"\nuses')])


def test_a_use_that_a_dictionary_forbids_withholds_that_statistic_alone():
    body = DESCRIBE + '\n[[statistic]]\nname = "two"\nkind = "count"'
    uses = ('uses = ["group", "filter", "model"]', 'uses = ["model"]')
    one, two = pooled(body, south=[uses]).statistics
    assert two.withheld is None
    assert one.withheld.rule == USE_RULE
    assert one.withheld.reason.startswith("south: column sex")
    assert 'the use "group" for sex in the dictionary of south' in one.withheld.would_pass


def test_a_model_needs_the_use_model_on_both_sides():
    body = 'kind = "linear_model"\nformula = "age ~ {}"'
    assert pooled(body.format("sex")).statistics[0].withheld is None
    assert "stage" in pooled(body.format("stage")).statistics[0].withheld.reason


def test_too_few_members_withhold_beforehand():
    body = 'kind = "describe"\ncolumns = ["age"]'
    study = [('"north", "south", "west"', '"north", "south"')]
    (one,) = pooled(body, study=study, policies={"north": DEFAULT}).statistics
    assert (one.withheld.rule, one.withheld.would_pass) == (MEMBERS_RULE, "3 members or more")
    assert pooled(body, policies={"north": DEFAULT}).statistics[0].withheld is None


def test_the_rules_are_the_strictest_over_members_and_the_data_sets_in_use():
    strict = parse_policy(
        "[data.lung]\nminimum_cell = 30\n[data.unused]\nminimum_cell = 99", "p.toml"
    )
    lab = parse_policy("[default]\nminimum_cohort = 40", "p.toml")
    rules = linked('kind = "count"', policies={"north": strict, "lab": lab}).rules
    assert (rules.minimum_cell, rules.minimum_cohort) == (30, 40)


def test_the_order_of_members_dictionaries_does_not_change_the_result():
    found = pooled(DESCRIBE)
    assert found == pooled(DESCRIBE)
    assert found.statistic("one") is found.statistics[0]
