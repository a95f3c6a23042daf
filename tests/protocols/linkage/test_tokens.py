import pytest

from protocols.linkage.tokens import PARTS_MAX, PASSES_MAX, join_parts, normalise_part, unique_keys


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("  Anna\u00a0 \t Maria ", "anna maria"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("\uff21\uff22", "ab"),
        ("e\u0301", "\u00e9"),
        ("007-1", "007-1"),
        ("   ", None),
        ("", None),
        (None, None),
    ],
)
def test_keys_1_folds_width_case_and_blanks_and_leaves_the_rest(text, normal):
    assert normalise_part(text) == normal


def test_joining_is_injective_over_parts_and_passes():
    assert join_parts(1, ["ab", "c"]) != join_parts(1, ["a", "bc"])
    assert join_parts(1, ["ab"]) != join_parts(2, ["ab"])
    assert join_parts(1, ["a b"]) != join_parts(1, ["a", "b"])


def test_an_empty_part_makes_the_whole_key_missing():
    assert join_parts(1, ["anna", " "]) is None


@pytest.mark.parametrize(("number", "parts"), [(0, 1), (PASSES_MAX + 1, 1), (1, 0)])
def test_a_pass_outside_the_limits_is_refused(number, parts):
    with pytest.raises(ValueError, match="passes"):
        join_parts(number, ["a"] * parts)


def test_one_part_too_many_is_refused():
    join_parts(1, ["a"] * PARTS_MAX)
    with pytest.raises(ValueError, match="columns"):
        join_parts(1, ["a"] * (PARTS_MAX + 1))


def test_a_key_of_two_persons_links_nobody_in_that_pass():
    keys, keep, duplicates = unique_keys(
        [[b"a", b"b", b"c"], [b"x", b"x", b"y"]], [b"1", b"2", b"3"]
    )
    assert keys == [[b"a", b"b", b"c"], [None, None, b"y"]]
    assert keep.all()
    assert duplicates == 0


def test_a_key_repeated_by_one_person_still_links():
    keys, keep, duplicates = unique_keys([[b"a", b"a", b"b"]], [b"1", b"1", b"2"])
    assert keys == [[b"a", None, b"b"]]
    assert keep.tolist() == [True, False, True]
    assert duplicates == 1


def test_without_persons_rows_with_one_first_key_are_one_person():
    keys, keep, duplicates = unique_keys([[b"a", b"a", None, None], [b"x", b"y", b"z", b"z"]], None)
    assert keep.tolist() == [True, False, True, True]
    assert keys == [[b"a", None, None, None], [b"x", None, None, None]]
    assert duplicates == 1


def test_a_dropped_row_still_makes_a_key_ambiguous():
    keys, _, _ = unique_keys([[b"a", b"a", b"b"], [b"x", b"y", b"y"]], [b"1", b"1", b"2"])
    assert keys[1] == [b"x", None, None]


def test_a_row_without_a_person_falls_back_on_its_first_key():
    _, keep, _ = unique_keys([[b"a", b"a", b"a"]], [b"1", None, None])
    assert keep.tolist() == [True, True, False]


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one entry a row"):
        unique_keys([[b"a"], [b"a", b"b"]], None)
