import pandas as pd


def test_a_count_is_the_number_of_rows(asked, lung):
    answer = asked({}, "count", {}).answer(lung[:100], lung[100:])
    assert answer.values == {"n": 228}
    assert answer.precision.startswith("exact")


def test_levels_are_counted_in_dictionary_order(asked, lung, lung_specs, uneven):
    answer = asked(lung_specs("ph.ecog"), "count", {"by": "ph.ecog"}).answer(*uneven(lung))
    expected = lung["ph.ecog"].value_counts()
    assert [line["ph.ecog"] for line in answer.table] == ["0", "1", "2", "3", "4"]
    assert [line["n"] for line in answer.table[:4]] == [expected[k] for k in range(4)]
    assert answer.left_out == 1


def test_the_total_is_withheld_with_one_small_level(asked, lung, lung_specs, thresholds):
    rules = thresholds(minimum_cell=10, zeros="suppress")
    answer = asked(lung_specs("ph.ecog"), "count", {"by": "ph.ecog"}, rules).answer(lung)
    assert [line["n"] for line in answer.table] == [63, 113, 50, None, None]
    assert answer.n is answer.values["n"] is answer.left_out is None
    assert {item["row"] for item in answer.suppressed} == {"3", "4"}
    assert answer.suppressed[0]["rule"] == "MinimumThresholdCheck"


def test_no_row_at_all_is_withheld(asked, lung_specs):
    empty = pd.DataFrame({"sex": pd.Series([], dtype=object)})
    answer = asked(lung_specs("sex"), "count", {}).answer(empty, empty)
    assert not answer.released
    assert answer.n is None
