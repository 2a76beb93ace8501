"""The children of a VoiceService come to life on the fake node: real servers, a real Redis, reached by their Services."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import aiohttp

from tests.cluster.api import Api, Object
from tests.cluster.bare_pods import is_ready
from tests.cluster.carrying_out import converge, in_namespace
from tests.cluster.container_runs import ProcessRun
from tests.cluster.control_plane import ROOT
from tests.cluster.fake_node import FakeNode
from tests.operator.manifests import AService, a_service

_RECORDING = (ROOT / "examples" / "voices" / "allison-female.flac").read_bytes()
_QUICK = {"drain": {"accept": "0s", "timeout": "1s"}}


async def _serve(api: Api, namespace: str, service: AService) -> str:
    """Makes it true; returns the URL of its API once a pod serves."""
    made = await api.create(in_namespace(service, namespace))
    await converge(api, made)
    name = made["metadata"]["name"]
    await api.until("apps/v1/Deployment", namespace, name, lambda found: found["status"].get("readyReplicas"))
    door = await api.fetch("v1/Service", namespace, name)
    return f"http://{door['spec']['clusterIP']}:8000"


async def _ask(method: str, url: str, **request: Any) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.request(method, url, **request) as answer:
        return answer.status, await answer.read()


async def _enrol(url: str) -> str:
    form = aiohttp.FormData()
    form.add_field("name", "Allison")
    form.add_field("audio_sample", _RECORDING, filename="allison.flac", content_type="audio/flac")
    status, answer = await _ask("POST", f"{url}/v1/audio/voices", data=form)
    assert status == 200, answer
    return str(json.loads(answer)["id"])


async def _speak(url: str, voice: str) -> bytes:
    request = {"model": "tts-1", "input": "Good morning.", "voice": voice, "response_format": "wav"}
    status, audio = await _ask("POST", f"{url}/v1/audio/speech", json=request)
    assert status == 200, audio
    return audio


async def test_a_voice_is_enrolled_and_spoken_at_the_address_of_the_service(
    api: Api, namespace: str, fake_node: FakeNode
) -> None:
    url = await _serve(api, namespace, a_service().with_spec(**_QUICK))
    assert (await _speak(url, await _enrol(url)))[:4] == b"RIFF"
    (server,) = fake_node.with_labels(component="server", instance="narrator")
    assert '"engine": "stub"' in server.log()


async def test_what_redis_holds_outlives_its_pod(api: Api, namespace: str, fake_node: FakeNode) -> None:
    """And its address stays, though the pod's is another one."""
    url = await _serve(api, namespace, a_service().with_spec(**_QUICK))
    voice = await _enrol(url)
    redis = await api.until("v1/Pod", namespace, "narrator-redis-0", is_ready)
    before = fake_node.pods["narrator-redis-0"].address
    folder = fake_node.volumes.folder_of("data-narrator-redis-0")
    assert {file.name for file in folder.iterdir()} >= {"appendonlydir"}

    await api.delete(redis)
    uid = redis["metadata"]["uid"]
    await api.until(
        "v1/Pod", namespace, "narrator-redis-0", lambda pod: pod["metadata"]["uid"] != uid and is_ready(pod)
    )
    assert fake_node.pods["narrator-redis-0"].address != before
    (server,) = fake_node.with_labels(component="server")
    await api.delete(await api.fetch("v1/Pod", namespace, server.name))
    await api.until("v1/Pod", namespace, server.name, None, gone=True)
    await api.until("apps/v1/Deployment", namespace, "narrator", lambda found: found["status"].get("readyReplicas"))
    assert (await _speak(url, voice))[:4] == b"RIFF"


async def test_a_server_that_crashes_comes_back(api: Api, namespace: str, fake_node: FakeNode) -> None:
    await _serve(api, namespace, a_service().on_external_redis(address="127.0.0.1:1").with_spec(**_QUICK))
    (life,) = fake_node.with_labels(component="server")
    run = life.containers["server"].run
    assert isinstance(run, ProcessRun)
    os.kill(run.process.pid, signal.SIGKILL)
    again: Object = await api.until(
        "v1/Pod",
        namespace,
        life.name,
        lambda pod: is_ready(pod) and pod["status"]["containerStatuses"][0]["restartCount"] == 1,
    )
    assert again["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137


async def test_a_wrong_setting_ends_a_server_with_its_name(api: Api, namespace: str, fake_node: FakeNode) -> None:
    wrong = {"spec": {"containers": [{"name": "server", "env": [{"name": "TIMBRE_NONSENSE", "value": "1"}]}]}}
    service = a_service().on_external_redis(address="127.0.0.1:1").with_spec(podTemplate=wrong)
    made = await api.create(in_namespace(service, namespace))
    await converge(api, made)
    seen: list[str] = []
    await fake_node.until_seen(lambda pods: seen.extend(pods) or pods)
    pod = await api.until("v1/Pod", namespace, seen[0], _has_ended)
    ended = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert ended["exitCode"] == 2
    assert "TIMBRE_NONSENSE" in ended["message"]


def _has_ended(pod: Object) -> Any:
    statuses = pod["status"].get("containerStatuses") or [{}]
    return statuses[0].get("lastState", {}).get("terminated")
