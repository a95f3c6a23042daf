"""What a program calls: a node's socket, and a rehearsal's command line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import p2pmpc.client
from p2pmpc.client import RESPONSE_BYTES_MAX, NodeClient, rehearse
from p2pmpc.errors import BadStudy, LocalError, NotFound, WrongUsage
from p2pmpc.folder import private_folder


class Server:
    """A socket that answers one connection after another: with these bytes, or with silence."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()

    def answer(self, *answers: bytes) -> None:
        threading.Thread(target=self._serve, args=(answers,), daemon=True).start()

    def _serve(self, answers: tuple[bytes, ...]) -> None:
        for answer in answers:
            connection, _ = self.listener.accept()
            with connection:
                connection.recv(65536)
                if answer:
                    connection.sendall(answer)
                else:
                    connection.recv(1)


@pytest.fixture
def server() -> Iterator[Server]:
    with private_folder() as folder:
        made = Server(folder / "s")
        yield made
        made.listener.close()


def http(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def test_an_answer_that_is_no_json_object_is_told(server) -> None:
    server.answer(http(b"<html>"), http(b"[1]"), http(b"", 500))
    client = NodeClient(server.path, "north")
    for said in ("is not JSON", "is not a JSON object", "status 500"):
        with pytest.raises(LocalError, match=said):
            client.get("/status", 5.0)


def test_an_answer_one_byte_past_the_limit_is_not_read(server, monkeypatch) -> None:
    assert RESPONSE_BYTES_MAX >= 2**20
    monkeypatch.setattr(p2pmpc.client, "RESPONSE_BYTES_MAX", 12)
    server.answer(http(b'{"abcde": 1}'), http(b'{"abcdef": 1}'))
    client = NodeClient(server.path, "north")
    assert client.get("/status", 5.0) == {"abcde": 1}
    with pytest.raises(LocalError, match="longer than the limit"):
        client.get("/status", 5.0)


def test_a_silent_node_is_named_at_the_deadline(server) -> None:
    server.answer(b"")
    with pytest.raises(LocalError, match="north: the node's control socket did not answer"):
        NodeClient(server.path, "north").get("/status", 0.2)


def test_a_node_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(LocalError, match="north"):
        NodeClient(tmp_path / "none", "north").post("/stop", {}, 1.0)


STUDY = """
[study]
title = "t"
[data.a]
dataset = "lung"
members = ["north", "south"]
[data.b]
dataset = "labs"
members = ["south"]
[link]
tables = ["a", "b"]
by = [["id"]]
[[statistic]]
name = "n"
kind = "count"
"""


def test_a_bare_frame_needs_one_data_set_alone(tmp_path) -> None:
    study = tmp_path / "s.toml"
    study.write_text(STUDY)
    frame = pd.DataFrame({"id": ["x"]})
    with pytest.raises(WrongUsage, match="south: a bare frame") as caught:
        rehearse(study, {"north": frame, "south": frame})
    assert "labs, lung" in caught.value.next


def test_what_the_command_line_refuses_is_raised_in_python(tmp_path) -> None:
    study = tmp_path / "s.toml"
    study.write_text(STUDY)
    frame = pd.DataFrame({"id": ["x"]})
    with pytest.raises(WrongUsage, match="at least two"):
        rehearse(study, {"south": {"lung": frame, "labs": frame}})
    with pytest.raises(NotFound):
        rehearse(tmp_path / "none.toml", {"north": frame})
    study.write_text("[study]")
    with pytest.raises(BadStudy):
        rehearse(study, {"north": frame})
