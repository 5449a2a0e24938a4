"""`make bench`: figures of one run on this machine. Ratios carry over to others; absolute figures do not.

Measure with an interpreter as it is deployed. One built without optimisations, as pyenv builds it unless told
otherwise, costs a quarter of the throughput: `make setup bench VENV=.venv-bench PYTHON=/usr/bin/python3`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import click
from rich.console import Console
from rich.table import Table

import backlog
import lanes
import measure
import schedules
import soak
import stats
import watching
import webhooks
import workflows
import yardsticks
from running import ALL_LANES, Measured, measured_stack

Measurement = Callable[[Measured], Awaitable[dict[str, float]]]
Figures = TypeVar("Figures")


class Report:
    """Runs measurements, and prints what they found as it comes and once more at the end."""

    def __init__(self, only: str) -> None:
        self._only = only
        self._console = Console()
        self._table = Table("measurement", "figures", title="TaskFlow: durable, with history and results")

    def measure(
        self,
        measurements: Mapping[str, Measurement],
        workers: Sequence[str] = (ALL_LANES, ALL_LANES),
        plans: Callable[[Measured], Awaitable[list[str]]] | None = None,
        **settings: str,
    ) -> None:
        """Run those that are wanted, one after the other on one stack; then print plans of statements."""
        wanted = {name: work for name, work in measurements.items() if self._only in name}
        if not wanted:
            return
        with measured_stack(workers, **settings) as stack, asyncio.Runner() as runner:
            for name, work in wanted.items():
                with self._console.status(name):
                    figures = runner.run(_run(work, stack))
                text = ", ".join(f"{figure} {value:,.1f}" for figure, value in figures.items())
                self._console.print(f"{name}: {text}")
                self._table.add_row(name, text)
            if plans is not None:
                self._console.print("\n".join(runner.run(_run(plans, stack))), markup=False, highlight=False)

    def close(self) -> None:
        """Print all figures together."""
        self._console.print(self._table)


async def _run(work: Callable[[Measured], Awaitable[Figures]], stack: Measured) -> Figures:
    return await work(stack)


@click.command()
@click.option("--tasks", default=20_000, show_default=True, help="Tasks of the throughput measurements.")
@click.option("--waiting", default=1_000_000, show_default=True, help="Tasks of the backlog.")
@click.option("--streams", default=5_000, show_default=True, help="Watches of the measurement of watches.")
@click.option("--soak-seconds", default=600, show_default=True, help="How long `--only soak` takes.")
@click.option("--only", default="", help="Measure only what has this in its name.")
def bench(tasks: int, waiting: int, streams: int, soak_seconds: int, only: str) -> None:
    """Measure throughput, latency and idle cost, with raw Redis and stock arq as yardsticks."""
    logging.getLogger("arq").setLevel(logging.WARNING)
    report = Report(only)
    report.measure(
        {
            "plain Python": lambda _: yardsticks.plain_python(5_000_000),
            "raw Redis, one command at a time": lambda stack: yardsticks.raw_redis(stack, 5_000),
            "stock arq, not durable": lambda stack: yardsticks.stock_arq(stack, 3_000),
            "round trips of one client": lambda stack: yardsticks.round_trips(stack, 300),
            "idle, 2 workers": lambda stack: measure.idle_cost(stack, 10),
            "submit to handler start, 100/s": lambda stack: measure.latency(stack, 100, 1_000),
            "batches of 1,000, to last completion": lambda stack: measure.batch_throughput(stack, tasks),
            "unary from 32 callers, to last completion": lambda stack: measure.unary_throughput(
                stack, tasks // 4
            ),
        }
    )
    report.measure(
        {"CRITICAL beside a saturated LOW lane": lambda stack: lanes.critical_beside_low(stack, tasks)},
        workers=("critical", "high,normal,low"),
    )
    report.measure(
        {"short tasks beside 200 long ones": lambda stack: lanes.short_beside_long(stack, 200)},
        workers=(ALL_LANES,),
        TASKFLOW_WORKER_SLOTS="200",
    )
    report.measure(
        {f"beside a backlog of {waiting:,}": lambda stack: backlog.backlog(stack, waiting)},
        plans=backlog.plans,
    )
    report.measure(
        {
            f"{streams:,} streams over 50 tasks": lambda stack: watching.watchers(stack, streams),
            "100 streams over all tasks": watching.tenant_watchers,
        }
    )
    report.measure({"200 tasks report 1,000 times a second": watching.reporting}, TASKFLOW_WORKER_SLOTS="500")
    report.measure(
        {
            f"statistics of {tasks:,} tasks": lambda stack: stats.stats_cost(
                stack.database_url, stack.redis_url, tasks
            )
        }
    )
    report.measure(
        {
            "chains of 3 nodes from 32 callers": lambda stack: workflows.chain_throughput(stack, tasks // 20),
            "from a node's end to its child's start, 10/s": lambda stack: workflows.edge_latency(
                stack, 10, 200
            ),
            "map over 10,000 items": lambda stack: workflows.wide_map(stack, 10_000),
        }
    )
    report.measure(
        {
            "schedules": lambda stack: schedules.schedules(stack, idle=100_000, due=10_000),
        }
    )
    report.measure(
        {
            "webhook deliveries from one worker": lambda stack: webhooks.delivery_throughput(
                stack, tasks // 4
            ),
            "webhook lateness, 100/s": lambda stack: webhooks.delivery_lateness(stack, 100, 500),
        },
        workers=(ALL_LANES,),
        TASKFLOW_WEBHOOK_ALLOW_HTTP="true",
        TASKFLOW_HTTP_ALLOW_PRIVATE="true",
    )
    if only == "soak":
        report.measure({"soak": lambda stack: soak.soak(stack, soak_seconds)})
    report.close()


bench()
