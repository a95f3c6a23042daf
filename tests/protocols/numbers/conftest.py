"""Shared fixed-point numbers from exact fractions, and back."""

from fractions import Fraction

import numpy as np
import pytest

from protocols.kernels.bits import unpack
from protocols.numbers.counting import counted
from protocols.numbers.fixed import Fixed
from protocols.party import Trace, play


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


@pytest.fixture
def online(seats, stocked, shares):
    """online(inputs, make): all parties' results, from stocks that hold exactly what is needed.

    inputs  {party: a tuple of Fixed, all of one length}
    make    make(seat, *inputs) is the protocol
    needs   what it is said to draw; counted where none is given
    Afterwards every stock is empty: the needs are what was drawn.
    """

    def run(inputs, make, trace=None, needs=None):
        some = next(iter(inputs.values()))
        size = len(some[0].elements)

        def sample(seat, count):
            zeros = [f.form.ring.zeros((count, *f.shape[1:])) for f in some]
            return make(seat, *(Fixed(z, f.form) for z, f in zip(zeros, some, strict=True)))

        needs = needs or counted(len(inputs), size, sample)
        table = stocked(seats(len(inputs), "online"), needs, shares.rng)
        found = play({p: make(s, *inputs[p]) for p, s in table.items()}, trace or Trace())
        for seat in table.values():
            assert {k: seat.stock.left(k) for k in needs.counts} == dict.fromkeys(needs.counts, 0)
        return found

    return run
