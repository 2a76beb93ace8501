"""Finished speech: where pods share it, and the keys for it, arrive in the server, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.operator.desired.children import children_of, container_of, environment_of, server_pod
from tests.operator.manifests import AService, a_service
from timbre_server.settings import ResultCacheSettings, settings_from_environment

_VOLUME = a_service().with_spec(
    resultCache={"storage": "Volume", "volume": {"claimName": "speech", "maxBytes": "2Gi"}, "similarText": True}
)
_BUCKET = a_service().with_spec(
    resultCache={
        "storage": "Bucket",
        "bucket": {"url": "s3://speech/below", "credentialsSecretRef": {"name": "cloud"}},
        "encryptionKeySecretRef": {"name": "keys", "key": "speech"},
        "links": {"keysSecretRef": {"name": "others", "key": "links"}, "ttl": "90m"},
    }
)


def _settings(service: AService, monkeypatch: pytest.MonkeyPatch) -> ResultCacheSettings:
    for name, value in environment_of(server_pod(service)).items():
        if name.startswith("TIMBRE_RESULT_CACHE__"):
            monkeypatch.setenv(name, value)
    return settings_from_environment().result_cache


def _volumes(service: AService) -> dict[str, Any]:
    return {volume["name"]: volume for volume in server_pod(service)["spec"]["volumes"]}


def _mounts(service: AService) -> dict[str, Any]:
    return {mount["name"]: mount for mount in container_of(server_pod(service))["volumeMounts"]}


def test_a_volume_is_mounted_where_the_server_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(_VOLUME, monkeypatch)
    assert (settings.storage, settings.volume_max_bytes, settings.similar_text) == ("volume", 2 << 30, True)
    mount = _mounts(_VOLUME)["results"]
    assert settings.volume_path == Path(mount["mountPath"])
    assert not mount.get("readOnly", False)
    assert _volumes(_VOLUME)["results"]["persistentVolumeClaim"] == {"claimName": "speech"}
    pod = server_pod(_VOLUME)["spec"]
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    assert container_of(server_pod(_VOLUME))["securityContext"]["readOnlyRootFilesystem"]


def test_a_bucket_its_credentials_and_keys_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(_BUCKET, monkeypatch)
    assert (settings.storage, settings.object_url, settings.link_seconds) == ("object", "s3://speech/below", 5400)
    assert container_of(server_pod(_BUCKET))["envFrom"] == [{"secretRef": {"name": "cloud"}}]
    keys = _volumes(_BUCKET)["result-keys"]["projected"]
    mount = _mounts(_BUCKET)["result-keys"]
    paths = {
        source["secret"]["name"]: f"{mount['mountPath']}/{item['path']}"
        for source in keys["sources"]
        for item in source["secret"]["items"]
    }
    assert paths == {"keys": str(settings.key_file), "others": str(settings.link_keys_file)}
    assert mount["readOnly"]
    assert keys["defaultMode"] == 0o440


def test_without_a_choice_there_is_redis_and_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(a_service(), monkeypatch)
    assert (settings.storage, settings.key_file, settings.link_keys_file) == ("redis", None, None)
    assert not {"results", "result-keys"} & (_volumes(a_service()).keys() | _mounts(a_service()).keys())
    assert "envFrom" not in container_of(server_pod(a_service()))


@pytest.mark.parametrize("service", [_VOLUME, _BUCKET], ids=["volume", "bucket"])
def test_where_nothing_is_kept_nothing_is_mounted(service: AService) -> None:
    off = service.with_spec(resultCache={"enabled": False})
    assert not {"results", "result-keys"} & _volumes(off).keys()
    assert "envFrom" not in container_of(server_pod(off))


def test_no_other_child_learns_of_it() -> None:
    for name, child in children_of(_BUCKET).items():
        if name != "Deployment/narrator":
            assert "cloud" not in json.dumps(child)
