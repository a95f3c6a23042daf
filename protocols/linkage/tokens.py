"""Linking keys: from text parts to bytes that are equal exactly when two organisations agree.

Normalisation `keys/1` (the name is hashed into the study): Unicode NFKC, white space at both ends
removed, white space inside made one blank, case folded. Leading zeros and punctuation stay. A part
that is missing or empty makes the whole key missing, and a missing key matches nothing.

The parts of one pass are joined injectively (the pass's number, then each part behind its length),
so that ("ab", "c") and ("a", "bc") stay apart and a key of one pass never meets a key of another.

Uniqueness is judged over all rows of one member, before any `where`: a key that several persons
hold links nobody in that pass, and several rows of one person count once, the first in the file.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["KEYS", "PARTS_MAX", "PASSES_MAX", "join_parts", "normalise_part", "unique_keys"]

KEYS = "keys/1"
PARTS_MAX = 16  # parts of one key: a person is named by a few columns, not by a whole row
PASSES_MAX = 16  # passes of one study: five to seven are the most that help on FEBRL

Keys = list[bytes | None]
Mask = npt.NDArray[np.bool_]
Holder = tuple[str, object]


def normalise_part(text: str | None) -> str | None:
    """One part under keys/1, or None where it is missing or empty."""
    if text is None:
        return None
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold() or None


def join_parts(number: int, parts: Sequence[str | None]) -> bytes | None:
    """The key of one row in pass `number` (from 1), or None where a part is missing.

    Raises ValueError when the pass's number or the count of its parts is outside the limits.
    """
    if not 1 <= number <= PASSES_MAX or not 1 <= len(parts) <= PARTS_MAX:
        raise ValueError(
            f"a study has 1 to {PASSES_MAX} passes of 1 to {PARTS_MAX} columns;"
            f" pass {number} has {len(parts)}"
        )
    folded = [normalise_part(part) for part in parts]
    if any(part is None for part in folded):
        return None
    encoded = [part.encode() for part in folded if part is not None]
    return bytes([number]) + b"".join(len(part).to_bytes(4, "little") + part for part in encoded)


def unique_keys(
    keys_per_pass: Sequence[Keys], persons: Sequence[bytes | None] | None
) -> tuple[list[Keys], Mask, int]:
    """What one member's rows may link by.

    keys_per_pass   for each pass the key of each row, in file order, None where it is missing
    persons         the dictionary's `person` value of each row; None, for the whole or for a row,
                    means the same key in the first pass (a row without one is a person of its own)

    Returns the keys with None where they are missing, ambiguous or of a row that does not count;
    the mask of rows that count (bool, one a row); and the number of rows that do not.
    """
    rows = len(keys_per_pass[0])
    if any(len(keys) != rows for keys in keys_per_pass) or (persons and len(persons) != rows):
        raise ValueError("every pass, and the persons, have one entry a row")
    holders = [_holder(row, keys_per_pass[0][row], persons) for row in range(rows)]
    keep = _first_rows(holders)
    unique = [_unambiguous(keys, holders, keep) for keys in keys_per_pass]
    return unique, keep, int(rows - keep.sum())


def _holder(row: int, key: bytes | None, persons: Sequence[bytes | None] | None) -> Holder:
    person = None if persons is None else persons[row]
    if person is not None:
        return "person", person
    return ("key", key) if key is not None else ("row", row)


def _first_rows(holders: list[Holder]) -> Mask:
    seen: set[Holder] = set()
    keep = np.zeros(len(holders), dtype=np.bool_)
    for row, holder in enumerate(holders):
        keep[row] = holder not in seen
        seen.add(holder)
    return keep


def _unambiguous(keys: Keys, holders: list[Holder], keep: Mask) -> Keys:
    owner: dict[bytes, Holder] = {}
    ambiguous: set[bytes] = set()
    for key, holder in zip(keys, holders, strict=True):
        if key is not None and owner.setdefault(key, holder) != holder:
            ambiguous.add(key)
    return [
        key if kept and key is not None and key not in ambiguous else None
        for key, kept in zip(keys, keep, strict=True)
    ]
