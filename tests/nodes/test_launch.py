"""What a starting node says to whoever started it."""

import os
import threading

import pytest

from nodes.launch import LINE_BYTES_MAX, lines_of, node_environment


def said(data: bytes) -> list:
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return list(lines_of(reader))
    finally:
        os.close(reader)
        thread.join()


def test_each_line_is_an_object_and_what_is_none_is_passed_over():
    assert said(b'{"text": "a"}\nnot json\n[1]\n{"ready": true}\n') == [
        {"text": "a"},
        {"ready": True},
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_line_past_its_limit_is_not_waited_for():
    long = b'{"text": "' + b"x" * (2 * LINE_BYTES_MAX) + b'"}\n'
    assert said(b'{"text": "a"}\n' + long + b'{"ready": true}\n') == [{"text": "a"}]


def test_a_node_inherits_the_environment_but_not_the_service_managers_socket():
    found = node_environment({"HOME": "/h", "NOTIFY_SOCKET": "/n", "PYTHONPATH": "/p"})
    assert found["HOME"] == "/h"
    assert "NOTIFY_SOCKET" not in found
    assert found["PYTHONPATH"].endswith(":/p")
    assert os.path.isdir(os.path.join(found["PYTHONPATH"].split(":")[0], "nodes"))
