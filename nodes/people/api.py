"""The control interface: what people and their programs on this machine ask of the node.

GET  /status                       name, fingerprint, links, what waits for a person
GET  /card                         this member's card
GET  /members                      the roster, and how each link stands
GET  /catalogue                    what every member says of its data; this member's rules
GET  /datasets                     this member's own data sets, with rows and files
GET  /studies                      one row a study
GET  /study/ID                     one study as people read it: review, decisions, who is waited for
GET  /study/ID/events?after=&wait= its story, waiting for news
GET  /study/ID/result|receipt|cost what a recipient may open; what it cost, or will draw
GET  /log/export                   this node's whole record as one bundle
POST /network                      {name, cards}: found a network with these cards
POST /data                         {paths, dictionary, encoding?}: read, check and announce
POST /policy                       {policy}: this member's own rules
POST /study                        {study, expires_s?}: propose
POST /quote                        {study}: what a study would draw of correlations, and what lacks
POST /study/ID/decision            {approve, why, hash}: this member's word
POST /study/ID/withdraw            {why}: take back one's own proposal
POST /study/ID/revoke              {why}: take back one's own consent
POST /stop                         end the node

Cards, dictionaries, studies, receipts and bundles are base64; `hash` is hexadecimal.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from nodes.people.desk import Desk
from nodes.people.http import Request
from p2pmpc.errors import NotFound, P2pmpcError, WrongUsage

__all__ = [
    "EVENTS_WAIT_S_MAX",
    "EXPIRES_S_MAX",
    "PATHS_MAX",
    "PATH_SHOWN_MAX",
    "WHY_CHARACTERS_MAX",
    "People",
]

EVENTS_WAIT_S_MAX = 30.0  # a waiting reader asks again
PATHS_MAX = 1000  # files of one data set: a file a day for three years
WHY_CHARACTERS_MAX = 1000  # a reason that every member reads; it fits the record's text
EXPIRES_S_MIN, EXPIRES_S_MAX = 60.0, 366 * 86400.0  # nobody decides faster; then it is another time
HASH_BYTES = 32
PATH_SHOWN_MAX = 100  # characters of a wrong path that are said back
ID = "ID"


Route = Callable[[Request], Awaitable[dict[str, Any]]]


class People:
    """Answers requests for one node."""

    def __init__(self, desk: Desk, log: Any) -> None:
        self._desk = desk
        self._log = log
        self._routes: Mapping[tuple[str, ...], Route] = {
            ("GET", "status"): self._status,
            ("GET", "card"): self._card,
            ("GET", "members"): self._members,
            ("GET", "catalogue"): self._catalogue,
            ("GET", "datasets"): self._datasets,
            ("GET", "studies"): self._studies,
            ("GET", "log", "export"): self._export,
            ("POST", "network"): self._network,
            ("POST", "data"): self._data,
            ("POST", "policy"): self._policy,
            ("POST", "study"): self._propose,
            ("POST", "quote"): self._quote,
            ("POST", "stop"): self._stop,
            ("GET", "study", ID): self._study,
            ("GET", "study", ID, "events"): self._events,
            ("GET", "study", ID, "result"): self._result,
            ("GET", "study", ID, "receipt"): self._receipt,
            ("GET", "study", ID, "cost"): self._cost,
            ("POST", "study", ID, "decision"): self._decide,
            ("POST", "study", ID, "withdraw"): self._withdraw,
            ("POST", "study", ID, "revoke"): self._revoke,
        }

    def _route(self, request: Request) -> Route:
        path = request.path
        named = (*path[:1], ID, *path[2:]) if path[:1] == ("study",) and len(path) > 1 else path
        route = self._routes.get((request.method, *named))
        if route is None:
            raise NotFound(f"there is no {request.method} /{'/'.join(path)[:PATH_SHOWN_MAX]}")
        return route

    async def answer(self, request: Request) -> dict[str, Any]:
        """Raises NotFound for what is not listed above; what a route raises is its answer."""
        route = self._route(request)
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

    async def _members(self, request: Request) -> dict[str, Any]:
        return self._desk.members()

    async def _catalogue(self, request: Request) -> dict[str, Any]:
        members = {
            member: {name: _text(data) for name, data in sorted(held.items())}
            for member, held in sorted(self._desk.catalogue().items())
        }
        return {"members": members, "rules": _text(self._desk.rules())}

    async def _datasets(self, request: Request) -> dict[str, Any]:
        return {"datasets": self._desk.datasets()}

    async def _network(self, request: Request) -> dict[str, Any]:
        cards = tuple(_bytes(card, "cards") for card in _field(request, "cards", list))
        return {"network": self._desk.found(_field(request, "name", str), cards)}

    async def _data(self, request: Request) -> dict[str, Any]:
        return await self._desk.add_data(
            _paths(request),
            _bytes(_field(request, "dictionary", str), "dictionary"),
            _field(request, "encoding", str) if "encoding" in request.body else None,
        )

    async def _policy(self, request: Request) -> dict[str, Any]:
        self._desk.set_policy(_field(request, "policy", str))
        return {}

    # ---- studies ----

    async def _propose(self, request: Request) -> dict[str, Any]:
        study = _bytes(_field(request, "study", str), "study")
        return {"study": self._desk.propose(study, _expires_s(request))}

    async def _quote(self, request: Request) -> dict[str, Any]:
        return self._desk.quote(_bytes(_field(request, "study", str), "study"))

    async def _studies(self, request: Request) -> dict[str, Any]:
        return {"studies": self._desk.studies()}

    async def _study(self, request: Request) -> dict[str, Any]:
        return self._desk.study(request.path[1])

    async def _result(self, request: Request) -> dict[str, Any]:
        return self._desk.result(request.path[1])

    async def _receipt(self, request: Request) -> dict[str, Any]:
        return {"receipt": _text(self._desk.receipt(request.path[1]))}

    async def _cost(self, request: Request) -> dict[str, Any]:
        return self._desk.cost(request.path[1])

    async def _decide(self, request: Request) -> dict[str, Any]:
        approve, why = _field(request, "approve", bool), _why(request)
        self._desk.decide(request.path[1], approve, why, _hash(request))
        return {}

    async def _withdraw(self, request: Request) -> dict[str, Any]:
        self._desk.withdraw(request.path[1], _why(request))
        return {}

    async def _revoke(self, request: Request) -> dict[str, Any]:
        self._desk.revoke(request.path[1], _why(request))
        return {}

    async def _events(self, request: Request) -> dict[str, Any]:
        study, query = request.path[1], request.query
        try:
            after = int(query.get("after", "0"))
            wait_s = min(float(query.get("wait", "0")), EVENTS_WAIT_S_MAX)
        except ValueError:
            raise WrongUsage("`after` and `wait` are numbers") from None
        if not wait_s >= 0:  # neither below it nor "nan"
            raise WrongUsage("`wait` is a number of seconds, 0 or more")
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


def _paths(request: Request) -> tuple[str, ...]:
    paths = _field(request, "paths", list)
    if not 1 <= len(paths) <= PATHS_MAX:
        raise WrongUsage(f"a data set has 1 to {PATHS_MAX} files", field="paths")
    for path in paths:
        if not isinstance(path, str) or not Path(path).is_absolute() or "\0" in path:
            raise WrongUsage("each of `paths` is the full path of a file", field="paths")
    return tuple(paths)


def _why(request: Request) -> str:
    """The reason, on one line and printable. Raises WrongUsage for none or too long a one."""
    why = " ".join(str(_field(request, "why", str)).split())
    if not why or not why.isprintable():
        raise WrongUsage("a decision needs a reason in words", field="why")
    if len(why) > WHY_CHARACTERS_MAX:
        raise WrongUsage(f"a reason has at most {WHY_CHARACTERS_MAX} characters", field="why")
    return why


def _hash(request: Request) -> bytes:
    try:
        found = bytes.fromhex(_field(request, "hash", str))
    except ValueError:
        found = b""
    if len(found) != HASH_BYTES:
        raise WrongUsage("`hash` is the study's hash in 64 hexadecimal digits", field="hash")
    return found


def _expires_s(request: Request) -> float | None:
    if request.body.get("expires_s") is None:
        return None
    value = request.body["expires_s"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongUsage("`expires_s` is a number of seconds", field="expires_s")
    if not EXPIRES_S_MIN <= value <= EXPIRES_S_MAX:
        raise WrongUsage(
            "members may be given from one minute to one year to decide", field="expires_s"
        )
    return float(value)


def _bytes(text: Any, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise WrongUsage(f"{name!r} is not base64", field=name) from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
