"""Many studies at one node: each takes its turn, and one that has ended takes hardly any memory."""

import importlib.util
import pathlib
import random
import sys

import pytest

from nodes.core.effects import SetTimer

spec = importlib.util.spec_from_file_location(
    "core_stage", pathlib.Path(__file__).with_name("stage.py")
)
scenes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scenes)

ENDED_BYTES_MAX = 6_000  # of memory for a study that is over, its text included


def weight(thing, seen):
    """Bytes of an object and of all that it alone refers to."""
    if id(thing) in seen or isinstance(thing, type):
        return 0
    seen.add(id(thing))
    inner = []
    if isinstance(thing, dict):
        inner = [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | set | frozenset):
        inner = list(thing)
    else:
        names = getattr(thing, "__slots__", ()) or getattr(thing, "__struct_fields__", ())
        inner = [getattr(thing, name, None) for name in names]
        inner += list(getattr(thing, "__dict__", {}).values())
    return sys.getsizeof(thing) + sum(weight(one, seen) for one in inner)


def queue(tmp_path, count, sessions):
    stage = scenes.make_stage(tmp_path, ("east", "north"), sessions=sessions)
    studies = [scenes.study_among(("east", "north"), f"Study {n}") for n in range(count)]
    for study in studies:
        scenes.scene.propose(stage, "east", study)
    stage.deliver()
    return stage, studies


def check_queue(tmp_path, count):
    stage, studies = queue(tmp_path, count, sessions=2)
    core = stage.cores["north"]
    assert len(core.places.held) == 2
    assert len(core.places.waiting) == count - 2
    stage.settle(random.Random(1))
    for study in studies:
        assert set(stage.states(study).values()) == {"answered"}
    for core in stage.cores.values():
        assert not core.places.open | core.places.waiting | core.places.held
        assert core.aside == {}
        shared = {id(core.name)}
        each = [weight(case, set(shared)) for case in core.cases.values()]
        assert max(each) <= ENDED_BYTES_MAX
        assert weight(core.sessions, set()) <= 400 * count + 1000
    timers = [e.name for e in stage.effects("east", SetTimer) if e.name.startswith("expire:")]
    assert len(timers) == count
    scenes.close(stage)


def test_forty_studies_queued_at_one_node_all_run_and_leave_little(tmp_path):
    check_queue(tmp_path, 40)


@pytest.mark.slow
def test_a_thousand_studies_queued_at_one_node_all_run_and_leave_little(tmp_path):
    check_queue(tmp_path, 1000)


def test_what_has_ended_keeps_what_people_ask_and_nothing_of_its_session(tmp_path):
    stage, studies = queue(tmp_path, 1, sessions=1)
    stage.settle(random.Random(1))
    case = stage.cores["north"].cases[studies[0].id]
    assert (case.state, case.study) == ("answered", studies[0])
    assert set(case.words) == set(case.consents) == {"east", "north"}
    assert case.session
    gone = (case.described, case.rules, case.readies, case.releases, case.checked, case.gathered)
    assert not any(gone)
    assert (case.certificate, case.secret) == (None, b"")
    scenes.close(stage)
