"""Who asks for a series gets it if it is the API server, and a Status otherwise."""

from __future__ import annotations

import pytest

from tests.operator.metricsapi.scenes import KEY, World, some_series
from timbre_operator.ports import ServiceKey

ROOT = "/apis/custom.metrics.k8s.io/v1beta2"
SERIES = f"{ROOT}/namespaces/studio/voiceservices.timbre.dev/narrator"


async def test_a_series_of_a_service_is_one_value(world: World) -> None:
    async with world.serving() as url, world.client(url) as client:
        values = {
            name: [item["value"] for item in (await client.get(f"{SERIES}/{name}"))[1]["items"]]
            for name in some_series()
        }
    assert values == {
        "timbre_queue_depth": ["12"],
        "timbre_work_seconds": ["1500m"],
        "timbre_voice_working_set_bytes": ["0"],
    }


async def test_empty_selectors_as_the_hpa_sends_them_select_everything(world: World) -> None:
    async with world.serving() as url, world.client(url) as client:
        status, document = await client.get(f"{SERIES}/timbre_queue_depth?metricLabelSelector=")
    assert (status, len(document["items"])) == (200, 1)


async def test_all_services_of_a_namespace_can_be_asked_for_together(world: World) -> None:
    world.series.of[ServiceKey("studio", "choir")] = some_series(queue=3.0)
    world.series.of[ServiceKey("studio", "unheard")] = None
    world.series.of[ServiceKey("elsewhere", "narrator")] = some_series(queue=4.0)
    path = f"{ROOT}/namespaces/studio/voiceservices.timbre.dev/*/timbre_queue_depth"
    async with world.serving() as url, world.client(url) as client:
        _, document = await client.get(path)
    assert {item["describedObject"]["name"]: item["value"] for item in document["items"]} == {
        "choir": "3",
        "narrator": "12",
    }


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        (f"{SERIES}/timbre_something", 404, "NotFound"),
        (SERIES.replace("narrator", "nobody") + "/timbre_queue_depth", 404, "NotFound"),
        (SERIES.replace("studio", "elsewhere") + "/timbre_queue_depth", 404, "NotFound"),
        (f"{ROOT}/namespaces/studio/pods/narrator/timbre_queue_depth", 404, "NotFound"),
        ("/openapi/v2", 404, "NotFound"),
        (f"{SERIES}/timbre_queue_depth?metricLabelSelector=a%3Db", 400, "BadRequest"),
    ],
)
async def test_what_there_is_not_is_a_status(world: World, path: str, status: int, reason: str) -> None:
    async with world.serving() as url, world.client(url) as client:
        answered, document = await client.get(path)
    assert (answered, document["kind"], document["code"], document["reason"]) == (status, "Status", status, reason)


async def test_a_load_that_is_not_known_is_no_number(world: World) -> None:
    world.series.of[KEY] = None
    async with world.serving() as url, world.client(url) as client:
        status, document = await client.get(f"{SERIES}/timbre_queue_depth")
    assert (status, document["reason"]) == (503, "ServiceUnavailable")


async def test_series_can_only_be_read(world: World) -> None:
    async with world.serving() as url, world.client(url) as client:
        status, document = await client.get(f"{SERIES}/timbre_queue_depth", method="DELETE")
    assert (status, document["reason"]) == (405, "MethodNotAllowed")


async def test_discovery_answers_in_the_old_form_and_declines_the_new_one(world: World) -> None:
    async with world.serving() as url, world.client(url) as client:
        assert (await client.get(ROOT))[1]["kind"] == "APIResourceList"
        assert (await client.get("/apis"))[1]["kind"] == "APIGroupList"
        assert (await client.get("/apis/custom.metrics.k8s.io"))[1]["kind"] == "APIGroup"
        newer = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        assert (await client.get("/apis", Accept=newer))[0] == 404


async def test_who_shows_no_certificate_is_answered_nothing_but_health(world: World) -> None:
    async with world.serving() as url, world.client(url, anonymous=True) as client:
        assert await client.get("/healthz") == (200, "ok\n")
        for path in (ROOT, f"{SERIES}/timbre_queue_depth", "/apis", "/nowhere"):
            status, document = await client.get(path)
            assert (status, document["reason"]) == (401, "Unauthorized")


async def test_a_certificate_of_another_name_is_not_the_front_proxy_s(world: World) -> None:
    async with world.serving() as url, world.client(url, world.front.client("somebody")) as client:
        status, document = await client.get(f"{SERIES}/timbre_queue_depth")
    assert (status, document["reason"]) == (403, "Forbidden")


async def test_where_no_names_are_published_any_certificate_of_the_authority_will_do(world: World) -> None:
    world.names = frozenset()
    async with world.serving() as url, world.client(url, world.front.client("somebody")) as client:
        assert (await client.get(f"{SERIES}/timbre_queue_depth"))[0] == 200


async def test_headers_that_name_a_user_open_nothing(world: World) -> None:
    async with world.serving() as url, world.client(url, anonymous=True) as client:
        headers = {"X-Remote-User": "system:kube-aggregator", "X-Remote-Group": "system:masters"}
        assert (await client.get(f"{SERIES}/timbre_queue_depth", **headers))[0] == 401


async def test_each_answer_but_those_to_probes_is_told(world: World) -> None:
    async with world.serving() as url, world.client(url) as client:
        await client.get("/healthz")
        await client.get(ROOT)
        await client.get("/nowhere")
    assert world.answers == [200, 404]
