"""The grammar of filters: text to tree. It knows no fields and no types."""

import re
from dataclasses import dataclass

from taskflow_core.errors import InvalidArgument

MAX_LENGTH = 2000
MAX_DEPTH = 20
MAX_COMPARISONS = 50

# Longer operators first, so that `<=` is not read as `<`.
OPERATORS = ("<=", ">=", "!=", "=", "<", ">", ":")

_KEYWORDS = ("AND", "OR", "NOT")
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"""[^\s()"'\\<>=!:,]+""")
# A value may hold `:`, so that timestamps need no quotes.
_BARE_VALUE = re.compile(r"""[^\s()"'\\<>=!,]+""")
_OPERATOR = re.compile("|".join(OPERATORS))
_QUOTED_PIECE = re.compile(r"""[^"'\\*]+""")
_ESCAPES = {'"': '"', "'": "'", "\\": "\\", "*": "*", "n": "\n", "r": "\r", "t": "\t"}
# What PostgreSQL cannot store, a filter cannot look for.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Value:
    """The right side of a comparison: its text, cut at each wildcard, and its position from 1."""

    segments: tuple[str, ...]
    position: int

    @property
    def text(self) -> str:
        return "*".join(self.segments)

    @property
    def has_wildcard(self) -> bool:
        return len(self.segments) > 1


@dataclass(frozen=True)
class Comparison:
    """`field operator value`, with the positions of field and operator from 1."""

    field: str
    operator: str
    value: Value
    position: int
    operator_position: int


@dataclass(frozen=True)
class Not:
    node: "Node"


@dataclass(frozen=True)
class And:
    nodes: tuple["Node", ...]


@dataclass(frozen=True)
class Or:
    nodes: tuple["Node", ...]


Node = Comparison | Not | And | Or


def parse(text: str) -> Node | None:
    """The tree of a filter; None if it is blank.

    Errors: InvalidArgument at `filter` (INVALID_FILTER), with the position, counted from 1.
    """
    if len(text) > MAX_LENGTH:
        raise invalid_filter(
            f"{len(text)} characters are too long; at most {MAX_LENGTH} are allowed",
            length=str(len(text)),
            limit=str(MAX_LENGTH),
        )
    if found := _UNSTORABLE.search(text):
        position = found.start() + 1
        raise invalid_filter(
            f"a NUL or half a surrogate pair at position {position} is not allowed", position=str(position)
        )
    return _Parser(text).filter()


def invalid_filter(description: str, **metadata: str) -> InvalidArgument:
    """The error for a filter; `metadata` holds what the description mentions."""
    return InvalidArgument.at("filter", description, reason="INVALID_FILTER", **metadata)


class _Parser:
    """Recursive descent: expression = factor {[AND] factor}, factor = term {OR term}, term = [NOT | -] simple."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._comparisons = 0

    def filter(self) -> Node | None:
        if self._next() == "":
            return None
        node = self._expression(depth=1)
        if self._next() == ")":
            raise self._wrong("')' without '('")
        return node

    def _expression(self, depth: int) -> Node:
        nodes = [self._factor(depth)]
        while self._next() not in ("", ")"):
            self._take_keyword("AND")
            nodes.append(self._factor(depth))
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def _factor(self, depth: int) -> Node:
        nodes = [self._term(depth)]
        while self._take_keyword("OR"):
            nodes.append(self._term(depth))
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def _term(self, depth: int) -> Node:
        if self._take_keyword("NOT"):
            return Not(self._simple(depth))
        if self._next() == "-":
            self._at += 1
            return Not(self._simple(depth))
        return self._simple(depth)

    def _simple(self, depth: int) -> Node:
        if self._next() != "(":
            return self._comparison()
        opened_at = self._at + 1
        if depth == MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} levels of parentheses", limit=str(MAX_DEPTH))
        self._at += 1
        node = self._expression(depth + 1)
        if self._next() != ")":
            raise self._wrong(f"expected ')' for the '(' at position {opened_at}", opened_at=str(opened_at))
        self._at += 1
        return node

    def _comparison(self) -> Comparison:
        self._next()
        word = _WORD.match(self._text, self._at)
        if word is None or word[0] in _KEYWORDS:
            raise self._wrong("expected a field or '('")
        field, position = word[0], self._at + 1
        self._at = word.end()
        self._next()
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            raise self._not_a_comparison(field, position)
        operator_position = self._at + 1
        self._at = operator.end()
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise invalid_filter(
                f"more than {MAX_COMPARISONS} comparisons, at position {position}",
                position=str(position),
                limit=str(MAX_COMPARISONS),
            )
        return Comparison(field, operator[0], self._value(), position, operator_position)

    def _value(self) -> Value:
        quote = self._next()
        position = self._at + 1
        if quote in ('"', "'"):
            return Value(self._quoted(quote), position)
        bare = _BARE_VALUE.match(self._text, self._at)
        if bare is None or bare[0] in _KEYWORDS:
            raise self._wrong("expected a value; one with spaces or signs needs quotes")
        self._at = bare.end()
        return Value(tuple(bare[0].split("*")), position)

    def _quoted(self, quote: str) -> tuple[str, ...]:
        opened_at = self._at + 1
        self._at += 1
        segments = [""]
        while (char := self._text[self._at : self._at + 1]) != quote:
            if char == "":
                raise invalid_filter(
                    f"the {quote} at position {opened_at} is never closed", position=str(opened_at)
                )
            if char == "*":
                segments.append("")
                self._at += 1
            elif char == "\\":
                segments[-1] += self._escape()
            else:
                # A quote of the other kind is an ordinary character.
                piece = _QUOTED_PIECE.match(self._text, self._at)
                segments[-1] += char if piece is None else piece[0]
                self._at += 1 if piece is None else len(piece[0])
        self._at += 1
        return tuple(segments)

    def _escape(self) -> str:
        escaped = self._text[self._at + 1 : self._at + 2]
        if escaped not in _ESCAPES:
            allowed = " ".join(f"\\{char}" for char in _ESCAPES)
            raise self._wrong(f"unknown escape; allowed: {allowed}", allowed=allowed)
        self._at += 2
        return _ESCAPES[escaped]

    def _next(self) -> str:
        """The next character that is no space; empty at the end."""
        space = _SPACE.match(self._text, self._at)
        if space is not None:
            self._at = space.end()
        return self._text[self._at : self._at + 1]

    def _take_keyword(self, keyword: str) -> bool:
        self._next()
        word = _WORD.match(self._text, self._at)
        if word is None or word[0] != keyword:
            return False
        self._at = word.end()
        return True

    def _not_a_comparison(self, word: str, position: int) -> InvalidArgument:
        if word.upper() in _KEYWORDS:
            return invalid_filter(
                f"{word!r} at position {position}: write {word.upper()} in capitals",
                found=word,
                position=str(position),
            )
        allowed = ", ".join(OPERATORS)
        return self._wrong(f"expected an operator ({allowed}) after {word!r}", after=word, allowed=allowed)

    def _wrong(self, description: str, **metadata: str) -> InvalidArgument:
        position = self._at + 1
        word = _BARE_VALUE.match(self._text, self._at)
        found = self._text[self._at : self._at + 2].strip() if word is None else word[0]
        shown = repr(found) if found else "the end"
        return invalid_filter(
            f"{description}; found {shown} at position {position}",
            found=found,
            position=str(position),
            **metadata,
        )
