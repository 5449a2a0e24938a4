"""What a process of the pool does: take a call, run it, send back progress and outcome, until the worker goes."""

import ctypes
import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
from queue import SimpleQueue
from typing import BinaryIO, TypeGuard

from taskflow_core.progress import Progress
from taskflow_worker.processes import LENGTH, reporting

# Seconds between two reports of progress: what comes between is overtaken by the next.
INTERVAL = 0.05

PR_SET_PDEATHSIG = 1


def main(descriptor: int) -> None:
    """Serve calls that come through a socket. Ends with the worker, whatever ends that."""
    _die_with_the_worker()
    # Only the worker decides when this process ends; service managers signal the whole group.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = socket.socket(fileno=descriptor)
    line.set_inheritable(False)
    calls: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(line.makefile("rb"), calls), daemon=True).start()
    sender = _Sender(line)
    while True:
        call = calls.get()
        reporting.progress = Progress()
        reporting.send = sender.report
        outcome = _run(call)
        reporting.send = None
        sender.finish(outcome)


def _die_with_the_worker() -> None:
    # The end of the line says so too, but is heard only while Python runs: not in a long regular expression.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _receive(calls_in: BinaryIO, calls: "SimpleQueue[bytes]") -> None:
    while header := calls_in.read(LENGTH.size):
        calls.put(calls_in.read(LENGTH.unpack(header)[0]))
    # The worker is gone: end, with everything the function has started.
    os.killpg(os.getpid(), signal.SIGKILL)


def _run(call: bytes) -> bytes:
    try:
        function, args = pickle.loads(call)  # noqa: S301 - from our own worker
        return pickle.dumps((True, function(*args)))
    except BaseException as error:  # noqa: BLE001 - it is raised in the worker
        return pickle.dumps((False, _portable(error)))


def _portable(error: BaseException) -> Exception:
    """The error as the worker can read and raise it, with its stack trace as a note."""
    trace = "in the process:\n" + "".join(traceback.format_exception(error))
    portable = error if _can_travel(error) else RuntimeError(f"{type(error).__name__}: {error}")
    portable.add_note(trace)
    return portable


def _can_travel(error: BaseException) -> TypeGuard[Exception]:
    """Whether it can be read again: not so if, say, its constructor wants other arguments than it keeps."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - the error that was caught here
    except Exception:  # noqa: BLE001 - an error may be anything
        return False
    # SystemExit and its like must not reach the worker.
    return isinstance(error, Exception)


class _Sender:
    """Sends progress now and then, from a thread, and outcomes at once."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._latest: Progress | None = None
        self._reported = threading.Event()
        threading.Thread(target=self._send_reports, daemon=True).start()

    def report(self, progress: Progress) -> None:
        self._latest = progress
        self._reported.set()

    def finish(self, outcome: bytes) -> None:
        with self._lock:
            self._send_latest()
            self._send(outcome)

    def _send_reports(self) -> None:
        while self._reported.wait():
            self._reported.clear()
            with self._lock:
                self._send_latest()
            time.sleep(INTERVAL)

    def _send_latest(self) -> None:
        latest, self._latest = self._latest, None
        if latest is not None:
            self._send(pickle.dumps(latest))

    def _send(self, message: bytes) -> None:
        self._line.sendall(LENGTH.pack(len(message)) + message)
