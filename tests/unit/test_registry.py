"""Which functions become handlers, and what stops a worker from starting."""

import asyncio
import contextvars
import functools
import sys
import threading
from types import ModuleType

import pytest

from support.contexts import make_context
from taskflow_worker import RetryPolicy, register_task_handler
from taskflow_worker.registry import Handler, RegistrationError, Registry, load_registry

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id")


def module_with(*functions) -> ModuleType:
    module = ModuleType("shop")
    for number, function in enumerate(functions):
        setattr(module, f"function_{number}", function)
    return module


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder in which the worker is started; what it adds to the import path is undone."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


HANDLERS = """
from taskflow_worker import register_task_handler

@register_task_handler("{task_type}")
def handle(context, payload):
    return "done"
"""


def test_a_marked_function_stays_as_it_was():
    @register_task_handler("resize", timeout=30.0, retry=RetryPolicy(max_attempts=5))
    def resize(context, payload):
        """Make a picture smaller.

        Or larger.
        """
        return payload

    collected = Registry()
    collected.collect(module_with(resize))
    assert resize(None, 7) == 7
    assert collected.get("resize") == Handler("resize", resize, 30.0, RetryPolicy(max_attempts=5))
    assert [handler.description for handler in collected] == ["Make a picture smaller."]
    assert collected.get("unknown") is None


def test_a_mark_without_a_name_takes_the_name_of_the_function():
    @register_task_handler
    def bare(context, payload): ...

    @register_task_handler()
    def called(context, payload): ...

    collected = Registry()
    collected.collect(module_with(bare, called))
    assert [handler.task_type for handler in collected] == ["bare", "called"]


def test_a_function_that_two_modules_share_is_one_handler():
    @register_task_handler
    def shared(context, payload): ...

    collected = Registry()
    collected.collect(module_with(shared))
    collected.collect(module_with(shared))
    assert len(collected) == 1


def test_two_handlers_of_one_name_are_refused_and_both_are_named():
    def first(context, payload): ...

    def second(context, payload): ...

    with pytest.raises(RegistrationError) as caught:
        Registry([Handler("resize", first), Handler("resize", second)])
    message = str(caught.value)
    assert message.startswith("two handlers for 'resize'")
    assert "first (" in message
    assert "second (" in message
    assert message.count("test_registry.py:") == 2


def test_a_wrong_signature_is_refused():
    def no_payload(context): ...

    def one_too_many(context, payload, more): ...

    def keyword_only(context, *, payload): ...

    for function in (no_payload, one_too_many, keyword_only):
        with pytest.raises(RegistrationError, match=r"must take \(context, payload\), not \("):
            Registry([Handler("resize", function)])


def test_any_signature_that_takes_both_is_fine():
    def with_default(context, payload, more=None): ...

    def variadic(*args): ...

    def partial(size, context, payload): ...

    Registry(
        [Handler("a", with_default), Handler("b", variadic), Handler("c", functools.partial(partial, 3))]
    )


def test_a_generator_is_refused():
    def plain(context, payload):
        yield 1

    async def asynchronous(context, payload):
        yield 1

    for function in (plain, asynchronous):
        with pytest.raises(RegistrationError, match="must return its result, not yield"):
            Registry([Handler("resize", function)])


@pytest.mark.parametrize("name", ["", ".resize", "re size", "ré", "a/b", "a" * 201, "resize\n"])
def test_a_name_that_no_task_can_have_is_refused(name):
    with pytest.raises(RegistrationError, match="cannot be a task type"):
        Registry([Handler(name, lambda context, payload: None)])


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_that_is_no_time_is_refused(timeout):
    with pytest.raises(RegistrationError, match="timeout must be more than 0"):
        Registry([Handler("resize", lambda context, payload: None, timeout=timeout)])


async def test_an_async_function_is_awaited():
    async def handle(context, payload):
        return context.task_type, payload, threading.current_thread()

    context, _ = make_context()
    assert await Handler("resize", handle)(context, 1) == ("resize", 1, threading.main_thread())


async def test_a_plain_function_runs_in_a_thread_with_the_callers_context_variables():
    def handle(context, payload):
        return request_id.get(), threading.current_thread() is threading.main_thread()

    request_id.set("r-7")
    context, _ = make_context()
    assert await Handler("resize", handle)(context, None) == ("r-7", False)


async def test_an_async_function_behind_a_plain_decorator_is_awaited():
    async def handle(context, payload):
        return payload

    def decorated(context, payload):
        return handle(context, payload)

    context, _ = make_context()
    assert await Handler("resize", decorated)(context, 7) == 7


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("x")])
async def test_what_a_plain_function_raises_is_raised(error):
    def handle(context, payload):
        raise error

    context, _ = make_context()
    with pytest.raises(type(error)) as caught:
        await Handler("resize", handle)(context, None)
    assert caught.value is error


async def test_a_stray_stop_iteration_does_not_hang_the_attempt():
    def handle(context, payload):
        return next(iter([]))

    context, _ = make_context()
    with pytest.raises(RuntimeError, match="StopIteration"):
        await Handler("resize", handle)(context, None)


async def test_more_plain_functions_run_at_once_than_a_machine_has_processors():
    together = threading.Barrier(50)

    def handle(context, payload):
        return together.wait(timeout=60)

    calls = [Handler("resize", handle)(make_context()[0], None) for _ in range(50)]
    assert sorted(await asyncio.gather(*calls)) == list(range(50))


def test_every_worker_has_the_built_in_handlers():
    assert {handler.task_type for handler in load_registry()} == {"echo", "compute", "http_request", "email"}
    assert all(handler.description for handler in load_registry())


def test_an_import_is_a_module_of_the_current_folder(shop):
    (shop / "orders.py").write_text(HANDLERS.format(task_type="orders.ship"))
    handler = load_registry(["orders"]).get("orders.ship")
    assert handler is not None
    assert handler.function(None, None) == "done"


def test_an_import_is_a_file_anywhere(shop):
    (shop / "deep").mkdir()
    (shop / "deep" / "orders.py").write_text(HANDLERS.format(task_type="orders.ship"))
    assert load_registry(["./deep/orders.py"]).get("orders.ship") is not None


def test_a_file_in_a_package_keeps_its_full_name(shop):
    (shop / "company").mkdir()
    (shop / "company" / "__init__.py").write_text("")
    (shop / "company" / "orders.py").write_text(HANDLERS.format(task_type="orders.ship"))
    handler = load_registry(["company/orders.py"]).get("orders.ship")
    assert handler is not None
    assert handler.function.__module__ == "company.orders"


def test_a_file_with_the_name_of_another_module_is_refused(shop):
    (shop / "json.py").write_text(HANDLERS.format(task_type="orders.ship"))
    with pytest.raises(RegistrationError, match=r"has the name of another module, .*: rename it"):
        load_registry(["./json.py"])


def test_a_missing_file_is_refused(shop):
    with pytest.raises(RegistrationError, match=r"there is no file .*orders\.py"):
        load_registry(["./orders.py"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "cannot import 'orders': ZeroDivisionError: division by zero"),
        ("def", "cannot import 'orders': SyntaxError"),
        ("raise SystemExit(2)", "cannot import 'orders': SystemExit"),
        ("x = 1", "no handlers in orders"),
        (HANDLERS.format(task_type="echo"), "two handlers for 'echo': .*echo.py.* and .*orders.py"),
    ],
)
def test_a_module_that_cannot_be_served_stops_the_start(shop, text, message):
    (shop / "orders.py").write_text(text)
    with pytest.raises(RegistrationError, match=message):
        load_registry(["orders"])


def test_an_unknown_module_stops_the_start():
    with pytest.raises(RegistrationError, match=r"cannot import 'no_such\.module': ModuleNotFoundError"):
        load_registry(["no_such.module"])


def test_installed_packages_name_their_handlers_in_entry_points(shop, monkeypatch):
    (shop / "orders.py").write_text(HANDLERS.format(task_type="orders.ship"))
    installed = shop / "shop-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: shop\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[taskflow_worker.handlers]\norders = orders\n")
    monkeypatch.syspath_prepend(shop)
    assert load_registry().get("orders.ship") is not None


def test_a_task_type_of_the_service_itself_is_refused():
    @register_task_handler("taskflow.replay")
    def mine(context, payload): ...

    with pytest.raises(RegistrationError, match="the service's own"):
        Registry().collect(module_with(mine))
