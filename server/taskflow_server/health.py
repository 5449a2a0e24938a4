"""Whether this server can serve, for Envoy, Kubernetes and clients that balance by themselves."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from taskflow_core.app import App
from taskflow_server.calls import Context

log = structlog.get_logger()

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN

# One failed probe is a hiccup, this many in a row an outage.
FAILURES = 3
PROBE_TIMEOUT = 5.0


class Health(health_pb2_grpc.HealthServicer):
    """grpc.health.v1. All services have the same status, as they need the same things.

    Unlike those of grpc's own servicer, watches end when the server stops, instead of holding it up.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._names = frozenset(("", *services))
        self._status: int = SERVING
        self._stopping = False
        self._changed = asyncio.Event()

    def say(self, status: int) -> None:
        """Set the status, for good once the server stops."""
        if status != self._status and not self._stopping:
            self._status = status
            self._wake_watches()

    async def enter_graceful_shutdown(self) -> None:
        """Say NOT_SERVING, and nothing after it."""
        self._status = NOT_SERVING
        self._stopping = True
        self._wake_watches()

    async def Check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return HealthCheckResponse(status=self._status)

    async def Watch(
        self, request: HealthCheckRequest, _: Context
    ) -> AsyncGenerator[HealthCheckResponse, None]:
        said: int | None = None
        while True:
            # Taken together and before the message is sent, as they may change meanwhile.
            changed, stopping = self._changed, self._stopping
            status = self._status if request.service in self._names else SERVICE_UNKNOWN
            if status != said:
                yield HealthCheckResponse(status=status)
                said = status
            if stopping:
                return
            await changed.wait()

    def _wake_watches(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


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
        servicer.say(NOT_SERVING if postgres.is_down else SERVING)
        await asyncio.sleep(app.settings.health_interval)
