"""Alerts of one service: about it alone, held against its own spec, with what helps.  When they fire: ``tests/chart``."""

from __future__ import annotations

import re

from tests.operator.manifests import AService, a_service
from timbre_operator.desired.alerts import build_alerts
from timbre_operator.desired.inputs import Manifest


def _alerts(service: AService) -> dict[str, Manifest]:
    return {alert["alert"]: alert for alert in build_alerts(service.built(), scraped=True)}


def test_alerts_are_about_this_service_alone() -> None:
    for alert in _alerts(a_service()).values():
        matchers = re.findall(r"\w+\{([^}]*)\}", alert["expr"])
        assert matchers
        assert all(matcher.startswith('namespace="studio",voiceservice="narrator"') for matcher in matchers)
        assert alert["labels"]["namespace"] == "studio"
        assert alert["labels"]["voiceservice"] == "narrator"


def test_the_hit_rate_is_held_against_the_service_s_target() -> None:
    service = a_service().scaled_by("HPA", targets={"hitRatePercent": 85})
    assert "< 85 and" in _alerts(service)["TimbreVoiceHitRateLow"]["expr"]
    assert "85 %" in _alerts(service)["TimbreVoiceHitRateLow"]["annotations"]["summary"]


def test_the_queue_is_held_against_what_the_service_lets_wait() -> None:
    service = a_service().with_spec(batching={"maxPending": "90s"})
    assert _alerts(service)["TimbreQueueLong"]["expr"].endswith("> 45")


def test_nobody_is_called_about_speech_that_shall_not_be_kept() -> None:
    kept, not_kept = _alerts(a_service()), _alerts(a_service().with_spec(resultCache={"enabled": False}))
    assert set(kept) - set(not_kept) == {"TimbreSpeechNotKept"}


def test_nobody_misses_pods_that_nobody_wants() -> None:
    one, none = (_alerts(a_service().scaled_by("None").with_spec(replicas=number)) for number in (1, 0))
    assert set(one) - set(none) == {"TimbreServiceDown"}


def test_a_redis_of_somebody_else_has_alerts_of_somebody_else() -> None:
    ours, theirs = _alerts(a_service()), _alerts(a_service().on_external_redis())
    assert set(ours) - set(theirs) == {"TimbreRedisMemoryNearlyFull", "TimbreRedisDown"}
    assert set(theirs) > {"TimbreRedisUnreachable", "TimbreRedisNotWriting"}
    assert "redis_aof" not in theirs["TimbreRedisNotWriting"]["expr"]


def test_where_nothing_is_exported_nothing_is_missed() -> None:
    silent = a_service().with_spec(redis={"managed": {"exporter": "Disabled"}})
    assert set(_alerts(silent)) == set(_alerts(a_service().on_external_redis()))


def test_an_alert_says_what_it_means_and_what_to_do_next() -> None:
    for name, alert in _alerts(a_service()).items():
        annotations = alert["annotations"]
        assert "narrator" in annotations["summary"]
        assert annotations["description"].endswith(".")
        assert annotations["runbook_url"].endswith(f"/docs/runbooks/{name}.md")
        assert alert["labels"]["severity"] in {"info", "warning", "critical"}
