"""What a person asks of the simulator, and the line that asks for the very same again."""

from __future__ import annotations

from dataclasses import dataclass

from p2pmpc.errors import WrongUsage
from simulations.faults import FAULTS_MAX, KINDS
from simulations.topologies import TOPOLOGIES

__all__ = [
    "LIARS_MAX",
    "MINUTES_MAX",
    "NODES_MAX",
    "STUDIES_MAX",
    "Scenario",
    "parse_faults",
    "parse_numbers",
]

NODES_MAX = 4096  # sixteen full networks
MINUTES_MAX = 1440  # a day of virtual time
STUDIES_MAX = 1000  # each is read by every member
LIARS_MAX = 64  # every fork is told by everybody to everybody
SEED_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run, before anything of it is drawn. Raises WrongUsage for a number out of its bounds.

    faults  pairs of kind and number (-1: as many as the seed draws); None: the seed draws which
    only    numbers of drawn faults that happen; None: all of them
    liars   members that fork their feeds, lie about what they know and replay addresses
    """

    nodes: int
    seed: int
    topology: str
    minutes: float
    studies: int
    faults: tuple[tuple[str, int], ...] | None
    liars: int
    only: tuple[int, ...] | None

    def __post_init__(self) -> None:
        _check("--nodes", self.nodes, 2, NODES_MAX)
        _check("--minutes", self.minutes, 1, MINUTES_MAX)
        _check("--studies", self.studies, 0, STUDIES_MAX)
        _check("--seed", self.seed, 0, SEED_MAX)
        _check("--liars", self.liars, 0, min(LIARS_MAX, self.nodes - 2))
        if self.topology not in TOPOLOGIES:
            raise WrongUsage(
                f"there is no topology {self.topology!r}",
                field="--topology",
                next=f"Use one of {', '.join(sorted(TOPOLOGIES))}.",
            )

    @property
    def command(self) -> str:
        """The line that runs this again, on any machine."""
        words = ["p2pmpc sim run", f"--nodes {self.nodes}", f"--seed {self.seed}"]
        words += [f"--topology {self.topology}", f"--minutes {self.minutes:g}"]
        words += [f"--studies {self.studies}"]
        words += [f"--liars {self.liars}"] if self.liars else []
        words += [f"--faults {_spelled(self.faults)}"] if self.faults is not None else []
        if self.only is not None:
            words.append(f"--only {','.join(map(str, self.only)) or 'none'}")
        return " ".join(words)


def _check(field: str, value: float, least: int, most: int) -> None:
    if not least <= value <= most:
        raise WrongUsage(f"{field} must be from {least} to {most}, not {value:g}", field=field)


def parse_faults(text: str) -> tuple[tuple[str, int], ...] | None:
    """`drawn`, `none`, or kinds with or without numbers: `loss,crash=10`. Raises WrongUsage."""
    if text == "drawn":
        return None
    found: dict[str, int] = {}
    for word in text.split(",") if text != "none" else ():
        kind, given, number = word.strip().partition("=")
        if (
            kind not in KINDS
            or (given and not number.isascii())
            or (given and not number.isdigit())
        ):
            raise WrongUsage(
                f"--faults does not know {word.strip()!r}",
                field="--faults",
                next=f"Use drawn, none, or some of {', '.join(KINDS)}, each with =NUMBER or not.",
            )
        found[kind] = int(number) if given else -1
        if found[kind] > FAULTS_MAX:
            raise WrongUsage(f"--faults takes at most {FAULTS_MAX} of a kind", field="--faults")
    return tuple(sorted(found.items()))


def _spelled(faults: tuple[tuple[str, int], ...]) -> str:
    words = [kind if number < 0 else f"{kind}={number}" for kind, number in faults]
    return ",".join(words) or "none"


def parse_numbers(text: str) -> tuple[int, ...] | None:
    """`--only`: numbers of drawn faults, `none`, or empty for all. Raises WrongUsage."""
    if not text:
        return None
    words = [] if text == "none" else text.split(",")
    if not all(word.strip().isascii() and word.strip().isdigit() for word in words):
        raise WrongUsage(
            f"--only takes numbers of faults like 0,3,7, not {text!r}",
            field="--only",
            next="The report lists every drawn fault with its number.",
        )
    return tuple(sorted({int(word) for word in words}))
