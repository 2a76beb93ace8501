"""Where a server keeps finished speech is what its settings say, and settings that cannot work stop the start."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.redis_server import RedisServer
from tests.server.app.test_results_fleet import SCOPE, a_pod, new_text, said
from tests.server.resultcache.sayings import DESCRIPTOR
from timbre_server.app.registries import LoneRegistry
from timbre_server.app.results import ResultPlaces, build_results
from timbre_server.errors import ConfigurationError
from timbre_server.service.lifecycle import Lifecycle
from timbre_server.settings import ResultCacheSettings, Settings
from timbre_server.telemetry.metrics import Metrics


def built(**settings: object) -> ResultPlaces:
    chosen = ResultCacheSettings(**settings)  # type: ignore[arg-type]
    return build_results(DESCRIPTOR, LoneRegistry(Settings()), chosen, Metrics(), scope="a.b", lifecycle=Lifecycle())


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".part"]


def test_pods_share_a_volume_and_agree_in_redis(redis_server: RedisServer, tmp_path: Path) -> None:
    place = {"RESULT_CACHE__STORAGE": "volume", "RESULT_CACHE__VOLUME_PATH": str(tmp_path)}
    text = new_text()
    with ExitStack() as stack:
        one, other = (stack.enter_context(a_pod(redis_server, f"pod-volume-{n}", **place)) for n in range(2))
        assert said(one, text).cache == "miss"
        while not files(tmp_path):
            pass
        assert said(other, text).cache == "hit"
    [file] = files(tmp_path)
    assert file.parent == tmp_path / SCOPE / "built-in"
    with redis.Redis.from_url(redis_server.url) as client:
        assert not client.exists(f"timbre:1:result:{SCOPE}:{{{file.name}}}")


def test_a_server_without_redis_finds_in_its_volume_what_it_said_before_a_restart(tmp_path: Path) -> None:
    place = {"RESULT_CACHE__STORAGE": "volume", "RESULT_CACHE__VOLUME_PATH": str(tmp_path), "REDIS__URL": ""}
    text = new_text()
    server = RedisServer()
    server.close()
    for outcome in ("miss", "hit"):
        with a_pod(server, "pod-alone", **place) as pod:
            assert said(pod, text).cache == outcome


def test_a_server_that_keeps_nothing_has_no_places() -> None:
    assert built(enabled=False) == ResultPlaces()
    assert built(enabled=False).report() == {}


@pytest.mark.parametrize(
    ("settings", "said_of"),
    [
        ({"storage": "volume"}, "VOLUME_PATH"),
        ({"storage": "volume", "volume_path": Path(os.devnull) / "below"}, "finished speech"),
        ({"storage": "object"}, "OBJECT_URL"),
        ({"key_file": Path("/nowhere")}, "KEY_FILE"),
        ({"link_keys_file": Path("/nowhere")}, "LINK_KEYS_FILE"),
        ({"private_patterns_file": Path("/nowhere")}, "PRIVATE_PATTERNS_FILE"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_stop_the_start(settings: dict[str, object], said_of: str) -> None:
    with pytest.raises(ConfigurationError, match=said_of):
        built(**settings)


def test_what_is_held_is_exported_and_told() -> None:
    metrics = Metrics()
    places = build_results(
        DESCRIPTOR, LoneRegistry(Settings()), ResultCacheSettings(), metrics, scope="a.b", lifecycle=Lifecycle()
    )
    assert places.report() == {"results": {"entries": 0, "held_bytes": 0, "capacity_bytes": 64 << 20}}
    assert metrics.registry.get_sample_value("timbre_result_cache_bytes", {"tier": "host"}) == 0
