"""Which consents exist, for all pods that share a Redis?"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from timbre_contract.keys import ServiceKeys
from timbre_server.domain.voice import ConsentRecord
from timbre_server.errors import ConsentNotFound
from timbre_server.store.durability import Durability
from timbre_server.store.link import Client, RedisLink
from timbre_server.store.lua_script import LuaScript
from timbre_server.store.voice_fields import consent_arguments, consent_from_fields

_ADD: Final = LuaScript("add_consent")
_RENAME: Final = LuaScript("rename_consent")
_DELETE: Final = LuaScript("delete_consent")
_PAGE: Final = LuaScript("page")


def new_epoch() -> str:
    """A word that no registry ever had: 64 random bits."""
    return secrets.token_hex(8)


async def page_of(client: Client, key: str, after: str | None, limit: int) -> list[bytes] | None:
    """Up to one id more than ``limit``, newest first, from behind ``after``; None if that one is not in the list."""
    ids: list[bytes] | None = await _PAGE.run(client, [key], after or "", limit + 1)
    return ids


class RedisConsents:
    """The half of ``VoiceStore`` that is about consents; lives on one event loop."""

    def __init__(self, link: RedisLink, keys: ServiceKeys) -> None:
        self._link = link
        self._keys = keys
        self._durability = Durability(link.settings)

    async def add_consent(self, consent: ConsentRecord) -> None:
        keys = self._keys
        await self._write(
            _ADD,
            [keys.epoch(), keys.sequence(), keys.consent(consent.tenant, consent.id), keys.consents(consent.tenant)],
            *(new_epoch(), consent.id, consent.created_at),
            *consent_arguments(consent),
        )

    async def consent(self, tenant: str, consent_id: str) -> ConsentRecord:
        consent = (await self._consents(tenant, [consent_id]))[0]
        if consent is None:
            raise _unknown("consent")
        return consent

    async def consents(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[ConsentRecord], bool]:
        list_key = self._keys.consents(tenant)
        ids = await self._link.read(lambda client: page_of(client, list_key, after, limit), patient=True)
        if ids is None:
            raise _unknown("after")
        consents = await self._consents(tenant, [consent_id.decode() for consent_id in ids[:limit]])
        return [consent for consent in consents if consent is not None], len(ids) > limit

    async def rename_consent(self, tenant: str, consent_id: str, name: str) -> ConsentRecord:
        keys = [self._keys.epoch(), self._keys.consent(tenant, consent_id)]
        if not await self._write(_RENAME, keys, new_epoch(), name):
            raise _unknown("consent")
        return replace(await self.consent(tenant, consent_id), name=name)

    async def delete_consent(self, tenant: str, consent_id: str) -> None:
        keys = [self._keys.epoch(), self._keys.consent(tenant, consent_id), self._keys.consents(tenant)]
        if not await self._write(_DELETE, keys, new_epoch(), consent_id):
            raise _unknown("consent")

    async def _consents(self, tenant: str, ids: Sequence[str]) -> Sequence[ConsentRecord | None]:
        async def command(client: Client) -> list[dict[bytes, bytes]]:
            pipeline = client.pipeline(transaction=False)
            for consent_id in ids:
                pipeline.hgetall(self._keys.consent(tenant, consent_id))
            consents: list[dict[bytes, bytes]] = await pipeline.execute()
            return consents

        if not ids:
            return []
        consents = await self._link.read(command, patient=True)  # each holds a recording
        return [consent_from_fields(tenant, *found) for found in zip(ids, consents, strict=True)]

    async def _write(self, script: LuaScript, keys: Sequence[str], *arguments: str | bytes | float) -> Any:
        return await self._link.write(lambda client: self._durability.run(client, script, keys, *arguments))


def _unknown(param: str) -> ConsentNotFound:
    return ConsentNotFound("no consent has this id", param=param)
