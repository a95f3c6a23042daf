"""Figures of a running node for Prometheus, on 127.0.0.1 alone and only where a port is set.

What the node knows is read at the moment of a request; only what passes by is counted, in its
`Tally`. No study, data set or column is named, and nothing measures anybody's rows: there are
links, bytes on links, entries of the record, states and seconds. Any user of this machine may read
it, no web page may: a request must name this host.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import h11
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from nodes.transport.reason import Reason
from p2pmpc.errors import LocalError

if TYPE_CHECKING:
    from nodes.shell import Node

__all__ = ["REQUEST_BYTES_MAX", "figures", "serve_metrics"]

HOST = "127.0.0.1"
REQUEST_BYTES_MAX = 8192  # a scraper's headers are a few hundred
REQUEST_WAIT_S = 5.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BEAT_S = 0.5  # how often the loop is asked whether it is late
LATE_S = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
ORDINARY = frozenset(
    {Reason.SILENT, Reason.REPLACED, Reason.GOODBYE, Reason.LOST, Reason.STOPPED}
)  # ends of links, no refusals

Figure: TypeAlias = GaugeMetricFamily | CounterMetricFamily


def figures(node: Node, now_s: float) -> Iterator[Figure]:
    """Every figure of the node as it is now; `now_s` by the clock of the event loop."""
    core, transport = node.core, node.transport
    peers = sorted({*(core.feeds.roster.names if core.feeds.roster else ())} - {node.name})
    traffic = {peer: transport.traffic(peer) for peer in peers}
    states = Counter(case.state for case in core.cases.values())
    yield _gauge("up", "1, or 0 when the node has ended itself", float(node.failure is None))
    yield _gauge("members", "members of the network, this one among them", len(peers) + bool(peers))
    yield _gauge("links_up", "members that are linked now", len(core.up))
    yield _by("bytes_sent", "bytes of frames sent", "peer", {p: t.sent for p, t in traffic.items()})
    received = {peer: one.received for peer, one in traffic.items()}
    yield _by("bytes_received", "bytes of frames received", "peer", received)
    entries = {author: head.seq + 1 for author, head in sorted(core.feeds.heads.items())}
    yield _by("entries", "entries of the record", "author", entries, total=False)
    yield _by("studies", "studies known here", "state", dict(sorted(states.items())), total=False)
    yield _gauge("sessions", "runs on this machine now", len(node.runs.running))
    yield _gauge("attempt_seconds", "what the last run took", node.runs.last_s)
    pool = node.keeper.pool
    yield _gauge("pool_bytes", "memory of what was made ahead for studies", pool.nbytes)
    yield _gauge("pool_batches", "batches made ahead, each for one study", pool.batches)
    yield CounterMetricFamily("p2pmpc_fills", "fills that ended well", value=node.keeper.filled)
    yield _gauge("store_bytes", "size of the record's files", node.store.size_bytes())
    yield from _reasons(node)
    yield from _gossip(node, now_s)


def _gauge(name: str, text: str, value: float) -> Figure:
    return GaugeMetricFamily(f"p2pmpc_{name}", text, value=value)


def _by(name: str, text: str, label: str, values: dict[str, int], *, total: bool = True) -> Figure:
    family = CounterMetricFamily if total else GaugeMetricFamily
    found: Figure = family(f"p2pmpc_{name}", text, labels=[label])
    for key, value in values.items():
        found.add_metric([key], value)
    return found


def _reasons(node: Node) -> Iterator[Figure]:
    """What was refused and which links ended, by the transport's own vocabulary."""
    counts = dict(sorted(node.transport.counts().items()))
    refused = {reason: n for reason, n in counts.items() if reason not in ORDINARY}
    refused |= {f"error {code}": n for code, n in sorted(node.tally.refused.items())}
    ended = {reason: n for reason, n in counts.items() if reason in ORDINARY}
    yield _by("refusals", "links, dials, mail and messages refused", "reason", refused)
    yield _by("link_ends", "links that ended in the ordinary way", "reason", ended)


def _gossip(node: Node, now_s: float) -> Iterator[Figure]:
    """How far each peer was from this record when it last compared."""
    here = {author: head.seq + 1 for author, head in node.core.feeds.heads.items()}
    ages = GaugeMetricFamily(
        "p2pmpc_gossip_age_seconds", "since the record was compared with a peer", labels=["peer"]
    )
    lag = GaugeMetricFamily(
        "p2pmpc_gossip_lag_entries",
        "entries that one side lacked when they compared",
        labels=["peer", "side"],
    )
    for peer, (heard_s, frontier) in sorted(node.tally.frontiers.items()):
        there = {author: seq + 1 for author, seq, _ in frontier.heads}
        ages.add_metric([peer], now_s - heard_s)
        lag.add_metric([peer, "here"], _lacking(here, there))
        lag.add_metric([peer, "there"], _lacking(there, here))
    yield ages
    yield lag


def _lacking(one: dict[str, int], other: dict[str, int]) -> int:
    return sum(max(0, count - one.get(author, 0)) for author, count in other.items())


@dataclass(frozen=True, slots=True, eq=False)
class Gauges:
    """The collector that the library asks at each request, and keeps by its identity."""

    node: Node

    def collect(self) -> Iterator[Figure]:
        """Every figure."""
        return figures(self.node, asyncio.get_running_loop().time())

    def describe(self) -> list[Figure]:
        """Nothing to compare names with: the figures are made by one function."""
        return []


# ---- serving -------------------------------------------------------------------------------------


async def serve_metrics(node: Node, port: int) -> asyncio.Server:
    """Listen on this port of 127.0.0.1 until the server is closed. Raises LocalError."""
    registry = CollectorRegistry()
    registry.register(Gauges(node))
    ProcessCollector(registry=registry)
    late = Histogram(
        "p2pmpc_event_loop_delay_seconds",
        "how late the event loop was when it was asked",
        buckets=LATE_S,
        registry=registry,
    )
    try:
        server = await asyncio.start_server(
            lambda r, w: _answer(r, w, registry), HOST, port, family=socket.AF_INET
        )
    except OSError as fault:
        raise LocalError(
            f"metrics_port {port} cannot be listened on: {fault.strerror}",
            field="metrics_port",
            next="Set another metrics_port in settings.toml, or 0 for none.",
        ) from None
    node.chore(_beat(late))
    return server


async def _beat(late: Histogram) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + BEAT_S
        await asyncio.sleep(BEAT_S)
        late.observe(max(0.0, loop.time() - due))


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, registry: CollectorRegistry
) -> None:
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_BYTES_MAX)
    try:
        async with asyncio.timeout(REQUEST_WAIT_S):
            status, body = _respond(await _head(http, reader), registry)
            writer.write(_encode(http, status, body))
            await writer.drain()
    except (h11.ProtocolError, TimeoutError, ConnectionError):
        pass  # whoever breaks HTTP or goes away gets no answer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _head(http: h11.Connection, reader: asyncio.StreamReader) -> h11.Request:
    while True:
        event = http.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            raise ConnectionError("the client went away")
        http.receive_data(await reader.read(REQUEST_BYTES_MAX))


def _respond(head: h11.Request, registry: CollectorRegistry) -> tuple[int, bytes]:
    hosts = [value for name, value in head.headers if name == b"host"]
    if [host.rpartition(b":")[0] or host for host in hosts] not in ([b"127.0.0.1"], [b"localhost"]):
        return 403, b"ask for 127.0.0.1\n"  # a web page that names itself for this address
    if (head.method, head.target.partition(b"?")[0]) != (b"GET", b"/metrics"):
        return 404, b"there is GET /metrics\n"
    return 200, generate_latest(registry)


def _encode(http: h11.Connection, status: int, body: bytes) -> bytes:
    headers = [
        ("content-type", CONTENT_TYPE),
        ("content-length", str(len(body))),
        ("connection", "close"),
    ]
    parts = (
        http.send(h11.Response(status_code=status, headers=headers)),
        http.send(h11.Data(data=body)),
        http.send(h11.EndOfMessage()),
    )
    return b"".join(part for part in parts if part)
