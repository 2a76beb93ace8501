"""An engine's descriptor for tests that need no engine."""

from timbre_server.ports import EngineDescriptor, TensorSpec

DESCRIPTOR = EngineDescriptor(
    name="stub",
    model_id="model",
    revision="1",
    encoder_id="encoder",
    encoder_config_hash="cafe",
    sample_rate_hz=24_000,
    feature_spec={"embedding": TensorSpec("float32", (256,))},
    feature_bytes_per_second=100.0,
)
