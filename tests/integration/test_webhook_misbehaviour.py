"""Receivers that hang, drip, babble, lie or lie inside: bounded in time and memory, and in nobody's way."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.http_site import Request, Site, response, running_site
from support.names import NAME, rebinding
from support.tasks import new_task
from support.webhooks import (
    attempts_of,
    deliveries,
    delivering,
    reaching_loopback,
    subscribe,
    until_deliveries,
)
from taskflow_core.app import App
from taskflow_core.settings import Settings


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return reaching_loopback(database_url, redis_url)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


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
