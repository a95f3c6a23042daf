"""What a member's own rules say of a study."""

import pytest

from nodes.core.decision import decide
from p2pmpc.policy import Rules
from p2pmpc.study import parse_study

TEXT = """
[study]
title = "How many"
purpose = "DUO:0000042"
[data.patients]
dataset = "lung"
members = ["north", "south"]
[[statistic]]
name = "n"
kind = "count"
"""
LISTED = {"purposes": ("DUO:0000042",), "kinds": ("count",)}


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        (Rules(), "ask"),
        (Rules(decide="refuse", **LISTED), "refuse"),
        (Rules(decide="approve"), "approve"),
        (Rules(decide="approve", **LISTED), "approve"),
        (Rules(decide="approve", purposes=("DUO:0000007",)), "refuse"),
        (Rules(decide="approve", kinds=("describe",)), "refuse"),
        (Rules(decide="approve", kinds=()), "refuse"),
        (Rules(decide="ask", **LISTED), "approve"),
        (Rules(decide="ask", purposes=("DUO:0000042",)), "ask"),
        (Rules(decide="ask", purposes=("DUO:0000042",), kinds=("describe",)), "ask"),
    ],
)
def test_a_study_is_decided_by_the_rules_alone(rules, verdict):
    found = decide(parse_study(TEXT, "study.toml"), rules)
    assert found.verdict == verdict
    assert found.reason
    assert bool(found.would_pass) == (verdict == "refuse")


def test_a_study_without_a_purpose_is_told_so():
    study = parse_study(TEXT.replace('purpose = "DUO:0000042"\n', ""), "study.toml")
    found = decide(study, Rules(decide="approve", purposes=("DUO:0000042",)))
    assert "states no purpose" in found.reason
    assert found.would_pass == "a purpose among: DUO:0000042"
