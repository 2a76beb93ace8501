"""An image that does not come: which one, on which node, in the registry's words, and what helps."""

from __future__ import annotations

import pytest

from tests.operator.status.states import IMAGE, AState, a_deployment, a_pod, a_state
from timbre_operator.voiceservice.status import Condition

_NOT_FOUND = (
    f'rpc error: code = NotFound desc = failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}":'
    f" {IMAGE}: not found"
)


def _state() -> AState:
    return a_state().having(a_deployment().starting(0, of=1))


def _ready(words: str, reason: str = "ErrImagePull") -> Condition:
    return _state().with_pods(a_pod().on("node-7").waiting(reason, words)).condition("Ready")


# What container runtimes and registries say, and what is advised.
_WORDS = {
    "there is no such tag": (_NOT_FOUND, "write an image that exists in spec.image"),
    "there is no such manifest": ("manifest unknown: manifest unknown", "write an image that exists in spec.image"),
    "the registry wants a login": (
        "failed to authorize: unexpected status from GET request to https://ghcr.io/token: 401 Unauthorized",
        "let the pods log in by imagePullSecrets",
    ),
    "Docker Hub hides whether it exists": (
        'Error response from daemon: pull access denied for timbre, repository does not exist or may require "docker login"',
        "correct spec.image, or let the pods log in",
    ),
    "too many were pulled": (
        "429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit.",
        "use a mirror",
    ),
    "the name does not resolve": (
        "dial tcp: lookup ghcr.io on 10.96.0.10:53: no such host",
        "the node does not reach the registry",
    ),
    "nobody answers": ("dial tcp 140.82.121.34:443: i/o timeout", "the node does not reach the registry"),
    "the certificate is not trusted": (
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "install its authority on the nodes",
    ),
    "the disk is full": ("write /var/lib/containerd/x: no space left on device", "the node's disk is full"),
    "something new": ("the sky is falling", "correct spec.image"),
}


@pytest.mark.parametrize("case", _WORDS)
def test_the_registrys_words_decide_what_is_advised(case: str) -> None:
    words, advice = _WORDS[case]
    ready = _ready(words)
    assert ready.reason == "ImagePullFailed"
    assert advice in ready.message
    assert words[:100] in ready.message


def test_the_pod_the_node_and_the_image_are_named() -> None:
    assert _ready(_NOT_FOUND).message.startswith(
        f"pod narrator-7d9c5b8f6d-x2x4p on node node-7 cannot pull {IMAGE}; write an image that exists in spec.image;"
        ' it is told: "rpc error: code = NotFound'
    )


def test_a_kubelet_that_waits_and_says_nothing_is_asked_through_its_events() -> None:
    waiting = a_pod().waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')
    pod = waiting.warned("Failed", f'Failed to pull image "{IMAGE}": {_NOT_FOUND}')
    state = _state().warned("Pod", "narrator-7d9c5b8f6d-x2x4p", "Failed", "Error: ErrImagePull")
    state = state.with_pods(pod).warned("Pod", "another", "Failed", 'Failed to pull image "x": 401')
    assert "write an image that exists" in state.condition("Ready").message


def test_a_kubelet_that_repeats_the_words_while_it_waits_is_believed() -> None:
    ready = _ready(f'Back-off pulling image "{IMAGE}": ErrImagePull: {_NOT_FOUND}', "ImagePullBackOff")
    assert "write an image that exists" in ready.message


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull", "ImageInspectError"])
def test_every_reason_of_kubelet_counts(reason: str) -> None:
    assert _ready("", reason).reason == "ImagePullFailed"


def test_pods_with_the_same_trouble_are_counted_and_not_repeated() -> None:
    pods = [a_pod(name).waiting("ErrImagePull", _NOT_FOUND) for name in ("narrator-1", "narrator-2", "narrator-3")]
    message = _state().with_pods(*pods).condition("Ready").message
    assert message.startswith("pod narrator-1 ")
    assert message.endswith("(and 2 more pods)")
    assert _state().with_pods(*pods[:2]).condition("Ready").message.endswith("(and 1 more pod)")


def test_the_newest_pod_is_named_for_it_has_the_newest_spec() -> None:
    old = a_pod("narrator-1").waiting("ErrImagePull", _NOT_FOUND)
    new = a_pod("narrator-2").waiting("ErrImagePull", _NOT_FOUND).made_at("2026-11-30T11:59:00Z")
    assert _state().with_pods(old, new).condition("Ready").message.startswith("pod narrator-2 ")


def test_a_pod_that_leaves_is_no_trouble() -> None:
    pod = a_pod().waiting("ErrImagePull", _NOT_FOUND).leaving()
    assert _state().with_pods(pod).condition("Ready").reason == "Starting"


def test_a_pod_of_somebody_else_is_no_trouble() -> None:
    pod = a_pod().waiting("ErrImagePull", _NOT_FOUND).labelled(**{"app.kubernetes.io/instance": "other"})
    assert _state().with_pods(pod).condition("Ready").reason == "Starting"


def test_long_words_are_cut() -> None:
    assert len(_ready("x " * 2000).message) < 700
