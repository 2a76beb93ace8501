"""What is made once, and is it the right one?  Rows about finished speech, tiers of voices, the log of changes, Redis."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.dashboards.panels import AnyPanel, Query, graph
from scripts.dashboards.series import SERVICE
from timbre_contract import metrics
from timbre_operator.desired.alerts import FULL_RATIO, REDIS_MAX_BYTES, REDIS_USED_BYTES


def hit_rate() -> str:
    """Share of the look-ups that needed no extraction."""
    hits = SERVICE.rate(metrics.VOICE_CACHE_LOOKUPS, 'outcome="hit"')
    misses = SERVICE.rate(metrics.VOICE_CACHE_LOOKUPS, 'tier="redis"', 'outcome="miss"')
    return f"({hits} or vector(0)) / (({hits} or vector(0)) + ({misses} or vector(0)))"


def results_panels() -> Sequence[AnyPanel]:
    lookups = metrics.RESULT_CACHE_LOOKUPS
    saved = SERVICE.rate(lookups, 'outcome=~"hit|similar|coalesced"')
    made = SERVICE.rate(lookups, 'outcome="miss"')
    return (
        graph(
            "Speech by where it came from",
            "Requests per second: said before (hit, or similar for a text with the same words), made for another one at"
            " the same time (coalesced), made now (miss).",
            Query(SERVICE.rate(lookups, by="outcome"), "{{outcome}}"),
            unit="reqps",
            stacked=True,
        ),
        graph(
            "Share of speech that the engine was spared",
            "Hits, similar and coalesced, of all that could have been. With 60 % of repeats the engine has 40 % of the work.",
            Query(f"({saved} or vector(0)) / (({saved} or vector(0)) + ({made} or vector(0)))", "spared"),
            unit="percentunit",
            most=1,
        ),
        graph(
            "Bytes of finished speech",
            "Held by the pods, by tier, the sum of all.",
            Query(f"sum by (tier) ({SERVICE.of(metrics.RESULT_CACHE_BYTES)})", "{{tier}}"),
            unit="bytes",
        ),
    )


def voices_panels() -> Sequence[AnyPanel]:
    lookups = metrics.VOICE_CACHE_LOOKUPS
    by_tier = SERVICE.rate(lookups, 'outcome="hit"', by="tier")
    return (
        graph(
            "Hit rate of each tier",
            "Of the look-ups that come as far as a tier, the share that it answers. A miss of redis is an extraction.",
            Query(f"{by_tier} / {SERVICE.rate(lookups, by='tier')}", "{{tier}}"),
            Query(hit_rate(), "all together"),
            unit="percentunit",
            most=1,
        ),
        graph(
            "Look-ups",
            "Of voices, per second, by tier and outcome.",
            Query(SERVICE.rate(lookups, by="tier, outcome"), "{{tier}} {{outcome}}"),
            unit="ops",
        ),
        graph(
            "Extractions",
            "From asking for the extraction of a voice to its features, waiting included.",
            *SERVICE.quantiles(metrics.VOICE_EXTRACTION),
            unit="s",
        ),
        graph(
            "Extractions per second",
            "Each takes the engine for as long as the panel beside says. Those of enrolments are no misses.",
            Query(SERVICE.rate(f"{metrics.VOICE_EXTRACTION.name}_count", by="cause"), "{{cause}}"),
            unit="ops",
        ),
        graph(
            "Hit rate of each pod",
            "Over 5 minutes, as the pod itself counts it. A pod that was just started is cold.",
            Query(SERVICE.of(metrics.VOICE_CACHE_HIT_RATIO), "{{pod}}"),
            unit="percentunit",
            most=1,
        ),
        graph(
            "How full the tiers are",
            "Bytes in use of those that may be used, the fullest pod.",
            Query(
                f"max by (tier) ({SERVICE.of(metrics.VOICE_CACHE_BYTES)} / {SERVICE.of(metrics.VOICE_CACHE_CAPACITY)})",
                "{{tier}}",
            ),
            unit="percentunit",
            limit=FULL_RATIO,
            most=1,
        ),
        graph(
            "Bytes of voices",
            "Held, and what may be held, the sum of all pods; and what the target hit rate would need.",
            Query(f"sum by (tier) ({SERVICE.of(metrics.VOICE_CACHE_BYTES)})", "{{tier}} held"),
            Query(f"sum by (tier) ({SERVICE.of(metrics.VOICE_CACHE_CAPACITY)})", "{{tier}} capacity"),
            Query(f"max({SERVICE.of(metrics.VOICE_WORKING_SET)})", "working set of a pod"),
            unit="bytes",
        ),
        graph(
            "Evictions",
            "Voices dropped per second, by tier and cause.",
            Query(SERVICE.rate(metrics.VOICE_CACHE_EVICTIONS, by="tier, cause"), "{{tier}} {{cause}}"),
            unit="ops",
        ),
        graph(
            "Changes of the device tier's budget",
            "Per second, by reason. Pressure = others need the GPU's memory.",
            Query(SERVICE.rate(metrics.VOICE_CACHE_RESIZES, by="reason"), "{{reason}}"),
            unit="ops",
        ),
    )


def freshness_panels() -> Sequence[AnyPanel]:
    hits, misses = SERVICE.rate("redis_keyspace_hits_total"), SERVICE.rate("redis_keyspace_misses_total")
    return (
        graph(
            "Invalidation lag",
            "From a change in the log to its effect on a pod. A replaced voice is heard for at most 1 s.",
            *SERVICE.quantiles(metrics.VOICE_INVALIDATION_LAG),
            unit="s",
            limit=1,
        ),
        graph(
            "Voices spoken too late or unchecked",
            "Stale = sampled and found too old, should be 0. Unchecked = Redis was away.",
            Query(SERVICE.rate(metrics.VOICE_STALE_READS), "stale"),
            Query(SERVICE.rate(metrics.VOICE_UNCHECKED_USES), "unchecked"),
            unit="ops",
        ),
        graph(
            "Redis, as pods see it",
            "Pods that ask Redis nothing for it does not answer, that lost the log of changes, or that fill an emptied Redis.",
            Query(f"sum({SERVICE.of(metrics.REDIS_BREAKER_OPEN)})", "breaker open"),
            Query(f"sum(1 - {SERVICE.of(metrics.CHANGE_LOG_HEALTHY)})", "log unhealthy"),
            Query(f"sum({SERVICE.of(metrics.REGISTRY_DEGRADED)})", "registry degraded"),
            unit="short",
        ),
        graph(
            "Memory of the managed Redis",
            "In use and allowed, as its exporter says. Only registry keys are never evicted.",
            Query(SERVICE.of(REDIS_USED_BYTES), "used"),
            Query(SERVICE.of(REDIS_MAX_BYTES), "maxmemory"),
            unit="bytes",
        ),
        graph(
            "Commands and evictions of the managed Redis",
            "Per second.",
            Query(SERVICE.rate("redis_commands_processed_total"), "commands"),
            Query(SERVICE.rate("redis_evicted_keys_total"), "evicted keys"),
            unit="ops",
        ),
        graph(
            "Hit rate of the managed Redis",
            "Of all its keys, not only of features.",
            Query(
                f"{hits} / ({hits} + {misses})",
                "hits",
            ),
            unit="percentunit",
            most=1,
        ),
    )
