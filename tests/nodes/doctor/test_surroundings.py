"""Environment, umask, core dumps and swap, of real processes and of what a kernel may say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodes.doctor.surroundings import Surroundings, check_surroundings, read_surroundings

PROC = Path("/proc")
GOOD = Surroundings(True, (), 0o077, 0, False, ())


def levels(facts):
    return {found.check: found.level for found in check_surroundings(facts)}


def changed(**fields):
    from dataclasses import replace

    return {found.check: found for found in check_surroundings(replace(GOOD, **fields))}


def test_a_node_as_it_should_be_has_no_finding_against_it():
    assert set(levels(GOOD).values()) == {"ok"}


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_a_running_nodes_open_umask_is_a_fault_a_shells_a_note(umask):
    assert changed(umask=umask)["umask"].level == "fault"
    assert changed(umask=umask, running=False)["umask"].level == "note"


def test_a_proxy_is_named_and_its_value_is_not():
    environment = {"HTTPS_PROXY": "http://user:secret@proxy:3128", "PATH": "/bin"}
    facts = read_surroundings(None, environment, PROC)
    assert facts.variables == ("HTTPS_PROXY",)
    [found] = [one for one in check_surroundings(facts) if one.check == "proxy"]
    assert found.level == "note"
    assert "secret" not in f"{found}"
    assert "secret" not in repr(facts)


def test_core_dumps_and_swap_are_noted_with_their_fix():
    assert "LimitCORE=0" in changed(core_bytes=-1)["core dumps"].fix
    assert "handed to a program" in changed(core_bytes=4096, core_piped=True)["core dumps"].text
    assert "/dev/sda2" in changed(swaps=("/dev/sda2",))["swap"].text


def test_umask_and_core_limit_are_those_of_the_nodes_process():
    line = "import resource as r, time, sys; r.setrlimit(r.RLIMIT_CORE, (0, 0)); print('up'); "
    child = subprocess.Popen(
        [sys.executable, "-uc", line + "time.sleep(60)"], stdout=subprocess.PIPE, umask=0o077
    )
    try:
        child.stdout.readline()
        facts = read_surroundings(child.pid, {}, PROC)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert (facts.running, facts.umask, facts.core_bytes) == (True, 0o077, 0)


def test_the_asking_shells_umask_is_read_where_no_node_runs():
    before = os.umask(0o027)
    try:
        assert read_surroundings(None, {}, PROC).umask == 0o027
    finally:
        os.umask(before)


def test_what_the_kernel_lists_is_understood(tmp_path):
    process = tmp_path / "7"
    process.mkdir()
    (process / "status").write_text("Name:\tpython\nUmask:\t0022\n")
    (process / "limits").write_text("Max core file size        unlimited   unlimited   bytes\n")
    (tmp_path / "swaps").write_text("Filename Type Size\n/dev/dm-1 partition 8 0 -2\n")
    pattern = tmp_path / "sys" / "kernel" / "core_pattern"
    pattern.parent.mkdir(parents=True)
    pattern.write_text("|/usr/lib/systemd/systemd-coredump %P\n")
    facts = read_surroundings(7, {}, tmp_path)
    assert facts == Surroundings(True, (), 0o022, -1, True, ("/dev/dm-1",))


def test_a_process_that_ended_meanwhile_is_no_finding(tmp_path):
    assert read_surroundings(7, {}, tmp_path) == GOOD
