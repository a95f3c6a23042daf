"""Parties as processes for the benchmarks: pinned to cores, on a loopback that they have alone.

A `Side` is some processes that each read a job a line and answer with a figure a line. All are
started once and stay, so that sides can be measured in turn and each is warm.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS_PYTHON = ROOT / "build" / "peers" / "venv" / "bin" / "python"
ALONE = "P2PMPC_BENCH_ALONE"  # set inside a network namespace of the benchmark's own
NAMES = "abcdefghij"


def go_alone():
    """Start this program again where there is a loopback only; as it is where that is forbidden.

    Returns whether it is alone now.
    """
    if os.environ.get(ALONE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return True
    for options in (["-n"], ["-r", "-n"]):
        command = ["unshare", *options]
        if not (shutil.which("unshare") and shutil.which("ip")):
            break
        tried = subprocess.run(
            [*command, "ip", "link", "set", "lo", "up"], check=False, capture_output=True
        )
        if not tried.returncode:
            os.environ[ALONE] = "1"
            os.execvp("unshare", [*command, sys.executable, *sys.argv])
    return False


def free_ports(count):
    """So many ports in a row that nobody listens on now."""
    for start in range(21_000, 31_000, count):
        try:
            for port in range(start, start + count):
                with socket.socket() as tried:
                    tried.bind(("127.0.0.1", port))
        except OSError:
            continue
        return start
    raise OSError("no free ports on the loopback")


class Side:
    """Some parties' processes, the first on the first core, in turn over all cores."""

    def __init__(self, commands, folder):
        cores = sorted(os.sched_getaffinity(0))
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.errors = [(folder / f"errors{place}.txt").open("w+") for place in range(len(commands))]
        self.processes = [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
            for place, (command, errors) in enumerate(zip(commands, self.errors, strict=True))
        ]
        for place, process in enumerate(self.processes):  # before they have threads
            os.sched_setaffinity(process.pid, {cores[place % len(cores)]})

    def tell(self, words):
        for process in self.processes:
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()

    def hear(self):
        """The next figure of every party; what else a library prints is passed over."""
        return [self._line(place) for place in range(len(self.processes))]

    def _line(self, place):
        while line := self.processes[place].stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        self.errors[place].seek(0)
        raise RuntimeError(f"a party ended early:\n{self.errors[place].read()[-3000:]}")

    def run(self, operation, items, **options):
        """The figures of all parties for one job."""
        self.tell({"operation": operation, "items": items, **options})
        return self.hear()

    def profile(self):
        """What the parties have written beside their figures."""
        for errors in self.errors:
            errors.seek(0)
        return [errors.read() for errors in self.errors]

    def close(self):
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        for errors in self.errors:
            errors.close()


def ours(count, folder):
    """So many parties of ours, linked and with base OTs."""
    names = NAMES[:count]
    program = [sys.executable, str(HERE / "engine_party.py")]
    side = Side([[*program, name, ",".join(names)] for name in names], folder)
    addresses = [said["address"] for said in side.hear()]
    side.tell(dict(zip(names, addresses, strict=True)))
    side.hear()
    return side


def cheetah(folder):
    """Two parties of SPU's CHEETAH."""
    program = [str(PEERS_PYTHON), str(HERE / "peers" / "spu_party.py")]
    port = str(free_ports(2))
    side = Side([[*program, str(rank), port, str(folder)] for rank in range(2)], folder)
    side.hear()
    return side


def mpyc(folder):
    """Three parties of MPyC."""
    program = [str(PEERS_PYTHON), str(HERE / "peers" / "mpyc_party.py")]
    first = free_ports(3)
    places = [word for rank in range(3) for word in ("-P", f"localhost:{first + rank}")]
    side = Side([[*program, *places, "-I", str(rank)] for rank in range(3)], folder)
    side.hear()
    return side


def busier(figures):
    """The figure of the party with the most CPU, with the largest error of all."""
    chosen = dict(max(figures, key=lambda figure: figure["cpu_s"]))
    errors = [figure["error"] for figure in figures if figure["error"] is not None]
    return {**chosen, "error": max(errors)}
