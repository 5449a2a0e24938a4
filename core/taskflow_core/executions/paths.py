"""Where node runs and the graphs that they lie in are: `fetch_all[3].parse` lies in `fetch_all[3]`."""

ROOT = ""


def run_path(scope: str, node_id: str) -> str:
    """The run of a node in a graph."""
    return f"{scope}.{node_id}" if scope else node_id


def item_path(parallel: str, index: int) -> str:
    """The graph of one item of a map."""
    return f"{parallel}[{index}]"


def branch_path(parallel: str, name: str) -> str:
    """The graph of one branch."""
    return f"{parallel}.{name}"


def owner_of(scope: str) -> str:
    """The run of the PARALLEL node that a graph belongs to."""
    return scope[: scope.rindex("[")] if scope.endswith("]") else scope[: scope.rindex(".")]


def branch_of(scope: str) -> str | None:
    """The name of the branch; None for an item of a map."""
    return None if scope.endswith("]") else scope[scope.rindex(".") + 1 :]


def index_of(scope: str) -> int:
    """The number of the item, from 0."""
    return int(scope[scope.rindex("[") + 1 : -1])


def scope_of(run: str) -> str:
    """The graph that a run lies in."""
    return run[: run.rindex(".")] if "." in run else ROOT


def node_of(run: str) -> str:
    """The node that a run is of."""
    return run[run.rfind(".") + 1 :]


def is_under(scope: str, place: str) -> bool:
    """Whether a graph is, or lies in, a graph or a PARALLEL run at `place`."""
    return not place or scope == place or scope.startswith((f"{place}.", f"{place}["))
