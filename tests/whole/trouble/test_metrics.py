"""The figures of real node processes, scraped as Prometheus does."""

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import nodes
from nodes.metrics import REQUEST_BYTES_MAX

NAMES = ("lab", "north", "south")
LAG = "p2pmpc_gossip_lag_entries"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, path="/metrics", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers["content-type"]
    finally:
        connection.close()


def scrape(port):
    """{(name, labels): value} of everything that the node shows."""
    status, text, kind = ask(port)
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def compared(port):
    """The figures once the node has compared its record with both others and nothing lacks."""
    deadline = time.monotonic() + 20
    while True:
        found = scrape(port)
        lags = [value for (name, _), value in found.items() if name == LAG]
        if len(lags) == 4 and not any(lags):
            return found
        assert time.monotonic() < deadline, lags
        time.sleep(0.1)


def peer(name):
    return (("peer", name),)


def test_a_study_shows_in_the_figures_and_nothing_of_its_data_does(town, count_frames, count_study):
    port = free_port()
    for name in NAMES:
        town.start(name, **({"metrics_port": port} if name == "north" else {}))
    town.found()
    study = town.propose(count_study, count_frames)
    for name in NAMES:
        town.wait(name, study, lambda event: event["event"] == "answered", 60)
    found = compared(port)
    assert found["p2pmpc_up", ()] == 1
    assert found["p2pmpc_members", ()] == 3
    assert found["p2pmpc_links_up", ()] == 2
    assert found["p2pmpc_sessions", ()] == 0
    assert found["p2pmpc_studies", (("state", "answered"),)] == 1
    assert 0 < found["p2pmpc_attempt_seconds", ()] < 60
    assert found["p2pmpc_store_bytes", ()] > 4096
    assert found["p2pmpc_event_loop_delay_seconds_count", ()] > 0
    assert found["process_resident_memory_bytes", ()] > 2**20
    for name in ("lab", "south"):
        assert found["p2pmpc_bytes_sent_total", peer(name)] > 1000
        assert found["p2pmpc_bytes_received_total", peer(name)] > 1000
        assert 0 <= found["p2pmpc_gossip_age_seconds", peer(name)] < 10
        assert found["p2pmpc_entries", (("author", name),)] >= 8
    words = {word for name, labels in found for word in (name, *(v for _, v in labels))}
    for secret in (study, "How many", "lung", "sex"):
        assert not [word for word in words if secret in word], secret
    rows = {90.0, 70.0, 68.0, 228.0}
    assert not [name for (name, _), value in found.items() if value in rows and "p2pmpc" in name]


def test_every_figure_is_documented_and_none_else(town):
    port = free_port()
    town.start("lab")
    town.start("north", metrics_port=port)
    town.found()
    page = (Path(nodes.__file__).parents[1] / "docs" / "settings.md").read_text()
    documented = set(re.findall(r"`(p2pmpc_\w+)`", page))
    shown = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(ask(port)[1])
        if family.name.startswith("p2pmpc_")
    }
    assert {name for name in shown if not name.endswith("_created")} == documented


def test_only_this_machine_and_no_web_page_may_ask(town):
    port = free_port()
    member = town.start("north", metrics_port=port)
    listening = {
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{member.process.pid}/net/{table}").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    }
    assert listening == {f"0100007F:{port:04X}"}
    assert ask(port, "/status")[0] == 404
    assert ask(port, host="rebound.example.org")[0] == 403
    assert ask(port, host="localhost")[0] == 200


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x02\x00", b"GET /metrics HTTP/1.1\r\nX: " + b"a" * REQUEST_BYTES_MAX],
)
def test_what_is_no_request_gets_no_answer_and_stops_nothing(town, sent):
    port = free_port()
    town.start("north", metrics_port=port)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(sent + b"\r\n\r\n")
        assert b"200" not in wire.recv(65536)
    assert ask(port)[0] == 200


def test_a_node_listens_for_no_scraper_unless_a_port_is_set(town):
    member = town.start("north")
    listening = [
        line
        for line in Path(f"/proc/{member.process.pid}/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[9] in member.sockets()
    ]
    assert len(listening) == 1


def test_a_port_that_is_taken_keeps_the_node_from_starting_and_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = tmp_path / "north.toml"
        settings.write_text(f'[node]\nname = "north"\nlisten_port = 0\nmetrics_port = {port}\n')
        command = [sys.executable, "-m", "nodes", "--ephemeral", "--name", "north"]
        command += ["--home", str(tmp_path / "north"), "--settings", str(settings)]
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.PIPE, timeout=60, check=False
        )
    said = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert said["error"]["code"] == 102
    assert str(port) in said["error"]["message"]
    assert b"Traceback" not in done.stderr
