"""The operator's command line: run it, or say what would be applied, what the CRD is, which rights it needs."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.app.flags import add_flags, settings_of
from timbre_operator.desired import Inputs, OptionalKind, RedisPasswords, build_children
from timbre_operator.errors import InvalidManifest, InvalidSetting
from timbre_operator.rights import NAME, build_rbac
from timbre_operator.settings import default_release
from timbre_operator.voiceservice import build_crd, from_manifest
from timbre_operator.voiceservice.documents import from_yaml, to_yaml

EXIT_INVALID: Final = 2
"""The command line or a manifest cannot be."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    match arguments.command:
        case "render":
            return _render(arguments.file, set(arguments.without))
        case "crd":
            sys.stdout.write(to_yaml([build_crd()]))
        case "run":
            return _run(arguments)
        case "rbac":
            sys.stdout.write(to_yaml(_rbac(arguments)))
        case "version":
            sys.stdout.write(f"timbre-operator {version('timbre')}\n")
        case _:
            parser.print_help()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="timbre-operator", description="Makes VoiceService objects true: pods, a Redis and an autoscaler for each."
    )
    parser.add_argument("--version", action="version", version=f"timbre-operator {version('timbre')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    render = commands.add_parser(
        "render", help="print what would be applied for the VoiceServices in FILE, without a cluster"
    )
    render.add_argument("file", metavar="FILE", help="manifests as YAML; - reads standard input")
    render.add_argument(
        "--without",
        action="append",
        default=[],
        choices=[kind.value for kind in OptionalKind],
        help="pretend that the cluster lacks this kind",
    )
    commands.add_parser("crd", help="print the CRD of VoiceService")
    add_flags(commands.add_parser("run", help="run the operator, until SIGTERM"))
    _add_rbac(commands.add_parser("rbac", help="print the roles that the operator needs, and their bindings"))
    commands.add_parser("version", help="print the version")
    return parser


def _add_rbac(rbac: argparse.ArgumentParser) -> None:
    rbac.add_argument(
        "--namespace",
        action="append",
        default=[],
        metavar="NS",
        help="a namespace with VoiceServices; without one the roles are cluster-wide",
    )
    rbac.add_argument("--operator-namespace", default="timbre-system", metavar="NS", help="where the operator runs")
    rbac.add_argument("--service-account", default=NAME, metavar="NAME", help="as whom it runs")
    rbac.add_argument("--lease-name", default=NAME, metavar="NAME", help="as given to run")
    rbac.add_argument("--no-metrics-api", action="store_true", help="without what serving the metrics API takes")


def _run(arguments: argparse.Namespace) -> int:
    try:
        settings = settings_of(arguments, os.environ, default_release(version("timbre")))
    except InvalidSetting as error:
        return _failed("run", [str(error)])
    from timbre_operator.app.running import run  # noqa: PLC0415  # kopf takes a second; nothing else needs it

    return run(settings)


def _rbac(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    return build_rbac(
        namespaces=arguments.namespace,
        operator_namespace=arguments.operator_namespace,
        account=arguments.service_account,
        lease=arguments.lease_name,
        metrics_api=not arguments.no_metrics_api,
    )


def _render(file: str, without: set[str]) -> int:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        children = [child for document in _voice_services(text) for child in _children(document, without)]
    except (OSError, UnicodeDecodeError) as error:
        return _failed(file, [getattr(error, "strerror", None) or "not UTF-8"])
    except InvalidManifest as error:
        return _failed(file, error.sentences)
    sys.stdout.write(to_yaml(children))
    return 0


def _voice_services(text: str) -> list[dict[str, Any]]:
    """Other objects of the file are not ours to judge."""
    found = [document for document in from_yaml(text) if document.get("kind") == labels.KIND]
    if not found:
        raise InvalidManifest(
            [f"there is no {labels.KIND} in it; write apiVersion: {labels.API_VERSION} and kind: {labels.KIND}"]
        )
    return found


def _children(document: dict[str, Any], without: set[str]) -> list[dict[str, Any]]:
    # Fresh passwords, as the operator would make them: who applies what is printed gets a Redis that nobody else knows.
    passwords = RedisPasswords(pods=secrets.token_urlsafe(32), operator=secrets.token_urlsafe(32))
    return build_children(
        Inputs(
            service=from_manifest(document),
            release=default_release(version("timbre")),
            redis_passwords=passwords,
            kinds=frozenset(kind for kind in OptionalKind if kind.value not in without),
        )
    )


def _failed(file: str, sentences: Sequence[str]) -> int:
    for sentence in sentences:
        sys.stderr.write(f"{file}: {sentence}\n")
    return EXIT_INVALID


if __name__ == "__main__":
    raise SystemExit(main())
