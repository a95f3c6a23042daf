"""`sim run`: a whole network in one process, repeatable from its seed."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pmpc.cli.output import Reply, Table
from p2pmpc.cli.word import progress, spoken
from p2pmpc.errors import P2pmpcError

if TYPE_CHECKING:
    from simulations.run import Run
    from simulations.scenario import Scenario
    from simulations.world import World

__all__ = ["register"]

STUDIES_SHOWN = 12  # more are counted: --json lists them


def register(group: click.Group) -> None:
    """Add `run` to `sim`."""

    @spoken(group, "run", "a whole network in one process, under faults drawn from a seed")
    @click.option("--nodes", type=int, default=50, show_default=True, help="how many nodes")
    @click.option("--seed", type=int, default=1, show_default=True, help="decides everything")
    @click.option(
        "--topology",
        type=click.Choice(["ring", "small-world", "scale-free", "hospital-regions"]),
        default="hospital-regions",
        show_default=True,
        help="who can reach whom",
    )
    @click.option(
        "--minutes", type=float, default=10.0, show_default=True, help="virtual time at least"
    )
    @click.option("--studies", type=int, default=5, show_default=True, help="studies proposed")
    @click.option(
        "--faults",
        default="drawn",
        show_default=True,
        metavar="KINDS",
        help="drawn, none, or some of loss, delay, cut, partition, crash; crash=10 says how many",
    )
    @click.option("--liars", type=int, default=0, show_default=True, help="members that lie")
    @click.option("--only", default="", metavar="NUMBERS", help="of the drawn faults, as 0,3,7")
    @click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="write report.json and simulation.png into this folder",
    )
    def run(
        nodes: int,
        seed: int,
        topology: str,
        minutes: float,
        studies: int,
        faults: str,
        liars: int,
        only: str,
        out: Path | None,
    ) -> Reply:
        from simulations.scenario import Scenario, parse_faults, parse_numbers

        wanted, numbers = parse_faults(faults), parse_numbers(only)
        scenario = Scenario(nodes, seed, topology, minutes, studies, wanted, liars, numbers)
        return _run(scenario, out)


def _run(scenario: Scenario, out: Path | None) -> Reply:
    from simulations.plan import draw_plan
    from simulations.report import host_figures, make_report
    from simulations.run import run
    from simulations.shrink import shrink

    say, begun = progress(), time.monotonic()

    def tell(world: World) -> None:
        minute = world.schedule.now_us / 60_000_000
        text = f"minute {minute:.1f}, {world.counts['events']} events, all checks hold"
        say("simulated", "", text, time.monotonic() - begun)

    gc.disable()  # a world has next to no cycles and millions of tuples that would be walked
    done = run(draw_plan(scenario), tell)
    gc.enable()
    report = make_report(done)
    report["host"] = host_figures(done, time.monotonic() - begun)
    if done.broken is not None:
        say("shrinking", "", done.broken.text, time.monotonic() - begun)
        fewest = make_report(shrink(done, time.monotonic))
        report["shrunk"] = {key: fewest[key] for key in ("plan", "broken", "faults")}
    if out is not None:
        report["files"] = _write(out, done, report)
    return Reply("sim run", report, _lines(report), _error(report))


def _write(folder: Path, done: Run, report: Mapping[str, Any]) -> list[str]:
    from simulations.picture import draw_picture

    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "report.json"
    written.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    drawn = folder / "simulation.png"
    draw_picture(done, drawn)
    return [str(written), str(drawn)]


def _error(report: Mapping[str, Any]) -> P2pmpcError | None:
    broken = report["broken"]
    if broken is None:
        return None
    drawn, small = report["faults"]["drawn"], report["shrunk"]
    return P2pmpcError(
        f"seed {report['plan']['seed']}, step {broken['step']}: {broken['text']}",
        next=f"The smallest run found that breaks the same has {small['plan']['nodes']} nodes and "
        f"{len(small['faults']['drawn'])} faults (of {len(drawn)}), and breaks at step "
        f"{small['broken']['step']}: {small['plan']['command']}",
    )


def _lines(report: Mapping[str, Any]) -> list[str | Table]:
    checks = [*report["checks"].items(), *((name, "at the end") for name in report["finally"])]
    lines: list[str | Table] = [
        *_head(report),
        "",
        Table("Checked after every event", ("invariant", "times"), checks),
        f"Not yet applicable: {', '.join(report['not_yet'])}",
        "",
        _spread_table(report["spread"]),
        Table("Faults", ("what", "times"), list(report["faults"]["happened"].items())),
        _studies_table(report),
        f"Trace {report['trace'][:16]}: the same wherever this is run: {report['plan']['command']}",
    ]
    return [*lines, *report.get("files", [])]


def _head(report: Mapping[str, Any]) -> list[str]:
    plan, host, found = report["plan"], report["host"], report["found"]
    shared, liars = report["shared"], len(plan["liars"])
    checked = shared.get("entries checked", 0)
    return [
        f"{plan['nodes']} nodes in {_networks(len(plan['networks']))}, {plan['links']} links "
        f"({plan['topology']}), seed {plan['seed']}, "
        f"{liars or 'no'} {'liar' if liars == 1 else 'liars'}, fidelity: {plan['fidelity']}",
        f"{report['virtual_s']:.0f} s of virtual time in {host['seconds']:.1f} s: "
        f"{report['events']} events, {host['events_a_second']:.0f} a second; each node sent "
        f"{report['traffic']['bytes_sent_a_node'] / 1e6:.2f} MB and takes "
        f"{host['memory_bytes_a_node'] / 1e6:.2f} MB of memory",
        f"{found['connections']} connections were made by seeds and gossiped addresses; "
        f"{found['in_vain']} calls found nobody",
        f"{checked} signatures of entries were verified once for all nodes instead of "
        f"{checked + shared.get('entries known', 0)} times",
    ]


def _studies_table(report: Mapping[str, Any]) -> Table:
    """Each study where they are few, otherwise how many ended in which way."""
    if len(report["studies"]) > STUDIES_SHOWN:
        return Table("Studies", ("how they ended", "studies"), list(report["outcomes"].items()))
    rows = [
        [one["title"], one["outcome"], one["attempts"], _named(one)] for one in report["studies"]
    ]
    return Table("Studies", ("study", "how it ended", "attempts", "why"), rows)


def _named(study: Mapping[str, Any]) -> str:
    return study["ended"]["why"] if study["ended"] is not None else ""


def _networks(count: int) -> str:
    return "one network" if count == 1 else f"{count} networks"


def _spread_table(spread: Mapping[str, Any]) -> Table:
    columns = ("entries", "how many", "median s", "p95 s", "longest s")
    rows = [
        [name, *(spread[name][key] for key in ("entries", "median_s", "p95_s", "max_s"))]
        for name in ("founding", "later")
    ]
    return Table("Until an entry was at every node", columns, rows)
