"""The examples run, with their own handlers, to the ends that their definitions promise."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from support.rest import ok

EXAMPLES = Path(__file__).parents[2] / "clients/python/examples/workflows"


def started(rest: httpx.Client, name: str, content: dict[str, Any]) -> dict[str, Any]:
    definition = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    workflow = ok(rest.post("/api/v1/workflows", json=definition))
    path = f"/api/v1/workflows/{workflow['id']}/executions"
    return ok(rest.post(path, json={"input": content}))


def finished(rest: httpx.Client, execution: dict[str, Any]) -> dict[str, Any]:
    return ok(rest.get(f"/api/v1/executions/{execution['id']}:wait"))


def test_the_sales_of_all_shops_are_loaded(rest: httpx.Client):
    content = {"day": "2026-01-31", "shops": ["berlin", "paris", "rome"]}
    done = finished(rest, started(rest, "etl", content))
    assert done["status"] == "SUCCEEDED", done["error"]
    assert (done["output"]["day"], done["output"]["loaded"]) == ("2026-01-31", True)


def test_a_film_is_cut_encoded_and_published(rest: httpx.Client):
    done = finished(rest, started(rest, "media", {"film": "nosferatu", "formats": ["720p", "480p"]}))
    assert done["status"] == "SUCCEEDED", done["error"]
    assert any(".encode" in run["path"] for run in done["node_runs"])


@pytest.mark.parametrize(("order_id", "ends"), [("o-1", "SUCCEEDED"), ("nowhere", "FAILED")])
def test_a_large_order_is_approved_and_what_fails_later_is_undone(
    rest: httpx.Client, order_id: str, ends: str
):
    execution = started(rest, "order", {"order_id": order_id, "amount": 2000})
    path = f"/api/v1/executions/{execution['id']}"
    ok(rest.post(f"{path}:signal", json={"signal": "approve_order", "payload": {"approved": True}}))
    done = finished(rest, execution)
    assert done["status"] == ends, done["error"]
    statuses = {run["node_id"]: run["status"] for run in done["node_runs"]}
    assert statuses["approval"] == "SUCCEEDED"
    if ends == "SUCCEEDED":
        assert done["output"] == {"parcel": f"p-{order_id}", "charge": f"c-{order_id}"}
    else:
        assert done["failed_node_id"] == "ship"
        assert (statuses["reserve"], statuses["charge"]) == ("COMPENSATED", "COMPENSATED")
