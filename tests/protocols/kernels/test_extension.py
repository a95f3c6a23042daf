"""The local halves of OT extension: what the two ends hold fits, in every version."""

import numpy as np
import pytest

from protocols.kernels import aes, extension
from protocols.kernels.bits import pack, slice_words
from protocols.kernels.extension import DEPTHS
from protocols.kernels.registry import KERNELS


def words(rng, *shape):
    return rng.integers(0, 2**64, shape, dtype=np.uint64)


def octets(leaves):
    return np.ascontiguousarray(leaves).view(np.uint8).reshape(*leaves.shape[:2], 16)


@pytest.fixture
def ends(lacking):
    """ends(depth, counters, words): arguments of the receiver, of the sender but its message."""

    def made(depth, counters, string_words):
        rng = np.random.default_rng((depth, counters, string_words))
        whole = words(rng, 128 // depth, 1 << depth, 2)
        secret = rng.integers(0, 2, 128).astype(np.uint8)
        choices = rng.integers(0, 2, 128 * counters).astype(np.uint8)
        keys = rng.integers(0, 256, (-(-string_words // 2), 16)).astype(np.uint8)
        sender = (octets(lacking(whole, secret)), pack(secret))
        return (octets(whole), pack(choices), 3, keys), (sender, 3, keys), choices

    return made


@pytest.mark.parametrize("way", ["portable", "run"])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("string_words", [1, 2, 3, 5])
def test_the_receiver_has_the_string_that_it_chose(ends, depth, string_words, way):
    receiver, (sender, start, keys), choices = ends(depth, 3, string_words)
    message, chosen = getattr(KERNELS["extension.receive"], way)(*receiver, string_words)
    send = getattr(KERNELS["extension.send"], way)
    zeros, ones = send(sender, message, start, keys, string_words)
    assert np.array_equal(chosen, np.where(choices[:, None] == 1, ones, zeros))
    assert not np.any(chosen == np.where(choices[:, None] == 1, zeros, ones))


@pytest.mark.parametrize("way", ["portable", "run"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_the_bits_are_the_low_ones_of_the_strings(ends, depth, way):
    receiver, (sender, start, keys), _ = ends(depth, 9, 1)
    message, chosen = getattr(KERNELS["extension.receive"], way)(*receiver, 1)
    both = getattr(KERNELS["extension.send"], way)(sender, message, start, keys, 1)
    said, bits = getattr(KERNELS["extension.receive_bits"], way)(*receiver, 8)
    lower = getattr(KERNELS["extension.send_bits"], way)(sender, message, start, keys, 8)
    assert np.array_equal(said, message)
    for low, whole in zip((bits, *lower), (chosen, *both), strict=True):
        assert np.array_equal(low, slice_words(whole[:, 0], 8))


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_call_can_be_cut_between_counters(ends, depth):
    (leaves, choices, start, keys), _, _ = ends(depth, 5, 1)
    receive = KERNELS["extension.receive"].portable
    message, chosen = receive(leaves, choices, start, keys, 1)
    first, second = (
        receive(leaves, choices[:4], start, keys, 1),
        receive(leaves, choices[4:], start + 2, keys, 1),
    )
    assert np.array_equal(message, np.concatenate([first[0], second[0]]))
    assert np.array_equal(chosen, np.concatenate([first[1], second[1]]))


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_leaf_that_the_sender_lacks_changes_nothing(ends, depth):
    receiver, (sender, start, keys), _ = ends(depth, 2, 1)
    message, _ = KERNELS["extension.receive"].portable(*receiver, 1)
    send = KERNELS["extension.send"].portable
    right = send(sender, message, start, keys, 1)
    sender[0][:, 0] ^= 255
    again = send(sender, message, start, keys, 1)
    assert [x.tobytes() for x in again] == [x.tobytes() for x in right]


VERSIONS = [name for name in aes.host_versions() if name != "portable"]


@pytest.mark.skipif(not VERSIONS, reason="no AES instructions here")
@pytest.mark.parametrize("name", VERSIONS)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    ("kind", "size", "counters"),
    [("", 1, 1), ("", 1, 17), ("", 2, 8), ("", 5, 9), ("_bits", 1, 8), ("_bits", 7, 19)],
)
def test_every_version_gives_the_bytes_of_the_twin(
    ends, monkeypatch, name, depth, kind, size, counters
):
    monkeypatch.setattr(extension, "_lanes", lambda: aes.lanes(name))
    receiver, (sender, start, keys), _ = ends(depth, counters, 1 if kind else size)
    receive, send = KERNELS["extension.receive" + kind], KERNELS["extension.send" + kind]
    made, twin = receive.run(*receiver, size), receive.portable(*receiver, size)
    assert [x.tobytes() for x in made] == [x.tobytes() for x in twin]
    made = send.run(sender, twin[0], start, keys, size)
    twin = send.portable(sender, twin[0], start, keys, size)
    assert [x.tobytes() for x in made] == [x.tobytes() for x in twin]
