"""Kyutai's Pocket TTS as ``transformers`` ships it: a voice is the codec's latents of its reference, real tensors.

A language model reads voice, text and the speech so far, and says the next latent, 80 ms of speech; the codec makes
samples of latents.  A batch holds jobs of different voices, and each job comes out as it would alone.

    text ─ text.split ─ model.prompt ┐
    features (latents) ──────────────┴ generation.Speaking ─ codec.StreamingDecoder ─ pieces
    reference ─ reference.checked ─ model.encoded ─ features

``engine`` has ``PocketTtsEngine``.  It needs the extra ``pocket-tts``, and importing it without raises ImportError; the
other modules that have no tensors (options, checkpoint, text, ending, pace, reference) import without it.
"""
