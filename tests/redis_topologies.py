"""Real Redis as it stands in production: a cluster, a master behind a Sentinel, TLS with an ACL user."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import redis

from tests.redis_server import BINARY, RedisServer, free_port
from timbre_server.settings import RedisSettings

SLOTS = 16384
PATIENCE_SECONDS = 20.0
"""Far more than anything here takes; a loaded machine must not fail a test."""


def wait_until(claim: Callable[[], bool], what: str) -> None:
    """Returns once the claim holds: these servers tell nobody when they are done."""
    pause, give_up = threading.Event(), time.monotonic() + PATIENCE_SECONDS
    while not claim():
        assert time.monotonic() < give_up, what
        pause.wait(0.02)


class RedisClusterServers:
    """Three masters with a third of the slots each; up in about 2.2 s, 2 of which a master waits by itself."""

    def __init__(self) -> None:
        with ExitStack() as undo:
            self.nodes = []
            for _ in range(3):
                bus = free_port()
                node = RedisServer(
                    *("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "2000"),
                    *("--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru"),
                )
                undo.callback(node.close)
                self.nodes.append((node, bus))
            self._join()
            self._closing = undo.pop_all()

    @property
    def url(self) -> str:
        """Two of the three: the others are found."""
        return "redis://" + ",".join(f"127.0.0.1:{node.port}" for node, _ in self.nodes[:2])

    @property
    def settings(self) -> RedisSettings:
        return RedisSettings(url=self.url, mode="cluster")

    def close(self) -> None:
        self._closing.close()

    def _join(self) -> None:
        with ExitStack() as clients:
            nodes = [clients.enter_context(redis.Redis(port=node.port)) for node, _ in self.nodes]
            for number, node in enumerate(nodes):
                first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
                node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                node.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            for other, bus in self.nodes[1:]:
                nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
            wait_until(lambda: all(_is_joined(node) for node in nodes), "the cluster does not come up")
            for node in nodes:  # a busy machine fails none of them
                node.config_set("cluster-node-timeout", 60_000)


def _is_joined(node: redis.Redis) -> bool:
    state = str(node.execute_command("CLUSTER", "INFO"))
    return "cluster_state:ok" in state and f"cluster_slots_ok:{SLOTS}" in state


class RedisSentinelServers:
    """A master, its replica, and a Sentinel that needs nobody else's vote, and patience with a busy machine."""

    def __init__(self) -> None:
        with ExitStack() as undo:
            at_once = ("--repl-diskless-sync-delay", "0")
            self.master = RedisServer(*at_once)
            undo.callback(self.master.close)
            self.replica = RedisServer("--replicaof", "127.0.0.1", str(self.master.port), *at_once)
            undo.callback(self.replica.close)
            with redis.Redis(port=self.replica.port) as replica:
                wait_until(
                    lambda: replica.info("replication")["master_link_status"] == "up", "the replica does not sync"
                )
            self.port = free_port()
            self._sentinel = self._start_sentinel()
            undo.callback(self._stop_sentinel)
            with redis.Redis(port=self.port) as sentinel:
                wait_until(lambda: len(sentinel.sentinel_slaves("mymaster")) == 1, "the Sentinel finds no replica")
            self._closing = undo.pop_all()

    @property
    def settings(self) -> RedisSettings:
        return RedisSettings(url=f"redis://127.0.0.1:{self.port}", mode="sentinel")

    def master_port(self) -> int:
        """Whom the Sentinel takes for the master."""
        with redis.Redis(port=self.port) as sentinel:
            address = sentinel.sentinel_get_master_addr_by_name("mymaster")
        assert isinstance(address, tuple)
        return int(address[1])

    def lose_master(self) -> None:
        """It is killed, and the Sentinel has seen enough: a failover takes about a second from now on."""
        self.master.kill()
        with redis.Redis(port=self.port) as sentinel:
            sentinel.sentinel_set("mymaster", "down-after-milliseconds", 300)

    def close(self) -> None:
        self._closing.close()

    def _start_sentinel(self) -> subprocess.Popen[str]:
        file = self.master.folder / "sentinel.conf"
        file.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.master.folder}\n"
            f"sentinel monitor mymaster 127.0.0.1 {self.master.port} 1\n"
            "sentinel down-after-milliseconds mymaster 60000\nsentinel failover-timeout mymaster 2000\n"
        )
        process = subprocess.Popen(
            [BINARY, str(file), "--sentinel"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            if "+monitor" in line:
                break
        else:
            message = "the Sentinel did not start"
            raise RuntimeError(message)
        self._reader = subprocess.Popen(["sh", "-c", "exec cat >/dev/null"], stdin=process.stdout)
        process.stdout.close()
        return process

    def _stop_sentinel(self) -> None:
        self._sentinel.kill()
        self._sentinel.wait()
        self._reader.wait()


OPENSSL = shutil.which("openssl")


def speaks_tls() -> bool:
    """Whether this binary was built with TLS: without a certificate none of them starts, and they say different things."""
    started = subprocess.run(
        [BINARY, "--port", "0", "--tls-port", str(free_port())], capture_output=True, text=True, timeout=20, check=False
    )
    return not any(word in started.stdout + started.stderr for word in ("connection type tls", "Bad directive"))


ACL_RULES = (
    *("~timbre:1:*", "&timbre:1:*"),
    *("+@read", "+@write", "+@pubsub", "+@scripting", "+@connection", "+info", "+wait", "+time", "+cluster"),
)
"""All that a server needs of Redis: docs/ may repeat it."""


class TlsRedisServer(RedisServer):
    """TLS only, asks for the client's certificate, lets in one ACL user with a password from a file."""

    def __init__(self, *options: str) -> None:
        """Certificates come from the ``openssl`` command; its own authority, so that nothing else is trusted."""
        self.tls_port = free_port()
        self.password = "correct horse"  # with a space: it goes through a file and must not be cut
        tls = Path("tls")  # in the server's folder, which is its working directory
        super().__init__(
            *("--port", "0", "--tls-port", str(self.tls_port), "--tls-auth-clients", "yes"),
            *("--tls-cert-file", str(tls / "cert.pem"), "--tls-key-file", str(tls / "key.pem")),
            *("--tls-ca-cert-file", str(tls / "cert.pem"), "--aclfile", "users.acl"),
            *options,
        )

    def start(self) -> None:
        """As any server, with certificates and users made before the first start."""
        folder = self.folder / "tls"
        if not folder.exists():
            folder.mkdir()
            _make_certificate(folder)
            (self.folder / "password").write_text(self.password + "\n")
            rules = " ".join(ACL_RULES)
            digest = hashlib.sha256(self.password.encode()).hexdigest()
            (self.folder / "users.acl").write_text(f"user default off\nuser timbre on #{digest} {rules}\n")
        super().start()

    @property
    def url(self) -> str:
        return f"rediss://localhost:{self.tls_port}/0"

    @property
    def settings(self) -> RedisSettings:
        tls = self.folder / "tls"
        return RedisSettings(
            url=self.url,
            username="timbre",
            password_file=self.folder / "password",
            tls_ca_file=tls / "cert.pem",
            tls_cert_file=tls / "cert.pem",
            tls_key_file=tls / "key.pem",
            connect_timeout_seconds=2.0,  # a handshake on a loaded machine
            read_timeout_seconds=2.0,
        )


def _make_certificate(folder: Path) -> None:
    """A certificate for localhost that is its own authority."""
    assert OPENSSL is not None
    subprocess.run(
        [
            *(OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
