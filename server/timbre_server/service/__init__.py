"""The use cases: speak, enrol a voice, record a consent.  They know ports, never adapters and never HTTP."""
