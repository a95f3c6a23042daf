"""`where`: which rows of an alias take part. A small closed grammar, never code.

    where   = all ("or" all)*
    all     = one ("and" one)*
    one     = "not" one | "(" where ")" | test
    test    = column compare value | value compare column
            | column "is" ["not"] "missing" | column ["not"] "in" "[" value ("," value)* "]"
    compare = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="
    value   = number | 'text' | "text" | true | false        a date is the text "2020-01-31"
    column  = bare word | `any name`                         a bare word is never a text

A test on a missing value is unknown; `not` of unknown is unknown; a row counts only when the whole
is true (`is missing` alone is never unknown). Nothing here evaluates; a member's node does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

import msgspec

from p2pmpc.errors import BadExpression
from p2pmpc.limits import WHERE_CHARACTERS_MAX, WHERE_DEPTH_MAX, WHERE_ITEMS_MAX
from p2pmpc.toml import canonical_decimal

__all__ = [
    "OPERATORS",
    "All",
    "Among",
    "Any",
    "Compare",
    "IsMissing",
    "Node",
    "Not",
    "Value",
    "Where",
    "parse_where",
    "renamed",
]

Value = Decimal | str | bool

OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
SPELLINGS = {"==": "=", "<>": "!="}
MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Compare(msgspec.Struct, frozen=True, tag=True):
    """`column operator value`; the operator is one of OPERATORS."""

    column: str
    operator: str
    value: Value


class Among(msgspec.Struct, frozen=True, tag=True):
    """The column holds one of the values."""

    column: str
    values: tuple[Value, ...]


class IsMissing(msgspec.Struct, frozen=True, tag=True):
    """The column holds no value; true or false, never unknown."""

    column: str


class Not(msgspec.Struct, frozen=True, tag=True):
    """True where `part` is false; unknown stays unknown."""

    part: Node


class All(msgspec.Struct, frozen=True, tag=True):
    """`and`: false as soon as one part is false, true when all are."""

    parts: tuple[Node, ...]


class Any(msgspec.Struct, frozen=True, tag=True):
    """`or`: true as soon as one part is true, false when all are."""

    parts: tuple[Node, ...]


Node = Compare | Among | IsMissing | Not | All | Any


class Where(msgspec.Struct, frozen=True):
    """A parsed expression: its tree and the text that it came from."""

    tree: Node
    text: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns as written, each once, in the order of the text."""
        return tuple(dict.fromkeys(_columns(self.tree)))

    @property
    def tests(self) -> tuple[Compare | Among | IsMissing, ...]:
        """The leaves, in the order of the text."""
        return tuple(_leaves(self.tree))


def _leaves(node: Node) -> list[Compare | Among | IsMissing]:
    if isinstance(node, Not):
        return _leaves(node.part)
    if isinstance(node, All | Any):
        return [leaf for part in node.parts for leaf in _leaves(part)]
    return [node]


def _columns(node: Node) -> list[str]:
    return [leaf.column for leaf in _leaves(node)]


def renamed(where: Where, rename: Callable[[str], str]) -> Where:
    """The same expression with every column name passed through `rename`."""
    return Where(_renamed(where.tree, rename), where.text)


def _renamed(node: Node, rename: Callable[[str], str]) -> Node:
    if isinstance(node, Not):
        return Not(_renamed(node.part, rename))
    if isinstance(node, All):
        return All(tuple(_renamed(part, rename) for part in node.parts))
    if isinstance(node, Any):
        return Any(tuple(_renamed(part, rename) for part in node.parts))
    if isinstance(node, Compare):
        return Compare(rename(node.column), node.operator, node.value)
    if isinstance(node, Among):
        return Among(rename(node.column), node.values)
    return IsMissing(rename(node.column))


# --- words ---

TOKEN = re.compile(
    r"""(?P<blank>\s+)
      | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<text>'[^']*'|"[^"]*")
      | (?P<quoted>`[^`]*`)
      | (?P<word>[A-Za-z_][A-Za-z0-9_.\-]*)
      | (?P<sign>==|!=|<>|<=|>=|=|<|>|\(|\)|\[|\]|,)""",
    re.VERBOSE,
)
RESERVED = ("and", "or", "not", "in", "is", "missing", "true", "false")


@dataclass(frozen=True, slots=True)
class _Token:
    sort: str  # number, text, column, word (reserved), sign, end
    text: str
    place: int  # 1-based


def _refuse(text: str, place: int, said: str, advice: str = "") -> NoReturn:
    raise BadExpression(
        f"`{text}` cannot be read at character {place}: {said}",
        field="where",
        next=advice or "Allowed: comparisons, in [..], is missing, and, or, not, parentheses.",
    )


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    place = 0
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            _refuse_character(text, place)
        sort, said = match.lastgroup or "", match.group()
        if sort != "blank":
            found.append(_token(sort, said, place + 1, text))
        place = match.end()
    return [*found, _Token("end", "", len(text) + 1)]


def _token(sort: str, said: str, place: int, text: str) -> _Token:
    if sort == "word":
        lowered = said.lower()
        return (
            _Token("word", lowered, place) if lowered in RESERVED else _Token("column", said, place)
        )
    if sort == "quoted":
        if len(said) == 2:
            _refuse(text, place, "the name between backticks is empty")
        return _Token("column", said[1:-1], place)
    return _Token(sort, said[1:-1] if sort == "text" else said, place)


def _refuse_character(text: str, place: int) -> NoReturn:
    character = text[place]
    if character in "'\"`":
        _refuse(text, place + 1, f"the {character} is not closed")
    if character.isalnum():
        _refuse(
            text,
            place + 1,
            f"{character!r} cannot begin a bare name",
            "Put names with such characters in `backticks`, texts in quotes.",
        )
    advice = {"&": "Write `and`.", "|": "Write `or`.", "!": "Write `not`."}.get(character, "")
    _refuse(text, place + 1, f"{character!r} has no meaning here", advice)


# --- the parser: one method a line of the grammar ---


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0
        self.depth = 0

    @property
    def now(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.now
        self.at += 1
        return token

    def takes(self, sort: str, text: str) -> bool:
        if (self.now.sort, self.now.text) != (sort, text):
            return False
        self.at += 1
        return True

    def refuse(self, said: str, advice: str = "") -> NoReturn:
        _refuse(self.text, self.now.place, said, advice)

    def seen(self) -> str:
        return repr(self.now.text) if self.now.sort != "end" else "the end"

    def whole(self) -> Node:
        tree = self.either()
        if self.now.sort != "end":
            self.refuse(f"{self.seen()} was not expected", _after_test(self.now))
        return tree

    def either(self) -> Node:
        parts = [self.every()]
        while self.takes("word", "or"):
            parts.append(self.every())
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def every(self) -> Node:
        parts = [self.one()]
        while self.takes("word", "and"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def one(self) -> Node:
        self.depth += 1
        if self.depth > WHERE_DEPTH_MAX:
            self.refuse(f"nested more than {WHERE_DEPTH_MAX} deep", "Write it with fewer brackets.")
        found = self.inner()
        self.depth -= 1
        return found

    def inner(self) -> Node:
        if self.takes("word", "not"):
            return Not(self.one())
        if self.takes("sign", "("):
            inside = self.either()
            if not self.takes("sign", ")"):
                self.refuse(f"a closing bracket was expected, not {self.seen()}")
            return inside
        return self.test()

    def test(self) -> Node:
        if self.now.sort == "column":
            return self.column_test(self.take().text)
        value = self.value()
        operator = self.operator()
        if self.now.sort != "column":
            self.refuse(f"a column was expected, not {self.seen()}", QUOTES)
        return Compare(self.take().text, MIRRORED[operator], value)

    def column_test(self, column: str) -> Node:
        if self.takes("word", "is"):
            negated = self.takes("word", "not")
            if not self.takes("word", "missing"):
                self.refuse(f"`missing` was expected, not {self.seen()}")
            return Not(IsMissing(column)) if negated else IsMissing(column)
        if self.takes("word", "not"):
            if self.now.text != "in":
                self.refuse(f"`in` was expected, not {self.seen()}")
            return Not(self.column_test(column))
        if self.takes("word", "in"):
            return Among(column, self.values())
        operator = self.operator()
        if self.now.sort == "column":
            self.refuse(f"a value was expected, not the column {self.now.text!r}", QUOTES)
        return Compare(column, operator, self.value())

    def operator(self) -> str:
        if self.now.sort == "sign" and self.now.text == "(":
            self.refuse("functions are not offered")
        operator = SPELLINGS.get(self.now.text, self.now.text)
        if self.now.sort != "sign" or operator not in OPERATORS:
            self.refuse(f"a comparison was expected, not {self.seen()}")
        self.at += 1
        return operator

    def value(self) -> Value:
        token = self.now
        truth = token.sort == "word" and token.text in {"true", "false"}
        if not truth and token.sort not in {"text", "number"}:
            self.refuse(f"a column or a value was expected, not {self.seen()}")
        self.at += 1
        if token.sort == "number":
            return canonical_decimal(Decimal(token.text), self.bad_number)
        return token.text == "true" if truth else token.text

    def bad_number(self, said: str) -> BadExpression:
        return BadExpression(f"`{self.text}` cannot be read: a number {said}", field="where")

    def values(self) -> tuple[Value, ...]:
        if not self.takes("sign", "["):
            self.refuse(f"`[` was expected after `in`, not {self.seen()}")
        found = [self.value()]
        while self.takes("sign", ","):
            found.append(self.value())
            if len(found) > WHERE_ITEMS_MAX:
                self.refuse(f"more than {WHERE_ITEMS_MAX} values in one list")
        if not self.takes("sign", "]"):
            self.refuse(f"`]` was expected, not {self.seen()}")
        return tuple(found)


QUOTES = "Compare a column with a number or a text in quotes; a bare word is a column."


def _after_test(token: _Token) -> str:
    if token.text in {"<", "<=", ">", ">=", "=", "==", "!=", "<>"}:
        return "Join two comparisons with `and`: age >= 40 and age < 65."
    return "Join tests with `and` or `or`."


def parse_where(text: str) -> Where:
    """The expression's tree. Raises BadExpression, with the character where reading stopped."""
    if len(text) > WHERE_CHARACTERS_MAX:
        raise BadExpression(
            f"`where` is longer than {WHERE_CHARACTERS_MAX} characters", field="where"
        )
    if not text.strip():
        raise BadExpression("`where` is empty", field="where", next="Leave the field out.")
    return Where(_Parser(text).whole(), text)
