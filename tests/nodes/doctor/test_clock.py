"""The clock, judged by what the record bounds."""

from nodes.doctor.clock import FAULT_S, NOTE_S, Skew, check_clock, read_skews
from p2pmpc.record import Entry

NOON = 1_800_000_000_000


def entry(author, seq, unix_ms, **read):
    heads = tuple((name, at, bytes(32)) for name, at in sorted(read.items()))
    return Entry(bytes(32), author, 0, seq, bytes(32), 1, unix_ms, heads, "genesis", bytes(32))


def test_reading_an_entry_of_the_future_shows_that_its_author_is_ahead():
    feeds = {
        "north": [entry("north", 0, NOON, south=3)],
        "south": [entry("south", 3, NOON + 3_700_000)],
    }
    [skew] = read_skews("north", feeds)
    assert (skew.peer, skew.low_s, skew.high_s) == ("south", 3700.0, float("inf"))
    [found] = check_clock((skew,))
    assert found.level == "fault"
    assert "south is at least 1 h 1 min ahead" in found.text


def test_being_read_in_the_past_shows_that_the_reader_is_behind():
    feeds = {
        "north": [entry("north", 0, NOON)],
        "south": [entry("south", 0, NOON - 600_000, north=0)],
    }
    [found] = check_clock(read_skews("north", feeds))
    assert found.level == "note"
    assert "south is at least 10 min behind" in found.text


def test_the_narrowest_of_all_entries_counts():
    feeds = {
        "north": [entry("north", n, NOON + n * 1000, south=n) for n in range(3)],
        "south": [entry("south", n, NOON + n * 2000) for n in range(3)],
    }
    [skew] = read_skews("north", feeds)
    assert skew.low_s == 2.0


def test_an_entry_that_travelled_for_days_shows_nothing():
    feeds = {
        "north": [entry("north", 0, NOON, south=0)],
        "south": [entry("south", 0, NOON - 3 * 86_400_000)],
    }
    [found] = check_clock(read_skews("north", feeds))
    assert found.level == "ok"


def test_a_difference_of_exactly_the_limits_passes_as_the_lesser():
    assert check_clock((Skew("south", NOTE_S, float("inf")),))[0].level == "ok"
    assert check_clock((Skew("south", FAULT_S, float("inf")),))[0].level == "note"
    assert check_clock((Skew("south", FAULT_S + 1, float("inf")),))[0].level == "fault"


def test_where_all_others_differ_this_machines_clock_is_doubted():
    skews = tuple(Skew(name, 4000.0, 4001.0) for name in ("lab", "south"))
    for found in check_clock(skews):
        assert "all the others differ" in found.fix
    [one] = check_clock((skews[0], Skew("south", -1.0, 1.0)))
    assert "tell lab" in one.fix


def test_without_entries_of_others_nothing_is_compared():
    assert read_skews("north", {"north": [entry("north", 0, NOON)]}) == ()
    [found] = check_clock(())
    assert found.level == "ok"
    assert "no entries of other members" in found.text
