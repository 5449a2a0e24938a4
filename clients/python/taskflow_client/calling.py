"""How the parts of the client call the service, and go over lists page by page."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

PAGE_SIZE = 200


class Call(Protocol):
    """Makes one call of a method, and raises ApiError if it fails."""

    async def __call__(self, method: Any, request: Any) -> Any: ...


async def pages(call: Call, method: Any, request: Any) -> AsyncIterator[Any]:
    """The responses of a list, from the page that the request asks for to the last."""
    while True:
        page = await call(method, request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
