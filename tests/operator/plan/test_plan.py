"""What is done, in which order, and why; after it nothing is left to do."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.operator.desired.children import EVERY_KIND, children_of
from tests.operator.manifests import AService, a_service
from tests.operator.plan.api_server import carried_out, stored
from timbre_operator.plan import Plan, Verb, plan

OWNER = "0a1b2c3d"


def _wanted(service: AService, **changes: Any) -> list[dict[str, Any]]:
    return list(children_of(service, **changes).values())


def _applied(service: AService) -> dict[str, dict[str, Any]]:
    """The children of a service at rest, by kind and name."""
    return {name: stored(child) for name, child in children_of(service).items()}


def _plan(service: AService, found: dict[str, dict[str, Any]]) -> Plan:
    return plan(_wanted(service), found.values(), owner_uid=OWNER)


def _said(made: Plan) -> list[str]:
    return [f"{action.verb} {action.key.kind}/{action.key.name}: {action.reason}" for action in made.actions]


def test_a_new_service_gets_everything_in_the_order_in_which_it_is_needed() -> None:
    made = plan(_wanted(a_service()), (), owner_uid=OWNER)
    assert {action.verb for action in made.actions} == {Verb.CREATE}
    kinds = [f"{action.key.kind}/{action.key.name}" for action in made.actions]
    assert kinds == list(children_of(a_service()))
    assert kinds.index("Secret/narrator-redis") < kinds.index("StatefulSet/narrator-redis")
    assert kinds.index("ServiceAccount/narrator") < kinds.index("Deployment/narrator")


def test_at_rest_there_is_nothing_to_do() -> None:
    assert not _plan(a_service(), _applied(a_service()))


_SERVICES = st.builds(
    lambda autoscaler, replicas, memory, engine, external, gpu, label: (
        (a_service().on_external_redis(passwordSecretRef={"name": "s"}) if external else a_service())
        .scaled_by(autoscaler, minReplicas=replicas)
        .with_spec(
            engine={"name": engine},
            voiceCache={"host": {"maxBytes": memory}},
            resources={"limits": {"nvidia.com/gpu": 1, "memory": "1024Mi"}} if gpu else {"requests": {"cpu": "1000m"}},
            podTemplate={"metadata": {"labels": {"a": label}}, "spec": {"dnsPolicy": "Default"}} if label else None,
        )
    ),
    st.sampled_from(["HPA", "KEDA", "None", "External"]),
    st.integers(1, 3),
    st.sampled_from(["0", "1Gi", "1.5Gi", "1024Mi"]),
    st.sampled_from(["embedded", "stub"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "x", "y"]),
)
_KINDS = st.sets(st.sampled_from(sorted(EVERY_KIND))).map(frozenset)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_SERVICES, _KINDS, _SERVICES, _KINDS)
def test_the_plan_of_what_was_applied_is_empty(
    before: AService, kinds_before: frozenset[Any], after: AService, kinds_after: frozenset[Any]
) -> None:
    """Whatever was there before."""
    found = [stored(child) for child in _wanted(before, kinds=kinds_before)]
    wanted = _wanted(after, kinds=kinds_after)
    done = carried_out(plan(wanted, found, owner_uid=OWNER), found)
    assert not plan(wanted, done, owner_uid=OWNER)
    assert {(o["kind"], o["metadata"]["name"]) for o in done} == {(o["kind"], o["metadata"]["name"]) for o in wanted}


def test_a_change_of_the_spec_says_which_field_it_is() -> None:
    after = a_service().with_spec(batching={"maxBatchSize": 8})
    (action,) = _plan(after, _applied(a_service())).actions
    assert action.verb is Verb.PATCH
    assert action.reason == (
        'spec.template.spec.containers[server].env[TIMBRE_BATCHING__MAX_BATCH_SIZE].value: "8", was "16"'
    )
    assert not action.drift


def test_what_somebody_else_changed_is_drift() -> None:
    found = _applied(a_service())
    found["Service/narrator"]["spec"]["ports"][0]["port"] = 80
    (action,) = _plan(a_service(), found).actions
    assert (action.verb, action.drift) == (Verb.PATCH, True)
    assert action.reason == "spec.ports[http].port: 8000, was 80"


def test_a_child_that_was_deleted_comes_back() -> None:
    found = _applied(a_service())
    del found["Deployment/narrator"]
    assert _said(_plan(a_service(), found)) == ["create Deployment/narrator: not there"]


def test_a_field_that_is_no_longer_wanted_is_noticed() -> None:
    """What is wanted is all there; what was wanted before is there as well."""
    before = a_service().with_gpu()
    (action,) = _plan(a_service().with_spec(resources={"requests": {"memory": "1728Mi"}}), _applied(before)).actions
    assert (action.verb, action.reason) == (Verb.PATCH, "a field: no longer wanted")


def test_a_field_that_is_no_longer_wanted_is_named_where_the_api_server_knows_it() -> None:
    found = _applied(a_service().with_spec(podTemplate={"spec": {"nodeSelector": {"gpu": "yes"}}}))
    fields = {"f:spec": {"f:template": {"f:spec": {"f:nodeSelector": {}}}}}
    found["Deployment/narrator"]["metadata"]["managedFields"] = [
        {"manager": "timbre-operator", "operation": "Apply", "fieldsV1": fields}
    ]
    (action,) = _plan(a_service(), found).actions
    assert action.reason == "spec.template.spec.nodeSelector: no longer wanted"


def test_what_others_add_is_theirs() -> None:
    found = _applied(a_service())
    deployment = found["Deployment/narrator"]
    deployment["spec"]["replicas"] = 4
    deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3"
    deployment["metadata"]["labels"]["team"] = "voice"
    deployment["spec"]["template"]["spec"]["containers"].append({"name": "injected"})
    assert not _plan(a_service(), found)


def test_replicas_are_drift_only_where_nobody_scales() -> None:
    service = a_service().scaled_by("None").with_spec(replicas=2)
    found = _applied(service)
    found["Deployment/narrator"]["spec"]["replicas"] = 4
    assert _said(_plan(service, found)) == ["patch Deployment/narrator: spec.replicas: 2, was 4"]


def _scaled_by_hand(replicas: int) -> dict[str, dict[str, Any]]:
    """A Deployment whose replicas we applied, and the API server knows it."""
    found = _applied(a_service().scaled_by("None").with_spec(replicas=replicas))
    found["Deployment/narrator"]["metadata"]["managedFields"] = [
        {"manager": "timbre-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    ]
    return found


def test_who_gets_an_autoscaler_keeps_his_pods() -> None:
    """A field that its owner applies no more is reset; one pod would be left of five."""
    first, second, *_ = [a for a in _plan(a_service(), _scaled_by_hand(5)).actions if a.key.kind == "Deployment"]
    assert (first.verb, second.verb) == (Verb.HAND_OVER, Verb.PATCH)
    assert first.manifest == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "narrator", "namespace": "studio", "uid": "f00d"},
        "spec": {"replicas": 5},
    }
    assert second.manifest is not None
    assert second.manifest["metadata"]["uid"] == "f00d", "nobody else's Deployment is changed in its place"
    assert "replicas" not in second.manifest["spec"]


def test_what_was_handed_over_is_not_handed_over_again() -> None:
    found = _scaled_by_hand(5)
    found["Deployment/narrator"]["metadata"]["managedFields"][0]["fieldsV1"] = {"f:spec": {"f:selector": {}}}
    verbs = [action.verb for action in _plan(a_service(), found).actions]
    assert Verb.HAND_OVER not in verbs


def test_what_is_not_ours_any_more_is_not_handed_over() -> None:
    found = _scaled_by_hand(5)
    del found["Deployment/narrator"]["metadata"]["ownerReferences"]
    verbs = [action.verb for action in _plan(a_service(), found).actions if action.key.kind == "Deployment"]
    assert verbs == [Verb.REFUSE]


def test_who_scales_by_hand_hands_nothing_over() -> None:
    service = a_service().scaled_by("None").with_spec(replicas=6)
    assert [action.verb for action in _plan(service, _scaled_by_hand(5)).actions][:1] == [Verb.PATCH]


def test_passwords_are_never_changed() -> None:
    found = _applied(a_service())
    found["Secret/narrator-redis"]["data"] = {"password": "b3RoZXI="}
    assert not _plan(a_service(), found)


def test_a_secret_value_is_not_told() -> None:
    found = _applied(a_service())
    found["Secret/narrator-redis-acl"]["data"]["users.acl"] = "c2VjcmV0"
    assert _said(_plan(a_service(), found)) == ["patch Secret/narrator-redis-acl: data.users.acl: another value"]


def test_what_left_the_spec_leaves_the_cluster() -> None:
    after = a_service().on_external_redis()
    verbs = {action.verb for action in _plan(after, _applied(a_service())).actions if "redis" in action.key.name}
    assert verbs == {Verb.PRUNE}


def test_one_autoscaler_leaves_before_the_other_comes() -> None:
    keda = a_service().scaled_by("KEDA")
    assert [action.key.kind for action in _plan(keda, _applied(a_service())).actions] == [
        "HorizontalPodAutoscaler",
        "ScaledObject",
    ]
    assert [action.key.kind for action in _plan(a_service(), _applied(keda)).actions] == [
        "ScaledObject",
        "HorizontalPodAutoscaler",
    ]


def test_other_things_leave_last() -> None:
    verbs = [action.verb for action in _plan(a_service().on_external_redis(), _applied(a_service())).actions]
    assert verbs == sorted(verbs, key=lambda verb: verb is Verb.PRUNE)


def test_an_object_of_our_name_that_is_not_ours_is_never_taken_over() -> None:
    found = _applied(a_service())
    del found["Service/narrator"]["metadata"]["ownerReferences"]
    (action,) = _plan(a_service(), found).actions
    assert (action.verb, action.manifest) == (Verb.REFUSE, None)
    assert action.reason == "Service narrator is not ours; rename it, or the VoiceService"


def test_what_another_service_owns_is_left_alone() -> None:
    theirs = copy.deepcopy(_applied(a_service().called("other"))["PodMonitor/other"])
    theirs["metadata"]["ownerReferences"][0]["uid"] = "another"
    assert not plan(_wanted(a_service()), [*_applied(a_service()).values(), theirs], owner_uid=OWNER)


def test_what_is_leaving_is_neither_patched_nor_pruned_again() -> None:
    found = _applied(a_service())
    for name in ("Deployment/narrator", "StatefulSet/narrator-redis"):
        found[name]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    verbs = {f"{a.key.kind}/{a.key.name}" for a in _plan(a_service().on_external_redis(), found).actions}
    assert not {"Deployment/narrator", "StatefulSet/narrator-redis"} & verbs


def test_what_cannot_be_changed_is_made_anew() -> None:
    after = a_service().with_spec(redis={"managed": {"storage": {"size": "9Gi"}}})
    (action,) = _plan(after, _applied(a_service())).actions
    assert action.verb is Verb.RECREATE
    assert action.reason == 'spec.volumeClaimTemplates[0].spec.resources.requests.storage: "9Gi", was "4Gi"'


def test_a_set_of_an_operator_that_waited_for_broken_pods_is_made_anew() -> None:
    found = _applied(a_service())
    found["StatefulSet/narrator-redis"]["spec"]["podManagementPolicy"] = "OrderedReady"
    (action,) = _plan(a_service(), found).actions
    assert (action.verb, action.reason) == (Verb.RECREATE, 'spec.podManagementPolicy: "Parallel", was "OrderedReady"')


def test_a_volume_of_another_spelling_is_the_same() -> None:
    after = a_service().with_spec(redis={"managed": {"storage": {"size": "4Gi"}}})
    actions = _plan(after, _applied(a_service())).actions
    assert [action.verb for action in actions] == [Verb.PATCH]  # the stamp; the volume stays as it is


def test_a_storage_class_that_is_no_longer_written_is_not_taken_from_what_is_there() -> None:
    """The API server would refuse it for ever; made anew, the volume stays on its class."""
    before = a_service().with_spec(redis={"managed": {"storage": {"className": "fast"}}})
    (action,) = _plan(a_service(), _applied(before)).actions
    assert action.verb is Verb.RECREATE
    assert action.reason == "spec.volumeClaimTemplates[data].spec.storageClassName: no longer wanted, was fast"
