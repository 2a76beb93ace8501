"""Which rights does the operator need, and not one more?

With a list of namespaces it works with a Role in each of them; without one, with a ClusterRole.  The only other things
that it needs are a Lease in its own namespace, and, where it serves the metrics API, to read who may call it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.kinds import CHILDREN, CLAIM, EVENT, LEASE, POD, group_of
from timbre_operator.ports import Kind

NAME: Final = "timbre-operator"
"""Of the roles, their bindings and the account, where nothing else is said."""
_RBAC: Final = "rbac.authorization.k8s.io"

_WATCH: Final = ("list", "watch")
# Server-side apply is patch, and create where the object is not there yet.
_OWN: Final = ("get", *_WATCH, "create", "patch", "delete")


@dataclass(frozen=True)
class Right:
    """Verbs on kinds of objects of one API group."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    names: tuple[str, ...] = ()
    """Only objects of these names; all where it is empty."""

    def to_rule(self) -> dict[str, Any]:
        """As an item of ``rules`` of a Role."""
        rule: dict[str, Any] = {"apiGroups": [self.group], "resources": list(self.resources), "verbs": list(self.verbs)}
        return rule | ({"resourceNames": list(self.names)} if self.names else {})


def service_rights() -> tuple[Right, ...]:
    """Where VoiceServices live."""
    return (
        Right(labels.GROUP, (labels.PLURAL,), _WATCH, "what users want"),
        Right(labels.GROUP, (f"{labels.PLURAL}/status",), ("patch",), "what they are told"),
        *(_on(watched.kind, _OWN, "a child of VoiceServices") for watched in CHILDREN),
        _on(CLAIM, (*_WATCH, "patch"), "the volume of a managed Redis, which grows with the spec"),
        _on(POD, (*_WATCH, "patch"), "their state, and which of them leaves first"),
        _on(EVENT, ("list", "create", "patch"), "why a pod does not start, and what the operator did"),
    )


def home_rights(lease: str = NAME) -> tuple[Right, ...]:
    """In the operator's own namespace."""
    group = group_of(LEASE)
    return (
        Right(group, (LEASE.plural,), ("create",), "one operator writes"),
        Right(group, (LEASE.plural,), ("get", "update"), "one operator writes", (lease,)),
    )


def build_rbac(
    *,
    namespaces: Sequence[str] = (),
    operator_namespace: str,
    account: str = NAME,
    lease: str = NAME,
    metrics_api: bool = True,
) -> list[dict[str, Any]]:
    """Roles and their bindings for the operator's account; cluster-wide where no namespace is named."""
    return list(_objects(namespaces, operator_namespace, account, lease, metrics_api=metrics_api))


def _objects(
    namespaces: Sequence[str], home: str, account: str, lease: str, *, metrics_api: bool
) -> Iterator[dict[str, Any]]:
    subject = {"kind": "ServiceAccount", "name": account, "namespace": home}
    if not namespaces:
        yield _role("ClusterRole", NAME, "", service_rights())
        yield _binding("ClusterRoleBinding", (NAME, ""), ("ClusterRole", NAME), subject)
    for namespace in namespaces:
        yield _role("Role", NAME, namespace, service_rights())
        yield _binding("RoleBinding", (NAME, namespace), ("Role", NAME), subject)
    yield _role("Role", f"{NAME}-lease", home, home_rights(lease))
    yield _binding("RoleBinding", (f"{NAME}-lease", home), ("Role", f"{NAME}-lease"), subject)
    if metrics_api:
        # Kubernetes' own role: the certificate authority of those whom the API server lets through, and their names.
        # In two installations there are two bindings.
        name = f"{NAME}-{home}-authentication-reader"
        yield _binding(
            "RoleBinding", (name, "kube-system"), ("Role", "extension-apiserver-authentication-reader"), subject
        )


def _on(kind: Kind, verbs: tuple[str, ...], why: str) -> Right:
    return Right(group_of(kind), (kind.plural,), verbs, why)


def _role(kind: str, name: str, namespace: str, rights: Sequence[Right]) -> dict[str, Any]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": _metadata(name, namespace),
        "rules": [right.to_rule() for right in rights],
    }


def _binding(kind: str, own: tuple[str, str], role: tuple[str, str], subject: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": _metadata(*own),
        "roleRef": {"apiGroup": _RBAC, "kind": role[0], "name": role[1]},
        "subjects": [subject],
    }


def _metadata(name: str, namespace: str) -> dict[str, Any]:
    return {"name": name, **({"namespace": namespace} if namespace else {})}
