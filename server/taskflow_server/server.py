"""The gRPC server: what it listens to, what it offers, and how it comes and goes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import structlog
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from taskflow_core.app import App
from taskflow_core.settings import Settings
from taskflow_server.contract import Service, services
from taskflow_server.drain import Drain
from taskflow_server.health import Health, keep_health
from taskflow_server.interceptors import Handler, Interceptors
from taskflow_server.validation import compile_rules

log = structlog.get_logger()


@asynccontextmanager
async def serving(app: App, servicers: Sequence[object], drain: Drain) -> AsyncIterator[int]:
    """Serve inside the block, which gets the port, and drain at its end.

    `servicers` derive from the generated classes. What they do not implement, and what has no servicer,
    answers UNIMPLEMENTED.
    """
    settings = app.settings
    health_servicer = Health(service.name for service in services())
    server = build_server(settings, servicers, health_servicer)
    host = f"[{settings.grpc_host}]" if ":" in settings.grpc_host else settings.grpc_host
    port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    await server.start()
    probing = asyncio.create_task(keep_health(app, health_servicer))
    log.info("server ready", address=f"{host}:{port}")
    try:
        yield port
    finally:
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
        await _stop(app, server, health_servicer, drain)


async def _stop(app: App, server: grpc.aio.Server, health_servicer: Health, drain: Drain) -> None:
    """Stop without an error at any caller.

    First say that new calls should go elsewhere, and answer those that still come until everybody has
    heard it; streams meanwhile send their last message. Only then refuse, and let running calls end.
    """
    settings = app.settings
    log.info("server draining", delay_seconds=settings.drain_delay, grace_seconds=settings.drain_grace)
    await health_servicer.enter_graceful_shutdown()
    drain.started.set()
    app.feed.drain()
    await asyncio.sleep(settings.drain_delay)
    await server.stop(settings.drain_grace)
    log.info("server stopped")


def build_server(settings: Settings, servicers: Sequence[object], health_servicer: Health) -> grpc.aio.Server:
    """The server with everything it offers, not yet listening."""
    server = grpc.aio.server(options=_options(settings))
    interceptors = Interceptors(settings)
    for service in services():
        servicer = next((one for one in servicers if isinstance(one, service.servicer_base)), None)
        handlers = _handlers(service, servicer, interceptors)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.name, handlers),))
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if settings.reflection:
        names = [service.name for service in services()]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return server


def _handlers(service: Service, servicer: object | None, interceptors: Interceptors) -> dict[str, Handler]:
    handlers = {}
    for method in service.methods:
        if servicer is not None and service.implements(servicer, method):
            compile_rules(GetMessageClass(method.input_type))
            handlers[method.name] = interceptors.around(method, getattr(servicer, method.name))
        else:
            handlers[method.name] = interceptors.around_nothing(method)
    return handlers


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # A dead peer is noticed within a minute or two; clients may ping every 20 s, also when idle.
        # The default calls that abuse and cuts them off.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
        # Old connections take no new calls, so that balancers which spread connections can spread load.
        # Streams on them may end by themselves, with a closing message, before they are cut.
        ("grpc.max_connection_age_ms", int(settings.max_connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", int((settings.max_watch_duration + 60) * 1000)),
        # Calls that wait to be looked at: after a restart all watchers come back at once. By itself gRPC cuts some
        # off from 1,000 on; how many may go on is for our limits to say, with a reason.
        ("grpc.server.max_pending_requests", settings.max_watches + settings.max_concurrent_calls),
        (
            "grpc.server.max_pending_requests_hard_limit",
            2 * (settings.max_watches + settings.max_concurrent_calls),
        ),
        # Two servers on one port would share connections by chance, and Envoy has one to each.
        ("grpc.so_reuseport", 0),
    ]
