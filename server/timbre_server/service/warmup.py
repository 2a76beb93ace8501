"""Which voices should be in memory before this pod takes requests, and why does it still wait?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from timbre_contract.api import WarmUpOutcome
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import FeatureName, FeatureSource, Heat, VoiceName, VoiceStore
from timbre_server.telemetry.log import get_logger

_log = get_logger("warmup")


class WarmUp:
    """Loads the hottest voices, or those that were listed, from the shared tier.

    Best effort under a deadline: a pod without its voices is slow for a moment, one that never gets ready is none.
    """

    def __init__(
        self,
        *,
        store: VoiceStore,
        features: FeatureSource,
        heat: Heat | None,
        voices: int,
        listed: Sequence[VoiceName] = (),
        deadline_seconds: float = 60.0,
    ) -> None:
        """``voices``: how many of the hottest; ``listed`` are loaded in their place where there are any."""
        self._store = store
        self._features = features
        self._heat = heat
        self._voices = voices
        self._listed = listed
        self._deadline_seconds = deadline_seconds
        self.outcome = WarmUpOutcome.RUNNING

    async def run(self, tell: Callable[[str], None]) -> int:
        """How many voices were loaded; ``tell`` gets the reason for the wait whenever it changes.  Raises nothing."""
        self._loaded = 0
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._load(tell)
        except TimeoutError:
            self.outcome = WarmUpOutcome.CUT_OFF
            _log.warning("warm-up ended by its deadline", extra={"fields": {"voices": self._loaded}})
        except StoreUnavailable as error:
            self.outcome = WarmUpOutcome.NO_STORE
            _log.warning("warm-up without the store: %s", error.message, extra={"fields": {"voices": self._loaded}})
        else:
            self.outcome = WarmUpOutcome.COMPLETED
            _log.info("warm-up done", extra={"fields": {"voices": self._loaded}})
        return self._loaded

    async def _load(self, tell: Callable[[str], None]) -> None:
        names = await self._wanted()

        def told(loaded: int) -> None:
            self._loaded = loaded
            tell(f"warming: {loaded} of {len(names)} voices")

        if names:
            told(0)
            await self._features.prefetch(names, told=told)

    async def _wanted(self) -> Sequence[FeatureName]:
        """Recordings, hottest first, each once."""
        names = self._listed or (await self._heat.hottest(self._voices) if self._heat and self._voices else ())
        records = await self._store.voices_named(names) if names else ()
        return list(dict.fromkeys(FeatureName(record.digest, record.transcript) for record in records if record))
