"""The use cases: what can one ask of the server, whatever it is asked through?  Knows ports, never adapters."""
