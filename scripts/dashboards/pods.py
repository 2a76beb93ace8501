"""What do the pods of a service do, and why are there this many?  Rows about engine, queue, GPU and scaling."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.dashboards.panels import AnyPanel, Query, graph, rows, words
from scripts.dashboards.series import SERVICE
from timbre_contract import metrics, operator_metrics


def pods_in(state: str) -> str:
    """Their number, as the operator sees them: desired, existing or ready."""
    replicas = SERVICE.of(operator_metrics.SERVICE_REPLICAS, f'state="{state}"')
    return f"max({replicas})"


def engine_panels() -> Sequence[AnyPanel]:
    batch = metrics.BATCH_SIZE
    return (
        graph(
            "Requests that wait or run",
            "Admitted, over all pods; waiting = no engine has taken them yet.",
            Query(f"sum({SERVICE.of(metrics.QUEUED_REQUESTS)})", "waiting"),
            Query(f"sum({SERVICE.of(metrics.PENDING_REQUESTS)})", "waiting or running"),
            unit="short",
        ),
        graph(
            "Work before each pod",
            "Predicted engine time of all that was admitted. From batching.maxPending on requests are refused.",
            Query(SERVICE.of(metrics.PENDING_WORK), "{{pod}}"),
            unit="s",
        ),
        graph(
            "Work that is asked for",
            "Engine seconds per second, by kind; what the service is scaled by. Extraction rises when voices are not found.",
            Query(SERVICE.rate(metrics.ENGINE_DEMAND, by="kind"), "{{kind}}"),
            unit="none",
            stacked=True,
        ),
        graph(
            "Engine busy",
            "Share of its time that each pod's engine works.",
            Query(f"rate({SERVICE.of(metrics.ENGINE_BUSY)}[$__rate_interval])", "{{pod}}"),
            unit="percentunit",
            most=1,
        ),
        graph("Size of batches", "Sentences that the engine took at once.", *SERVICE.quantiles(batch), unit="short"),
        graph(
            "Batches", "Per second, over all pods.", Query(SERVICE.rate(f"{batch.name}_count"), "batches"), unit="ops"
        ),
    )


def device_panels() -> Sequence[AnyPanel]:
    memory = metrics.DEVICE_MEMORY
    return (
        graph(
            "GPU use",
            "Share of time in which the device ran a kernel.",
            Query(SERVICE.of(metrics.DEVICE_UTILIZATION), "{{pod}}"),
            unit="percentunit",
            most=1,
        ),
        graph(
            "GPU memory",
            "In use, and what the device has, the fullest pod; allocated = by torch.",
            *(
                Query("max(" + SERVICE.of(memory, f'kind="{kind}"') + ")", kind)
                for kind in ("used", "allocated", "total")
            ),
            unit="bytes",
        ),
        graph(
            "GPU temperature",
            "Of each pod's device.",
            Query(SERVICE.of(metrics.DEVICE_TEMPERATURE), "{{pod}}"),
            unit="celsius",
        ),
    )


def replicas_panels() -> Sequence[AnyPanel]:
    series = operator_metrics.SERVICE_SERIES
    return (
        graph(
            "Pods",
            "As the operator sees them: those that shall be, that exist, that serve.",
            *(Query(pods_in(state), state) for state in ("desired", "existing", "ready")),
            unit="short",
        ),
        graph(
            "What the autoscaler is told",
            "The served series. Each is divided by its target; the largest number of pods wins.",
            Query(f"max by (series) ({SERVICE.of(series)})", "{{series}}"),
            unit="none",
        ),
        words(
            "Last decision",
            "Why the number of pods was changed last; status.autoscaling.decisions has the numbers.",
            Query(f"max by (reason) ({SERVICE.of(operator_metrics.SERVICE_DECISION)})", "{{reason}}"),
        ),
        words(
            "Autoscaler",
            "Reason of the condition AutoscalingActive: what holds it back.",
            Query(
                "max by (reason) (" + SERVICE.of(operator_metrics.SERVICE_CONDITION, 'type="AutoscalingActive"') + ")",
                "{{reason}}",
            ),
        ),
        rows(
            "Conditions",
            "Of the VoiceService now; kubectl describe adds the sentences.",
            Query(f"max by (type, status, reason) ({SERVICE.of(operator_metrics.SERVICE_CONDITION)})", ""),
            ("type", "status", "reason"),
        ),
    )
