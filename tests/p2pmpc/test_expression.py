"""`where`: the grammar, its limits, and what is refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmpc.errors import BadExpression
from p2pmpc.expression import (
    All,
    Among,
    Any,
    Compare,
    IsMissing,
    Not,
    parse_where,
    renamed,
)
from p2pmpc.limits import WHERE_CHARACTERS_MAX, WHERE_DEPTH_MAX, WHERE_ITEMS_MAX

WORDS = ["age", "`a b`", "and", "or", "not", "in", "is", "missing", "true", "(", ")", "[", "]", ","]
MARKS = ["=", "==", "!=", "<>", "<", "<=", ">", ">=", "1", "-2.5", "1e3", "'x'", '"y"', ";", "x.y"]


def tree(text):
    return parse_where(text).tree


def test_the_example_of_the_interface_is_read():
    assert tree("age >= 40 and ph_ecog <= 2") == All(
        (Compare("age", ">=", Decimal(40)), Compare("ph_ecog", "<=", Decimal(2)))
    )


def test_and_binds_tighter_than_or_and_not_tightest():
    expected = Any(
        (
            Compare("a", "=", Decimal(1)),
            All((Not(Compare("b", "=", Decimal(2))), Compare("c", "=", Decimal(3)))),
        )
    )
    assert tree("a = 1 or not b = 2 and c = 3") == expected


def test_parentheses_group():
    assert isinstance(tree("(a = 1 or b = 2) and c = 3"), All)


@pytest.mark.parametrize(("one", "other"), [("==", "="), ("<>", "!=")])
def test_spellings_of_one_operator_are_one(one, other):
    assert tree(f"a {one} 1") == tree(f"a {other} 1")


def test_a_value_may_stand_on_the_left():
    assert tree("40 <= age") == tree("age >= 40")
    assert tree("'x' = s") == tree('s = "x"')


def test_texts_stand_in_either_quotes_and_hold_the_other():
    assert tree("""s = "it's" """) == Compare("s", "=", "it's")
    assert tree("""s = 'say "a"' """) == Compare("s", "=", 'say "a"')


def test_lists_missing_booleans_and_backticks():
    assert tree("s in ['a', 'b']") == Among("s", ("a", "b"))
    assert tree("s not in [1]") == Not(Among("s", (Decimal(1),)))
    assert tree("`größe m` is missing") == IsMissing("größe m")
    assert tree("s is not missing") == Not(IsMissing("s"))
    assert tree("b = TRUE AND c = false") == All(
        (Compare("b", "=", True), Compare("c", "=", False))
    )


def test_a_quoted_name_is_a_column_even_when_it_is_a_word_of_the_grammar():
    assert tree("`and` = 1") == Compare("and", "=", Decimal(1))
    with pytest.raises(BadExpression, match="value was expected"):
        parse_where("a in [`true`]")


def test_columns_are_listed_once_in_order():
    assert parse_where("b = 1 and (a = 2 or b is missing)").columns == ("b", "a")


def test_columns_can_be_renamed():
    where = parse_where("p.a = 1 and not (b in [2] or c is missing)")
    assert renamed(where, str.upper).columns == ("P.A", "B", "C")


@pytest.mark.parametrize(
    ("text", "character", "said"),
    [
        ("__import__('os')", 11, "functions are not offered"),
        ("__import__('os').system('ls')", 17, "'.' has no meaning"),
        ("age > 1; drop", 8, "';' has no meaning"),
        ("sex = male", 7, "not the column 'male'"),
        ("40 <= age <= 65", 11, "'<=' was not expected"),
        ("größe > 1", 3, "cannot begin a bare name"),
        ("s = 'x", 5, "not closed"),
        ("a = 1 and", 10, "the end"),
        ("a & b", 3, "'&' has no meaning"),
        ("lambda: 0", 7, "':' has no meaning"),
        ("a in 1", 6, "`[` was expected"),
        ("smoker", 7, "a comparison was expected"),
        ("(a = 1", 7, "closing bracket"),
        ("1 = 1", 5, "a column was expected"),
    ],
)
def test_what_is_not_in_the_grammar_is_refused_with_its_place(text, character, said):
    with pytest.raises(BadExpression) as caught:
        parse_where(text)
    assert f"at character {character}:" in caught.value.message
    assert said in caught.value.message
    assert caught.value.next


def test_each_limit_holds_one_past_it():
    nested = "(" * (WHERE_DEPTH_MAX - 1) + "a = 1" + ")" * (WHERE_DEPTH_MAX - 1)
    parse_where(nested)
    with pytest.raises(BadExpression, match="deep"):
        parse_where(f"({nested})")
    with pytest.raises(BadExpression, match="deep"):
        parse_where("not " * WHERE_DEPTH_MAX + "a = 1")
    parse_where("a=1" + " " * (WHERE_CHARACTERS_MAX - 3))
    with pytest.raises(BadExpression, match="longer"):
        parse_where("a=1" + " " * (WHERE_CHARACTERS_MAX - 2))
    parse_where(f"a in [{','.join('1' * WHERE_ITEMS_MAX)}]")
    with pytest.raises(BadExpression, match="values"):
        parse_where(f"a in [{','.join('1' * (WHERE_ITEMS_MAX + 1))}]")


def test_an_absurd_number_is_refused_and_never_expanded():
    with pytest.raises(BadExpression, match="digits"):
        parse_where("a < 1e999999999")


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_as_a_bad_expression(text):
    try:
        where = parse_where(text)
    except BadExpression:
        return
    assert where.text == text


@given(st.lists(st.sampled_from(WORDS + MARKS), max_size=14).map(" ".join))
def test_any_row_of_words_is_read_or_refused_as_a_bad_expression(text):
    try:
        where = parse_where(text)
    except BadExpression:
        return
    assert where.columns
    assert parse_where(where.text) == where
