"""Wall clocks that are wrong, and that jump: libfaketime, loaded into a process before everything else."""

import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

HOUR = 3600

PRELOAD = "DYLD_INSERT_LIBRARIES" if sys.platform == "darwin" else "LD_PRELOAD"
# What is installed with other tools, after the wheel.
INSTALLED = (
    "/usr/lib/*/faketime/libfaketime.so.1",
    "/usr/lib*/faketime/libfaketime.so.1",
    "/opt/homebrew/lib/faketime/libfaketime.1.dylib",
    "/usr/local/lib/faketime/libfaketime.*",
)
WHY_NOT = (
    "libfaketime does not work here: the wheel is for Linux x86-64; elsewhere install the tool `faketime`"
)


class WrongClock:
    """The wall clock of the processes started with `environment`. It can be set while they run."""

    def __init__(self, file: Path, library: Path, seconds: int = 0) -> None:
        self._file = file
        self._library = library
        self.set(seconds)

    def set(self, seconds: int) -> None:
        """Let it be so many seconds fast, or slow."""
        whole = self._file.with_suffix(".new")
        whole.write_text(f"{seconds:+d}")
        whole.replace(self._file)

    @property
    def environment(self) -> Mapping[str, str]:
        # Handlers that write down what they do measure by the monotonic clock, which stays as it is.
        return {
            PRELOAD: str(self._library),
            "DYLD_FORCE_FLAT_NAMESPACE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
        }


@functools.cache
def working_library(folder: Path) -> Path | None:
    """The first libfaketime that a Python process here really obeys, if any."""
    for library in _libraries():
        clock = WrongClock(folder / "tried.clock", library, HOUR)
        answer = subprocess.run(
            [sys.executable, "-c", "import time; print(time.time())"],
            env={**os.environ, **clock.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        file_time = (folder / "tried.clock").stat().st_mtime
        if answer.returncode == 0 and float(answer.stdout) - file_time > HOUR - 60:
            return library
    return None


def _libraries() -> Iterator[Path]:
    wheel = importlib.util.find_spec("libfaketime")
    if wheel is not None and wheel.origin is not None:
        yield from Path(wheel.origin).parent.glob("vendor/libfaketime/src/libfaketime.*1*")
    for pattern in INSTALLED:
        yield from Path("/").glob(pattern.removeprefix("/"))
