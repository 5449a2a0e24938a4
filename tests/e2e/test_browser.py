"""A real browser follows a task through Envoy, by EventSource and by grpc-web, over a restart of the server."""

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import httpx
import psutil
import pytest

from e2e.conftest import HANDLERS
from e2e.test_dev import running_dev, until_gone
from support.rest import get, path_of, submit
from taskflow_dev.ports import LOOPBACK
from taskflow_dev.program import wait_until

PAGE = Path(__file__).with_name("pages") / "follow.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
# A browser starts slowly on a busy machine.
SECONDS = 60


class Site(ThreadingHTTPServer):
    """Has the page, and takes down what it shows: who (`events`, `grpc-web`) and what."""

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Visit)
        self.shown: queue.Queue[tuple[str, str]] = queue.Queue()
        self.history: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}"

    def until_both_show(self, text: str) -> None:
        """Wait until the page shows this in both places."""
        while not {("events", text), ("grpc-web", text)} <= set(self.history):
            self.history.append(self.shown.get(timeout=SECONDS))


class Visit(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self._answer(200 if self.path.startswith("/?") else 404, PAGE.read_bytes())

    def do_POST(self) -> None:
        shown = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.shown.put((shown["how"], shown["text"]))
        self._answer(200, b"")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the output of the tests clean."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving_page() -> Iterator[Site]:
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()


@contextmanager
def browsing(url: str, folder: Path) -> Iterator[None]:
    """A headless browser on this page."""
    assert BROWSER is not None
    command = [
        *(BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--no-first-run", "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", url),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
            for member in family:
                member.kill()


@pytest.mark.skipif(BROWSER is None, reason=f"no browser is installed: none of {', '.join(BROWSERS)}")
def test_a_browser_follows_a_task_to_its_end_over_a_restart_of_the_server(data_folder: Path) -> None:
    gate = data_folder / "go on"
    with running_dev(data_folder, "--import", str(HANDLERS[0])) as dev, serving_page() as site:
        taskflow = dev.addresses["rest"]
        with httpx.Client(base_url=taskflow, timeout=30) as rest:
            task = submit(rest, "test.halfway", {"until": str(gate)})
            query = urlencode({"taskflow": taskflow, "task": task["id"]})
            with browsing(f"{site.url}/?{query}", data_folder):
                site.until_both_show("50 %")
                server = psutil.Process(dev.child("server"))
                server.kill()
                until_gone([server])
                wait_until(lambda: rest.get(path_of(task)).is_success, seconds=SECONDS)
                gate.touch()
                site.until_both_show("100 %, finished")
            assert get(rest, task)["status"] == "SUCCEEDED"
    for how in ("events", "grpc-web"):
        texts = [text for place, text in site.history if place == how]
        assert [text for text in texts if text != "100 %"] == ["50 %", "75 %", "100 %, finished"]
