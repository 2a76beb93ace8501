"""How is a process of the operator set up: by flags, and by environment variables where a flag is not given?"""

from __future__ import annotations

import argparse
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from timbre_contract.variables import is_service_link
from timbre_operator.errors import InvalidSetting
from timbre_operator.rights import NAME
from timbre_operator.settings import OperatorSettings, Release, default_release

PREFIX: Final = "TIMBRE_OPERATOR_"
SERIES_PORT: Final = 8080
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104  # a pod has its own network; the metrics API lets in the API server only
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where Kubernetes tells a pod its namespace."""
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Flag:
    """One setting; ``--admin-port`` is also ``TIMBRE_OPERATOR_ADMIN_PORT``."""

    name: str
    """Without dashes."""
    metavar: str
    help: str
    default: Callable[[Mapping[str, str], Release], str]
    """Given the environment and the release."""

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper().replace("-", "_")

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_")


def _fixed(text: str) -> Callable[[Mapping[str, str], Release], str]:
    return lambda _environment, _release: text


FLAGS: Final = (
    Flag(
        "namespace",
        "NS",
        "work in this namespace only, several by repeating it (commas in the variable)",
        lambda *_: "",
    ),
    Flag("server-image", "IMAGE", "of engines without torch", lambda _, release: release.server_image),
    Flag("torch-image", "IMAGE", "of engines with torch", lambda _, release: release.torch_image),
    Flag("redis-image", "IMAGE", "of managed Redis", lambda _, release: release.redis_image),
    Flag("exporter-image", "IMAGE", "of the exporter beside a managed Redis", lambda _, r: r.exporter_image),
    Flag(
        "operator-namespace", "NS", "where the operator itself runs", lambda environment, _: _own_namespace(environment)
    ),
    Flag("metrics-url", "URL", "where KEDA finds this operator; made from its namespace by default", _fixed("")),
    Flag("admin-host", "ADDRESS", "where probes and metrics listen", _fixed(_EVERYWHERE)),
    Flag("admin-port", "PORT", "where probes and metrics listen", _fixed(str(SERIES_PORT))),
    Flag("metrics-api-host", "ADDRESS", "where custom.metrics.k8s.io is served", _fixed(_EVERYWHERE)),
    Flag("metrics-api-port", "PORT", "where custom.metrics.k8s.io is served", _fixed("8443")),
    Flag("metrics-api-certificate", "DIR", "folder with tls.crt and tls.key for custom.metrics.k8s.io", _fixed("")),
    Flag("identity", "NAME", "tells replicas of the operator apart", lambda environment, _: _identity(environment)),
    Flag("lease-name", "NAME", "the Lease whose holder writes", _fixed(NAME)),
    Flag("resync-seconds", "N", "how often everything is listed anew", _fixed("60")),
    Flag("scrape-seconds", "N", "how often pods are asked for their load", _fixed("5")),
    Flag("log-level", "LEVEL", ", ".join(LOG_LEVELS), _fixed("info")),
)
WITHOUT_METRICS_API: Final = "no-metrics-api"
SWITCH: Final = PREFIX + WITHOUT_METRICS_API.upper().replace("-", "_")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """All of them; what is wrong with a value is said by ``settings_of``, for variables and flags alike."""
    release = default_release("VERSION")
    for flag in FLAGS:
        shown = flag.default({}, release) if flag.name not in {"identity", "operator-namespace"} else ""
        parser.add_argument(
            f"--{flag.name}",
            action="append" if flag.name == "namespace" else "store",
            metavar=flag.metavar,
            help=f"{flag.help}{f' ({shown})' if shown else ''}",
        )
    parser.add_argument(
        f"--{WITHOUT_METRICS_API}", action="store_true", default=None, help="do not serve custom.metrics.k8s.io"
    )


def settings_of(arguments: argparse.Namespace, environment: Mapping[str, str], release: Release) -> OperatorSettings:
    """Flags first, then variables, then defaults.

    Raises:
        InvalidSetting: with a sentence.
    """
    _check_variables(environment)
    values = {flag.attribute: _value(flag, arguments, environment, release) for flag in FLAGS}
    namespaces = tuple(dict.fromkeys(_names(part) for part in values["namespace"].split(",") if part.strip()))
    home = _names(values["operator_namespace"])
    if (level := values["log_level"].lower()) not in LOG_LEVELS:
        raise InvalidSetting(f"log-level: write one of {', '.join(LOG_LEVELS)}")
    return OperatorSettings(
        namespaces=namespaces,
        release=Release(
            server_image=values["server_image"],
            torch_image=values["torch_image"],
            redis_image=values["redis_image"],
            exporter_image=values["exporter_image"],
            operator_namespace=home,
            metrics_url=(values["metrics_url"] or f"http://{NAME}.{home}.svc:{SERIES_PORT}").rstrip("/"),
        ),
        admin_host=values["admin_host"],
        admin_port=_port("admin-port", values["admin_port"]),
        metrics_api_host=values["metrics_api_host"],
        metrics_api_port=_port("metrics-api-port", values["metrics_api_port"]),
        metrics_api_certificate=_certificate(arguments, environment, values["metrics_api_certificate"]),
        identity=values["identity"],
        lease_name=values["lease_name"],
        resync_seconds=_seconds("resync-seconds", values["resync_seconds"], 5),
        scrape_seconds=_seconds("scrape-seconds", values["scrape_seconds"], 1),
        log_level=level,
    )


def _value(flag: Flag, arguments: argparse.Namespace, environment: Mapping[str, str], release: Release) -> str:
    given: Any = getattr(arguments, flag.attribute)
    if given is not None:
        return ",".join(given) if isinstance(given, list) else str(given)
    return environment.get(flag.variable) or flag.default(environment, release)


def _check_variables(environment: Mapping[str, str]) -> None:
    known = {flag.variable for flag in FLAGS} | {SWITCH}
    for name, value in environment.items():
        if name.startswith(PREFIX) and name not in known and not is_service_link(name, value):
            raise InvalidSetting(f"{name}: there is no such setting; timbre-operator run --help lists them")


def _certificate(arguments: argparse.Namespace, environment: Mapping[str, str], folder: str) -> Path | None:
    written = environment.get(SWITCH, "false").lower()
    if written not in {"true", "false"}:
        raise InvalidSetting(f"{SWITCH}: write true or false")
    if arguments.no_metrics_api or written == "true":
        return None
    if not folder:
        raise InvalidSetting("metrics-api-certificate: write the folder of tls.crt and tls.key, or --no-metrics-api")
    path = Path(folder)
    for name in ("tls.crt", "tls.key"):
        if not (path / name).is_file():
            raise InvalidSetting(f"metrics-api-certificate: there is no {name} in {folder}")
    return path


def _port(name: str, text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65_535:
        raise InvalidSetting(f"{name}: write a port from 1 to 65535 (0 takes a free one)")
    return int(text)


def _seconds(name: str, text: str, least: int) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not least <= seconds <= 3600:
        raise InvalidSetting(f"{name}: write a number of seconds from {least} to 3600")
    return seconds


def _names(text: str) -> str:
    name = text.strip()
    if _DNS_LABEL.fullmatch(name) is None:
        raise InvalidSetting(f"namespace: {name!r} cannot be the name of one")
    return name


def _identity(environment: Mapping[str, str]) -> str:
    return environment.get("POD_NAME") or socket.gethostname()


def _own_namespace(environment: Mapping[str, str]) -> str:
    if named := environment.get("POD_NAMESPACE"):
        return named
    return _NAMESPACE_FILE.read_text("utf-8").strip() if _NAMESPACE_FILE.is_file() else "timbre-system"
