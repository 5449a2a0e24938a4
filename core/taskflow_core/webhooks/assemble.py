"""The parts of webhooks, put together."""

import random
from dataclasses import dataclass

from taskflow_core.db import Database
from taskflow_core.paging import PageTokens
from taskflow_core.queue import Queue
from taskflow_core.settings import Settings
from taskflow_core.webhooks.claim import DeliveryClaims
from taskflow_core.webhooks.create import WebhookCreation
from taskflow_core.webhooks.delivery_log import DeliveryReader
from taskflow_core.webhooks.envelope import Envelopes
from taskflow_core.webhooks.read import WebhookReader
from taskflow_core.webhooks.redeliver import Redelivery
from taskflow_core.webhooks.retention import DeliveryRetention
from taskflow_core.webhooks.secrets import SecretBox
from taskflow_core.webhooks.settle import DeliverySettlement
from taskflow_core.webhooks.statistics import WebhookStatistics
from taskflow_core.webhooks.steer import WebhookSteering
from taskflow_core.webhooks.trial import WebhookTrial


@dataclass(frozen=True)
class WebhookParts:
    """What servers, workers and schedulers do with webhooks."""

    reader: WebhookReader
    creation: WebhookCreation
    steering: WebhookSteering
    deliveries: DeliveryReader
    redelivery: Redelivery
    trial: WebhookTrial
    claims: DeliveryClaims
    settlement: DeliverySettlement
    retention: DeliveryRetention
    statistics: WebhookStatistics
    envelopes: Envelopes
    box: SecretBox


def assemble_webhooks(
    settings: Settings, database: Database, queue: Queue, tokens: PageTokens
) -> WebhookParts:
    """All of them, on the same database, queue and key."""
    box = SecretBox.of(settings)
    reader = WebhookReader(database, tokens)
    deliveries = DeliveryReader(database, reader, tokens)
    return WebhookParts(
        reader=reader,
        creation=WebhookCreation(database, queue, box, settings),
        steering=WebhookSteering(database, queue, reader, box, settings),
        deliveries=deliveries,
        redelivery=Redelivery(database, queue, reader, deliveries, retention=settings.retention_seconds),
        trial=WebhookTrial(database, queue, reader, deliveries),
        claims=DeliveryClaims(database, lease_grace=settings.delivery_lease_grace),
        settlement=DeliverySettlement(database, random.Random()),  # noqa: S311 - jitter
        retention=DeliveryRetention(database, seconds=settings.delivery_retention_seconds),
        statistics=WebhookStatistics(database),
        envelopes=Envelopes(tokens),
        box=box,
    )
