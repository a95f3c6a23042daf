"""What a count among three members writes and sends, pinned: a change here is meant or a fault."""

import base64
import time
from collections import Counter

from p2pmpc.bundle import open_bundle

NAMES = ("lab", "north", "south")
ENTRIES = ("genesis", "dataset", "consent", "ready", "checked", "release", "released", "answered")
# One transaction an own entry, and at most one for each entry of the two others: gossip may join
# them. Each is one fsync.
TRANSACTIONS_MIN = len(ENTRIES)
TRANSACTIONS_MAX = 3 * len(ENTRIES) + 2
SESSION_BYTES_MAX = 256 * 2**10  # of frames from one member to both others, in the run itself
SESSION_ROUNDS_MAX = 24
RECORD_BYTES_MAX = 64 * 2**10  # a bundle with all entries, bodies and the receipt


def cost_of(member, study):
    """What the run cost; it is counted a moment after the answer is told."""
    deadline = time.monotonic() + 10
    while not (cost := member.get(f"/study/{study}/cost")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return cost


def test_a_count_of_three_members_writes_one_entry_of_a_kind_each(town, count_frames, count_study):
    for name in NAMES:
        town.start(name, step="never")
    town.found()
    study = town.propose(count_study, count_frames, by="north")
    for name in NAMES:
        town.wait(name, study, lambda event: event["event"] == "answered", 60)
        cost = cost_of(town.members[name], study)
        assert 0 < cost["bytes_sent"] <= SESSION_BYTES_MAX
        assert 0 < cost["rounds"] <= SESSION_ROUNDS_MAX
    data = base64.b64decode(town.members["lab"].get("/log/export")["bundle"])
    assert len(data) <= RECORD_BYTES_MAX
    for feed in open_bundle(data).feeds:
        kinds = Counter(signed.read().kind for signed, _ in feed.entries)
        expected = Counter(ENTRIES + (("study",) if feed.author == "north" else ()))
        late = Counter({"answered": 1})  # may be on its way still
        assert kinds in (expected, expected - late)
    for name in NAMES:
        written = (town.folder / name / "appends").read_text().count("\n")
        assert TRANSACTIONS_MIN <= written <= TRANSACTIONS_MAX + (name == "north")
