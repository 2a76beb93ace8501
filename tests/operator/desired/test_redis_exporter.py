"""The exporter beside a managed Redis: what it asks for, and what it may not see."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.operator.desired.children import PASSWORDS, children_of, container_of
from tests.operator.manifests import AService, a_service
from timbre_operator.desired import RedisPasswords
from timbre_operator.desired.redis_exporter import MONITOR_USER, monitor_password

_DISABLED = a_service().with_spec(redis={"managed": {"exporter": "Disabled"}})


def _template(service: AService) -> dict[str, Any]:
    template: dict[str, Any] = children_of(service)["StatefulSet/narrator-redis"]["spec"]["template"]
    return template


def _option(name: str) -> str:
    (value,) = [
        word.partition("=")[2]
        for word in container_of(_template(a_service()), "exporter")["args"]
        if word.startswith(name)
    ]
    return value


def test_it_is_scraped_at_the_port_that_its_pod_monitor_names() -> None:
    children = children_of(a_service())
    (port,) = container_of(_template(a_service()), "exporter")["ports"]
    (endpoint,) = children["PodMonitor/narrator-redis"]["spec"]["podMetricsEndpoints"]
    assert (port["name"], port["containerPort"]) == (endpoint["port"], 9121)
    assert _option("--web.listen-address") == ":9121"


def test_it_finds_its_password_in_its_file_under_the_address_that_it_asks() -> None:
    mounts = container_of(_template(a_service()), "exporter")["volumeMounts"]
    assert _option("--redis.password-file") == f"{mounts[0]['mountPath']}/exporter.json"
    file = json.loads(base64.b64decode(children_of(a_service())["Secret/narrator-redis-acl"]["data"]["exporter.json"]))
    scheme, _, address = _option("--redis.addr").partition("://")
    assert file == {f"{scheme}://{_option('--redis.user')}@{address}": monitor_password(PASSWORDS)}


def test_its_password_is_nobody_elses_and_tells_none() -> None:
    password = monitor_password(PASSWORDS)
    assert password not in {PASSWORDS.pods, PASSWORDS.operator}
    assert password != monitor_password(RedisPasswords(pods=PASSWORDS.pods, operator="another"))
    assert password == monitor_password(RedisPasswords(pods="another", operator=PASSWORDS.operator))
    assert password not in str(container_of(_template(a_service()), "exporter"))


def test_it_connects_to_no_address_that_a_stranger_names() -> None:
    assert _option("--disable-scrape-endpoint") == "true"


def test_redis_does_not_wait_for_it() -> None:
    exporter = container_of(_template(a_service()), "exporter")
    assert "readinessProbe" not in exporter
    assert "startupProbe" not in exporter


def test_it_writes_nothing_and_is_nobody() -> None:
    security = container_of(_template(a_service()), "exporter")["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_whoever_wants_none_gets_none() -> None:
    children = children_of(_DISABLED)
    template = _template(_DISABLED)
    assert [container["name"] for container in template["spec"]["containers"]] == ["redis"]
    assert [volume["name"] for volume in template["spec"]["volumes"]] == ["config", "acl"]
    assert "PodMonitor/narrator-redis" not in children
    assert len(children["NetworkPolicy/narrator-redis"]["spec"]["ingress"]) == 1


def test_its_user_is_called_as_it_logs_in() -> None:
    users = base64.b64decode(children_of(a_service())["Secret/narrator-redis-acl"]["data"]["users.acl"]).decode()
    assert f"user {MONITOR_USER} on #" in users
    assert _option("--redis.user") == MONITOR_USER
