"""``/v1/audio/voice_consents``: OpenAI's recorded consents."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from timbre_contract.api import CONSENTS_PATH
from timbre_server.api.bodies import read_name
from timbre_server.api.multipart import FormSpec, read_form
from timbre_server.api.pages import DEFAULT_LIMIT, After, Limit, to_page
from timbre_server.domain.voice import ConsentRecord
from timbre_server.service.consents import ConsentService

_KIND = "audio.voice_consent"


def add_consents(router: APIRouter, consents: ConsentService, *, tenant: str, max_upload_bytes: int) -> None:
    """Adds the routes for consents."""
    one_consent = CONSENTS_PATH + "/{consent_id}"
    creation = FormSpec("recording", max_upload_bytes, frozenset({"name", "language"}))

    @router.post(CONSENTS_PATH)
    async def create_consent(request: Request) -> JSONResponse:
        """Records a consent."""
        form = await read_form(request, creation)
        consent = await consents.add(tenant, form.texts["name"], form.texts["language"], form.file)
        return JSONResponse(_to_json(consent))

    @router.get(CONSENTS_PATH)
    async def list_consents(after: After = None, limit: Limit = DEFAULT_LIMIT) -> JSONResponse:
        """Lists consents, newest first."""
        records, has_more = await consents.page(tenant, after=after, limit=limit)
        return JSONResponse(to_page([_to_json(record) for record in records], has_more=has_more))

    @router.get(one_consent)
    async def retrieve_consent(consent_id: str) -> JSONResponse:
        """Retrieves one consent."""
        return JSONResponse(_to_json(await consents.consent(tenant, consent_id)))

    @router.post(one_consent)
    async def rename_consent(consent_id: str, request: Request) -> JSONResponse:
        """Renames a consent."""
        return JSONResponse(_to_json(await consents.rename(tenant, consent_id, await read_name(request))))

    @router.delete(one_consent)
    async def delete_consent(consent_id: str) -> JSONResponse:
        """Erases a consent."""
        await consents.delete(tenant, consent_id)
        return JSONResponse({"id": consent_id, "object": _KIND, "deleted": True})


def _to_json(consent: ConsentRecord) -> dict[str, object]:
    return {
        "id": consent.id,
        "object": _KIND,
        "name": consent.name,
        "language": consent.language,
        "created_at": consent.created_at,
    }
