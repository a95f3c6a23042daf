"""The dictionaries of a rehearsal: given in files, else derived from the files of all sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from p2pmpc.dictionary import Dictionary, read_dictionary
from p2pmpc.errors import WrongUsage
from p2pmpc.study import Study
from simulations.sites import Site, given

__all__ = ["Describer"]


@dataclass(frozen=True, slots=True)
class Describer:
    """What was given; `notes` says what was derived, once `describe` has run.

    shared  data set -> dictionary, for all members
    own     (member, data set) -> dictionary, for one
    """

    shared: Mapping[str, Dictionary]
    own: Mapping[tuple[str, str], Dictionary]
    notes: list[str] = field(default_factory=list)

    @staticmethod
    def read(texts: Sequence[str], sites: Mapping[str, Site]) -> Describer:
        """From FILE and NAME=FILE. Raises NotFound, BadDictionary; WrongUsage for one twice."""
        shared: dict[str, Dictionary] = {}
        own: dict[tuple[str, str], Dictionary] = {}
        for text in texts:
            one = given(text, sites)
            dictionary = read_dictionary(one.path)
            if one.member is not None:
                own[one.member, dictionary.name] = dictionary
                continue
            if dictionary.name in shared:
                raise WrongUsage(
                    f"two dictionaries describe the data set {dictionary.name!r}",
                    file=str(one.path),
                    field="--dictionary",
                    next=f"For one member alone write --dictionary NAME={one.path}.",
                )
            shared[dictionary.name] = dictionary
        return Describer(shared, own)

    def describe(
        self, study: Study, sites: Mapping[str, Site]
    ) -> Mapping[str, Mapping[str, Dictionary]]:
        """Member -> data set -> dictionary. Raises what deriving raises."""
        wanted = [(m, name) for m in study.parties for name in study.datasets_of(m)]
        lacking = {name for m, name in wanted if not self._given(m, name)}
        derived = self._derive(study, sites, lacking) if lacking else {}
        found: dict[str, dict[str, Dictionary]] = {}
        for member, name in wanted:
            one = self.own.get((member, name)) or self.shared.get(name) or derived[name]
            found.setdefault(member, {})[name] = one
        return found

    def _given(self, member: str, name: str) -> bool:
        return (member, name) in self.own or name in self.shared

    def _derive(
        self, study: Study, sites: Mapping[str, Site], lacking: set[str]
    ) -> dict[str, Dictionary]:
        from nodes.data.derive import derivation_notes, derive_dictionaries

        files = {member: dict(one.files) for member, one in sites.items()}
        derived = derive_dictionaries(study, files)
        kept = {name: one for name, one in derived.items() if name in lacking}
        self.notes.extend(derivation_notes(kept))
        return kept
