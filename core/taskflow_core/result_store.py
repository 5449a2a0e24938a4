"""Where large results lie: a local folder, S3, Google Cloud Storage or Azure. The only place that knows obstore."""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path, PurePosixPath
from uuid import UUID

import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from taskflow_core.errors import NotFound, Unavailable
from taskflow_core.settings import Settings

log = structlog.get_logger()

CHUNK = 256 * 1024  # bytes
# Within one call: requests that fail are repeated by the library, with backoff.
MAX_RETRIES = 5
RETRY_TIMEOUT = timedelta(seconds=30)

# At the start a store is asked for something that is not there, and has so many seconds to answer.
NO_RESULT = "taskflow/no-result"
CHECK_SECONDS = 10.0
# What S3, Google and Azure say when not even the bucket is there.
NO_BUCKET = ("NoSuchBucket", "The specified bucket does not exist", "ContainerNotFound")
# What a store says when it is away, full, or refuses us; a local one speaks with OSError.
STORE_ERRORS = (BaseError, OSError)


class ResultStoreError(Unavailable):
    """The store of large results does not do what it was asked for."""


class ResultStore:
    """Keeps results as objects named `<tenant>/<task>/<attempt>.json`.

    The attempt is part of the name, so a worker that was fenced off cannot overwrite another's result.
    """

    def __init__(self, url: str) -> None:
        """`url` is that of the setting `result_store`. Raises ValueError if it is none."""
        self.url = url.rstrip("/")
        self._store = _open(url)

    async def write(self, tenant_id: str, task_id: UUID, attempt: int, data: bytes) -> str:
        """Store the result of an attempt and return its URL; it is durable then. Raises ResultStoreError."""
        key = f"{_folder(tenant_id, task_id)}/{attempt}.json"
        with _reporting("write", f"{self.url}/{key}"):
            await self._store.put_async(key, data)
            if isinstance(self._store, LocalStore) and self._store.prefix is not None:
                await asyncio.to_thread(_make_durable, Path(self._store.prefix), key)
        return f"{self.url}/{key}"

    async def read(self, url: str) -> AsyncGenerator[bytes, None]:
        """The result at a URL that `write` returned, in chunks.

        Raises NotFound if nothing is there, and ResultStoreError, before the first chunk if possible.
        """
        if not url.startswith(f"{self.url}/"):
            raise ResultStoreError(
                f"the result lies at {url}, outside of the result store {self.url}"
                " (setting TASKFLOW_RESULT_STORE)",
                url=url,
                setting="TASKFLOW_RESULT_STORE",
            )
        with _reporting("read", url):
            try:
                found = await self._store.get_async(url.removeprefix(f"{self.url}/"))
            except FileNotFoundError:
                raise NotFound("result", url) from None
            async for chunk in found.stream(min_chunk_size=CHUNK):
                # A buffer may be larger than what fits one message.
                data = memoryview(chunk)
                for start in range(0, len(data), CHUNK):
                    yield bytes(data[start : start + CHUNK])

    async def delete(self, tenant_id: str, task_id: UUID, attempt: int) -> None:
        """Delete what the attempts of a task up to this one have stored. Raises ResultStoreError.

        A later one is left alone: the task was put back to work meanwhile.
        """
        folder = _folder(tenant_id, task_id)
        with _reporting("delete", f"{self.url}/{folder}"):
            for meta in await self._store.list_async(folder).collect_async():
                key = meta["path"]
                number = PurePosixPath(key).stem
                if number.isdecimal() and int(number) <= attempt:
                    await self._delete(key)

    async def check(self) -> None:
        """Raises ValueError if the bucket does not exist. One that does not answer may do so later."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._store.get_async(NO_RESULT)
        except FileNotFoundError as error:
            if any(code in str(error) for code in NO_BUCKET):
                raise ValueError(
                    f"TASKFLOW_RESULT_STORE is {self.url!r}, but there is no such bucket: create it,"
                    f" or name another. The store says: {_first_line(error)}"
                ) from error
        except (*STORE_ERRORS, TimeoutError) as error:
            log.warning("the result store does not answer", url=self.url, error=_first_line(error))

    async def _delete(self, key: str) -> None:
        with suppress(FileNotFoundError):  # another process was first
            await self._store.delete_async(key)


async def open_result_store(settings: Settings) -> ResultStore | None:
    """The store that the settings name; None if they name none. Raises ValueError, also if its bucket is missing."""
    if not settings.result_store:
        return None
    store = ResultStore(settings.result_store)
    await store.check()
    return store


def _folder(tenant_id: str, task_id: UUID) -> str:
    return f"{tenant_id}/{task_id}"


def _open(url: str) -> ObjectStore:
    try:
        if url.startswith("file:"):
            return LocalStore.from_url(url, mkdir=True, automatic_cleanup=True)
        return from_url(url, retry_config={"max_retries": MAX_RETRIES, "retry_timeout": RETRY_TIMEOUT})
    except (*STORE_ERRORS, ValueError) as error:
        raise ValueError(
            f"TASKFLOW_RESULT_STORE is {url!r}, which cannot be opened: {_first_line(error)}."
            " It is a URL such as file:///var/lib/taskflow/results, s3://bucket/folder, gs://bucket/folder"
            " or az://container/folder"
        ) from error


def _make_durable(root: Path, key: str) -> None:
    """Have the disk hold a new file and the names that lead to it; renaming alone survives no power cut."""
    path = root / key
    for each in (path, *path.parents):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if each == root:
            break


@contextmanager
def _reporting(what: str, url: str) -> Iterator[None]:
    try:
        yield
    except STORE_ERRORS as error:
        raise ResultStoreError(f"cannot {what} {url}: {_first_line(error)}", url=url) from error


def _first_line(error: Exception) -> str:
    """The library adds the debug output of its own language below."""
    return (str(error) or repr(error)).splitlines()[0]
