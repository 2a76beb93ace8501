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


_KEPT = a_service().with_spec(
    resultCache={
        "storage": "Bucket",
        "bucket": {"url": "s3://speech", "credentialsSecretRef": {"name": "cloud"}},
        "encryptionKeySecretRef": {"name": "speech", "key": "seal"},
        "links": {"keysSecretRef": {"name": "speech", "key": "links"}},
    }
)


def test_the_secret_of_a_managed_redis_is_none_of_other_people() -> None:
    assert referenced_secrets(a_service().built()) == ()


def test_the_secrets_of_finished_speech_are_named_too() -> None:
    assert referenced_secrets(_KEPT.built()) == ("cloud", "speech")


def test_where_no_speech_is_kept_its_secrets_do_not_matter() -> None:
    service = a_service().with_spec(
        resultCache={"enabled": False, "encryptionKeySecretRef": {"name": "speech", "key": "seal"}}
    )
    assert referenced_secrets(service.built()) == ()


def test_a_missing_key_of_finished_speech_is_said_with_its_field() -> None:
    assert missing_references(_KEPT.built(), {"speech": {"links": b64("a")}}) == (
        "spec.resultCache.bucket.credentialsSecretRef names Secret cloud, which is not there; create it",
        "spec.resultCache.encryptionKeySecretRef names the key seal of Secret speech, which is not there or empty; add it",
    )
    assert missing_references(_KEPT.built(), {"cloud": {}, "speech": {}})[1:] == (
        "spec.resultCache.links.keysSecretRef names the key links of Secret speech, which is not there or empty; add it",
    )


def test_pods_roll_for_every_variable_of_the_cloud_and_for_each_key() -> None:
    speech = {"seal": b64("a"), "links": b64("b"), "other": b64("c")}
    cloud = {"AWS_REGION": b64("north")}

    def checksum(**changes: dict[str, str]) -> str:
        return secrets_checksum(_KEPT.built(), {"cloud": cloud, "speech": speech, **changes})

    first = checksum()
    assert checksum(speech={**speech, "other": b64("x")}) == first
    others = {
        checksum(cloud={"AWS_REGION": b64("south")}),
        checksum(cloud={**cloud, "AWS_ENDPOINT": b64("here")}),
        checksum(speech={**speech, "seal": b64("x")}),
        checksum(speech={**speech, "links": b64("x")}),
    }
    assert len(others - {first}) == 4


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
