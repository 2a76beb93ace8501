"""How is finished speech kept in a bucket: S3 and what speaks like it, Google's and Azure's, by ``obstore``?

An object for each speech, below a prefix for each recording.  Credentials come from where the cloud's own tools find them
(variables, a mounted token, the instance).  Objects that have outlived their time are not found any more; a life-cycle
rule of the bucket removes them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from timbre_server.errors import ConfigurationError, StoreUnavailable
from timbre_server.ports import Blob, ResultName

T = TypeVar("T")

BUILT_IN: Final = "built-in"
"""The prefix of voices that have no recording."""

ERASED_AT_ONCE: Final = 1000
"""Objects that one call of S3 deletes at most."""

REST_SECONDS: Final = 5.0
"""How long nobody asks after a failure: a request must not wait for a bucket that has just kept another one waiting."""


class ObjectResults:
    """``ResultFiles`` in a bucket."""

    def __init__(
        self,
        url: str,
        *,
        scope: str,
        ttl_seconds: int,
        timeout_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``url`` as ``s3://bucket/prefix``; ``clock`` gives Unix time in seconds.

        Raises:
            ConfigurationError: it is no address of a bucket, or the package ``obstore`` is not installed.
        """
        try:
            import obstore  # noqa: PLC0415 - an optional package
            from obstore.store import from_url  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(
                "TIMBRE_RESULT_CACHE__STORAGE=object needs a package that is not installed (obstore); install"
                " Timbre with its extra object-storage"
            ) from error
        self._library: Any = obstore
        try:
            self._store: Any = from_url(url)
        except (ValueError, self._library.exceptions.BaseError) as error:
            raise ConfigurationError("TIMBRE_RESULT_CACHE__OBJECT_URL is no address of a bucket") from error
        self._scope = scope
        self._ttl_seconds = ttl_seconds
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._asks_again_at = float("-inf")

    async def get(self, name: ResultName) -> Blob | None:
        return await self._in_time(self._get(self._path(name)))

    async def put(self, name: ResultName, blob: bytes) -> None:
        await self._in_time(self._put(self._path(name), blob))

    async def remove(self, name: ResultName) -> None:
        await self._in_time(self._delete([self._path(name)]))

    async def erase(self, digest: str) -> int:
        if not digest:
            return 0
        return await self._erase(f"{self._scope}/{digest}/")

    async def close(self) -> None:
        pass

    def _path(self, name: ResultName) -> str:
        return f"{self._scope}/{name.digest or BUILT_IN}/{name.key}"

    async def _get(self, path: str) -> Blob | None:
        try:
            found = await self._library.get_async(self._store, path)
        except FileNotFoundError:
            return None
        if found.meta["last_modified"].timestamp() + self._ttl_seconds <= self._clock():
            return None
        return memoryview(await found.bytes_async())

    async def _put(self, path: str, blob: bytes) -> None:
        await self._library.put_async(self._store, path, blob)

    async def _delete(self, paths: list[str]) -> None:
        with suppress(FileNotFoundError):  # S3 does not say, others do
            await self._library.delete_async(self._store, paths)

    async def _erase(self, prefix: str) -> int:
        """Page by page, each in its own time: a voice may have said a million things."""
        erased = 0
        pages = self._library.list(self._store, prefix=prefix, chunk_size=ERASED_AT_ONCE)
        while page := await self._in_time(_next_page(pages)):
            await self._in_time(self._delete([entry["path"] for entry in page]))
            erased += len(page)
        return erased

    async def _in_time(self, call: Coroutine[Any, Any, T]) -> T:
        now = asyncio.get_running_loop().time
        if now() < self._asks_again_at:
            call.close()
            raise StoreUnavailable("the bucket for finished speech did not answer a moment ago")
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await call
        except (OSError, self._library.exceptions.BaseError) as error:  # TimeoutError is an OSError
            self._asks_again_at = now() + REST_SECONDS
            raise StoreUnavailable("the bucket for finished speech does not answer") from error


async def _next_page(pages: Any) -> list[Any]:
    try:
        page: list[Any] = await anext(pages)
    except StopAsyncIteration:
        return []
    return page
