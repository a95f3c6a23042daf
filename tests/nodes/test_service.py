"""A member's node as a process: what it keeps to itself when it dies or meets a fault."""

import json
import os
import subprocess
import sys
from pathlib import Path

from nodes.home import make_home
from nodes.store.keys import INTERACTIVE
from p2pmpc.settings import Settings

PASSPHRASE = "correct horse"
VALUE = "Xanthippe-4711"
FAULTY = """
import resource, sys
from pathlib import Path
from nodes.home import Home
from nodes.service import run_home
from p2pmpc.errors import P2pmpcError

def say(said):
    raise ValueError(f"could not convert {sys.argv[3]}")

try:
    run_home(Home(Path(sys.argv[1])), sys.argv[2].encode(), "process", say)
except P2pmpcError as fault:
    print(fault.message, resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_fault_of_the_program_is_named_by_its_place_without_its_message(tmp_path):
    """Standard error of a service is kept in a journal that others may read."""
    settings = Settings(name="north", listen_host="127.0.0.1", listen_port=0, advertise="n:1")
    home = make_home(tmp_path / "north", settings, PASSPHRASE.encode(), os.urandom, INTERACTIVE)
    done = subprocess.run(
        [sys.executable, "-c", FAULTY, str(home.folder), PASSPHRASE, VALUE],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )  # fmt: skip
    assert "an internal fault ended the node (ValueError)" in done.stdout
    assert VALUE not in done.stdout + done.stderr
    lines = [json.loads(line) for line in home.log_file.read_text().splitlines()]
    assert [line["fault"] for line in lines if line["event"] == "core fault"] == ["ValueError"]
    assert VALUE not in home.log_file.read_text()
    assert not home.pid_file.exists()
    assert "(0, 0)" in done.stdout, "a core dump would hold the keys"
