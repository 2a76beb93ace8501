"""What ``/metrics`` says, and what it does not say, of a device."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from timbre_server.telemetry.metrics import Metrics

UTILIZATION, TEMPERATURE = "timbre_device_utilization_ratio", "timbre_device_temperature_celsius"


def _values(metrics: Metrics) -> dict[str, list[float]]:
    """Of the device's metrics, by name."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        family.name: [sample.value for sample in family.samples]
        for family in families
        if family.name.startswith("timbre_device_")
    }


def test_without_a_device_nothing_is_said_of_one() -> None:
    """A panel shows no data then, and not a GPU that is idle and at zero degrees."""
    values = _values(Metrics())
    assert values == {UTILIZATION: [], TEMPERATURE: [], "timbre_device_memory_bytes": []}


def test_what_a_device_does_not_tell_is_not_told() -> None:
    metrics = Metrics()
    metrics.device_read({"total": 8}, 0.0, None)
    values = _values(metrics)
    assert (values[UTILIZATION], values[TEMPERATURE]) == ([0.0], [])
    assert values["timbre_device_memory_bytes"] == [8.0]


def test_a_device_that_tells_all_is_shown() -> None:
    metrics = Metrics()
    metrics.device_read({}, 0.5, 41.0)
    metrics.device_read({}, None, 43.0)
    values = _values(metrics)
    assert (values[UTILIZATION], values[TEMPERATURE]) == ([0.5], [43.0])
