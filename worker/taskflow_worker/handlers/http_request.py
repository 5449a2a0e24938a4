"""`http_request`: calls a URL and returns the answer.

An answer that another attempt may better (408, 425, 429, 5xx, no answer at all) is an ordinary failure and
retried, after its `Retry-After` if it has one; any other unwanted answer is final.
"""

import asyncio
import base64
import json
import re
import time
import zlib
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from taskflow_core import __version__
from taskflow_worker.context import TaskContext
from taskflow_worker.outbound import CheckedTransport, retry_after
from taskflow_worker.outcome import Fail, Retry
from taskflow_worker.payloads import parse_payload
from taskflow_worker.registry import register_task_handler

MAX_REDIRECTS = 5
RETRYABLE = frozenset({408, 425, 429})

# These belong to the connection, and wrong ones confuse proxies about where a request ends.
OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

Status = Annotated[int, Field(ge=100, le=599)]


class HttpRequest(BaseModel):
    """The payload."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    url: str = Field(max_length=8192)
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: dict[str, str] = Field(default_factory=dict, max_length=100)
    # Added to the query of the URL.
    query: dict[str, Any] = Field(default_factory=dict)
    # The body: a JSON value, or text.
    json_: Any = Field(default=None, alias="json")
    body: str | None = None
    # Seconds for everything, redirects included.
    timeout: float = Field(default=30, ge=0.1, le=3600)
    # The wanted status, or a list of them. Without it: all below 400.
    expected_status: list[Status] = Field(default_factory=list)
    # Up to five. Headers go along, but not Authorization and Cookie to another origin.
    follow_redirects: bool = False

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"is not a URL: {error}") from None
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise ValueError("must be an absolute http or https URL")
        return url

    @field_validator("query")
    @classmethod
    def _is_flat(cls, query: dict[str, Any]) -> dict[str, Any]:
        for name, value in query.items():
            for item in value if isinstance(value, list) else [value]:
                if not isinstance(item, str | int | float | None):
                    raise ValueError(  # noqa: TRY004 - pydantic wants it so
                        f"{name} must be text, a number, true, false, null or a list of them"
                    )
        return query

    @field_validator("expected_status", mode="before")
    @classmethod
    def _are_many(cls, expected: Any) -> Any:
        return [expected] if isinstance(expected, int) else expected

    @field_validator("headers")
    @classmethod
    def _are_safe(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a header")
            if name.lower() in OWN_HEADERS:
                raise ValueError(f"{name} cannot be set")
            if not HEADER_VALUE.fullmatch(value):
                raise ValueError(f"{name} has characters that a header cannot carry")
        return headers

    @model_validator(mode="after")
    def _has_one_body(self) -> "HttpRequest":
        if self.body is not None and "json_" in self.model_fields_set:
            raise ValueError("body and json exclude each other")
        return self

    def wants(self, status: int) -> bool:
        """Whether an answer with this status is a success."""
        return status in self.expected_status if self.expected_status else status < 400


class RequestFailed(Exception):
    """There was no answer, or one that may be better next time."""


@register_task_handler
async def http_request(context: TaskContext, payload: Any) -> dict[str, Any]:
    """Call a URL and return `{status, url, headers, body, elapsed}`.

    `body` is the parsed JSON if the answer is JSON, else text; an answer that is neither is in
    `body_base64`. `elapsed` is in seconds.
    """
    wanted = parse_payload(HttpRequest, payload)
    started = time.monotonic()
    try:
        async with asyncio.timeout(wanted.timeout):
            response, body = await _call(wanted, context)
    except TimeoutError:
        raise RequestFailed(f"{_target(wanted)}: no complete answer within {wanted.timeout:g} s") from None
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise Fail(f"{_target(wanted)}: {error}") from error
    except httpx.TransportError as error:
        raise RequestFailed(f"{_target(wanted)}: {str(error) or type(error).__name__}") from error
    if not wanted.wants(response.status_code):
        raise _unwanted(wanted, response, body)
    return {
        "status": response.status_code,
        "url": _without_secrets(response.url),
        "headers": dict(response.headers),
        **_readable(response, body),
        "elapsed": round(time.monotonic() - started, 6),
    }


async def _call(wanted: HttpRequest, context: TaskContext) -> tuple[httpx.Response, bytes]:
    """The answer at the end of the redirects, and its body."""
    settings = context.settings
    transport = CheckedTransport(
        allow_private=settings.http_allow_private, allow=settings.http_allow_networks
    )
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=None) as client:  # noqa: S113
        request = _request(client, wanted)
        for _ in range(MAX_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            try:
                if response.next_request is None or not wanted.follow_redirects:
                    return response, await _body(response, settings.http_max_response_bytes)
            finally:
                await response.aclose()
            request = response.next_request
    raise Fail(f"{_target(wanted)}: more than {MAX_REDIRECTS} redirects")


def _request(client: httpx.AsyncClient, wanted: HttpRequest) -> httpx.Request:
    has_json = "json_" in wanted.model_fields_set
    content = json.dumps(wanted.json_, ensure_ascii=False, allow_nan=False) if has_json else wanted.body
    headers = {"User-Agent": f"taskflow/{__version__}", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    if has_json:
        headers["Content-Type"] = "application/json"
    elif wanted.body is not None:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    merged = httpx.Headers(headers)
    merged.update(wanted.headers)
    url = httpx.URL(wanted.url)
    if wanted.query:
        url = url.copy_merge_params(wanted.query)
    return client.build_request(wanted.method, url, headers=merged, content=content)


async def _body(response: httpx.Response, limit: int) -> bytes:
    """The body, read and unpacked no further than it may be long: a packed one can grow a thousandfold."""
    too_long = Fail(f"the answer has more than {limit} bytes (TASKFLOW_HTTP_MAX_RESPONSE_BYTES)")
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > limit:
            raise too_long
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity" or not body:
        return bytes(body)
    if encoding not in {"gzip", "deflate"}:
        raise Fail(f"the answer is encoded as {encoding!r}, which was not asked for")
    try:
        unpacked = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestFailed(f"the answer is not the {encoding} that it says it is: {error}") from error
    if len(unpacked) > limit:
        raise too_long
    return unpacked


def _readable(response: httpx.Response, body: bytes) -> dict[str, Any]:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return {"body": json.loads(body, parse_constant=_refuse_constant)}
        except (ValueError, RecursionError):
            pass  # then it is text that only claims to be JSON
    try:
        text = body.decode(response.charset_encoding or "utf-8")
    except (UnicodeDecodeError, LookupError):
        text = None
    # NUL is in no text, and no database would store it.
    if text is None or "\0" in text:
        return {"body": None, "body_base64": base64.b64encode(body).decode()}
    return {"body": text}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unwanted(wanted: HttpRequest, response: httpx.Response, body: bytes) -> Exception:
    status = response.status_code
    text = f"{_target(wanted)} answered {status} {response.reason_phrase}".rstrip()
    beginning = " ".join(body[:500].decode("utf-8", "replace").split())
    reason = f"{text}: {beginning}" if beginning else text
    if status not in RETRYABLE and status < 500:
        return Fail(reason)
    delay = retry_after(response.headers, datetime.now(UTC))
    return RequestFailed(reason) if delay is None else Retry(delay, reason)


def _target(wanted: HttpRequest) -> str:
    return f"{wanted.method} {_without_secrets(httpx.URL(wanted.url))}"


def _without_secrets(url: httpx.URL) -> str:
    """The URL for logs and results: passwords and queries may be secret."""
    return str(url.copy_with(userinfo=None, query=None, fragment=None))
