"""Settings come from the environment, strictly."""

import pytest

from timbre_server.errors import ConfigurationError
from timbre_server.settings import settings_from_environment, variables


@pytest.fixture(autouse=True)
def _no_inherited_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, _ in variables():
        monkeypatch.delenv(name, raising=False)


def test_defaults_bind_to_loopback_with_the_embedded_engine() -> None:
    settings = settings_from_environment()
    assert (settings.http.host, settings.http.port, settings.http.admin_port) == ("127.0.0.1", 8000, 9000)
    assert settings.engine.name == "embedded"


def test_nested_values_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_BATCHING__MAX_BATCH_SIZE", "4")
    monkeypatch.setenv("TIMBRE_ENGINE__OPTIONS", '{"threads": 2}')
    settings = settings_from_environment()
    assert settings.batching.max_batch_size == 4
    assert settings.engine.options == {"threads": 2}


@pytest.mark.parametrize(
    "name", ["TIMBRE_BATCHING__MAX_BATCHSIZE", "TIMBRE_REDIS", "TIMBRE_HTTP_PORT", "TIMBRE_HTPP__PORT"]
)
def test_an_unknown_variable_stops_the_start_and_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigurationError, match=name):
        settings_from_environment()


def test_service_links_of_a_service_called_timbre_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_PORT", "tcp://10.0.0.1:8000")
    monkeypatch.setenv("TIMBRE_SERVICE_HOST", "10.0.0.1")
    settings_from_environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIMBRE_HTTP__PORT", "70000"),
        ("TIMBRE_ENGINE__NAME", "imaginary"),
        ("TIMBRE_BATCHING__MAX_PENDING_SECONDS", "-17"),
        ("TIMBRE_DRAIN__TIMEOUT_SECONDS", "1e999"),
        ("TIMBRE_ENGINE__OPTIONS", "{broken"),
    ],
)
def test_an_impossible_value_is_refused_by_name_without_being_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        settings_from_environment()
    assert refused.value.message.startswith(name)
    assert value not in refused.value.message
    assert "Value error" not in refused.value.message


def test_the_two_ports_must_differ_unless_any_free_one_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_HTTP__PORT", "9000")
    with pytest.raises(ConfigurationError, match=r"TIMBRE_HTTP__PORT and TIMBRE_HTTP__ADMIN_PORT must differ"):
        settings_from_environment()
    monkeypatch.setenv("TIMBRE_HTTP__PORT", "0")
    monkeypatch.setenv("TIMBRE_HTTP__ADMIN_PORT", "0")
    settings_from_environment()
