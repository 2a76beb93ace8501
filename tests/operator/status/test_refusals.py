"""What the API server refuses: which right, quota, policy or field, and whose name is taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.manifests import a_service
from tests.operator.status.states import AState, Built, a_deployment, a_good_state, a_state, an_object
from timbre_contract import labels
from timbre_operator.voiceservice.status import Condition


def _degraded(state: AState) -> Condition:
    return state.condition("Degraded")


_QUOTA = (
    'pods "narrator-7d9c5b8f6d-x2x4p" is forbidden: exceeded quota: compute, requested: requests.nvidia.com/gpu=1, used:'
    " requests.nvidia.com/gpu=2, limited: requests.nvidia.com/gpu=2"
)
_UNSAID = 'pods "narrator-7d9c5b8f6d-x2x4p" is forbidden: failed quota: compute: must specify limits.memory'
_SECURITY = (
    'pods "narrator-7d9c5b8f6d-x2x4p" is forbidden: violates PodSecurity "restricted:latest": privileged (container'
    ' "server" must not set securityContext.privileged=true)'
)
_WEBHOOK = 'admission webhook "policy.example.com" denied the request: images must come from registry.example.com'
_VAP = "ValidatingAdmissionPolicy 'images' with binding 'images' denied request: images must come from registry.example.com"


@pytest.mark.parametrize(
    ("words", "reason", "advice"),
    [
        (
            _QUOTA,
            "QuotaExceeded",
            "quota compute of the namespace is used up; raise it, or ask for less in spec.resources",
        ),
        (_UNSAID, "QuotaExceeded", "quota compute"),
        (_SECURITY, "PodSecurityViolated", "correct spec.podTemplate, which lifts a restriction"),
        (_WEBHOOK, "PolicyDenied", "images must come from registry.example.com"),
        (_VAP, "PolicyDenied", "images must come from registry.example.com"),
        ('serviceaccount "x" not found', "PodsRefused", "Deployment narrator cannot make its pods"),
    ],
)
def test_pods_that_may_not_be_made_are_told(words: str, reason: str, advice: str) -> None:
    ready = a_state().having(a_deployment().starting(0, of=1).refused(words)).condition("Ready")
    assert ready.reason == reason
    assert advice in ready.message
    assert words[-40:] in ready.message


def test_the_same_is_told_of_the_pod_of_redis() -> None:
    words = f"create Pod narrator-redis-0 in StatefulSet narrator-redis failed error: {_QUOTA}"
    state = a_state().having(a_deployment().serving(1), an_object("StatefulSet", "narrator-redis"))
    degraded = _degraded(state.warned("StatefulSet", "narrator-redis", "FailedCreate", words))
    assert degraded.reason == "QuotaExceeded"
    assert _degraded(state.warned("StatefulSet", "another", "FailedCreate", words)).reason == "AsExpected"


def test_a_refusal_that_was_overcome_is_forgotten() -> None:
    words = f"create Pod narrator-redis-0 in StatefulSet narrator-redis failed error: {_QUOTA}"
    stateful_set = an_object("StatefulSet", "narrator-redis").with_status(replicas=1)
    state = a_state().having(a_deployment().serving(1), stateful_set)
    assert _degraded(state.warned("StatefulSet", "narrator-redis", "FailedCreate", words)).reason == "AsExpected"


def test_a_missing_right_is_named_with_verb_resource_and_namespace() -> None:
    words = (
        'horizontalpodautoscalers.autoscaling "narrator" is forbidden: User'
        ' "system:serviceaccount:timbre-system:timbre-operator" cannot patch resource "horizontalpodautoscalers" in API'
        ' group "autoscaling" in the namespace "studio"'
    )
    degraded = _degraded(a_good_state().failing("HorizontalPodAutoscaler", "Forbidden", words))
    assert degraded.reason == "RightMissing"
    assert degraded.message.startswith(
        "the operator may not patch horizontalpodautoscalers.autoscaling in namespace studio; upgrade its chart"
    )


def test_a_right_on_a_core_resource_of_all_namespaces_is_named_too() -> None:
    words = 'pods is forbidden: User "x" cannot list resource "pods" in API group "" at the cluster scope'
    assert "may not list pods; upgrade" in _degraded(a_good_state().failing("Pod", "Forbidden", words)).message


def test_a_missing_right_to_write_events_is_told_and_holds_nothing_up() -> None:
    words = 'the operator cannot create resource "events" in API group "" in the namespace "studio"'
    state = a_good_state().failing("Event", "Forbidden", words)
    degraded = _degraded(state)
    assert (degraded.status, degraded.reason) == ("True", "RightMissing")
    assert degraded.message.startswith("the operator may not create events in namespace studio; upgrade its chart")
    assert state.condition("Ready").status == "True"
    assert state.condition("Progressing").reason == "Settled"


def test_a_pod_template_that_the_api_server_refuses_is_quoted() -> None:
    words = 'Deployment.apps "narrator" is invalid: spec.template.spec.containers[1].image: Required value'
    service = a_service().with_spec(podTemplate={"spec": {"containers": [{"name": "proxy"}]}})
    degraded = _degraded(a_good_state(service).failing("Deployment", "Invalid", words))
    assert degraded.reason == "ObjectInvalid"
    assert "Deployment narrator cannot be as spec.podTemplate makes it" in degraded.message
    assert words in degraded.message.replace('\\"', '"')


def test_without_a_pod_template_the_spec_is_to_blame() -> None:
    degraded = _degraded(a_good_state().failing("Deployment", "Invalid", "spec.x: Invalid value"))
    assert "cannot be as the spec makes it" in degraded.message


@pytest.mark.parametrize("reason", ["Unavailable", "Conflict"])
def test_what_heals_by_itself_says_so(reason: str) -> None:
    degraded = _degraded(a_good_state().failing("Service", reason, "connection refused", times=2))
    assert degraded.reason == "APIServerUnavailable"
    assert "will be tried again" in degraded.message


def test_that_somebody_was_faster_once_is_nobodys_news() -> None:
    degraded = _degraded(a_good_state().failing("Service", "Conflict", "the object has been modified"))
    assert degraded.status == "False"


def test_what_heals_by_itself_is_told_after_what_does_not() -> None:
    state = a_good_state().failing("Service", "Unavailable", "connection refused").failing("Pod", "Forbidden", _QUOTA)
    assert _degraded(state).reason == "QuotaExceeded"


@pytest.mark.parametrize(("reason", "shown"), [("NotFound", "ApplyNotFound"), ("410 Gone", "ApplyFailed")])
def test_any_other_refusal_is_told_under_the_api_servers_reason(reason: str, shown: str) -> None:
    degraded = _degraded(a_good_state().failing("Service", reason, 'namespaces "studio" not found'))
    assert degraded.reason == shown
    assert degraded.message.startswith("Service narrator is refused;")


def test_an_object_that_somebody_damaged_is_told_in_the_operators_words() -> None:
    words = "Secret narrator-redis lacks a password; delete it, and it is made anew"
    degraded = _degraded(a_good_state().failing("Secret", "Damaged", words))
    assert (degraded.reason, degraded.message) == ("ObjectDamaged", words)


def test_while_the_api_server_refuses_nothing_progresses() -> None:
    progressing = a_good_state().failing("Deployment", "Forbidden", _QUOTA).condition("Progressing")
    assert (progressing.status, progressing.reason) == ("False", "QuotaExceeded")


_SOMEBODY = {"kind": "Application", "name": "narrator", "uid": "ffff", "controller": True}


@pytest.mark.parametrize(
    ("kind", "name"), [("Service", "narrator"), ("Secret", "narrator-redis"), ("Deployment", "narrator")]
)
def test_a_name_that_is_taken_is_told_with_what_to_do(kind: str, name: str) -> None:
    degraded = _degraded(a_good_state().having(an_object(kind, name).owned_by(_SOMEBODY)))
    assert degraded.reason == "NameTaken"
    assert degraded.message == f"{kind} {name} is not ours; rename it, or the VoiceService"
    assert _degraded(a_good_state().having(an_object(kind, name).owned_by())).reason == "NameTaken"


def _orphan(kind: str, name: str, **spec: Any) -> Built:
    marks = {labels.MANAGED_BY_LABEL: "timbre-operator", labels.INSTANCE_LABEL: "narrator"}
    return an_object(kind, name, spec=spec).owned_by().labelled(**marks)


@pytest.mark.parametrize(
    ("policy", "words"), [("Retain", "the volume with the voices stays"), ("Delete", "export the voices first")]
)
def test_what_was_orphaned_is_told_with_the_command_that_frees_the_names(policy: str, words: str) -> None:
    left = (
        _orphan("Deployment", "narrator"),
        _orphan("StatefulSet", "narrator-redis", persistentVolumeClaimRetentionPolicy={"whenDeleted": policy}),
    )
    degraded = _degraded(a_state().having(*left))
    assert degraded.reason == "NameTaken"
    assert "deleted with --cascade=orphan" in degraded.message
    assert words in degraded.message
    assert degraded.message.endswith(": kubectl -n studio delete Deployment/narrator StatefulSet/narrator-redis")


def test_somebody_elses_object_is_told_before_orphans() -> None:
    left, foreign = _orphan("Deployment", "narrator"), an_object("Service").owned_by(_SOMEBODY)
    assert _degraded(a_state().having(left, foreign)).message.startswith("Service narrator is not ours")


def test_what_bears_the_labels_of_another_service_is_no_orphan_of_this_one() -> None:
    other = _orphan("Deployment", "narrator").labelled(**{labels.INSTANCE_LABEL: "teller"})
    assert (
        _degraded(a_state().having(other)).message == "Deployment narrator is not ours; rename it, or the VoiceService"
    )


def test_what_a_deleted_namesake_left_is_on_its_way() -> None:
    before = {"kind": "VoiceService", "name": "narrator", "uid": "older", "controller": True}
    degraded = _degraded(a_good_state().having(an_object("Service").owned_by(before)))
    assert "that was deleted; it is made anew once it is gone" in degraded.message


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("PersistentVolumeClaim", "data-narrator-redis-0"),
        ("Service", "narrator-canary"),
        ("PersistentVolumeClaim", "narrator"),
    ],
)
def test_what_we_would_not_make_takes_no_name(kind: str, name: str) -> None:
    assert _degraded(a_good_state().having(an_object(kind, name).owned_by())).reason == "AsExpected"
