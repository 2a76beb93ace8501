"""Who may say that it is whom?  Writes the certificates and kubeconfigs of the local cluster.

Usage: certificates.py FOLDER API_URL NODE ADDRESS...    (addresses under which the API server is reached, the node's first)
"""

import base64
import datetime as dt
import ipaddress
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID: Final = dt.timedelta(days=365)
SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
API_NAMES: Final = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
KUBECONFIG: Final = """\
apiVersion: v1
kind: Config
clusters:
  - name: timbre
    cluster: {{server: "{url}", certificate-authority-data: {authority}}}
users:
  - name: {user}
    user: {{client-certificate-data: {certificate}, client-key-data: {key}}}
contexts:
  - name: timbre
    context: {{cluster: timbre, user: {user}}}
current-context: timbre
"""


@dataclass(frozen=True)
class Identity:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        return key_pem(self.key)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS 8, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def authority(name: str) -> Identity:
    """One that signs itself and others."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    extension = x509.BasicConstraints(ca=True, path_length=0)
    certificate = _builder(subject, key).issuer_name(subject).add_extension(extension, critical=True)
    return Identity(certificate.sign(key, hashes.SHA256()), key)


def signed(
    by: Identity,
    name: str,
    groups: tuple[str, ...] = (),
    *,
    usage: x509.ObjectIdentifier = CLIENT,
    hosts: tuple[str, ...] = (),
) -> Identity:
    """One whose common name is a user to Kubernetes, and whose organizations are its groups."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        + [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    builder = (
        _builder(subject, key)
        .issuer_name(by.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    return Identity(builder.sign(by.key, hashes.SHA256()), key)


def _builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def kubeconfig(url: str, root: Identity, user: str, identity: Identity) -> bytes:
    """For one user, with everything in it."""

    def text(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    return KUBECONFIG.format(
        url=url,
        user=user,
        authority=text(root.certificate_pem()),
        certificate=text(identity.certificate_pem()),
        key=text(identity.key_pem()),
    ).encode()


def write_all(folder: Path, url: str, node: str, addresses: tuple[str, ...]) -> None:
    """Everything, for the owner's eyes only."""
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, content: bytes) -> None:
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    root, front = authority("timbre-cluster"), authority("timbre-cluster-front-proxy")
    node_user = f"system:node:{node}"
    pairs = {
        "ca": root,
        "front-proxy-ca": front,
        "front-proxy-client": signed(front, "front-proxy-client"),
        "apiserver": signed(root, "kube-apiserver", usage=SERVER, hosts=(*API_NAMES, "localhost", *addresses)),
        "apiserver-kubelet-client": signed(root, "kube-apiserver-kubelet-client", ("system:masters",)),
        "kubelet-server": signed(root, node_user, ("system:nodes",), usage=SERVER, hosts=(node, *addresses)),
    }
    for name, pair in pairs.items():
        write(f"{name}.crt", pair.certificate_pem())
        write(f"{name}.key", pair.key_pem())
    # Kubernetes binds these users to their roles by itself.
    users = {
        "admin": ("timbre-admin", ("system:masters",)),
        "controller-manager": ("system:kube-controller-manager", ()),
        "scheduler": ("system:kube-scheduler", ()),
        "kubelet": (node_user, ("system:nodes",)),
        "kube-proxy": ("system:kube-proxy", ()),
    }
    for name, (user, groups) in users.items():
        write(f"{name}.kubeconfig", kubeconfig(url, root, name, signed(root, user, groups)))
    accounts = ec.generate_private_key(ec.SECP256R1())
    write("sa.key", key_pem(accounts))
    public = accounts.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write("sa.pub", public)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]), sys.argv[2], sys.argv[3], tuple(sys.argv[4:]))
