"""One cluster for all fault tests; each test gets it whole, breaks it, and is judged by the checker."""

import random
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from conftest import folder_for_servers
from support.faults.cluster import Cluster
from support.faults.load import Load
from support.faults.story import SEED, Story
from taskflow_dev.ports import LOOPBACK

# More than all the waits of a test together, so that it is told which of them took too long.
TIMEOUT_SECONDS = 300
# A client that comes back soon after the server did.
CHANNEL = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Cluster]:
    with folder_for_servers() as folder:
        cluster = Cluster(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """The cluster with everything up: a server, a scheduler and two workers."""
    shared_cluster.heal()
    return shared_cluster


@pytest.fixture(autouse=True)
def seed() -> None:
    """Say in every report what repeats the draws of this run."""
    sys.stdout.write(f"TASKFLOW_FAULTS_SEED={SEED}\n")  # pytest shows it when the test fails


@pytest.fixture
async def story(cluster: Cluster, request: pytest.FixtureRequest) -> AsyncIterator[Story]:
    name = request.node.name
    tenant = re.sub(r"[^a-z0-9]+", "-", name.removeprefix("test_").lower())[:60].strip("-")
    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{cluster.grpc_port}", options=CHANNEL) as channel:
        yield Story(cluster, Load(channel, tenant), random.Random(f"{SEED} {name}"))
