"""What the real exporter says of a Redis in trouble is what our alerts wait for."""

from __future__ import annotations

from pathlib import Path
from urllib.request import urlopen

import redis
from prometheus_client.parser import text_string_to_metric_families

from tests.chart.redis_exporter import exporting
from tests.full_disk import fill_disk, make_room
from tests.redis_server import RedisServer
from timbre_operator.desired.alerts import REDIS_KEEPS_FILE, REDIS_UP, REDIS_WRITES


def _told(exporter: str) -> dict[str, float]:
    with urlopen(f"http://{exporter}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = [sample for family in families for sample in family.samples]
    wanted = {REDIS_UP, REDIS_WRITES, REDIS_KEEPS_FILE}
    return {sample.name: sample.value for sample in samples if sample.name in wanted}


def test_a_redis_whose_disk_is_full_is_up_and_not_writing_until_there_is_room(
    writing_redis: RedisServer, tmp_path: Path
) -> None:
    with (
        exporting(writing_redis, tmp_path / "exporter.log") as exporter,
        redis.Redis(port=writing_redis.port) as client,
    ):
        assert _told(exporter) == {REDIS_UP: 1, REDIS_WRITES: 1, REDIS_KEEPS_FILE: 1}
        fill_disk(writing_redis.folder, client)
        assert _told(exporter) == {REDIS_UP: 1, REDIS_WRITES: 0, REDIS_KEEPS_FILE: 1}
        make_room(client)
        assert _told(exporter) == {REDIS_UP: 1, REDIS_WRITES: 1, REDIS_KEEPS_FILE: 1}


def test_a_redis_whose_file_was_turned_off_says_that_it_keeps_none(writing_redis: RedisServer, tmp_path: Path) -> None:
    with (
        exporting(writing_redis, tmp_path / "exporter.log") as exporter,
        redis.Redis(port=writing_redis.port) as client,
    ):
        client.config_set("appendonly", "no")
        assert _told(exporter) == {REDIS_UP: 1, REDIS_WRITES: 1, REDIS_KEEPS_FILE: 0}
