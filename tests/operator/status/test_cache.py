"""Do the pods have the voices that they are asked for?"""

from __future__ import annotations

import pytest

from tests.operator.manifests import a_service
from tests.operator.status.states import a_deployment, a_good_state, a_state
from timbre_operator.observed import Load


@pytest.mark.parametrize(
    ("load", "verdict"),
    [
        (Load(hit_rate_percent=80), ("True", "HitRateReached")),
        (Load(hit_rate_percent=79, lookups_per_second=0.1), ("False", "HitRateLow")),
        (Load(hit_rate_percent=0, lookups_per_second=20.0), ("False", "HitRateLow")),
        (Load(hit_rate_percent=0, lookups_per_second=0.09), ("True", "LittleTraffic")),
        (Load(hit_rate_percent=99, lookups_per_second=0.01), ("True", "HitRateReached")),
        (Load(hit_rate_percent=None), ("True", "NoTraffic")),
        (None, ("Unknown", "NotMeasured")),
        (Load(hit_rate_percent=99, cold_pods=("narrator-1",)), ("False", "WarmUpCutShort")),
    ],
)
def test_the_hit_rate_is_held_against_the_target(load: Load | None, verdict: tuple[str, str]) -> None:
    warm = a_good_state().knowing(load=load).condition("CacheWarm")
    assert (warm.status, warm.reason) == verdict


def test_the_target_is_the_specs() -> None:
    service = a_service().scaled_by("HPA", targets={"hitRatePercent": 99})
    warm = a_good_state(service).knowing(load=Load(hit_rate_percent=98, lookups_per_second=1.0)).condition("CacheWarm")
    assert warm.message.startswith("less than 99 % of the voices")


def test_a_cold_pod_is_named_with_both_of_the_reasons_that_there_may_be() -> None:
    service = a_service().with_spec(voiceCache={"warmup": {"deadline": "5s"}})
    warm = a_good_state(service).knowing(load=Load(cold_pods=("narrator-1", "narrator-2"))).condition("CacheWarm")
    assert warm.message.startswith(
        "narrator-1, narrator-2 serves without all of its voices: Redis was away as it started, or"
        " spec.voiceCache.warmup.deadline 5s was too short; then raise it"
    )


def test_a_cold_cache_costs_time_and_is_no_mistake() -> None:
    assert (
        a_good_state().knowing(load=Load(hit_rate_percent=1, lookups_per_second=1.0)).condition("Degraded").status
        == "False"
    )


def test_without_pods_there_is_no_cache() -> None:
    state = a_state().having(a_deployment().starting(0, of=1)).knowing(load=Load(hit_rate_percent=50))
    assert state.condition("CacheWarm").status == "Unknown"
