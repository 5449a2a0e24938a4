"""One readable log of many programs: each line says, in a colour of its own, who wrote it."""

from itertools import cycle

import click

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
NAME_WIDTH = 15


class Log:
    """Writes to standard output; without colours if that is no terminal."""

    def __init__(self) -> None:
        self._free = cycle(COLOURS)
        self._colours: dict[str, str] = {}

    def write(self, name: str, text: str) -> None:
        """Writes one line of a program."""
        if name not in self._colours:
            self._colours[name] = next(self._free)
        click.echo(f"{click.style(name.ljust(NAME_WIDTH), fg=self._colours[name])} {text}")

    def say(self, text: str, *, problem: bool = False) -> None:
        """Writes a line of our own."""
        colour = "red" if problem else "white"
        click.echo(f"{click.style('taskflow'.ljust(NAME_WIDTH), fg=colour, bold=True)} {text}")
