"""What a process does with memory that it has freed."""

import subprocess
import sys

import pytest

from nodes.processes import ARRAY_BYTES

FAULTS = """
import resource, sys
from nodes.processes import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit(3)
def faults(size):
    for _ in range(2):
        bytes(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        first, second = bytearray(b"1") * size, bytearray(b"2") * size
        del first, second
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(4 * 2**20))
"""


HELD = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from nodes.processes import ARRAY_BYTES, KEPT_BYTES, give_back_memory, keep_freed_memory
if not keep_freed_memory():
    sys.exit(3)
def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmRSS")).split()[1])
before = held()
size, count = ARRAY_BYTES // 2, KEPT_BYTES // ARRAY_BYTES + 1
def work(_):
    return [bytearray(b"1") * size for _ in range(count)]
with ThreadPoolExecutor(4) as threads:
    blocks = list(threads.map(work, range(4)))
    assert held() - before > 2 * KEPT_BYTES
    del blocks
    give_back_memory()
    print(held() - before)
"""


def said(program, *words):
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    if done.returncode == 3:
        pytest.skip("this C library has no such choice")
    assert not done.returncode, done.stderr
    return int(done.stdout)


def test_memory_of_an_array_that_was_freed_is_used_again_without_the_kernel():
    assert said(FAULTS, "kept") < said(FAULTS, "given back") / 4


def test_freed_memory_of_all_threads_is_given_back_when_asked():
    assert said(HELD) < ARRAY_BYTES
