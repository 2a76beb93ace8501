"""Flags and variables of ``timbre-operator run``."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from timbre_operator.app.flags import FLAGS, add_flags, settings_of
from timbre_operator.errors import InvalidSetting
from timbre_operator.settings import OperatorSettings, default_release


def _settings(*arguments: str, **environment: str) -> OperatorSettings:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    given = arguments if any("metrics-api" in argument for argument in arguments) else ("--no-metrics-api", *arguments)
    return settings_of(parser.parse_args(given), environment, default_release("1"))


def test_without_flags_it_works_everywhere_with_the_images_of_the_release() -> None:
    settings = _settings(POD_NAMESPACE="timbre-system", POD_NAME="timbre-operator-0")
    assert settings.namespaces == ()
    assert settings.release == default_release("1")
    assert (settings.identity, settings.lease_name) == ("timbre-operator-0", "timbre-operator")
    assert (settings.resync_seconds, settings.scrape_seconds) == (60, 5)


def test_every_flag_is_a_variable_too() -> None:
    values = {flag.name: "7" for flag in FLAGS} | {
        "log-level": "debug", "namespace": "a, b", "operator-namespace": "c", "metrics-api-certificate": "",
    }  # fmt: skip
    settings = _settings(**{flag.variable: values[flag.name] for flag in FLAGS})
    assert settings.namespaces == ("a", "b")
    assert (settings.admin_host, settings.admin_port) == ("7", 7)
    assert (settings.metrics_api_host, settings.metrics_api_port) == ("7", 7)
    assert (settings.identity, settings.lease_name, settings.log_level) == ("7", "7", "debug")
    assert (settings.resync_seconds, settings.scrape_seconds) == (7, 7)
    release = settings.release
    assert {release.server_image, release.torch_image, release.redis_image, release.exporter_image} == {"7"}
    assert (release.operator_namespace, release.metrics_url) == ("c", "7")


def test_a_flag_wins_over_its_variable() -> None:
    settings = _settings("--namespace", "a", "--namespace", "b", "--namespace", "a", TIMBRE_OPERATOR_NAMESPACE="c")
    assert settings.namespaces == ("a", "b")


def test_keda_finds_the_operator_in_the_operators_namespace() -> None:
    assert _settings("--operator-namespace", "x").release.metrics_url == "http://timbre-operator.x.svc:8080"
    assert _settings("--metrics-url", "http://a/").release.metrics_url == "http://a"


def test_a_certificate_turns_the_metrics_api_on_and_the_switch_turns_it_off(tmp_path: Path) -> None:
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_text("x")
    assert _settings("--metrics-api-certificate", str(tmp_path)).metrics_api_certificate == tmp_path
    variable = {"TIMBRE_OPERATOR_NO_METRICS_API": "true"}
    assert _settings("--metrics-api-certificate", str(tmp_path), **variable).metrics_api_certificate is None


def test_variables_of_a_service_with_the_operators_name_are_no_mistakes() -> None:
    links = {
        "TIMBRE_OPERATOR_SERVICE_HOST": "10.0.0.1",
        "TIMBRE_OPERATOR_PORT": "tcp://10.0.0.1:8080",
        "TIMBRE_OPERATOR_PORT_8080_TCP_ADDR": "10.0.0.1",
    }
    assert _settings(**links) == _settings()


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (("--admin-port", "http"), {}, "admin-port: write a port"),
        (("--metrics-api-port", "65536"), {}, "metrics-api-port: write a port"),
        (("--namespace", "My_Space"), {}, "namespace: 'My_Space' cannot be"),
        (("--log-level", "loud"), {}, "log-level: write one of debug, info"),
        (("--resync-seconds", "1"), {}, "resync-seconds: write a number of seconds from 5"),
        (("--scrape-seconds", "often"), {}, "scrape-seconds: write a number"),
        ((), {"TIMBRE_OPERATOR_NAMESPACES": "a"}, "TIMBRE_OPERATOR_NAMESPACES: there is no such setting"),
        ((), {"TIMBRE_OPERATOR_NO_METRICS_API": "1"}, "write true or false"),
        (("--metrics-api-certificate", ""), {}, "write the folder of tls.crt and tls.key, or --no-metrics-api"),
        (("--metrics-api-certificate", "/nowhere"), {}, "there is no tls.crt in /nowhere"),
    ],
)
def test_what_cannot_be_is_said(arguments: tuple[str, ...], environment: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        _settings(*arguments, **environment)
