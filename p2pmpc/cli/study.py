"""`study new | check | show`: a study as a file, before it is proposed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from p2pmpc.catalogue import Resolved, resolve
from p2pmpc.cli.home import node_option
from p2pmpc.cli.member import is_id, own_node
from p2pmpc.cli.output import Reply, Table
from p2pmpc.cli.proposal import shown
from p2pmpc.cli.rehearse import learns
from p2pmpc.cli.word import spoken
from p2pmpc.dictionary import Dictionary, read_dictionary
from p2pmpc.errors import NotFound, Withheld, WrongUsage
from p2pmpc.folder import as_typed, write_atomically
from p2pmpc.policy import REHEARSAL, Policy, read_policy
from p2pmpc.study import Study, parse_study, read_study

__all__ = ["TEMPLATE", "register"]

TEMPLATE = """\
[study]
title = "{title}"
purpose = "DUO:0000042"                 # a Data Use Ontology code, or free text
question = "{question}"
{recipients}

[data.patients]                         # an alias
dataset = "{dataset}"                   # the name in the members' catalogues
members = [{members}]                   # rows are pooled over these members
# where = "age >= 40"                   # optional; columns that may be used as a filter

[[statistic]]
name = "how_many"                       # results are found under this name
kind = "count"

# [[statistic]]
# name = "ages"
# kind = "describe"
# columns = ["age"]
# by = "sex"
"""


def register(group: click.Group) -> None:
    """Add the words of `study` about a file."""
    _register_new(group)
    _register_check(group)
    _register_show(group)


def _register_new(group: click.Group) -> None:
    @spoken(group, "new", "write a study file to begin with")
    @click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
    @click.option("--title", default="A joint study", show_default=True)
    @click.option("--dataset", default="lung", show_default=True, help="the data set's name")
    @click.option("--member", "members", multiple=True, help="a member; give at least two")
    @click.option("--question", default="What is to be found out?", help="what you want to know")
    @click.option(
        "--recipient", "recipients", multiple=True, help="a member who may open the answer"
    )
    def new(
        file: Path,
        title: str,
        dataset: str,
        members: Sequence[str],
        question: str,
        recipients: Sequence[str],
    ) -> Reply:
        names = tuple(members) or ("north", "south")
        if file.exists():
            raise WrongUsage(
                f"{file} exists already", file=str(file), next="Choose another name, or remove it."
            )
        text = TEMPLATE.format(
            title=_quoted(title),
            question=_quoted(question),
            dataset=dataset,
            recipients=_recipients(recipients, names[0]),
            members=", ".join(f'"{name}"' for name in names),
        )
        study = parse_study(text, str(file))
        write_atomically(file, text.encode())
        lines = (
            f"{file} is written",
            f"p2pmpc study check {as_typed(file)} checks it after you edit it.",
        )
        return Reply("study new", {"file": str(file), "study": study.id}, lines)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _recipients(chosen: Sequence[str], first: str) -> str:
    """The line of the template; where nobody is chosen, as a remark on how to choose."""
    if not chosen:
        return f'# recipients = ["{first}"]              # who may open the answer; default: all'
    return f"recipients = [{', '.join(json.dumps(name) for name in chosen)}]"


def _register_check(group: click.Group) -> None:
    @spoken(group, "check", "check a study's form and, with dictionaries, against the data's words")
    @click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
    @click.option(
        "--dictionary",
        "dictionaries",
        multiple=True,
        metavar="[MEMBER=]FILE",
        help="a data dictionary, of all members or of one",
    )
    @click.option(
        "--policy",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="the rules to check against; a rehearsal's by default",
    )
    @node_option
    def check(
        file: Path, dictionaries: Sequence[str], policy: Path | None, node: Path | None
    ) -> Reply:
        study = read_study(file)
        if not dictionaries and node is not None:
            own = own_node(node)
            resolved = own.check(study)
            return _checked(study, resolved, own.quote(study))
        rules = read_policy(policy) if policy is not None else REHEARSAL
        if not dictionaries:
            line = (
                f"{file}: well formed, {len(study.statistics)} statistics; give --dictionary FILE"
            )
            return Reply(
                "study check", _facts(study), (f"{line}, or --node DIR, to check its columns too",)
            )
        resolved = resolve(study, *_catalogue(study, dictionaries, rules))
        return _checked(study, resolved)


def _checked(study: Study, resolved: Resolved, quote: Mapping[str, Any] | None = None) -> Reply:
    refused = [(one.name, one.withheld) for one in resolved.statistics if one.withheld is not None]
    reasons = {name: why.reason for name, why in refused}
    rows = [[one.name, one.kind, reasons.get(one.name, "may run")] for one in resolved.statistics]
    data = _facts(study)
    data["statistics"] = [
        {
            "name": one.name,
            "kind": one.kind,
            "linked": one.linked,
            "withheld": one.withheld is not None,
        }
        for one in resolved.statistics
    ]
    error = None
    if refused:
        error = Withheld(
            "; ".join(f"{name}: {why.reason}" for name, why in refused),
            next="; ".join(dict.fromkeys(why.would_pass for _, why in refused if why.would_pass)),
        )
    lines: list[str | Table] = [Table("", ("statistic", "kind", "result"), rows)]
    if quote is not None:
        data["quote"] = dict(quote)
        lines.append(f"Ahead of time: {quote['said']}.")
    return Reply("study check", data, lines, error)


def _catalogue(
    study: Study, dictionaries: Sequence[str], rules: Policy
) -> tuple[Mapping[str, Mapping[str, Dictionary]], Mapping[str, Policy]]:
    """Member -> data set -> dictionary, and member -> policy. Raises NotFound for a missing one."""
    shared: dict[str, Dictionary] = {}
    own: dict[tuple[str, str], Dictionary] = {}
    for text in dictionaries:
        member, equals, path = text.partition("=")
        named = bool(equals) and member in study.parties
        dictionary = read_dictionary(Path(path if named else text))
        if named:
            own[member, dictionary.name] = dictionary
        else:
            shared[dictionary.name] = dictionary
    found: dict[str, dict[str, Dictionary]] = {}
    for alias in study.data:
        for member in alias.members:
            one = own.get((member, alias.dataset)) or shared.get(alias.dataset)
            if one is None:
                raise NotFound(
                    f"no dictionary for {member}'s data set {alias.dataset!r}",
                    member=member,
                    next="Give it with --dictionary FILE; its name stands under [dataset].",
                )
            found.setdefault(member, {})[alias.dataset] = one
    return found, dict.fromkeys(study.parties, rules)


def _register_show(group: click.Group) -> None:
    @spoken(group, "show", "a study in plain words: who asks what, who learns what, who decided")
    @click.argument("study", metavar="FILE|ID")
    @click.option("--wait", is_flag=True, help="with an id: follow it until it has ended")
    @node_option
    def show(study: str, wait: bool, node: Path | None) -> Reply:
        file = Path(study)
        if not file.exists() and is_id(study):
            return shown(own_node(node), study, wait)
        return _shown_file(read_study(file))


def _shown_file(study: Study) -> Reply:
    data = _facts(study)
    data["learns"] = dict(learns(study))
    return Reply("study show", data, list(_shown(study)))


def _shown(study: Study) -> Iterator[str | Table]:
    yield study.title
    if study.question:
        yield study.question
    yield f"study {study.id}, purpose {study.purpose or 'not stated'}"
    yield ""
    rows = [[a.name, a.dataset, ", ".join(a.members), a.where] for a in study.data]
    yield Table("Data", ("alias", "data set", "members", "where"), rows)
    yield ""
    asked = [[s.name, s.kind, _parameters(s.asked)] for s in study.statistics]
    yield Table("Statistics", ("name", "kind", "parameters"), asked)
    yield ""
    yield Table("Who will learn what", ("who", "what"), list(learns(study).items()))


def _facts(study: Study) -> dict[str, Any]:
    return {
        "study": study.id,
        "hash": study.hash.hex(),
        "title": study.title,
        "parties": list(study.parties),
        "recipients": list(study.recipients),
        "statistics": [{"name": one.name, "kind": one.kind} for one in study.statistics],
    }


def _parameters(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {_said(value)}" for key, value in parameters.items())


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_said(one) for one in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
