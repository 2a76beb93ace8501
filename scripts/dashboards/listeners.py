"""What do listeners notice of a service?  The first two rows: at a glance, and their requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scripts.dashboards.panels import BAD, GOOD, PLAIN, WARNING, AnyPanel, Query, graph, number
from scripts.dashboards.pods import pods_in
from scripts.dashboards.series import SERVICE
from scripts.dashboards.voices import hit_rate
from timbre_contract import api, metrics
from timbre_operator.desired.alerts import FAILED_RATIO, FAILED_REQUESTS, SLOW_FIRST_AUDIO_SECONDS

_HIT_RATE: Final = 0.8
"""targets.hitRatePercent where it is not written; the alert knows the service's own."""


def glance_panels() -> Sequence[AnyPanel]:
    slow, first = SLOW_FIRST_AUDIO_SECONDS, SERVICE.quantiles(metrics.TIME_TO_FIRST_AUDIO)[1]
    return (
        number(
            "Requests",
            "Finished requests of all routes, per second.",
            Query(SERVICE.rate(metrics.REQUESTS), "requests"),
            unit="reqps",
        ),
        number(
            "Failures",
            "Share of the requests that end with a 5xx; from 5 % on somebody is called.",
            Query(_failures(), "failures"),
            unit="percentunit",
            steps=((None, GOOD), (0.01, WARNING), (FAILED_RATIO, BAD)),
        ),
        number(
            "First audio, P95",
            "Until 95 % of the listeners hear something; from 1.2 s on somebody is called.",
            first,
            unit="s",
            steps=((None, GOOD), (slow / 2, WARNING), (slow, BAD)),
        ),
        number(
            "Voices found",
            "Share of the look-ups of voices that needed no extraction. An extraction costs seconds.",
            Query(hit_rate(), "hit rate"),
            unit="percentunit",
            steps=((None, BAD), (_HIT_RATE, WARNING), (0.95, GOOD)),
        ),
        number(
            "Waiting",
            "Requests that were admitted and that no engine has taken yet, over all pods.",
            Query(f"sum({SERVICE.of(metrics.QUEUED_REQUESTS)})", "waiting"),
            unit="short",
        ),
        number(
            "Pods ready",
            "Pods that serve, as the operator sees them; the last row says why there are this many.",
            Query(pods_in("ready"), "ready"),
            unit="short",
            steps=((None, BAD), (1, PLAIN)),
        ),
    )


def requests_panels() -> Sequence[AnyPanel]:
    speech = f'route="{api.SPEECH_PATH}"'
    return (
        graph(
            "Requests by status",
            "Finished requests per second. 429 = refused because too much waits; 499 = the client left.",
            Query(SERVICE.rate(metrics.REQUESTS, by="status"), "{{status}}"),
            unit="reqps",
            stacked=True,
        ),
        graph(
            "Time to first audio",
            "From the start of a speech request to its first samples: what a listener waits.",
            *SERVICE.quantiles(metrics.TIME_TO_FIRST_AUDIO),
            unit="s",
            limit=SLOW_FIRST_AUDIO_SECONDS,
        ),
        graph(
            "Time of a whole answer",
            "Speech requests, from their first byte to the last one of the answer. Grows with the text.",
            *SERVICE.quantiles(metrics.REQUEST_DURATION, speech),
            unit="s",
        ),
        graph(
            "Failures and refusals",
            "Shares of all requests.",
            Query(_failures(), "5xx"),
            Query(
                "("
                + SERVICE.rate(metrics.REQUESTS, 'status="429"')
                + f" or vector(0)) / {SERVICE.rate(metrics.REQUESTS)}",
                "429",
            ),
            unit="percentunit",
            limit=FAILED_RATIO,
            most=1,
        ),
        graph(
            "Requests by route",
            "Finished requests per second.",
            Query(SERVICE.rate(metrics.REQUESTS, by="route"), "{{route}}"),
            unit="reqps",
        ),
        graph(
            "Speech made",
            "Seconds of speech for each second, over all pods: how many listeners could listen at once.",
            Query(SERVICE.rate(metrics.AUDIO_SECONDS), "seconds per second"),
            unit="none",
        ),
    )


def _failures() -> str:
    failed = SERVICE.rate(metrics.REQUESTS, FAILED_REQUESTS)
    return f"({failed} or vector(0)) / {SERVICE.rate(metrics.REQUESTS)}"
