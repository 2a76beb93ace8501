"""What tests of a running operator wait for, and what they read of its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.api import PATIENCE_SECONDS, Api, Object
from tests.cluster.carrying_out import VOICE_SERVICE, in_namespace
from tests.cluster.operator_process import OperatorProcess
from tests.operator.manifests import AService

WRITES = ("POST", "PATCH", "PUT", "DELETE")


async def sample(running: OperatorProcess, name: str, **labels: str) -> float:
    """Sum of a metric's samples that have these labels; 0 without one."""
    families = text_string_to_metric_families(await running.metrics())
    samples = (sample for family in families for sample in family.samples if sample.name == name)
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


async def writes(running: OperatorProcess) -> float:
    """Requests that changed something, or tried to."""
    name = "timbre_operator_api_requests_total"
    return sum([await sample(running, name, method=method) for method in WRITES])


async def eventually(claim: Callable[[], Awaitable[Any]], *, patience_seconds: float = PATIENCE_SECONDS) -> Any:
    """What the claim returns, once that is true; for what no watch tells of."""
    last: Any = None
    try:
        async with asyncio.timeout(patience_seconds):
            while not (last := await claim()):  # noqa: ASYNC110  # another process tells nobody
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"it did not come true: {last!r}") from None
    return last


async def turned(running: OperatorProcess, times: int = 1) -> None:
    """Returns after so many more turns."""
    name = "timbre_operator_reconcile_total"
    before = await sample(running, name)

    async def done() -> bool:
        return await sample(running, name) >= before + times

    await eventually(done)


def condition(service: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    """Empty while it is not there."""
    found = (service.get("status") or {}).get("conditions") or ()
    return next((item for item in found if item["type"] == type_), {})


def says(type_: str, reason: str) -> Callable[[Object], bool]:
    """Whether a condition has this reason."""
    return lambda service: condition(service, type_).get("reason") == reason


def is_ready(service: Object) -> bool:
    """As this generation of the spec wants it, and at rest."""
    wanted = {"Ready": "True", "Progressing": "False", "RedisReady": "True"}
    said = {type_: condition(service, type_).get("status") for type_ in wanted}
    return said == wanted and condition(service, "Ready").get("observedGeneration") == service["metadata"]["generation"]


async def until_service(api: Api, namespace: str, claim: Callable[[Object], Any], name: str = "narrator") -> Object:
    """The VoiceService, once the claim holds for it."""
    return await api.until(VOICE_SERVICE, namespace, name, claim)


async def write(api: Api, namespace: str, service: AService) -> Object:
    """A user applies it."""
    return await api.apply(in_namespace(service, namespace), manager="user")
