"""`taskflow dev`: the whole stack on this machine, in one terminal."""

import asyncio
import contextlib
import fcntl
import importlib.util
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.panel import Panel

from taskflow_dev.log import Log
from taskflow_dev.program import NotStartedError, stop_leftovers, wait_until
from taskflow_dev.stack import Options, PortTakenError, Stack, prepare
from taskflow_dev.supervisor import Supervisor

REST_PORT = 8080
GRPC_PORT = 50051
SERVING_SECONDS = 30


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".taskflow"),
    show_default=True,
    help="The folder that keeps everything.",
)
@click.option("--ephemeral", is_flag=True, help="A temporary folder, removed at the end, and free ports.")
@click.option("--rest-port", type=click.IntRange(0, 65535), help=f"Default: {REST_PORT}. 0: a free one.")
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65535),
    help=f"Default: {GRPC_PORT}. 0: a free one. Further servers take the next ones.",
)
@click.option("--servers", type=click.IntRange(1, 16), default=1, show_default=True, help="Server processes.")
@click.option(
    "--import", "imports", multiple=True, metavar="MODULE", help="A module or file with handlers. Repeatable."
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the addresses there, as JSON, once everything serves.",
)
def dev(
    *,
    data: Path,
    ephemeral: bool,
    rest_port: int | None,
    grpc_port: int | None,
    servers: int,
    imports: tuple[str, ...],
    ready_file: Path | None,
) -> None:
    """Run everything on this machine: databases, Envoy, server, workers, scheduler."""
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` does for the workers
    for module in imports:
        if not _is_there(module):
            raise click.BadParameter(f"there is no module {module}", param_hint="--import")
    if ready_file:
        ready_file.parent.mkdir(parents=True, exist_ok=True)
        ready_file.unlink(missing_ok=True)
    with _data_folder(data, ephemeral=ephemeral) as folder:
        options = Options(
            folder=folder,
            rest_port=_port(rest_port, REST_PORT, ephemeral=ephemeral),
            grpc_port=_port(grpc_port, GRPC_PORT, ephemeral=ephemeral),
            servers=servers,
            imports=imports,
            durable=not ephemeral,
        )
        try:
            asyncio.run(_serve(options, ready_file))
        except (NotStartedError, PortTakenError) as error:
            raise click.ClickException(str(error)) from error
        finally:
            if ready_file:
                ready_file.unlink(missing_ok=True)


async def _serve(options: Options, ready_file: Path | None) -> None:
    log = Log()
    leftovers = stop_leftovers(options.folder)
    if leftovers:
        log.say(f"stopped what the last run left: {', '.join(leftovers)}")
    log.say(f"starting in {options.folder}")
    databases, processes = Supervisor(options.folder, log), Supervisor(options.folder, log)
    _stop_on_signals(log, databases, processes)
    with contextlib.suppress(asyncio.CancelledError):  # by a signal
        stack = await asyncio.to_thread(prepare, options)
        async with databases, processes:
            await _start(stack, databases, processes)
            _announce(stack, ready_file)
            await asyncio.Event().wait()
    log.say("stopped")


async def _start(stack: Stack, databases: Supervisor, processes: Supervisor) -> None:
    async def start_in_order() -> None:
        await databases.start(stack.postgres.program(), stack.valkey.program())
        if not await asyncio.to_thread(stack.postgres.has_database):
            await asyncio.to_thread(stack.postgres.create_database)
        if not await asyncio.to_thread(stack.is_migrated):
            await processes.run(stack.migrate())
            await asyncio.to_thread(stack.note_migration)
        await processes.start(*stack.servers(), *stack.workers(), stack.scheduler())

    await asyncio.gather(start_in_order(), processes.start(stack.envoy.program()))
    if not await asyncio.to_thread(wait_until, stack.envoy.is_serving, seconds=SERVING_SECONDS):
        raise NotStartedError(f"no server was ready within {SERVING_SECONDS} s")


def _stop_on_signals(log: Log, *supervisors: Supervisor) -> None:
    """Stops everything in order at the first signal, and at once at the next."""
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    asked = False

    def stop(name: str) -> None:
        nonlocal asked
        if asked:
            for supervisor in supervisors:
                supervisor.kill()
            return
        asked = True
        log.say(f"{name}: stopping (once more: at once)")
        if main:
            main.cancel()

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(each, stop, each.name)


def _announce(stack: Stack, ready_file: Path | None) -> None:
    variables = "".join(
        f"export {name}='{value}'\n"
        for name, value in stack.environment.items()
        if name.endswith(("_URL", "_STORE"))
    )
    variables_file = stack.options.folder / "env"
    variables_file.touch(mode=0o600)  # with passwords
    variables_file.write_text(variables)
    lines = [
        f"[bold]REST[/]   {stack.rest_url}/api/v1/tasks",
        f"[bold]gRPC[/]   {stack.grpc_address}",
        f"[bold]Data[/]   {stack.options.folder}",
        f"[dim]More workers: source {variables_file}; taskflow worker[/]",
        "[dim]Ctrl-C stops everything.[/]",
    ]
    Console(highlight=False).print(Panel("\n".join(lines), title="TaskFlow is ready", expand=False))
    if ready_file:
        _write_whole(ready_file, json.dumps({"rest": stack.rest_url, "grpc": stack.grpc_address}) + "\n")


def _write_whole(file: Path, text: str) -> None:
    """Writes a file so that nobody ever reads a part of it."""
    part = file.with_name(f".{file.name}.part")
    part.write_text(text)
    part.replace(file)


def _is_there(module: str) -> bool:
    """Whether a worker will find the module, or the file if it is given as one."""
    if module.endswith(".py"):
        return Path(module).is_file()
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it should be in
        return False


def _port(given: int | None, default: int, *, ephemeral: bool) -> int:
    if given is not None:
        return given
    return 0 if ephemeral else default


@contextlib.contextmanager
def _data_folder(data: Path, *, ephemeral: bool) -> Iterator[Path]:
    if ephemeral:
        with tempfile.TemporaryDirectory(prefix="taskflow-") as folder:
            yield Path(folder)
        return
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise click.ClickException(f"another `taskflow dev` runs in {data}") from error
        yield data.resolve()


if __name__ == "__main__":
    dev()
