"""The HTTP surface: OpenAI's speech API, its errors and its limits, and the admin port.  Nothing else knows HTTP."""
