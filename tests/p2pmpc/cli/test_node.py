"""`node` and `keys` as a person types them: real folders, real processes, real sockets."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nodes.home import Home, make_home
from nodes.store.keys import Effort
from nodes.unit import unit_text
from p2pmpc.cli.passphrase import PASSPHRASE_BYTES_MAX, read_passphrase
from p2pmpc.errors import LocalError, WrongUsage
from p2pmpc.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
LIGHT = Effort(1, 8192)
LIMIT_S = 30.0
# What keeps keys and rows on this machine, in memory, for one user: no unit of ours is without it.
REQUIRED = (
    "Type=notify",
    "LoadCredential=",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "PrivateTmp=yes",
    "UMask=0077",
    "MemorySwapMax=0",
    "LimitCORE=0",
)


def p2pmpc(*words: object, **given) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "p2pmpc.cli", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **given.pop("environment", {})}
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **given,
    )


def reply(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.stdout.count("\n") == 1, done.stdout + done.stderr
    return json.loads(done.stdout)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as plug:
        return plug.getsockname()[1]


@pytest.fixture
def secret(tmp_path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def home(tmp_path) -> Home:
    """A node that was made and does not run; whatever runs on it in the end is ended."""
    settings = Settings(name="north", listen_port=free_port())
    made = make_home(tmp_path / "north", settings, b"correct horse", os.urandom, LIGHT)
    yield made
    pid = made.holder()
    if pid:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def running(home, secret) -> Home:
    done = p2pmpc("node", "start", "--node", home.folder, "--passphrase-file", secret)
    assert done.returncode == 0, done.stderr
    return home


def ended(pid: int) -> bool:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if (
            not Path(f"/proc/{pid}/cmdline").exists()
            or not Path(f"/proc/{pid}/cmdline").read_bytes()
        ):
            return True
        time.sleep(0.02)
    return False


# ---- the folder ----


def test_a_new_node_has_a_card_and_says_what_to_do_next(tmp_path, secret) -> None:
    folder = tmp_path / "south"
    words = ("--name", "south", "--effort", "interactive", "--passphrase-file", secret, "--json")
    done = p2pmpc("node", "new", folder, *words, "--listen", "127.0.0.1:7555")
    data = reply(done)["data"]
    assert done.returncode == 0
    assert Path(data["card"]) == folder / "south.card"
    assert Path(data["card"]).exists()
    assert data["address"] == "127.0.0.1:7555"
    shown = reply(p2pmpc("keys", "show", "--node", folder, "--json"))["data"]
    assert shown["fingerprint"] == data["fingerprint"]
    again = p2pmpc("node", "new", folder, *words)
    assert (again.returncode, reply(again)["error"]["code"]) == (2, 201)


def test_the_next_command_can_be_copied_whatever_the_folder_is_called(tmp_path, secret) -> None:
    folder = tmp_path / "our node; the first"
    words = ("--name", "south", "--effort", "interactive", "--passphrase-file", secret)
    done = p2pmpc("node", "new", folder, *words)
    _, _, command = done.stdout.splitlines()[-1].partition("Next: ")
    assert shlex.split(command) == ["p2pmpc", "node", "start", "--node", str(folder)]
    status = p2pmpc("node", "status", "--node", folder)
    command = next(line for line in status.stderr.splitlines() if line.startswith("Start it: "))
    assert shlex.split(command)[-1] == str(folder)


def test_the_keys_that_are_shown_are_public_and_four(home) -> None:
    done = p2pmpc("keys", "show", "--node", home.folder, "--json")
    shown = reply(done)["data"]["keys"]
    assert set(shown) == {"root", "log", "transport", "certificate"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", found) for found in shown.values())
    assert len(set(shown.values())) == 4


def test_files_names_every_place_and_needs_no_running_node(home) -> None:
    done = p2pmpc("node", "files", "--json", environment={"P2PMPC_NODE": str(home.folder)})
    assert reply(done)["data"]["files"] == {k: str(v) for k, v in home.files().items()}


@pytest.mark.parametrize("listen", ["0.0.0.0:7443", "[::]:7443", "127.0.0.1:0"])
def test_an_address_that_nobody_can_dial_does_not_get_on_a_card(tmp_path, secret, listen) -> None:
    words = ("--name", "x", "--passphrase-file", secret, "--listen", listen)
    done = p2pmpc("node", "new", tmp_path / "x", *words)
    assert done.returncode == 2
    assert "--advertise" in done.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("words", [("start",), ("stop",), ("status",), ("files",)])
def test_a_folder_without_a_node_is_not_found(tmp_path, words) -> None:
    done = p2pmpc("node", *words, "--node", tmp_path)
    assert done.returncode == 6
    assert "p2pmpc node new" in done.stderr


def test_a_command_without_a_node_says_how_to_name_one() -> None:
    done = p2pmpc("node", "status", environment={"P2PMPC_NODE": ""})
    assert done.returncode == 2
    assert "--node DIR" in done.stderr


# ---- passphrases ----


def test_a_passphrase_is_the_first_line_of_a_file_or_a_descriptor(tmp_path) -> None:
    path = tmp_path / "p"
    path.write_bytes(b"two words\r\nand more\n")
    path.chmod(0o640)
    assert read_passphrase(path, None, twice=True) == b"two words"
    assert read_passphrase(None, os.open(path, os.O_RDONLY), twice=True) == b"two words"


def test_a_passphrase_file_that_all_can_read_is_refused(tmp_path) -> None:
    path = tmp_path / "p"
    path.write_text("x")
    path.chmod(0o644)
    with pytest.raises(LocalError, match="every user of this machine"):
        read_passphrase(path, None, twice=False)


@pytest.mark.parametrize("length", [0, PASSPHRASE_BYTES_MAX + 1])
def test_a_passphrase_is_neither_empty_nor_longer_than_its_limit(tmp_path, length) -> None:
    path = tmp_path / "p"
    path.write_bytes(b"x" * length)
    path.chmod(0o600)
    with pytest.raises(WrongUsage, match=f"1 to {PASSPHRASE_BYTES_MAX}"):
        read_passphrase(path, None, twice=False)


def test_without_a_terminal_a_passphrase_is_not_asked(home) -> None:
    done = p2pmpc("node", "start", "--node", home.folder)
    assert done.returncode == 2
    assert "--passphrase-file" in done.stderr


def test_who_types_no_passphrase_is_asked_for_one_and_told_nothing_of_faults(home) -> None:
    ours, theirs = os.openpty()
    words = (sys.executable, "-m", "p2pmpc.cli", "node", "start", "--node", str(home.folder))
    with subprocess.Popen(
        [*words, "--json"], stdin=theirs, stdout=-1, stderr=-1, start_new_session=True
    ) as process:
        assert process.stderr.read(1) == b"P", "it asks"
        os.write(ours, b"\x04")  # what Ctrl-D types
        found = json.loads(process.communicate(timeout=30)[0])
    os.close(ours)
    os.close(theirs)
    assert (found["error"]["code"], found["error"]["message"]) == (201, "no passphrase was typed")


def test_no_passphrase_is_ever_an_argument_or_in_the_environment(running) -> None:
    pid = running.holder()
    for place in ("cmdline", "environ"):
        assert b"correct horse" not in Path(f"/proc/{pid}/{place}").read_bytes()


# ---- the process ----


def test_a_node_runs_until_it_is_stopped_and_leaves_nothing(running) -> None:
    pid = running.holder()
    assert int(running.pid_file.read_text()) == pid
    assert os.getsid(pid) == pid, "a session of its own"
    data = reply(p2pmpc("node", "status", "--node", running.folder, "--json"))["data"]
    assert (data["name"], data["pid"], data["members"]) == ("north", pid, [])
    done = p2pmpc("node", "stop", "--node", running.folder)
    assert done.returncode == 0, done.stderr
    assert ended(pid)
    assert not running.socket.exists()
    assert not running.pid_file.exists()
    assert running.holder() is None
    for word in ("status", "stop"):
        late = p2pmpc("node", word, "--node", running.folder)
        assert late.returncode == 6
        assert f"p2pmpc node start --node {running.folder}" in late.stderr


def test_a_second_start_names_the_process_that_runs(running, secret) -> None:
    done = p2pmpc("node", "start", "--node", running.folder, "--passphrase-file", secret)
    assert done.returncode == 1
    assert f"process {running.holder()}" in done.stderr


def test_after_a_sigkill_the_node_just_starts_again(running, secret) -> None:
    pid = running.holder()
    os.kill(pid, signal.SIGKILL)
    assert ended(pid)
    assert p2pmpc("node", "status", "--node", running.folder).returncode == 6
    done = p2pmpc("node", "start", "--node", running.folder, "--passphrase-file", secret)
    assert done.returncode == 0, done.stderr
    assert running.holder() not in {None, pid}


def test_a_wrong_passphrase_is_told_and_touches_nothing(home, tmp_path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    wrong.chmod(0o600)
    done = p2pmpc("node", "start", "--node", home.folder, "--passphrase-file", wrong, "--json")
    assert (done.returncode, reply(done)["error"]["code"]) == (2, 201)
    assert "passphrase" in reply(done)["error"]["message"]
    assert not home.record_file.exists()


def test_a_port_that_is_taken_is_named_with_what_to_do(home, secret) -> None:
    port = home.settings().listen_port
    with socket.create_server(("127.0.0.1", port)):
        done = p2pmpc("node", "start", "--node", home.folder, "--passphrase-file", secret)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "listen_port" in done.stderr
    assert home.holder() is None


def test_a_changed_card_is_refused_before_anybody_sees_it(home, secret) -> None:
    data = bytearray(home.card_file.read_bytes())
    data[40] ^= 1
    home.card_file.write_bytes(bytes(data))
    done = p2pmpc("node", "start", "--node", home.folder, "--passphrase-file", secret)
    assert done.returncode == 7
    assert str(home.card_file) in done.stderr


def test_another_nodes_card_is_not_taken_for_ones_own(home, secret, tmp_path) -> None:
    other = make_home(tmp_path / "o", Settings(name="north"), b"x", os.urandom, LIGHT)
    shutil.copy(other.card_file, home.card_file)
    done = p2pmpc("node", "start", "--node", home.folder, "--passphrase-file", secret)
    assert done.returncode == 7
    assert "not of the keys" in done.stderr


def test_a_folder_that_others_can_enter_is_refused(home, secret) -> None:
    home.folder.chmod(0o755)
    done = p2pmpc("node", "start", "--node", home.folder, "--passphrase-file", secret)
    assert done.returncode == 1
    assert f"chmod 700 {home.folder}" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_refused(home, secret) -> None:
    os.chown(home.folder, 12345, 12345)
    done = p2pmpc("node", "start", "--node", home.folder, "--passphrase-file", secret)
    assert done.returncode == 1
    assert "another user" in done.stderr
    os.chown(home.folder, os.getuid(), os.getgid())


def test_an_unknown_setting_is_refused_by_name(home, secret) -> None:
    with home.settings_file.open("a") as file:
        file.write("listen_prot = 7443\n")
    done = p2pmpc("node", "start", "--node", home.folder, "--passphrase-file", secret)
    assert done.returncode == 2
    assert "listen_prot" in done.stderr


# ---- in the foreground, for a service manager ----


def test_in_the_foreground_a_service_manager_is_told_and_sigterm_ends_it(home, secret, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(LIMIT_S)
        command = [sys.executable, "-m", "p2pmpc.cli", "node", "start", "--foreground", "--json"]
        command += ["--node", str(home.folder), "--passphrase-file", str(secret)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": str(path)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as node:
            assert b"READY=1\n" in manager.recv(4096)
            assert home.holder() == node.pid
            node.send_signal(signal.SIGTERM)
            assert manager.recv(4096) == b"STOPPING=1\n"
            out, _ = node.communicate(timeout=LIMIT_S)
    assert node.returncode == 0
    assert json.loads(out)["status"] == "ok"
    assert not home.socket.exists()


# ---- the unit ----


def test_the_unit_has_every_line_that_it_must_have(tmp_path) -> None:
    lines = [line for line in unit_text().splitlines() if not line.startswith("#")]
    for wanted in REQUIRED:
        assert any(line.startswith(wanted) for line in lines), wanted
    assert "@PYTHON@" not in unit_text()
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return
    path = tmp_path / "p2pmpc-node@.service"
    path.write_text(p2pmpc("node", "unit").stdout)
    done = subprocess.run([tool, "verify", path], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "p2pmpc-node@" in line]
    assert not said, done.stderr
