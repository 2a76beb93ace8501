"""``/v1/models``: which models may a speech request name?"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from timbre_contract.api import MODELS_PATH
from timbre_server.service.catalogue import Model, ModelCatalogue

OWNER = "timbre"


def add_models(router: APIRouter, catalogue: ModelCatalogue) -> None:
    """Adds the routes for models."""

    @router.get(MODELS_PATH)
    async def list_models() -> JSONResponse:
        """Lists the models."""
        return JSONResponse({"object": "list", "data": [_to_json(model) for model in catalogue.models()]})

    @router.get(MODELS_PATH + "/{model}")
    async def retrieve_model(model: str) -> JSONResponse:
        """Retrieves one model."""
        return JSONResponse(_to_json(catalogue.model(model)))


def _to_json(model: Model) -> dict[str, object]:
    return {"id": model.id, "object": "model", "created": model.created_at, "owned_by": OWNER}
