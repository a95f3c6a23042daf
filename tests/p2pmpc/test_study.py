"""Studies: the file, the object, the one encoding, and every word of the interface."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import p2pmpc
from p2pmpc import limits
from p2pmpc.errors import BadExpression, BadStudy, NotBuilt, P2pmpcError, RemoteError
from p2pmpc.study import KINDS, Alias, Link, Privacy, Statistic, Study, parse_study, read_study

TEXT = """
[study]
title = "Age by sex"
purpose = "DUO:0000007"
question = "Are women older?"
recipients = ["north"]

[data.patients]
dataset = "lung"
members = ["north", "south", "west"]
where = "age >= 40 and ph_ecog <= 2"

[data.labs]
dataset = "markers"
members = ["lab"]

[link]
tables = ["patients", "labs"]
by = [["national_id"], ["surname", "birth_date"]]
count_once = true

[[statistic]]
name = "age"
kind = "t_test"
column = "age"
by = "sex"

[[statistic]]
name = "model"
kind = "linear_model"
formula = "time ~ age + C(ph_ecog)"

[privacy]
mechanism = "none"
"""


def parsed(*changes):
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_study(text, "s.toml")


def test_the_example_of_the_interface_is_read():
    study = parsed()
    assert study.parties == ("lab", "north", "south", "west")
    assert study.recipients == ("north",)
    assert study.alias("patients").members == ("north", "south", "west")
    assert study.alias("patients").expression.columns == ("age", "ph_ecog")
    assert study.link == Link(("patients", "labs"), (("national_id",), ("surname", "birth_date")))
    assert study.statistics[0].parameters["by"] == "sex"
    assert [word for word, _ in study.statistics[1].columns] == ["time", "age", "ph_ecog"]
    assert study.datasets_of("lab") == ("markers",)


def test_the_same_study_in_python_has_the_same_hash():
    study = Study(
        title="Age by sex",
        purpose="DUO:0000007",
        question="Are women older?",
        recipients=["north"],
        data=[
            Alias("labs", "markers", ["lab"]),
            Alias(
                "patients",
                dataset="lung",
                members=["north", "south", "west"],
                where="age >= 40 and ph_ecog <= 2",
            ),
        ],
        link=Link(["patients", "labs"], [["national_id"], ["surname", "birth_date"]]),
        statistics=[
            Statistic("age", "t_test", {"column": "age", "by": "sex", "paired": False}),
            Statistic("model", "linear_model", {"formula": "time ~ age + C(ph_ecog)"}),
        ],
    )
    assert study == parsed()
    assert study.hash == parsed().hash
    assert p2pmpc.Study is Study


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('by = "sex"', 'by = "sex"\nequal_var = false'),
        ('by = "sex"', 'by = "sex"\nconfidence = 0.950'),
        ("count_once = true\n", ""),
        ('[privacy]\nmechanism = "none"\n', ""),
        ('members = ["lab"]', 'members = ["lab"]\noptional = []'),
    ],
)
def test_a_default_and_its_explicit_value_hash_alike(old, new):
    assert parsed((old, new)).hash == parsed().hash


def test_all_parties_as_recipients_are_the_default():
    every = parsed(('["north"]\n\n', '["west", "south", "north", "lab"]\n\n'))
    assert every.hash == parsed(('recipients = ["north"]\n', "")).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('["north", "south", "west"]', '["south", "north", "west"]'),
        ("age >= 40", "age >= 41"),
        ('tables = ["patients", "labs"]', 'tables = ["labs", "patients"]'),
        ('by = "sex"', 'by = "sex"\nequal_var = true'),
        ('recipients = ["north"]', 'recipients = ["south"]'),
        ("Are women older?", ""),
    ],
)
def test_whatever_changes_the_question_changes_the_hash(old, new):
    assert parsed((old, new)).hash != parsed().hash


def test_the_order_of_tables_in_the_file_does_not_matter():
    labs = '[data.labs]\ndataset = "markers"\nmembers = ["lab"]\n\n'
    moved = parse_study(labs + TEXT.replace(labs, ""), "s.toml")
    assert moved.hash == parsed().hash


def test_a_linked_study_names_the_normalisation_of_its_keys():
    assert b'"normalisation":"keys/1"' in parsed().to_bytes()


def test_the_specification_shows_the_hash_of_its_own_example():
    page = (Path(p2pmpc.__file__).parent / "study.md").read_text(encoding="utf-8")
    blocks = [block.split("\n", 1) for block in page.split("```")[1::2]]
    toml, encoding, hash_ = (body for _, body in blocks[:3])
    study = parse_study(toml, "study.md")
    assert study.to_bytes().decode() == encoding.replace("\n", "")
    assert study.id == hash_.strip()


@pytest.mark.parametrize(
    ("old", "new", "said", "field"),
    [
        ("title =", "titel =", "is 'titel' meant?", "study.title"),
        ("question =", "qestion =", "did you mean 'question'", "study.qestion"),
        ("[privacy]", "[privaci]", "not a known field", "privaci"),
        ('title = "Age by sex"', 'title = " "', "empty", "study.title"),
        ('title = "Age by sex"', 'title = "a\\u202eb"', "control character", "study.title"),
        ('recipients = ["north"]', 'recipients = ["noth"]', "'north'", "study.recipients"),
        ('recipients = ["north"]', "recipients = []", "nobody", "study.recipients"),
        ('kind = "t_test"', 'kind = "ttest"', "did you mean 't_test'", "statistic.age.kind"),
        ('by = "sex"', 'bye = "sex"', "did you mean 'by'", "statistic.age.bye"),
        ('by = "sex"', "", "needs 'by'", "statistic.age.by"),
        ('by = "sex"', 'by = ["sex"]', "name of a column", "statistic.age.by"),
        ('by = "sex"', 'by = "sex"\nequal_var = 1', "true or false", "statistic.age.equal_var"),
        ('name = "model"', 'name = "age"', "have this name", "statistic.age"),
        ('name = "model"', 'name = "-m"', "cannot name", "statistic"),
        ('"labs"]', '"lab"]', "did you mean 'labs'", "link.tables"),
        ('tables = ["patients", "labs"]', 'tables = ["labs"]', "two aliases", "link.tables"),
        ('[["national_id"], ["surname", "birth_date"]]', '["id"]', "list of lists", "link.by"),
        ("count_once = true", "count_onc = true", "count_once", "link.count_onc"),
        ("time ~ age", "~ age", "no left side", "statistic.model.formula"),
        ('["lab"]', '["lab"]\nwhere = ""', "empty", "data.labs.where"),
        ('["lab"]', "[]", "names no member", "data.labs.members"),
        ('["lab"]', '["lab", "lab"]', "twice", "data.labs.members"),
        ('["lab"]', '["lab"]\noptional = ["labb"]', "'lab'", "data.labs.optional"),
        ('"none"', '"gausian"\nrho = 0.1', "gaussian", "privacy.mechanism"),
        ('"none"', '"none"\nrho = 0.1', "needs mechanism", "privacy.rho"),
    ],
)
def test_a_mistake_names_file_and_field(old, new, said, field):
    with pytest.raises(BadStudy) as caught:
        parsed((old, new))
    assert said in caught.value.message
    assert caught.value.where == {"file": "s.toml", "field": field}
    assert caught.value.exit == 2


def test_a_bad_where_and_a_bad_formula_name_their_place():
    with pytest.raises(BadExpression, match=r"s.toml: data.patients.where: .*character 8"):
        parsed(("age >= 40 and", "age >= and"))
    with pytest.raises(BadExpression, match=r"statistic.model.formula: .*log\(\)"):
        parsed(("~ age", "~ log(age)"))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('kind = "t_test"', 'kind = "wilcoxon"', "wilcoxon"),
        ('by = "sex"', 'by = "sex"\npaired = true', "t_test with paired"),
        ('"none"', '"gaussian"\nrho = 0.01', 'mechanism = "gaussian"'),
        ('["lab"]', '["lab"]\noptional = ["lab"]', "optional"),
    ],
)
def test_a_word_that_is_declared_but_not_built_is_refused_by_name(old, new, word):
    with pytest.raises(NotBuilt) as caught:
        parsed((old, new))
    assert word in caught.value.message
    assert "." in caught.value.where["field"]
    assert caught.value.exit == 3


def test_a_word_that_is_not_built_is_still_checked_first():
    with pytest.raises(BadStudy, match="needs 'q'"):
        Statistic("x", "quantiles", {"column": "age"})
    with pytest.raises(BadStudy, match="did you mean 'breslow'"):
        Statistic("x", "cox", {"time": "t", "event": "e", "formula": "a", "ties": "breslo"})


def test_parameters_that_are_not_built_are_refused():
    for kind, extra, word in [
        ("correlation", {"columns": ["a", "b"], "method": "spearman"}, "spearman"),
        ("crosstab", {"rows": "a", "columns": "b", "strata": "c"}, "strata"),
        ("t_test", {"columns": ["after", "before"], "paired": True}, "columns"),
        ("anova", {"column": "a", "by": "b", "levene_center": "mean"}, "levene_center"),
    ]:
        assert word in Statistic("x", kind, extra).unbuilt()


def test_numbers_from_python_become_the_decimals_of_the_file():
    one = Statistic("h", "histogram", {"column": "age", "edges": [0, 10.5, Decimal("20.50")]})
    assert one.parameters["edges"] == (Decimal(0), Decimal("10.5"), Decimal("20.5"))
    with pytest.raises(BadStudy, match="rise"):
        Statistic("h", "histogram", {"column": "age", "edges": [10, 0]})
    with pytest.raises(BadStudy, match="finite"):
        Statistic("h", "histogram", {"column": "age", "edges": [0.0, float("inf")]})


def make(count=2, statistics=1, aliases=1):
    members = [f"m{number}" for number in range(count)]
    return Study(
        title="t",
        data=[Alias(f"a{number}", "d", members) for number in range(aliases)],
        statistics=[Statistic(f"s{number}", "count") for number in range(statistics)],
    )


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        ("count", limits.PARTIES_MAX),
        ("statistics", limits.STATISTICS_MAX),
        ("aliases", limits.ALIASES_MAX),
    ],
)
def test_each_limit_holds_one_past_it(field, limit):
    make(**{field: limit})
    with pytest.raises(BadStudy, match="more than"):
        make(**{field: limit + 1})


def test_one_member_alone_is_wrong_usage():
    with pytest.raises(BadStudy, match="two members or more"):
        make(count=1)


def test_each_limit_of_a_link_holds_one_past_it():
    names = [f"k{number}" for number in range(20)]
    Link(["a", "b"], [[one] for one in names[: limits.LINK_PASSES_MAX]])
    Link(["a", "b"], [names[: limits.LINK_PARTS_MAX]])
    for by in (
        [[one] for one in names[: limits.LINK_PASSES_MAX + 1]],
        [names[: limits.LINK_PARTS_MAX + 1]],
    ):
        with pytest.raises(BadStudy, match="more than"):
            Link(["a", "b"], by)


def test_each_limit_of_a_parameter_holds_one_past_it():
    edges = range(limits.PARAMETER_ITEMS_MAX + 1)
    Statistic("h", "histogram", {"column": "c", "edges": edges[1:]})
    with pytest.raises(BadStudy, match="numbers"):
        Statistic("h", "histogram", {"column": "c", "edges": edges})
    columns = [f"c{number}" for number in edges]
    Statistic("d", "describe", {"columns": columns[1:]})
    with pytest.raises(BadStudy, match="columns"):
        Statistic("d", "describe", {"columns": columns})


def test_the_longest_text_and_one_past_it():
    Study(title="t" * limits.TEXT_CHARACTERS_MAX, data=make().data, statistics=make().statistics)
    with pytest.raises(BadStudy, match="longer"):
        Study(
            title="t" * (limits.TEXT_CHARACTERS_MAX + 1),
            data=make().data,
            statistics=make().statistics,
        )


def test_a_study_of_too_many_bytes_is_refused(tmp_path):
    path = tmp_path / "big.toml"
    path.write_text(TEXT + "#" * limits.STUDY_BYTES_MAX)
    with pytest.raises(BadStudy, match="longer"):
        read_study(path)


def test_bytes_from_a_peer_are_checked_like_a_file():
    data = parsed().to_bytes()
    assert Study.from_bytes(data) == parsed()
    for old, new in [
        (b'"recipients":["north"]', b'"recipients":[]'),  # the default, spelled otherwise
        (b'"rho":null', b'"rho":null,"roh":null'),
        (b'"p2pmpc/study/1"', b'"p2pmpc/study/2"'),
        (b'"keys/1"', b'"keys/2"'),
        (b'"column":"age"', b'"column":"age","paired":false'),
        (b'{"by"', b'{"b":1,"by"'),
        (b'"title"', b' "title"'),
    ]:
        assert old in data
        with pytest.raises(RemoteError):
            Study.from_bytes(data.replace(old, new, 1))
    with pytest.raises(BadStudy):
        Study.from_bytes(data.replace(b'"kind":"t_test"', b'"kind":"tttest"'))


@given(st.binary(max_size=100))
def test_random_bytes_are_refused_and_never_crash(data):
    with pytest.raises(RemoteError):
        Study.from_bytes(data)


@given(st.data())
def test_a_changed_byte_gives_an_error_or_another_sound_study(data):
    changed = bytearray(parsed().to_bytes())
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] = data.draw(st.integers(0, 255))
    try:
        found = Study.from_bytes(bytes(changed))
    except P2pmpcError:
        return
    assert found.to_bytes() == bytes(changed)


name = st.from_regex(r"[A-Za-z_][A-Za-z0-9_\-]{0,10}", fullmatch=True)
column = st.from_regex(r"[A-Za-zé_][A-Za-z0-9é_ ]{0,10}", fullmatch=True)
text = st.text("ab \"'\\é\n", max_size=10)
numbers = st.lists(st.decimals(-1000, 1000, places=3), min_size=2, max_size=6, unique=True).map(
    sorted
)


@st.composite
def statistics(draw, named):
    kind = draw(st.sampled_from(["count", "describe", "histogram", "t_test", "correlation"]))
    return Statistic(
        named,
        kind,
        {
            "count": {},
            "describe": {"columns": [draw(column)], "by": draw(column)},
            "histogram": {"column": draw(column), "edges": draw(numbers)},
            "t_test": {
                "column": draw(column),
                "by": draw(column),
                "equal_var": draw(st.booleans()),
            },
            "correlation": {"columns": draw(st.lists(column, min_size=2, unique=True, max_size=4))},
        }[kind],
    )


@st.composite
def studies(draw):
    members = draw(st.lists(name, min_size=2, max_size=5, unique=True))
    named = draw(st.lists(name, min_size=1, max_size=3, unique=True))
    aliases = draw(st.lists(name, min_size=1, max_size=3, unique=True))
    where = draw(st.sampled_from(["", "age > 1", "s in ['a', \"b\"] or `a b` is missing"]))
    return Study(
        title="t" + draw(text),
        purpose=draw(text),
        question=draw(text),
        data=[Alias(one, "d.1", members, (), where) for one in aliases],
        statistics=[draw(statistics(one)) for one in named],
        recipients=draw(st.sampled_from([(), members[:1]])),
    )


@given(studies())
def test_every_study_survives_bytes_and_toml(study):
    assert Study.from_bytes(study.to_bytes()) == study
    again = parse_study(study.to_toml(), "s.toml")
    assert (again, again.hash) == (study, study.hash)


def test_a_linked_study_survives_toml():
    assert parse_study(parsed().to_toml(), "s.toml") == parsed()


INTERFACE = {
    "count": "by",
    "describe": "columns by",
    "quantiles": "column q by",
    "histogram": "column edges",
    "crosstab": "rows columns strata",
    "table1": "columns by",
    "correlation": "columns method",
    "t_test": "column by equal_var paired columns",
    "anova": "column by welch levene_center",
    "mann_whitney": "column by",
    "kruskal_wallis": "column by",
    "wilcoxon": "column by",
    "linear_model": "formula",
    "logistic_model": "formula offset iterates",
    "poisson_model": "formula offset iterates",
    "ridge": "formula penalty",
    "lasso": "formula penalty",
    "kaplan_meier": "time event by at step interval horizon",
    "log_rank": "time event by strata",
    "cox": "time event formula ties strata iterates",
    "pca": "columns components standardise",
    "roc_auc": "score outcome",
    "k_anonymity": "quasi_identifiers sensitive k",
    "fairness": "score prediction outcome by threshold",
}


def test_every_kind_and_parameter_of_the_interface_is_declared():
    assert {name: set(kind.words) - {"confidence"} for name, kind in KINDS.items()} == {
        name: set(words.split()) for name, words in INTERFACE.items()
    }


def test_what_is_declared_as_built_is_what_the_protocols_compute():
    from protocols.statistics.menu import FAMILIES

    assert {name for name, kind in KINDS.items() if kind.built} == set(FAMILIES)


def test_what_is_built_over_links_is_built_over_pooled_rows():
    assert all(kind.built for kind in KINDS.values() if kind.linked)


def test_privacy_takes_a_positive_rho():
    assert Privacy("gaussian", Decimal("0.010")).rho == Decimal("0.01")
    with pytest.raises(BadStudy, match="above zero"):
        Privacy("gaussian", Decimal(0))


@pytest.mark.parametrize("share", ["0", "1", "-0.5", "95", '"most"'])
def test_a_confidence_outside_0_and_1_is_refused_with_its_place(share):
    text = TEXT.replace('by = "sex"', f'by = "sex"\nconfidence = {share}', 1)
    with pytest.raises(BadStudy) as caught:
        parse_study(text, "study.toml")
    assert str(caught.value.where["field"]).endswith(".confidence")


def test_a_confidence_travels():
    study = parsed(('by = "sex"', 'by = "sex"\nconfidence = 0.9'))
    assert study.statistics[0].parameters["confidence"] == Decimal("0.9")
    assert Study.from_bytes(study.to_bytes()) == study
