"""Do pieces of latents give the samples that all of them give at once?"""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs torch: make test-torch")

import torch
from torch import Tensor
from transformers import PocketTTSAudioTokenizerModel as Codec

from timbre_server.engine.pocket_tts.codec import StreamingDecoder, reached_positions
from timbre_server.engine.pocket_tts.engine import PocketTtsEngine

FRAMES = 60
"""4.8 s: longer than the transformer's window of 250 positions in both of its layers."""


@pytest.fixture(scope="module")
def codec(engine: PocketTtsEngine) -> Codec:
    return engine._ready().model.codec


@pytest.fixture(scope="module")
def latents() -> Tensor:
    return torch.randn(3, FRAMES, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def whole(codec: Codec, latents: Tensor) -> Tensor:
    with torch.inference_mode():
        return codec.decode(latents).audio_values[:, 0]


def in_pieces(codec: Codec, latents: Tensor, sizes: list[int]) -> Tensor:
    decoder = StreamingDecoder(codec)
    with torch.inference_mode():
        return torch.cat([decoder.decode(part) for part in torch.split(latents, sizes, dim=1)], dim=1)


@pytest.mark.parametrize("sizes", [[FRAMES], [1] * FRAMES, [2, 3, 4, 6, 9, 13, 16, 7], [40, 1, 1, 18]])
def test_pieces_say_what_the_whole_says(codec: Codec, latents: Tensor, whole: Tensor, sizes: list[int]) -> None:
    said = in_pieces(codec, latents, sizes)

    assert said.shape == whole.shape
    assert float((said - whole).abs().max()) <= 1e-5 * float(whole.abs().max())


def test_a_piece_of_silence_is_not_a_new_beginning(codec: Codec, latents: Tensor, whole: Tensor) -> None:
    """The comparison notices a decoder without a memory."""
    with torch.inference_mode():
        forgetful = torch.cat(
            [StreamingDecoder(codec).decode(part) for part in torch.split(latents, [30, 30], dim=1)], dim=1
        )
    assert float((forgetful - whole).abs().max()) > 1e-2 * float(whole.abs().max())


def test_the_jobs_that_stay_go_on_as_before(codec: Codec, latents: Tensor, whole: Tensor) -> None:
    decoder = StreamingDecoder(codec)
    with torch.inference_mode():
        decoder.decode(latents[:, :20])
        decoder.keep(torch.tensor([2, 0]))
        said = decoder.decode(latents[[2, 0], 20:])

    expected = whole[[2, 0], 20 * 1920 :]
    assert float((said - expected).abs().max()) <= 1e-5 * float(whole.abs().max())


def test_the_reach_of_the_convolutions_is_what_they_reach(codec: Codec) -> None:
    reach = reached_positions(codec.config)
    hidden = torch.zeros(1, 16, 4 * reach, requires_grad=True)
    samples = codec.decoder.decoder_seanet(hidden)[0, 0, -120:]  # what the last position makes
    samples.sum().backward()
    assert hidden.grad is not None
    touched = hidden.grad.abs().sum(dim=(0, 1)).nonzero().flatten()

    assert int(touched.min()) == hidden.shape[-1] - 1 - reach
