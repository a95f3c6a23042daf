"""`formula`: the part of R's grammar that is offered, and what is refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmpc.errors import BadExpression
from p2pmpc.formula import Formula, FormulaFactor, parse_formula
from p2pmpc.limits import FORMULA_CHARACTERS_MAX, FORMULA_FACTORS_MAX, FORMULA_TERMS_MAX


def plain(name):
    return FormulaFactor(name, categorical=False)


def test_the_example_of_the_interface_is_read():
    formula = parse_formula("y ~ a + b + C(c) + a:b")
    assert formula.response == "y"
    assert formula.terms == (
        (plain("a"),),
        (plain("b"),),
        (FormulaFactor("c", categorical=True),),
        (plain("a"), plain("b")),
    )
    assert formula.columns == ("y", "a", "b", "c")


def test_a_right_side_alone_has_no_response():
    assert parse_formula("a + b") == Formula(None, ((plain("a"),), (plain("b"),)), "a + b")
    assert parse_formula("~ a").response is None


def test_backticks_quote_any_name():
    assert parse_formula("`y 1` ~ `größe m`:C(`a+b`)").columns == ("y 1", "größe m", "a+b")


def test_the_constant_may_be_written_and_changes_nothing():
    assert parse_formula("y ~ 1 + a").terms == parse_formula("y ~ a").terms
    assert parse_formula("y ~ 1").terms == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("y ~ a - 1", "`- 1`: a model without the constant"),
        ("y ~ a + 0", r"`\+ 0`: a model without the constant"),
        ("y ~ 0 + a", r"`\+ 0`: a model without the constant"),
        ("y ~ a - b", "cannot be taken away"),
        ("y ~ a*b", r"`\*` is not offered"),
        ("y ~ (a + b)^2", r"`\^` is not offered"),
        ("y ~ (a + b)", "a column was expected"),
        ("y ~ a^2", r"`\^` is not offered"),
        ("y ~ log(a)", r"log\(\) is not offered"),
        ("log(y) ~ a", "transform columns beforehand"),
        ("y ~ a + a", "twice"),
        ("y ~ a:b + b:a", "twice"),
        ("y ~ a:a", "interacts with itself"),
        ("y ~ y + a", "both sides"),
        ("y ~", "the end"),
        ("y ~ a ~ b", "not expected"),
        ("y ~ .", "all other columns"),
        ("y ~ 2", "is no term"),
        ("1", "names no column"),
        ("", "empty"),
        ("y ~ os.system(a)", r"os.system\(\) is not offered"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(text, said):
    with pytest.raises(BadExpression, match=said):
        parse_formula(text)


def test_each_limit_holds_one_past_it():
    terms = [f"x{number}" for number in range(FORMULA_TERMS_MAX + 1)]
    assert len(parse_formula("y ~ " + "+".join(terms[:-1])).terms) == FORMULA_TERMS_MAX
    with pytest.raises(BadExpression, match="terms"):
        parse_formula("y ~ " + "+".join(terms))
    parse_formula("y ~ " + ":".join(terms[:FORMULA_FACTORS_MAX]))
    with pytest.raises(BadExpression, match="interaction"):
        parse_formula("y ~ " + ":".join(terms[: FORMULA_FACTORS_MAX + 1]))
    with pytest.raises(BadExpression, match="longer"):
        parse_formula("a" * (FORMULA_CHARACTERS_MAX + 1))


@given(st.one_of(st.text(max_size=60), st.text("ab~+:C()`1- 0*", max_size=25)))
def test_any_text_is_read_or_refused_as_a_bad_expression(text):
    try:
        formula = parse_formula(text)
    except BadExpression:
        return
    assert formula.columns
