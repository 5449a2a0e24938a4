"""`make bench`: figures of one run on this machine. Ratios carry over to others; absolute figures do not."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import measure
from running import measured_stack


@click.command()
@click.option("--tasks", default=20_000, show_default=True, help="Tasks of the throughput measurements.")
@click.option("--only", default="", help="Measure only what has this in its name.")
def bench(tasks: int, only: str) -> None:
    """Measure throughput, latency and idle cost, with raw Redis and stock arq as yardsticks."""
    logging.getLogger("arq").setLevel(logging.WARNING)
    console = Console()
    table = Table("measurement", "figures", title="TaskFlow: durable, with history and results, 2 workers")
    with measured_stack() as stack:
        measurements: dict[str, Coroutine[Any, Any, dict[str, float]]] = {
            "raw Redis, one command at a time": measure.raw_redis(stack, 5_000),
            "stock arq, not durable": measure.stock_arq(stack, 3_000),
            "idle": measure.idle_cost(stack, 10),
            "submit to handler start, 100/s": measure.latency(stack, 100, 1_000),
            "batches of 1,000, to last completion": measure.batch_throughput(stack, tasks),
            "unary from 32 callers, to last completion": measure.unary_throughput(stack, tasks // 4),
        }
        with asyncio.Runner() as runner:
            for name, measurement in measurements.items():
                if only not in name:
                    measurement.close()
                    continue
                with console.status(name):
                    figures = runner.run(measurement)
                text = ", ".join(f"{figure} {value:,.1f}" for figure, value in figures.items())
                console.print(f"{name}: {text}")
                table.add_row(name, text)
    console.print(table)


bench()
