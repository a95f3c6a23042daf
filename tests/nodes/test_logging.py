"""Log lines: closed vocabularies, nothing secret, nothing that measures data."""

import ast
import io
import json
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import nodes
from nodes.logging import (
    EVENTS,
    FIELDS,
    LOG_BYTES_MAX,
    LOG_FILES_MAX,
    NUMBERS,
    PLACES_MAX,
    TEXT_MAX,
    Pages,
    make_log,
)

ROOT = Path(nodes.__file__).parents[1]
METHODS = {"debug", "info", "warning", "error", "exception"}


@pytest.fixture
def log(tmp_path):
    return make_log(tmp_path / "node.log", "north")


@pytest.fixture
def lines(tmp_path):
    def read():
        return [json.loads(line) for line in (tmp_path / "node.log").read_text().splitlines()]

    return read


def test_a_line_says_who_what_and_when(log, lines):
    log.info("link down", peer="south", reason="unreachable")
    [line] = lines()
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "link down",
        "level": "info",
        "node": "north",
        "peer": "south",
        "reason": "unreachable",
    }


def test_the_file_is_its_owners_alone(log, tmp_path):
    assert stat.S_IMODE((tmp_path / "node.log").stat().st_mode) == 0o600


def test_without_a_path_lines_go_to_stderr(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    make_log(None, "north").info("node started", port=7443)
    assert json.loads(stream.getvalue())["port"] == 7443


@pytest.mark.parametrize(
    "value",
    [
        b"a share",
        bytearray(b"a share"),
        np.arange(3),
        np.uint64(77777),
        [77777],
        {"share": 77777},
        77777,
        "7" * (TEXT_MAX + 1),
        ValueError("77777"),
    ],
)
def test_no_bytes_arrays_containers_sizes_or_long_texts_in_a_text_field(log, lines, value):
    log.info("story", what=value)
    [line] = lines()
    assert line["what"].startswith("withheld: ")
    assert "share" not in json.dumps(line)
    assert "77777" not in json.dumps(line)


def test_a_text_of_the_longest_length_passes(log, lines):
    log.info("story", what="7" * TEXT_MAX)
    assert lines()[0]["what"] == "7" * TEXT_MAX


def test_a_number_stands_in_listed_fields_only(log, lines):
    log.info("story", code=402, rows=1234)
    [line] = lines()
    assert line["code"] == 402
    assert "rows" not in line
    assert line["withheld"] == 1


def test_a_number_field_holds_no_text(log, lines):
    log.info("story", code="patient 7")
    assert lines()[0]["code"] == "withheld: not a number"


def test_an_unlisted_event_loses_its_name_not_its_line(log, lines):
    log.info("row 17 is patient Smith", peer="south")
    assert lines()[0]["event"] == "unlisted event"


def test_an_exception_shows_its_class_and_places_never_its_message(log, lines):
    try:
        raise ValueError("patient Smith")
    except ValueError:
        log.exception("session fault")
    [line] = lines()
    assert line["fault"] == "ValueError"
    assert line["places"].startswith("test_logging.py:")
    assert "Smith" not in json.dumps(line)


def test_the_innermost_places_of_a_deep_exception_are_named(log, lines):
    def sink(depth):
        return sink(depth - 1) if depth else {}["patient"]

    try:
        sink(PLACES_MAX + 1)
    except KeyError:
        log.exception("session fault")
    places = lines()[0]["places"].split(" < ")
    assert len(places) == PLACES_MAX
    assert all(place.endswith(" sink") for place in places)


@pytest.fixture
def pages(tmp_path):
    return Pages(tmp_path / "n.log", 100, LOG_FILES_MAX)


def test_a_full_file_becomes_the_older_one_and_the_oldest_goes(pages, tmp_path):
    for number in range(12):
        pages.write(f"{number:02d} {'x' * 45}")
    there = sorted(path.name for path in tmp_path.iterdir())
    assert there == ["n.log", "n.log.1", "n.log.2"]
    assert len(there) == LOG_FILES_MAX
    found = {name: (tmp_path / name).read_text() for name in there}
    assert [found[name][:2] for name in there] == ["10", "08", "06"]
    for name in there:
        assert len(found[name]) <= 100
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_log_goes_on_where_it_ended_and_its_bound_counts_what_was_there(pages, tmp_path):
    pages.write("x" * 60)
    again = Pages(tmp_path / "n.log", 100, LOG_FILES_MAX)
    again.write("y" * 30)
    again.write("z" * 30)
    assert (tmp_path / "n.log.1").read_text() == f"{'x' * 60}\n{'y' * 30}\n"
    assert (tmp_path / "n.log").read_text() == f"{'z' * 30}\n"


def test_a_line_longer_than_a_file_is_a_file_of_its_own(pages, tmp_path):
    for line in ("a", "b" * 200, "c"):
        pages.write(line)
    assert (tmp_path / "n.log.1").read_text() == f"{'b' * 200}\n"


def test_a_node_of_many_lines_keeps_to_the_bound(tmp_path):
    assert LOG_BYTES_MAX * LOG_FILES_MAX <= 32 * 2**20
    log = make_log(tmp_path / "node.log", "north")
    for _ in range(LOG_BYTES_MAX // 400 + 100):
        log.info("story", what="7" * TEXT_MAX)
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    assert len(sizes) == 2
    assert all(size <= LOG_BYTES_MAX for size in sizes)


def test_a_full_disk_stops_no_node_that_wants_to_log():
    full = Pages(Path("/dev/full"), 100, LOG_FILES_MAX)
    full.write("a line that nothing takes")
    full.write("x" * 200)


def test_lines_of_threads_do_not_mix(tmp_path):
    log = make_log(tmp_path / "node.log", "north")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: log.info("story", what=f"{n} {'x' * 300}"), range(400)))
    found = [json.loads(line) for line in (tmp_path / "node.log").read_text().splitlines()]
    assert {int(line["what"].split()[0]) for line in found} == set(range(400))


def test_small_steps_go_to_a_file_of_their_own_and_only_where_it_is_named(tmp_path, lines):
    quiet = make_log(tmp_path / "node.log", "north")
    quiet.debug("event taken", kind="TimerFired")
    loud = make_log(tmp_path / "node.log", "north", tmp_path / "node.debug.log")
    loud.debug("event taken", kind="LinkMade")
    loud.info("link up", peer="south")
    assert [line["event"] for line in lines()] == ["link up"]
    details = [json.loads(x) for x in (tmp_path / "node.debug.log").read_text().splitlines()]
    assert [line["event"] for line in details] == ["event taken", "link up"]
    assert stat.S_IMODE((tmp_path / "node.debug.log").stat().st_mode) == 0o600


def calls():
    """Every call of a logger in the nodes: file, event argument, keyword names."""
    for path in sorted((ROOT / "nodes").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                owner = ast.unparse(call.func.value)
                if call.func.attr in METHODS and owner.rsplit(".", 1)[-1] in {"log", "_log"}:
                    yield path.name, call.args, {word.arg for word in call.keywords}


def test_every_event_and_field_that_the_nodes_log_is_listed():
    found = list(calls())
    assert found
    for file, arguments, words in found:
        assert len(arguments) == 1, f"{file}: a log call says an event and named fields"
        assert isinstance(arguments[0], ast.Constant), f"{file}: an event is a literal"
        assert arguments[0].value in EVENTS, f"{file}: add {arguments[0].value!r} to EVENTS"
        words -= {"exc_info"}  # an exception, of which only the class and the places are kept
        assert words <= FIELDS | NUMBERS, f"{file}: {words - FIELDS - NUMBERS} are not listed"


def test_every_event_that_is_listed_is_logged_somewhere():
    said = {arguments[0].value for _, arguments, _ in calls()}
    assert said == set(EVENTS)


def test_nothing_in_the_nodes_logs_past_the_closed_vocabulary():
    for path in sorted((ROOT / "nodes").rglob("*.py")):
        tree = ast.walk(ast.parse(path.read_text()))
        found = {ast.unparse(one.func) for one in tree if isinstance(one, ast.Call)}
        assert not {name for name in found if name.startswith("logging.")}, path
