"""What people can ask of a real node: every route, and what a wrong request is told."""

import asyncio
import base64
import time
from decimal import Decimal

import pytest

from nodes.ephemeral import open_node
from nodes.people.api import (
    EVENTS_WAIT_S_MAX,
    EXPIRES_S_MAX,
    PATH_SHOWN_MAX,
    PATHS_MAX,
    WHY_CHARACTERS_MAX,
    People,
)
from nodes.people.desk import Desk
from nodes.people.http import Request
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import LogError, NotFound, P2pmpcError, WrongUsage
from p2pmpc.identity import check_card

HASH = "00" * 32
LONG = "x" * (WHY_CHARACTERS_MAX + 1)


def ask(tmp_path, *requests):
    """The answers of one fresh node to these (method, path, body), errors as values."""

    async def scene():
        node = await open_node("north", tmp_path / "north", None)
        people, answers = People(Desk(node), node.log), []
        try:
            for method, path, body in requests:
                parts, _, query = path.partition("?")
                pairs = dict(pair.split("=") for pair in query.split("&") if pair)
                request = Request(method, tuple(p for p in parts.split("/") if p), pairs, body)
                try:
                    answers.append(await people.answer(request))
                except P2pmpcError as fault:
                    answers.append(fault)
            return answers
        finally:
            await node.close()

    return asyncio.run(scene())


def test_a_new_node_shows_its_card_and_that_it_belongs_nowhere(tmp_path):
    status, card, export = ask(
        tmp_path, ("GET", "/status", {}), ("GET", "/card", {}), ("GET", "/log/export", {})
    )
    found = check_card(base64.b64decode(card["card"]))
    assert found.name == status["name"] == "north"
    assert found.fingerprint == status["fingerprint"]
    assert (status["members"], status["studies"]) == ([], {})
    assert isinstance(export, NotFound)


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("GET", "/", {}, NotFound),
        ("DELETE", "/study", {}, NotFound),
        ("GET", "/study/abc", {}, NotFound),
        ("GET", "/study/abc/secrets", {}, NotFound),
        ("GET", "/study/abc/result", {}, NotFound),
        ("GET", "/study/abc/receipt", {}, NotFound),
        ("GET", "/study/abc/events?after=x", {}, WrongUsage),
        ("POST", "/network", {}, WrongUsage),
        ("POST", "/network", {"cards": ["!"], "name": "n"}, WrongUsage),
        ("POST", "/network", {"cards": [base64.b64encode(b"x").decode()], "name": "n"}, LogError),
        ("POST", "/data", {"paths": "lung.csv", "dictionary": ""}, WrongUsage),
        ("POST", "/data", {"paths": ["/nowhere.csv"], "dictionary": "AAAA"}, P2pmpcError),
        ("POST", "/policy", {"policy": "[default]\nminimum_cel = 3"}, WrongUsage),
        ("POST", "/study", {"study": "AAAA"}, P2pmpcError),
        ("POST", "/study", {"study": "AAAA", "expires_s": "soon"}, WrongUsage),
        ("POST", "/study", {"study": "AAAA", "expires_s": True}, WrongUsage),
        ("POST", "/study", {"study": "AAAA", "expires_s": 1}, WrongUsage),
        ("POST", "/study", {"study": "AAAA", "expires_s": EXPIRES_S_MAX + 1}, WrongUsage),
        ("POST", "/study", {"study": "AAAA", "expires_s": float("nan")}, WrongUsage),
        ("GET", "/study/abc/events?wait=nan", {}, WrongUsage),
        ("GET", "/study/abc/events?wait=-1", {}, WrongUsage),
        ("GET", "/study/abc/events/again", {}, NotFound),
        ("GET", "/log", {}, NotFound),
        ("GET", "/" + "x" * 1000, {}, NotFound),
        ("POST", "/data", {"paths": [], "dictionary": "AAAA"}, WrongUsage),
        ("POST", "/data", {"paths": ["lung.csv"], "dictionary": "AAAA"}, WrongUsage),
        ("POST", "/data", {"paths": [7], "dictionary": "AAAA"}, WrongUsage),
        ("POST", "/data", {"paths": ["/a"] * (PATHS_MAX + 1), "dictionary": "AAAA"}, WrongUsage),
        ("POST", "/study/abc/decision", {"why": "good", "hash": HASH}, WrongUsage),
        (
            "POST",
            "/study/abc/decision",
            {"approve": "yes", "why": "good", "hash": HASH},
            WrongUsage,
        ),
        ("POST", "/study/abc/decision", {"approve": True, "why": "  ", "hash": HASH}, WrongUsage),
        (
            "POST",
            "/study/abc/decision",
            {"approve": True, "why": "\x1b[2J", "hash": HASH},
            WrongUsage,
        ),
        ("POST", "/study/abc/decision", {"approve": True, "why": LONG, "hash": HASH}, WrongUsage),
        ("POST", "/study/abc/decision", {"approve": True, "why": "good", "hash": "00"}, WrongUsage),
        ("POST", "/study/abc/decision", {"approve": True, "why": "good", "hash": "no"}, WrongUsage),
        ("POST", "/study/abc/decision", {"approve": True, "why": "good", "hash": HASH}, NotFound),
        ("POST", "/study/abc/withdraw", {}, WrongUsage),
        ("POST", "/study/abc/withdraw", {"why": "a mistake"}, NotFound),
        ("POST", "/study/abc/revoke", {"why": "our board met"}, NotFound),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(tmp_path, method, path, body, error):
    (answer,) = ask(tmp_path, (method, path, body))
    assert isinstance(answer, error)
    assert answer.message
    assert "\x1b" not in answer.message
    assert len(answer.message) < PATH_SHOWN_MAX + 100


def test_a_card_alone_founds_no_network(tmp_path):
    (card,) = ask(tmp_path, ("GET", "/card", {}))
    (answer,) = ask(
        tmp_path / "again", ("POST", "/network", {"cards": [card["card"]], "name": "n"})
    )
    assert isinstance(answer, P2pmpcError)


def test_nobody_waits_for_news_longer_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("nodes.people.api.EVENTS_WAIT_S_MAX", 0.2)
    assert EVENTS_WAIT_S_MAX == 30.0
    began = time.monotonic()
    (answer,) = ask(tmp_path, ("GET", "/study/abc/events?after=0&wait=3600", {}))
    assert answer["events"] == []
    assert time.monotonic() - began < 10


def test_before_there_is_a_network_no_data_set_is_taken_and_the_node_lives_on(tmp_path):
    age = Column(name="age", type="integer", minimum=Decimal(0), maximum=Decimal(120))
    described = base64.b64encode(Dictionary(name="lung", unit="person", columns=(age,)).to_bytes())
    path = tmp_path / "lung.csv"
    path.write_text("age\n50\n")
    body = {"name": "lung", "paths": [str(path)], "dictionary": described.decode()}
    fault, status = ask(tmp_path, ("POST", "/data", body), ("GET", "/status", {}))
    assert isinstance(fault, NotFound)
    assert "p2pmpc network join" in fault.next
    assert (status["datasets"], status["failure"]) == ([], None)


def test_stop_is_asked_for_and_happens(tmp_path):
    async def scene():
        node = await open_node("north", tmp_path / "north", None)
        await People(Desk(node), node.log).answer(Request("POST", ("stop",), {}, {}))
        stopped = node.stopping.is_set()
        await node.close()
        return stopped

    assert asyncio.run(scene())
