"""The parts of webhooks, put together."""

import random
from dataclasses import dataclass

from taskflow_core.db import Database
from taskflow_core.paging import PageTokens
from taskflow_core.queue import Queue
from taskflow_core.settings import Settings
from taskflow_core.webhooks.claim import DeliveryClaims
from taskflow_core.webhooks.envelope import Envelopes
from taskflow_core.webhooks.read import DeliveryReader
from taskflow_core.webhooks.redeliver import Redelivery
from taskflow_core.webhooks.retention import DeliveryRetention
from taskflow_core.webhooks.secrets import SecretBox
from taskflow_core.webhooks.settle import DeliverySettlement
from taskflow_core.webhooks.statistics import WebhookStatistics
from taskflow_core.webhooks.subscriptions import Webhooks
from taskflow_core.webhooks.trial import WebhookTrial


@dataclass(frozen=True)
class WebhookParts:
    """What servers, workers and schedulers do with webhooks."""

    subscriptions: Webhooks
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
    webhooks = Webhooks(database, queue, tokens, box, settings)
    deliveries = DeliveryReader(database, webhooks, tokens)
    return WebhookParts(
        subscriptions=webhooks,
        deliveries=deliveries,
        redelivery=Redelivery(database, queue, webhooks, deliveries, retention=settings.retention_seconds),
        trial=WebhookTrial(database, queue, webhooks, deliveries),
        claims=DeliveryClaims(database, lease_grace=settings.delivery_lease_grace),
        settlement=DeliverySettlement(database, random.Random()),  # noqa: S311 - jitter
        retention=DeliveryRetention(database, seconds=settings.delivery_retention_seconds),
        statistics=WebhookStatistics(database),
        envelopes=Envelopes(tokens),
        box=box,
    )
