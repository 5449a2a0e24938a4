"""What the tests of core share: an open app on a database and a Valkey of their own."""

from collections.abc import AsyncIterator

import pytest

from taskflow_core.app import App, listening, open_app
from taskflow_core.settings import Settings


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    async with open_app(settings, "test") as app, listening(app.feed):
        yield app
