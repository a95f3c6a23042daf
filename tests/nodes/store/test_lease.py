"""Two processes cannot write one store, and a killed one is in nobody's way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nodes.store.lease import Lease
from p2pmpc.errors import LocalError

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from nodes.store.lease import Lease
lease = Lease(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def hold(path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert holder.stdout.readline() == "held\n"
    return holder


@pytest.fixture
def holder(path):
    made = hold(path)
    yield made
    made.kill()
    made.wait()
    made.stdout.close()


def test_the_holder_is_named(path, holder):
    with pytest.raises(LocalError, match=f"in use by process {holder.pid}$") as caught:
        Lease(path)
    assert caught.value.next.startswith("Stop that node first")


def test_a_lease_left_by_a_killed_process_can_be_taken(path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lease = Lease(path)
    assert path.read_text() == f"{os.getpid()}\n"
    lease.close()


def test_one_process_cannot_take_it_twice(path):
    lease = Lease(path)
    with pytest.raises(LocalError, match=f"process {os.getpid()}$"):
        Lease(path)
    lease.close()
    lease.close()
    Lease(path).close()


def test_a_forked_child_does_not_keep_it(path):
    lease = Lease(path)
    child = os.fork()
    if child == 0:
        signal.pause()
    lease.close()
    try:
        Lease(path).close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(LocalError, match="cannot be opened"):
        Lease(tmp_path / "nowhere" / "lock")
