"""A result cache as people write it around a speech server: FastAPI, a digest of the body, redis-py.

With ``engine_seconds`` it has the same engine and batches behind it as Timbre's rows; what it lacks is sharing: requests
that miss at the same time are all made.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel
from redis.asyncio import Redis

from timbre_server.audio.raw_encoder import to_wav
from timbre_server.batching import BatchingDispatcher, Limits
from timbre_server.domain.speech import SpeechParameters
from timbre_server.engine.stub import StubEngine
from timbre_server.engine.worker import ThreadEngineWorker
from timbre_server.ports import Utterance

TTL_SECONDS = 86_400


class Body(BaseModel):
    """OpenAI's fields that the rows use."""

    model: str
    input: str
    voice: str
    response_format: str = "wav"


class Speaker:
    """The engine behind the cache, and how often it was asked."""

    def __init__(self) -> None:
        self._engine = StubEngine()  # S(n) = 20 + 2 n ms
        self._worker = ThreadEngineWorker(self._engine)
        self._dispatcher = BatchingDispatcher(self._worker, limits=Limits(max_batch_size=16), max_pending_seconds=600)
        self.calls = 0

    async def start(self) -> None:
        await self._worker.start()
        await self._dispatcher.start()

    async def stop(self) -> None:
        await self._dispatcher.stop()
        await self._worker.stop()

    async def speak(self, text: str, voice: str) -> bytes:
        """A WAV file."""
        self.calls += 1
        job = Utterance(text, self._engine.preset_voices()[voice], SpeechParameters())
        permit = self._dispatcher.admit(0.022)
        try:
            pieces = [piece async for piece in self._dispatcher.speak([job], permit=permit)]
        finally:
            permit.release()
        return to_wav(np.concatenate(pieces), self._engine.descriptor.sample_rate_hz)


def application(redis_url: str) -> FastAPI:
    """The server."""
    redis = Redis.from_url(redis_url)
    speaker = Speaker()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await speaker.start()
        yield
        await speaker.stop()
        await redis.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/audio/speech")
    async def speech(body: Body) -> Response:
        key = "tts:" + hashlib.md5(json.dumps(body.model_dump(), sort_keys=True).encode()).hexdigest()
        audio = await redis.get(key)
        if audio is None:
            audio = await speaker.speak(body.input, body.voice)
            await redis.setex(key, TTL_SECONDS, audio)
        return Response(audio, media_type="audio/wav")

    @app.get("/calls")
    async def calls() -> dict[str, int]:
        return {"calls": speaker.calls}

    return app


async def _serve(port: int, redis_url: str) -> None:
    config = uvicorn.Config(
        application(redis_url), port=port, http="httptools", loop="uvloop", log_level="error", access_log=False
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))
