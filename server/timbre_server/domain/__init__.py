"""The nouns of speech: values without I/O that every layer may pass around."""
