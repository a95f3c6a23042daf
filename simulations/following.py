"""Follows one study at all of its parties, as a person with a terminal at each node would."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from p2pmpc.errors import Aborted, P2pmpcError, error_from_json
from p2pmpc.study import Study
from simulations.process import MemberProcess

if TYPE_CHECKING:
    from simulations.laptop import Stage

__all__ = ["Follower", "Story", "reader"]

FINAL = frozenset({"answered", "withheld", "refused", "aborted"})


@dataclass(frozen=True, slots=True)
class Story:
    """One line of one node's story, or (event "") only the state of the study there."""

    node: str
    event: str
    member: str
    text: str
    error: Mapping[str, Any] | None
    state: str


@dataclass(slots=True)
class Follower:
    """Reads the parties' stories until the study has ended at all of them."""

    stage: Stage
    study: Study
    stewards: Mapping[str, str]
    told: set[tuple[str, str, str]] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    fault: P2pmpcError | None = None
    spoke: float = 0.0  # when a person last read a line

    def follow(self, news: queue.SimpleQueue[Story]) -> str:
        """Returns "answered" or "withheld"; raises what ended the study early."""
        limits = self.stage.limits
        began = self.spoke = time.monotonic()
        deadline = began + limits.study_s
        while True:
            self.stage.look()
            story = _next(news)
            if story is not None:
                deadline = min(deadline, time.monotonic() + self._hear(story))
            elif time.monotonic() - self.spoke > limits.poll_s:
                self._tell("computing", "", f"for {time.monotonic() - began:.0f} s so far")
            ended = [state for state in self.states.values() if state in FINAL]
            all_ended = len(ended) == len(self.study.parties)
            if all_ended or time.monotonic() > deadline:
                return self._conclude(all_ended)

    def _tell(self, event: str, member: str, text: str) -> None:
        self.spoke = time.monotonic()
        self.stage.tell(event, member, text)

    def _hear(self, story: Story) -> float:
        """Note one line; how many seconds the rest may still take."""
        limits = self.stage.limits
        line = (story.event, story.member, story.text)
        if story.event and line not in self.told:
            self.told.add(line)
            self._tell(*line)
            if story.event == "asked" and story.member in self.stewards:
                self.stage.approve(story.member, self.study, self.stewards[story.member])
        if story.state:
            self.states[story.node] = story.state
        if story.error is not None and self.fault is None:
            self.fault = error_from_json(dict(story.error))
        if self.fault is not None or story.state in {"refused", "aborted"}:
            return limits.after_fault_s
        return limits.after_first_s if story.state in FINAL else limits.study_s

    def _conclude(self, all_ended: bool) -> str:
        if self.fault is not None:
            raise self.fault
        states = set(self.states.values())
        if states & {"refused", "aborted"}:
            who = sorted(n for n, s in self.states.items() if s in {"refused", "aborted"})
            raise Aborted(f"the study ended early at {', '.join(who)}", member=who[0])
        if not all_ended:
            late = sorted(set(self.study.parties) - self._ended())
            raise Aborted(
                f"{', '.join(late)} did not end the study in time", member=late[0] if late else None
            )
        return "answered" if "answered" in states else "withheld"

    def _ended(self) -> set[str]:
        return {name for name, state in self.states.items() if state in FINAL}


def reader(
    one: MemberProcess,
    study: str,
    news: queue.SimpleQueue[Story],
    ended: threading.Event,
    poll_s: float,
) -> Callable[[], None]:
    """A thread's body: one node's story into the queue until the study has ended there."""

    def read() -> None:
        after, state = 0, ""
        while state not in FINAL and not ended.is_set():
            try:
                what = f"events?after={after}&wait={poll_s:g}"
                found = one.client.study(study, what, poll_s + 10.0)
            except P2pmpcError:
                ended.wait(0.2)  # the main thread sees a dead process and names it
                continue
            for line in found["events"]:
                after = max(after, line["n"])
                error = line.get("error")
                news.put(Story(one.name, line["event"], line["member"], line["text"], error, ""))
            state = found["state"]
            news.put(Story(one.name, "", "", "", None, state))

    return read


def _next(news: queue.SimpleQueue[Story]) -> Story | None:
    try:
        return news.get(timeout=0.02)
    except queue.Empty:
        return None
