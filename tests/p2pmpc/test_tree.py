"""RFC 6962 trees: the published roots, and every proof against a plain recursion."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pmpc.errors import LogError
from p2pmpc.tree import EMPTY_ROOT, PROOF_MAX, Tree, verify_consistency, verify_inclusion

# the leaves and roots of Certificate Transparency's own reference tests
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def plain_root(leaves):
    """RFC 6962 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + plain_root(leaves[:k]) + plain_root(leaves[k:])).digest()


def leaves(count):
    return [n.to_bytes(2, "big") for n in range(count)]


def test_the_published_roots_come_out():
    tree = Tree(LEAVES)
    assert [tree.root(n + 1).hex() for n in range(8)] == ROOTS
    assert tree.root(0) == EMPTY_ROOT


def test_every_size_has_the_root_of_the_plain_recursion():
    tree = Tree(leaves(70))
    for size in range(71):
        assert tree.root(size) == plain_root(leaves(size))


def test_every_inclusion_proof_up_to_forty_leaves_holds_for_its_own_leaf_only():
    tree = Tree(leaves(40))
    for size in range(1, 41):
        root = tree.root(size)
        for index in range(size):
            proof = tree.inclusion(index, size)
            verify_inclusion(leaves(40)[index], index, size, proof, root)
            with pytest.raises(LogError):
                verify_inclusion(b"other", index, size, proof, root)


def test_every_consistency_proof_up_to_forty_leaves_holds_for_its_own_roots_only():
    tree, other = Tree(leaves(40)), Tree([b"x", *leaves(40)[1:]])
    for second in range(41):
        for first in range(second + 1):
            proof = tree.consistency(first, second)
            verify_consistency(first, second, tree.root(first), tree.root(second), proof)
            if first:
                with pytest.raises(LogError):
                    verify_consistency(first, second, other.root(first), tree.root(second), proof)


@settings(max_examples=300, deadline=None)
@given(size=st.integers(1, 200), data=st.data())
def test_a_spoiled_proof_is_refused(size, data):
    tree = Tree(leaves(size))
    index = data.draw(st.integers(0, size - 1))
    proof = tree.inclusion(index, size)
    steps = data.draw(st.sampled_from(["drop", "add", "flip", "move"]))
    if steps == "drop" and proof:
        proof.pop(data.draw(st.integers(0, len(proof) - 1)))
    elif steps == "flip" and proof:
        proof[0] = bytes([proof[0][0] ^ 1]) + proof[0][1:]
    elif steps == "move" and size > 1:
        index = (index + 1) % size
        leaf = leaves(size)[index - 1] if index else leaves(size)[size - 1]
        with pytest.raises(LogError):
            verify_inclusion(leaf, index, size, proof, tree.root(size))
        return
    else:
        proof.append(bytes(32))
    with pytest.raises(LogError):
        verify_inclusion(leaves(size)[index], index, size, proof, tree.root(size))


@settings(max_examples=300, deadline=None)
@given(sizes=st.tuples(st.integers(0, 200), st.integers(0, 200)), data=st.data())
def test_a_spoiled_consistency_proof_is_refused(sizes, data):
    first, second = sorted(sizes)
    tree = Tree(leaves(second))
    proof = tree.consistency(first, second)
    if proof and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(proof) - 1))
        proof[place] = bytes([proof[place][0] ^ 1]) + proof[place][1:]
    else:
        proof.append(bytes(32))
    with pytest.raises(LogError):
        verify_consistency(first, second, tree.root(first), tree.root(second), proof)


def test_malformed_arguments_are_refused_by_name():
    tree = Tree(leaves(8))
    with pytest.raises(LogError, match="malformed"):
        verify_inclusion(b"", 8, 8, [], tree.root(8))
    with pytest.raises(LogError, match="malformed"):
        verify_inclusion(b"", 0, 8, [b"short"] * 3, tree.root(8))
    with pytest.raises(LogError, match="malformed"):
        verify_inclusion(b"", 0, 8, [bytes(32)] * (PROOF_MAX + 1), tree.root(8))
    with pytest.raises(LogError, match="malformed"):
        verify_consistency(8, 7, tree.root(8), tree.root(7), [])
    with pytest.raises(LogError, match="too short"):
        verify_consistency(3, 8, tree.root(3), tree.root(8), [])
    for ask in (lambda: tree.root(9), lambda: tree.inclusion(8, 8), lambda: tree.consistency(3, 9)):
        with pytest.raises(ValueError, match="tree"):
            ask()
