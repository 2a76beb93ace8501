"""Speaking, unless it was said before: which requests may share their speech, and which leave no trace?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from timbre_server.domain.speech import AudioFormat
from timbre_server.domain.text import heard_text
from timbre_server.errors import NotKept, SpeechNotFound, VoiceNotFound
from timbre_server.ports import Blob, CacheWish, Outcome, ResultName, Results, Saying, Take, VoiceIdentity
from timbre_server.service.casting import Casting
from timbre_server.service.cold_start import ColdStart
from timbre_server.service.speech import Speech, SpeechRequest, SpeechService


class CachedSpeechService:
    """The use case: speak.  What was said before costs no engine time and needs no place in the queue."""

    def __init__(
        self,
        *,
        speech: SpeechService,
        casting: Casting,
        results: Results | None,
        cold_start: ColdStart | None = None,
        waiting_budget: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Without ``results`` nothing is kept, without ``cold_start`` no request comes before the engine is loaded;
        ``waiting_budget`` as in ``SpeechService``."""
        self._cold_start = cold_start
        self._speech = speech
        self._casting = casting
        self._results = results
        self._waiting_budget = waiting_budget

    async def asked(self, request: SpeechRequest, wish: CacheWish) -> Asked:
        """The request, its voice found and its parameters agreed to; nothing is done for it yet.

        Raises:
            RequestRejected, NotFound: the request is at fault.
        """
        agreed = self._speech.agree(request)
        results = self._results if wish.keep else None
        erasures = 0 if results is None else results.erasures  # before the registry is asked
        with self._waiting_budget():
            role = await self._casting.role(request.tenant, request.voice, request.reference)
        make = partial(self._speech.speak_as, role, request, agreed)
        # With a recording that came along nothing is kept: nobody could ask for the erasure of its speech.
        if results is not None and role.identity is not None:
            speed = request.parameters.speed
            how = agreed.parameters if agreed.tempo == 1.0 else replace(agreed.parameters, speed=speed)
            saying = Saying(request.tenant, role.identity, heard_text(request.text), how)
            enrolled = request.voice if role.identity.digest else None
            recall = Recall(request.tenant, enrolled, mark_of(role.identity), results.name(saying))
            return Asked(make, wish, Places(results, recall, erasures, saying.text), self._cold_start)
        return Asked(make, wish, None, self._cold_start)

    async def again(self, recall: Recall, audio_format: AudioFormat) -> Take | None:
        """What was said to a request like this before, if its voice is still the same and it is at hand or shared.

        Raises:
            VoiceNotFound: the voice has been deleted since.
        """
        if self._results is None:
            return None
        if recall.voice is not None:
            with self._waiting_budget():
                if mark_of(await self._casting.identity(recall.tenant, recall.voice)) != recall.mark:
                    return None
        take = self._results.at_hand(recall.name, audio_format, _ANY)
        return take or await self._results.find(recall.name, _ANY)

    async def linked(self, linked: LinkedSpeech) -> Take:
        """What a link leads to; the caller closes it.

        Raises:
            SpeechNotFound: it is kept no longer, or its voice was replaced or deleted since.
        """
        if self._results is not None and await self._still_speaks(linked):
            take = self._results.at_hand(linked.name, linked.audio_format, _ANY)
            if take := take or await self._results.find(linked.name, _ANY):
                return take
        raise SpeechNotFound("the speech of this link is not kept any more; ask for it again")

    async def _still_speaks(self, linked: LinkedSpeech) -> bool:
        """Whether its voice is the one that it was."""
        if linked.voice is None:
            return True
        try:
            with self._waiting_budget():
                return mark_of(await self._casting.identity(linked.tenant, linked.voice)) == linked.mark
        except VoiceNotFound:
            return False


_ANY: Final = CacheWish()

MARK_BYTES: Final = 16
"""128 bits of a SHA-256: no two recordings of a voice have one mark by chance."""


def mark_of(identity: VoiceIdentity) -> bytes:
    """Tells a voice as it was from what it has become, and nothing else of it: what its recording says is in no mark."""
    parts = [identity.preset, identity.digest, identity.generation, identity.transcript]
    return hashlib.sha256(json.dumps(parts).encode()).digest()[:MARK_BYTES]


@dataclass(frozen=True)
class Recall:
    """What remains to be known of a request whose speech was kept, without its text."""

    tenant: str
    voice: str | None
    """Id of an enrolled voice; None for a built-in one, which never changes while a server runs."""
    mark: bytes
    """``mark_of`` the voice as it was; not itself, because nobody looks for it here when it is erased."""
    name: ResultName


@dataclass(frozen=True)
class LinkedSpeech:
    """What a link leads to; its parts as of ``Recall``."""

    tenant: str
    voice: str | None
    mark: bytes
    name: ResultName
    audio_format: AudioFormat


@dataclass(frozen=True)
class Places:
    """Where speech may be kept, and as what."""

    results: Results
    recall: Recall
    erasures: int
    """``Results.erasures`` before the voice was found."""
    text: str


class Asked:
    """A request that can be answered."""

    def __init__(
        self,
        make: Callable[[], Awaitable[Speech]],
        wish: CacheWish,
        places: Places | None,
        cold_start: ColdStart | None = None,
    ) -> None:
        """Without ``places`` its speech leaves no trace."""
        self._cold_start = cold_start
        self._make = make
        self._wish = wish
        self._places = places

    @property
    def recall(self) -> Recall | None:
        """By what an equal request is known; None if its speech leaves no trace."""
        return None if self._places is None else self._places.recall

    def at_hand(self, audio_format: AudioFormat) -> Take | None:
        """As ``Results.at_hand``."""
        places = self._places
        return None if places is None else places.results.at_hand(places.recall.name, audio_format, self._wish)

    async def found(self) -> Take | None:
        """What was said before; the caller closes it."""
        places = self._places
        if places is None or not places.results.may_keep(places.text):
            self._places = None
            return None
        return await places.results.find(places.recall.name, self._wish)

    async def take(self) -> Take:
        """The speech, once it has begun, of a request for which none was ``found``; the caller closes it.

        Raises:
            NotKept: the request wants kept speech only.
            NotReady: the engine is still loading, and that has taken longer than a request waits.
            RequestRejected, NotFound: the request is at fault.
            Overloaded: no room in the queue.
            EngineError: the engine failed.
        """
        if self._wish.only_kept:
            raise NotKept("no speech like this is kept, and `only-if-cached` asks for no other")
        if self._cold_start is not None and (take := await self._cold_start.outlasted(self.found)):
            return take
        places = self._places
        if places is None:
            return Untraced(await self._make())
        return await places.results.obtain(places.recall.name, self._make, self._wish, erasures=places.erasures)


class Untraced:
    """``Take`` over speech that nobody else ever hears."""

    def __init__(self, speech: Speech) -> None:
        self.id = ""
        self.kept_as: ResultName | None = None
        self.outcome = Outcome.BYPASS
        self.age_seconds: float | None = None
        self.audio_seconds: float | None = None
        self.sample_rate_hz = speech.sample_rate_hz
        self.voice_source = speech.voice_source
        self.timings = speech.timings
        self.samples = speech.samples
        self.aclose = speech.aclose

    def encoded(self, audio_format: AudioFormat) -> Sequence[Blob] | None:  # noqa: ARG002 - the port's signature
        return None

    def keep_encoded(self, audio_format: AudioFormat, file: bytes, *, audio_seconds: float) -> None:
        pass
