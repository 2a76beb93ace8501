"""What may nobody do who has got into a pod?"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from e2e.installation import HOME, VoiceService
from e2e.kubectl import Kubectl, KubectlError
from e2e.services import STUB

Images = Mapping[str, str]
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
pytestmark = pytest.mark.usefixtures("timbre")

ASK_API_SERVER = """
import json, ssl, urllib.error, urllib.request
context = ssl._create_unverified_context()
for path in ("/api/v1/secrets", "/api/v1/namespaces/default/pods", "/apis/timbre.dev/v1alpha1/voiceservices"):
    try:
        print(urllib.request.urlopen("https://kubernetes.default.svc" + path, context=context, timeout=5).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""


def test_server_has_no_token_and_the_api_server_refuses_it(namespace: Kubectl) -> None:
    service = VoiceService(namespace, "narrator", STUB).apply(replicas=1).ready()
    (pod,) = service.ready_pods()
    name = pod["metadata"]["name"]

    assert namespace.python(name, f"import os; print(os.path.exists({SERVICE_ACCOUNT!r}))").strip() == "False"
    assert namespace.python(name, ASK_API_SERVER).split() == ["403", "403", "403"]


def test_server_s_account_may_no_more_than_everybody(namespace: Kubectl) -> None:
    VoiceService(namespace, "narrator", STUB).apply(replicas=1).ready()

    def rights(account: str) -> str:
        who = f"system:serviceaccount:{namespace.namespace}:{account}"
        return namespace("auth", "can-i", "--list", "--no-headers", "--as", who)

    assert rights("narrator") == rights("default")


REDIS = """
import asyncio, redis.asyncio as aioredis, sys
from pathlib import Path
host, command = sys.argv[1], sys.argv[2:]
async def main():
    password = Path("/etc/timbre/redis/password").read_text().strip()
    client = aioredis.Redis(host=host, username="timbre", password=password, socket_timeout=5)
    try:
        print(await client.execute_command(*command))
    except aioredis.RedisError as error:
        print(type(error).__name__)
    await client.aclose()
asyncio.run(main())
"""


def test_redis_lets_a_pod_touch_its_own_keys_only(namespace: Kubectl) -> None:
    one = VoiceService(namespace, "narrator", STUB).apply(replicas=1).ready()
    VoiceService(namespace, "reader", STUB).apply(replicas=1).ready()
    (pod,) = one.ready_pods()

    def redis(host: str, *command: str) -> str:
        # With the server's own Python and password, as whoever got into it.
        return namespace.python(pod["metadata"]["name"], REDIS, host, *command).strip()

    assert redis("narrator-redis", "SET", "timbre:1:mine", "x") == "True"
    assert redis("narrator-redis", "SET", "theirs", "x") == "NoPermissionError"
    for command in (["FLUSHALL"], ["CONFIG", "GET", "*"], ["ACL", "LIST"], ["SHUTDOWN", "NOSAVE"], ["KEYS", "*"]):
        assert redis("narrator-redis", *command) == "NoPermissionError", command
    # Another service's Redis has another password.
    assert redis("reader-redis", "GET", "timbre:1:mine") == "AuthenticationError"


def test_operator_runs_with_its_own_role_only(kubectl: Kubectl) -> None:
    account = f"system:serviceaccount:{HOME}:timbre-operator"
    bound = {
        binding["roleRef"]["name"]
        for kind in ("clusterrolebindings", "rolebindings")
        for binding in kubectl.items(kind, "--all-namespaces")
        if {"kind": "ServiceAccount", "name": "timbre-operator", "namespace": HOME} in binding.get("subjects", [])
    }
    # Every server of an aggregated API needs these two, to ask who its caller is.
    known = {"system:auth-delegator", "extension-apiserver-authentication-reader"}
    assert all("timbre-operator" in role for role in bound - known), bound
    for words in (
        ["create", "pods"],
        ["create", "pods/exec"],
        ["create", "clusterrolebindings"],
        ["escalate", "clusterroles"],
        ["impersonate", "users"],
        ["delete", "namespaces"],
        ["delete", "persistentvolumes"],
        ["delete", "voiceservices.timbre.dev"],
    ):
        with pytest.raises(KubectlError, match=r"no$"):
            kubectl("auth", "can-i", *words, "--as", account, "--all-namespaces")


def test_pods_of_a_service_pass_the_restricted_standard(namespace: Kubectl, images: Images) -> None:
    service = VoiceService(namespace, "narrator", STUB).apply(replicas=1).ready()
    labels = namespace.json("get", "namespace", namespace.namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert [
        pod["status"]["phase"] for pod in namespace.items("pods", f"-lapp.kubernetes.io/instance={service.name}")
    ] == [
        "Running",
        "Running",
    ]
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        namespace("run", "privileged", f"--image={images['operator']}", "--privileged", "--", "true")


def test_network_policy_of_redis_names_its_service_and_the_operator_only(namespace: Kubectl) -> None:
    """By its shape: this node's network plug-in enforces none."""
    VoiceService(namespace, "narrator", STUB).apply(replicas=1).ready()

    spec = namespace.json("get", "networkpolicy", "narrator-redis")["spec"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in spec  # nothing at all
    (redis,) = [rule for rule in spec["ingress"] if rule["ports"][0]["port"] == 6379]
    pods, namespaces = redis["from"]
    assert pods["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "server"
    assert pods["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "narrator"
    assert namespaces["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": HOME}
