"""The operator's own way to a Redis."""

from __future__ import annotations

from tests.operator.desired.children import environment_of, server_pod
from tests.operator.desired.test_references import b64
from tests.operator.manifests import a_service
from timbre_operator.desired.redis_target import redis_target
from timbre_operator.observed import RedisFacts, RedisProblem
from timbre_operator.ports import RedisTarget


def test_the_managed_redis_is_looked_at_as_the_operators_user() -> None:
    secrets = {"narrator-redis": {"operator-password": b64("secret"), "password": b64("pods")}}
    assert redis_target(a_service().built(), secrets) == RedisTarget(
        mode="standalone",
        address="narrator-redis.studio.svc:6379",
        appends=True,
        username="timbre-operator",
        password="secret",
    )


def test_it_is_looked_at_where_the_pods_look_for_it() -> None:
    target = redis_target(a_service().built(), {"narrator-redis": {"operator-password": b64("secret")}})
    assert isinstance(target, RedisTarget)
    assert environment_of(server_pod(a_service()))["TIMBRE_REDIS__URL"] == f"redis://{target.address}/0"


def test_every_field_of_an_external_redis_counts() -> None:
    service = a_service().on_external_redis(
        mode="Sentinel",
        address="a:26379,b:26379",
        database=3,
        username="voices",
        passwordSecretRef={"name": "cache", "key": "pw"},
        sentinel={"master": "main", "passwordSecretRef": {"name": "guards"}},
        tls={"caSecretRef": {"name": "authority"}, "certificateSecretRef": {"name": "client"}},
    )
    secrets = {
        "cache": {"pw": b64("one\n")},  # as echo writes it
        "guards": {"password": b64("two")},
        "authority": {"ca.crt": b64("CA")},
        "client": {"tls.crt": b64("CERTIFICATE"), "tls.key": b64("KEY")},
    }
    assert redis_target(service.built(), secrets) == RedisTarget(
        mode="sentinel",
        address="a:26379,b:26379",
        database=3,
        username="voices",
        password="one",
        sentinel_master="main",
        sentinel_password="two",
        tls=True,
        ca_pem="CA",
        certificate_pem="CERTIFICATE",
        key_pem="KEY",
    )


def test_an_open_redis_needs_nothing_but_its_address() -> None:
    target = redis_target(a_service().on_external_redis().built(), {})
    assert target == RedisTarget(mode="standalone", address="redis.shared:6379", sentinel_master="mymaster")


def test_a_missing_secret_is_a_fact_about_the_redis() -> None:
    service = a_service().on_external_redis(passwordSecretRef={"name": "cache"}).built()
    assert redis_target(service, {}) == RedisFacts(
        address="redis.shared:6379",
        problem=RedisProblem.SECRET_MISSING,
        detail="spec.redis.external.passwordSecretRef names Secret cache, which is not there; create it, with the key"
        " password",
    )


def test_a_secret_that_is_no_text_is_a_fact_about_the_redis_and_is_not_shown() -> None:
    service = a_service().on_external_redis(passwordSecretRef={"name": "cache"}).built()
    facts = redis_target(service, {"cache": {"password": "/w=="}})
    assert isinstance(facts, RedisFacts)
    assert facts.problem is RedisProblem.SECRET_MISSING
    assert "UTF-8" in facts.detail


def test_a_target_shows_no_secret() -> None:
    target = redis_target(a_service().built(), {"narrator-redis": {"operator-password": b64("secret")}})
    assert "secret" not in repr(target)
