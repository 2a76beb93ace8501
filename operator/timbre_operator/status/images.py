"""Why can an image not be pulled, and what helps?"""

from __future__ import annotations

import re
from typing import Final

from timbre_operator.status.component import Component
from timbre_operator.status.finding import Finding, quoted
from timbre_operator.status.pods import Container, Pod

_PULLING: Final = {
    "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable",
    "SignatureValidationFailed", "InvalidImageName",
}  # fmt: skip
"""k8s.io/kubernetes/pkg/kubelet/images/types.go, and InvalidImageName of kubelet."""

# The first that a registry's words match decides; registries say the same thing in many ways.
_CURES: Final = (
    (
        r"toomanyrequests|429|rate limit",
        "the registry lets nobody pull so often: use a mirror, or log in by {login}",
    ),
    (
        r"unauthorized|authentication required|denied|forbidden|40[13]\b|no basic auth",
        "correct {image}, or let the pods log in by {login}",
    ),
    (
        r"not ?found|manifest unknown|404|invalid reference|InvalidImageName|parse",
        "write an image that exists in {image}",
    ),
    (r"x509|certificate", "the node does not trust the registry's certificate: install its authority on the nodes"),
    (
        r"no such host|timeout|timed out|refused|unreachable|deadline exceeded|EOF",
        "the node does not reach the registry: look at its network and proxy, or use a mirror",
    ),
    (r"no space left", "the node's disk is full: free some of it"),
)
_OTHERWISE: Final = "correct {image}"


def cannot_pull(pod: Pod, component: Component) -> Finding | None:
    """An image does not come."""
    for container in pod.containers:
        if container.waiting in _PULLING:
            words = _words(container, pod)
            return Finding(
                "ImagePullFailed",
                f"{pod.where} cannot pull {container.image}; {_cure(words, component)}; it is told: {quoted(words)}",
            )
    return None


def _words(container: Container, pod: Pod) -> str:
    """The registry's words: kubelet repeats them while it waits only since Kubernetes 1.32, its events always do."""
    if ": " in container.waiting_words or container.waiting != "ImagePullBackOff":
        return container.waiting_words or container.waiting
    events = [event.words for event in pod.warnings if event.words.startswith("Failed to pull image")]
    return events[0] if events else container.waiting_words


def _cure(words: str, component: Component) -> str:
    cure = next((cure for pattern, cure in _CURES if re.search(pattern, words, re.IGNORECASE)), _OTHERWISE)
    return cure.format(image=component.image_field, login=component.login)
