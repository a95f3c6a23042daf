"""Shared fixed-point numbers that know how large and how wrong they can be.

What       a number is held as ring elements h, one share a party, and stands for h / (2^scale
           divisor). Its `Form` is public: the ring, the scale, a bound of the true value's size and
           a bound of the error, |held - true|. Every operation has one rule that makes the form of
           its result from the forms of its inputs, in exact fractions:

               sum        bounds add up, errors add up
               integer    c x: both times |c|; nothing is rounded
               constant   c x, c rounded to c': |c'| e_x + |c - c'| |x|
               quotient   x / n by a public integer n: the divisor takes it, nothing is rounded; a
                          rounded 1 / n is never multiplied by
               product    |x| e_y + |y| e_x + e_x e_y at the sum of the scales, then
               truncation + 2^-scale of the result (`truncation.py`), once for a sum of products

Refusals   a rule whose result could leave its ring raises Unfit before anything is sent, in one
           sentence with the number's name, its bound, the ring and what would fit. A whole
           `Program` runs on forms alone, so that it is refused before anything secret moves.

Everything here is local and public but the elements.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor

from protocols.needs import Needs
from protocols.ring import Elements, Ring

__all__ = [
    "SCALE_MAX",
    "Fixed",
    "Form",
    "Program",
    "Unfit",
    "add",
    "blank",
    "check_scale",
    "divided",
    "fitting",
    "plus_public",
    "scaled",
    "shown",
    "sub",
    "times_constant",
]

SCALE_MAX = 100  # fraction bits of one number, a product before its truncation apart
WORDS = (1, 2)
DIGITS = 3  # of a bound that is shown
TRUNCATION_ROOM = 2  # bits above a number's size that truncation needs


class Unfit(ValueError):
    """A number could leave its ring: nothing was sent. The sentence says what would fit."""


@dataclass(frozen=True, slots=True)
class Form:
    """What is public about a shared number: the true x has |x| <= bound, |held - x| <= error."""

    name: str
    ring: Ring
    scale: int
    bound: Fraction
    error: Fraction = Fraction(0)
    divisor: int = 1

    def __post_init__(self) -> None:
        if self.scale < 0 or self.divisor < 1 or self.bound < 0 or self.error < 0:
            raise ValueError(
                f"{self.name} has {self.scale} fraction bits, a divisor of {self.divisor}, a bound"
                f" of {float(self.bound):g} and an error of {float(self.error):g}; a divisor is at"
                " least 1, the others at least 0"
            )
        self.check(1)

    def __str__(self) -> str:
        over = f" over {self.divisor}" if self.divisor > 1 else ""
        return (
            f"{self.name}: at most {shown(self.bound)}, error at most {shown(self.error)},"
            f" {self.scale} fraction bits{over} in Z_2^{self.ring.bits}"
        )

    @property
    def ulp(self) -> Fraction:
        """The value of one unit in the last place."""
        return Fraction(1, self.divisor << self.scale)

    @property
    def size(self) -> int:
        """The largest size of the held integer."""
        return floor((self.bound + self.error) / self.ulp)

    @property
    def bits(self) -> int:
        """Bits of that size, without the sign."""
        return self.size.bit_length()

    def check(self, room: int) -> None:
        """Raises Unfit unless the held integers are below 2^(ring bits - room) in size."""
        spare = self.ring.bits - room - self.bits
        if spare >= 0:
            return
        fits = []
        largest = ((1 << (self.ring.bits - room)) - 1) * self.ulp - self.error
        if largest > 0:
            fits.append(f"a bound of {shown(largest, up=False)}")
        if self.scale + spare >= 0:
            fits.insert(0, f"{self.scale + spare} fraction bits instead of {self.scale}")
        if self.ring.words < WORDS[-1] and self.bits + room <= 128:
            fits.append("the 128-bit ring")
        if not fits:
            fits.append("a smaller error")
        raise Unfit(
            f"{self.name} can be as large as {shown(self.bound + self.error)}, which takes"
            f" {self.bits + room} bits with {self.scale} fraction bits, more than the"
            f" {self.ring.bits} of its ring; what would fit: {', or '.join(fits)}"
        )

    def called(self, name: str) -> Form:
        """The same form under another name."""
        return replace(self, name=name)

    def within(self, bound: Fraction) -> Form:
        """The form with a smaller bound that the caller knows of."""
        return replace(self, bound=min(self.bound, bound))

    def plus(self, other: Form) -> Form:
        """The rule of a sum or difference. Raises ValueError for unlike units."""
        self._alike(other)
        return replace(self, bound=self.bound + other.bound, error=self.error + other.error)

    def total(self, count: int) -> Form:
        """The rule of a sum of `count` numbers of this form."""
        return replace(self, bound=self.bound * count, error=self.error * count)

    def integer(self, factor: int) -> Form:
        """The rule of c x for a public integer."""
        return replace(self, bound=self.bound * abs(factor), error=self.error * abs(factor))

    def constant(self, factor: Fraction, scale: int) -> Form:
        """The rule of c x for a public rational, rounded to `scale` fraction bits."""
        near = Fraction(rounded(factor, scale), 1 << scale)
        error = abs(near) * self.error + abs(near - factor) * self.bound
        return replace(self, scale=self.scale + scale, bound=self.bound * abs(factor), error=error)

    def over(self, divisor: int) -> Form:
        """The rule of x / n for a public integer n >= 1."""
        return replace(
            self,
            bound=self.bound / divisor,
            error=self.error / divisor,
            divisor=self.divisor * divisor,
        )

    def times(self, other: Form) -> Form:
        """The rule of a product before its truncation. Raises ValueError for unlike rings."""
        if self.ring != other.ring:
            raise ValueError(f"{self.name} and {other.name} are shared in different rings")
        x, y = self, other
        return Form(
            f"{x.name} times {y.name}",
            x.ring,
            x.scale + y.scale,
            x.bound * y.bound,
            x.bound * y.error + y.bound * x.error + x.error * y.error,
            x.divisor * y.divisor,
        )

    def truncated(self, shift: int) -> Form:
        """The rule of a truncation by `shift` bits: one unit of the result is lost at most."""
        if shift == 0:
            return self
        if not 0 < shift <= self.scale:
            raise ValueError(f"{self.name} has {self.scale} fraction bits, {shift} cannot go")
        self.check(TRUNCATION_ROOM)
        if shift > self.ring.bits - TRUNCATION_ROOM:
            most = self.ring.bits - TRUNCATION_ROOM
            raise Unfit(
                f"{self.name} would lose {shift} bits at once, and its ring of {self.ring.bits}"
                f" bits takes {most}; what would fit: {self.scale - most} fraction bits or more in"
                " the result, or fewer before"
            )
        scale = self.scale - shift
        return replace(self, scale=scale, error=self.error + Fraction(1, self.divisor << scale))

    def settled(self, scale: int) -> Form:
        """The rule of a truncation to `scale` fraction bits."""
        return self.truncated(self.scale - scale)

    def _alike(self, other: Form) -> None:
        if (self.ring, self.scale, self.divisor) != (other.ring, other.scale, other.divisor):
            raise ValueError(f"{self.name} and {other.name} have other rings, scales or divisors")


@dataclass(frozen=True, slots=True, repr=False)
class Fixed:
    """This party's shares of numbers of one form: elements (..., words)."""

    elements: Elements
    form: Form

    def __repr__(self) -> str:
        return f"Fixed({self.form}, shape {self.elements.shape[:-1]}, <redacted>)"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array of numbers."""
        return self.elements.shape[:-1]

    def called(self, name: str) -> Fixed:
        """The same numbers under another name."""
        return replace(self, form=self.form.called(name))


def blank(form: Form, shape: tuple[int, ...]) -> Fixed:
    """Shares of zero, for counting what a protocol draws."""
    return Fixed(form.ring.zeros(shape), form)


# ---- choosing a ring -----------------------------------------------------------------------------


def fitting(
    name: str, scale: int, bound: Fraction, error: Fraction = Fraction(0), room: int = 2
) -> Form:
    """The form in the smaller of the two rings that holds it. Raises Unfit when none does."""
    check_scale(name, scale)
    narrow = floor((bound + error) * (1 << scale)).bit_length() + room <= 64
    form = Form(name, Ring(1 if narrow else 2), scale, bound, error)
    form.check(room)
    return form


def check_scale(name: str, scale: int) -> None:
    """Raises Unfit for a number of fraction bits that no number has."""
    if not 0 <= scale <= SCALE_MAX:
        raise Unfit(f"{name} has {scale} fraction bits; 0 to {SCALE_MAX} are possible")


# ---- local operations ----------------------------------------------------------------------------


def add(x: Fixed, y: Fixed) -> Fixed:
    """x + y, number by number. Raises Unfit, or ValueError for unlike units."""
    return Fixed(x.form.ring.add(x.elements, y.elements), x.form.plus(y.form))


def sub(x: Fixed, y: Fixed) -> Fixed:
    """x - y, number by number. Raises Unfit, or ValueError for unlike units."""
    return Fixed(x.form.ring.sub(x.elements, y.elements), x.form.plus(y.form))


def scaled(x: Fixed, factor: int) -> Fixed:
    """x times a public integer, exactly. Raises Unfit."""
    return Fixed(x.form.ring.scale(x.elements, factor), x.form.integer(factor))


def times_constant(x: Fixed, factor: Fraction, scale: int) -> Fixed:
    """x times a public rational, rounded to `scale` fraction bits that the result has more."""
    form = x.form.constant(factor, scale)
    return Fixed(x.form.ring.scale(x.elements, rounded(factor, scale)), form)


def divided(x: Fixed, divisor: int) -> Fixed:
    """x over a public positive integer, exactly: the numerator is carried. Raises ValueError."""
    if divisor < 1:
        raise ValueError(f"{x.form.name} cannot be divided by {divisor}")
    return Fixed(x.elements, x.form.over(divisor))


def plus_public(index: int, x: Fixed, value: Fraction) -> Fixed:
    """x + a public number, rounded to x's units; the first party (index 0) adds it."""
    near = rounded(value / x.form.ulp, 0)
    form = replace(
        x.form,
        bound=x.form.bound + abs(value),
        error=x.form.error + abs(near * x.form.ulp - value),
    )
    if index != 0:
        return Fixed(x.elements, form)
    ring = x.form.ring
    return Fixed(ring.add(x.elements, ring.from_ints([near])[0]), form)


def rounded(value: Fraction, scale: int) -> int:
    """The integer nearest to value * 2^scale."""
    return floor(value * (1 << scale) + Fraction(1, 2))


def shown(value: Fraction, up: bool = True) -> str:
    """A bound in three or four digits, rounded up, or else down."""
    if value == 0:
        return "0"
    place = len(str(value.numerator)) - len(str(value.denominator)) - DIGITS
    unit = Fraction(10) ** place
    count = -(-value // unit) if up else value // unit
    return f"{float(count * unit):.{DIGITS + 1}g}"


# ---- programs on forms alone ---------------------------------------------------------------------


@dataclass(slots=True)
class Program:
    """A computation on forms: the same rules as on shares, in order, and what all of it draws.

    `take` what a rule made, with the needs of the step. A rule that raises Unfit refuses the whole
    program.
    """

    steps: list[Form] = field(default_factory=list)
    needs: Needs = field(default_factory=lambda: Needs({}))

    def take(self, name: str, form: Form, needs: Needs | None = None) -> Form:
        """Note one step's result under this name, and hand it on."""
        named = form.called(name)
        self.steps.append(named)
        if needs is not None:
            self.needs = self.needs + needs
        return named

    def report(self) -> str:
        """One line a step; the last is the answer with its error bound."""
        return "\n".join(str(form) for form in self.steps)
