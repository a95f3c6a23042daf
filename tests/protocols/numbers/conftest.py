"""Shared fixed-point numbers from exact fractions, and back."""

from fractions import Fraction

import numpy as np
import pytest

from protocols.kernels.bits import unpack
from protocols.numbers.fixed import Fixed


@pytest.fixture
def secret(shares):
    """secret(form, values, count): shares of the values rounded to the form's units, and these."""

    def split(form, values, count):
        held = [round(Fraction(v) / form.ulp) for v in values]
        parts = shares.split(form.ring, form.ring.from_ints(held), count)
        return {p: Fixed(e, form) for p, e in parts.items()}, [h * form.ulp for h in held]

    return split


@pytest.fixture
def opened(shares):
    """opened({party: Fixed}): the exact fractions that the shares stand for."""

    def join(found):
        form = next(iter(found.values())).form
        assert all(one.form == form for one in found.values())
        whole = shares.join(form.ring, {p: one.elements for p, one in found.items()})
        return [v * form.ulp for v in form.ring.to_ints(whole)]

    return join


@pytest.fixture
def sound_bits():
    """sound_bits({party: Quotient}): which numbers were sound."""

    def join(found):
        some = next(iter(found.values()))
        count = int(np.prod(some.value.shape, dtype=np.int64))
        packed = np.bitwise_xor.reduce([one.sound for one in found.values()])
        return unpack(packed, count).tolist()

    return join
