"""Functions of shared fixed-point numbers: truncation, product, division, roots, and so on.

    python tests/benchmarks/bench_numbers.py [--items 1000] [parties ...]

All parties run in this process; a figure is the CPU time of one of them, correlations made on the
way included. The rounds are those that remain when a stock holds the correlations. The baseline is
NumPy's function of the same numbers in float64, measured in the same run. The largest error stands
beside the stated one.
"""

import argparse
import time
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from measuring import RUNS, connected

from protocols.numbers.counting import counted
from protocols.numbers.division import divide
from protocols.numbers.exponential import exponential, sigmoid
from protocols.numbers.fixed import Fixed, Form, fitting
from protocols.numbers.logarithm import logarithm
from protocols.numbers.products import product, truncate
from protocols.numbers.root import inverse_root, square_root
from protocols.numbers.solve import solve
from protocols.party import Trace, play
from protocols.ring import Ring

ITEMS = {2: 100_000, 3: 20_000}
SYSTEMS, ORDER = 100, 5
LEAST = Fraction(1, 1024)
UNIT, LARGE = fitting("x", 30, Fraction(1)), fitting("d", 30, Fraction(1024))
WIDE = Form("a", Ring(2), 40, Fraction(1))


@dataclass(frozen=True, slots=True)
class Function:
    """A protocol, its inputs in the clear by form, and NumPy's own."""

    name: str
    make: object
    plain: object
    inputs: tuple


def functions(count):
    rng = np.random.default_rng(1)
    positive = 2.0 ** rng.uniform(-9.9, 9.9, count)
    small = rng.uniform(-1, 1, count)
    ratio = small * np.minimum(positive, 1)
    exponents = fitting("x", 30, Fraction(20))
    wide = rng.uniform(-20, 20, count)
    return [
        Function(
            "truncation", lambda s, x: truncate(s, x, 20), lambda x: x * 1.0, ((UNIT, small),)
        ),
        Function(
            "product",
            lambda s, x, y: product(s, x, y, 30),
            np.multiply,
            ((UNIT, small), (UNIT, small[::-1])),
        ),
        Function(
            "division",
            lambda s, x, d: divide(s, x, d, LEAST, Fraction(1), 30),
            np.divide,
            ((UNIT, ratio), (LARGE, positive)),
        ),
        Function(
            "division, quotients to 1024",
            lambda s, x, d: divide(s, x, d, LEAST, Fraction(1024), 30),
            np.divide,
            ((UNIT, small), (LARGE, positive)),
        ),
        Function("root", lambda s, d: square_root(s, d, LEAST, 30), np.sqrt, ((LARGE, positive),)),
        Function(
            "inverse root",
            lambda s, d: inverse_root(s, d, LEAST, 30),
            lambda d: 1 / np.sqrt(d),
            ((LARGE, positive),),
        ),
        Function("logarithm", lambda s, d: logarithm(s, d, LEAST), np.log, ((LARGE, positive),)),
        Function(
            "exponential to e^0",
            lambda s, x: exponential(s, x, Fraction(0), 30),
            np.exp,
            ((exponents, -abs(wide)),),
        ),
        Function("sigmoid", sigmoid, lambda x: 1 / (1 + np.exp(-x)), ((exponents, wide),)),
    ]


def shared(rng, form, values, parties):
    """Shares and the held values."""
    held = np.round(values * 2.0**form.scale).astype(np.int64)
    whole = form.ring.from_ints(held)
    parts = [rng.integers(0, 2**64, whole.shape, dtype=np.uint64) for _ in range(parties - 1)]
    last = whole
    for part in parts:
        last = form.ring.sub(last, part)
    return [Fixed(part, form) for part in (*parts, last)], held / 2.0**form.scale


def measured(function, count, parties):
    rng = np.random.default_rng(2)
    split = [shared(rng, form, values, parties) for form, values in function.inputs]
    held = [values for _, values in split]
    table = connected(parties)
    taken, trace = [], Trace()
    for run in range(RUNS + 1):  # the first warms
        label = f"{function.name} {run}"
        protocols = {
            p: function.make(s.fork(label), *(parts[k] for parts, _ in split))
            for k, (p, s) in enumerate(table.items())
        }
        trace = Trace()
        start = time.process_time()
        found = play(protocols, trace)
        taken.append(time.process_time() - start)
    sent = sum(value.nbytes for _, _, _, value in trace.said) / parties / count
    start = time.process_time()
    for _ in range(10):
        wanted = function.plain(*held)
    plain = (time.process_time() - start) / 10
    error, stated = errors(found, wanted)
    seconds = min(taken[1:])
    print(
        f"{function.name}, {parties} parties: {seconds / parties / count * 1e6:.2f} us of CPU and"
        f" {sent:.0f} bytes an item and party, {online_rounds(function, parties)} rounds from a"
        f" stock; error {error:.1e}, stated {stated:.1e}; {seconds / parties / plain:.0f} times"
        " NumPy"
    )


def errors(found, wanted):
    values = [getattr(one, "value", one) for one in found.values()]
    ring, form = values[0].form.ring, values[0].form
    whole = ring.sum(np.stack([one.elements for one in values]))
    plain = whole[..., 0].view(np.int64) * float(form.ulp)
    return float(np.abs(plain - wanted).max()), float(form.error)


def online_rounds(function, parties):
    """The rounds of the counting pass, which draws all that it wants."""
    seen = []

    def make(seat, count):
        inputs = (Fixed(f.ring.zeros((count, *v.shape[1:])), f) for f, v in function.inputs)
        rounds = 0
        inner, answer = function.make(seat, *inputs), None
        while True:
            try:
                step = inner.send(answer)
            except StopIteration:
                seen.append(rounds)
                return None
            rounds += not isinstance(step, list)
            answer = yield step

    counted(parties, 64, make)
    return seen[0]


def systems():
    rng = np.random.default_rng(3)
    columns = rng.normal(size=(SYSTEMS, 100, ORDER))
    columns /= np.sqrt((columns**2).sum(axis=1, keepdims=True))
    matrices = columns.transpose(0, 2, 1) @ columns
    least = Fraction(float(np.linalg.eigvalsh(matrices).min())) * Fraction(9, 10)
    sides = rng.uniform(-1, 1, (SYSTEMS, ORDER, 1))
    return Function(
        f"solve {ORDER} x {ORDER}, of {SYSTEMS}",
        lambda s, a, b: solve(s, a, b, least, Fraction(8)),
        np.linalg.solve,
        ((WIDE, matrices), (WIDE, sides)),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Functions of shared fixed-point numbers.")
    parser.add_argument("parties", type=int, nargs="*", default=sorted(ITEMS), help="2 to 10")
    parser.add_argument("--items", type=int, default=0, help="numbers; some minutes without it")
    options = parser.parse_args()
    for parties in options.parties:
        count = options.items or ITEMS.get(parties, 1000)
        for function in functions(count):
            measured(function, count, parties)
        measured(systems(), SYSTEMS, parties)
