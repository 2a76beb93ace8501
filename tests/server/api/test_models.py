"""``/v1/models``: names that programs look for."""

from __future__ import annotations

import openai
import pytest
from openai import OpenAI


def test_the_list_has_the_engines_model_and_openais_names(client: OpenAI) -> None:
    models = list(client.models.list())
    assert [model.id for model in models] == [
        "stub",
        "tts-1",
        "tts-1-hd",
        "gpt-4o-mini-tts",
        "gpt-4o-mini-tts-2025-12-15",
    ]
    assert {(model.object, model.owned_by) for model in models} == {("model", "timbre")}


def test_every_listed_model_can_be_retrieved_and_speaks(client: OpenAI) -> None:
    for model in client.models.list():
        assert client.models.retrieve(model.id) == model
        assert client.audio.speech.create(model=model.id, voice="alloy", input="Hi.", response_format="pcm").content


def test_another_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-9")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
