"""Handlers for the workflows of this folder: they pretend to work, and say what they would have done.

taskflow dev --import clients/python/examples/workflows/handlers.py
"""

import zlib
from typing import Any

from taskflow_worker import TaskContext, register_task_handler

Payload = dict[str, Any]


class CardRefused(Exception):
    """The bank says no; asking again does not help."""


@register_task_handler("etl.read_prices")
async def read_prices(context: TaskContext, payload: Payload) -> Payload:
    """The prices of a day."""
    return {"apple": 3, "pear": 4, "plum": 5}


@register_task_handler("etl.extract")
async def extract(context: TaskContext, payload: Payload) -> Payload:
    """What a shop sold: the same for the same shop and day. The shop `closed` has no sales."""
    if payload["shop"] == "closed":
        raise ConnectionError("the shop does not answer")
    seed = zlib.crc32(f"{payload['shop']} {payload['day']}".encode())
    rows = [
        {"item": item, "count": seed >> shift & 7} for shift, item in enumerate(("apple", "pear", "plum"))
    ]
    return {"rows": [*rows, {"item": "test", "count": 1}]}


@register_task_handler("etl.clean")
async def clean(context: TaskContext, payload: Payload) -> list[Payload]:
    """The rows that count."""
    return [row for row in payload["rows"] if row["item"] != "test" and row["count"] > 0]


@register_task_handler("etl.merge")
async def merge(context: TaskContext, payload: Payload) -> Payload:
    """All rows of all shops, with their worth."""
    rows = [row for shop in payload["shops"] for row in shop]
    return {"rows": len(rows), "total": sum(payload["prices"][row["item"]] * row["count"] for row in rows)}


@register_task_handler("etl.load")
async def load(context: TaskContext, payload: Payload) -> str:
    """Where the sales of a day lie."""
    return f"sales/{payload['day']}"


@register_task_handler("etl.report")
async def report(context: TaskContext, payload: Payload) -> None:
    """Tell people."""
    context.log(f"to {payload['channel']}: {payload['text']}")


@register_task_handler("order.reserve")
async def reserve(context: TaskContext, payload: Payload) -> Payload:
    """Put the goods aside."""
    return {"reservation": f"r-{payload['order_id']}"}


@register_task_handler("order.release")
async def release(context: TaskContext, payload: Payload) -> str:
    """Put the goods back."""
    return f"released {payload['reservation']}"


@register_task_handler("order.charge")
async def charge(context: TaskContext, payload: Payload) -> Payload:
    """Take the money; cards have 5,000 at most."""
    if payload["amount"] > 5000:
        raise CardRefused(f"no card has {payload['amount']}")
    return {"charge": f"c-{payload['order_id']}"}


@register_task_handler("order.refund")
async def refund(context: TaskContext, payload: Payload) -> str:
    """Give the money back."""
    return f"refunded {payload['amount']} of {payload['charge']}"


@register_task_handler("order.ship")
async def ship(context: TaskContext, payload: Payload) -> Payload:
    """Hand the parcel over. One for `nowhere` cannot be delivered."""
    if payload["reservation"] == "r-nowhere":
        raise LookupError("there is no such address")
    return {"parcel": payload["reservation"].replace("r-", "p-")}


@register_task_handler("order.notify")
async def notify(context: TaskContext, payload: Payload) -> None:
    """Tell the customer."""
    context.log(f"{payload['template']}: {payload['order_id']}, {payload['parcel']}")


@register_task_handler("media.probe")
async def probe(context: TaskContext, payload: Payload) -> Payload:
    """The length of a film, and where its scenes begin."""
    return {"seconds": 180, "scenes": [{"start": start, "end": start + 60} for start in (0, 60, 120)]}


@register_task_handler("media.cut")
async def cut(context: TaskContext, payload: Payload) -> Payload:
    """One scene."""
    return {"piece": f"{payload['film']}#{payload['scene']['start']}"}


@register_task_handler("media.encode")
async def encode(context: TaskContext, payload: Payload) -> str:
    """A scene in a format."""
    return f"{payload['piece']}.{payload['format']}"


@register_task_handler("media.join")
async def join(context: TaskContext, payload: Payload) -> Payload:
    """The film in each format."""
    pieces = [piece for scene in payload["scenes"] for piece in scene]
    return {"pieces": len(pieces), "formats": sorted({piece.rpartition(".")[2] for piece in pieces})}


@register_task_handler("media.transcribe")
async def transcribe(context: TaskContext, payload: Payload) -> Payload:
    """What is said."""
    return {"text": f"the words of {payload['film']}"}


@register_task_handler("media.translate")
async def translate(context: TaskContext, payload: Payload) -> Payload:
    """What is said, in other languages."""
    return {language: f"{payload['text']} ({language})" for language in payload["languages"]}


@register_task_handler("media.still")
async def still(context: TaskContext, payload: Payload) -> list[str]:
    """Stills, evenly over the film."""
    step = payload["seconds"] // (payload["count"] + 1)
    return [f"{payload['film']}@{step * (number + 1)}" for number in range(payload["count"])]


@register_task_handler("media.check")
async def check(context: TaskContext, payload: Payload) -> None:
    """Whether the film can be shown."""
    if not payload["film"]["formats"]:
        raise ValueError("the film is empty")


@register_task_handler("media.publish")
async def publish(context: TaskContext, payload: Payload) -> Payload:
    """What the audience gets."""
    return {"formats": payload["film"]["formats"], "languages": sorted(payload["subtitles"])}
