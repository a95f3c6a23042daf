"""`formula`: the columns of a model, in a small part of R's grammar.

    formula = [column "~"] term ("+" term)*        the right side alone where a kind has no response
    term    = factor (":" factor)*                 ":" is an interaction of exactly these columns
    factor  = column | "C(" column ")"             C() treats a whole number as a category
    column  = bare word | `any name`

The constant is always in (a written `+ 1` is the same). Everything else of R is refused by name:
`- 1`, `+ 0`, `*`, `^`, functions.
"""

from __future__ import annotations

import re
from typing import NoReturn

import msgspec

from p2pmpc.errors import BadExpression
from p2pmpc.limits import FORMULA_CHARACTERS_MAX, FORMULA_FACTORS_MAX, FORMULA_TERMS_MAX

__all__ = ["Formula", "FormulaFactor", "Term", "parse_formula"]


class FormulaFactor(msgspec.Struct, frozen=True, order=True):
    """A column as written; `categorical` when it stands in C()."""

    name: str
    categorical: bool


Term = tuple[FormulaFactor, ...]


class Formula(msgspec.Struct, frozen=True):
    """`response` is None where only a right side was written. Terms in the order of the text."""

    response: str | None
    terms: tuple[Term, ...]
    text: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns as written, the response first, each once."""
        right = [factor.name for term in self.terms for factor in term]
        return tuple(dict.fromkeys([self.response, *right] if self.response else right))


TOKEN = re.compile(
    r"(?P<blank>\s+)|(?P<quoted>`[^`]+`)|(?P<word>[A-Za-z_][A-Za-z0-9_.]*)"
    r"|(?P<number>\d+(?:\.\d*)?(?!\w))|(?P<sign>[~+:()])"
)
ADVICE = "Write a formula such as `y ~ a + b + C(c) + a:b`."
NO_CONSTANT = "a model without the constant is not offered"
OPERATORS = {
    "*": "`*` is not offered; write a + b + a:b",
    "^": "`^` is not offered; write each term",
    "-": "terms cannot be taken away; write only the terms that you want",
    "/": "`/` is not offered; write each term",
    "|": "`|` (random effects) is not offered",
    ".": "`.` (all other columns) is not offered; write each column",
}


def _refuse(text: str, place: int, said: str, advice: str = ADVICE) -> NoReturn:
    raise BadExpression(
        f"the formula `{text}` cannot be read at character {place}: {said}",
        field="formula",
        next=advice,
    )


def _tokens(text: str) -> list[tuple[str, str, int]]:
    found: list[tuple[str, str, int]] = []
    place = 0
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            _refuse_character(text, place)
        if match.lastgroup != "blank":
            found.append((match.lastgroup or "", match.group(), place + 1))
        place = match.end()
    return [*found, ("end", "", len(text) + 1)]


def _refuse_character(text: str, place: int) -> NoReturn:
    character = text[place]
    if re.match(r"-\s*1(?!\w)", text[place:]):
        _refuse(text, place + 1, f"`- 1`: {NO_CONSTANT}", "Leave `- 1` out.")
    if character == "`":
        _refuse(text, place + 1, "the ` is not closed, or nothing stands between two")
    said = OPERATORS.get(character, f"{character!r} has no meaning here")
    quotable = character.isalnum() or character == "-"
    _refuse(text, place + 1, said, "Put such names in `backticks`." if quotable else ADVICE)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0

    @property
    def sort(self) -> str:
        return self.tokens[self.at][0]

    @property
    def said(self) -> str:
        return self.tokens[self.at][1]

    def refuse(self, said: str, advice: str = ADVICE) -> NoReturn:
        _refuse(self.text, self.tokens[self.at][2], said, advice)

    def seen(self) -> str:
        return "the end" if self.sort == "end" else repr(self.said)

    def takes(self, sign: str) -> bool:
        if self.sort != "sign" or self.said != sign:
            return False
        self.at += 1
        return True

    def column(self) -> str:
        if self.sort not in {"word", "quoted"}:
            self.refuse(f"a column was expected, not {self.seen()}")
        name = self.said.strip("`") if self.sort == "quoted" else self.said
        self.at += 1
        return name

    def whole(self) -> Formula:
        response = None
        if any(sort == "sign" and said == "~" for sort, said, _ in self.tokens):
            response = None if self.said == "~" else self.column()
            if not self.takes("~"):
                self.refuse(f"`~` was expected, not {self.seen()}; transform columns beforehand")
        terms = self.terms()
        if self.sort != "end":
            self.refuse(f"{self.seen()} was not expected")
        return Formula(response, terms, self.text)

    def terms(self) -> tuple[Term, ...]:
        found: dict[frozenset[str], Term] = {}
        while True:
            self.add_term(found)
            if not self.takes("+"):
                return tuple(found.values())

    def add_term(self, found: dict[frozenset[str], Term]) -> None:
        if self.sort == "number":
            self.constant()
            return
        term = self.term()
        key = frozenset(factor.name for factor in term)
        if key in found:
            self.refuse(f"the term {':'.join(factor.name for factor in term)} stands there twice")
        if len(found) == FORMULA_TERMS_MAX:
            self.refuse(f"more than {FORMULA_TERMS_MAX} terms", "Use fewer terms.")
        found[key] = term

    def constant(self) -> None:
        if self.said == "0":
            self.refuse(f"`+ 0`: {NO_CONSTANT}", "Leave `+ 0` out.")
        if self.said != "1":
            self.refuse(f"the number {self.said} is no term")
        self.at += 1

    def term(self) -> Term:
        factors = [self.factor()]
        while self.takes(":"):
            factors.append(self.factor())
        names = [factor.name for factor in factors]
        if len(set(names)) != len(names):
            self.refuse(f"{names[0]} interacts with itself")
        if len(factors) > FORMULA_FACTORS_MAX:
            self.refuse(f"more than {FORMULA_FACTORS_MAX} columns in one interaction")
        return tuple(factors)

    def factor(self) -> FormulaFactor:
        called = self.sort == "word" and self.tokens[self.at + 1][1] == "("
        if not called:
            return FormulaFactor(self.column(), categorical=False)
        if self.said != "C":
            self.refuse(
                f"the function {self.said}() is not offered; only C() is",
                "Add the transformed column to the data instead.",
            )
        self.at += 2
        name = self.column()
        if not self.takes(")"):
            self.refuse(f"a closing bracket was expected, not {self.seen()}")
        return FormulaFactor(name, categorical=True)


def parse_formula(text: str) -> Formula:
    """The columns of a model. Raises BadExpression, with the character where reading stopped."""
    if len(text) > FORMULA_CHARACTERS_MAX:
        raise BadExpression(
            f"the formula is longer than {FORMULA_CHARACTERS_MAX} characters", field="formula"
        )
    if not text.strip():
        raise BadExpression("the formula is empty", field="formula", next=ADVICE)
    formula = _Parser(text).whole()
    right = {factor.name for term in formula.terms for factor in term}
    if formula.response in right:
        raise BadExpression(
            f"the formula `{text}` has {formula.response} on both sides", field="formula"
        )
    if not formula.terms and formula.response is None:
        raise BadExpression(f"the formula `{text}` names no column", field="formula", next=ADVICE)
    return formula
