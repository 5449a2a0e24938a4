"""Whether this server can serve, for Envoy, Kubernetes and clients that balance by themselves."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from taskflow_core.app import App

from taskflow_server.calls import Context
from taskflow_server.drain import Drain

log = structlog.get_logger()

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING

# One failed probe is a hiccup, this many in a row an outage.
FAILURES = 3
PROBE_TIMEOUT = 5.0


class Health(health.aio.HealthServicer):
    """grpc.health.v1, with watches that end when the server stops instead of holding it up."""

    def __init__(self, names: Iterable[str], drain: Drain) -> None:
        super().__init__()
        self._names = ("", *names)
        self._drain = drain

    async def say(self, status: int) -> None:
        """Set the status of the whole server and of each service."""
        for name in self._names:
            await self.set(name, status)

    async def Watch(self, request: HealthCheckRequest, context: Context) -> None:
        watching = asyncio.ensure_future(super().Watch(request, context))
        draining = asyncio.ensure_future(self._drain.started.wait())
        try:
            await asyncio.wait((watching, draining), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in (watching, draining):
                part.cancel()
            await asyncio.gather(watching, draining, return_exceptions=True)


@dataclass
class Probe:
    """One thing we need, asked again and again."""

    name: str
    ask: Callable[[], Awaitable[object]]
    failures: int = 0

    @property
    def is_down(self) -> bool:
        return self.failures >= FAILURES

    async def run(self) -> None:
        was_down = self.is_down
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                await self.ask()
        except Exception as error:  # noqa: BLE001 - however it fails, it does not answer
            self.failures += 1
            log.warning("probe failed", of=self.name, failures=self.failures, error=repr(error))
        else:
            self.failures = 0
            if was_down:
                log.info("probe answers again", of=self.name)


async def keep_health(app: App, servicer: Health) -> None:
    """Probe for ever, and say what comes of it.

    Without PostgreSQL nothing can be promised: NOT_SERVING. Without Redis tasks are still accepted and
    read, and start later: that is an operator's matter, so it is logged, and callers are not turned away.
    """
    postgres = Probe("postgres", lambda: app.database.pool.fetchval("select 1"))
    redis = Probe("redis", app.queue.redis.ping)
    while True:
        await asyncio.gather(postgres.run(), redis.run())
        await servicer.say(NOT_SERVING if postgres.is_down else SERVING)
        await asyncio.sleep(app.settings.health_interval)
