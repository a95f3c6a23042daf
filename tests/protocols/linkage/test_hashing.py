import numpy as np
import pytest

from protocols.kernels.okvs import PORTABLE, compiled_loops
from protocols.linkage.hashing import (
    CLASS_MAX,
    STEPS_MAX,
    bins_of,
    candidate_bins,
    digest_keys,
    place_keys,
    size_class,
)


@pytest.mark.parametrize(
    ("rows", "size"), [(0, 1024), (1024, 1024), (1025, 2048), (5000, 8192), (8192, 8192)]
)
def test_a_size_class_is_the_next_power_of_two_and_at_least_1024(rows, size):
    assert size_class(rows) == size
    assert size_class(size) == size


def test_a_set_above_the_largest_class_is_refused():
    assert size_class(CLASS_MAX) == CLASS_MAX
    with pytest.raises(ValueError, match="at most"):
        size_class(CLASS_MAX + 1)


def test_every_row_of_a_class_fits_beside_the_bins_of_another_pass():
    for size in (1024, 2048, 4096, 8192, 1 << 20):
        assert bins_of(size) >= size + 1024
        assert bins_of(size) >= 1.27 * size


def test_one_candidate_lies_in_each_region_and_depends_on_the_seed():
    digests = digest_keys([b"%d" % number for number in range(500)])
    bins = bins_of(1024)
    first, second = (candidate_bins(digests, bytes([fill]) * 16, bins) for fill in (1, 2))
    edges = [bins * region // 3 for region in range(4)]
    for region in range(3):
        assert first[:, region].min() >= edges[region]
        assert first[:, region].max() < edges[region + 1]
    assert (first != second).any()
    assert (first == candidate_bins(digests, bytes([1]) * 16, bins)).all()


@pytest.mark.parametrize("size", [1024, 4096, 8192])
def test_a_full_class_is_placed_with_one_key_a_bin(size):
    for trial in range(20):
        digests = digest_keys([b"%d/%d" % (trial, number) for number in range(size)])
        candidates = candidate_bins(digests, bytes([trial]) * 16, bins_of(size))
        choice = place_keys(candidates, bins_of(size))
        assert choice is not None
        assert len(set(candidates[np.arange(size), choice].tolist())) == size


def test_keys_that_share_too_few_bins_are_reported():
    assert place_keys(np.tile(np.array([[0, 5, 9]]), (4, 1)), 12) is None


def test_the_portable_placement_is_the_same():
    candidates = candidate_bins(digest_keys([b"%d" % n for n in range(1000)]), bytes(16), 1300)
    assert (place_keys(candidates, 1300) == place_keys(candidates, 1300, PORTABLE)).all()


def test_a_walk_cut_too_short_places_nobody_and_the_limit_is_far_from_that():
    bins = bins_of(8192)
    candidates = candidate_bins(digest_keys([b"%d" % n for n in range(8192)]), bytes(16), bins)
    assert (compiled_loops().place(candidates, bins, 1) == -1).all()
    assert (compiled_loops().place(candidates, bins, STEPS_MAX // 8) >= 0).all()
