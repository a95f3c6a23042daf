"""Answers: JSON both ways, frames, figures and plain text."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmpc.answer import INTEGRITY, ROWS_SHOWN_MAX, Answer
from p2pmpc.certificate import certificate_hash
from p2pmpc.cli.answer import answer_lines
from p2pmpc.codec import encode
from p2pmpc.errors import LogError, NotFound, P2pmpcError, RemoteError, Withheld

JSON = {
    "study": "ab12",
    "released": False,
    "members": ["north", "south", "west"],
    "statistics": {
        "ages": {
            "kind": "describe",
            "released": True,
            "n": 228,
            "left_out": 2,
            "values": {"groups": {"male": {"n": 138}}, "total": 1.5},
            "table": [
                {"column": "age", "sex": "male", "n": 138, "mean": 63.3},
                {"column": "age", "sex": "female", "n": None, "mean": None},
            ],
            "method": "sums",
            "opened": ["age in male: n"],
            "precision": "exact",
            "suppressed": [
                {"row": "female", "column": "n", "rule": "R", "would_pass": "10 persons"}
            ],
            "noise": None,
            "caveats": ["two members can subtract"],
        },
        "bins": {
            "kind": "histogram",
            "n": 228,
            "table": [
                {"low": 0, "high": 50, "count": 28},
                {"low": 50, "high": 100, "count": None},
                {"low": 100, "high": 120.5, "count": 11},
            ],
        },
        "cross": {
            "kind": "crosstab",
            "table": [
                {"row": "a", "column": "x", "count": 12},
                {"row": "a", "column": "y", "count": None},
            ],
        },
        "fit": {
            "kind": "linear_model",
            "table": [
                {"term": "(intercept)", "estimate": 1.0, "conf_low": 0.5, "conf_high": 1.5},
                {"term": "age", "estimate": 0.2, "conf_low": -0.1, "conf_high": 0.5},
            ],
        },
        "diff": {
            "kind": "t_test",
            "values": {"t": 1.2, "difference": 3.0, "conf_low": -1.0, "conf_high": 7.0},
        },
        "no": {
            "kind": "anova",
            "released": False,
            "reason": "too few members",
            "would_pass": "3 members",
        },
    },
    "receipt": {"certificate": "00ff", "log_heads": {"north": "aa"}, "signers": ["north"]},
}


def test_an_answer_says_what_was_checked_and_what_was_not():
    assert str(answer(integrity=INTEGRITY)).endswith(f"\n\n{INTEGRITY}")
    assert answer(integrity=INTEGRITY).to_json()["integrity"] == INTEGRITY
    assert list(answer_lines({**JSON, "integrity": INTEGRITY}))[-1] == INTEGRITY


def answer(**changes):
    return Answer.from_json({**json.loads(json.dumps(JSON)), **changes})


def test_json_goes_both_ways():
    found = answer()
    assert Answer.from_json(found.to_json()) == found
    assert Answer.from_json(json.dumps(found.to_json())) == found
    ages = found.to_json()["statistics"]["ages"]
    assert {key: ages[key] for key in JSON["statistics"]["ages"]} == JSON["statistics"]["ages"]
    assert found.to_json()["receipt"] == JSON["receipt"]


def test_fields_that_are_added_later_are_ignored():
    assert answer(future=1) == answer()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"study": 1}', "[" * 100_000])
def test_what_is_no_answer_is_refused(text):
    with pytest.raises(RemoteError):
        Answer.from_json(text)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda s: st.dictionaries(st.text(), s)))
def test_random_json_is_refused_and_never_crashes(value):
    with pytest.raises(P2pmpcError):
        Answer.from_json(value)


def test_a_statistic_is_found_by_name_and_a_near_name_is_suggested():
    found = answer()
    assert list(found) == list(JSON["statistics"])
    assert len(found) == 6
    assert found["ages"].values["total"] == 1.5
    assert not found["ages"].complete
    assert not found["no"].complete
    assert found["bins"].complete
    with pytest.raises(NotFound, match="did you mean 'ages'"):
        found["age"]


def test_a_frame_has_the_rows_of_the_table_or_the_scalars():
    frame = answer()["ages"].frame()
    assert list(frame.columns) == ["column", "sex", "n", "mean"]
    assert frame["mean"][0] == 63.3
    assert answer()["diff"].frame().to_dict("records") == [JSON["statistics"]["diff"]["values"]]


def test_what_was_withheld_raises_with_what_would_pass():
    for act in (answer()["no"].frame, answer()["no"].plot):
        with pytest.raises(Withheld, match="too few members") as caught:
            act()
        assert caught.value.next == "What would pass: 3 members"


def test_a_histogram_draws_one_bar_for_each_bin_that_is_given():
    axes = answer()["bins"].plot().axes[0]
    assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in axes.patches] == [
        (0, 50, 28),
        (100, 20.5, 11),
    ]
    assert axes.get_title() == "1 suppressed"


def test_a_crosstab_draws_its_counts_and_says_which_are_suppressed():
    axes = answer()["cross"].plot().axes[0]
    assert [text.get_text() for text in axes.texts] == ["12", "suppressed"]


@pytest.mark.parametrize(("name", "label"), [("fit", "age"), ("diff", "difference")])
def test_models_and_t_tests_draw_a_forest_without_the_constant(name, label):
    axes = answer()[name].plot().axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [label]


def test_a_column_of_nothing_is_a_column_of_numbers_in_a_frame():
    table = [{"column": "age", "q1": None, "n": 3}, {"column": "sex", "n": 3, "level": "a"}]
    frame = answer(statistics={"d": {"kind": "describe", "table": table}})["d"].frame()
    assert list(frame.columns) == ["column", "level", "q1", "n"]
    assert frame["q1"].dtype == "float64"


def test_counts_by_level_draw_one_bar_each():
    table = [{"sex": "male", "n": 12}, {"sex": "female", "n": None}]
    axes = answer(statistics={"c": {"kind": "count", "table": table}})["c"].plot().axes[0]
    assert [bar.get_height() for bar in axes.patches] == [12]
    assert axes.get_title() == "1 suppressed"
    alone = answer(statistics={"c": {"kind": "count", "values": {"n": 30}}})["c"].plot().axes[0]
    assert [bar.get_height() for bar in alone.patches] == [30]


def test_correlations_draw_a_map_with_ones_on_its_diagonal():
    table = [{"a": "age", "b": "time", "r": -0.25}]
    axes = answer(statistics={"r": {"kind": "correlation", "table": table}})["r"].plot().axes[0]
    assert [text.get_text() for text in axes.texts] == ["1.00", "-0.25", "-0.25", "1.00"]


def test_a_kind_without_a_figure_says_so():
    with pytest.raises(NotFound, match="no figure of describe"):
        answer()["ages"].plot()


def test_the_first_line_says_how_many_members_of_how_many():
    assert next(answer().lines()) == "3 of 3 members, n = 228"
    statistics = {"a": {"kind": "count", "n": 170}}
    absent = answer(members=["north", "south"], absent=["west"], statistics=statistics)
    assert absent.heading == "2 of 3 members, n = 170"
    assert str(absent).splitlines()[1] == "without west"
    both = {**statistics, "b": {"kind": "count", "n": 20}}
    assert answer(statistics=both).heading == "3 of 3 members, n = 20 to 170"


def test_plain_text_shows_tables_suppressions_and_reasons():
    text = str(answer())
    assert "ages (describe), n = 228, 2 left out" in text
    assert "suppressed: female, n (R)" in text
    assert "no (anova): withheld. too few members" in text
    assert "what would pass: 3 members" in text
    assert "difference = 3" in text
    assert "note: two members can subtract" in text
    assert "None" not in text


def test_a_suppressed_count_of_those_left_out_leaves_the_answer_complete():
    cell = {"row": "", "column": "left_out", "rule": "R", "would_pass": "10"}
    assert answer(statistics={"a": {"kind": "count", "suppressed": [cell]}})["a"].complete


def test_a_long_table_is_cut_in_plain_text_only():
    table = [{"x": number} for number in range(ROWS_SHOWN_MAX + 1)]
    found = answer(statistics={"a": {"kind": "count", "table": table}})
    assert "and 1 more rows" in str(found)
    assert len(found["a"].frame()) == ROWS_SHOWN_MAX + 1


def test_an_answer_without_its_receipt_cannot_be_verified():
    with pytest.raises(NotFound, match="without its receipt"):
        answer().receipt.verify()


def test_a_receipt_that_is_none_does_not_verify():
    with pytest.raises(P2pmpcError) as caught:
        answer().with_proof(b"nonsense").verify()
    assert caught.value.exit == 7


@pytest.fixture
def proven(society):
    """An answer with a real receipt of three members around it."""
    receipt = msgspec.structs.replace(society.run(), answer=json.dumps(JSON).encode())
    certificate = certificate_hash(receipt.certificate).hex()
    return answer(receipt={"certificate": certificate}).with_proof(encode(receipt))


def test_a_sound_receipt_verifies_and_other_numbers_do_not(proven):
    proven.receipt.verify()
    proven.verify()
    again = Answer.from_json(proven.to_json())
    again.verify()
    others = {**JSON["statistics"], "diff": {"kind": "t_test", "values": {"t": 9.9}}}
    forged = Answer.from_json({**proven.to_json(), "statistics": others})
    with pytest.raises(LogError, match="not those of the receipt"):
        forged.verify()


def test_a_receipt_of_another_certificate_does_not_verify(proven):
    other = Answer.from_json(
        {**proven.to_json(), "receipt": {"certificate": "00", "proof": proven.receipt.proof}}
    )
    with pytest.raises(LogError, match="another answer"):
        other.receipt.verify()
