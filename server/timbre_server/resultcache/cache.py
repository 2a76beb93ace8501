"""Was this said before: in this process, by another pod, or is it being said right now?  If not, it is said once for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Final

from timbre_server.audio.raw_encoder import WAV_HEADER_BYTES
from timbre_server.domain.speech import AudioFormat
from timbre_server.ports import CacheWish, Make, Outcome, ResultName, Saying, Take
from timbre_server.resultcache.arrivals import Arrivals
from timbre_server.resultcache.audience import Audience
from timbre_server.resultcache.codec import HEAD_BYTES
from timbre_server.resultcache.flights import Flight, Flights
from timbre_server.resultcache.hearings import JoinedHearing, KeptHearing, Listener, is_made_of_samples
from timbre_server.resultcache.keys import ResultKeys
from timbre_server.resultcache.memory import Form, ResultMemory, samples_of
from timbre_server.resultcache.performance import Performance
from timbre_server.resultcache.shared_tier import SharedResultTier
from timbre_server.resultcache.synthesis_lease import SynthesisLease
from timbre_server.resultcache.takes import Found, KeptTake, Label, TooLong

SWEEP_SECONDS: Final = 60.0
"""How much longer than its time speech may stay in this process that nobody asks for."""


_MADE_OF_SAMPLES: Final = frozenset({AudioFormat.WAV, AudioFormat.PCM})


def _public(_text: str) -> bool:
    return False


class ResultCache:
    """``Results`` over this process' memory and what the fleet shares; lives on one event loop."""

    def __init__(
        self,
        keys: ResultKeys,
        memory: ResultMemory,
        shared: SharedResultTier | None,
        *,
        max_entry_bytes: int,
        is_private: Callable[[str], bool] = _public,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Without ``shared`` the pod is alone; ``is_private`` tells texts whose speech is not kept; ``clock`` gives Unix
        time in seconds."""
        self._is_private = is_private
        self._keys = keys
        self._memory = memory
        self._shared = shared
        overhead_bytes = 0 if shared is None else shared.overhead_bytes
        self._limit_bytes = max_entry_bytes - overhead_bytes - HEAD_BYTES - WAV_HEADER_BYTES
        self._clock = clock
        self._flights = Flights()
        self._audience = Audience()
        self._arrivals = Arrivals()
        self._sweeping: asyncio.Task[None] | None = None
        self.erasures = 0

    def start(self) -> None:
        """Keeps the memory clean from now on."""
        self._sweeping = asyncio.create_task(self._sweep(), name="sweep-results")

    def may_keep(self, text: str) -> bool:
        return not self._is_private(text)

    def name(self, saying: Saying) -> ResultName:
        return ResultName(self._keys(saying), saying.voice.digest, self._keys.alike(saying))

    def at_hand(self, name: ResultName, audio_format: AudioFormat, wish: CacheWish) -> Take | None:
        if not wish.reuse:
            return None
        if audio_format in _MADE_OF_SAMPLES:
            form = self._memory.get(name.key)
            if form is not None and is_made_of_samples(audio_format, form.label.sample_rate_hz):
                return self._kept(name, form.label, form, wish)
        form = self._memory.get(name.key, audio_format)
        return None if form is None else self._kept(name, form.label, form, wish)

    async def find(self, name: ResultName, wish: CacheWish) -> Take | None:
        if not wish.reuse:
            return None
        take = await self._find(name, wish, Outcome.HIT)
        if take is None and name.likeness and (other := await self._alike(name)):
            take = await self._find(other, wish, Outcome.SIMILAR)
        return take

    async def obtain(self, name: ResultName, make: Make, wish: CacheWish, *, erasures: int) -> Take:
        if wish.reuse and erasures == self.erasures and (take := await self._joined(name, make, wish)):
            return take
        flight = Flight(name, keeps=erasures == self.erasures)
        self._flights.start(flight, partial(self._perform, make, None), joinable=False)
        with self._listening(name) as listener:
            landing = await flight.board()
            assert isinstance(landing, Performance), "nobody looked for anything else"
            return self._joining(flight, landing, Outcome.MISS, listener)

    def forget(self, digest: str) -> None:
        self.erasures += 1
        self._flights.erase(digest)
        self._arrivals.erased(digest)
        self._look_anew()
        self._audience.erase(digest)
        self._memory.forget(digest)

    async def erase(self, digest: str) -> int:
        self.forget(digest)
        return 0 if self._shared is None else await self._shared.erase(digest)

    async def unused(self, digest: str) -> None:
        await self._flights.erased_over(digest)
        await self._audience.gone(digest)

    def replaced(self, key: str) -> None:
        """There is a new take where pods share them: the next request here gets it from there."""
        self._arrivals.replaced(key)
        self._look_anew()
        self._memory.drop(key)

    def replaced_unheard(self) -> None:
        """Any take that is here may have been replaced without a word."""
        self._arrivals.doubtful()
        self._look_anew()
        self._memory.clear()

    def report(self) -> Mapping[str, object]:
        """What is held, for people."""
        memory = self._memory
        return {"entries": memory.entries, "held_bytes": memory.held_bytes, "capacity_bytes": memory.capacity_bytes}

    async def close(self) -> None:
        """Ends what is being made, and publishes what was.  Idempotent."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait({self._sweeping})
        await self._flights.close()
        if self._shared is not None:
            await self._shared.close()

    def check_integrity(self) -> None:
        """Asserts that the counts of the memory are those of its entries."""
        self._memory.check_integrity()

    def _look_anew(self) -> None:
        if self._shared is not None:
            self._shared.look_anew()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._memory.sweep()

    async def _find(self, name: ResultName, wish: CacheWish, outcome: Outcome) -> Take | None:
        """What is kept under that name, here or where pods share it."""
        form = self._memory.get(name.key)
        if form is not None or self._shared is None:
            return None if form is None else self._kept(name, form.label, form, wish, outcome=outcome)
        with self._listening(name) as listener:
            found = await self._shared.fetch(name)
            if not isinstance(found, KeptTake):
                listener.leave()
                return None
            if listener.may_keep:
                self._memory.put(name, found)
            return self._kept(name, found.label, samples_of(found), wish, outcome=outcome, listener=listener)

    async def _alike(self, name: ResultName) -> ResultName | None:
        other = self._memory.alike(name.likeness)
        if (other is None or other.key == name.key) and self._shared is not None:
            other = await self._shared.alike(name)
        return None if other is None or other.key == name.key else other

    def _kept(
        self,
        name: ResultName,
        label: Label,
        form: Form,
        wish: CacheWish,
        *,
        outcome: Outcome = Outcome.HIT,
        listener: Listener | None = None,
    ) -> KeptHearing | None:
        """The take for one more listener, unless it is too old for him; without one he has just come."""
        listener = listener or self._listener(name)
        age_seconds = max(0.0, self._clock() - label.created_at)
        if wish.max_age_seconds is not None and age_seconds > wish.max_age_seconds:
            listener.leave()
            return None
        return KeptHearing(
            name,
            label,
            form,
            outcome=outcome,
            age_seconds=None if outcome is Outcome.COALESCED else age_seconds,
            listener=listener,
            keep_file=self._memory.put_encoded,
        )

    def _listener(self, name: ResultName) -> Listener:
        return Listener(name, self._audience, self._arrivals)

    @contextmanager
    def _listening(self, name: ResultName) -> Iterator[Listener]:
        """A listener, from before anybody is asked for what he wants to hear; who hears nothing leaves by an error."""
        listener = self._listener(name)
        try:
            yield listener
        except BaseException:
            listener.leave()
            raise

    def _joining(self, flight: Flight, performance: Performance, outcome: Outcome, listener: Listener) -> JoinedHearing:
        """The speech that is being made, for one more listener."""
        return JoinedHearing(flight, performance, outcome, listener=listener, keep_file=self._memory.put_encoded)

    async def _joined(self, name: ResultName, make: Make, wish: CacheWish) -> Take | None:
        """The speech as all get it who ask for it now; None if it was made too long ago for this listener."""
        flight, outcome = self._flights.joinable(name.key), Outcome.COALESCED
        if flight is None:
            if form := self._memory.get(name.key):  # said while this request looked for it
                return self._kept(name, form.label, form, wish)
            flight, outcome = Flight(name), Outcome.MISS
            self._flights.start(flight, partial(self._fly, make), joinable=True)
        with self._listening(name) as listener:
            landing = await flight.board()
            if isinstance(landing, Performance):
                return self._joining(flight, landing, outcome, listener)
            flight.leave()
            take, outcome = landing.take, Outcome.COALESCED if landing.awaited else Outcome.HIT
            return self._kept(name, take.label, samples_of(take), wish, outcome=outcome, listener=listener)

    async def _fly(self, make: Make, flight: Flight) -> None:
        with self._arrivals.expecting(flight.name) as arrival:
            obtained = None if self._shared is None else await self._shared.obtain(flight.name)
            if isinstance(obtained, Found) and flight.keeps and arrival.may_be_kept:
                self._memory.put(flight.name, obtained.take)
        if isinstance(obtained, Found):
            flight.land(obtained)
        else:
            await self._perform(make, obtained, flight)

    async def _perform(self, make: Make, allowed: SynthesisLease | TooLong | None, flight: Flight) -> None:
        """Makes the speech, for all who listen and for those who come; ``allowed`` is what the other pods say to it."""
        lease = allowed if isinstance(allowed, SynthesisLease) else None
        shared = None if isinstance(allowed, TooLong) else self._shared

        def too_long() -> None:
            flight.awaited = None
            self._flights.close_to_others(flight)
            if shared is not None:
                shared.give_up(flight.name, lease, lambda: flight.keeps)

        async with lease or nullcontext():
            flight.awaited = None if lease is None else lease.is_awaited
            making = await make()
            try:
                if not making.as_asked:
                    flight.keeps = False
                    self._flights.close_to_others(flight)
                performance = Performance(making, limit_bytes=self._limit_bytes, clock=self._clock, too_long=too_long)
                flight.land(performance)
                wav = await performance.record()
            finally:
                await making.aclose()
        if wav is not None:
            take = KeptTake(performance.label, wav)
            if flight.keeps:
                self._memory.put(flight.name, take)
            if shared is not None:
                shared.hand_over(flight.name, take, lease, lambda: flight.keeps)
                if flight.name.likeness:
                    shared.point_to(flight.name, lambda: flight.keeps)
