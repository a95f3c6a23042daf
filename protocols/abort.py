"""How a protocol ends early, by how far the blame reaches.

Abort                 the attempt is over; nothing was opened
├── Missing           a party was not heard; the path tried is named
├── Misbehaved        signed messages prove it to anyone
├── Suspected         this party, or whoever relayed for it
└── Inconsistent      someone lied; an investigation round names who
"""

from __future__ import annotations

__all__ = ["Abort", "Inconsistent", "Misbehaved", "Missing", "Suspected"]


class Abort(Exception):
    """The attempt is over and nothing was opened. Start a new attempt with fresh masks."""

    def __init__(self, party: str, what: str) -> None:
        super().__init__(f"{party}: {what}" if party else what)
        self.party = party
        self.what = what


class Missing(Abort):
    """A party was not heard in time; `what` names what was waited for and the path tried."""


class Misbehaved(Abort):
    """Signed messages prove to anyone that this party broke the protocol."""


class Suspected(Abort):
    """This party, or whoever relayed for it, sent what the protocol does not allow."""


class Inconsistent(Abort):
    """Parties were told different things. `party` is empty: an investigation must name who."""
