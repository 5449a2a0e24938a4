"""taskflow.v1.WebhookService: unpack, call core, pack."""

from collections.abc import Sequence
from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from taskflow_core.app import App
from taskflow_core.tasks.read import PageRequest
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.envelope import body_of
from taskflow_proto.v1 import webhook_pb2, webhook_service_pb2, webhook_service_pb2_grpc
from taskflow_server import pack, unpack
from taskflow_server.auth import current_principal
from taskflow_server.metadata import Context, idempotency_key

# Seconds for which the secret before a rotation signs too, where the caller does not say.
DEFAULT_OVERLAP = 86_400.0


class WebhookService(webhook_service_pb2_grpc.WebhookServiceServicer):
    """Subscribes addresses to the caller's events, and shows and repeats the deliveries to them."""

    def __init__(self, app: App) -> None:
        self._reader = app.webhooks.reader
        self._creation = app.webhooks.creation
        self._steering = app.webhooks.steering
        self._deliveries = app.webhooks.deliveries
        self._redelivery = app.webhooks.redelivery
        self._trial = app.webhooks.trial
        self._envelopes = app.webhooks.envelopes

    async def CreateWebhook(
        self, request: webhook_service_pb2.CreateWebhookRequest, context: Context
    ) -> webhook_pb2.Webhook:
        made = await self._creation.create(
            current_principal().tenant_id,
            unpack.webhook_fields(request.webhook),
            scheme=unpack.signature_scheme(request.webhook),
            secret=request.webhook.secret,
            request_id=request.request_id or idempotency_key(context) or None,
            validate_only=request.validate_only,
        )
        return pack.webhook_with_secret(made)

    async def GetWebhook(
        self, request: webhook_service_pb2.GetWebhookRequest, context: Context
    ) -> webhook_pb2.Webhook:
        return pack.webhook(await self._reader.get(current_principal().tenant_id, UUID(request.webhook_id)))

    async def ListWebhooks(
        self, request: webhook_service_pb2.ListWebhooksRequest, context: Context
    ) -> webhook_service_pb2.ListWebhooksResponse:
        page = await self._reader.list(
            current_principal().tenant_id,
            PageRequest(request.page_size, request.page_token),
            filter=request.filter,
            order_by=request.order_by,
        )
        return webhook_service_pb2.ListWebhooksResponse(
            webhooks=map(pack.webhook, page.rows), next_page_token=page.next_page_token
        )

    async def UpdateWebhook(
        self, request: webhook_service_pb2.UpdateWebhookRequest, context: Context
    ) -> webhook_pb2.Webhook:
        row = await self._steering.update(
            current_principal().tenant_id,
            UUID(request.webhook_id),
            unpack.webhook_changes(request),
            etag=request.webhook.etag,
            validate_only=request.validate_only,
        )
        return pack.webhook(row)

    async def DeleteWebhook(
        self, request: webhook_service_pb2.DeleteWebhookRequest, context: Context
    ) -> Empty:
        await self._steering.delete(
            current_principal().tenant_id,
            UUID(request.webhook_id),
            etag=request.etag,
            allow_missing=request.allow_missing,
        )
        return Empty()

    async def EnableWebhook(
        self, request: webhook_service_pb2.EnableWebhookRequest, context: Context
    ) -> webhook_pb2.Webhook:
        return pack.webhook(
            await self._steering.enable(current_principal().tenant_id, UUID(request.webhook_id))
        )

    async def DisableWebhook(
        self, request: webhook_service_pb2.DisableWebhookRequest, context: Context
    ) -> webhook_pb2.Webhook:
        return pack.webhook(
            await self._steering.disable(
                current_principal().tenant_id, UUID(request.webhook_id), request.note
            )
        )

    async def RotateSecret(
        self, request: webhook_service_pb2.RotateSecretRequest, context: Context
    ) -> webhook_pb2.Webhook:
        overlap = unpack.seconds(request.overlap) if request.HasField("overlap") else DEFAULT_OVERLAP
        made = await self._steering.rotate(
            current_principal().tenant_id, UUID(request.webhook_id), request.secret, overlap
        )
        return pack.webhook_with_secret(made)

    async def TestWebhook(
        self, request: webhook_service_pb2.TestWebhookRequest, context: Context
    ) -> webhook_pb2.Delivery:
        row = await self._trial.send(
            current_principal().tenant_id, UUID(request.webhook_id), request.event_type
        )
        return await self._full(row)

    async def ListDeliveries(
        self, request: webhook_service_pb2.ListDeliveriesRequest, context: Context
    ) -> webhook_service_pb2.ListDeliveriesResponse:
        page = await self._deliveries.list(
            current_principal().tenant_id,
            UUID(request.webhook_id),
            PageRequest(request.page_size, request.page_token),
            filter=request.filter,
            order_by=request.order_by,
        )
        response = webhook_service_pb2.ListDeliveriesResponse(next_page_token=page.next_page_token)
        if request.view == webhook_pb2.Delivery.FULL:
            response.deliveries.extend(await self._whole(page.rows))
        else:
            response.deliveries.extend(map(pack.delivery, page.rows))
        return response

    async def GetDelivery(
        self, request: webhook_service_pb2.GetDeliveryRequest, context: Context
    ) -> webhook_pb2.Delivery:
        row = await self._deliveries.get(current_principal().tenant_id, UUID(request.delivery_id))
        return pack.delivery(row) if request.view == webhook_pb2.Delivery.BASIC else await self._full(row)

    async def Redeliver(
        self, request: webhook_service_pb2.RedeliverRequest, context: Context
    ) -> webhook_pb2.Delivery:
        row = await self._redelivery.redeliver(current_principal().tenant_id, UUID(request.delivery_id))
        return await self._full(row)

    async def RecoverDeliveries(
        self, request: webhook_service_pb2.RecoverDeliveriesRequest, context: Context
    ) -> webhook_service_pb2.RecoverDeliveriesResponse:
        recovered = await self._redelivery.recover(
            current_principal().tenant_id,
            UUID(request.webhook_id),
            unpack.time(request.start_time, "start_time"),
            unpack.time(request.end_time, "end_time") if request.HasField("end_time") else None,
            validate_only=request.validate_only,
        )
        return webhook_service_pb2.RecoverDeliveriesResponse(
            redelivered_count=recovered.redelivered,
            created_count=recovered.created,
            next_start_time=pack.timestamp(recovered.next_start),
        )

    async def _full(self, row: Row) -> webhook_pb2.Delivery:
        [delivery] = await self._whole([row])
        return delivery

    async def _whole(self, rows: Sequence[Row]) -> list[webhook_pb2.Delivery]:
        attempts = await self._deliveries.attempts([row["id"] for row in rows])
        return [
            pack.whole_delivery(row, body_of(self._envelopes.event(row)), attempts[row["id"]]) for row in rows
        ]
