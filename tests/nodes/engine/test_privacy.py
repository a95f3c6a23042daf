"""A member's node on Ray, looked at from beside it: memory, listeners, environment, limits."""

import os
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nodes.doctor.listeners import read_listeners
from nodes.home import make_home
from nodes.store.keys import INTERACTIVE, read_keys
from p2pmpc.settings import Settings

PASSPHRASE = "Parole-of-Xanthippe-4711"
OUTSIDE = {  # of another cluster, or of somebody who wants rows on a disk
    "RAY_ADDRESS": "192.0.2.9:6379",
    "RAY_object_spilling_config": '{"type":"filesystem","params":{"directory_path":"/var/tmp"}}',
}
BEFORE_RAY = ("node", "/bin/sh", "cat")  # the node process and its keeper began before Ray
METHODS = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/GetNodeStats",
    "ObjectManagerService/Pull",
    "CoreWorkerService/PushTask",
)
REFUSED, UNKNOWN = b"InvalidAuthToken", b"\x0bgrpc-status\x0212"


def p2pmpc(*words, **outside):
    """A command of the program, in a shell that would allow core dumps."""
    root = str(Path(__file__).resolve().parents[3])
    command = 'ulimit -c unlimited 2>/dev/null; exec "$@"'
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", sys.executable, "-m", "p2pmpc.cli", *map(str, words)],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": root, **outside},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def home():
    with tempfile.TemporaryDirectory(prefix="v-", dir="/tmp") as folder:
        settings = Settings(name="north", listen_host="127.0.0.1", listen_port=0, advertise="n:1")
        found = make_home(
            Path(folder) / "north", settings, PASSPHRASE.encode(), os.urandom, INTERACTIVE
        )
        secret = Path(folder) / "passphrase"
        secret.touch(0o600)
        secret.write_text(PASSPHRASE)
        words = ("--node", found.folder, "--engine", "ray", "--passphrase-file", secret)
        p2pmpc("node", "start", *words, **OUTSIDE)
        try:
            yield found
        finally:
            p2pmpc("node", "stop", "--node", found.folder)


@pytest.fixture(scope="module")
def processes(home, processes_below):
    """(process id, title): the node process first, then all that Ray runs for it."""
    node = home.holder()
    return [(node, "node"), *processes_below(node)]


GONE = (FileNotFoundError, ProcessLookupError)  # an idle process of Ray ends when it likes


def held(pid, marks):
    """Those of the marks that stand in a process's memory."""
    found = set()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, modes = line.split()[:2]
            if not modes.startswith("rw"):
                continue
            start, stop = (int(one, 16) for one in place.split("-"))
            try:
                memory.seek(start)
                data = memory.read(stop - start)
            except OSError:  # unmapped by now
                continue
            found |= {name for name, mark in marks.items() if mark in data}
    return found


def test_keys_and_passphrase_are_in_the_memory_of_the_node_process_and_its_gateway_alone(
    home, processes
):
    keys = read_keys(home.keys_file, PASSPHRASE.encode())
    marks = {
        "root": keys.root_seed,
        "log": keys.log_seed,
        "transport": keys.transport_seed,
        "passphrase": PASSPHRASE.encode(),
    }
    found = {}
    for pid, title in processes:
        try:
            found[title] = held(pid, marks)
        except PermissionError:
            pytest.skip("this machine lets nobody look into another process's memory")
        except GONE:
            continue
    assert {"root", "log", "transport"} <= found.pop("node"), "what is looked for can be seen"
    (gateway,) = [title for title in found if title.startswith("ray::Gateway")]
    assert "log" in found[gateway]
    assert "passphrase" not in found.pop(gateway)
    assert len(found) >= 6
    assert {title: seen for title, seen in found.items() if seen} == {}


def test_commands_environments_and_limits_of_all_processes(processes):
    read = 0
    for pid, title in processes:
        try:
            shown = b"".join(
                Path(f"/proc/{pid}/{of}").read_bytes() for of in ("environ", "cmdline")
            )
            limits = Path(f"/proc/{pid}/limits").read_text()
            status = Path(f"/proc/{pid}/status").read_text()
        except GONE:
            continue
        read += 1
        assert PASSPHRASE.encode() not in shown, title
        assert "Max core file size        0                    0 " in limits, title
        assert "Umask:\t0077" in status, title
        if not title.startswith(BEFORE_RAY):
            assert not [value for value in OUTSIDE.values() if value.encode() in shown], title
    assert read > 6, "all but a spare that ended meanwhile"


# ---- listeners ----


def word(text):
    return bytes([len(text)]) + text.encode()


def frame(kind, flags, stream, data):
    return (
        struct.pack(">I", len(data))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + data
    )


def call(address, port, method, token=None):
    """What a gRPC server says to one call: all its bytes. HTTP/2 of one request, by hand."""
    path = f"/ray.rpc.{method}"
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x")]
    fields += [("te", "trailers"), ("content-type", "application/grpc")]
    fields += [("authorization", f"Bearer {token}")] if token else []
    head = b"".join(b"\x00" + word(name) + word(value) for name, value in fields)
    said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    said += frame(1, 4, 1, head) + frame(0, 1, 1, bytes(5))
    heard = b""
    with socket.create_connection((address, port), timeout=5) as connection:
        connection.sendall(said)
        while b"grpc-status" not in heard and (more := connection.recv(65536)):
            heard += more
    return heard


def test_nothing_that_listens_for_ray_answers_without_the_token_of_this_node(home, processes):
    """Ray listens on all addresses: the token is what keeps others out, so all must ask for it."""
    pids = {pid for pid, _ in processes}
    found = [one for one in read_listeners(Path("/proc")) if one.pid in pids]
    servers = [one for one in found if one.address in {"::", "0.0.0.0"}]
    assert len(servers) >= 6, "control store, two of the raylet, node process, three actors"
    refused = dict.fromkeys(servers, 0)
    for server in servers:
        for method in METHODS:
            heard = call("127.0.0.1", server.port, method)
            assert REFUSED in heard or UNKNOWN in heard, (server, method, heard)
            refused[server] += REFUSED in heard
    assert min(refused.values()) == 1, "each knows one of the services, and keeps it shut"
    (token,) = home.folder.glob("ray????/token")
    assert token.stat().st_mode & 0o777 == 0o600
    store = next(one for one in servers if one.program.startswith("gcs"))
    assert REFUSED not in call("127.0.0.1", store.port, METHODS[0], token.read_text())
    logs = [path for path in home.folder.glob("ray????/r/session_2*/logs/*") if path.is_file()]
    assert len(logs) > 6
    assert not [path for path in logs if b"authorization" in path.read_bytes()], "one line a call"
    others = [one for one in found if one not in servers and one.program != "ray::Gateway"]
    for agent in others:
        assert agent.loopback, agent
        with socket.create_connection((agent.address, agent.port), timeout=5) as connection:
            connection.sendall(b"POST /get_or_create_runtime_env HTTP/1.0\r\n\r\n")
            assert b" 401 " in connection.recv(200)
