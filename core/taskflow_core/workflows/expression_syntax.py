"""What an expression refers to, found in its tokens before it is ever evaluated.

The grammar is CEL's, and CEL's own parser has read the text before. What is found here is what that parser does not
tell: which members of which variables are read, whether anything is repeated, and where in the text that is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from taskflow_core.workflows.cel_library import STDLIB_FUNCTIONS

# A step into a value: a member by name, or an element by number.
Step = str | int

# Each repeats its last arguments for every element, with a variable that its first argument names.
MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
# Those whose value is the list of what each element gives.
STAGES = frozenset({"filter", "map"})
NATIVE_FUNCTIONS = frozenset(
    {
        *("bytes", "contains", "double", "duration", "dyn", "endsWith", "has", "int", "matches", "size"),
        *("startsWith", "string", "timestamp", "type", "uint"),
        *("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours"),
        *("getMilliseconds", "getMinutes", "getMonth", "getSeconds"),
    }
)
# Those of CEL's usual extensions. `contains` keeps the meaning that it has without them: of texts.
EXTRA_FUNCTIONS = frozenset(STDLIB_FUNCTIONS) - NATIVE_FUNCTIONS
NAMESPACES = frozenset(name.partition(".")[0] for name in EXTRA_FUNCTIONS if "." in name)

LITERALS = frozenset({"true", "false", "null", "in"})
TYPES = frozenset(
    {*("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"), "timestamp"}
)

_TOKEN = re.compile(
    r"""
    (?P<skip>\s+|//[^\n]*)
    |(?P<text>
        (?:[rR][bB]?|[bB][rR])(?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"[^"\n]*"|'[^'\n]*')
        |[bB]?(?:
            \"{3}(?:\\[\s\S]|[^\\])*?\"{3}|'{3}(?:\\[\s\S]|[^\\])*?'{3}
            |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'
        )
    )
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>[\s\S])
    """,
    re.VERBOSE,
)
_PLAIN_TEXT = re.compile(r"""(["'])((?:(?!\1)[^\\])*)\1""")
_INDEX = re.compile(r"\d{1,9}")
_OPENING = {"(": ")", "[": "]", "{": "}"}


class ExpressionError(Exception):
    """An expression is wrong or cannot be evaluated. `position` counts characters from 1, where it is known."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message if position is None else f"{message} (at character {position})")
        self.message = message
        self.position = position


@dataclass(frozen=True)
class Reference:
    """A variable that is read, with the constant steps into it: `nodes.a.result.rows[0]`."""

    variable: str
    steps: tuple[Step, ...]
    position: int


@dataclass(frozen=True)
class Syntax:
    """What an expression consists of, as far as we need to know."""

    references: tuple[Reference, ...]
    is_path: bool  # one reference, and nothing else
    needs_bounds: bool  # repeats something, or calls what may give far more than it got
    loops: int  # macros that repeat something
    stages: tuple[str, ...]  # of `path.filter(...).map(...)` and the like: the texts behind the path


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


def analyse(source: str) -> Syntax:
    """Read an expression that CEL's parser accepts. Raises ExpressionError for functions that there are not."""
    tokens = list(_tokens(source))
    reader = _Reader(tokens)
    references, is_path = reader.read()
    return Syntax(references, is_path, reader.needs_bounds, reader.loops, _stages(source, tokens))


def _tokens(source: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(source):
        kind = match.lastgroup or ""
        if kind != "skip":
            yield _Token(kind, match.group(), match.start() + 1)


def _stages(source: str, tokens: list[_Token]) -> tuple[str, ...]:
    """The calls of `map` and `filter` that follow a path, if they and the path are all there is."""
    texts = [token.text for token in tokens]
    if not texts or tokens[0].kind != "name":
        return ()
    stages: list[str] = []
    index = 1
    while index < len(texts):
        is_stage = texts[index : index + 1] == ["."] and texts[index + 2 : index + 3] == ["("]
        end = _closing(tokens, index + 2) if is_stage else index + 2
        if is_stage and texts[index + 1] in STAGES and end is not None:
            stages.append(source[tokens[index].position - 1 : tokens[end].position])
            index = end + 1
        elif texts[index] == "." and not is_stage and not stages:
            index += 2
        else:
            return ()
    return tuple(stages)


def _closing(tokens: list[_Token], opening: int) -> int | None:
    """The bracket that closes another."""
    depth = 0
    for index in range(opening, len(tokens)):
        if tokens[index].kind == "sign":
            depth += (tokens[index].text in _OPENING) - (tokens[index].text in _OPENING.values())
        if depth == 0:
            return index
    return None


class _Reader:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._references: list[Reference] = []
        self.needs_bounds = False
        self.loops = 0
        # For each open bracket the variable that a macro binds inside it, if any.
        self._bound: list[str] = []

    def read(self) -> tuple[tuple[Reference, ...], bool]:
        index = 0
        is_path = False
        while index < len(self._tokens):
            start, index = index, self._next(index)
            is_path = start == 0 and index == len(self._tokens) and len(self._references) == 1
        return tuple(self._references), is_path

    def _next(self, index: int) -> int:
        """Read what begins at a token; the index of what follows."""
        token = self._tokens[index]
        if token.kind == "sign":
            if token.text in _OPENING:
                self._bound.append("")
            elif token.text in _OPENING.values() and self._bound:
                self._bound.pop()
        if token.kind != "name" or token.text in LITERALS:
            return index + 1
        if self._is_member(index):
            return self._call(index, token.text) if self._sign(index + 1, "(") else index + 1
        if self._sign(index + 1, "("):
            return self._call(index, token.text)
        if token.text in NAMESPACES and self._sign(index + 1, ".") and self._sign(index + 3, "("):
            return self._call(index + 2, f"{token.text}.{self._text(index + 2)}")
        if token.text in self._bound or token.text in TYPES:
            return index + 1
        return self._reference(index)

    def _call(self, index: int, function: str) -> int:
        """A call: the names of the function stand before its bracket, which comes next."""
        if function in MACROS:
            self.needs_bounds = True
            self.loops += 1
            self._bound.append(self._text(index + 2))
            return index + 2
        if function in EXTRA_FUNCTIONS:
            self.needs_bounds = True
        elif function not in NATIVE_FUNCTIONS:
            raise ExpressionError(f"unknown function {function!r}", self._tokens[index].position)
        return index + 1

    def _reference(self, index: int) -> int:
        start = self._tokens[index]
        steps: list[Step] = []
        index += 1
        while (step := self._step(index)) is not None:
            value, index = step
            steps.append(value)
        self._references.append(Reference(start.text, tuple(steps), start.position))
        return index

    def _step(self, index: int) -> tuple[Step, int] | None:
        """A constant step that begins at a token, and the index of what follows."""
        if self._sign(index, ".") and not self._sign(index + 2, "("):
            return self._text(index + 1), index + 2
        if self._sign(index, "[") and self._sign(index + 2, "]"):
            token = self._tokens[index + 1]
            if token.kind == "number" and _INDEX.fullmatch(token.text):
                return int(token.text), index + 3
            plain = _PLAIN_TEXT.fullmatch(token.text) if token.kind == "text" else None
            if plain is not None and not plain[0].startswith(('"""', "'''")):
                return plain[2], index + 3
        return None

    def _is_member(self, index: int) -> bool:
        """Whether a name stands behind a value and a dot; a dot in front of everything says nothing."""
        if not self._sign(index - 1, ".") or index < 2:
            return False
        before = self._tokens[index - 2]
        return before.kind != "sign" or before.text in _OPENING.values()

    def _sign(self, index: int, text: str) -> bool:
        return self._text(index) == text and self._tokens[index].kind == "sign"

    def _text(self, index: int) -> str:
        return self._tokens[index].text if 0 <= index < len(self._tokens) else ""
