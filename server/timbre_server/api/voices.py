"""``/v1/audio/voices``: OpenAI's custom voices, with a list, a look at one and a new recording for one."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from timbre_contract.api import VOICES_PATH
from timbre_server.api.bodies import MAX_TRANSCRIPT_CHARS
from timbre_server.api.multipart import Form, FormSpec, read_form
from timbre_server.api.pages import DEFAULT_LIMIT, After, Limit, to_page
from timbre_server.api.retries import is_retry
from timbre_server.domain.voice import VoiceRecord
from timbre_server.errors import InvalidValue, TextTooLong
from timbre_server.service.erasure import ErasureReceipt
from timbre_server.service.voices import VoiceService, VoiceUpload

_KIND = "audio_sample"
"""The one ``type`` of voice here: OpenAI's other one, ``prompt``, has no recording and serves its Live API only."""

_TEXTS = frozenset({"consent", "type", "transcript"})


def add_voices(router: APIRouter, voices: VoiceService, *, tenant: str, max_upload_bytes: int) -> None:
    """Adds the routes for voices."""
    one_voice = VOICES_PATH + "/{voice_id}"
    creation = FormSpec("audio_sample", max_upload_bytes, frozenset({"name"}), _TEXTS)
    replacement = FormSpec("audio_sample", max_upload_bytes, optional=_TEXTS)

    @router.post(VOICES_PATH)
    async def create_voice(request: Request) -> JSONResponse:
        """Enrols a voice."""
        form = await read_form(request, creation)
        return JSONResponse(_to_json(await voices.enrol(tenant, form.texts["name"], _upload(request, form))))

    @router.get(VOICES_PATH)
    async def list_voices(after: After = None, limit: Limit = DEFAULT_LIMIT) -> JSONResponse:
        """Lists enrolled voices, newest first, and with them (``voices``) all that a request can name."""
        records, has_more = await voices.page(tenant, after=after, limit=limit)
        page = to_page([_to_json(record) for record in records], has_more=has_more)
        built_in = [{"id": name, "name": name} for name in voices.presets()] if after is None else []
        page["voices"] = [*built_in, *({"id": record.id, "name": record.name} for record in records)]
        return JSONResponse(page)

    @router.get(one_voice)
    async def retrieve_voice(voice_id: str) -> JSONResponse:
        """Retrieves one enrolled voice."""
        return JSONResponse(_to_json(await voices.voice(tenant, voice_id)))

    @router.put(one_voice)
    async def replace_voice(voice_id: str, request: Request) -> JSONResponse:
        """Replaces the recording of a voice."""
        form = await read_form(request, replacement)
        return JSONResponse(_to_json(await voices.replace(tenant, voice_id, _upload(request, form))))

    @router.delete(one_voice)
    async def delete_voice(voice_id: str) -> JSONResponse:
        """Erases a voice."""
        receipt = await voices.delete(tenant, voice_id)
        return JSONResponse(
            {"id": voice_id, "object": "audio.voice.deleted", "deleted": True, "erasure": _to_erasure(receipt)}
        )


def _upload(request: Request, form: Form) -> VoiceUpload:
    if form.texts.get("type", _KIND) != _KIND:
        raise InvalidValue(f"`type` must be {_KIND}: this service makes voices from recordings only", param="type")
    transcript = form.texts.get("transcript", "")
    if len(transcript) > MAX_TRANSCRIPT_CHARS:
        raise TextTooLong(f"`transcript` must have at most {MAX_TRANSCRIPT_CHARS} characters", param="transcript")
    return VoiceUpload(form.file, form.texts.get("consent") or None, transcript, retry=is_retry(request.headers))


def _to_erasure(receipt: ErasureReceipt) -> dict[str, object]:
    return {
        "erased_at": receipt.erased_at,
        "generation": receipt.voice.generation,
        "removed": {
            "record": 1,
            "recording": 1,
            "shared_features": receipt.shared_features,
            "shared_results": receipt.shared_results,
        },
        "pods": {
            "acknowledged": receipt.pods.acknowledged,
            "expired": receipt.pods.expired,
            "unconfirmed": receipt.pods.unconfirmed,
        },
        "complete": receipt.complete,
    }


def _to_json(record: VoiceRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "object": "audio.voice",
        "name": record.name,
        "created_at": record.created_at,
        "type": _KIND,
        "generation": record.generation,
    }
