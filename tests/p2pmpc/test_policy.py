"""Policies: defaults that deny, overrides, and the strictest of several."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pmpc.errors import BadPolicy, P2pmpcError, RemoteError
from p2pmpc.limits import POLICY_BYTES_MAX, ROWS_MAX_MAX
from p2pmpc.policy import (
    DECIDE,
    DEFAULT,
    EXTREMES,
    MEMBERS_MAX,
    REHEARSAL,
    ZEROS,
    Policy,
    Rules,
    parse_policy,
    read_policy,
    strictest,
)

TEXT = """
[default]
decide = "approve"
minimum_cell = 12
purposes = ["DUO:0000042"]
kinds = ["describe", "count"]

[data.lung]
minimum_cell = 20
"""


def test_what_a_file_leaves_out_is_the_default_that_denies():
    assert parse_policy("", "p.toml") == DEFAULT
    rules = DEFAULT.default
    assert (rules.decide, rules.minimum_cell, rules.minimum_members) == ("ask", 10, 3)
    assert (rules.minimum_cohort, rules.parameters_per_row) == (10, Decimal("0.1"))
    assert (rules.zeros, rules.extremes) == ("suppress", "never")


def test_a_data_set_overrides_the_default_and_keeps_the_rest():
    policy = parse_policy(TEXT, "p.toml")
    assert policy.rules_for("lung").minimum_cell == 20
    assert policy.rules_for("lung").kinds == ("count", "describe")
    assert policy.rules_for("other").minimum_cell == 12


def test_a_rehearsal_approves_and_lets_two_members_run():
    rules = REHEARSAL.default
    assert (rules.decide, rules.minimum_members, rules.minimum_cell) == ("approve", 2, 10)
    base = parse_policy("[default]\nminimum_cell = 5", "p.toml", REHEARSAL.default)
    assert base.default.decide == "approve"
    assert base.default.minimum_cell == 5


def test_rules_over_several_data_sets_are_the_strictest():
    policy = parse_policy(TEXT, "p.toml")
    assert policy.rules_for_all(["other", "lung"]).minimum_cell == 20
    assert policy.rules_for_all([]) == policy.default
    assert policy.restricted_to(["other"]).data == ()


@pytest.mark.parametrize(
    ("text", "said", "field"),
    [
        ("[default]\nminimum_cel = 3", "did you mean 'minimum_cell'", "default.minimum_cel"),
        ("[default]\nzeros = 'shwo'", "did you mean 'show'", "default.zeros"),
        ("[default]\nminimum_cell = 0", "must be from 1", "default.minimum_cell"),
        ("[default]\nminimum_members = 1", "must be from 2", "default.minimum_members"),
        ("[default]\nminimum_cell = 1.5", "whole number", "default.minimum_cell"),
        ("[default]\nparameters_per_row = 0", "above 0", "default.parameters_per_row"),
        ("[data.lung]\nkinds = ['cont']", "did you mean 'count'", "data.lung.kinds"),
        ("[defalt]\nzeros = 'show'", "not a known field", "defalt"),
        ("default = 1", "must be a table", "default"),
    ],
)
def test_a_mistake_names_file_and_field(text, said, field):
    with pytest.raises(BadPolicy) as caught:
        parse_policy(text, "p.toml")
    assert said in caught.value.message
    assert caught.value.where == {"file": "p.toml", "field": field}


def test_a_file_is_read(tmp_path):
    (tmp_path / "p.toml").write_text(TEXT)
    assert read_policy(tmp_path / "p.toml") == parse_policy(TEXT, "p.toml")


def test_an_empty_list_allows_nothing_and_stays_empty():
    none = Rules(purposes=())
    assert strictest([none, Rules(purposes=("a",)), Rules()]).purposes == ()
    assert strictest([Rules(purposes=("b",)), Rules(purposes=("a",))]).purposes == ()
    assert strictest([Rules(), Rules()]).purposes is None


rules = st.builds(
    Rules,
    decide=st.sampled_from(DECIDE),
    minimum_cell=st.integers(1, 100),
    minimum_members=st.integers(2, 9),
    minimum_cohort=st.integers(1, 100),
    parameters_per_row=st.decimals("0.001", "1", places=3),
    zeros=st.sampled_from(ZEROS),
    extremes=st.sampled_from(EXTREMES),
    purposes=st.none() | st.lists(st.sampled_from(["a", "b c", '"']), unique=True).map(tuple),
    kinds=st.none() | st.lists(st.sampled_from(["count", "describe"]), unique=True).map(tuple),
)


@given(st.lists(rules, min_size=1, max_size=4))
def test_the_strictest_rules_satisfy_every_one(found):
    one = strictest(found)
    assert one == strictest(reversed(found)) == strictest([one, *found])
    for other in found:
        assert one.minimum_cell >= other.minimum_cell
        assert one.minimum_members >= other.minimum_members
        assert one.parameters_per_row <= other.parameters_per_row
        assert DECIDE.index(one.decide) >= DECIDE.index(other.decide)
        assert other.kinds is None or set(one.kinds) <= set(other.kinds)
        assert other.purposes is None or set(one.purposes) <= set(other.purposes)


@given(rules, st.dictionaries(st.sampled_from(["lung", "markers.2"]), rules))
def test_every_policy_survives_bytes_and_toml(default, data):
    from p2pmpc.policy import DatasetRules

    policy = Policy(default, tuple(DatasetRules(name, one) for name, one in data.items()))
    assert Policy.from_bytes(policy.to_bytes()) == policy
    if default.purposes is not None and default.kinds is not None:
        assert parse_policy(policy.to_toml(), "p.toml").default == default


@given(st.binary(max_size=100))
def test_random_bytes_are_refused_and_never_crash(data):
    with pytest.raises(P2pmpcError):
        Policy.from_bytes(data)


def test_bytes_from_a_peer_have_one_spelling():
    data = DEFAULT.to_bytes()
    assert b"0.1" in data
    with pytest.raises(RemoteError):
        Policy.from_bytes(data.replace(b"\xa30.1", b"\xa40.10"))


def test_each_limit_holds_one_past_it():
    Rules(minimum_members=MEMBERS_MAX, minimum_cell=ROWS_MAX_MAX)
    for fields in ({"minimum_members": MEMBERS_MAX + 1}, {"minimum_cell": ROWS_MAX_MAX + 1}):
        with pytest.raises(BadPolicy, match=next(iter(fields))):
            Rules(**fields)
    parse_policy(" " * POLICY_BYTES_MAX, "p.toml")
    with pytest.raises(BadPolicy, match="longer"):
        parse_policy(" " * (POLICY_BYTES_MAX + 1), "p.toml")
