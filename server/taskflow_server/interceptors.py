"""What happens around every call of the contract, from the outside in.

1. request id  first, so that whatever follows can quote it
2. errors      around the rest, so that nothing reaches a caller unmapped
3. log         one line per call, at its end, with the code that the caller saw
4. limits      before any work is spent on a call that is one too many
5. deadline    over everything that may wait
6. tenant      before anything looks at the message
7. validation  of each message, last, because it costs most
8. the servicer

All of it is put around a method once, when the server is built, and not by gRPC's interceptors, which run
anew for every call and cost more CPU. Health and reflection are outside of it: they belong to no tenant, and must answer
when everything else is at its limit.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from taskflow_core.errors import InvalidArgument
from taskflow_core.settings import Settings
from taskflow_server.auth import authenticate
from taskflow_server.calls import Call, Context
from taskflow_server.limits import Limit
from taskflow_server.options import CallOptions, options_of
from taskflow_server.unimplemented import not_built
from taskflow_server.validation import validate

Behavior: TypeAlias = Callable[..., Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

HANDLER_OF_SHAPE: dict[tuple[bool, bool], Callable[..., Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class Interceptors:
    """The steps of one server, with the counts of what goes on in it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._calls = Limit("calls", "max_concurrent_calls", settings.max_concurrent_calls)
        self._streams = Limit("streams", "max_watches", settings.max_watches)

    def around(self, method: MethodDescriptor, behavior: Behavior) -> Handler:
        """The handler that gRPC calls for `method`: all steps, then `behavior`.

        Servicers write plain methods: a coroutine that returns the answer, or an async generator that
        yields the answers.
        """
        options = options_of(behavior)

        async def unary_unary(request: Message | Undecodable, context: Context) -> Message:
            async with self._answering(method, context, options) as call:
                message = _take(request, call, options)
                return await behavior(message, context)  # type: ignore[no-any-return]

        async def unary_stream(request: Message | Undecodable, context: Context) -> None:
            async with self._answering(method, context, options) as call:
                message = _take(request, call, options)
                await _send_all(behavior(message, context), call, context)

        async def stream_unary(requests: AsyncIterator[Message | Undecodable], context: Context) -> Message:
            async with self._answering(method, context, options) as call:
                return await behavior(_take_all(requests, call, options), context)  # type: ignore[no-any-return]

        async def stream_stream(requests: AsyncIterator[Message | Undecodable], context: Context) -> None:
            async with self._answering(method, context, options) as call:
                responses = behavior(_take_all(requests, call, options), context)
                await _send_all(responses, call, context)

        by_shape: dict[tuple[bool, bool], Behavior] = {
            (False, False): unary_unary,
            (False, True): unary_stream,
            (True, False): stream_unary,
            (True, True): stream_stream,
        }
        return _handler(method, by_shape[method.client_streaming, method.server_streaming])

    def around_nothing(self, method: MethodDescriptor) -> Handler:
        """The handler of a method that is not built yet: it says so, whoever asks and whatever for."""

        async def refuse(_: object, context: Context) -> None:
            async with _accounted(method, context):
                not_built(method)

        return _handler(method, refuse)

    @asynccontextmanager
    async def _answering(
        self, method: MethodDescriptor, context: Context, options: CallOptions
    ) -> AsyncGenerator[Call, None]:
        """Steps 1 to 6."""
        streaming = method.client_streaming or method.server_streaming
        # A stream may last: gRPC itself cancels it at the caller's deadline, and it has an end of its own.
        allowed = None if streaming else options.timeout or self._settings.call_timeout
        async with _accounted(method, context) as call:
            with self._streams if streaming else self._calls:
                async with asyncio.timeout(None if allowed is None else call.seconds_left(allowed)):
                    principal = authenticate(call.metadata, self._settings.default_tenant)
                    structlog.contextvars.bind_contextvars(tenant=principal.tenant_id)
                    yield call


@asynccontextmanager
async def _accounted(method: MethodDescriptor, context: Context) -> AsyncGenerator[Call, None]:
    """Steps 1 to 3: the call has an id, its errors become a status, and the log has a line about it."""
    call = Call(method, context)
    try:
        yield call
    except asyncio.CancelledError:
        # The caller went away, or the server stops. gRPC must hear of it, or it leaks the call.
        call.end(grpc.StatusCode.CANCELLED)
        raise
    except grpc.aio.InternalError as error:
        # The same, while a message was written. gRPC would log its own error with a stack trace.
        call.end(grpc.StatusCode.CANCELLED)
        raise asyncio.CancelledError from error
    except Exception as error:  # noqa: BLE001 - the one funnel: nothing goes past it
        await call.fail(error)
    else:
        call.end(grpc.StatusCode.OK)


class Undecodable:
    """Stands for a request that is no message of its type."""

    def __init__(self, why: str) -> None:
        self.why = why


def _take(request: Message | Undecodable, call: Call, options: CallOptions) -> Message:
    """Step 7."""
    call.received += 1
    if isinstance(request, Undecodable):
        raise InvalidArgument(
            f"the request cannot be read: a text that is not UTF-8, or nested too deep ({request.why})",
            why=request.why,
        )
    if options.checked:
        validate(request)
    return request


async def _take_all(
    requests: AsyncIterator[Message | Undecodable], call: Call, options: CallOptions
) -> AsyncGenerator[Message, None]:
    async for request in requests:
        yield _take(request, call, options)


async def _send_all(responses: AsyncGenerator[Message | bytes, None], call: Call, context: Context) -> None:
    """Send what the servicer yields: messages, or bytes where one message goes to many.

    If the caller goes away while a message is written, the servicer's `finally` runs here and now; were
    the generator given to gRPC, it would run whenever the garbage collector comes by. A caller that does not
    read holds the write up, and with it the servicer, until flow control lets go or the connection is too old.
    """
    async with aclosing(responses):
        async for response in responses:
            await context.write(response)
            call.sent += 1


def _handler(method: MethodDescriptor, behavior: Behavior) -> Handler:
    make = HANDLER_OF_SHAPE[method.client_streaming, method.server_streaming]
    return make(
        behavior,
        request_deserializer=_decoder(GetMessageClass(method.input_type)),
        response_serializer=_encode,
    )


def _encode(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def _decoder(kind: type[Message]) -> Callable[[bytes], Message | Undecodable]:
    """Reads a message. What fails here would be answered by gRPC itself, past all steps: so nothing fails here."""

    def decode(data: bytes) -> Message | Undecodable:
        try:
            return kind.FromString(data)
        except DecodeError as error:
            return Undecodable(str(error))

    return decode
