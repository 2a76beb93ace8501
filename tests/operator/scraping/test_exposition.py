"""What is read of a pod's metrics is what a server writes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from timbre_operator.scaling.counters import EXTRACTIONS
from timbre_operator.scraping.exposition import WANTED, samples_in
from timbre_operator.scraping.holdings import holdings_in
from timbre_server.telemetry.metrics import Metrics

TEXT = b"""# HELP timbre_engine_demand_seconds_total Predicted time.
# TYPE timbre_engine_demand_seconds_total counter
timbre_engine_demand_seconds_total{kind="synthesis"} 12.5
timbre_engine_demand_seconds_total{kind="extraction"} 1e-05
timbre_voice_cache_lookups_total{outcome="hit",tier="device"} 7.0
timbre_voice_cache_lookups_total{outcome="miss"} 7.0
timbre_queued_requests 4.0
timbre_queued_requests_of_somebody_else 5.0
timbre_voice_extraction_seconds_bucket{cause="speech",le="0.01"} 3.0
timbre_voice_extraction_seconds_count{cause="speech"} 3.0
timbre_voice_extraction_seconds_count 4.0
timbre_pending_requests NaN
"""


def test_wanted_samples_are_found_with_their_labels() -> None:
    samples = dict(samples_in(TEXT))
    assert str(samples.pop("timbre_pending_requests")) == "nan"
    assert samples == {
        "timbre_engine_demand_seconds_total{synthesis}": 12.5,
        "timbre_engine_demand_seconds_total{extraction}": 1e-05,
        "timbre_voice_cache_lookups_total{device,hit}": 7.0,
        "timbre_queued_requests": 4.0,
        "timbre_voice_extraction_seconds_count{speech}": 3.0,
    }


def test_a_line_without_a_number_is_passed_over() -> None:
    assert samples_in(b"timbre_queued_requests many\ntimbre_pending_requests 2.0\n") == {"timbre_pending_requests": 2.0}


def test_a_server_is_read_as_prometheus_reads_it() -> None:
    metrics = Metrics()
    metrics.watch_voice_cache("device", lambda: 0, lambda: 0)
    metrics.engine_demanded("transfer", 0.25)
    metrics.voice_extracted("speech", 0.5)
    text = metrics.exposition()
    families = text_string_to_metric_families(text.decode())
    expected = {
        f"{sample.name}{{{','.join(sample.labels[label] for label in WANTED[sample.name])}}}"
        if sample.labels
        else sample.name: sample.value
        for family in families
        for sample in family.samples
        if sample.name in WANTED
    }
    assert samples_in(text) == expected
    assert {name.partition("{")[0] for name in expected} == set(WANTED) - {"timbre_jobs_pending"}


def test_enrolments_are_none_of_the_extractions_that_speech_waits_for() -> None:
    metrics = Metrics()
    metrics.voice_extracted("enrolment", 0.5)
    metrics.voice_extracted("enrolment", 0.5)
    assert samples_in(metrics.exposition())[EXTRACTIONS] == 0.0
    metrics.voice_extracted("speech", 0.5)
    assert samples_in(metrics.exposition())[EXTRACTIONS] == 1.0


@given(st.binary(max_size=300))
def test_nonsense_is_read_as_nothing_and_never_raises(text: bytes) -> None:
    samples_in(text)
    samples_in(b"timbre_queued_requests{" + text + b"} 1.0")
    holdings_in(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda part: st.lists(part) | st.dictionaries(st.text(), part),
    )
)
def test_other_json_is_no_holdings_or_harmless_ones(value: object) -> None:

    for document in (value, {"hottest": value}, {"hottest": [value]}, {"hottest": [{"digest": "d", "heat": value}]}):
        holdings_in(json.dumps(document).encode())
