"""A process may die after each of its own entries: what it had said holds, and is said once."""

import importlib.util
import pathlib
import random

import pytest

from nodes.core.effects import Append, PolicySet, RevokeAsked, StartSession, WithdrawAsked
from nodes.core.studies import RUNNING
from nodes.store.record import RecordStore
from p2pmpc.policy import Policy, Rules
from p2pmpc.record import Answered, Consent, Ended, Ready, Refusal, Release, Released, read_content

spec = importlib.util.spec_from_file_location(
    "core_stage", pathlib.Path(__file__).with_name("stage.py")
)
scenes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scenes)
propose = scenes.scene.propose

NAMES = ("east", "north", "south")


def answered(stage, study):
    stage.settle(random.Random(1))


def tried_twice(stage, study):
    for _ in range(4):
        stage.advance(*stage.movable()[0])
        stage.deliver()
    stage.restart("south")
    stage.settle(random.Random(2))


def failed(stage, study):
    for _ in range(3):
        stage.restart("south")
        stage.settle(random.Random(3), rest=False)
        stage.ring("retry:")
        stage.deliver()


def withdrawn(stage, study):
    stage.handle("north", WithdrawAsked(study.id, "no longer needed"))
    stage.deliver()


def revoked(stage, study):
    stage.handle("east", RevokeAsked(study.id, "a patient objected"))
    stage.deliver()


def refused(stage, study):
    """Another study, which south refuses."""
    stage.settle(random.Random(4))
    stage.handle("south", PolicySet(Policy(Rules(decide="refuse"))))
    propose(stage, "east", scenes.study_among(NAMES, "Another"))
    stage.deliver()


STORIES = [answered, tried_twice, failed, withdrawn, revoked, refused]


def prefixes(entries, name):
    """The record as it was when each own entry had just been stored: own and what it had read."""
    own = [place for place, known in enumerate(entries) if known.entry.author == name]
    for place in own:
        last = entries[place].entry
        read = {author: seq for author, seq, _ in last.heads}
        yield [
            known
            for known in entries
            if (known.entry.author == name and known.entry.seq <= last.seq)
            or known.entry.seq <= read.get(known.entry.author, -1)
        ]


def lay(folder, source, entries, number):
    """A store that holds just these."""
    store = RecordStore(folder / f"prefix-{number}.sqlite")
    filed = [
        source.entries(known.entry.author, known.entry.seq, known.entry.seq)[0] for known in entries
    ]
    store.append(filed)
    return store


def said(store, name):
    """What a member says once: about a study, an attempt of it, or a session."""
    found = []
    head = store.head(name)
    for signed, body in store.entries(name, 0, head.seq):
        content = read_content(signed.read().kind, body)
        match content:
            case Consent() | Refusal():
                found.append((type(content), content.study))
            case Ready() | Ended():
                found.append((type(content), content.study, content.attempt))
            case Release() | Released() | Answered():
                found.append((type(content), content.session))
    return found


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
@pytest.mark.parametrize("name", ["east", "south"])
def test_a_core_on_any_prefix_of_its_own_entries_goes_on_and_repeats_nothing(
    tmp_path, study, story, name
):
    stage = scenes.make_stage(tmp_path)
    propose(stage, "north", study)
    stage.deliver()
    story(stage, study)
    old, source = stage.cores[name], stage.stores[name]
    for number, entries in enumerate(prefixes(scenes.stored(source), name)):
        store = lay(tmp_path, source, entries, number)
        core = scenes.core_on(old, store)
        effects = core.restore(stage.now_ms, scenes.stored(store))
        assert not [e for e in effects if isinstance(e, StartSession)]
        for effect in effects:
            if isinstance(effect, Append):
                store.append(effect.entries)
        once = said(store, name)
        assert len(once) == len(set(once)), f"prefix {number}: something was said twice"
        again = scenes.core_on(old, store)
        repeated = again.restore(stage.now_ms, scenes.stored(store))
        same_states(core, again)
        begun = {c.id for c in core.cases.values() if c.state == "ready"}
        written = [e for e in repeated if isinstance(e, Append)]
        assert bool(written) == bool(begun), f"prefix {number}: a second start writes anew"
        store.close()
    scenes.close(stage)


def same_states(core, again):
    """What ran has ended with the process; everything else stands where it stood."""
    for study, case in core.cases.items():
        if case.state in RUNNING:
            continue
        assert again.cases[study].state == case.state
        assert (again.cases[study].due, again.cases[study].attempt) == (case.due, case.attempt)
        assert again.cases[study].consents == case.consents


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_core_on_its_whole_record_stands_where_it_stood(tmp_path, study, story):
    stage = scenes.make_stage(tmp_path, (*NAMES, "west"))
    propose(stage, "north", study)
    stage.deliver()
    story(stage, study)
    for name, old in stage.cores.items():
        again = scenes.core_on(old, stage.stores[name])
        effects = again.restore(stage.now_ms, scenes.stored(stage.stores[name]))
        assert not [e for e in effects if isinstance(e, Append)]
        for study_id, case in old.cases.items():
            found = again.cases[study_id]
            assert (found.state, found.due, found.attempt, found.session, found.released) == (
                case.state, case.due, case.attempt, case.session, case.released,
            )  # fmt: skip
            assert (found.ended and found.ended.code) == (case.ended and case.ended.code)
        assert again.places == old.places
        assert again.sessions == old.sessions
    scenes.close(stage)
