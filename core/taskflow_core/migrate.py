"""Brings a database to the newest schema: `taskflow migrate`."""

from pathlib import Path

import click
from alembic import command
from alembic.config import Config

from taskflow_core.settings import Settings


def alembic_config(database_url: str) -> Config:
    """The configuration of the migrations, for a `postgresql://` address."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Apply what is missing. Does nothing if nothing is; several at once wait for each other."""
    command.upgrade(alembic_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Take back what came after `revision`; `base` is the empty database."""
    command.downgrade(alembic_config(database_url), revision)


@click.command()
@click.option("--revision", default="head", show_default=True, help="Where to go.")
@click.option("--down", is_flag=True, help="Go back to that revision instead of up to it.")
def migrate(revision: str, *, down: bool) -> None:
    """Bring the database to the newest schema."""
    database_url = Settings().database_url
    if down:
        downgrade(database_url, revision)
    else:
        upgrade(database_url, revision)
    click.echo(f"the database is at {revision}")
