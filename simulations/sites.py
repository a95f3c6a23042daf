"""Who takes part in a rehearsal and which files each holds: checked before any process starts.

A site is written NAME=FILE or NAME=FILE,FILE; a file's stem is the data set's name. One site only,
a member of the study that is no site, a site given twice and a data set that a site lacks are wrong
usage, each named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from p2pmpc.errors import NotFound, WrongUsage
from p2pmpc.study import Study

__all__ = ["Given", "Site", "check_sites", "given", "site", "site_of", "sites_of"]


@dataclass(frozen=True, slots=True)
class Site:
    """One member and its files, by data set."""

    name: str
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Given:
    """A file meant for one member, or for all when `member` is None."""

    member: str | None
    path: Path


def site(text: str) -> Site:
    """Parse NAME=FILE[,FILE]. Raises WrongUsage."""
    name, equals, files = text.partition("=")
    name = name.strip()
    if not equals or not name or not files.strip():
        raise WrongUsage(
            f"--site {text!r} is not NAME=FILE",
            field="--site",
            next="Write, for example, --site north=lung.csv.",
        )
    return site_of(name, _paths(files))


def site_of(name: str, paths: Iterable[Path]) -> Site:
    """A site with these files. Raises NotFound, or WrongUsage for a data set given twice."""
    found: dict[str, Path] = {}
    for path in paths:
        _check_file(name, path)
        if path.stem in found:
            raise WrongUsage(
                f"{name}: {found[path.stem]} and {path} would both be the data set {path.stem!r}",
                member=name,
                field="--site",
                next="A file's stem is the data set's name: rename one of the files.",
            )
        found[path.stem] = path.resolve()
    return Site(name, found)


def sites_of(texts: Sequence[str]) -> dict[str, Site]:
    """All sites by name, in the order given. Raises WrongUsage for one given twice."""
    found: dict[str, Site] = {}
    for text in texts:
        one = site(text)
        if one.name in found:
            raise WrongUsage(
                f"the site {one.name!r} is given twice",
                member=one.name,
                field="--site",
                next=f"Several files of one site are written --site {one.name}=FILE,FILE.",
            )
        found[one.name] = one
    return found


def given(text: str, names: Iterable[str]) -> Given:
    """Parse FILE or MEMBER=FILE, for a dictionary or a policy."""
    member, equals, path = text.partition("=")
    if equals and member in set(names):
        return Given(member, Path(path))
    return Given(None, Path(text))


def check_sites(study: Study, sites: Mapping[str, Site]) -> tuple[str, ...]:
    """The sites that take part, sorted. Raises WrongUsage naming what is missing."""
    if len(sites) < 2:
        raise WrongUsage(
            f"{len(sites)} site is given; a joint study needs at least two"
            if sites
            else "no site is given; a joint study needs at least two",
            field="--site",
            next="Add --site NAME=FILE for every member of the study.",
        )
    for member in study.parties:
        if member not in sites:
            raise WrongUsage(
                f"the study asks the member {member!r}, which is no site; sites: "
                f"{', '.join(sorted(sites))}",
                member=member,
                field="--site",
                next=f"Add --site {member}=FILE, or take {member} out of the study.",
            )
    for alias in study.data:
        for member in alias.members:
            _check_dataset(sites[member], alias.dataset)
    return tuple(sorted(study.parties))


def _check_dataset(one: Site, dataset: str) -> None:
    if dataset in one.files:
        return
    held = ", ".join(sorted(one.files))
    first = next(iter(sorted(one.files.values())))
    raise WrongUsage(
        f"{one.name} has no data set {dataset!r}, which the study asks for; it has: {held}",
        member=one.name,
        field="--site",
        next=f"A file's stem is the data set's name: rename it {dataset}{first.suffix}, "
        "or change `dataset` in the study.",
    )


def _paths(text: str) -> list[Path]:
    whole = Path(text).expanduser()
    if whole.exists():  # a comma may belong to a file's name
        return [whole]
    return [Path(part.strip()).expanduser() for part in text.split(",") if part.strip()]


def _check_file(name: str, path: Path) -> None:
    if path.is_dir():
        raise WrongUsage(f"{name}: {path} is a folder, not a file", member=name, file=str(path))
    if not path.exists():
        raise NotFound(
            f"{name}: there is no file {path}",
            member=name,
            file=str(path),
            next="Check the path; it is read from the folder where the command runs.",
        )
