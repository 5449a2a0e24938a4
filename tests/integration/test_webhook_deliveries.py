"""Deliveries: planned with the event, signed, sent, repeated, and never in the way of others."""

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf import json_format
from standardwebhooks.webhooks import Webhook as Reference
from standardwebhooks.webhooks import WebhookVerificationError

from support.http_site import Request, Site, response, running_site
from support.names import NAME, rebinding
from support.tasks import claim_by_hand, new_task, open_test_session, running_task, settlement
from support.webhooks import (
    attempts_of,
    deliveries,
    delivering,
    event_in,
    subscribe,
    until_deliveries,
    verified,
)
from taskflow_client import WebhookInvalid, verify_webhook
from taskflow_core.app import App
from taskflow_core.settings import Settings
from taskflow_core.states import SignatureScheme
from taskflow_core.tasks.report import Report, Reports
from taskflow_core.tasks.watch import KeepAlive
from taskflow_core.tasks.watch_all import TenantEvent
from taskflow_proto.v1 import webhook_pb2

QUICK = {"max_attempts": 3, "initial_backoff": 0.01, "max_backoff": 0.01}


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        webhook_allow_http=True,
        http_allow_private=True,
        worker_drain_grace=0.2,
    )


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


async def until_requests(site: Site, count: int) -> list[Request]:
    async with asyncio.timeout(20):
        while len(site.requests) < count:
            await asyncio.sleep(0.01)
    return site.requests


def self_signed(folder: Path) -> ssl.SSLContext:
    """TLS with a certificate that nobody has vouched for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "site.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@asynccontextmanager
async def dripping(drop: bytes = b"x", pause: float = 0.2) -> AsyncIterator[str]:
    """The URL of a receiver that answers 200, and never comes to the end of the body."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
            while True:
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(pause)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


# What is planned


async def test_the_whole_life_of_a_task_is_told_in_order(app: App, settings: Settings, site: Site):
    made = await subscribe(app, site.url("/hook"), ordered=True)
    session = await open_test_session(app)
    task = await running_task(app, session)
    await app.settlement.settle(settlement(task, session, "RETRYING", error={"type": "E", "message": "no"}))
    (row,) = await app.database.pool.fetch("SELECT * FROM tasks WHERE id = $1", task["id"])
    (again,) = await claim_by_hand(app, session, row)
    await app.settlement.settle(settlement(again, session, "FAILED"))
    async with delivering(settings):
        await until_requests(site, 6)
    events = [verified(made.secret, request) for request in site.requests]
    assert [(event["type"], event["sequence"]) for event in events] == [
        ("task.created", 1),
        ("task.started", 2),
        ("task.retrying", 3),
        ("task.started", 4),
        ("task.failed", 5),
        ("task.dead_lettered", 5),
    ]
    assert [event["data"]["task"]["status"] for event in events] == [
        *("QUEUED", "RUNNING", "RETRYING", "RUNNING", "FAILED", "FAILED")
    ]
    assert events[4]["data"]["task"]["error"]["type"] == "ValueError"
    assert "payload" not in events[0]["data"]["task"]


async def test_the_body_is_the_event_of_the_contract(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.success")
    session = await open_test_session(app)
    task = await running_task(
        app,
        session,
        tags=("a", "b"),
        attempt_timeout=2.5,
        retry_policy={"max_attempts": 2, "initial_backoff": 0.5},
    )
    await app.settlement.settle(settlement(task, session))
    async with delivering(settings):
        (request,) = await until_requests(site, 1)
    event = json_format.Parse(request.body, webhook_pb2.WebhookEvent())
    assert (event.type, event.version, event.tenant, event.sequence) == ("task.success", 1, "default", 3)
    assert event.resume_token
    told = event.data.task
    assert (told.id, list(told.tags), told.attempt) == (str(task["id"]), ["a", "b"], 1)
    assert (told.attempt_timeout.ToMilliseconds(), told.retry_policy.initial_backoff.ToMilliseconds()) == (
        2500,
        500,
    )
    assert abs(told.end_time.ToDatetime(UTC) - event.timestamp.ToDatetime(UTC)) < timedelta(seconds=1)


async def test_a_receiver_catches_up_by_watching_on_from_the_last_event_that_it_has(
    app: App, settings: Settings, site: Site
):
    await subscribe(app, site.url(), "task.created")
    session = await open_test_session(app)
    task = await running_task(app, session)
    async with delivering(settings):
        (request,) = await until_requests(site, 1)
    await app.settlement.settle(settlement(task, session))
    other = await app.creation.create(new_task())
    missed: list[tuple[UUID, int]] = []
    watch = app.watch_all.watch("default", resume_token=event_in(request)["resume_token"])
    async with aclosing(watch) as messages, asyncio.timeout(20):
        while len(missed) < 3:
            message = await anext(messages)
            if not isinstance(message, KeepAlive):
                assert isinstance(message, TenantEvent), "without a snapshot"
                missed.append((message.event["task_id"], message.event["sequence"]))
    assert missed == [(task["id"], 2), (task["id"], 3), (other["id"], 1)]


async def test_only_webhooks_that_want_an_event_get_it(app: App):
    everything = await subscribe(app, "http://127.0.0.1:9/", "*")
    tasks = await subscribe(app, "http://127.0.0.1:9/", "task.*", "task.created")
    ends = await subscribe(app, "http://127.0.0.1:9/", "task.success", "task.failed")
    workflows = await subscribe(app, "http://127.0.0.1:9/", "workflow.*")
    elsewhere = await subscribe(app, "http://127.0.0.1:9/", "*", tenant_id="elsewhere")
    disabled = await subscribe(app, "http://127.0.0.1:9/", "*")
    await app.webhooks.steering.disable("default", disabled.row["id"], "")
    session = await open_test_session(app)
    task = await running_task(app, session)
    await app.settlement.settle(settlement(task, session))

    async def types(made: Any) -> list[str]:
        return [row["event_type"] for row in await deliveries(app, made.row) if row["task_id"]]

    life = ["task.created", "task.started", "task.success"]
    assert await types(everything) == await types(tasks) == life
    assert await types(ends) == ["task.success"]
    assert await types(workflows) == await types(elsewhere) == await types(disabled) == []


async def test_progress_is_told_only_by_its_full_name_and_once_a_second(app: App):
    wildcard = await subscribe(app, "http://127.0.0.1:9/", "*")
    named = await subscribe(app, "http://127.0.0.1:9/", "task.progress")
    session = await open_test_session(app)
    task = await running_task(app, session)
    for percent in (10.0, 20.0, 30.0):
        progress = {"percent": percent, "message": "", "current": None, "total": None, "unit": ""}
        lines = tuple(Report("PROGRESS", {"progress": progress}) for _ in range(2))
        await app.reporting.report(Reports(task["id"], task["attempt"], session, "host:1", lines))
    assert [row["event_type"] for row in await deliveries(app, wildcard.row)] == [
        "task.created",
        "task.started",
    ]
    (told,) = await deliveries(app, named.row)
    assert (told["sequence"], told["data"]["task"]["progress"]["percent"]) == (4, 10.0)


async def test_a_transaction_that_is_undone_plans_nothing(app: App):
    await subscribe(app, "http://127.0.0.1:9/")
    async with app.database.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor)"
            " SELECT id, 9, tenant_id, 'CANCELLED', 'CANCELLED', 0, '' FROM tasks"
        )
        await transaction.rollback()
    assert await deliveries(app) == []


async def test_a_condition_leaves_events_out(app: App, settings: Settings, site: Site):
    condition = 'event.data.task.queue == "billing" && event.data.task.tags.exists(t, t == "vip")'
    await subscribe(app, site.url(), "task.created", condition=condition)
    await subscribe(app, site.url(), "task.created", condition="event.data.task.error.type == 'x'")
    for queue, tags in (("default", ("vip",)), ("billing", ()), ("billing", ("vip", "x"))):
        await app.creation.create(new_task(queue=queue, tags=tags))
    async with delivering(settings):
        (kept,) = await until_deliveries(app, "SUCCEEDED")
    (request,) = site.requests
    assert event_in(request)["data"]["task"]["tags"] == ["vip", "x"]
    assert request.headers["webhook-id"] == str(kept["id"])


# What receivers can check


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


# What receivers do


async def test_a_failed_delivery_is_repeated_with_the_same_id_and_body(
    app: App, settings: Settings, site: Site
):
    await subscribe(app, site.url(), "task.created", retry_policy=QUICK)
    answers = iter(
        [response(b"oops \x00", "500 Internal Server Error"), response(b"", "503 Busy"), response(b"ok")]
    )
    site.answer = lambda _: next(answers)
    await app.creation.create(new_task())
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "SUCCEEDED")
    assert len({(request.headers["webhook-id"], request.body) for request in site.requests}) == 1
    attempts = await attempts_of(app, delivery)
    assert [(a["attempt"], a["outcome"], a["response_status"]) for a in attempts] == [
        (1, "BAD_STATUS", 500),
        (2, "BAD_STATUS", 503),
        (3, "SUCCEEDED", 200),
    ]
    assert attempts[0]["response_body"] == "oops \ufffd"
    assert attempts[0]["response_headers"] == {"content-length": "6", "connection": "close"}
    for attempt, request in zip(attempts, site.requests, strict=True):
        kept = attempt["request_headers"]
        assert kept == {name: request.headers[name] for name in kept}
        assert {"webhook-id", "webhook-timestamp", "webhook-signature"} <= set(kept)
        assert 0 < attempt["latency"] < 15
    assert attempts[2]["remote_address"] == f"127.0.0.1:{site.port}"
    (webhook,) = await app.database.pool.fetch("SELECT * FROM webhooks")
    assert (webhook["consecutive_failures"], webhook["failing_since"]) == (0, None)
    assert webhook["last_success_at"] > delivery["created_at"]


async def test_after_the_last_attempt_a_delivery_has_failed(app: App, settings: Settings, site: Site):
    made = await subscribe(app, site.url(), "task.created", retry_policy=QUICK)
    site.answer = lambda _: response(b"", "500 Internal Server Error")
    await app.creation.create(new_task())
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "FAILED")
    assert (delivery["attempt"], delivery["response_status"], delivery["error"]) == (3, 500, "answered 500")
    webhook = await app.webhooks.reader.get("default", made.row["id"])
    assert (webhook["status"], webhook["consecutive_failures"]) == ("ENABLED", 3)
    assert webhook["failing_since"] is not None


async def test_what_failed_together_does_not_come_back_together(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created", retry_policy={"initial_backoff": 3600.0})
    site.answer = lambda _: response(b"", "503 Busy")
    await app.creation.create_all([new_task() for _ in range(10)])
    async with delivering(settings):
        await until_deliveries(app, *["RETRYING"] * 10)
    waits = await app.database.pool.fetch(
        "SELECT extract(epoch FROM d.due_at - a.started_at) AS wait"
        " FROM webhook_deliveries d JOIN webhook_attempts a ON a.delivery_id = d.id ORDER BY 1"
    )
    shortest, longest = float(waits[0]["wait"]), float(waits[-1]["wait"])
    assert 3600 * 0.9 <= shortest < longest - 60


async def test_retry_after_puts_the_next_attempt_off(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created", retry_policy=QUICK)
    site.answer = lambda _: response(b"", "429 Too Many Requests", "Retry-After: 3600")
    await app.creation.create(new_task())
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "RETRYING")
    wait = delivery["due_at"] - datetime.now(UTC)
    assert timedelta(minutes=58) < wait <= timedelta(hours=1)


async def test_a_receiver_that_is_gone_disables_its_webhook_and_others_hear_of_it(
    app: App, settings: Settings, site: Site
):
    made = await subscribe(app, site.url("/gone"), "task.created", max_concurrency=1)
    other = await subscribe(app, site.url("/other"), "webhook.disabled")
    site.answer = lambda request: response(b"", "410 Gone" if request.target == "/gone" else "200 OK")
    await app.creation.create_all([new_task(), new_task()])
    async with delivering(settings):
        await until_deliveries(app, "FAILED", "CANCELLED", webhook=made.row)
        await until_deliveries(app, "SUCCEEDED", webhook=other.row)
    webhook = await app.webhooks.reader.get("default", made.row["id"])
    assert (webhook["status"], webhook["note"]) == ("GONE", "the receiver answered 410 Gone")
    event = event_in(site.requests[-1])
    assert event["data"]["webhook"]["status"] == "GONE"
    assert not {"secret", "headers"} & set(event["data"]["webhook"])
    await app.creation.create(new_task())
    assert len(await deliveries(app, made.row)) == 2


async def test_a_webhook_that_fails_for_too_long_is_disabled_and_others_hear_of_it(
    app: App, settings: Settings, site: Site
):
    made = await subscribe(
        app, site.url("/bad"), "task.created", retry_policy={"max_attempts": 1}, disable_after=3 * 86_400.0
    )
    other = await subscribe(app, site.url("/other"), "webhook.disabled")
    site.answer = lambda request: response(b"", "500 No" if request.target == "/bad" else "200 OK")
    async with delivering(settings):
        for days, status in ((2, "ENABLED"), (4, "FAILING")):
            await app.database.pool.execute(
                "UPDATE webhooks SET failing_since = now() - make_interval(days => $1) WHERE id = $2",
                days,
                made.row["id"],
            )
            task = await app.creation.create(new_task())
            async with asyncio.timeout(20):
                while (await deliveries(app, made.row))[-1]["status"] != "FAILED":
                    await asyncio.sleep(0.02)
            webhook = await app.webhooks.reader.get("default", made.row["id"])
            assert webhook["status"] == status
            assert (await deliveries(app, made.row))[-1]["task_id"] == task["id"]
        await until_deliveries(app, "SUCCEEDED", webhook=other.row)
    assert webhook["note"] == "every attempt failed for 3 days"
    event = event_in(site.requests[-1])
    assert (event["type"], event["data"]["webhook"]["id"]) == ("webhook.disabled", str(made.row["id"]))
    assert event["data"]["webhook"]["status"] == "FAILING"


async def test_success_is_2xx_and_nothing_else(app: App, settings: Settings, site: Site):
    site.answer = lambda request: response(b"", f"{request.target[1:]} Says")
    once: dict[str, Any] = {"retry_policy": {"max_attempts": 1}}
    for status in (200, 202, 204, 300, 304, 400, 404, 429, 500, 502):
        await subscribe(app, site.url(f"/{status}"), "task.created", **once)
    await app.creation.create(new_task())
    async with delivering(settings):
        async with asyncio.timeout(20):
            while any(row["ended_at"] is None for row in await deliveries(app)):
                await asyncio.sleep(0.02)
    ended = {row["response_status"]: row["status"] for row in await deliveries(app)}
    assert [status for status, outcome in ended.items() if outcome == "SUCCEEDED"] == [200, 202, 204]
    assert len(ended) == 10


async def test_a_redirect_is_not_followed(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url("/old"), "task.created", retry_policy={"max_attempts": 1})
    site.answer = lambda _: response(b"", "301 Moved", f"Location: {site.url('/new')}")
    await app.creation.create(new_task())
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "FAILED")
    assert [request.target for request in site.requests] == ["/old"]
    assert delivery["error"] == "answered 301; redirects are not followed"


async def test_receivers_that_misbehave_are_told_apart(app: App, settings: Settings, site: Site):
    async def hang(_: Request) -> bytes:
        await asyncio.sleep(60)
        return b""

    answers: dict[str, Any] = {
        "/hang": hang,
        "/close": lambda _: b"",
        "/garbage": lambda _: b"this is not HTTP\r\n\r\n",
        "/large": lambda _: response(b"x" * 10_000_000),
    }
    site.answer = lambda request: answers[request.target](request)
    once: dict[str, Any] = {"retry_policy": {"max_attempts": 1}, "request_timeout": 1.0}
    by_target = {target: await subscribe(app, site.url(target), "task.created", **once) for target in answers}
    refused = await subscribe(app, "http://127.0.0.1:1/", "task.created", **once)
    unknown = await subscribe(app, "http://nowhere.invalid/", "task.created", **once)
    await app.creation.create(new_task())
    async with delivering(settings):
        outcomes = {}
        for name, made in {**by_target, "refused": refused, "unknown": unknown}.items():
            async with asyncio.timeout(20):
                while (await deliveries(app, made.row))[0]["ended_at"] is None:
                    await asyncio.sleep(0.02)
            (delivery,) = await deliveries(app, made.row)
            (attempt,) = await attempts_of(app, delivery)
            outcomes[name] = attempt["outcome"]
            if name == "/large":
                assert (len(attempt["response_body"]), attempt["response_truncated"]) == (16_384, True)
    assert outcomes == {
        "/hang": "TIMED_OUT",
        "/close": "CONNECTION_FAILED",
        "/garbage": "CONNECTION_FAILED",
        "/large": "SUCCEEDED",
        "refused": "CONNECTION_FAILED",
        "unknown": "CONNECTION_FAILED",
    }


async def test_a_receiver_that_drips_is_given_up(app: App, settings: Settings):
    async with dripping() as url:
        await subscribe(app, url, "task.created", retry_policy={"max_attempts": 1}, request_timeout=1.0)
        await app.creation.create(new_task())
        async with delivering(settings):
            (delivery,) = await until_deliveries(app, "FAILED")
    (attempt,) = await attempts_of(app, delivery)
    assert (attempt["outcome"], attempt["response_status"]) == ("TIMED_OUT", 200)
    assert set(attempt["response_body"]) == {"x"}


async def test_a_receiver_that_drips_delays_no_other(app: App, settings: Settings, site: Site):
    quick = await subscribe(app, site.url(), "task.created")
    async with dripping() as url, delivering(settings):
        slow = await subscribe(app, url, "task.created", request_timeout=60.0)
        await app.creation.create_all([new_task() for _ in range(30)])
        await until_deliveries(app, *["SUCCEEDED"] * 30, webhook=quick.row)
        dripped = Counter(row["status"] for row in await deliveries(app, slow.row))
    assert dripped == {"SENDING": 10, "PENDING": 20}, "its requests, as many as it may have, go on and on"


async def test_an_answer_without_end_is_not_read_to_its_end(app: App, settings: Settings):
    async with dripping(b"x" * 100_000, pause=0) as url:
        await subscribe(app, url, "task.created", retry_policy={"max_attempts": 1}, request_timeout=60.0)
        await app.creation.create(new_task())
        async with delivering(settings):
            (delivery,) = await until_deliveries(app, "SUCCEEDED")
    (attempt,) = await attempts_of(app, delivery)
    assert (len(attempt["response_body"]), attempt["response_truncated"]) == (16_384, True)


async def test_a_bad_certificate_is_no_success(app: App, settings: Settings, tmp_path: Path):
    async with running_site(tls=self_signed(tmp_path)) as site:
        url = f"https://127.0.0.1:{site.port}/"
        await subscribe(app, url, "task.created", retry_policy={"max_attempts": 1})
        await app.creation.create(new_task())
        async with delivering(settings):
            (delivery,) = await until_deliveries(app, "FAILED")
        assert site.requests == []
    (attempt,) = await attempts_of(app, delivery)
    assert attempt["outcome"] == "TLS_FAILED"


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_an_address_inside_is_refused_when_it_is_connected_to(
    app: App, settings: Settings, site: Site, host: str
):
    made = await subscribe(app, site.url(), "task.created", retry_policy={"max_attempts": 1})
    # However an inner address is written, whatever the URL was when it was checked.
    await app.database.pool.execute("UPDATE webhooks SET url = $1", site.url(host=host))
    await app.creation.create(new_task())
    async with delivering(settings.model_copy(update={"http_allow_private": False})):
        (delivery,) = await until_deliveries(app, "FAILED", webhook=made.row)
    (attempt,) = await attempts_of(app, delivery)
    # What only looks like an address is no host at all.
    is_short = host in ("127.1", "2130706433")
    assert attempt["outcome"] == ("CONNECTION_FAILED" if is_short else "ADDRESS_REFUSED")
    assert site.requests == []


async def test_a_name_that_moves_inside_is_not_followed(app: App, settings: Settings):
    allowed = {"http_allow_private": False, "http_allow_networks": (IPv4Network("127.0.0.2/32"),)}
    async with running_site(host="0.0.0.0") as site, delivering(settings.model_copy(update=allowed)):
        await subscribe(app, site.url(host=NAME), "task.created", retry_policy={"max_attempts": 1})
        with rebinding(["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.1"]):
            for outcomes in (["SUCCEEDED"], ["SUCCEEDED"] * 2, ["SUCCEEDED", "SUCCEEDED", "FAILED"]):
                await app.creation.create(new_task())
                rows = await until_deliveries(app, *outcomes)
    (attempt,) = await attempts_of(app, rows[-1])
    assert attempt["outcome"] == "ADDRESS_REFUSED"
    assert site.accepted_at == ["127.0.0.2"] * 2


async def test_many_long_headers_are_kept_in_part(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created")
    more = [f"X-{number}: {'x' * 10_000}" for number in range(3)]
    site.answer = lambda _: response(b"ok", "200 OK", "X-Twice: 1", "X-Twice: 2", *more)
    await app.creation.create(new_task())
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "SUCCEEDED")
    (attempt,) = await attempts_of(app, delivery)
    assert attempt["response_headers"]["x-twice"] == "1, 2"
    assert "x-0" not in attempt["response_headers"]
    assert attempt["response_truncated"]


async def test_headers_without_end_are_no_answer(app: App, settings: Settings):
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    await subscribe(app, url, "task.created", retry_policy={"max_attempts": 1}, request_timeout=10.0)
    await app.creation.create(new_task())
    async with server, delivering(settings):
        (delivery,) = await until_deliveries(app, "FAILED")
    (attempt,) = await attempts_of(app, delivery)
    assert attempt["outcome"] == "CONNECTION_FAILED"
    assert attempt["latency"] < 5, "it did not take all the time that it had"


async def test_the_first_success_is_noted(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created")
    await app.creation.create(new_task())
    async with delivering(settings):
        await until_deliveries(app, "SUCCEEDED")
    assert await app.database.pool.fetchval("SELECT last_success_at FROM webhooks") is not None


async def test_a_delivery_that_cannot_be_told_holds_up_no_other(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created", retry_policy={"max_attempts": 1})
    await app.creation.create_all([new_task(), new_task()])
    await app.database.pool.execute(
        "UPDATE webhook_deliveries SET data = '{\"task\": {}}' WHERE id = (SELECT min(id::text)::uuid FROM webhook_deliveries)"
    )
    async with delivering(settings):
        await until_deliveries(app, "SENDING", "SUCCEEDED")
        await app.database.pool.execute(
            "UPDATE webhook_deliveries SET lease_until = now() WHERE status = 'SENDING'"
        )
        await until_deliveries(app, "FAILED", "SUCCEEDED")
    assert len(site.requests) == 1


# What workers do


async def test_requests_to_one_webhook_share_connections(app: App, settings: Settings, site: Site):
    site.keeps_open = True
    site.answer = lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    await subscribe(app, site.url(), "task.created", max_concurrency=2)
    await app.creation.create_all([new_task() for _ in range(20)])
    async with delivering(settings):
        await until_deliveries(app, *["SUCCEEDED"] * 20)
    assert (len(site.requests), len(site.accepted_at) <= 2) == (20, True)


async def test_no_more_requests_run_at_once_than_a_webhook_allows(app: App, settings: Settings, site: Site):
    running = most = 0

    async def count(_: Request) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return response(b"")

    site.answer = count
    await subscribe(app, site.url(), "task.created", max_concurrency=3)
    await app.creation.create_all([new_task() for _ in range(40)])
    async with delivering(settings), delivering(settings):
        await until_deliveries(app, *["SUCCEEDED"] * 40)
    assert most == 3
    assert len(site.requests) == 40


async def test_ordered_deliveries_wait_for_the_one_that_fails(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created", ordered=True, retry_policy=QUICK)
    failures = iter([True, True])
    site.answer = lambda _: response(b"", "500 No" if next(failures, False) else "200 OK")
    tasks = [await app.creation.create(new_task()) for _ in range(4)]
    async with delivering(settings), delivering(settings):
        await until_deliveries(app, *["SUCCEEDED"] * 4)
    told = [event_in(request)["data"]["task"]["id"] for request in site.requests]
    first = str(tasks[0]["id"])
    assert told == [first, first, *(str(task["id"]) for task in tasks)]


async def test_a_delivery_whose_worker_died_is_sent_again_under_its_id(
    app: App, settings: Settings, site: Site
):
    made = await subscribe(app, site.url(), "task.created")
    await app.creation.create(new_task())
    (claimed,) = await app.webhooks.claims.claim([made.row["id"]], 10)
    await app.database.pool.execute("UPDATE webhook_deliveries SET lease_until = now() - interval '1 second'")
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "SUCCEEDED")
    attempts = await attempts_of(app, delivery)
    assert [attempt["outcome"] for attempt in attempts] == ["LOST", "SUCCEEDED"]
    assert site.requests[0].headers["webhook-id"] == str(claimed["id"])


async def test_ten_failures_in_a_row_leave_one_request_at_a_time(app: App, settings: Settings, site: Site):
    running = most = 0

    async def fail(_: Request) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return response(b"", "500 No")

    site.answer = fail
    made = await subscribe(app, site.url(), "task.created", retry_policy={"max_attempts": 1})
    async with delivering(settings):
        await app.creation.create_all([new_task() for _ in range(10)])
        await until_deliveries(app, *["FAILED"] * 10)
        assert most > 1
        most = 0
        await app.creation.create_all([new_task() for _ in range(5)])
        await until_deliveries(app, *["FAILED"] * 15)
    assert most == 1
    webhook = await app.webhooks.reader.get("default", made.row["id"])
    assert webhook["circuit_open_until"] > datetime.now(UTC)


async def test_no_secret_is_in_rows_logs_or_attempts(app: App, settings: Settings, site: Site, capfd: Any):
    made = await subscribe(app, site.url(), "task.created", headers={"authorization": "Bearer hunter2"})
    await app.creation.create(new_task())
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "SUCCEEDED")
    (attempt,) = await attempts_of(app, delivery)
    assert attempt["request_headers"]["authorization"] == "***"
    stored = await app.database.pool.fetch("SELECT * FROM webhooks, webhook_attempts, webhook_deliveries")
    seen = json.dumps([dict(row) for row in stored], default=repr) + "".join(capfd.readouterr())
    assert "hunter2" not in seen
    assert made.secret.removeprefix("whsec_") not in seen
