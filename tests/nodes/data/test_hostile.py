"""Whatever bytes a file holds, it is read or refused in words: no other exception gets out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodes.data.dataset import load
from nodes.data.derive import describe_file
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import P2pmpcError

KINDS = Dictionary(
    name="t",
    columns=(
        Column(name="a", type="number"),
        Column(name="b", type="category", levels=("x", "NA")),
        Column(name="c", type="date"),
    ),
)
WORDS = ("a", "b", "c", " ", "1", "1,5", "1e9", "-", ".", "x", "NA", "2020-01-31", "9" * 30, "yes")
SIGNS = (",", ";", "\t", "|", "\n", "\r", '"', '""', "\ufeff", "\u2028", "é", "\x1c", "a,b,c\n")
PIECES = st.sampled_from(WORDS + SIGNS)
quick = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def read_or_refused(path: Path) -> None:
    for attempt in (lambda: load(path, KINDS, "north"), lambda: describe_file(path)):
        refusal = None
        try:
            attempt()
        except P2pmpcError as fault:
            refusal = fault
        assert refusal is None or (refusal.exit in (2, 5) and refusal.message)


@quick
@given(content=st.binary(max_size=60), encoding=st.sampled_from(["", "utf-8-sig", "utf-16"]))
def test_any_bytes_are_read_or_refused(tmp_path, content, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes((content.decode("latin-1").encode(encoding) if encoding else content) or b"a")
    read_or_refused(path)


@quick
@given(pieces=st.lists(PIECES, min_size=1, max_size=40))
def test_any_text_is_read_or_refused(tmp_path, pieces):
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n" + "".join(pieces), encoding="utf-8", newline="")
    read_or_refused(path)


@quick
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.integers(0, 10_000))
def test_a_damaged_parquet_file_is_read_or_refused(tmp_path, place, byte, cut):
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None], "c": ["2020-01-31", None]})
    frame.to_parquet(path, compression=None)
    raw = bytearray(path.read_bytes())
    raw[place % len(raw)] = byte
    path.write_bytes(raw[: max(1, len(raw) - cut % 50)] if cut % 2 else raw)
    read_or_refused(path)
