"""What sessions left here, on the disk: answers and receipts by study, costs, and nothing shown."""

from nodes.session.session import Outcome
from nodes.store.outcomes import Outcomes
from nodes.store.record import NOTE_BYTES_MAX, RecordStore

ANSWER = {"study": "s", "statistics": {"n": {"values": {"n": 12, "mean": 0.1 + 0.2}}}}
RECEIPT = b"r" * (NOTE_BYTES_MAX + 1)


def outcome(answer=ANSWER, receipt=RECEIPT):
    return Outcome(True, answer, b"h" * 32, receipt, {"patients": 2})


def reopened(store, path):
    store.close()
    return RecordStore(path)


def test_an_outcome_is_the_same_after_the_process_has_ended(tmp_path):
    path = tmp_path / "record.sqlite"
    store = RecordStore(path)
    Outcomes(store).keep("s1", outcome())
    Outcomes(store).keep("s2", outcome(None, b""))
    Outcomes(store).keep_cost("s1", {"seconds": 0.25})
    store = reopened(store, path)
    kept = Outcomes(store)
    assert (kept.get("s1"), kept.get("s2")) == (outcome(), outcome(None, b""))
    assert kept.get("s3") is None
    assert "s1" in kept
    assert "s3" not in kept
    assert [study for study, _ in kept.items()] == kept.studies() == ["s1", "s2"]
    assert (kept.cost("s1"), kept.cost("s2")) == ({"seconds": 0.25}, {})
    store.close()


def test_an_outcome_that_is_forgotten_is_gone(tmp_path):
    store = RecordStore(tmp_path / "record.sqlite")
    kept = Outcomes(store)
    kept.keep("s1", outcome())
    kept.forget("s1")
    kept.forget("s2")
    assert kept.studies() == []
    store.close()


def test_no_part_of_an_answer_is_in_a_repr(tmp_path):
    store = RecordStore(tmp_path / "record.sqlite")
    kept = Outcomes(store)
    kept.keep("s1", outcome())
    assert repr(kept) == "Outcomes()"
    store.close()


def test_keys_of_notes_are_listed_by_how_they_begin(tmp_path):
    store = RecordStore(tmp_path / "record.sqlite")
    for key in ("dataset:b", "dataset:a", "datasets", "roster"):
        store.remember(key, b"")
    assert store.noted("dataset:") == ["dataset:a", "dataset:b"]
    assert store.noted("x") == []
    store.close()
