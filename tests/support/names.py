"""A name whose address changes between look-ups, as whoever owns a name can have it."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

NAME = "rebound.test"


@contextmanager
def rebinding(*answers: Sequence[str]) -> Iterator[None]:
    """Meanwhile, the first look-up of `NAME` finds the first addresses, and so on; the last ones stay."""
    left = list(answers)
    look_up = socket.getaddrinfo

    def rebound(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        if host not in (NAME, NAME.encode()):
            return look_up(host, port, *more, **options)
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [found for address in addresses for found in look_up(address, port, *more, **options)]

    with patch.object(socket, "getaddrinfo", rebound):
        yield
