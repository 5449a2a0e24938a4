"""The workflow of order.yaml, written in Python. It saves it, as a new version if it has changed.

python clients/python/examples/workflows/order.py
"""

import asyncio
import os
from datetime import timedelta

from taskflow_client import Flow, Job, RetryPolicy, TaskFlow, cel


def order() -> Flow:
    flow = Flow(
        "shop.order",
        description="From the order to the parcel, with an approval for large sums.",
        tags=["shop"],
        priority="HIGH",
        input_schema={
            "type": "object",
            "required": ["order_id", "amount"],
            "properties": {
                "order_id": {"type": "string"},
                "amount": {"type": "number", "exclusiveMinimum": 0},
            },
        },
    )
    order_id, amount = flow.input.order_id, flow.input.amount
    reservation = cel("nodes.reserve.result.reservation")

    reserve = flow.task(
        "reserve",
        "order.reserve",
        {"order_id": order_id},
        name="Reserve the goods",
        undo=Job("order.release", {"reservation": reservation}),
    )
    size = flow.choose("size", {"large": f"{amount} >= 1000"}, name="Large?")
    approval = flow.approval("approval", "approve_order", name="Approval", timeout=timedelta(days=2))
    charge = flow.task(
        "charge",
        "order.charge",
        {"order_id": order_id, "amount": amount},
        name="Charge the card",
        retry_policy=RetryPolicy(max_attempts=3, non_retryable_error_types=["CardRefused"]),
        undo=Job("order.refund", {"charge": cel("nodes.charge.result.charge"), "amount": amount}),
    )
    ship = flow.task("ship", "order.ship", {"reservation": reservation}, name="Ship")
    tell = flow.task(
        "tell",
        "order.notify",
        {"template": "shipped", "order_id": order_id, "parcel": ship.result.parcel},
        name="Tell the customer",
        on_error="CONTINUE",
    )

    reserve >> size
    size["large"] >> approval
    size["default"] >> charge
    approval >> charge >> ship >> tell

    flow.output = f'{{"parcel": {ship.result.parcel}, "charge": {charge.result.charge}}}'
    return flow


async def main() -> None:
    async with TaskFlow(os.environ.get("TASKFLOW_GRPC", "127.0.0.1:50051")) as taskflow:
        workflow = await taskflow.workflows.apply(order())
        print(f"{workflow.name} is version {workflow.version}: {workflow.id}")


if __name__ == "__main__":
    asyncio.run(main())
