"""Public sizes and keyed hashes: where a key may sit, and where the leader puts it.

A party's set is padded to its *size class* N: the next power of two, at least 1,024, of its public
bound. The leader's table has B = max(ceil(1.27 N), N + 1024) bins in three regions; a key has one
candidate bin in each region, found by BLAKE2b under a 16-byte seed of the leader's coins (cuckoo
hashing with three functions and no stash, PSTY19). The region of a bin is the index of the hash
function that leads to it, so one bin holds at most one pair (key, function).

A seed fails when some q + 1 keys share q bins. The likeliest case is four keys with the same three
bins: about N^4/24 (27/B^3)^3, 2^-50 at N = 1,024 and less above; the load, at most 0.79, stays
below the threshold 0.917 of three functions. The random walk that places the keys is cut off after
`STEPS_MAX` steps a key. The leader then draws another seed; the senders learn nothing from that
but that it happened, and never see the seeds that failed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from protocols.kernels.okvs import Loops, compiled_loops

__all__ = [
    "CLASS_MAX",
    "CLASS_MIN",
    "DIGEST_BYTES",
    "FUNCTIONS",
    "SEED_BYTES",
    "bins_of",
    "candidate_bins",
    "digest_keys",
    "place_keys",
    "size_class",
]

CLASS_MIN = 1024  # smaller sets are padded up to this, so that a count of few rows does not show
CLASS_MAX = 1 << 22  # 4 million: the Diffie-Hellman alone then takes a quarter of an hour
FUNCTIONS = 3
SEED_BYTES = 16
DIGEST_BYTES = 32
STEPS_MAX = 4096  # of the random walk, a key; the mean is below 3

Digests = npt.NDArray[np.uint8]
Indexes = npt.NDArray[np.int64]


def size_class(rows: int) -> int:
    """The public class of a set of at most `rows` rows. Raises ValueError above CLASS_MAX."""
    if not 0 <= rows <= CLASS_MAX:
        raise ValueError(f"linkage takes at most {CLASS_MAX} rows of one member, not {rows}")
    return max(CLASS_MIN, 1 << max(rows - 1, 0).bit_length())


def bins_of(size: int) -> int:
    """Bins of the leader's table for size class `size`; more than its rows by at least 1,024."""
    return max(-(-127 * size // 100), size + 1024)


def digest_keys(keys: Sequence[bytes]) -> Digests:
    """uint8 (n, 32): what stands for each key from here on. Equal keys, equal digests."""
    digests = b"".join(
        hashlib.blake2b(key, digest_size=DIGEST_BYTES, person=b"p2pmpc/key").digest()
        for key in keys
    )
    return np.frombuffer(digests, dtype=np.uint8).reshape(len(keys), DIGEST_BYTES)


def candidate_bins(digests: Digests, seed: bytes, bins: int) -> Indexes:
    """int64 (n, 3): the bin of each key in each region, under this seed.

    A region has fewer than 2^23 bins, so reducing 64 bits of hash is uniform up to 2^-41.
    """
    hashed = b"".join(
        hashlib.blake2b(digest.tobytes(), digest_size=24, key=seed, person=b"p2pmpc/bin").digest()
        for digest in digests
    )
    words = np.frombuffer(hashed, dtype="<u8").reshape(len(digests), FUNCTIONS)
    edges = np.array([bins * region // FUNCTIONS for region in range(FUNCTIONS + 1)])
    widths = (edges[1:] - edges[:-1]).astype(np.uint64)
    places: Indexes = edges[:-1] + (words % widths).astype(np.int64)
    return places


def place_keys(candidates: Indexes, bins: int, loops: Loops | None = None) -> Indexes | None:
    """int64 (n,): the function (0, 1, 2) whose bin each key takes; None when this seed fails."""
    choice: Indexes = (loops or compiled_loops()).place(candidates, bins, STEPS_MAX)
    return None if np.any(choice < 0) else choice
