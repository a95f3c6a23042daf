"""Two members with feeds to store, and children that own their limits."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from p2pmpc.identity import SecretKeys, Signer, make_card
from p2pmpc.record import Genesis, Head, Withheld, author_entry, entry_hash
from p2pmpc.roster import found_roster

ROOT = Path(__file__).resolve().parents[3]


def seed(*parts):
    return hashlib.sha256("/".join(map(str, parts)).encode()).digest()


class Feeds:
    """Writes entries; `heads` is the end of each feed whether stored or not."""

    def __init__(self):
        keys = {n: SecretKeys(*(seed(n, k) for k in range(3))) for n in ("north", "south")}
        cards = [make_card(n, k, b"certificate of " + n.encode(), "") for n, k in keys.items()]
        self.signers = {n: Signer(k.log_seed) for n, k in keys.items()}
        self.roster = found_roster("two members", cards)
        self.heads = {}

    def write(self, name, text=None, salt=None):
        head = self.heads.get(name)
        first = head is None
        filed = author_entry(
            signer=self.signers[name],
            roster=self.roster,
            name=name,
            head=head,
            kind="genesis" if first else "withheld",
            content=Genesis(self.roster.hash) if first else Withheld(bytes(32), text or ""),
            heads={a: h for a, h in self.heads.items() if a != name},
            unix_ms=0,
            salt=salt or seed(name, 0 if first else head.seq + 1)[:16],
        )
        entry = filed[0].read()
        self.heads[name] = Head(entry.seq, entry_hash(filed[0]), entry.lamport)
        return filed

    def several(self, name, count, text=None):
        return [self.write(name, text) for _ in range(count)]


@pytest.fixture
def feeds():
    return Feeds()


@pytest.fixture
def child():
    """Run Python source in a process of its own; raises with its error output if it fails."""

    def run(source, *arguments, **options):
        command = [sys.executable, "-c", source, *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, check=False, text=True, timeout=60, cwd=ROOT, **options
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def conftest_path():
    """For a child that needs the same feeds: it runs this file."""
    return Path(__file__)
