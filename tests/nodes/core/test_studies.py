"""The table of a study's life: every state meets every event."""

import pytest

from nodes.core.studies import ENDS, FINAL, RUNNING, STUDY, Case, following
from p2pmpc.errors import P2pmpcError

STATES = sorted({state for state, _ in STUDY} | set(STUDY.values()))
EVENTS = sorted({event for _, event in STUDY})


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_a_step_is_in_the_table_or_refused_by_name(state, event):
    case = Case.__new__(Case)
    case.study = type("Named", (), {"id": "abc"})()
    case.state = state
    if (state, event) in STUDY:
        assert following(case, event) == STUDY[state, event]
    else:
        with pytest.raises(P2pmpcError, match=state):
            following(case, event)


def test_nothing_follows_an_end():
    assert not [pair for pair in STUDY if pair[0] in FINAL]


def test_everything_can_be_reached_and_everything_ends():
    reached, waiting = {"proposed"}, ["proposed"]
    while waiting:
        state = waiting.pop()
        for (origin, _), target in STUDY.items():
            if origin == state and target not in reached:
                reached.add(target)
                waiting.append(target)
    assert reached == set(STATES)
    assert all(any(o == state for o, _ in STUDY) for state in reached - FINAL)


def test_whatever_runs_can_be_tried_again_but_for_what_may_have_opened():
    again = {state for state, event in STUDY if event == "attempt ended"}
    assert again == set(RUNNING) - {"opening"}
    assert {STUDY[state, "attempt ended"] for state in again} == {"agreed"}


def test_every_code_that_ends_a_study_in_its_own_way_is_in_the_table():
    assert set(ENDS.values()) <= {event for _, event in STUDY}
    assert set(ENDS.values()) <= FINAL


def test_what_opens_is_revoked_but_no_more_withdrawn():
    assert ("opening", "revoked") in STUDY
    assert ("opening", "withdrawn") not in STUDY
