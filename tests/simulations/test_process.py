"""Node processes: started, asked, ended. The node here is a script with the same manners."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from p2pmpc.errors import BadData, LocalError, MemberMissing, NotFound
from p2pmpc.folder import private_folder
from simulations.process import LAST_WORDS_MAX, READY_BYTES_MAX, end_all, start
from simulations.workers import Stop, gather

NODE = """
import http.server, json, os, socketserver, sys, threading
name, home, manner = sys.argv[1:]
if manner == "broken":
    error = {"code": 501, "message": "no", "where": {}, "next": ""}
    print(json.dumps({"ready": False, "error": error}))
    sys.exit(5)
if manner == "dies":
    sys.exit(9)
if manner == "babbling":
    print("x" * 100_000, end="", flush=True)
    threading.Event().wait()
if manner == "silent":
    threading.Event().wait()
if manner == "deaf":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

class Answers(http.server.BaseHTTPRequestHandler):
    def address_string(self): return "local"
    def log_message(self, *a): pass
    def reply(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def do_GET(self):
        if self.path == "/status":
            self.reply(200, {"name": name})
        else:
            error = {"code": 601, "message": "no such page", "where": {"field": "x"}, "next": "go"}
            self.reply(404, {"error": error})
    def do_POST(self):
        self.reply(200, {})
        if self.path == "/stop" and manner != "deaf":
            threading.Thread(target=server.shutdown).start()

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

os.chdir(home)
server = Server(home + "/control.sock", Answers)
if manner != "deaf":
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(json.dumps({"ready": True, "socket": home + "/control.sock", "pid": os.getpid()}), flush=True)
server.serve_forever()
"""


def manner(word: str):
    return lambda name, home: [sys.executable, "-c", NODE, name, str(home), word]


@pytest.fixture
def folder():
    with private_folder() as found:
        yield found


def started(folder: Path, word: str = "good", name: str = "north"):
    return start(name, folder / name, manner(word))


def soon() -> float:
    return time.monotonic() + 20.0


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_node_is_started_asked_and_ended(folder: Path) -> None:
    one = started(folder)
    try:
        one.wait_ready(soon())
        assert one.client.get("/status", 5.0) == {"name": "north"}
        assert (folder / "north").stat().st_mode & 0o777 == 0o700
    finally:
        end_all([one])
    assert gone(one.pid)


def test_a_node_s_error_comes_back_as_the_same_error(folder: Path) -> None:
    one = started(folder)
    try:
        one.wait_ready(soon())
        with pytest.raises(NotFound) as caught:
            one.client.get("/nowhere", 5.0)
    finally:
        end_all([one])
    assert caught.value.message == "no such page"
    assert caught.value.next == "go"
    assert caught.value.where == {"field": "x", "member": "north"}


def test_a_node_that_cannot_start_says_why(folder: Path) -> None:
    one = started(folder, "broken")
    with pytest.raises(BadData, match="no"):
        one.wait_ready(soon())
    end_all([one])


def test_a_node_that_dies_while_it_starts_is_missing(folder: Path) -> None:
    one = started(folder, "dies")
    with pytest.raises(MemberMissing, match="north: its node process ended with exit code 9"):
        one.wait_ready(soon())
    end_all([one])


def test_a_node_that_is_never_ready_is_named_at_the_deadline(folder: Path) -> None:
    one = started(folder, "silent")
    with pytest.raises(LocalError, match="north: its node was not ready in time"):
        one.wait_ready(time.monotonic() + 0.3)
    end_all([one])
    assert gone(one.pid)


def test_a_ready_line_past_its_limit_is_not_read_on(folder: Path) -> None:
    assert READY_BYTES_MAX < 100_000
    one = started(folder, "babbling")
    with pytest.raises(LocalError, match="something else than ready"):
        one.wait_ready(soon())
    end_all([one])
    assert gone(one.pid)


def test_last_words_end_at_their_limit(folder: Path) -> None:
    one = started(folder)
    one.wait_ready(soon())
    (one.home / "node.log").write_text("a" + "x" * LAST_WORDS_MAX)
    end_all([one])
    words = one.last_words()
    assert "north, ended with exit code 0" in words
    assert "a" not in words.splitlines()[1]


def test_a_node_that_ignores_sigterm_is_killed(folder: Path) -> None:
    one = started(folder, "deaf")
    one.wait_ready(soon())
    began = time.monotonic()
    end_all([one])
    assert gone(one.pid)
    assert one.process.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 6.0


def test_the_death_of_a_process_explains_a_silent_socket(folder: Path) -> None:
    one = started(folder)
    one.wait_ready(soon())

    def look() -> None:
        if one.dead():
            raise one.missing("while it was asked")

    os.kill(one.pid, signal.SIGKILL)
    try:
        with pytest.raises(MemberMissing, match=r"north: .* signal 9 \(SIGKILL\)"):
            gather({"north": lambda: one.client.get("/status", 5.0)}, look, 5.0, "its status")
    finally:
        end_all([one])


def test_the_first_error_ends_the_wait_for_the_others() -> None:
    def fails() -> None:
        raise BadData("row 5 is unusable")

    began = time.monotonic()
    with pytest.raises(BadData):
        gather({"a": fails, "b": lambda: time.sleep(3)}, lambda: None, 10.0, "reading")
    assert time.monotonic() - began < 1.0


def test_whoever_is_late_is_named() -> None:
    with pytest.raises(LocalError, match=r"slow: reading took longer than 0\.2 s"):
        gather({"slow": lambda: time.sleep(2), "fast": int}, lambda: None, 0.2, "reading")


def test_a_signal_is_a_flag_until_someone_looks() -> None:
    stop = Stop()
    stop.check()
    stop.signal = signal.SIGTERM
    with pytest.raises(Exception, match="SIGTERM"):
        stop.check()


PARENT = """
import sys, time
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
from p2pmpc.folder import private_folder
from test_process import manner
from simulations.process import start
with private_folder() as folder:
    one = start("north", folder / "north", manner("good"))
    one.wait_ready(time.monotonic() + 20)
    print(one.pid, folder, flush=True)
    time.sleep(60)
"""


def test_nothing_is_left_when_the_rehearsal_is_killed() -> None:
    here = Path(__file__).parent
    text = PARENT.format(root=str(here.parent.parent), here=str(here))
    parent = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, folder = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(int(pid))
    for _ in range(100):
        if not Path(folder).exists():
            break
        time.sleep(0.05)
    assert not Path(folder).exists()
