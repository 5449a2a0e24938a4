"""Telling a repeated request from another one under the same request id."""

import hashlib
import json
from collections.abc import Callable
from typing import Any


def digest_of(content: object, plain: Callable[[Any], object] = str) -> str:
    """The same text for the same content of a request; `plain` makes JSON of what is none."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=plain).encode()).hexdigest()
