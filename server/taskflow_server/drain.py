"""The signal that the server is about to stop."""

import asyncio
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Drain:
    """Tells streams, which would never end by themselves, that the server begins to stop.

    A stream that awaits `started` has `drain_delay + drain_grace` seconds to send its closing message.
    """

    started: asyncio.Event = field(default_factory=asyncio.Event)
