"""Triton's own response cache in front of a model that returns so many bytes; runs in an environment of its own.

``scripts/triton_peer.sh`` makes that environment: the package carries the server's binary and wants numpy 1.
"""

import sys
import time

import numpy as np
from pytriton.decorators import batch  # type: ignore[import-not-found]
from pytriton.model_config import ModelConfig, Tensor  # type: ignore[import-not-found]
from pytriton.triton import Triton, TritonConfig  # type: ignore[import-not-found]

MODEL = "tts"
CACHE_BYTES = 100 << 20


def main() -> None:
    """Serves on the port of the first argument, with answers of the size of the second."""
    port, size = int(sys.argv[1]), int(sys.argv[2])
    audio = np.zeros((1, size), np.uint8)

    @batch
    def infer(text: object) -> dict[str, object]:
        time.sleep(0.022)
        return {"audio": np.repeat(audio, len(text), axis=0)}  # type: ignore[arg-type]

    config = TritonConfig(
        http_port=port, allow_grpc=False, allow_metrics=False, cache_config=[f"local,size={CACHE_BYTES}"]
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name=MODEL,
            infer_func=infer,
            inputs=[Tensor(name="text", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="audio", dtype=np.uint8, shape=(-1,))],
            config=ModelConfig(max_batch_size=16, response_cache=True),
        )
        triton.serve()


if __name__ == "__main__":
    main()
