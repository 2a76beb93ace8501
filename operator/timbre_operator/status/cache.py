"""Do the pods have the voices that they are asked for?"""

from __future__ import annotations

from timbre_operator.observed import LEAST_RATE, Observed
from timbre_operator.status.finding import Verdict


def cache_warm(observed: Observed, *, serving: int) -> Verdict:
    """The condition CacheWarm; ``serving`` pods are asked for voices now."""
    load, spec = observed.load, observed.service.spec
    target = spec.autoscaling.targets.hit_rate_percent
    if load is None or not load.measured or not serving:
        return Verdict("Unknown", "NotMeasured", "no pod was asked about its voices yet")
    if load.cold_pods:
        return Verdict(
            "False",
            "WarmUpCutShort",
            f"{', '.join(load.cold_pods)} serves without all of its voices: Redis was away as it started, or"
            f" spec.voiceCache.warmup.deadline {spec.voice_cache.warmup.deadline} was too short; then raise it, or lower"
            " spec.voiceCache.warmup.voices",
        )
    if load.hit_rate_percent is None:
        return Verdict("True", "NoTraffic", "the pods have loaded their voices, and nobody asks for one")
    if load.hit_rate_percent < target and load.lookups_per_second < LEAST_RATE:
        return Verdict(
            "True",
            "LittleTraffic",
            "the pods have loaded their voices, and too few are asked for to tell how often one must be extracted",
        )
    if load.hit_rate_percent < target:
        return Verdict(
            "False",
            "HitRateLow",
            f"less than {target} % of the voices are found without extraction, each other one costs seconds of engine"
            " time; give Redis more memory where it evicts, and enrol voices that are sent with requests",
        )
    return Verdict("True", "HitRateReached", f"at least {target} % of the voices are found without extraction")
