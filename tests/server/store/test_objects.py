"""Finished speech in a bucket, on the library's own stores: one in memory, one in a folder."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.server.resultcache.shared_memory import SharedMemory, World
from tests.server.store.results_conformance import (
    BUILT_IN,
    NAME,
    OTHERS,
    SECOND,
    VOICE,
    Make,
    SharedResultsConformance,
)
from tests.virtual_time import in_virtual_time
from timbre_server.errors import ConfigurationError, StoreUnavailable
from timbre_server.store.objects import REST_SECONDS, ObjectResults
from timbre_server.store.stored_results import StoredResults

TTL_SECONDS = 1000


def a_bucket(url: str, *, scope: str = "a.b", timeout_seconds: float = 20.0, late: float = 0.0) -> ObjectResults:
    return ObjectResults(
        url, scope=scope, ttl_seconds=TTL_SECONDS, timeout_seconds=timeout_seconds, clock=lambda: time.time() + late
    )


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class TestBucketWithLeasesElsewhere(SharedResultsConformance):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        world = World()
        return lambda: StoredResults(a_bucket(tmp_path.as_uri()), SharedMemory(world))


async def test_two_services_in_one_bucket_never_meet(tmp_path: Path) -> None:
    one, other = (a_bucket(tmp_path.as_uri(), scope=scope) for scope in ("a.b", "a.bc"))
    for bucket in (one, other):
        await bucket.put(NAME, b"speech")
    assert await one.erase(VOICE) == 1
    assert bytes(await other.get(NAME) or b"") == b"speech"


async def test_a_recording_is_a_prefix_and_built_in_voices_are_never_erased(tmp_path: Path) -> None:
    bucket = a_bucket(tmp_path.as_uri())
    for name in (NAME, SECOND, OTHERS, BUILT_IN):
        await bucket.put(name, b"speech")
    assert await bucket.erase("") == 0
    assert await bucket.erase(VOICE) == 2
    assert files(tmp_path) == sorted([f"a.b/{OTHERS.digest}/{OTHERS.key}", f"a.b/built-in/{BUILT_IN.key}"])


async def test_what_has_outlived_its_time_is_not_found(tmp_path: Path) -> None:
    await a_bucket(tmp_path.as_uri()).put(NAME, b"speech")
    assert await a_bucket(tmp_path.as_uri()).get(NAME) is not None
    assert await a_bucket(tmp_path.as_uri(), late=TTL_SECONDS + 1).get(NAME) is None


async def test_removing_what_is_not_there_is_no_failure() -> None:
    await a_bucket("memory:///").remove(NAME)


async def test_a_bucket_that_does_not_answer_is_said_in_our_words_and_left_alone_for_a_moment() -> None:
    bucket = a_bucket("http://127.0.0.1:9/bucket", timeout_seconds=0.2)
    for call in (bucket.get(NAME), bucket.put(NAME, b"speech"), bucket.remove(NAME), bucket.erase(VOICE)):
        with pytest.raises(StoreUnavailable):
            await call


@in_virtual_time
async def test_after_a_failure_nobody_asks_for_a_moment() -> None:
    bucket = a_bucket("memory:///")
    asked: list[int] = []

    async def fails() -> None:
        asked.append(1)
        raise TimeoutError

    for seconds in (0.0, REST_SECONDS - 1.0, 1.5):
        await asyncio.sleep(seconds)
        with pytest.raises(StoreUnavailable):
            await bucket._in_time(fails())
    assert len(asked) == 2


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://bucket/a"])
def test_what_is_no_bucket_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="OBJECT_URL"):
        a_bucket(url)


def test_without_the_package_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigurationError, match=r"extra object-storage"):
        a_bucket("memory:///")


async def test_a_bucket_is_asked_where_and_as_the_clouds_own_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    class Bucket(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        variables = {
            "AWS_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "eu-test-1",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        try:
            assert await a_bucket("s3://speech/below").get(NAME) is None
        finally:
            server.shutdown()
            serving.join()
    [(path, authorization)] = asked
    assert path == f"/speech/below/a.b/{NAME.digest}/{NAME.key}"
    assert "Credential=somebody/" in authorization
    assert "/eu-test-1/s3/" in authorization
