"""`timbre-server voices` as users run it: what it prints, its exit code, and that Ctrl-C leaves whole voices."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from examples.local_server import SERVER
from tests.redis_server import RedisServer, free_port
from tests.server.app.importing import HER, HIS, folder_with
from timbre_contract.keys import ServiceKeys
from timbre_server.app import voices_command
from timbre_server.errors import ConfigurationError
from timbre_server.settings import EngineSettings, RedisSettings, Settings

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMBRE_")}
    return inherited | {f"TIMBRE_{name}": value for name, value in variables.items()}


def voices(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SERVER, "voices", *words],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def run(redis_server: RedisServer, scope: str) -> Run:
    def running(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return voices(*words, REDIS__URL=redis_server.url, SCOPE=scope, **variables)

    return running


def test_import_list_export_and_import_again(
    run: Run, redis_server: RedisServer, scope: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed_in(scope: str, *words: str) -> tuple[list[str], str]:
        """In this process; what was printed, and what was said beside it."""
        settings = Settings(scope=scope, redis=RedisSettings(url=redis_server.url))
        assert voices_command.main(("list", *words), lambda: settings) == 0
        printed = capsys.readouterr()
        return printed.out.splitlines(), printed.err

    imported = run("import", str(folder_with(tmp_path / "takes", ann=HER, bob=HIS)))
    assert (imported.returncode, imported.stdout) == (0, "2 imported, 0 refused\n")
    assert imported.stderr.startswith("2/2 voices, ")
    listed = run("list").stdout.splitlines()
    rows = [line.split("\t") for line in listed]
    assert sorted(row[3] for row in rows) == ["ann", "bob"]
    assert {row[1] for row in rows} == {"1"}
    assert listed_in(scope, "--limit", "1") == (listed[:1], f"more: --after {rows[0][0]}\n")
    assert listed_in(scope, "--after", rows[0][0]) == (listed[1:], "")
    exported = run("export", str(tmp_path / "out"))
    assert (exported.returncode, exported.stdout) == (0, "2 exported, 0 refused\n")
    other = voices("import", str(tmp_path / "out"), REDIS__URL=redis_server.url, SCOPE=f"{scope}-other")
    assert (other.returncode, other.stdout) == (0, "2 imported, 0 refused\n")
    assert listed_in(f"{scope}-other") == (listed, "")


def test_refused_voices_are_listed_and_make_the_exit_code_1(run: Run, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, bob=HIS)
    (folder / "\x1b[2Jclear.wav").write_bytes(b"nothing")
    done = run("import", str(folder))
    assert (done.returncode, done.stdout) == (1, "1 imported, 1 refused\n")
    assert "\\x1b[2Jclear.wav: " in done.stderr
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_redis_that_is_away_is_told_and_nothing_else(tmp_path: Path) -> None:
    done = voices("export", str(tmp_path / "out"), REDIS__URL=f"redis://127.0.0.1:{free_port()}/0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Redis does not answer at TIMBRE_REDIS__URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_redis_there_is_no_registry_to_move_voices_to() -> None:
    done = voices("list")
    assert done.returncode == 2
    assert "TIMBRE_REDIS__URL" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def here(redis_server: RedisServer, scope: str) -> Callable[..., int]:
    """The command in this process."""
    settings = Settings(scope=scope, redis=RedisSettings(url=redis_server.url), engine=EngineSettings(name="stub"))
    return lambda *words: voices_command.main(words, lambda: settings)


@pytest.mark.parametrize(
    ("words", "reason"),
    [(("import", "nowhere"), "cannot be read"), (("list", "--after", "voice_none"), "no voice has the id")],
)
def test_what_does_not_exist_is_said_so(here: Callable[..., int], words: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        here(*words)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("list", "--limit", "0"), "must be a whole number, 1 or more"),
        (("list", "--limit", "x"), "must be a whole number, 1 or more"),
        (("explode",), "invalid choice"),
        ((), "COMMAND"),
    ],
)
def test_a_wrong_command_line_stops_with_its_reason(
    here: Callable[..., int], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        here(*words)
    assert stopped.value.code == 2
    assert reason in capsys.readouterr().err


def test_an_unknown_consent_is_told_once(
    here: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert here("import", str(folder_with(tmp_path, ann=HER, bob=HIS)), "--consent", "cons_none") == 1
    assert capsys.readouterr().err.count("no consent has this id") == 1


def test_help_says_what_an_import_does_not_do(here: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        here("import", "--help")
    assert "No features are extracted here" in capsys.readouterr().out
    assert (
        "timbre-server voices import|export|list"
        in subprocess.run([SERVER, "--help"], env=environment(), capture_output=True, text=True, check=True).stdout
    )


def test_ctrl_c_leaves_whole_voices_and_the_next_run_the_rest(
    run: Run, redis_server: RedisServer, scope: str, tmp_path: Path
) -> None:
    """40 voices are a batch and 8: the signal comes when the batch is stored, a second or more before the rest."""
    folder_with(tmp_path, bob=HIS, ann=HER)
    lines = [{"name": f"Voice {n}", "audio": ("ann.flac", "bob.flac")[n % 2], "id": f"voice_{n}"} for n in range(40)]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    environs = environment(REDIS__URL=redis_server.url, SCOPE=scope)
    importing = subprocess.Popen(
        # Who started these tests in the background of a script ignores Ctrl-C, and so would a child.
        ["env", "--default-signal=INT", SERVER, "voices", "import", str(tmp_path)],
        env=environs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    keys = ServiceKeys(scope)
    with redis.Redis.from_url(redis_server.url) as client:
        while not client.zcard(keys.voices("default")):
            with pytest.raises(subprocess.TimeoutExpired):  # it is at work, and gets the processor to itself
                importing.wait(timeout=0.02)
        importing.send_signal(signal.SIGINT)
        out, error = importing.communicate(timeout=30)
        assert importing.returncode == 130
        assert "interrupted; run it again to go on" in error
        assert "Traceback" not in error
        stored = client.zrange(keys.voices("default"), 0, -1)
        assert 0 < len(stored) < 40
        assert out.startswith(f"{len(stored)} imported")
        for voice in stored:
            assert isinstance(voice, bytes)
            assert client.hstrlen(keys.voice("default", voice.decode()), "reference") > 100_000
        done = run("import", str(tmp_path))
        assert (done.returncode, client.zcard(keys.voices("default"))) == (0, 40)
        assert done.stdout == f"{40 - len(stored)} imported, {len(stored)} there already, 0 refused\n"
