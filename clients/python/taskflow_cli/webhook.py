"""`taskflow webhook`: subscribe addresses to events, and see and repeat deliveries."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import click

from taskflow_cli.arguments import Length, Time
from taskflow_cli.connection import calls_taskflow
from taskflow_cli.show import console, print_deliveries, print_delivery, print_json, print_webhooks
from taskflow_client import Delivery, TaskFlow, Webhook

EXIT_STATUS = "Exit status: 0 done, 2 wrong usage, 3 the service refused or could not be reached."

webhook_id = click.argument("webhook_id", metavar="WEBHOOK")
delivery_id = click.argument("delivery_id", metavar="DELIVERY")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")


@click.group(epilog=EXIT_STATUS)
def webhook() -> None:
    """Subscribe addresses to events, and see and repeat deliveries."""


@webhook.command()
@click.argument("url")
@click.option(
    "--event",
    "event_types",
    multiple=True,
    required=True,
    help="Such as task.success, task.* or *; repeatable.",
)
@click.option("--name", default="", help="For people. Default: the host.")
@click.option("--condition", default="", help='CEL over `event`: event.data.task.queue == "billing"')
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="To send along; repeatable.")
@click.option("--ordered", is_flag=True, help="One by one, in the order of the events.")
@click.option("--ed25519", is_flag=True, help="Sign with a key pair; receivers check with the public key.")
@as_json
@calls_taskflow
async def create(
    taskflow: TaskFlow,
    /,
    *,
    url: str,
    event_types: Sequence[str],
    name: str,
    condition: str,
    headers: Sequence[str],
    ordered: bool,
    ed25519: bool,
    as_json: bool,
) -> None:
    """Tell URL of events. Shows the secret, this once, or with --ed25519 the public key."""
    wanted = Webhook(url=url, event_types=event_types, name=name, condition=condition, ordered=ordered)
    if ed25519:
        wanted.signature_scheme = Webhook.ED25519
    for header in headers:
        header_name, colon, value = header.partition(":")
        if not colon:
            raise click.BadParameter(f"{header!r} is not NAME:VALUE", param_hint="--header")
        wanted.headers[header_name.strip()] = value.strip()
    _print_with_secret(await taskflow.webhooks.create(wanted), as_json=as_json)


@webhook.command(name="list")
@click.option("--filter", "filter_", default="", help="Such as: status = FAILING")
@as_json
@calls_taskflow
async def list_(taskflow: TaskFlow, /, *, filter_: str, as_json: bool) -> None:
    """List webhooks, newest first."""
    _print([found async for found in taskflow.webhooks.list(filter_)], as_json=as_json)


@webhook.command()
@webhook_id
@as_json
@calls_taskflow
async def get(taskflow: TaskFlow, /, *, webhook_id: str, as_json: bool) -> None:
    """Show a webhook."""
    _print([await taskflow.webhooks.get(webhook_id)], as_json=as_json)


@webhook.command()
@webhook_id
@calls_taskflow
async def delete(taskflow: TaskFlow, /, *, webhook_id: str) -> None:
    """Delete a webhook with its deliveries."""
    await taskflow.webhooks.delete(webhook_id)


@webhook.command()
@webhook_id
@as_json
@calls_taskflow
async def enable(taskflow: TaskFlow, /, *, webhook_id: str, as_json: bool) -> None:
    """Let a webhook get events from now on."""
    _print([await taskflow.webhooks.enable(webhook_id)], as_json=as_json)


@webhook.command()
@webhook_id
@click.option("--note", default="", help="Why, for people.")
@as_json
@calls_taskflow
async def disable(taskflow: TaskFlow, /, *, webhook_id: str, note: str, as_json: bool) -> None:
    """Let a webhook get no more events."""
    _print([await taskflow.webhooks.disable(webhook_id, note)], as_json=as_json)


@webhook.command()
@webhook_id
@click.option("--overlap", type=Length(), help="How long the old secret signs too. Default: 24h.")
@as_json
@calls_taskflow
async def rotate(taskflow: TaskFlow, /, *, webhook_id: str, overlap: timedelta | None, as_json: bool) -> None:
    """Give a webhook a new secret, and show it, this once."""
    _print_with_secret(await taskflow.webhooks.rotate_secret(webhook_id, overlap=overlap), as_json=as_json)


@webhook.command(name="test")
@webhook_id
@click.option(
    "--event", "event_type", default="", help="Such as task.success. Default: the first that it gets."
)
@as_json
@calls_taskflow
async def test_(taskflow: TaskFlow, /, *, webhook_id: str, event_type: str, as_json: bool) -> None:
    """Send a test event, and show the answer."""
    _print_one(await taskflow.webhooks.test(webhook_id, event_type), as_json=as_json)


@webhook.command()
@webhook_id
@click.option("--filter", "filter_", default="", help="Such as: status = FAILED AND response_status >= 500")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Most to show.")
@as_json
@calls_taskflow
async def deliveries(
    taskflow: TaskFlow, /, *, webhook_id: str, filter_: str, limit: int, as_json: bool
) -> None:
    """List the deliveries of a webhook, newest first."""
    found: list[Delivery] = []
    async for one in taskflow.webhooks.deliveries(webhook_id, filter_):
        found.append(one)
        if len(found) == limit:
            break
    if not as_json:
        print_deliveries(found)
        return
    for one in found:
        print_json(one)


@webhook.command()
@delivery_id
@as_json
@calls_taskflow
async def delivery(taskflow: TaskFlow, /, *, delivery_id: str, as_json: bool) -> None:
    """Show a delivery: what was sent, and each answer."""
    _print_one(await taskflow.webhooks.delivery(delivery_id), as_json=as_json)


@webhook.command()
@delivery_id
@as_json
@calls_taskflow
async def redeliver(taskflow: TaskFlow, /, *, delivery_id: str, as_json: bool) -> None:
    """Send a final delivery again."""
    _print_one(await taskflow.webhooks.redeliver(delivery_id), as_json=as_json)


@webhook.command()
@webhook_id
@click.option("--since", type=Time(), required=True, help="Events from here on.")
@click.option("--until", type=Time(), help="Events before this. Default: now.")
@calls_taskflow
async def recover(taskflow: TaskFlow, /, *, webhook_id: str, since: datetime, until: datetime | None) -> None:
    """Bring a webhook what it missed."""
    redelivered = created = 0
    while True:
        recovered = await taskflow.webhooks.recover(webhook_id, since, until)
        redelivered += recovered.redelivered_count
        created += recovered.created_count
        if not recovered.HasField("next_start_time"):
            break
        since = recovered.next_start_time.ToDatetime(since.tzinfo)
    console.print(f"{redelivered} sent again, {created} sent for the first time")


def _print(webhooks: Sequence[Webhook], *, as_json: bool) -> None:
    if not as_json:
        print_webhooks(webhooks)
        return
    for one in webhooks:
        print_json(one)


def _print_one(delivery: Delivery, *, as_json: bool) -> None:
    if as_json:
        print_json(delivery)
    else:
        print_delivery(delivery)


def _print_with_secret(webhook: Webhook, *, as_json: bool) -> None:
    _print([webhook], as_json=as_json)
    if as_json:
        return
    if webhook.public_key:
        # Receivers need no more, and who has the private key could sign.
        console.print(f"[bold]public key[/]  {webhook.public_key}", soft_wrap=True)
    else:
        console.print(f"[bold]secret[/]  {webhook.secret}  [dim](not shown again)[/]", soft_wrap=True)
