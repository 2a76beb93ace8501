"""How do many voices get into Redis without a round trip each?

By the very scripts of single voices, many in one pipeline: each voice is atomic, all of them are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import redis.exceptions

from timbre_server.domain.voice import VoiceRecord
from timbre_server.errors import InvalidValue
from timbre_server.store.link import Client
from timbre_server.store.lua_script import LuaScript
from timbre_server.store.redis_consents import new_epoch
from timbre_server.store.redis_voices import RedisVoiceStore
from timbre_server.store.voice_fields import voice_arguments

_ADD: Final = LuaScript("_change", "add_voice")
_RESTORE: Final = LuaScript("_change", "restore_voice")

Recorded = tuple[VoiceRecord, bytes]
"""A voice and its recording in FLAC."""


class BulkVoiceStore(RedisVoiceStore):
    """``RedisVoiceStore`` that also takes many voices at once; lives on one event loop."""

    async def add_voices(self, voices: Sequence[Recorded]) -> Sequence[bool]:
        """Stores new voices, as ``add_voice``; False in the place of those whose id is taken.

        Raises:
            RegistryFull, StoreUnavailable: some of them may have been stored.
        """
        if self._confirms_each:
            return [await self._added(voice, flac) for voice, flac in voices]
        return await self._many(_ADD, [(voice, (*voice_arguments(voice)[1:], flac)) for voice, flac in voices])

    async def restore_voices(self, voices: Sequence[Recorded]) -> Sequence[bool]:
        """Puts back voices, as ``restore_voice``; False in the place of those for which it was not needed.

        Raises:
            RegistryFull, StoreUnavailable: some of them may have been restored.
        """
        if self._confirms_each:
            return [await self.restore_voice(voice, flac) for voice, flac in voices]
        return await self._many(_RESTORE, [(voice, (*voice_arguments(voice), flac)) for voice, flac in voices])

    @property
    def _confirms_each(self) -> bool:
        """Replicas or the disk confirm writes: slow anyway, and ``Durability`` knows how."""
        return bool(self._link.settings.wait_replicas) or self._link.settings.wait_aof

    async def _added(self, voice: VoiceRecord, flac: bytes) -> bool:
        try:
            await self.add_voice(voice, flac)
        except InvalidValue:
            return False
        return True

    async def _many(
        self, script: LuaScript, voices: Sequence[tuple[VoiceRecord, tuple[str | bytes | int, ...]]]
    ) -> Sequence[bool]:
        async def command(client: Client) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            for place, (voice, arguments) in enumerate(voices):
                keys = self._keys_of(voice)
                own = (self._keys.whisper(), new_epoch(), voice.tenant, voice.id)
                # The first brings the script along, which the server then knows.
                pipeline.execute_command(*script.command(keys, *own, *arguments, whole=place == 0))
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
            if failed := [reply for reply in replies if isinstance(reply, redis.exceptions.RedisError)]:
                raise failed[0]
            return replies

        if not voices:
            return []
        return [bool(reply) for reply in await self._link.write(command)]

    def _keys_of(self, voice: VoiceRecord) -> list[str]:
        keys, tenant = self._keys, voice.tenant
        voice_keys = (keys.voice(tenant, voice.id), keys.voices(tenant), keys.tombstones(tenant))
        return [keys.epoch(), keys.sequence(), keys.changes(), *voice_keys]
