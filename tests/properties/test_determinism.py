"""Same coins, same trace: whatever order Python's hashes give to sets and dictionaries."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCENE = """
import hashlib, importlib.util, sys
def load(name):
    path = f"tests/protocols/{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
coins, scenes = load("conftest"), load("test_joint")
from protocols.party import Trace
plan, inputs, _ = scenes.linked_scene(11)
trace = Trace()
scenes.run(coins.make_seats, plan, inputs, "determinism", trace)
state = hashlib.sha256()
for sender, receiver, name, value in trace.said:
    state.update(f"{sender}>{receiver} {name} {value.dtype}{value.shape}".encode())
    state.update(value.tobytes())
print(state.hexdigest(), len(trace.said))
"""


def trace_under(hash_seed):
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCENE],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_linked_study_says_the_same_bytes_under_two_hash_seeds():
    first, second = trace_under("1"), trace_under("2")
    assert first == second
    assert int(first[1]) > 100
