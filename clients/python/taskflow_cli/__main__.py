"""The command `taskflow`: its sub-commands come from the packages that are installed.

Only the one that runs is imported, so that `taskflow --help` needs nothing but click.
"""

from importlib.metadata import EntryPoint, entry_points

import click

GROUP = "taskflow.commands"
# A line for the help of each command, and the extra that it needs beyond the base install.
PARTS = {
    "dev": ("embedded", "Run everything on this machine: databases, Envoy, server, workers, scheduler."),
    "execution": ("", "Start, read, steer and watch executions of workflows."),
    "migrate": ("core", "Bring the database to the newest schema."),
    "queue": ("", "Pause, resume and limit queues."),
    "scheduler": ("worker", "Fire schedules and keep the house."),
    "server": ("server", "Answer gRPC calls."),
    "stats": ("", "Tell how much work there is, how fast it goes and how it ends."),
    "task": ("", "Submit, read, steer and watch tasks."),
    "webhook": ("", "Tell addresses of events."),
    "worker": ("worker", "Run tasks."),
    "workflow": ("", "Apply, check, draw, read and delete workflows."),
}


class Commands(click.Group):
    """A group that knows its commands by name, and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *entry_points(group=GROUP).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = entry_points(group=GROUP, name=cmd_name)
        if not found:
            return super().get_command(ctx, cmd_name)
        return load(next(iter(found)))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, PARTS.get(name, ("", ""))[1]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def load(entry_point: EntryPoint) -> click.Command:
    """Imports a command. Says which extra to install if a library that it needs is missing."""
    try:
        command: click.Command = entry_point.load()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        extra, _ = PARTS.get(entry_point.name, ("", ""))
        if not extra or missing == entry_point.module.partition(".")[0]:
            raise  # not for want of an extra
        raise click.ClickException(
            f"`taskflow {entry_point.name}` needs {missing}: pip install 'taskflow-grpc[{extra}]'"
        ) from error
    return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="taskflow-grpc", prog_name="taskflow")
def main() -> None:
    """A durable task service, gRPC first."""


if __name__ == "__main__":
    main(prog_name="taskflow")
