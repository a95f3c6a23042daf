"""Log lines: closed vocabularies, nothing secret, nothing that measures data."""

import ast
import io
import json
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

import nodes
from nodes.logging import EVENTS, FIELDS, NUMBERS, PLACES_MAX, TEXT_MAX, make_log

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


def calls():
    """Every call of a logger in the nodes: file, event argument, keyword names."""
    for path in sorted((ROOT / "nodes").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                owner = ast.unparse(call.func.value)
                if call.func.attr in METHODS and owner.rsplit(".", 1)[-1] == "log":
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
