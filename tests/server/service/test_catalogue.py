"""Which models there are."""

from dataclasses import replace

import pytest

from timbre_server.engine.stub import StubEngine
from timbre_server.errors import ModelNotFound
from timbre_server.service.catalogue import ALIASES, ModelCatalogue

DESCRIPTOR = StubEngine().descriptor


def test_the_engines_own_model_comes_first_and_openais_after_it() -> None:
    assert [model.id for model in ModelCatalogue(DESCRIPTOR).models()] == ["stub", *ALIASES]


def test_an_engine_that_is_named_like_an_alias_is_listed_once() -> None:
    models = ModelCatalogue(replace(DESCRIPTOR, model_id="tts-1")).models()
    assert sorted(model.id for model in models) == sorted(ALIASES)


def test_an_unknown_model_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ModelNotFound, match=r"stub, tts-1") as caught:
        ModelCatalogue(DESCRIPTOR).model("gpt-9")
    assert caught.value.param == "model"
