"""A server over a real database and Redis: how it comes, how it is, how it goes."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from structlog.testing import capture_logs

from taskflow_core.app import App, open_app
from taskflow_core.settings import Settings
from taskflow_dev.postgres import running_postgres
from taskflow_dev.valkey import running_valkey
from taskflow_proto.v1 import task_service_pb2, task_service_pb2_grpc
from taskflow_proto.v1.task_service_pb2 import StreamClosing, WatchTaskResponse
from taskflow_server.contract import services
from taskflow_server.drain import Drain
from taskflow_server.health import FAILURES
from taskflow_server.server import serving

TASK_ID = "0198c0de-0000-7000-8000-000000000000"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Watcher(task_service_pb2_grpc.TaskServiceServicer):
    """Has one watch, which ends with the server."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain

    async def WatchTask(self, request: Any, context: Any) -> AsyncGenerator[WatchTaskResponse, None]:
        yield WatchTaskResponse(resume_token="1")
        await self._drain.started.wait()
        yield WatchTaskResponse(closing=StreamClosing(reason=StreamClosing.DRAINING))


@pytest.fixture
async def app(database_url: str, redis_url: str) -> AsyncIterator[App]:
    async with open_app(settings(database_url, redis_url), "server") as app:
        yield app


def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        grpc_port=0,
        drain_delay=0,
        drain_grace=30,
        health_interval=0.01,
    )


def health_of(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


async def status(channel: grpc.aio.Channel, service: str = "") -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    answer = await health_of(channel).Check(request)
    return int(answer.status)


async def test_a_server_serves_each_service_of_the_contract_and_tells_what_it_has(app: App) -> None:
    async with (
        serving(app, [], Drain()) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        names = [service.name for service in services()]
        assert [await status(channel, name) for name in ["", *names]] == [SERVING] * (len(names) + 1)

        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type] # typed for sync
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        answer = await call.read()
        assert {service.name for service in answer.list_services_response.service} == {
            *names,
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }


async def test_a_draining_server_says_so_and_lets_streams_end_themselves(app: App) -> None:
    drain = Drain()
    async with contextlib.AsyncExitStack() as stack:
        watcher = Watcher(drain)  # type: ignore[abstract]
        port = await stack.enter_async_context(serving(app, [watcher], drain))
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        request = task_service_pb2.WatchTaskRequest(task_id=TASK_ID)
        watch = aiter(task_service_pb2_grpc.TaskServiceStub(channel).WatchTask(request))
        health = aiter(health_of(channel).Watch(health_pb2.HealthCheckRequest()))
        assert (await anext(watch)).resume_token == "1"
        assert (await anext(health)).status == SERVING

        stopping = asyncio.create_task(stack.pop_all().aclose())
        assert [message.closing.reason async for message in watch] == [StreamClosing.DRAINING]
        assert [answer.status async for answer in health] == [NOT_SERVING]
        # Far below the grace: no watch of the health holds it up.
        await asyncio.wait_for(stopping, 10)
        await channel.close()


async def test_a_lost_database_turns_calls_away_until_it_is_back(redis_url: str, data_folder: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        first = contextlib.ExitStack()
        postgres = first.enter_context(running_postgres(data_folder, durable=False))
        stack.push_async_callback(asyncio.to_thread, first.close)
        app = await stack.enter_async_context(open_app(settings(postgres.url(), redis_url), "server"))
        port = await stack.enter_async_context(serving(app, [], Drain()))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        watch = health_of(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING

        await asyncio.to_thread(first.close)
        assert (await watch.read()).status == NOT_SERVING

        again = running_postgres(data_folder, port=postgres.port, durable=False)
        stack.push(again.__exit__)
        await asyncio.to_thread(again.__enter__)
        assert (await watch.read()).status == SERVING


async def test_a_lost_redis_turns_nobody_away(database_url: str, data_folder: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        redis = contextlib.ExitStack()
        valkey = redis.enter_context(running_valkey(data_folder))
        stack.push_async_callback(asyncio.to_thread, redis.close)
        app = await stack.enter_async_context(open_app(settings(database_url, valkey.url()), "server"))
        port = await stack.enter_async_context(serving(app, [], Drain()))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))

        with capture_logs() as lines:
            await asyncio.to_thread(redis.close)
            while not any(line.get("of") == "redis" and line["failures"] > FAILURES for line in lines):
                assert await status(channel) == SERVING
