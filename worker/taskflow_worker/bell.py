"""What ends a sleep, so that it is not found out a second later that there is something to do."""

import asyncio

from taskflow_core.waiting import set_within


class Bell:
    """Is rung by whoever knows of something to do."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Say that there may be something to do."""
        self._rung.set()

    def silence(self) -> None:
        """Forget what rang: what is looked at from now on includes it."""
        self._rung.clear()

    async def rung_within(self, seconds: float | None) -> None:
        """Wait until it rings, but not longer."""
        await set_within(self._rung, seconds)
