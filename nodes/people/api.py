"""The control interface: what people and their programs on this machine ask of the node.

GET  /status                       name, fingerprint, links
GET  /card                         this member's card
POST /network                      found a network with these cards
POST /data                         read, check and announce a data set
POST /policy                       this member's own rules
POST /study                        propose a study
GET  /study/ID/events?after=&wait= the story of a study, waiting for news
GET  /study/ID/result|receipt|cost what a recipient may open; what it cost
GET  /log/export                   this node's whole record as one bundle
POST /stop                         end the node
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nodes.people.desk import Desk
from nodes.people.http import Request
from p2pmpc.errors import NotFound, P2pmpcError, WrongUsage

__all__ = ["EVENTS_WAIT_S_MAX", "People"]

EVENTS_WAIT_S_MAX = 30.0  # a waiting reader asks again


class People:
    """Answers requests for one node."""

    def __init__(self, desk: Desk, log: Any) -> None:
        self._desk = desk
        self._log = log
        self._routes: Mapping[tuple[str, str], Callable[[Request], Awaitable[dict[str, Any]]]] = {
            ("GET", "status"): self._status,
            ("GET", "card"): self._card,
            ("POST", "network"): self._network,
            ("POST", "data"): self._data,
            ("POST", "policy"): self._policy,
            ("POST", "study"): self._propose,
            ("GET", "study"): self._study,
            ("GET", "log"): self._export,
            ("POST", "stop"): self._stop,
        }

    async def answer(self, request: Request) -> dict[str, Any]:
        """Raises NotFound for what is not listed above; what a route raises is its answer."""
        route = self._routes.get((request.method, request.path[0] if request.path else ""))
        if route is None:
            raise NotFound(f"there is no {request.method} /{'/'.join(request.path)}")
        try:
            return await route(request)
        except P2pmpcError:
            raise
        except Exception:  # noqa: BLE001  its message may hold a value of the data: the log keeps the places only
            self._log.exception("request failed")
            raise P2pmpcError(
                "an internal fault ended this request", next="The node's log names the place."
            ) from None

    async def _status(self, request: Request) -> dict[str, Any]:
        return self._desk.status()

    async def _card(self, request: Request) -> dict[str, Any]:
        return {"card": _text(self._desk.card())}

    async def _network(self, request: Request) -> dict[str, Any]:
        cards = tuple(_bytes(card) for card in _field(request, "cards", list))
        return {"network": self._desk.found(_field(request, "name", str), cards)}

    async def _data(self, request: Request) -> dict[str, Any]:
        return await self._desk.add_data(
            tuple(_field(request, "paths", list)),
            _bytes(_field(request, "dictionary", str)),
            _field(request, "encoding", str) if "encoding" in request.body else None,
        )

    async def _policy(self, request: Request) -> dict[str, Any]:
        self._desk.set_policy(_field(request, "policy", str))
        return {}

    async def _propose(self, request: Request) -> dict[str, Any]:
        return {"study": self._desk.propose(_bytes(_field(request, "study", str)))}

    async def _study(self, request: Request) -> dict[str, Any]:
        if len(request.path) != 3:
            raise NotFound("a study is asked for its events, result, receipt or cost")
        _, study, what = request.path
        if what == "events":
            return await self._events(study, request.query)
        if what == "result":
            return self._desk.result(study)
        if what == "receipt":
            return {"receipt": _text(self._desk.receipt(study))}
        if what == "cost":
            return self._desk.cost(study)
        raise NotFound(f"a study has no {what!r}")

    async def _events(self, study: str, query: Mapping[str, str]) -> dict[str, Any]:
        try:
            after = int(query.get("after", "0"))
            wait_s = min(float(query.get("wait", "0")), EVENTS_WAIT_S_MAX)
        except ValueError:
            raise WrongUsage("`after` and `wait` are numbers") from None
        lines = await self._desk.node.stories.after(study, max(0, after), wait_s)
        return {
            "events": [line.to_json() for line in lines],
            "state": self._desk.state_of(study),
        }

    async def _export(self, request: Request) -> dict[str, Any]:
        return {"bundle": _text(self._desk.export())}

    async def _stop(self, request: Request) -> dict[str, Any]:
        self._desk.stop()
        return {}


def _field(request: Request, name: str, kind: type) -> Any:
    value = request.body.get(name)
    if not isinstance(value, kind):
        raise WrongUsage(f"the request needs {name!r}", field=name)
    return value


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise WrongUsage("a field that should be base64 is not") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
