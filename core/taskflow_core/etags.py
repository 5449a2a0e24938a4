"""Etags: by them a caller who changes a thing says which state of it he has read."""

from taskflow_core.errors import EtagMismatch
from taskflow_core.tasks.rows import Row


def etag_of(row: Row) -> str:
    """The etag of a row with a revision: another one after every change by a caller."""
    return str(row["revision"])


def check_etag(kind: str, id: str, etag: str, current: str) -> None:
    """Refuse a change of what others have changed meanwhile. An empty etag is no condition. Raises EtagMismatch."""
    if etag and etag != current:
        raise EtagMismatch(kind, id, etag, current)
