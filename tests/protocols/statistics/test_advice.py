"""What would pass, in one sentence for all checks of a unit."""

from types import SimpleNamespace

from protocols.disclosure.threshold import DIFFERS
from protocols.statistics.answer import advice


def test_statistics_that_differ_are_named_in_one_part():
    words = ["10 persons", f"nobody or 10 persons{DIFFERS}a", f"nobody or 10 persons{DIFFERS}b"]
    unit = SimpleNamespace(checks=[SimpleNamespace(would_pass=word) for word in words])
    assert advice(unit) == "10 persons; nobody or 10 persons in whom it differs from a, b"
