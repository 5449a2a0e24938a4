"""Webhooks: subscribe an address to events, see what became of each delivery, send it again.

Receivers check what they get with `verify_webhook`.
"""

from collections.abc import AsyncGenerator, Iterable
from datetime import datetime, timedelta

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from taskflow_client.calling import PAGE_SIZE, Call, pages
from taskflow_proto.v1 import webhook_service_pb2 as calls
from taskflow_proto.v1.webhook_pb2 import Delivery, Webhook
from taskflow_proto.v1.webhook_service_pb2 import RecoverDeliveriesResponse
from taskflow_proto.v1.webhook_service_pb2_grpc import WebhookServiceStub


class Webhooks:
    """The webhooks of a tenant: `taskflow.webhooks`. Every method raises ApiError, or the class of it that fits."""

    def __init__(self, channel: grpc.aio.Channel, call: Call) -> None:
        self._stub = WebhookServiceStub(channel)
        self._call = call

    async def create(self, webhook: Webhook, *, request_id: str = "") -> Webhook:
        """Subscribe an address. The answer has the secret, this once; a repeated answer has none."""
        request = calls.CreateWebhookRequest(webhook=webhook, request_id=request_id)
        created: Webhook = await self._call(self._stub.CreateWebhook, request)
        return created

    async def get(self, webhook_id: str) -> Webhook:
        """One webhook, without its secret."""
        request = calls.GetWebhookRequest(webhook_id=webhook_id)
        webhook: Webhook = await self._call(self._stub.GetWebhook, request)
        return webhook

    async def list(self, filter: str = "") -> AsyncGenerator[Webhook, None]:
        """Webhooks, newest first. `filter`: such as `status = FAILING`."""
        request = calls.ListWebhooksRequest(filter=filter, page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListWebhooks, request):
            for webhook in page.webhooks:
                yield webhook

    async def update(self, webhook: Webhook, fields: Iterable[str]) -> Webhook:
        """Give these fields the values that they have here. Raises Aborted if it has changed since it was read."""
        request = calls.UpdateWebhookRequest(
            webhook_id=webhook.id, webhook=webhook, update_mask=FieldMask(paths=list(fields))
        )
        updated: Webhook = await self._call(self._stub.UpdateWebhook, request)
        return updated

    async def delete(self, webhook_id: str) -> None:
        """Delete a webhook with its deliveries."""
        await self._call(self._stub.DeleteWebhook, calls.DeleteWebhookRequest(webhook_id=webhook_id))

    async def enable(self, webhook_id: str) -> Webhook:
        """Let it get events from now on; `recover` brings those before."""
        request = calls.EnableWebhookRequest(webhook_id=webhook_id)
        webhook: Webhook = await self._call(self._stub.EnableWebhook, request)
        return webhook

    async def disable(self, webhook_id: str, note: str = "") -> Webhook:
        """Let it get no more events, and cancel what waits."""
        request = calls.DisableWebhookRequest(webhook_id=webhook_id, note=note)
        webhook: Webhook = await self._call(self._stub.DisableWebhook, request)
        return webhook

    async def rotate_secret(
        self, webhook_id: str, *, secret: str = "", overlap: timedelta | None = None
    ) -> Webhook:
        """Give it a new secret, and return it with the webhook, this once. The old one signs too for `overlap`."""
        request = calls.RotateSecretRequest(webhook_id=webhook_id, secret=secret)
        if overlap is not None:
            request.overlap.FromTimedelta(overlap)
        webhook: Webhook = await self._call(self._stub.RotateSecret, request)
        return webhook

    async def test(self, webhook_id: str, event_type: str = "") -> Delivery:
        """Send a test event, and wait for the answer."""
        request = calls.TestWebhookRequest(webhook_id=webhook_id, event_type=event_type)
        delivery: Delivery = await self._call(self._stub.TestWebhook, request)
        return delivery

    async def deliveries(self, webhook_id: str, filter: str = "") -> AsyncGenerator[Delivery, None]:
        """The deliveries of a webhook, newest first, without bodies and attempts."""
        request = calls.ListDeliveriesRequest(webhook_id=webhook_id, filter=filter, page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListDeliveries, request):
            for delivery in page.deliveries:
                yield delivery

    async def delivery(self, delivery_id: str) -> Delivery:
        """One delivery, with its body and every attempt."""
        request = calls.GetDeliveryRequest(delivery_id=delivery_id)
        delivery: Delivery = await self._call(self._stub.GetDelivery, request)
        return delivery

    async def redeliver(self, delivery_id: str) -> Delivery:
        """Send a final delivery again, under the same `webhook-id`."""
        request = calls.RedeliverRequest(delivery_id=delivery_id)
        delivery: Delivery = await self._call(self._stub.Redeliver, request)
        return delivery

    async def recover(
        self, webhook_id: str, start: datetime, end: datetime | None = None
    ) -> RecoverDeliveriesResponse:
        """Bring a webhook what it missed in a time range; call again with `next_start_time` if that is set."""
        request = calls.RecoverDeliveriesRequest(webhook_id=webhook_id)
        request.start_time.FromDatetime(start)
        if end is not None:
            request.end_time.FromDatetime(end)
        recovered: RecoverDeliveriesResponse = await self._call(self._stub.RecoverDeliveries, request)
        return recovered
