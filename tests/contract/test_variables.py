"""The strict check of variables excuses what Kubernetes injects, and nothing else."""

import pytest

from timbre_contract.variables import is_service_link


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIMBRE_SERVICE_HOST", "10.0.0.7"),
        ("TIMBRE_SERVICE_PORT", "8000"),
        ("TIMBRE_SERVICE_PORT_HTTP", "8000"),
        ("TIMBRE_PORT", "tcp://10.0.0.7:8000"),
        ("TIMBRE_PORT_8000_TCP", "tcp://10.0.0.7:8000"),
        ("TIMBRE_PORT_8000_TCP_PROTO", "tcp"),
        ("TIMBRE_PORT_8000_TCP_PORT", "8000"),
        ("TIMBRE_PORT_8000_TCP_ADDR", "10.0.0.7"),
        ("TIMBRE_REDIS_SERVICE_HOST", "10.0.0.8"),
        ("TIMBRE_NARRATOR_HEADLESS_PORT", "tcp://10.0.0.9:9000"),
    ],
)
def test_a_variable_of_a_service_called_timbre_is_excused(name: str, value: str) -> None:
    assert is_service_link(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIMBRE_HTPP__PORT", "8000"),
        ("TIMBRE_HTTP_PORT", "8000"),
        ("TIMBRE_PORT", "8000"),
        ("TIMBRE_HTTP__SERVICE_HOST", "10.0.0.7"),
        ("TIMBRE_ENGINE", "embedded"),
        ("MY_TIMBRE_SERVICE_HOST", "10.0.0.7"),
    ],
)
def test_a_mistyped_setting_is_never_excused(name: str, value: str) -> None:
    assert not is_service_link(name, value)
