"""What `http_request` sends, what it makes of the answer, and what it refuses to reach."""

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from support.contexts import make_context
from support.http_site import Site, response, running_site
from support.names import NAME, rebinding
from taskflow_core.settings import Settings
from taskflow_worker.handlers.http_request import RequestFailed, http_request
from taskflow_worker.outbound import AddressRefused, retry_after
from taskflow_worker.outcome import Fail, InvalidPayload, Retry

JSON = "Content-Type: application/json"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


async def call(payload: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Run the handler where loopback may be reached."""
    context, _ = make_context(settings=Settings(**({"http_allow_private": True} | settings)))
    return await http_request(context, payload)


async def test_a_json_answer_is_parsed(site):
    site.answer = lambda _: response(b'{"rate": 1.5}', "200 OK", JSON, "X-Source: bank")
    result = await call({"url": site.url("/rates?day=today")})
    assert result["status"] == 200
    assert result["body"] == {"rate": 1.5}
    assert result["headers"]["x-source"] == "bank"
    assert result["url"] == site.url("/rates")
    assert result["elapsed"] > 0
    json.dumps(result, allow_nan=False)


async def test_the_request_is_sent_as_the_payload_says(site):
    payload = {
        "url": site.url("/orders?shop=1"),
        "method": "PUT",
        "headers": {"X-Key": "k", "content-type": "application/vnd.order+json"},
        "query": {"q": "a b&c", "tag": ["x", "y"], "page": 2},
        "json": {"name": "Zoë", "lines": [1, None]},
    }
    await call(payload)
    (sent,) = site.requests
    assert (sent.method, sent.target) == ("PUT", "/orders?shop=1&q=a+b%26c&tag=x&tag=y&page=2")
    assert sent.headers["x-key"] == "k"
    assert sent.headers["content-type"] == "application/vnd.order+json"
    assert sent.headers["user-agent"].startswith("taskflow/")
    assert json.loads(sent.body) == payload["json"]


async def test_json_null_is_a_body_and_no_json_is_none(site):
    await call({"url": site.url(), "method": "POST", "json": None})
    await call({"url": site.url(), "method": "POST"})
    assert [request.body for request in site.requests] == [b"null", b""]
    assert site.requests[0].headers["content-type"] == "application/json"


async def test_text_is_sent_as_utf_8(site):
    await call({"url": site.url(), "method": "POST", "body": "Zoë"})
    assert site.requests[0].body == "Zoë".encode()
    assert site.requests[0].headers["content-type"] == "text/plain; charset=utf-8"


async def test_the_host_header_is_that_of_the_url(site):
    await call({"url": site.url(host="localhost")})
    assert site.requests[0].headers["host"] == f"localhost:{site.port}"


async def test_a_text_answer_is_read_in_its_charset(site):
    site.answer = lambda _: response(
        "Zoë".encode("latin-1"), "200 OK", "Content-Type: text/plain; charset=latin-1"
    )
    assert (await call({"url": site.url()}))["body"] == "Zoë"


@pytest.mark.parametrize("body", [b'{"broken', b'{"x": NaN}', b"[" * 100_000])
async def test_an_answer_that_only_claims_to_be_json_is_text(site, body):
    site.answer = lambda _: response(body, "200 OK", JSON)
    assert (await call({"url": site.url()}))["body"] == body.decode()


@pytest.mark.parametrize("body", [b"\xff\xfe\xfd", b"a\x00b"])
async def test_an_answer_that_is_no_text_comes_in_base64(site, body):
    site.answer = lambda _: response(body, "200 OK", "Content-Type: image/png")
    result = await call({"url": site.url()})
    assert result["body"] is None
    assert result["body_base64"] in {"//79", "YQBi"}


async def test_a_packed_answer_is_unpacked(site):
    site.answer = lambda _: response(gzip.compress(b'{"a": 1}'), "200 OK", JSON, "Content-Encoding: gzip")
    assert (await call({"url": site.url()}))["body"] == {"a": 1}


async def test_an_answer_may_be_as_long_as_the_setting_says(site):
    site.answer = lambda _: response(b"x" * 1000)
    assert (await call({"url": site.url()}, http_max_response_bytes=1000))["body"] == "x" * 1000
    with pytest.raises(Fail, match="more than 999 bytes"):
        await call({"url": site.url()}, http_max_response_bytes=999)


async def test_an_answer_that_grows_when_unpacked_is_refused(site):
    bomb = gzip.compress(b"\0" * 10_000_000)
    site.answer = lambda _: response(bomb, "200 OK", "Content-Encoding: gzip")
    with pytest.raises(Fail, match="more than 1048576 bytes"):
        await call({"url": site.url()})


async def test_an_endless_answer_is_not_read_to_its_end(site):
    site.answer = lambda _: b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 4_000_000
    with pytest.raises(Fail, match="more than 1048576 bytes"):
        await call({"url": site.url()})


async def test_an_unknown_encoding_is_refused(site):
    site.answer = lambda _: response(b"x", "200 OK", "Content-Encoding: br")
    with pytest.raises(Fail, match="encoded as 'br'"):
        await call({"url": site.url()})


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "410 Gone", "422 No"]
)
async def test_an_answer_that_will_not_get_better_is_final(site, status):
    site.answer = lambda _: response(b"no such\n order", status)
    with pytest.raises(Fail) as caught:
        await call({"url": site.url("/orders/7?token=secret")})
    assert str(caught.value) == f"GET {site.url('/orders/7')} answered {status}: no such order"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_an_answer_that_may_get_better_is_retried(site, status):
    site.answer = lambda _: response(b"", f"{status} Busy")
    with pytest.raises(RequestFailed, match=f"answered {status} Busy"):
        await call({"url": site.url()})


async def test_the_next_attempt_waits_as_long_as_the_answer_asks(site):
    site.answer = lambda _: response(b"", "429 Too Many Requests", "Retry-After: 17")
    with pytest.raises(Retry) as caught:
        await call({"url": site.url()})
    assert caught.value.delay == 17


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("99999999", 86_400),
        ("Wed, 01 Jan 2025 00:01:00 GMT", 60),
        ("Wed, 01 Jan 2025 00:01:00 -0000", 60),
        ("Tue, 31 Dec 2024 00:00:00 GMT", 0),
        ("Thu, 01 Jan 2099 00:00:00 GMT", 86_400),
        ("", None),
        ("-1", None),
        ("soon", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value, seconds):
    assert retry_after({"Retry-After": value}, datetime(2025, 1, 1, tzinfo=UTC)) == seconds


def test_a_date_to_retry_after_is_by_the_clock_of_whoever_answers():
    headers = {"Date": "Wed, 01 Jan 2025 00:00:30 GMT", "Retry-After": "Wed, 01 Jan 2025 00:01:00 GMT"}
    assert retry_after(headers, datetime(2025, 1, 1, 1, tzinfo=UTC)) == 30


async def test_an_expected_status_is_a_success_whatever_it_is(site):
    site.answer = lambda _: response(b"", "404 Not Found")
    assert (await call({"url": site.url(), "expected_status": 404}))["status"] == 404
    assert (await call({"url": site.url(), "expected_status": [200, 404]}))["status"] == 404


async def test_a_status_that_is_not_expected_is_a_failure(site):
    with pytest.raises(Fail, match="answered 200"):
        await call({"url": site.url(), "expected_status": 201})


def redirecting(site: Site, status: str = "302 Found"):
    """/5 leads to /4 and so on, to an answer at /0."""

    def answer(request):
        left = int(request.target[1:])
        if left == 0:
            return response(b"arrived")
        return response(b"", status, f"Location: /{left - 1}")

    site.answer = answer


async def test_redirects_are_not_followed_unless_asked_for(site):
    redirecting(site)
    result = await call({"url": site.url("/1")})
    assert (result["status"], result["headers"]["location"]) == (302, "/0")
    assert len(site.requests) == 1


async def test_five_redirects_are_followed_and_a_sixth_is_not(site):
    redirecting(site)
    result = await call({"url": site.url("/5"), "follow_redirects": True})
    assert (result["body"], result["url"]) == ("arrived", site.url("/0"))
    with pytest.raises(Fail, match="more than 5 redirects"):
        await call({"url": site.url("/6"), "follow_redirects": True})


async def test_a_redirected_post_keeps_its_body_only_if_the_status_says_so(site):
    payload = {"url": site.url("/1"), "method": "POST", "body": "x", "follow_redirects": True}
    redirecting(site, "307 Temporary Redirect")
    await call(payload)
    redirecting(site, "303 See Other")
    await call(payload)
    assert [(request.method, request.body) for request in site.requests] == [
        ("POST", b"x"),
        ("POST", b"x"),
        ("POST", b"x"),
        ("GET", b""),
    ]


async def test_credentials_do_not_follow_a_redirect_to_another_origin(site):
    async with running_site() as other:
        site.answer = lambda _: response(b"", "302 Found", f"Location: {other.url('/there')}")
        await call({"url": site.url(), "headers": {"Authorization": "secret"}, "follow_redirects": True})
    assert site.requests[0].headers["authorization"] == "secret"
    assert "authorization" not in other.requests[0].headers


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "127.1", "0x7f000001"],
)
async def test_the_inside_network_is_refused_however_it_is_written(site, host):
    with pytest.raises(AddressRefused, match="no public address"):
        await call({"url": site.url(host=host)}, http_allow_private=False)
    assert site.requests == []


async def test_the_metadata_service_of_clouds_is_refused():
    with pytest.raises(AddressRefused):
        await call({"url": "http://169.254.169.254/latest/meta-data/"}, http_allow_private=False)


async def test_an_allowed_network_may_be_reached_and_a_redirect_out_of_it_may_not(site):
    networks = {"http_allow_private": False, "http_allow_networks": ("127.0.0.1/32",)}
    async with running_site(host="127.0.0.2") as inside:
        site.answer = lambda _: response(b"", "302 Found", f"Location: {inside.url('/', '127.0.0.2')}")
        assert (await call({"url": site.url()}, **networks))["status"] == 302
        with pytest.raises(AddressRefused, match=r"127\.0\.0\.2 has no public address"):
            await call({"url": site.url(), "follow_redirects": True}, **networks)
    assert inside.requests == []


async def test_a_name_that_moves_inside_between_calls_is_not_followed():
    networks = {"http_allow_private": False, "http_allow_networks": ("127.0.0.2/32",)}
    async with running_site(host="0.0.0.0") as site:
        with rebinding(["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.1"]):
            for _ in range(2):
                assert (await call({"url": site.url(host=NAME)}, **networks))["status"] == 200
            with pytest.raises(AddressRefused, match="no public address"):
                await call({"url": site.url(host=NAME)}, **networks)
    assert site.accepted_at == ["127.0.0.2"] * 2


async def test_proxies_of_the_environment_are_not_used(site, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert (await call({"url": site.url()}))["status"] == 200


async def test_tls_asks_for_the_name_of_the_url_though_it_connects_to_an_address():
    names: list[str | None] = []
    # Without a certificate no handshake succeeds, but the server hears which name is wanted.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    async with running_site(tls=tls) as site:
        with pytest.raises(RequestFailed, match="GET https://localhost"):
            await call({"url": f"https://localhost:{site.port}/"})
    assert names == ["localhost"]


async def test_no_answer_in_time_is_retried(site):
    never: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    site.answer = lambda _: never
    with pytest.raises(RequestFailed, match=r"no complete answer within 0\.1 s"):
        await call({"url": site.url(), "timeout": 0.1})
    never.cancel()


async def test_a_closed_port_is_retried():
    async with running_site() as site:
        pass
    with pytest.raises(RequestFailed, match=f"GET {site.url()}: "):
        await call({"url": site.url()})


async def test_an_unknown_host_is_retried():
    with pytest.raises(RequestFailed, match=r"cannot look up no-such-host\.invalid"):
        await call({"url": "http://no-such-host.invalid/"})


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"]
)
async def test_an_answer_that_is_broken_off_or_not_http_is_retried(site, answer):
    site.answer = lambda _: answer
    with pytest.raises(RequestFailed):
        await call({"url": site.url()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "ftp://example.org/"}, "url: must be an absolute http or https URL"),
        ({"url": "/relative"}, "url: must be an absolute http or https URL"),
        ({"url": "http://[::1"}, "url: is not a URL: "),
        ({"url": 7}, "url: must be text"),
        ({"method": "TRACE"}, "method: must be 'GET', 'HEAD', 'POST'"),
        ({"headers": {"Host": "x"}}, "headers: Host cannot be set"),
        ({"headers": {"Content-Length": "3"}}, "headers: Content-Length cannot be set"),
        ({"headers": {"X A": "3"}}, "headers: 'X A' is not the name of a header"),
        ({"headers": {"X-A": "3\r\nX-B: 4"}}, "headers: X-A has characters that a header cannot carry"),
        ({"headers": {"X-A": 3}}, "headers.X-A: must be text"),
        ({"query": {"a": {}}}, "query: a must be text, a number, true, false, null or a list of them"),
        ({"timeout": 0}, "timeout: must be at least 0.1"),
        ({"timeout": 3601}, "timeout: must be at most 3600"),
        ({"expected_status": 99}, "expected_status.0: must be at least 100"),
        ({"expected_status": [600]}, "expected_status.0: must be at most 599"),
        ({"body": "x", "json": 1}, "payload: body and json exclude each other"),
        ({"follow_redirects": "yes"}, "follow_redirects: must be true or false"),
        ({"verify": False}, "verify: is not a field of this payload"),
    ],
)
async def test_a_wrong_payload_is_refused_with_the_field(change, message):
    with pytest.raises(InvalidPayload) as caught:
        await call({"url": "http://example.org/"} | change)
    assert str(caught.value).startswith(message)
