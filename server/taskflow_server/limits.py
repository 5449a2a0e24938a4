"""How much may go on at once in this process."""

from types import TracebackType

from taskflow_server.errors import QuotaExceeded


class Limit:
    """At most `most` at once. More are refused rather than queued: a caller that waits also costs memory."""

    def __init__(self, what: str, setting: str, most: int) -> None:
        self._what = what
        self._setting = setting
        self._most = most
        self._taken = 0

    def __enter__(self) -> None:
        if self._taken >= self._most:
            raise QuotaExceeded(
                f"this server answers {self._most} {self._what} at once ({self._setting})",
                limit=str(self._most),
                setting=self._setting,
            )
        self._taken += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taken -= 1
