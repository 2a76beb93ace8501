"""Which Secrets does a spec name, what is said where one is missing, and when do pods roll?"""

from __future__ import annotations

import base64

from tests.operator.manifests import a_service
from timbre_operator.desired.references import missing_references, referenced_secrets, secrets_checksum


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


_EVERYTHING = a_service().on_external_redis(
    mode="Sentinel",
    passwordSecretRef={"name": "cache", "key": "pw"},
    sentinel={"passwordSecretRef": {"name": "cache"}},
    tls={"caSecretRef": {"name": "authority"}, "certificateSecretRef": {"name": "client"}},
)


def test_every_secret_is_named_once() -> None:
    assert referenced_secrets(_EVERYTHING.built()) == ("cache", "authority", "client")


def test_the_managed_redis_has_one_of_its_own() -> None:
    assert referenced_secrets(a_service().built()) == ("narrator-redis",)


def test_a_redis_without_secrets_needs_none() -> None:
    assert referenced_secrets(a_service().on_external_redis().built()) == ()


def test_a_missing_secret_is_said_with_the_field_that_names_it() -> None:
    service = a_service().on_external_redis(passwordSecretRef={"name": "cache"}).built()
    assert missing_references(service, {}) == (
        "spec.redis.external.passwordSecretRef names Secret cache, which is not there; create it, with the key password",
    )


def test_a_missing_key_is_said_too() -> None:
    service = a_service().on_external_redis(tls={"certificateSecretRef": {"name": "client"}}).built()
    secrets = {"client": {"tls.crt": b64("certificate"), "tls.key": ""}}
    (sentence,) = missing_references(service, secrets)
    assert sentence == (
        "spec.redis.external.tls.certificateSecretRef names the key tls.key of Secret client, which is not there or"
        " empty; add it"
    )


def test_nothing_is_missed_where_everything_is_there() -> None:
    secrets = {
        "cache": {"pw": b64("a"), "password": b64("b")},
        "authority": {"ca.crt": b64("c")},
        "client": {"tls.crt": b64("d"), "tls.key": b64("e")},
    }
    assert missing_references(_EVERYTHING.built(), secrets) == ()


def test_the_secret_of_the_managed_redis_is_the_operators_own_business() -> None:
    assert missing_references(a_service().built(), {}) == ()


def test_pods_roll_when_a_key_that_they_read_changes_and_for_no_other() -> None:
    service = a_service().on_external_redis(passwordSecretRef={"name": "cache"}).built()
    first = secrets_checksum(service, {"cache": {"password": b64("one"), "other": "x"}})
    assert len(first) == 16
    assert first == secrets_checksum(service, {"cache": {"password": b64("one"), "other": "y"}})
    assert first != secrets_checksum(service, {"cache": {"password": b64("two"), "other": "x"}})


def test_a_service_without_references_has_no_checksum() -> None:
    assert secrets_checksum(a_service().built(), {}) == ""
    assert secrets_checksum(a_service().on_external_redis().built(), {}) == ""
