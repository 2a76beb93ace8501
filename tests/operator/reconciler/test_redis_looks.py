"""Every Redis is looked at now and then, beside the turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from tests.operator.manifests import a_service
from tests.operator.reconciler.scene import KEY, Scene, a_scene
from tests.virtual_time import in_virtual_time
from timbre_contract import labels
from timbre_operator.observed import RedisFacts, RedisProblem
from timbre_operator.ports import RedisTarget, ServiceKey
from timbre_operator.reconciler.memory import Memory
from timbre_operator.reconciler.redis_looks import LOOK_SECONDS, RedisLooks

WELL = RedisFacts(address="x:6379", version="8.1")


class Probe:
    """Says what it is told to say, after so many seconds."""

    def __init__(
        self, facts: RedisFacts = WELL, seconds: float = 0.0, refuses: Mapping[str, str] | None = None
    ) -> None:
        self.facts = facts
        self._refuses = refuses or {}
        self.looks: list[RedisTarget] = []
        self.told: list[Mapping[str, str]] = []
        self.at_once = 0
        self.most_at_once = 0
        self._seconds = seconds

    async def look(self, target: RedisTarget) -> RedisFacts:
        self.looks.append(target)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self._seconds)
        self.at_once -= 1
        return self.facts

    async def tune(self, target: RedisTarget, settings: Mapping[str, str]) -> Mapping[str, str]:
        del target
        self.told.append(settings)
        return self._refuses


def _looks(scene: Scene, probe: Probe, news: list[ServiceKey], *services: ServiceKey, leads: bool = True) -> RedisLooks:
    return RedisLooks(
        scene.reconciler,
        probe,
        services=lambda: list(services or (KEY,)),
        news=news.append,
        clock=lambda: scene.seconds,
        leads=lambda: leads,
    )


async def test_what_is_seen_is_in_the_status_of_the_next_turn() -> None:
    scene = await a_scene(a_service().on_external_redis())
    news: list[ServiceKey] = []
    await _looks(scene, Probe(), news).round()
    assert news == [KEY]
    await scene.turn()
    assert scene.condition("RedisReady")["status"] == "True"
    assert scene.get("VoiceService")["status"]["redis"]["version"] == "8.1"


async def test_a_look_that_sees_the_same_is_no_news() -> None:
    scene = await a_scene()
    news: list[ServiceKey] = []
    probe = Probe()
    looks = _looks(scene, probe, news)
    for used_bytes in range(3):
        probe.facts = RedisFacts(address="x:6379", version="8.1", used_bytes=used_bytes)
        await looks.round()
        scene.wait(LOOK_SECONDS)
    assert len(probe.looks) == 3
    assert news == [KEY]


async def test_it_is_not_looked_at_in_every_round() -> None:
    scene = await a_scene()
    probe = Probe()
    looks = _looks(scene, probe, [])
    for _ in range(int(LOOK_SECONDS)):
        await looks.round()
        scene.wait(1)
    assert len(probe.looks) == 1


async def test_another_password_is_tried_at_once() -> None:
    scene = await a_scene()
    probe = Probe()
    looks = _looks(scene, probe, [])
    await looks.round()
    scene.cluster.remove("Secret", "studio", "narrator-redis")
    await scene.turn()
    await looks.round()
    assert len({target.password for target in probe.looks}) == 2


async def test_a_service_whose_secret_is_missing_is_not_looked_at() -> None:
    scene = await a_scene(a_service().on_external_redis(passwordSecretRef={"name": "nowhere"}))
    probe = Probe()
    await _looks(scene, probe, []).round()
    assert probe.looks == []


async def test_trouble_is_news() -> None:
    scene = await a_scene()
    news: list[ServiceKey] = []
    probe = Probe()
    looks = _looks(scene, probe, news)
    await looks.round()
    probe.facts = RedisFacts(address="x:6379", problem=RedisProblem.FULL)
    scene.wait(LOOK_SECONDS)
    await looks.round()
    assert news == [KEY, KEY]


@in_virtual_time
async def test_many_that_hang_are_looked_at_beside_each_other() -> None:
    scene = await a_scene()
    services = [ServiceKey("studio", f"service-{number}") for number in range(80)]
    target = scene.reconciler.memories[KEY].redis_target
    for key in services:
        scene.reconciler.memories[key] = Memory(since=0.0, redis_target=target)
    probe = Probe(seconds=3)
    await _looks(scene, probe, [], *services).round()
    assert probe.most_at_once == 8
    assert asyncio.get_running_loop().time() == 30


async def test_what_was_changed_by_hand_is_set_back_by_the_leader_alone() -> None:
    scene = await a_scene()
    leader, other = Probe(), Probe()
    scene.reconciler.memories[KEY].redis_settings = {"maxmemory-policy": "volatile-lru"}
    await _looks(scene, leader, []).round()
    await _looks(scene, other, [], leads=False).round()
    assert leader.told == [{"maxmemory-policy": "volatile-lru"}]
    assert other.told == []


async def test_what_redis_refuses_to_have_set_back_is_in_the_status() -> None:
    scene = await a_scene()
    facts = RedisFacts(address="x:6379", problem=RedisProblem.APPEND_ONLY_OFF, appends=False)
    scene.reconciler.memories[KEY].redis_settings = {"appendonly": "yes"}
    scene.cluster.add(_redis_pod(ready=True))
    await scene.turn()
    scene.reconciler.memories[KEY].redis_settings = {"appendonly": "yes"}
    await _looks(scene, Probe(facts, refuses={"appendonly": "Unable to turn on AOF."}), []).round()
    await scene.turn()
    assert scene.condition("RedisReady")["message"].endswith(': it says "Unable to turn on AOF."')


async def test_a_look_that_fails_says_why_in_its_own_words() -> None:
    scene = await a_scene()
    away = RedisFacts(address="x:6379", problem=RedisProblem.UNREACHABLE, detail="it does not answer")
    scene.reconciler.memories[KEY].redis_settings = {"appendonly": "yes"}
    await _looks(scene, Probe(away, refuses={"appendonly": "Timeout"}), []).round()
    assert scene.reconciler.memories[KEY].redis == away


class Healing(Probe):
    """Well once it was told something."""

    async def tune(self, target: RedisTarget, settings: Mapping[str, str]) -> Mapping[str, str]:
        self.facts = WELL
        return await super().tune(target, settings)


async def test_a_look_sees_what_was_set_back_just_before() -> None:
    scene = await a_scene()
    scene.reconciler.memories[KEY].redis_settings = {"appendonly": "yes"}
    await _looks(scene, Healing(RedisFacts(address="x:6379", problem=RedisProblem.APPEND_ONLY_OFF)), []).round()
    assert scene.reconciler.memories[KEY].redis == WELL


async def test_a_redis_as_it_shall_be_is_told_nothing() -> None:
    scene = await a_scene()
    probe = Probe(RedisFacts(address="x:6379", version="8.1", policy="volatile-lru"))
    await _looks(scene, probe, []).round()
    await scene.turn()
    scene.wait(LOOK_SECONDS)
    await _looks(scene, probe, []).round()
    assert probe.told == []


class Slow(Probe):
    """Something happens while it looks."""

    def __init__(self, happens: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._happens = happens

    async def look(self, target: RedisTarget) -> RedisFacts:
        await self._happens()
        return await super().look(target)


async def test_a_service_that_goes_during_a_look_leaves_nothing_behind() -> None:
    scene = await a_scene()

    async def goes() -> None:
        scene.cluster.remove("VoiceService", "studio", "narrator")
        await scene.turn()

    news: list[ServiceKey] = []
    await _looks(scene, Slow(goes), news).round()
    assert scene.reconciler.memories == {}
    assert news == []


async def test_what_the_redis_of_before_says_is_not_told_of_the_new_one() -> None:
    scene = await a_scene()
    await _looks(scene, Probe(), []).round()

    async def moves() -> None:
        scene.write(a_service().on_external_redis())
        await scene.turn()

    news: list[ServiceKey] = []
    scene.wait(LOOK_SECONDS)
    await _looks(scene, Slow(moves), news).round()
    assert (scene.reconciler.memories[KEY].redis, news) == (None, [])
    assert "version" not in scene.get("VoiceService")["status"]["redis"]


async def test_a_look_that_breaks_ends_no_other_one_and_waits_for_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    scene = await a_scene()

    async def breaks() -> None:
        raise TypeError("cadata should be an ASCII string")

    looks = _looks(scene, Slow(breaks), [])
    for _ in range(2):
        await looks.round()
    assert caplog.text.count("a look at Redis broke") == 1


def _redis_pod(*, ready: bool) -> dict[str, object]:
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:08Z"}]
    marks = labels.selector("narrator", labels.REDIS_COMPONENT)
    container = {"name": "redis", "ready": ready, "started": ready, "state": {"running": {}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "narrator-redis-0", "namespace": "studio", "uid": "p", "labels": marks},
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": [container]},
    }


async def test_a_redis_that_begins_to_serve_is_looked_at_at_once_and_not_blamed_for_the_time_before() -> None:
    scene = await a_scene()
    scene.cluster.add(_redis_pod(ready=False))
    probe = Probe(RedisFacts(address="x:6379", problem=RedisProblem.UNREACHABLE))
    looks = _looks(scene, probe, [])
    await looks.round()
    await scene.turn()
    assert scene.condition("RedisReady")["reason"] == "Starting"

    scene.cluster.add(_redis_pod(ready=True))
    await scene.turn()
    assert scene.condition("RedisReady")["reason"] == "NotAskedYet"
    assert scene.condition("Degraded")["status"] == "False"
    probe.facts = WELL
    for _ in range(3):
        await looks.round()
    await scene.turn()
    assert scene.condition("RedisReady")["reason"] == "Reachable"
    assert len(probe.looks) == 2


async def test_a_redis_that_answers_nobody_though_its_pod_serves_is_told() -> None:
    scene = await a_scene()
    scene.cluster.add(_redis_pod(ready=True))
    looks = _looks(scene, Probe(RedisFacts(address="x:6379", problem=RedisProblem.UNREACHABLE)), [])
    await scene.turn()
    await looks.round()
    await scene.turn()
    assert scene.condition("RedisReady")["reason"] == "Unreachable"
