"""Which handlers a worker has: functions are marked where they are written and collected at the start."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, overload

from taskflow_core.retry import RetryPolicy
from taskflow_core.service_tasks import PREFIX, is_reserved
from taskflow_worker.context import TaskContext
from taskflow_worker.threads import run_in_thread

Function = TypeVar("Function", bound=Callable[..., Any])

BUILT_IN = tuple(f"taskflow_worker.handlers.{name}" for name in ("echo", "compute", "http_request", "email"))
# Packages that are installed beside TaskFlow name their modules of handlers under this group.
ENTRY_POINTS = "taskflow_worker.handlers"

# As `Task.task_type` in the contract.
TASK_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")

MARK = "__taskflow_handler__"


class RegistrationError(Exception):
    """The handlers cannot be served as they are written; the worker does not start."""


@dataclass(frozen=True)
class Handler:
    """A task type and the function that runs it.

    `timeout` is the longest time one attempt may run, in seconds, and `retry` how failed attempts are
    retried, where the task does not say; None leaves it to the service.
    """

    task_type: str
    function: Callable[..., Any]
    timeout: float | None = None
    retry: RetryPolicy | None = None

    @property
    def description(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def location(self) -> str:
        """Where the function is, for people."""
        function = inspect.unwrap(self.function)
        code = getattr(function, "__code__", None)
        name = f"{function.__module__}.{getattr(function, '__qualname__', function)}"
        return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"

    @cached_property
    def _is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    async def __call__(self, context: TaskContext, payload: Any) -> Any:
        """What the function returns: awaited if it is async, else run in a thread of its own."""
        if self._is_async:
            return await self.function(context, payload)
        try:
            result = await run_in_thread(self.function, context, payload)
        finally:
            # A cancelled call leaves its thread behind: let it know.
            context.stop()
        # A decorator may have hidden an async function behind a plain one.
        return await result if inspect.isawaitable(result) else result


@dataclass(frozen=True)
class _Mark:
    task_type: str | None
    timeout: float | None
    retry: RetryPolicy | None


@overload
def register_task_handler(function: Function, /) -> Function: ...
@overload
def register_task_handler(
    task_type: str | None = None, /, *, timeout: float | None = None, retry: RetryPolicy | None = None
) -> Callable[[Function], Function]: ...
def register_task_handler(
    task_type: Function | str | None = None,
    /,
    *,
    timeout: float | None = None,
    retry: RetryPolicy | None = None,
) -> Function | Callable[[Function], Function]:
    """Mark a function as the handler of a task type, by default of the function's name.

    The function takes `(context, payload)` and returns something JSON can carry. It stays as it is, and can
    be called as it is. `timeout` is the longest time one attempt may run, in seconds, and `retry` how failed
    attempts are retried, unless a task says otherwise.
    """
    if callable(task_type):
        setattr(task_type, MARK, _Mark(None, None, None))
        return task_type
    mark = _Mark(task_type, timeout, retry)

    def mark_function(function: Function) -> Function:
        setattr(function, MARK, mark)
        return function

    return mark_function


class Registry:
    """The handlers of a worker, by task type."""

    def __init__(self, handlers: Iterable[Handler] = ()) -> None:
        self._handlers: dict[str, Handler] = {}
        for handler in handlers:
            self.add(handler)

    def get(self, task_type: str) -> Handler | None:
        return self._handlers.get(task_type)

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())

    def __len__(self) -> int:
        return len(self._handlers)

    def add(self, handler: Handler) -> None:
        """Take in one handler. Raises RegistrationError if it is not well formed or its task type is taken."""
        _check(handler)
        earlier = self._handlers.setdefault(handler.task_type, handler)
        # The same function comes again when one module imports it from another.
        if earlier.function is not handler.function:
            raise RegistrationError(
                f"two handlers for {handler.task_type!r}: {earlier.location} and {handler.location}"
            )

    def collect(self, module: ModuleType) -> None:
        """Take in every marked function of a module, those that it imported included."""
        found = False
        for value in list(vars(module).values()):
            mark = getattr(value, MARK, None) if callable(value) else None
            if isinstance(mark, _Mark):
                found = True
                task_type = value.__name__ if mark.task_type is None else mark.task_type
                _check_not_reserved(task_type, value)
                self.add(Handler(task_type, value, mark.timeout, mark.retry))
        if not found:
            raise RegistrationError(
                f"no handlers in {module.__name__} ({module.__file__}): mark functions with"
                " @register_task_handler, and name or import the very modules that hold them"
            )


def load_registry(imports: Sequence[str] = ()) -> Registry:
    """All handlers: the built-in ones, those of installed packages, and those of `imports`.

    An import is a module (`shop.handlers`, also from the current directory) or a file (`./my_handlers.py`).
    Raises RegistrationError, which says what is wrong and where.
    """
    registry = Registry()
    for name in BUILT_IN:
        registry.collect(importlib.import_module(name))
    for entry_point in entry_points(group=ENTRY_POINTS):
        registry.collect(_import(entry_point.module, f"entry point {entry_point.name!r}"))
    for wanted in imports:
        if wanted.endswith(".py"):
            registry.collect(_import_file(Path(wanted)))
        else:
            _add_to_path(Path.cwd())
            registry.collect(_import(wanted, "--import"))
    return registry


def _check_not_reserved(task_type: str, function: Callable[..., Any]) -> None:
    if is_reserved(task_type):
        raise RegistrationError(
            f"{Handler(task_type, function).location}: task types that begin with {PREFIX!r} are the service's own"
        )


def _check(handler: Handler) -> None:
    where = handler.location
    if not TASK_TYPE.fullmatch(handler.task_type):
        raise RegistrationError(
            f"{where}: {handler.task_type!r} cannot be a task type; use up to 200 letters, digits,"
            " '_', '.' and '-', a letter or digit first"
        )
    if handler.timeout is not None and not handler.timeout > 0:
        raise RegistrationError(f"{where}: timeout must be more than 0 seconds, not {handler.timeout}")
    if inspect.isgeneratorfunction(handler.function) or inspect.isasyncgenfunction(handler.function):
        raise RegistrationError(f"{where}: a handler must return its result, not yield")
    signature = inspect.signature(handler.function)
    try:
        signature.bind(None, None)
    except TypeError:
        raise RegistrationError(f"{where}: a handler must take (context, payload), not {signature}") from None


def _import(name: str, source: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise RegistrationError(
            f"{source}: cannot import {name!r}: {type(error).__name__}: {error}"
        ) from error


def _import_file(file: Path) -> ModuleType:
    file = file.resolve()
    if not file.is_file():
        raise RegistrationError(f"--import: there is no file {file}")
    # A module has one name, also in other processes: the path from the first folder that is no package.
    names = [file.stem]
    folder = file.parent
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    _add_to_path(folder)
    module = _import(".".join(names), "--import")
    if module.__file__ is None or Path(module.__file__).resolve() != file:
        raise RegistrationError(
            f"--import: {file} has the name of another module, {module.__file__}: rename it"
        )
    return module


def _add_to_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
