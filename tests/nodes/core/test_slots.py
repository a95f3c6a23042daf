"""Places at a node: who is next, who gives way, and that nobody waits for ever."""

import importlib.util
import pathlib
import random

import pytest

from nodes.core.effects import SetTimer, StartSession, TimerFired
from nodes.core.ending import GIVE_WAYS_MAX, end_attempt
from nodes.core.studies import EndedNote
from p2pmpc.record import GAVE_WAY

spec = importlib.util.spec_from_file_location(
    "core_stage", pathlib.Path(__file__).with_name("stage.py")
)
scenes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scenes)
make_stage, study_among, propose = scenes.make_stage, scenes.study_among, scenes.scene.propose

NAMES = ("east", "north", "south", "west")


@pytest.fixture
def stage(tmp_path):
    made = make_stage(tmp_path, NAMES, sessions=1)
    yield made
    scenes.close(made)


def sorted_studies(count, members):
    """Studies among these members, lowest id first."""
    found = [study_among(members, f"Study {number}") for number in range(count)]
    return sorted(found, key=lambda study: study.id)


def test_a_second_study_waits_agreed_until_the_first_has_ended(stage):
    lower, higher = sorted_studies(2, ("east", "north"))
    propose(stage, "east", lower)
    stage.deliver()
    propose(stage, "east", higher)
    stage.deliver()
    assert set(stage.states(lower).values()) == {"computing"}
    assert set(stage.states(higher).values()) == {"agreed"}
    stage.settle(random.Random(1))
    assert set(stage.states(lower).values()) == {"answered"}
    assert set(stage.states(higher).values()) == {"answered"}


def test_the_lowest_study_that_waits_is_next(stage):
    first, *others = sorted_studies(5, ("east", "north"))
    for study in [others[0], others[3], others[1], first, others[2]]:
        propose(stage, "east", study)
        stage.deliver()
    stage.settle(random.Random(2))
    begun = [effect.order.study for effect in stage.effects("east", StartSession)]
    waited = sorted(study.id for study in (first, others[3], others[1], others[2]))
    assert begun == [others[0].id, *waited]


def test_as_many_run_at_once_as_there_are_places(stage):
    stage.tune(sessions=2)
    studies = sorted_studies(3, ("east", "north"))
    for study in studies:
        propose(stage, "east", study)
    stage.deliver()
    states = sorted(state for study in studies for state in set(stage.states(study).values()))
    assert states == ["agreed", "computing", "computing"]


def among(members, below=None, above=None):
    """A study among these members with an id on the wanted side of another's."""
    drawn = (study_among(members, f"Other study {number}") for number in range(1000))
    fits = lambda one: (below is None or one.id < below.id) and (above is None or one.id > above.id)
    return next(one for one in drawn if fits(one))


def away(name):
    return lambda item: item[1] == name


def hold(stage, held):
    """East and north are ready for the study and wait for west, which hears of nothing."""
    propose(stage, "west", held)
    stage.deliver(lose=away("west"))
    assert stage.states(held) == {"east": "ready", "north": "ready", "west": "proposed"}


def catch_up(stage, coins):
    for _ in range(3):
        for name in NAMES:
            stage.handle(name, TimerFired("gossip"))
        stage.settle(coins)


def test_what_is_only_ready_gives_way_to_a_lower_study_that_calls(stage):
    """South calls east and north to the lower study; they let the higher one go, blameless."""
    held = study_among(("east", "north", "west"))
    hold(stage, held)
    lower = among(("east", "north", "south"), below=held)
    propose(stage, "south", lower)
    stage.deliver(lose=away("west"))
    assert set(stage.states(lower).values()) == {"computing"}
    (gave,) = stage.contents("east", "ended")
    assert (gave.study, gave.attempt, gave.code) == (held.id, 1, GAVE_WAY)
    assert stage.cores["north"].cases[held.id].state == "agreed"
    catch_up(stage, random.Random(4))
    assert set(stage.states(held).values()) == {"answered"}
    assert stage.cores["east"].cases[held.id].attempt == 2


def test_a_higher_study_that_calls_waits(stage):
    held = study_among(("east", "north", "west"))
    hold(stage, held)
    higher = among(("east", "north", "south"), above=held)
    propose(stage, "south", higher)
    stage.deliver(lose=away("west"))
    assert stage.states(higher) == {"east": "agreed", "north": "agreed", "south": "ready"}
    assert "ended" not in stage.kinds("east")
    stage.handle("south", TimerFired(f"start:{higher.id}"))
    assert stage.states(higher)["south"] == "ready"  # the others are busy, not missing
    assert stage.effects("south", SetTimer)[-1].name == f"start:{higher.id}"
    catch_up(stage, random.Random(5))
    assert set(stage.states(higher).values()) == {"answered"}


def test_who_is_busy_is_not_waited_for_longer_than_an_attempt_may_last(stage):
    held = study_among(("east", "north", "west"))
    hold(stage, held)
    higher = among(("east", "north", "south"), above=held)
    propose(stage, "south", higher)
    stage.deliver(lose=away("west"))
    stage.now_ms += int(stage.cores["south"].settings.attempt_deadline_s * 1000)
    stage.handle("south", TimerFired(f"start:{higher.id}"))
    (ended,) = stage.contents("south", "ended")
    assert (ended.code, ended.waited_for) == (402, "east")


def test_a_study_that_gave_way_too_often_has_failed(stage):
    held = study_among(("east", "north", "west"))
    hold(stage, held)
    case = stage.cores["east"].cases[held.id]
    gave = EndedNote(GAVE_WAY, "it gave way", "")
    case.over = {-number: gave for number in range(1, GIVE_WAYS_MAX)}
    end_attempt(stage.cores["east"], case, GAVE_WAY, "it gave way", "", "")
    assert case.state == "agreed"
    hold_again = stage.cores["north"].cases[held.id]
    hold_again.over = {-number: gave for number in range(1, GIVE_WAYS_MAX + 1)}
    end_attempt(stage.cores["north"], hold_again, GAVE_WAY, "it gave way", "", "")
    assert hold_again.state == "failed"


def draw_studies(coins, names, count):
    found = []
    for number in range(count):
        members = tuple(sorted(coins.sample(names, coins.randint(2, len(names)))))
        found.append(study_among(members, f"Study {number}"))
    return found


@pytest.mark.parametrize("seed", range(12))
def test_studies_that_contend_for_single_places_all_end_answered_in_whatever_order(tmp_path, seed):
    """No wait for `ready` is cut short, no attempt fails: whoever waits is reached in the end."""
    coins = random.Random(seed)
    stage = make_stage(tmp_path, NAMES, sessions=1)
    studies = draw_studies(coins, NAMES, coins.randint(2, 6))
    for study in studies:
        propose(stage, coins.choice(NAMES), study)
    stage.settle(coins, rest=False)
    for study in studies:
        assert set(stage.states(study).values()) == {"answered"}, f"seed {seed}"
    codes = {note.code for name in NAMES for note in stage.contents(name, "ended")}
    assert codes <= {GAVE_WAY}
    scenes.close(stage)


def test_studies_of_these_do_give_way(tmp_path):
    """The test above would prove nothing if nobody ever contended."""
    gave = []
    for seed in range(40):
        coins, folder = random.Random(seed), tmp_path / str(seed)
        folder.mkdir()
        stage = make_stage(folder, NAMES, sessions=1)
        for study in draw_studies(coins, NAMES, 4):
            propose(stage, coins.choice(NAMES), study)
        stage.settle(coins, rest=False)
        gave += [note for name in NAMES for note in stage.contents(name, "ended")]
        scenes.close(stage)
        if gave:
            break
    assert gave
    assert all(note.attempt and "gave its place" in note.why for note in gave)
