"""The rules of a rehearsal's members, from policy files.

A rehearsal asks nobody, so what a file leaves out is as in a rehearsal's own policy, and `decide =
"ask"` becomes "approve": what the other rules forbid is refused all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from p2pmpc.policy import REHEARSAL, DatasetRules, Policy, Rules, read_policy
from p2pmpc.study import Study
from simulations.sites import given

__all__ = ["rehearsal_rules"]


def rehearsal_rules(texts: Sequence[str], study: Study) -> dict[str, str]:
    """Member -> its policy as TOML, from FILE (all members) and MEMBER=FILE (one).

    A member without a file is absent and keeps a rehearsal's policy. Raises NotFound, BadPolicy.
    """
    found: dict[str, str] = {}
    own: dict[str, str] = {}
    for text in texts:
        one = given(text, study.parties)
        policy = _approving(_read(one.path)).to_toml()
        if one.member is None:
            found = dict.fromkeys(study.parties, policy)
        else:
            own[one.member] = policy
    return found | own


def _read(path: Path) -> Policy:
    return read_policy(path, REHEARSAL.default)


def _approving(policy: Policy) -> Policy:
    return Policy(
        _answered(policy.default),
        tuple(DatasetRules(one.dataset, _answered(one.rules)) for one in policy.data),
    )


def _answered(rules: Rules) -> Rules:
    return msgspec.structs.replace(rules, decide="approve") if rules.decide == "ask" else rules
