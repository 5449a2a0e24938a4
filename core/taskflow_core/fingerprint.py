"""Fingerprints: what failed alike has the same one, however the ids, numbers and times in it differ.

A fingerprint is made of three things:

1. the type of the error,
2. its message, in which whatever changes from one failure to the next is replaced: quoted values, times, ids,
   addresses, hexadecimal and other numbers; a list of such values counts as one of them,
3. the place: the innermost functions of the stack that are neither of Python's library nor of an installed
   package, each as `file.py:function`. Folders and line numbers are left out, so that another machine or an edit
   elsewhere in the file changes nothing. A failure without a stack has the task type for its place.

So one broken helper is one group whatever task calls it, and a timeout is a group for each task type.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

# Functions that make the place.
FRAMES = 3
DIGITS = 16

# In this order: what comes later would take the others apart.
_REPLACEMENTS = tuple(
    (re.compile(pattern, re.ASCII | flags), replacement)
    for pattern, flags, replacement in (
        # 'x' "x" `x`, but not the apostrophe of a word
        (r"""(?<!\w)(['"`])(?:\\.|(?!\1).)*\1(?!\w)""", re.DOTALL, "<value>"),
        (
            r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?: ?(?:Z|[+-]\d\d:?\d\d)\b)?",
            0,
            "<time>",
        ),
        (r"(?<![\w:])\d\d:\d\d:\d\d(?:[.,]\d+)?(?![\w:])", 0, "<time>"),
        (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE, "<id>"),
        (r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", 0, "<address>"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", 0, "<address>"),
        (
            r"(?<![\w:])(?=[0-9a-f:]*\d)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?![\w:])",
            re.IGNORECASE,
            "<address>",
        ),
        (r"\b0x[0-9a-f]+\b", re.IGNORECASE, "<number>"),
        (r"\b(?=[a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE, "<id>"),
        # letters and digits in turns, as generated ids have them
        (r"\b(?=\w{8})(?=\d*[A-Za-z_])[A-Za-z_]*\d+[A-Za-z_]+\d\w*", 0, "<id>"),
        (r"(?:(?<!\w)[-+])?\d+(?:[.,_]\d+)*(?:e[-+]?\d+)?", re.IGNORECASE, "<number>"),
        (r"(<\w+>)(?:\s*,\s*\1)+", 0, r"\1"),
        (r"\s+", 0, " "),
    )
)

_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'File "([^"\n]+)", line \d+, in (\S+)')
_OF_OTHERS = re.compile(r"/(?:site-packages|dist-packages|lib/python3[^/]*)/|^<")
# The files of TaskFlow's worker that call handlers, as opposed to the handlers that come with it.
_OF_WORKER = re.compile(r"/taskflow_worker/\w+\.py$")


def fingerprint(task_type: str, error_type: str, message: str, stack_trace: str) -> str:
    """The fingerprint of a failure: 16 hexadecimal digits. `stack_trace` is as Python prints it, or empty."""
    place = _place(stack_trace) or [task_type]
    text = "\n".join([error_type, normalised(message), *place])
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:DIGITS]


def normalised(message: str) -> str:
    """The message with a name for each value that changes from one failure to the next."""
    for pattern, replacement in _REPLACEMENTS:
        message = pattern.sub(replacement, message)
    return message.strip()


def _place(stack_trace: str) -> list[str]:
    """The innermost functions of our own in the last traceback; of anybody's, if none is ours."""
    # Of chained exceptions the last is the one that was raised.
    _, _, last = stack_trace.rpartition(_TRACEBACK)
    frames = [(file, function) for file, function in _FRAME.findall(last) if not _OF_WORKER.search(file)]
    own = [frame for frame in frames if not _OF_OTHERS.search(frame[0])]
    places = [f"{PurePosixPath(file).name}:{function}" for file, function in own or frames]
    return list(_without_repeats(places))[-FRAMES:]


def _without_repeats(places: list[str]) -> Iterator[str]:
    """A recursion is one place, however deep it went."""
    for index, place in enumerate(places):
        if index == 0 or place != places[index - 1]:
            yield place
