"""All checks together on a real folder, from Python and from the command line."""

import json
import os
import socket
import subprocess
import sys

import pytest

from nodes.doctor.examine import check_data, examine
from nodes.doctor.finding import Finding, faults
from nodes.home import make_home
from nodes.store.keys import Effort
from p2pmpc.errors import NotFound
from p2pmpc.settings import Settings

CHECKS = {
    "node", "modes", "card", "certificate", "record", "clock", "proxy", "umask", "core dumps",
    "swap", "disk", "file system", "memory folder", "ray", "port", "listeners", "address", "peers",
}  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def home(tmp_path):
    settings = Settings(name="north", listen_port=free_port())
    return make_home(tmp_path / "n", settings, b"passphrase", os.urandom, Effort(1, 8192))


def doctor(home, *words):
    command = [sys.executable, "-m", "p2pmpc.cli", "node", "doctor", "--node", str(home.folder)]
    done = subprocess.run(
        [*command, *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    return done


def test_every_check_says_something_about_a_node_that_does_not_run(home):
    found = examine(home, home.keys(b"passphrase"), False, {})
    assert {one.check for one in found} - {"ray folder"} == CHECKS
    assert faults(found) == ()
    for one in found:
        assert one.text
        assert bool(one.fix) == (one.level != "ok")


def test_a_folder_without_a_node_is_not_examined(tmp_path):
    from nodes.home import Home

    with pytest.raises(NotFound):
        examine(Home(tmp_path), None, False, {})


def test_the_command_lists_findings_and_ends_with_0(home, tmp_path):
    secret = tmp_path / "passphrase"
    secret.write_text("passphrase\n")
    secret.chmod(0o600)
    done = doctor(home, "--json", "--passphrase-file", str(secret))
    reply = json.loads(done.stdout)
    assert (done.returncode, reply["status"], reply["data"]["faults"]) == (0, "ok", 0)
    assert {one["check"] for one in reply["data"]["findings"]} - {"ray folder"} == CHECKS
    found = {one["check"]: one for one in reply["data"]["findings"]}
    assert found["certificate"]["text"] == "keys, card and certificate are of one node"


def test_a_fault_ends_with_1_and_says_its_fix(home):
    home.keys_file.chmod(0o644)
    with socket.create_server(("127.0.0.1", home.settings().listen_port)):
        done = doctor(home)
        reply = json.loads(doctor(home, "--json").stdout)
    assert done.returncode == 1
    assert "2 faults: modes, port" in done.stderr + done.stdout
    assert f"chmod 600 {home.keys_file}" in done.stdout + done.stderr
    assert reply["error"]["code"] == 102
    assert reply["status"] == "error"


def test_a_finding_as_json_has_four_fields():
    assert Finding("disk", "note", "little room", "free some").to_json() == {
        "check": "disk",
        "level": "note",
        "text": "little room",
        "fix": "free some",
    }


def test_a_data_set_that_takes_part_in_no_study_is_a_fault():
    status = {"datasets": ["labs", "visits"], "data_faults": {}}
    (found,) = check_data(status)
    assert (found.check, found.level, "labs, visits" in found.text) == ("data", "ok", True)
    (found,) = check_data({**status, "data_faults": {"visits": "its rows are not those"}})
    assert (found.level, found.text) == (
        "fault",
        "visits takes part in no study: its rows are not those",
    )
    assert "p2pmpc data add" in found.fix
    assert check_data({}) == []
