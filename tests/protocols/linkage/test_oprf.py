import hashlib

import numpy as np
import pytest
from nacl import bindings

from protocols.abort import Suspected
from protocols.linkage import oprf
from protocols.linkage.hashing import digest_keys
from protocols.party import play
from protocols.randomness import Randomness

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493


KNOWN = [[4343041004879315444, 5224307336641506149]]  # any other encoding of F shows here


def run(protocol):
    return play({"me": protocol})["me"]


def decompress(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0
    return (P - x if x & 1 != sign else x), y


def plus(a, b):
    product = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def times(scalar, point):
    total = (0, 1)
    while scalar:
        total = plus(total, point) if scalar & 1 else total
        point, scalar = plus(point, point), scalar >> 1
    return total


def compress(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def uniform(data):
    return decompress(bindings.crypto_core_ed25519_from_uniform(data))


def blinded_outputs(keys, functions, words=3, salt=bytes(16)):
    digests = digest_keys(keys)
    key = oprf.make_sender_key(Randomness(bytes(32)).fork("key"))
    blinding = run(oprf.blind(digests, functions, Randomness(bytes(32)).fork("blind")))
    answers = run(oprf.evaluate_blinded(blinding.points, key, "leader"))
    masks = run(oprf.mask_products(blinding, key.public, "sender"))
    points = run(oprf.subtract_masks(answers, masks, "sender"))
    return key, points, run(oprf.hash_outputs(digests, functions, points, salt, words))


def test_the_blinded_way_gives_what_plain_curve_arithmetic_gives():
    keys, functions = [b"anna", b"bert", b"carl"], np.array([0, 1, 2])
    key, points, outputs = blinded_outputs(keys, functions)
    scalar = int.from_bytes(key.scalar, "little")
    for number, name in enumerate(keys):
        digest = hashlib.blake2b(name, digest_size=32, person=b"p2pmpc/key").digest()
        mapped = uniform(hashlib.blake2b(digest, digest_size=32, person=b"p2pmpc/map").digest())
        label = b"p2pmpc/linkage/offset/%d" % number
        offset = uniform(hashlib.blake2b(label, digest_size=32).digest())
        expected = compress(times(scalar, plus(mapped, offset)))
        assert points[number].tobytes() == expected
        text = b"p2pmpc/linkage/output/1" + bytes(16) + bytes([number]) + digest + expected
        assert outputs[number].astype("<u8").tobytes() == hashlib.shake_256(text).digest(24)


def test_the_senders_own_evaluation_agrees_at_every_function():
    keys = [b"%d" % number for number in range(9)]
    own = None
    for function in range(3):
        key, points, _ = blinded_outputs(keys, np.full(9, function))
        own = run(oprf.evaluate_own(digest_keys(keys), key)) if own is None else own
        assert (own[:, function] == points).all()


def test_a_known_answer():
    _, _, outputs = blinded_outputs([b"anna"], np.array([1]), words=2, salt=b"0123456789abcdef")
    assert outputs.tolist() == KNOWN


def test_another_salt_or_function_gives_another_output():
    outputs = [
        blinded_outputs([b"anna"], np.array([function]), salt=salt)[2][0].tolist()
        for function, salt in ((0, bytes(16)), (1, bytes(16)), (0, b"\1" * 16))
    ]
    assert len({tuple(output) for output in outputs}) == 3


def test_blinding_uses_fresh_scalars_and_gives_valid_points():
    rand = Randomness(bytes(32))
    digests = digest_keys([b"anna"] * 50)
    points = run(oprf.blind(digests, np.zeros(50, np.int64), rand)).points
    assert len({point.tobytes() for point in points}) == 50
    assert all(bindings.crypto_core_ed25519_is_valid_point(point.tobytes()) for point in points)


IDENTITY = (1).to_bytes(32, "little")
ORDER_4 = bytes(32)
NOT_CANONICAL = b"\xff" * 32
OFF_CURVE = (2).to_bytes(32, "little")


def mixed_order():
    base = bindings.crypto_scalarmult_ed25519_base_noclamp((7).to_bytes(32, "little"))
    return compress(plus(decompress(base), (0, P - 1)))


@pytest.mark.parametrize("bad", [IDENTITY, ORDER_4, NOT_CANONICAL, OFF_CURVE, mixed_order()])
def test_a_point_outside_the_group_is_refused_wherever_it_arrives(bad):
    key = oprf.make_sender_key(Randomness(bytes(32)))
    blinding = run(
        oprf.blind(digest_keys([b"a", b"b"]), np.zeros(2, np.int64), Randomness(bytes(32)))
    )
    points = blinding.points.copy()
    points[1] = np.frombuffer(bad, np.uint8)
    masks = run(oprf.mask_products(blinding, key.public, "sender"))
    for arrives in (
        lambda: oprf.evaluate_blinded(points, key, "leader"),
        lambda: oprf.mask_products(blinding, bad, "sender"),
        lambda: oprf.subtract_masks(points, masks, "sender"),
    ):
        with pytest.raises(Suspected, match="prime-order"):
            run(arrives())


def test_secrets_do_not_print():
    key = oprf.make_sender_key(Randomness(bytes(32)))
    assert key.scalar.hex() not in repr(key)
    assert repr(key.scalar) not in repr(key)
