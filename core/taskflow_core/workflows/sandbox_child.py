"""The process that `sandbox` starts: reads expressions from standard input, writes their values, until the input ends."""

import resource
import signal
import sys
from contextlib import suppress
from typing import Any

from taskflow_core.workflows.cel_library import STDLIB_FUNCTIONS
from taskflow_core.workflows.expression_syntax import EXTRA_FUNCTIONS, ExpressionError
from taskflow_core.workflows.expressions import compile_expression, evaluate_in_pieces
from taskflow_core.workflows.sandbox import LENGTH_BYTES, frame, unframe

FUNCTIONS = {name: function for name, function in STDLIB_FUNCTIONS.items() if name in EXTRA_FUNCTIONS}


def main(cpu_seconds: float, memory_bytes: int) -> None:
    """Serve the parent until it closes the pipe, or until an evaluation takes too much."""
    # Ctrl-C reaches the whole group; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(ValueError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while length := requests.read(LENGTH_BYTES):
        request = unframe(requests.read(int.from_bytes(length, "big")))
        # Nothing handles SIGPROF: the kernel ends the process, wherever it is.
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        answer = frame(_answer(request))
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(answer)
        answers.flush()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        expression = compile_expression(request["source"])
        return {"value": evaluate_in_pieces(expression, request["parts"], FUNCTIONS)}
    except ExpressionError as error:
        return {"error": error.message, "position": error.position}


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
