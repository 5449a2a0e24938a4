"""The logs of all tasks as one, read live in the order in which transactions became final.

`order` says what comes after what, `log` reads it from PostgreSQL, and `tail` is the one reader of a process,
which hands the lines of a tenant to all who watch it.
"""

from taskflow_core.tail.order import Line, Place
from taskflow_core.tail.tail import Tail

__all__ = ["Line", "Place", "Tail"]
