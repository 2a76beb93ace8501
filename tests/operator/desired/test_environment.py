"""Fields become variables that the server has, with values that it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.operator.desired.children import container_of, environment_of, server_pod
from tests.operator.manifests import AService, a_service
from timbre_server.settings import Settings, settings_from_environment, unknown_variables, variables

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "examples").glob("*.yaml"))


def _settings(service: AService, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a server makes of the pod's variables."""
    for name, value in environment_of(server_pod(service)).items():
        if name != "HOME":
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("TIMBRE_POD", "narrator-5d4f-abcde")
    return settings_from_environment()


def test_fields_arrive_in_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(
        a_service().with_spec(
            batching={"maxBatchSize": 8, "maxBatchCost": "1.5s", "maxQueueDelay": "20ms", "maxPending": "1m"},
            voiceCache={
                "device": {"minBytes": "1Mi", "maxBytes": "3Gi", "keepFree": "30%"},
                "host": {"maxBytes": "2Gi"},
                "warmup": {"voices": 7, "deadline": "1m30s"},
            },
            resultCache={
                "enabled": False,
                "ttl": "1500ms",
                "maxEntryBytes": "1Mi",
                "speedTolerancePercent": 5,
                "host": {"maxBytes": "128Mi"},
            },
            drain={"accept": "500ms", "timeout": "10m"},
            autoscaling={"targets": {"hitRatePercent": 91}},
        ),
        monkeypatch,
    )
    batching, cache = settings.batching, settings.voice_cache
    assert (batching.max_batch_size, batching.max_batch_cost_seconds) == (8, 1.5)
    assert (batching.max_queue_delay_seconds, batching.max_pending_seconds) == (0.02, 60)
    assert (cache.device_min_bytes, cache.device_max_bytes, cache.device_keep_free_percent) == (1 << 20, 3 << 30, 30)
    assert (cache.host_max_bytes, cache.warmup_voices, cache.warmup_deadline_seconds) == (2 << 30, 7, 90)
    assert cache.target_hit_rate_percent == 91
    results = settings.result_cache
    assert (results.enabled, results.ttl_seconds, results.speed_tolerance_percent) == (False, 2, 5)
    assert (results.max_entry_bytes, results.host_max_bytes) == (1 << 20, 128 << 20)
    assert (settings.drain.accept_seconds, settings.drain.timeout_seconds) == (0.5, 600)
    assert (settings.scope, settings.pod) == ("studio.narrator", "narrator-5d4f-abcde")
    assert (settings.http.host, settings.http.port, settings.http.admin_port) == ("0.0.0.0", 8000, 9000)


def test_an_external_redis_arrives_in_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    redis = _settings(
        a_service().on_external_redis(
            mode="Sentinel",
            address="a:26379,b:26379",
            username="voices",
            passwordSecretRef={"name": "s"},
            sentinel={"master": "m", "passwordSecretRef": {"name": "s"}},
            tls={"caSecretRef": {"name": "s"}, "certificateSecretRef": {"name": "c"}},
        ),
        monkeypatch,
    ).redis
    assert (redis.url, redis.mode, redis.username) == ("rediss://a:26379,b:26379/0", "sentinel", "voices")
    assert redis.sentinel_master == "m"
    folder = Path("/etc/timbre/redis")
    assert redis.password_file == folder / "password"
    assert redis.sentinel_password_file == folder / "sentinel-password"
    assert (redis.tls_ca_file, redis.tls_cert_file) == (folder / "ca.crt", folder / "tls.crt")
    assert redis.tls_key_file == folder / "tls.key"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_a_server_starts_with_what_an_example_says(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _settings(AService(yaml.safe_load(example.read_text("utf-8"))), monkeypatch)


def test_every_variable_is_one_of_the_server_s() -> None:
    services = [a_service(), a_service().on_external_redis(username="u", passwordSecretRef={"name": "s"})]
    services.append(a_service().with_spec(engine={"name": "pocket-tts", "model": {"path": "/m"}}))
    known = {name for name, _ in variables()}
    for service in services:
        environment = environment_of(server_pod(service))
        assert unknown_variables(environment) == []
        assert len(known & set(environment)) > 15


def test_what_is_an_engine_s_own_is_passed_on_beside_the_model() -> None:
    service = a_service().with_spec(
        engine={"name": "pocket-tts", "model": {"path": "/m"}, "options": {"threads": 2, "dtype": "float16"}}
    )
    options = json.loads(environment_of(server_pod(service))["TIMBRE_ENGINE__OPTIONS"])
    assert options == {"path": "/m", "threads": 2, "dtype": "float16"}


def test_an_engine_without_options_gets_none() -> None:
    assert "TIMBRE_ENGINE__OPTIONS" not in environment_of(server_pod(a_service()))


def test_a_pod_is_called_as_kubernetes_calls_it() -> None:
    (pod,) = [v for v in container_of(server_pod(a_service()))["env"] if v["name"] == "TIMBRE_POD"]
    assert pod["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_no_variable_is_named_twice() -> None:
    names = [variable["name"] for variable in container_of(server_pod(a_service()))["env"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("written", "text"), [("100s", "100"), ("1.50s", "1.5"), ("10m", "600"), ("1ms", "0.001")])
def test_equal_durations_are_equal_texts(written: str, text: str) -> None:
    pod = server_pod(a_service().with_spec(batching={"maxBatchCost": written}))
    assert environment_of(pod)["TIMBRE_BATCHING__MAX_BATCH_COST_SECONDS"] == text
