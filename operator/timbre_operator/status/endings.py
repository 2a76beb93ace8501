"""Why did a container end: memory, time, its model, its settings, or a crash?"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from timbre_contract.exits import ENGINE_FAILED, EXIT_CONFIGURATION
from timbre_operator.status.component import Component
from timbre_operator.status.finding import Finding, quoted
from timbre_operator.status.last_words import last_words
from timbre_operator.status.pods import Container, Ending, Pod

RECENT: Final = timedelta(minutes=10)
"""How long an ending counts after the container runs again: kubelet forgets its back-off after the same time."""
_SIGNALS: Final = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
_FIRST_SIGNAL: Final = 128
"""A process that a signal ended has its number plus 128 as exit code, by the shell's convention."""
_STOPPED: Final = {0, _FIRST_SIGNAL + 9, _FIRST_SIGNAL + 15}
"""Exit codes of a server that kubelet stopped: it drained, or it was cut off."""


def oom_killed(pod: Pod, component: Component) -> Finding | None:
    """It took more memory than it may have."""
    for container, ending in _endings(pod, component):
        if ending.reason == "OOMKilled":
            limit = container.memory_limit
            bound = f"its limit of {limit}" if limit else "the node's memory, for it has no limit"
            return Finding(
                "OOMKilled", f"{pod.where}: {container.name} was killed because of {bound}; {component.memory_cure}"
            )
    return None


def over_start_budget(pod: Pod, component: Component) -> Finding | None:
    """It was stopped before it had become ready."""
    for container, ending in _endings(pod, component):
        stopped = not container.started and ending.exit_code in _STOPPED
        late = ending.ran_seconds is None or ending.ran_seconds >= container.least_start_seconds
        if stopped and late and _last_probe(pod) == "Startup":
            return Finding(
                "StartBudgetExceeded",
                f"{pod.where}: {container.name} was not ready in time and was started again; {component.start_cure}:"
                f" {component.logs(pod.name, container.name)}",
            )
    return None


def engine_failed(pod: Pod, component: Component) -> Finding | None:
    """The model cannot be loaded."""
    for container, ending in _endings(pod, component):
        words = last_words(ending.words)
        if words.startswith(ENGINE_FAILED):
            return Finding(
                "ModelLoadFailed",
                f"{pod.where}: {container.name} says {quoted(words)}; correct spec.engine, or see more by"
                f" {component.logs(pod.name, container.name)}",
            )
    return None


def settings_refused(pod: Pod, component: Component) -> Finding | None:
    """The server does not start with what it was told."""
    for container, ending in _endings(pod, component):
        if container.name == "server" and ending.exit_code == EXIT_CONFIGURATION:
            return Finding(
                "SettingsRefused",
                f"{pod.where}: {container.name} says {quoted(last_words(ending.words))}; correct spec.engine, or what"
                " spec.podTemplate adds to its environment",
            )
    return None


def crashed(pod: Pod, component: Component) -> Finding | None:
    """It ended with an error."""
    for container, ending in _endings(pod, component):
        if ending.exit_code != 0:
            times = f"{container.restarts} times" if container.restarts > 1 else "once"
            words = last_words(ending.words)
            said = f", its last words were {quoted(words)}" if words else ""
            return Finding(
                "Crashed",
                f"{pod.where}: {container.name} ended {times if container.restarts else 'at once'} with"
                f" {_code(ending)}{said}; see more by {component.logs(pod.name, container.name)}",
            )
    return None


def _endings(pod: Pod, component: Component) -> list[tuple[Container, Ending]]:
    """Those that still matter: the container is not ready again, or not for long."""
    return [
        (container, container.ending)
        for container in pod.containers
        if container.ending is not None
        and (not container.ready or container.ending.at is None or component.now - container.ending.at < RECENT)
    ]


def _last_probe(pod: Pod) -> str:
    """Startup, Liveness or Readiness: which probe failed last."""
    words = next((event.words for event in pod.warnings if event.reason == "Unhealthy"), "")
    return words.partition(" probe")[0]


def _code(ending: Ending) -> str:
    signal = _SIGNALS.get(ending.exit_code - _FIRST_SIGNAL)
    return f"exit code {ending.exit_code}" + (f" ({signal})" if signal else "")
