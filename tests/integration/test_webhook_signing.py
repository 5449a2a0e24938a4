"""What is delivered is signed: receivers believe it, and nothing else."""

from collections.abc import AsyncIterator

import pytest
from standardwebhooks.webhooks import Webhook as Reference
from standardwebhooks.webhooks import WebhookVerificationError

from support.http_site import Site, running_site
from support.tasks import new_task
from support.webhooks import (
    delivering,
    reaching_loopback,
    subscribe,
    until_requests,
    verified,
)
from taskflow_client import WebhookInvalid, verify_webhook
from taskflow_core.app import App
from taskflow_core.settings import Settings
from taskflow_core.states import SignatureScheme


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return reaching_loopback(database_url, redis_url)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


async def test_the_reference_library_takes_what_is_ours_and_nothing_else(
    app: App, settings: Settings, site: Site
):
    made = await subscribe(app, site.url(), "task.created", headers={"Authorization": "Bearer x"})
    other = await subscribe(app, site.url("/other"), "task.created")
    await app.creation.create(new_task())
    async with delivering(settings):
        await until_requests(site, 2)
    [request] = [request for request in site.requests if request.target == "/"]
    assert verified(made.secret, request)["type"] == "task.created"
    assert request.headers["authorization"] == "Bearer x"
    assert request.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        verified(other.secret, request)
    with pytest.raises(WebhookVerificationError):
        Reference(made.secret).verify(request.body.replace(b"created", b"creeted"), request.headers)
    old = request.headers | {"webhook-timestamp": str(int(request.headers["webhook-timestamp"]) - 3600)}
    with pytest.raises(WebhookVerificationError):
        Reference(made.secret).verify(request.body, old)


async def test_while_a_secret_is_rotated_both_sign(app: App, settings: Settings, site: Site):
    first = await subscribe(app, site.url(), "task.created")
    webhooks, webhook_id = app.webhooks, first.row["id"]
    second = await webhooks.steering.rotate("default", webhook_id, "", 60.0)
    assert second.secret != first.secret
    async with delivering(settings):
        await app.creation.create(new_task())
        (request,) = await until_requests(site, 1)
        verified(first.secret, request)
        verified(second.secret, request)
        third = await webhooks.steering.rotate("default", webhook_id, "whsec_" + "A" * 40, 0.0)
        assert third.secret == "whsec_" + "A" * 40
        await app.creation.create(new_task())
        request = (await until_requests(site, 2))[1]
    verified(third.secret, request)
    with pytest.raises(WebhookVerificationError):
        verified(second.secret, request)


async def test_after_the_overlap_only_the_new_secret_signs(app: App, settings: Settings, site: Site):
    first = await subscribe(app, site.url(), "task.created")
    second = await app.webhooks.steering.rotate("default", first.row["id"], "", 3600.0)
    await app.creation.create(new_task())
    async with delivering(settings):
        (during,) = await until_requests(site, 1)
        verified(first.secret, during)
        await app.database.pool.execute("UPDATE webhooks SET previous_secret_expires_at = now()")
        await app.creation.create(new_task())
        after = (await until_requests(site, 2))[1]
    verified(second.secret, after)
    with pytest.raises(WebhookVerificationError):
        verified(first.secret, after)


async def test_ed25519_deliveries_are_checked_with_the_public_key(app: App, settings: Settings, site: Site):
    first = await subscribe(app, site.url(), "task.created", scheme=SignatureScheme.ED25519)
    await app.creation.create(new_task())
    webhooks, webhook_id = app.webhooks, first.row["id"]
    async with delivering(settings):
        (before,) = await until_requests(site, 1)
        second = await webhooks.steering.rotate("default", webhook_id, "", 60.0)
        await app.creation.create(new_task())
        during = (await until_requests(site, 2))[1]
        await webhooks.steering.rotate("default", webhook_id, second.secret, 0.0)
        await app.creation.create(new_task())
        after = (await until_requests(site, 3))[2]
    old_key, new_key = first.row["public_key"], second.row["public_key"]
    assert (await webhooks.reader.get("default", webhook_id))["public_key"] == new_key != old_key
    for request, key in ((before, old_key), (during, old_key), (during, new_key), (after, new_key)):
        assert verify_webhook(request.body, request.headers, key).type == "task.created"
    for request, key in ((before, new_key), (after, old_key)):
        with pytest.raises(WebhookInvalid):
            verify_webhook(request.body, request.headers, key)
