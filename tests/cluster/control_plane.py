"""A real Kubernetes control plane on free ports of this machine: etcd, the API server and the controllers, RBAC on.

There is no kubelet, no scheduler, no proxy and no DNS: ``fake_node`` stands in for what tests need of them.
``make cluster-tools`` makes the programs.
"""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from examples.local_redis import free_port
from tests.cluster.api import PATIENCE_SECONDS
from tests.cluster.certificates import Authority, Pair, kubeconfig, new_key_pair
from tests.cluster.coming_up import until_it_answers
from tests.cluster.loopback_range import LoopbackRange

ROOT: Final = Path(__file__).resolve().parents[2]
_CONTROLLERS: Final = (
    *("deployment-controller", "replicaset-controller", "statefulset-controller", "disruption-controller"),
    *("horizontal-pod-autoscaler-controller", "garbage-collector-controller", "namespace-controller"),
    *("serviceaccount-controller", "serviceaccount-token-controller", "resourcequota-controller"),
    *("persistentvolume-binder-controller", "persistentvolumeclaim-protection-controller"),
    *("persistentvolume-protection-controller", "root-ca-certificate-publisher-controller"),
)
"""All that a VoiceService meets.  Not the one that writes EndpointSlices: they may not hold loopback addresses."""
_FRUGAL: Final = {"GOGC": "400", "GOMAXPROCS": "1"}
"""Go collects garbage four times less often than by default: 15 % less processor time in these tests, for some memory.
On one processor its threads do not wake each other to share what little there is: 20 % less, and sooner done."""
_DIES_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL", "--")
"""From util-linux: even a killed test run leaves no process behind."""


class ToolsMissing(RuntimeError):
    """The programs were not made yet."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(f"{', '.join(missing)}: not built yet; `make cluster-tools` builds them, once per machine")


class Tools:
    """Where the programs and other projects' CRDs are."""

    def __init__(self) -> None:
        """Raises: ToolsMissing."""
        script = ROOT / "scripts" / "cluster_tools.sh"
        found = subprocess.run([script, "--path"], check=True, capture_output=True, text=True)
        self.folder = Path(found.stdout.strip())
        self.crds = self.folder / "crds"
        names = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm")
        missing = [name for name in names if not os.access(self.folder / "bin" / name, os.X_OK)]
        missing += [] if self.crds.is_dir() else ["crds"]
        if missing:
            raise ToolsMissing(missing)

    def __getitem__(self, name: str) -> str:
        return str(self.folder / "bin" / name)


def dying_with_us(command: Sequence[str]) -> list[str]:
    """The command, for a process that must not outlive this one."""
    return [*(_DIES_WITH_US if shutil.which(_DIES_WITH_US[0]) else ()), *command]


class ControlPlane:
    """Running when this is made; ``close`` ends it for sure and leaves the logs."""

    def __init__(self, tools: Tools, folder: Path) -> None:
        """``folder`` keeps certificates, kubeconfigs and logs."""
        self.tools, self.folder, self.logs = tools, folder, folder / "logs"
        self.logs.mkdir(parents=True)
        self.port, self._etcd_port = free_port(), free_port()
        self.server = f"https://127.0.0.1:{self.port}"
        self.addresses = LoopbackRange()
        """Of Services and pods: of this machine, so that everybody here reaches what listens there."""
        self._authority, self._front_proxy = Authority("timbre-test"), Authority("timbre-test-front-proxy")
        self.authority_pem = self._authority.pair.certificate
        self._write_certificates()
        self.admin = self.kubeconfig("admin", ("system:masters",))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        with ExitStack() as undo:
            self._storage = tempfile.mkdtemp(prefix="timbre-etcd-")
            undo.callback(self.close)
            self._start_etcd()
            self.start_api_server()
            undo.pop_all()

    def kubeconfig(self, user: str, groups: Sequence[str] = (), *, namespace: str = "") -> Path:
        """A file with a client certificate for this user in these groups; the rights come from RBAC."""
        pair = self._authority.client(user, groups)
        return self._kubeconfig(user, kubeconfig(self.server, self.authority_pem, pair=pair, namespace=namespace))

    def kubeconfig_for_token(self, name: str, token: str, *, namespace: str = "") -> Path:
        """A file with the token of a ServiceAccount."""
        return self._kubeconfig(name, kubeconfig(self.server, self.authority_pem, token=token, namespace=namespace))

    def serving_certificate(self, *names: str) -> Pair:
        """Signed by an authority that the API server's clients trust: ``authority_pem`` is its caBundle."""
        return self._authority.server(*names)

    def start_api_server(self) -> None:
        """Ready when this returns."""
        folder = self.folder
        self._start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            *("--bind-address=127.0.0.1", f"--secure-port={self.port}", "--endpoint-reconciler-type=none"),
            *(f"--service-cluster-ip-range={self.addresses.services}", "--authorization-mode=RBAC", "--profiling=false"),
            *(f"--client-ca-file={folder}/ca.crt", f"--tls-cert-file={folder}/api-server.crt"),
            f"--tls-private-key-file={folder}/api-server.key",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            *(f"--service-account-key-file={folder}/accounts.pub", f"--service-account-signing-key-file={folder}/accounts.key"),
            *(f"--requestheader-client-ca-file={folder}/front-proxy-ca.crt", "--requestheader-allowed-names=front-proxy"),
            *("--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group"),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            *(f"--proxy-client-cert-file={folder}/front-proxy.crt", f"--proxy-client-key-file={folder}/front-proxy.key"),
            "--shutdown-delay-duration=0s",
        )  # fmt: skip
        tls = ssl.create_default_context(cadata=self.authority_pem.decode())
        name = "kube-apiserver"
        until_it_answers(f"{self.server}/readyz", self._processes[name], self.logs / f"{name}.log", tls=tls)

    def install(self, *files: Path) -> None:
        """Applies manifests: CRDs, mostly."""
        self.kubectl("apply", "--server-side", "--force-conflicts", *(f"--filename={file}" for file in files))

    def start_controllers(self) -> None:
        """After the CRDs, which the garbage collector looks for every 30 seconds only."""
        own = self.kubeconfig("system:kube-controller-manager")
        self._start(
            "kube-controller-manager",
            *(f"--kubeconfig={own}", f"--authentication-kubeconfig={own}", f"--authorization-kubeconfig={own}"),
            *("--bind-address=127.0.0.1", f"--secure-port={free_port()}", "--leader-elect=false", "--profiling=false"),
            *("--use-service-account-credentials=true", f"--service-account-private-key-file={self.folder}/accounts.key"),
            *(f"--root-ca-file={self.folder}/ca.crt", f"--controllers={','.join(_CONTROLLERS)}"),
            # Its clients wait for each other at the default of 20 requests a second: the first pod would come 5 s late.
            *("--kube-api-qps=200", "--kube-api-burst=400"),
            *("--horizontal-pod-autoscaler-sync-period=2s", "--horizontal-pod-autoscaler-initial-readiness-delay=1s"),
            "--pvclaimbinder-sync-period=2s",
        )  # fmt: skip

    def stop(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends one of the processes, as ``kube-apiserver``; what it stored stays."""
        process = self._processes.pop(name)
        process.send_signal(number)
        process.wait()

    def kubectl(self, *arguments: str, stdin: str = "", user: Path | None = None) -> str:
        """Output of kubectl; it blocks, so nothing that waits for the fake node.

        Raises:
            subprocess.CalledProcessError: it failed; ``stderr`` says why.
        """
        done = subprocess.run(
            [self.tools["kubectl"], *arguments],
            input=stdin, text=True, capture_output=True, check=False, timeout=PATIENCE_SECONDS, env=self.environment(user),
        )  # fmt: skip
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, ["kubectl", *arguments], done.stdout, done.stderr)
            error.add_note(done.stderr)
            raise error
        return done.stdout

    def environment(self, user: Path | None = None) -> dict[str, str]:
        """For kubectl, Helm and the operator: this cluster, and caches that nobody else reads."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("TIMBRE_", "KUBE", "HELM_"))
        }
        home = {"HOME": str(self.folder), "KUBECACHEDIR": str(self.folder / "kube-cache")}
        return {**inherited, **home, **_FRUGAL, "KUBECONFIG": str(user or self.admin)}

    def close(self) -> None:
        """Ends everything; the logs stay where they are."""
        for name in reversed(list(self._processes)):
            self.stop(name)
        self.addresses.close()
        shutil.rmtree(self._storage, ignore_errors=True)

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{free_port()}"
        self._start(
            "etcd",
            *(f"--data-dir={self._storage}", "--unsafe-no-fsync", "--log-level=warn", "--name=test"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=test={peer}"),
        )

    def _write_certificates(self) -> None:
        folder = self.folder
        (folder / "ca.crt").write_bytes(self.authority_pem)
        (folder / "front-proxy-ca.crt").write_bytes(self._front_proxy.pair.certificate)
        self._front_proxy.client("front-proxy").write(folder, "front-proxy")
        # 127.96.0.1 is the Service called kubernetes.
        names = (
            "127.0.0.1",
            "127.96.0.1",
            "localhost",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        )
        self._authority.server(*names).write(folder, "api-server")
        private, public = new_key_pair()
        Pair(public, private).write(folder, "accounts")
        (folder / "accounts.crt").rename(folder / "accounts.pub")

    def _kubeconfig(self, name: str, content: str) -> Path:
        file = self.folder / f"{name.replace(':', '-')}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(content)
        return file

    def _start(self, name: str, *arguments: str) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                dying_with_us([self.tools[name], *arguments]),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **_FRUGAL},
            )
