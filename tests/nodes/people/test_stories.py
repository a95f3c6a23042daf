"""A study's story: lines are numbered, and a reader may wait for the next."""

import asyncio
import time

from nodes.people.stories import LAST_MAX, LINES_MAX, STORIES_MAX, Stories


def test_a_reader_gets_what_came_after_the_line_it_knows():
    stories = Stories(time.monotonic)
    for step in ("proposed", "consented", "started"):
        stories.tell("s", step, "north", "", None)
    lines = asyncio.run(stories.after("s", 1, 0.0))
    assert [line.event for line in lines] == ["consented", "started"]
    assert [line.n for line in lines] == [2, 3]


def test_a_reader_is_woken_by_the_next_line():
    async def scene():
        stories = Stories(time.monotonic)
        asyncio.get_running_loop().call_later(0.05, stories.tell, "s", "started", "", "", None)
        began = time.monotonic()
        lines = await stories.after("s", 0, 5.0)
        return [line.event for line in lines], time.monotonic() - began

    events, waited = asyncio.run(scene())
    assert events == ["started"]
    assert waited < 2.0


def test_a_reader_who_waits_in_vain_gets_nothing_and_leaves_nothing_behind():
    stories = Stories(time.monotonic)
    assert asyncio.run(stories.after("s", 0, 0.05)) == []
    assert not stories.waiters


def test_a_story_has_an_end():
    stories = Stories(time.monotonic)
    for _ in range(LINES_MAX + 1):
        stories.tell("s", "waiting", "south", "", None)
    assert len(stories.lines["s"]) == LINES_MAX


def test_a_flood_of_lines_never_hides_how_a_study_ended():
    stories = Stories(time.monotonic)
    for _ in range(LINES_MAX + 5):
        stories.tell("s", "waiting", "south", "", None)
    for _ in range(20):
        stories.tell("s", "ended", "south", "", None)
    lines = asyncio.run(stories.after("s", 0, 0.0))
    assert len(lines) == LINES_MAX + LAST_MAX
    assert lines[LINES_MAX].event == "ended"


def test_what_another_member_wrote_cannot_steer_a_terminal():
    stories = Stories(time.monotonic)
    error = {"code": 301, "message": "no\x1b[2J", "where": {"member": "south"}, "next": "\x07"}
    stories.tell("s", "refused", "south", "no\x1b]0;title\x07\nsecond line", error)
    line = asyncio.run(stories.after("s", 0, 0.0))[0].to_json()
    assert line["text"] == "no?]0;title?\nsecond line"
    assert line["error"] == {**error, "message": "no?[2J", "next": "?"}


def test_of_too_many_studies_the_one_that_was_silent_longest_is_forgotten():
    stories = Stories(time.monotonic)
    for number in range(STORIES_MAX):
        stories.tell(f"s{number}", "proposed", "north", "", None)
    stories.tell("s0", "answered", "north", "", None)
    stories.tell("new", "proposed", "north", "", None)
    assert len(stories.lines) == STORIES_MAX
    assert "s1" not in stories.lines
    assert [line.event for line in stories.lines["s0"]] == ["proposed", "answered"]
