"""A real Redis runs with what the operator writes, serves the pods, and refuses what would hurt them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import redis.exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.full_disk import fill_disk, next_file
from tests.operator.desired.children import PASSWORDS, children_of, container_of, server_pod
from tests.operator.manifests import a_service
from tests.redis_server import BINARY, free_port, need_redis
from tests.server.store.registries import UNHURRIED, a_consent, a_voice
from timbre_contract.keys import ServiceKeys
from timbre_operator.desired.redis_config import OPERATOR_USER, redis_conf, users_acl
from timbre_operator.desired.redis_exporter import MONITOR_USER, monitor_password
from timbre_server.settings import RedisSettings
from timbre_server.store.link import RedisLink
from timbre_server.store.redis_voices import RedisVoiceStore

SCRIPTS = Path(__file__).resolve().parents[3] / "server" / "timbre_server" / "store" / "lua"
_KEY = "timbre:1:{studio.narrator}:changes"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """That of a server that runs with the operator's two files."""
    with _redis(tmp_path_factory.mktemp("redis")) as number:
        yield number


@contextmanager
def _redis(folder: Path, *more: str, until: str = "Ready to accept connections") -> Iterator[int]:
    """A server with the operator's two files and its append-only file in the folder, once it has said so much; killed at the
    end."""
    need_redis()
    managed = a_service().with_spec(redis={"managed": {"maxMemory": "100Mi"}}).built().managed_redis
    assert managed is not None
    tester = "user tester on >tests ~written +acl|dryrun +command +info +set +bgrewriteaof\n"
    (folder / "users.acl").write_text(users_acl(PASSWORDS) + tester, "utf-8")
    number = free_port()
    text = redis_conf(managed, port=number, acl_folder=str(folder))
    (folder / "redis.conf").write_text("\n".join([text.replace("dir /data", f"dir {folder}"), *more]), "utf-8")
    server = subprocess.Popen(
        [BINARY, folder / "redis.conf"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert server.stdout is not None
    said = []
    for line in server.stdout:
        said.append(line)
        if until in line:
            break
    else:
        pytest.fail(f"redis-server did not start: {''.join(said)}")
    try:
        yield number
    finally:
        server.kill()
        server.stdout.close()
        server.wait()


def test_what_scripts_wrote_is_there_after_a_restart(tmp_path: Path) -> None:
    """A script is a transaction, and Redis 7 replays transactions of its file with the rights of the user ``default``."""
    with _redis(tmp_path) as number, _client(number, "timbre", PASSWORDS.pods) as client:
        client.eval(f"redis.call('SET', KEYS[1], 'x') redis.call('INCR', '{_KEY}:2')", 1, _KEY)
    with _redis(tmp_path) as number, _client(number, "timbre", PASSWORDS.pods) as client:
        assert client.mget(_KEY, f"{_KEY}:2") == ["x", "1"]


@pytest.mark.parametrize("password", [None, "", "default"])
def test_nobody_gets_in_as_the_user_default(port: int, password: str | None) -> None:
    user = None if password is None else "default"
    with (
        _client(port, user, password) as client,
        pytest.raises(redis.exceptions.RedisError, match=r"NOAUTH|WRONGPASS|Auth|pair"),
    ):
        client.ping()


def _client(port: int, user: str | None, password: str | None) -> redis.Redis:
    retry = Retry(NoBackoff(), 0)  # the library would try a wrong password ten times
    return redis.Redis(port=port, username=user, password=password, decode_responses=True, protocol=2, retry=retry)


@pytest.fixture
def pods(port: int) -> Iterator[redis.Redis]:
    with _client(port, "timbre", PASSWORDS.pods) as client:
        yield client


@pytest.fixture
def operator(port: int) -> Iterator[redis.Redis]:
    with _client(port, "timbre-operator", PASSWORDS.operator) as client:
        yield client


def test_the_server_is_set_up_as_asked(operator: redis.Redis) -> None:
    wanted = {
        "maxmemory": str(100 << 20), "maxmemory-policy": "volatile-lru", "appendonly": "yes", "appendfsync": "everysec",
        "save": "",
    }  # fmt: skip
    assert operator.config_get(*wanted) == wanted


async def test_pods_keep_their_voices_in_it(port: int, tmp_path: Path, scope: str) -> None:
    (tmp_path / "password").write_text(PASSWORDS.pods, "utf-8")
    settings = RedisSettings(
        url=f"redis://127.0.0.1:{port}/0", username="timbre", password_file=tmp_path / "password"
    ).model_copy(update=UNHURRIED)
    link = RedisLink(settings)
    await link.start()
    try:
        store = RedisVoiceStore(link, ServiceKeys(scope))
        await store.add_consent(a_consent())
        await store.add_voice(a_voice(), b"fLaC")
        voices, more = await store.voices("default", after=None, limit=5)
        assert ([voice.id for voice in voices], more) == (["voice_1"], False)
    finally:
        await link.close()


def _allowed(tester: redis.Redis, *command: str) -> bool:
    answer = tester.execute_command("ACL DRYRUN", "timbre", *command)
    assert "permission" in answer or answer == "OK", answer
    return bool(answer == "OK")


def test_every_command_of_the_scripts_is_allowed(port: int) -> None:
    text = "".join(script.read_text("utf-8") for script in SCRIPTS.glob("*.lua"))
    commands = sorted(set(re.findall(r"redis\.p?call\(\s*['\"](\w+)['\"]", text)))
    assert len(commands) > 20
    with _client(port, "tester", "tests") as tester:
        arities = {
            name: abs(tester.execute_command("COMMAND", "INFO", name)[name.lower()]["arity"]) for name in commands
        }
        assert [name for name in commands if not _allowed(tester, name, *[_KEY] * (arities[name] - 1))] == []


@pytest.mark.parametrize(
    "command",
    [
        f"XREAD COUNT 1 STREAMS {_KEY} 0", f"XRANGE {_KEY} - +", f"HGETALL {_KEY}", f"HMGET {_KEY} a", f"MGET {_KEY}",
        f"ZRANGEBYSCORE {_KEY} 0 1", f"EXISTS {_KEY}", f"EXPIRE {_KEY} 1", f"UNLINK {_KEY}", f"SUBSCRIBE {_KEY}",
        f"PUBLISH {_KEY} x", f"EVALSHA 0 1 {_KEY}", f"EVAL x 1 {_KEY}", "SCRIPT LOAD x", "WAIT 1 1", "INFO server", "PING",
        "TIME", "SELECT 0", "MULTI", "CLIENT SETNAME x",
    ],
)  # fmt: skip
def test_what_the_client_itself_sends_is_allowed(command: str, port: int) -> None:
    with _client(port, "tester", "tests") as tester:
        assert _allowed(tester, *command.split())


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL", "FLUSHDB", "KEYS *", "SHUTDOWN", "CONFIG GET maxmemory", "CONFIG SET maxmemory 1",
        "ACL LIST", "REPLICAOF NO ONE", "SWAPDB 0 1", "BGREWRITEAOF", "MONITOR", "MODULE LIST", "GET other:1:key",
        "SET other 1", "PUBLISH other x", "CLIENT KILL ID 1", "FUNCTION FLUSH",
        "SCRIPT FLUSH",
    ],
)  # fmt: skip
def test_pods_can_neither_empty_nor_stop_nor_reconfigure_it(command: str, pods: redis.Redis) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        pods.execute_command(*command.split())


@pytest.mark.parametrize("command", ["FLUSHALL", "GET timbre:1:x", "SET timbre:1:x 1", "SHUTDOWN", "KEYS *"])
def test_the_operator_looks_and_tunes_and_touches_no_key(command: str, operator: redis.Redis) -> None:
    assert operator.info("server")["redis_version"]
    for setting, value in {"maxmemory": 100 << 20, "maxmemory-policy": "volatile-lru", "appendonly": "yes"}.items():
        assert operator.config_set(setting, value)
    with pytest.raises(redis.exceptions.NoPermissionError):
        operator.execute_command(*command.split())


_EXPORTER_ASKS = ["INFO ALL", "CLIENT SETNAME x", "SLOWLOG LEN", "LATENCY LATEST", "LATENCY HISTOGRAM"]
"""What redis_exporter v1.88.0 sent with our flags, by ``INFO commandstats``; it asks for SLOWLOG GET too, and does without."""


def test_the_exporter_may_ask_what_it_asks(port: int) -> None:
    with _client(port, MONITOR_USER, monitor_password(PASSWORDS)) as exporter:
        for command in _EXPORTER_ASKS:
            exporter.execute_command(*command.split())


@pytest.mark.parametrize(
    "command",
    [
        "SLOWLOG GET", "CONFIG GET *", "CONFIG SET maxmemory 1", "GET timbre:1:x", "SCAN 0", "KEYS *", "MONITOR", "CLIENT LIST",
        "EVAL x 0", "FLUSHALL", "SHUTDOWN", "ACL LIST",
    ],
)  # fmt: skip
def test_the_exporter_sees_no_voice_and_no_setting(command: str, port: int) -> None:
    with (
        _client(port, MONITOR_USER, monitor_password(PASSWORDS)) as exporter,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        exporter.execute_command(*command.split())


def test_nobody_gets_in_without_a_password(port: int) -> None:
    with _client(port, None, None) as client, pytest.raises(redis.exceptions.AuthenticationError):
        client.ping()
    with _client(port, "timbre", "wrong") as client, pytest.raises(redis.exceptions.AuthenticationError):
        client.ping()


_PROBES = ["startupProbe", "readinessProbe", "livenessProbe"]


def _probe(port: int, kind: str) -> list[str]:
    template = children_of(a_service())["StatefulSet/narrator-redis"]["spec"]["template"]
    command = container_of(template, "redis")[kind]["exec"]["command"]
    return [str(port) if word == "6379" else word for word in command]


@pytest.mark.parametrize("kind", _PROBES)
def test_each_probe_passes_at_a_server_that_serves_and_at_no_other(kind: str, port: int) -> None:
    assert _passes(_probe(port, kind))
    assert not _passes(_probe(free_port(), kind))


def test_a_probe_may_ask_for_nothing_else(port: int) -> None:
    *probe, ping = _probe(port, "readinessProbe")
    assert ping == "ping"
    assert not _passes([*probe, "dbsize"])


def test_a_server_that_reads_its_file_has_not_started_and_lives(tmp_path: Path) -> None:
    with (
        _redis(tmp_path) as number,
        _client(number, "timbre", PASSWORDS.pods) as client,
        _client(number, "tester", "tests") as tester,
    ):
        client.mset({f"timbre:1:{place}": os.urandom(1024) for place in range(2000)})
        next_file(tester)  # in which each key is one to load
    slowly = "key-load-delay 20000", "loading-process-events-interval-bytes 1024"  # 20 ms for each key
    with _redis(tmp_path, *slowly, until="Server initialized") as number:
        assert [_passes(_probe(number, kind)) for kind in _PROBES] == [False, False, True]


def _passes(probe: list[str]) -> bool:
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def test_a_server_whose_disk_is_full_is_not_ready_and_not_killed_for_it(tmp_path: Path) -> None:
    with _redis(tmp_path) as number, _client(number, "tester", "tests") as tester:
        fill_disk(tmp_path, tester)
        assert [_passes(_probe(number, kind)) for kind in _PROBES] == [True, False, True]
        with _client(number, OPERATOR_USER, PASSWORDS.operator) as operator:
            with pytest.raises(redis.exceptions.ResponseError, match="MISCONF"):
                operator.ping()
            assert operator.info("persistence")["aof_last_write_status"] == "err"
    assert not _passes(_probe(number, "livenessProbe"))


def test_the_pods_user_is_the_one_of_their_variables() -> None:
    environment = {v["name"]: v.get("value") for v in container_of(server_pod(a_service()))["env"]}
    assert environment["TIMBRE_REDIS__USERNAME"] == "timbre"
    assert f"user {environment['TIMBRE_REDIS__USERNAME']} on" in users_acl(PASSWORDS)


def test_the_files_hold_no_password() -> None:
    assert PASSWORDS.pods not in users_acl(PASSWORDS)
    assert PASSWORDS.operator not in users_acl(PASSWORDS)
    assert monitor_password(PASSWORDS) not in users_acl(PASSWORDS)
    assert PASSWORDS.pods not in repr(PASSWORDS)
