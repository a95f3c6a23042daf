"""A study rehearsed on one machine: one real node process per member, mutual TLS on loopback.

What a rehearsal is for: the same study file, checks, protocols and record as among organisations,
before anybody is asked. What it is not: a protection between its sites, since one machine and one
user hold them all.

Steps: start all nodes at once, exchange cards, load every member's data at once, set the rules;
then for each study: propose, follow the story of its parties, collect the answer, receipts, costs
and records; at last end the nodes. Every step has a deadline; the first error ends all. Whatever
happens, and whenever, no process and no temporary file is left.
"""

from __future__ import annotations

import base64
import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from p2pmpc.answer import Answer
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import Aborted, LocalError, NotFound, P2pmpcError, Refused
from p2pmpc.folder import private_folder, write_atomically
from p2pmpc.study import Study
from simulations.following import Follower, Story, reader
from simulations.process import Command, MemberProcess, end_all, start
from simulations.sites import Site, check_sites
from simulations.workers import Stop, gather

__all__ = [
    "OUT_NAMES",
    "Limits",
    "Plan",
    "Progress",
    "Rehearsal",
    "SiteFacts",
    "Stage",
    "rehearse",
    "save",
    "staged",
]

OUT_NAMES = ("answer.json", "receipt", "log.bundle")


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that each step may take at most. A study's own waits end well before `study_s`."""

    start_s: float = 60.0  # a cold cache on a busy machine
    network_s: float = 20.0
    data_s: float = 600.0
    propose_s: float = 20.0
    study_s: float = 3600.0
    after_first_s: float = 30.0  # from the first member's end to the last one's
    after_fault_s: float = 0.5  # for the others' accounts of what went wrong
    collect_s: float = 60.0
    poll_s: float = 5.0  # a reader of a story asks again


@dataclass(frozen=True, slots=True)
class Progress:
    """One line for a person: what happens, and who is waited for."""

    step: str
    member: str
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What one owner is told about its own data; a rehearsal plays all owners."""

    rows: int
    notes: tuple[str, ...]
    duplicates: Mapping[str, int]  # linked alias -> rows that repeat a person


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The end of a rehearsal. `answer` is the object of the interface; bytes by member."""

    study: str
    answer: dict[str, Any]
    receipts: Mapping[str, bytes]
    bundles: Mapping[str, bytes]
    cost: Mapping[str, Any]
    sites: Mapping[str, SiteFacts]
    files: tuple[Path, ...] = ()

    @property
    def receipt(self) -> bytes:
        """The first recipient's."""
        return next(iter(self.receipts.values()))

    @property
    def bundle(self) -> bytes:
        """The first member's record."""
        return next(iter(self.bundles.values()))


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked network: nothing in it can be wrong usage any more.

    dictionaries  member -> data set -> description
    policies      member -> its rules as TOML; a member that is absent keeps a rehearsal's own
    stewards      member -> the reason for which its steward approves what its policy asks about
    """

    title: str
    members: tuple[str, ...]
    sites: Mapping[str, Site]
    dictionaries: Mapping[str, Mapping[str, Dictionary]]
    policies: Mapping[str, str]
    stewards: Mapping[str, str]


Describe = Callable[[Study, Mapping[str, Site]], Mapping[str, Mapping[str, Dictionary]]]


def rehearse(
    study: Study,
    sites: Mapping[str, Site],
    describe: Describe,
    policies: Mapping[str, str],
    out: Path | None,
    command: Command,
    limits: Limits,
    stop: Stop,
    on_progress: Callable[[Progress], None],
) -> Rehearsal:
    """Run the study among throw-away nodes; their answer, receipts, record and cost.

    `describe` finds the dictionaries while the nodes start. Files go to `out`, whole or not at all.
    Raises WrongUsage before anything starts; BadData, Refused, Aborted as the nodes report them;
    MemberMissing for a node process that died.
    """
    members = check_sites(study, sites)
    if out is not None:
        _check_out(out)
    began = time.monotonic()
    with staged(members, command, limits, stop, on_progress) as stage:
        dictionaries = stage.describe(lambda: describe(study, sites))
        plan = Plan("rehearsal", members, sites, dictionaries, policies, {})
        facts = stage.meet(plan)
        found = stage.run(plan, study, facts)
    cost = {"seconds": round(time.monotonic() - began, 3), **found.cost}
    done = replace(found, cost=cost)
    return save(done, out) if out is not None else done


@contextlib.contextmanager
def staged(
    members: Sequence[str],
    command: Command,
    limits: Limits,
    stop: Stop,
    on_progress: Callable[[Progress], None],
) -> Iterator[Stage]:
    """Nodes of these members, starting; whatever happens, they are ended and their files removed.

    An error that leaves this carries every node's last words as notes.
    """
    began = time.monotonic()

    def tell(step: str, member: str, text: str) -> None:
        on_progress(Progress(step, member, text, time.monotonic() - began))

    with private_folder() as folder:
        stage = Stage([], stop, tell, limits)
        try:
            stage.start_all(members, folder, command)
            yield stage
        except P2pmpcError as fault:
            for one in stage.nodes:
                fault.add_note(one.last_words())
            raise
        finally:
            end_all(stage.nodes)


@dataclass(slots=True)
class Stage:
    """The nodes of one rehearsal and what is done with them. Written by the main thread alone."""

    nodes: list[MemberProcess]
    stop: Stop
    tell: Callable[[str, str, str], None]
    limits: Limits
    step: str = "while it started"
    stories: list[Story] = field(default_factory=list)

    def look(self) -> None:
        """Raises when the user asked to stop or a node process has died."""
        self.stop.check()
        for one in self.nodes:
            if one.dead() is not None:
                raise one.missing(self.step)

    def start_all(self, members: Sequence[str], folder: Path, command: Command) -> None:
        """Start every process; they get ready while the dictionaries are found."""
        self.tell("start", "", f"starting {len(members)} node processes: {', '.join(members)}")
        for number, name in enumerate(members):
            self.nodes.append(start(name, folder / f"n{number}", command))

    def describe(
        self, describe: Callable[[], Mapping[str, Mapping[str, Dictionary]]]
    ) -> Mapping[str, Mapping[str, Dictionary]]:
        """The members' dictionaries, found while the nodes start."""
        starting = Starting({one.name for one in self.nodes}, time.monotonic())
        deadline = time.monotonic() + self.limits.start_s
        jobs: dict[str, Callable[[], Any]] = {
            one.name: _ready(one, deadline, starting) for one in self.nodes
        }
        jobs["\0dictionaries"] = describe

        def look() -> None:
            # a node that cannot start says why on its ready line, then ends: let the reader tell it
            self.stop.check()
            if starting.overdue(time.monotonic(), self.limits.poll_s):
                late = ", ".join(sorted(starting.names))
                self.tell("waiting", "", f"for the nodes of {late} to be ready")

        found = gather(jobs, look, self.limits.data_s, "starting")
        return found["\0dictionaries"]  # type: ignore[no-any-return]

    def meet(self, plan: Plan) -> dict[str, SiteFacts]:
        """Found the network, load all data, set all rules; what each owner is told of its data."""
        self.step = "while the members met"
        self._network(plan.title)
        self.step = "while it read its data"
        facts = self._data(plan)
        self._rule(plan)
        return facts

    def run(self, plan: Plan, study: Study, facts: Mapping[str, SiteFacts]) -> Rehearsal:
        """One study among its parties, from the proposal to the collected answer."""
        self.step = "while the study ran"
        found = self._propose(study)
        state = self._follow(plan, study, found)
        return self._collect(study, found, state, facts)

    def _each(
        self,
        job: Callable[[MemberProcess], Any],
        deadline_s: float,
        what: str,
        members: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        chosen = [one for one in self.nodes if members is None or one.name in members]
        return gather({one.name: _bound(job, one) for one in chosen}, self.look, deadline_s, what)

    def _network(self, title: str) -> None:
        limit = self.limits.network_s
        cards = self._each(lambda one: one.client.get("/card", limit)["card"], limit, "its card")
        body = {"cards": [cards[name] for name in sorted(cards)], "name": title}
        self._each(lambda one: one.client.post("/network", body, limit), limit, "the network")
        self.tell("network", "", f"{len(cards)} members hold each other's cards")

    def _data(self, plan: Plan) -> dict[str, SiteFacts]:
        def load(one: MemberProcess) -> SiteFacts:
            return _load(one, plan, self.limits.data_s)

        facts = self._each(load, self.limits.data_s, "reading its data")
        for name in sorted(facts):
            self.tell("data", name, f"{facts[name].rows} rows read and checked")
        return facts

    def _rule(self, plan: Plan) -> None:
        limit = self.limits.propose_s

        def rule(one: MemberProcess) -> None:
            if one.name in plan.policies:
                one.client.post("/policy", {"policy": plan.policies[one.name]}, limit)

        self._each(rule, limit, "its policy")

    def _propose(self, study: Study) -> str:
        limit = self.limits.propose_s
        proposer = next(iter(study.recipients), study.parties[0])  # who asks gets the answer
        body = {"study": base64.b64encode(study.to_bytes()).decode()}
        proposed: str = self._each(
            lambda one: one.client.post("/study", body, limit)["study"],
            limit,
            "the proposal",
            [proposer],
        )[proposer]
        return proposed

    def approve(self, member: str, study: Study, why: str) -> None:
        """A member's steward says yes to exactly this study."""
        body = {"approve": True, "why": why, "hash": study.hash.hex()}
        (node,) = (one for one in self.nodes if one.name == member)
        with contextlib.suppress(Refused):  # another member's no has come first: its story says so
            node.client.post(f"/study/{study.id}/decision", body, self.limits.propose_s)

    def _follow(self, plan: Plan, study: Study, proposed: str) -> str:
        """The state in which the study ended at its parties. Raises what ended it early."""
        news: queue.SimpleQueue[Story] = queue.SimpleQueue()
        ended = threading.Event()
        parties = [one for one in self.nodes if one.name in study.parties]
        for one in parties:
            read = reader(one, proposed, news, ended, self.limits.poll_s)
            threading.Thread(target=read, daemon=True).start()
        try:
            return Follower(self, study, plan.stewards).follow(news)
        finally:
            ended.set()

    def _collect(
        self, study: Study, proposed: str, state: str, facts: Mapping[str, SiteFacts]
    ) -> Rehearsal:
        self.step = "while the answer was collected"
        limit = self.limits.collect_s
        parties = study.parties
        recipients = [name for name in parties if name in study.recipients]

        def ask(what: str, members: Sequence[str]) -> dict[str, Any]:
            return self._each(
                lambda one: _or_none(lambda: one.client.study(proposed, what, limit)),
                limit,
                f"its {what}",
                members,
            )

        answer = _one_answer(ask("result", recipients), state)
        receipts = {
            name: base64.b64decode(found["receipt"])
            for name, found in sorted(ask("receipt", recipients).items())
            if found is not None
        }
        if receipts:
            proof = next(iter(receipts.values()))
            answer = Answer.from_json(answer).with_proof(proof).to_json()
        cost = ask("cost", parties)
        bundles = self._each(
            lambda one: base64.b64decode(one.client.get("/log/export", limit)["bundle"]),
            limit,
            "its record",
        )
        told = {name: _with_duplicates(facts[name], cost[name]) for name in parties}
        return Rehearsal(
            proposed, answer, receipts, dict(sorted(bundles.items())), _sum(cost), told
        )


def save(done: Rehearsal, out: Path) -> Rehearsal:
    """Write the answer, the receipt and the log bundle into `out`. Raises LocalError."""
    _check_out(out)
    data = [
        json.dumps(done.answer, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n",
        done.receipt if done.receipts else b"",
        done.bundle,
    ]
    files = []
    for name, content in zip(OUT_NAMES, data, strict=True):
        if content:
            write_atomically(out / name, content)
            files.append(out / name)
    return replace(done, files=tuple(files))


def _check_out(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise LocalError(
            f"the folder {out} cannot be made: {fault.strerror}",
            file=str(out),
            next="Choose another folder with --out.",
        ) from None


@dataclass(slots=True)
class Starting:
    """The nodes that are not ready yet, and when that was last said; a thread removes its own."""

    names: set[str]
    said: float

    def overdue(self, now: float, every_s: float) -> bool:
        """Whether it is time to say so again."""
        if not self.names or now - self.said < every_s:
            return False
        self.said = now
        return True


def _ready(one: MemberProcess, deadline: float, starting: Starting) -> Callable[[], None]:
    def wait() -> None:
        one.wait_ready(deadline)
        starting.names.discard(one.name)

    return wait


def _bound(job: Callable[[MemberProcess], Any], one: MemberProcess) -> Callable[[], Any]:
    return lambda: job(one)


def _load(one: MemberProcess, plan: Plan, limit_s: float) -> SiteFacts:
    """Load every data set that the study asks of this member."""
    rows, notes = 0, []
    for name in sorted(plan.dictionaries[one.name]):
        dictionary = plan.dictionaries[one.name][name]
        body = {
            "paths": [str(plan.sites[one.name].files[name])],
            "dictionary": base64.b64encode(dictionary.to_bytes()).decode(),
        }
        found = one.client.post("/data", body, limit_s)
        rows += found["rows"]
        notes += found.get("notes", [])
    return SiteFacts(rows, tuple(notes), {})


def _with_duplicates(facts: SiteFacts, cost: Mapping[str, Any] | None) -> SiteFacts:
    """With the rows of each linked table that repeat a person: the owner alone is told."""
    return replace(facts, duplicates=dict((cost or {}).get("duplicates", {})))


def _or_none(ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return ask()
    except NotFound:
        return None


def _one_answer(found: Mapping[str, dict[str, Any] | None], state: str) -> dict[str, Any]:
    """The answer that all recipients hold. Raises when two of them differ."""
    answers = {name: answer for name, answer in sorted(found.items()) if answer is not None}
    if not answers:
        raise Aborted(f"the study is {state}, but no recipient holds an answer")
    first = next(iter(answers))
    for name, answer in answers.items():
        if answer["statistics"] != answers[first]["statistics"]:
            raise P2pmpcError(f"{first} and {name} hold different answers")
    return answers[first]


def _sum(cost: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """Cost as the interface lists it: rounds once, bytes and memory for each member."""
    known = {name: one for name, one in sorted(cost.items()) if one}
    return {
        "study_seconds": max((one["seconds"] for one in known.values()), default=0.0),
        "rounds": max((one["rounds"] for one in known.values()), default=0),
        "bytes_sent": {name: one["bytes_sent"] for name, one in known.items()},
        "peak_memory": {name: one["peak_memory"] for name, one in known.items()},
    }
