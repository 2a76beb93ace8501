"""Turns Resemblyzer's checkpoint into the speaker encoder that we ship.

Reads   ``pretrained.pt`` of Resemblyzer 0.1.4 (Apache-2.0), which lies in its wheel:
        sha256 39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e
Writes  ``server/timbre_server/engine/speaker/encoder.onnx``:
        sha256 aa1489fdf8a26d31c158411aa14d9536409b52b65a22d52a4bd4217d7ba2beef
Needs   ``numpy`` and ``onnx`` (1.23.2 wrote the file above); neither torch nor the network.

Run by hand, once per version of the weights::

    python scripts/convert_speaker_encoder.py PRETRAINED.pt server/timbre_server/engine/speaker/encoder.onnx

What changes: optimizer state and loss parameters are left out, weight matrices are rounded to float16 (biases
stay float32), the gates of each LSTM are reordered from torch's i, f, g, o to ONNX's i, o, f, g, and the graph
ends with the linear layer, ReLU and L2 norm of Resemblyzer's ``VoiceEncoder.forward``.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle  # noqa: TID251 - the source is a torch file; CheckpointReader admits three names only
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SOURCE_SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"

# Resemblyzer's hparams.py: mel channels, hidden size, layers, embedding size.
MELS, HIDDEN, LAYERS, EMBEDDING = 40, 256, 3, 256
OPSET, IR_VERSION = 17, 8

Weights = Mapping[str, NDArray[np.float32]]


class Storage:
    """One flat block of floats; its content comes after the pickles that mention it."""

    def __init__(self) -> None:
        self.floats: NDArray[np.float32] = np.zeros(0, np.float32)


class Tensor:
    """A strided view of a storage, read once the storages are filled."""

    def __init__(
        self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_unused: object
    ) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def array(self) -> NDArray[np.float32]:
        """The values, float32, in the tensor's shape."""
        floats = self.storage.floats[self.offset :]
        steps = tuple(4 * step for step in self.stride)
        return np.array(np.lib.stride_tricks.as_strided(floats, self.size, steps))


class CheckpointReader(pickle.Unpickler):
    """Unpickles torch's legacy format; every class but these three is refused, so nothing can be executed."""

    def __init__(self, file: BinaryIO, storages: dict[str, Storage]) -> None:
        super().__init__(file)
        self.storages = storages

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): Tensor,
            ("torch", "FloatStorage"): Storage,
        }
        if (module, name) not in known:
            message = f"the checkpoint names {module}.{name}"
            raise pickle.UnpicklingError(message)
        return known[module, name]

    def persistent_load(self, pid: tuple[Any, ...]) -> Storage:
        return self.storages.setdefault(pid[2], Storage())


def read_checkpoint(path: Path) -> Weights:
    """The model's arrays by their torch names."""
    storages: dict[str, Storage] = {}
    with path.open("rb") as file:
        for _header in ("magic number", "protocol", "system"):
            CheckpointReader(file, storages).load()
        checkpoint = CheckpointReader(file, storages).load()
        for key in CheckpointReader(file, storages).load():
            count = int.from_bytes(file.read(8), "little")
            storages[key].floats = np.frombuffer(file.read(4 * count), "<f4")
    return {name: tensor.array() for name, tensor in checkpoint["model_state"].items()}


def gates(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows reordered from torch's input, forget, cell, output to ONNX's input, output, forget, cell."""
    i, f, g, o = np.split(weights, 4)
    return np.concatenate([i, o, f, g])


def matrix(name: str, values: NDArray[np.float32]) -> tuple[list[TensorProto], list[onnx.NodeProto]]:
    """A float16 initializer and the cast that makes ``name`` of it, float32."""
    halved = numpy_helper.from_array(values.astype(np.float16), f"{name}_half")
    return [halved], [helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT)]


def lstm_layer(weights: Weights, layer: int, source: str) -> tuple[list[TensorProto], list[onnx.NodeProto], str, str]:
    """One LSTM layer over ``source`` [frames, batch, features]; also the names of its sequence and its last state."""
    tensors, nodes = matrix(f"w{layer}", gates(weights[f"lstm.weight_ih_l{layer}"])[None])
    more_tensors, more_nodes = matrix(f"r{layer}", gates(weights[f"lstm.weight_hh_l{layer}"])[None])
    bias = [gates(weights[f"lstm.bias_{side}_l{layer}"]) for side in ("ih", "hh")]
    tensors += [*more_tensors, numpy_helper.from_array(np.concatenate(bias)[None], f"b{layer}")]
    inputs = [source, f"w{layer}", f"r{layer}", f"b{layer}"]
    sequence, state = f"y{layer}", f"h{layer}"
    nodes += [
        *more_nodes,
        helper.make_node("LSTM", inputs, [f"{sequence}_4d", state], hidden_size=HIDDEN),
        helper.make_node("Squeeze", [f"{sequence}_4d", "direction_axis"], [sequence]),
    ]
    return tensors, nodes, sequence, state


def build_model(weights: Weights) -> onnx.ModelProto:
    """``mel`` float32 [batch, frames, 40] -> ``embedding`` float32 [batch, 256], rows of length one."""
    tensors = [numpy_helper.from_array(np.array([1]), "direction_axis"), numpy_helper.from_array(np.array([0]), "zero")]
    nodes = [helper.make_node("Transpose", ["mel"], ["frames"], perm=[1, 0, 2])]
    sequence, state = "frames", ""
    for layer in range(LAYERS):
        more_tensors, more_nodes, sequence, state = lstm_layer(weights, layer, sequence)
        tensors += more_tensors
        nodes += more_nodes
    more_tensors, more_nodes = matrix("linear", weights["linear.weight"])
    tensors += [*more_tensors, numpy_helper.from_array(weights["linear.bias"], "linear_bias")]
    nodes += [
        *more_nodes,
        helper.make_node("Squeeze", [state, "zero"], ["last"]),
        helper.make_node("Gemm", ["last", "linear", "linear_bias"], ["projected"], transB=1),
        helper.make_node("Relu", ["projected"], ["positive"]),
        helper.make_node("LpNormalization", ["positive"], ["embedding"], axis=1, p=2),
    ]
    inputs = [helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["batch", "time", MELS])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", EMBEDDING])]
    graph = helper.make_graph(nodes, "speaker_encoder", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="Resemblyzer's pretrained.pt")
    parser.add_argument("target", type=Path, help="the ONNX file to write")
    arguments = parser.parse_args()
    if hashlib.sha256(arguments.source.read_bytes()).hexdigest() != SOURCE_SHA256:
        parser.error("this is not the pretrained.pt of Resemblyzer 0.1.4")
    content = build_model(read_checkpoint(arguments.source)).SerializeToString(deterministic=True)
    arguments.target.write_bytes(content)
    print(f"{arguments.target}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
